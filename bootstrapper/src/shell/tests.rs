use super::{What, read};
use proptest::prelude::*;
use std::process::{Command, Stdio};

fn message(pieces: &[&str]) -> Option<(usize, usize, String)> {
    let fault = read(pieces).fault?;
    Some((fault.piece, fault.line, fault.message))
}

#[test]
fn whole_programs_are_taken() {
    for program in [
        "echo a",
        "  # only a comment",
        "echo a # 'tail",
        "a=1 b=$c",
        "if a; then b; elif c; then d; else e; fi > /dev/null 2>&1",
        "while a; do b; done; until a; do b; done",
        "for i in 1 2; do echo $i; done\nfor i\ndo a; done\nfor i do a; done",
        "case $x in\n(a|b) c ;;\n*) d\nesac\ncase a in esac\ncase a in a) ;; esac",
        "{ a; b; } && (c; d) || ! e | f &",
        "((a); b)",
        "f() { a; }\ng ()\n( b )\nh() if a; then b; fi",
        "cat <<A <<-'B' > f\n$(echo a) `b` ${c:-d}\nA\n$( \" '\n\tB\necho",
        "echo 'a\nb' \"c\n$(echo \")\" 'd)' # e)\n)\" f",
        "echo `echo \\`a\\` 'b'` \"`echo \\\"a\\\"`\"",
        "echo $((1 + (2 * $(echo 3)))) ${#a} ${a#'}'} \"${a:-it's}\" ${a:-$(b)} $",
        "echo a \\\nb \\\n",
        "echo a & echo b; echo c;",
        "a=b#c echo d#e '#' \\# \\'",
        "echo if then fi } { do done in esac !",
        "2>&1 echo 3> a 4<b >|c <>d",
        "echo \u{e4}'\u{20ac}'",
        "echo a\r",
        "exec > log 2>&1",
        "case x in x) echo $(case y in y) echo a;; esac);; esac",
        "cat << \\E\n`\nE",
        "function f\n{ a\n}",
    ] {
        assert_eq!(message(&[program]), None, "{program}");
    }
}

#[test]
fn what_bash_adds_is_taken_and_told() {
    for (program, name) in [
        ("[[ -e a && b =~ ^(c|d)$ ]] || e", "[["),
        ("a=(b 'c)' $(d)\ne)", "=("),
        ("function f { a; }", "function"),
        ("function f() { a; }", "function"),
        ("a <<< b", "<<<"),
        ("a |& b", "|&"),
        ("cat <(a) b", "<("),
        ("case a in b) c;;& d) e;& esac", ";;&"),
        ("((a * (b + c))) && d", "(("),
        ("for ((i = 0; i < (3); i++)); do a; done", "for (("),
        ("echo $'it\\'s'", "$'"),
        ("select a in b; do c; done", "select"),
    ] {
        let program_read = read(&[program]);
        assert_eq!(program_read.fault, None, "{program}");
        assert_eq!(program_read.found[0].what, What::Bash(name), "{program}");
    }
}

