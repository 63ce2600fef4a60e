//! Commands that restart the machine or switch it off.

/// Programs that run another one: the options of each that take an argument.
const RUNNERS: &[(&str, &str)] = &[
    ("builtin", ""),
    ("busybox", ""),
    ("chroot", ""),
    ("command", ""),
    ("doas", "Cu"),
    ("env", "uCS"),
    ("exec", "a"),
    ("ionice", "cnpPu"),
    ("nice", "n"),
    ("nohup", ""),
    ("setsid", ""),
    ("stdbuf", "ioe"),
    ("sudo", "ughpCTUDR"),
    ("systemd-inhibit", ""),
    ("systemd-run", "pEHMut"),
    ("time", "fo"),
    ("timeout", "ks"),
];
/// Operations of systemctl and loginctl.
const OPERATIONS: &[&str] = &["reboot", "poweroff", "halt", "kexec", "soft-reboot"];
/// Units that do the same.
const TARGETS: &[&str] = &[
    "ctrl-alt-del.target",
    "halt.target",
    "kexec.target",
    "poweroff.target",
    "reboot.target",
    "runlevel0.target",
    "runlevel6.target",
    "shutdown.target",
    "soft-reboot.target",
];
/// A file that does it when it is written.
pub(super) const SYSRQ: &str = "/proc/sysrq-trigger";

/// The words of a command from the name of the program on, behind programs that run it. A word that an expansion makes is
/// empty.
pub(super) fn called<'a>(mut words: &'a [&'a str]) -> &'a [&'a str] {
    while let Some((name, rest)) = words.split_first() {
        let name = base_name(name);
        let first = name.as_bytes().first();
        let mut alike = RUNNERS
            .iter()
            .filter(|(runner, _)| runner.as_bytes().first() == first);
        let Some((runner, options)) = alike.find(|(runner, _)| *runner == name) else {
            break;
        };
        words = behind_options(runner, options, rest);
    }
    words
}

pub(super) fn base_name(path: &str) -> &str {
    path.rfind('/').map_or(path, |at| &path[at + 1..])
}

/// The words behind a runner's options and what else stands before the name of the program that it runs.
fn behind_options<'a>(runner: &str, options: &str, mut words: &'a [&'a str]) -> &'a [&'a str] {
    let mut operands = usize::from(matches!(runner, "timeout" | "chroot"));
    while let Some((word, rest)) = words.split_first() {
        let is_option = word.starts_with('-');
        let is_query = runner == "command" && ["-v", "-V"].contains(word);
        if is_query {
            return &[];
        }
        let is_assignment = ["env", "sudo", "doas"].contains(&runner) && word.contains('=');
        if !is_option && !is_assignment {
            if operands == 0 {
                return words;
            }
            operands -= 1;
        }
        let takes_one = word.len() == 2 && options.contains(&word[1..]) && is_option;
        words = match takes_one {
            true => rest.get(1..).unwrap_or_default(),
            false => rest,
        };
    }
    words
}

/// The name of what restarts the machine, when a command of these words does.
pub(super) fn restart(words: &[&str]) -> Option<&'static str> {
    let (name, arguments) = words.split_first()?;
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    let operands = || arguments.iter().filter(|word| !word.starts_with('-'));
    match base_name(name) {
        "tee" if has(&[SYSRQ]) => Some(SYSRQ),
        "reboot" | "poweroff" | "halt" | "shutdown"
            if has(&["--help", "-c", "-w", "--wtmp-only"]) =>
        {
            None
        }
        "reboot" => Some("reboot"),
        "poweroff" => Some("poweroff"),
        "halt" => Some("halt"),
        "shutdown" => Some("shutdown"),
        "kexec" if has(&["-e", "--exec"]) => Some("kexec"),
        "init" | "telinit" if has(&["0", "6"]) => Some("init"),
        "systemctl" | "loginctl" => {
            let verb =
                operands().find(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
            let starts = matches!(verb, Some(&"start" | &"restart" | &"isolate"));
            let found = OPERATIONS.iter().find(|name| verb == Some(*name));
            let target = || {
                TARGETS
                    .iter()
                    .find(|name| starts && arguments.contains(name))
            };
            found.or_else(target).copied()
        }
        _ => None,
    }
}
