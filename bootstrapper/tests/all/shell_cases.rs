//! The commands of the first boot beside the same commands as cluster-api-k3s has cloud-init run them: joined by line
//! breaks, the installation behind them, in one sh. Both leave the same files behind, or the list is refused.

use crate::support::with;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const CASES: &str = include_str!("../shell/cases.json");
/// What stands for the installation.
const INSTALL: &str = "echo installed > \"$D/installed\"";
/// Lists that are no whole program, or that take the installation into one.
const REFUSED: &[&str] = &[
    "and-in-the-last",
    "backslash-in-the-last",
    "carriage-returns",
    "heredoc-without-end",
    "pipe-in-the-last",
    "quote-in-the-last",
    "syntax-error",
    "unclosed-group",
    "unexpected-fi",
];

fn cases() -> BTreeMap<String, Vec<String>> {
    let file: serde_json::Value = serde_json::from_str(CASES).expect("JSON");
    serde_json::from_value(file["cases"].clone()).expect("lists of strings")
}

/// The script of the first boot, or `None` where the list is refused.
fn script(commands: &[String]) -> Option<String> {
    let list = serde_json::to_string(commands).expect("JSON");
    let config = with("", &format!("{{preK3sCommands: {list}}}")).config?;
    let script = config.first_boot().expect("decoded").commands.join("\n");
    Some(script.replace("sh /etc/rancher/emts/install-k3s.sh", INSTALL))
}

/// Runs a script as cloud-init does, from a file, and gives the files that it leaves and its exit status.
fn run(script: &str) -> (BTreeMap<String, String>, bool) {
    let folder = tempfile::tempdir().expect("temporary directory");
    let files = folder.path().join("files");
    fs::create_dir(&files).expect("directory");
    let path = folder.path().join("runcmd");
    let state = folder.path().join("state").display().to_string();
    fs::write(&path, script.replace("/var/lib/emts", &state) + "\n").expect("written");
    let mut command = Command::new("sh");
    let done = command.arg(&path).env("D", &files).output().expect("sh");
    (read_all(&files), done.status.success())
}

fn read_all(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).expect("directory");
    let entries = entries.map(|entry| entry.expect("entry"));
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(entry.path()).expect("text");
        // What the shell itself says there has line numbers.
        (
            name.clone(),
            if name == "log" { String::new() } else { text },
        )
    };
    entries.map(read).collect()
}

#[test]
fn commands_do_what_they_do_joined_in_one_shell() {
    for (name, commands) in cases() {
        let Some(script) = script(&commands) else {
            assert!(REFUSED.contains(&name.as_str()), "{name} is refused");
            continue;
        };
        let joined = commands.join("\n") + "\n" + INSTALL;
        assert_eq!(run(&script).0, run(&joined).0, "{name}");
    }
}

#[test]
fn what_is_no_whole_program_is_refused_at_the_command_where_it_began() {
    let cases = cases();
    for name in REFUSED {
        let list = serde_json::to_string(&cases[*name]).expect("JSON");
        let parsed = with("", &format!("{{preK3sCommands: {list}}}"));
        let errors = parsed
            .diagnostics
            .iter()
            .filter(|d| d.code.as_str() == "shell-syntax");
        let found: Vec<&str> = errors.map(|error| error.pointer.as_str()).collect();
        let index = match *name {
            "syntax-error" | "unexpected-fi" => 1,
            _ => 0,
        };
        let list = "/kubernetes/spec/template/spec/preK3sCommands";
        assert_eq!(found, [format!("{list}/{index}")], "{name}");
    }
}

#[test]
fn a_command_that_goes_on_in_the_next_fails_the_first_boot_by_its_last_status_alone() {
    for (commands, fails) in [
        (&["if false; then", "a", "else", "true", "fi"][..], false),
        (
            &["test -e /nonexistent", "if [ $? -ne 0 ]; then true; fi"],
            false,
        ),
        (&["false ||", "true"], false),
        (&["false &&", "true"], true),
        (&["true |", "false"], true),
        (&["cat > /dev/null <<E", "false", "E"], false),
        (&["false", "# only a comment"], true),
        (&["(exit 3)", "true"], true),
    ] {
        let commands: Vec<String> = commands.iter().map(|text| (*text).to_owned()).collect();
        let script = script(&commands).expect("accepted");
        assert_eq!(run(&script).1, !fails, "{commands:?}");
    }
}

#[test]
fn a_failure_is_told_with_all_commands_that_it_spans() {
    let commands = ["false &&", "true", "false"].map(str::to_owned);
    let script = script(&commands).expect("accepted");
    let checks: Vec<&str> = script
        .lines()
        .filter(|line| line.starts_with("emts_check '"))
        .collect();
    assert_eq!(
        checks[..2],
        [
            "emts_check 'preK3sCommands[0] to [1]' && :",
            "emts_check 'preK3sCommands[2]' && :"
        ]
    );
}

#[test]
fn a_command_that_restarts_the_machine_is_refused() {
    for command in [
        "reboot",
        "sync; systemctl reboot",
        "[ -e /x ] || shutdown -r now",
    ] {
        for (os, spec) in [
            (format!("  runCommands: ['{command}']\n"), "{}".to_owned()),
            (String::new(), format!("{{preK3sCommands: ['{command}']}}")),
            (String::new(), format!("{{postK3sCommands: ['{command}']}}")),
        ] {
            let parsed = with(&os, &spec);
            let codes: Vec<_> = parsed.diagnostics.iter().map(|d| d.code.as_str()).collect();
            assert!(
                codes.contains(&"restart-in-command") && parsed.has_errors(),
                "{os}{spec}"
            );
        }
    }
    assert!(
        with("", "{preK3sCommands: ['echo reboot']}")
            .config
            .is_some()
    );
}

#[test]
fn a_command_that_ends_the_shell_or_is_of_bash_gets_a_warning() {
    for (command, code) in [("exit 0", "ends-shell"), ("[[ -e /x ]]", "bash-syntax")] {
        let parsed = with("", &format!("{{preK3sCommands: ['{command}']}}"));
        let codes: Vec<_> = parsed.diagnostics.iter().map(|d| d.code.as_str()).collect();
        assert!(
            codes.contains(&code) && !parsed.has_errors(),
            "{command}: {codes:?}"
        );
    }
}