#[test]
fn what_is_no_whole_program_is_told_where_it_began() {
    for (pieces, piece, line, said) in [
        (
            &["a", "echo 'b", "c"][..],
            1,
            1,
            "the quote `'` is not closed",
        ),
        (&["a\necho \"b $(c)"], 0, 2, "the quote `\"` is not closed"),
        (&["echo `a"], 0, 1, "the backquote is not closed"),
        (&["a", "if", "b"], 1, 1, "the `if` has no `fi`"),
        (
            &["if a; then", "for b in c; do"],
            1,
            1,
            "the `for` has no `done`",
        ),
        (&["a $(b", "c"], 0, 1, "the `$(` has no `)`"),
        (&["a ${b", "c"], 0, 1, "the `${` has no `}`"),
        (
            &["a $((1 + 2)"],
            0,
            1,
            "the `$((` has no `))`; a subshell in a substitution needs a space: `$( (`",
        ),
        (&["f() {"], 0, 1, "the `{` has no `}`"),
        (&["f()"], 0, 1, "the function has no body"),
        (&["( a"], 0, 1, "the `(` has no `)`"),
        (&["case a in", "b) c"], 0, 1, "the `case` has no `esac`"),
        (
            &["a", "cat <<E", "b", " E"],
            1,
            1,
            "the here-document has no line that ends it",
        ),
        (&["a &&"], 0, 1, "nothing follows the `&&` at its end"),
        (
            &["a", "b |", "# c"],
            1,
            1,
            "nothing follows the `|` at its end",
        ),
        (
            &["a", "b \\"],
            1,
            1,
            "the `\\` at its end goes on with a line that is not there",
        ),
        (&["a", "fi"], 1, 1, "`fi` cannot stand here"),
        (
            &["if a; then fi"],
            0,
            1,
            "`fi` cannot stand here inside the `if`",
        ),
        (&["a; ; b"], 0, 1, "`;` cannot stand here"),
        (&["a )"], 0, 1, "`)` cannot stand here"),
        (&["a >", "b"], 0, 1, "the end of the line cannot stand here"),
        (&["{ }"], 0, 1, "`}` cannot stand here inside the `{`"),
        (&["echo a (b)"], 0, 1, "`(` cannot stand here"),
        (
            &["if true; then\r\na\r\nfi"],
            0,
            3,
            "`fi` cannot stand here inside the `if`",
        ),
    ] {
        assert_eq!(
            message(pieces),
            Some((piece, line, said.to_owned())),
            "{pieces:?}"
        );
    }
}

#[test]
fn between_the_pieces_of_a_command_it_is_not_complete() {
    for (pieces, complete) in [
        (&["a", "b"][..], &[true, true][..]),
        (&["cat <<E", "hello", "E"], &[false, false, true]),
        (&["cat <<E\nhello\nE", "a"], &[true, true]),
        (&["echo 'a", "b'", "c"], &[false, true, true]),
        (&["case a in", "a) b ;;", "esac"], &[false, false, true]),
        (
            &["if a; then", "b", "else", "c", "fi"],
            &[false, false, false, false, true],
        ),
        (&["true &&", "", "a"], &[false, false, true]),
        (&["a |", "b"], &[false, true]),
        (&["a \\", "b"], &[false, true]),
        (&["a # \\", "b"], &[true, true]),
        (&["f()", "{", "a; }"], &[false, false, true]),
        (&["(", "a", ")"], &[false, false, true]),
        (&["a &", "# b", "c"], &[true, true, true]),
    ] {
        assert_eq!(read(pieces).complete, complete, "{pieces:?}");
    }
}

#[test]
fn behind_an_alias_nothing_is_known() {
    let program = read(&["a", "alias start='{'", "start a", "}"]);
    assert_eq!(program.fault, None);
    assert_eq!(program.complete, [true, false, false, false]);
}

#[test]
fn restarts_are_found_as_commands_alone() {
    for program in [
        "reboot",
        "/sbin/reboot -f",
        "a && sudo -u root systemctl --force reboot",
        "a=$(b) exec shutdown -r now",
        "if a; then (poweroff); fi",
        "b() { halt; }",
        "echo $(reboot) `poweroff`",
        "cat <<E\n$(reboot)\nE",
        "nohup sh -c 'sleep 1; reboot' &",
        "trap reboot EXIT",
        "systemctl isolate reboot.target",
        "timeout -k 1 5 init 6",
        "env A=b telinit 0",
        "kexec -e",
        "echo b > /proc/sysrq-trigger",
        "echo b | tee /proc/sysrq-trigger",
        "\"reboot\"",
        "eval 'reboot'",
    ] {
        let found = read(&[program]).found;
        assert!(
            found.iter().any(|f| matches!(f.what, What::Restart(_))),
            "{program}"
        );
    }
    for program in [
        "echo reboot",
        "# reboot",
        "reboot=1",
        "shutdown -c",
        "command -v reboot",
        "cat > f <<'E'\nreboot\n$(reboot)\nE",
        "systemctl enable reboot.target",
        "systemctl status reboot",
        "sudo echo reboot",
        "ssh host reboot",
        "'reboot now'",
        "init 3",
        "kexec -l vmlinuz",
        "rebooted",
        "$reboot",
    ] {
        let found = read(&[program]).found;
        assert_eq!(found, [], "{program}");
    }
}

#[test]
fn what_ends_the_shell_is_told_and_what_ends_a_subshell_is_not() {
    for (program, name) in [
        ("exit 0", Some("exit")),
        ("a || exit 1", Some("exit")),
        ("exec a", Some("exec")),
        ("exec > f", None),
        ("(exit 1)", None),
        ("a | exit 1", None),
        ("{ a; exit 1; } &", None),
        ("b=$(exit 1)", None),
        ("sh -c 'exit 1'", None),
        ("`exit`", None),
    ] {
        let found = read(&[program]).found;
        let found = found.first().map(|found| found.what);
        assert_eq!(found, name.map(What::Ends), "{program}");
    }
}

#[test]
fn nesting_has_an_end() {
    for (opens, closes) in [
        ("(", ")"),
        ("((", "))"),
        ("{ ", ";}"),
        ("$(", ")"),
        ("\"$(", ")\""),
        ("${a:-", "}"),
        ("if ", ""),
        ("case a in a) ", ""),
        ("a() ", ""),
        ("$((", "))"),
        ("a=(", ")"),
        ("`", ""),
        ("\\", ""),
        ("sh -c \"", "\""),
        ("! ", "a"),
    ] {
        for text in [
            opens.repeat(100_000),
            format!("{}a{}", opens.repeat(100_000), closes.repeat(100_000)),
        ] {
            read(&[&text]);
        }
    }
    let nested = |depth: usize| format!("{}a{}", "( ".repeat(depth), " )".repeat(depth));
    assert_eq!(message(&[&nested(super::MAX_DEPTH)]), None);
    let (_, _, said) = message(&[&nested(super::MAX_DEPTH + 1)]).expect("refused");
    assert_eq!(said, "it is nested more than 100 levels deep");
}

/// Whether a shell that runs nothing takes a program.
fn shell_takes(shell: &str, program: &str) -> Option<bool> {
    let mut command = Command::new(shell);
    command.args(["-n", "-c", program]).stdin(Stdio::null());
    let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.ok().map(|status| status.success())
}

const TOKENS: &[&str] = &[
    "a",
    "a",
    "a",
    "'a b'",
    "\"$(a)\"",
    "$((1))",
    "${a:-b}",
    "`a`",
    "if",
    "then",
    "else",
    "fi",
    "for",
    "in",
    "do",
    "done",
    "while",
    "case",
    "esac",
    "{",
    "}",
    "(",
    ")",
    ";",
    ";",
    "&",
    "&&",
    "||",
    "|",
    ";;",
    "\n",
    "\n",
    "!",
    "> f",
    "2>&1",
    "<<E\nx\nE\n",
    "# c\n",
    "\\\n",
    "f()",
    "x=1",
    "$(",
    "\"",
    "'",
    "${",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_program_is_whole_where_a_shell_takes_it(words in prop::collection::vec(prop::sample::select(TOKENS), 1..14)) {
        let program = words.join(" ");
        let found = read(&[&program]);
        // Both shells are the host's: one that is not there has no say.
        let shells: Vec<bool> = ["dash", "bash"].iter().filter_map(|shell| shell_takes(shell, &program)).collect();
        let taken = found.fault.is_none();
        // A backslash at the very end, and a here-document without its end, are taken by shells and not here.
        if taken {
            prop_assert!(shells.is_empty() || shells.contains(&true), "{program:?} is taken");
        } else if !shells.is_empty() && shells.iter().all(|taken| *taken) && !program.ends_with("\\\n") {
            prop_assert!(false, "{program:?} is refused: {:?}", found.fault);
        }
    }
}
