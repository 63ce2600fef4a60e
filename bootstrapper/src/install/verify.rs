//! What programs of the OS image say of files that the user gives for them: a broken one in sudoers takes sudo away, in
//! sshd's configuration all logins, and a unit that does not load is not started.

use super::InstallError;
use super::draft::Draft;
use super::plan::{Check, Given};
use super::target::{Outcome, Program, Staged};
use super::units;
use crate::distribution::BootFile;
use crate::model::OperatingSystem;
use std::path::Path;

const VISUDO: &str = "/usr/sbin/visudo";
const SSHD: &str = "/usr/sbin/sshd";
const SYSTEMD_ANALYZE: &str = "/usr/bin/systemd-analyze";

/// Kinds of units that are files (systemd.unit(5)).
const UNITS: &[&str] = &[
    "automount",
    "mount",
    "path",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
];
/// What is no fault of the file: programs, units and host keys may come with the first boot, and what sshd runs in is the
/// image's.
const NOT_OF_THE_FILE: &[&str] = &[
    " is not executable: ",
    " not found.",
    "no hostkeys available",
    "rivilege separation",
];
/// What systemd leaves out of a unit that it loads. A value follows, which may be a secret.
const IGNORED: &str = ", ignoring";
/// Most lines of a program that are shown.
const SHOWN: usize = 3;

/// Plans the checks of the files that are written now and of those that the first boot writes.
pub(super) fn plan(
    os: &OperatingSystem,
    later: &[BootFile],
    draft: &mut Draft<'_>,
) -> Result<(), InstallError> {
    for (index, file) in os.write_files.iter().enumerate() {
        let key = format!("operatingSystem.writeFiles[{index}]");
        check(key, file.path.as_str(), draft)?;
    }
    for (index, file) in later.iter().enumerate() {
        let root = ["/etc/sudoers.d/", "/etc/ssh/", "/etc/systemd/system/"]
            .into_iter()
            .find(|root| file.path.starts_with(root));
        if let Some(root) = root
            && draft.exists(root.trim_end_matches('/'))?
        {
            let staged = (file.path.clone(), file.bytes.clone());
            draft.plan().staged.0.push(staged);
            check(format!("files[{index}]"), &file.path, draft)?;
        }
    }
    Ok(())
}

fn check(key: String, path: &str, draft: &mut Draft<'_>) -> Result<(), InstallError> {
    let Some(program) = program_for(path, draft)? else {
        return Ok(());
    };
    if !draft.exists(program.path)? {
        return Ok(());
    }
    let path = path.to_owned();
    let given = Given { key, path };
    let checks = &mut draft.plan().checks;
    match checks.iter_mut().find(|check| check.program == program) {
        Some(check) => check.files.push(given),
        None => checks.push(Check {
            files: vec![given],
            program,
        }),
    }
    Ok(())
}

/// The program that reads a file, and how it is asked about it.
fn program_for(path: &str, draft: &Draft<'_>) -> Result<Option<Program>, InstallError> {
    let (directory, name) = path.rsplit_once('/').unwrap_or_default();
    let ask = |path, arguments: &[&str]| {
        let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
        Some(Program { path, arguments })
    };
    let verify = |unit: &str| ask(SYSTEMD_ANALYZE, &["verify", "--man=no", unit]);
    Ok(match directory {
        // sudo reads no other names (sudoers(5), "Including other files").
        "/etc/sudoers.d" if name.contains('.') || name.ends_with('~') => None,
        "/etc/sudoers.d" => ask(VISUDO, &["-c", "-f", path]),
        "/etc" if name == "sudoers" => ask(VISUDO, &["-c", "-f", path]),
        "/etc/ssh" if name == "sshd_config" => ask(SSHD, &["-t"]),
        "/etc/ssh/sshd_config.d" if name.ends_with(".conf") => ask(SSHD, &["-t"]),
        units::SYSTEM if is_unit(name) => verify(path),
        _ => match directory.strip_prefix(units::SYSTEM) {
            Some(rest) if name.ends_with(".conf") => {
                let unit = rest.trim_start_matches('/').strip_suffix(".d");
                let unit = unit.filter(|unit| is_unit(unit));
                match unit {
                    Some(unit) if units::is_there(unit, draft)? => verify(unit),
                    _ => None,
                }
            }
            _ => None,
        },
    })
}

fn is_unit(name: &str) -> bool {
    let kind = name.rsplit_once('.').map(|(_, kind)| kind);
    kind.is_some_and(|kind| UNITS.contains(&kind))
}

impl Check {
    /// Asks; what is no refusal is returned.
    pub(super) fn run(&self, root: &Path, staged: &Staged) -> Result<Vec<String>, InstallError> {
        match self.program.run(root, staged) {
            Outcome::Done(said) => Ok(self.warnings(&said)),
            Outcome::Failed(said) if self.is_refusal(&said) => Err(self.refusal(&said)),
            Outcome::Failed(said) if self.is_named_in(&said) => Ok(self.warnings(&said)),
            Outcome::Failed(why) | Outcome::NotRun(why) => {
                let all: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
                let (all, program) = (all.join(", "), self.program.path);
                let why = why.lines().next().unwrap_or("it does not say why");
                Ok(vec![format!("{all} not checked by {program}: {why}")])
            }
        }
    }

    fn is_named_in(&self, text: &str) -> bool {
        self.files.iter().any(|file| file.is_named_in(text))
    }

    /// Whether a program that failed did so for a file. sshd does not name the one that has a wrong host key.
    fn is_refusal(&self, said: &str) -> bool {
        let counts = |line: &&str| {
            let of_the_file = !NOT_OF_THE_FILE.iter().any(|other| line.contains(other));
            of_the_file && !line.contains(IGNORED)
        };
        let names = |line: &str| line.contains("host key") || self.is_named_in(line);
        said.lines().filter(counts).any(names)
    }

    fn warnings(&self, said: &str) -> Vec<String> {
        let lines = said.lines().filter(|line| !line.ends_with("parsed OK"));
        let mut warnings = vec![];
        for line in lines {
            if let Some(file) = self.files.iter().find(|file| file.is_named_in(line)) {
                warnings.push(format!("{}: {}", file.key, shown(line)));
            }
        }
        warnings.truncate(SHOWN);
        warnings
    }

    fn refusal(&self, said: &str) -> InstallError {
        let named = self.files.iter().find(|file| file.is_named_in(said));
        let file = named.unwrap_or(&self.files[0]);
        let mut lines: Vec<&str> = said.lines().filter(|line| file.is_named_in(line)).collect();
        if lines.is_empty() {
            lines = said.lines().collect();
        }
        let lines: Vec<&str> = lines.into_iter().take(SHOWN).map(shown).collect();
        InstallError::Refused {
            key: file.key.clone(),
            path: file.path.clone(),
            program: self.program.path,
            said: lines.join("; "),
        }
    }
}

impl Given {
    fn is_named_in(&self, text: &str) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        text.contains(&self.path) || text.contains(name)
    }
}

/// A line without the value at its end.
fn shown(line: &str) -> &str {
    match line.find(IGNORED) {
        Some(at) => &line[..at + IGNORED.len()],
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(program: &'static str, paths: &[&str]) -> Check {
        let given = |(index, path): (usize, &&str)| Given {
            key: format!("files[{index}]"),
            path: (*path).to_owned(),
        };
        Check {
            files: paths.iter().enumerate().map(given).collect(),
            program: Program {
                path: program,
                arguments: vec![],
            },
        }
    }

    fn unit(name: &str) -> Check {
        let path = format!("/etc/systemd/system/{name}");
        check(SYSTEMD_ANALYZE, &[path.as_str()])
    }

    /// What systemd 252 says of such a unit.
    #[test]
    fn what_the_first_boot_brings_is_no_refusal() {
        let said = "b.service: Failed to create b.service/start: Unit k3s.service not found.\n\
                    b.service: Command /opt/none/run is not executable: No such file or directory";
        assert!(!unit("b.service").is_refusal(said));
    }

    #[test]
    fn what_the_image_lacks_is_no_refusal() {
        let check = check(SSHD, &["/etc/ssh/sshd_config.d/a.conf"]);
        for said in [
            "sshd: no hostkeys available -- exiting.",
            "Missing privilege separation directory: /run/sshd",
        ] {
            assert!(!check.is_refusal(said), "{said}");
        }
        assert!(!unit("b.service").is_refusal("Failed to setup working directory: No space left"));
    }

    #[test]
    fn a_host_key_that_is_not_there_is_a_refusal() {
        let check = check(SSHD, &["/etc/ssh/sshd_config.d/a.conf"]);
        let said = "Unable to load host key: /etc/x\nsshd: no hostkeys available -- exiting.";
        assert!(check.is_refusal(said));
        assert!(
            check
                .refusal(said)
                .to_string()
                .contains("Unable to load host key: /etc/x")
        );
    }

    #[test]
    fn a_unit_that_does_not_load_is_a_refusal() {
        let said = "/etc/systemd/system/app.service:3: Unknown key 'Typ' in section [Service], ignoring.\n\
             app.service: Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing.\n\
             Unit app.service has a bad unit file setting.";
        assert!(unit("app.service").is_refusal(said));
        let said = "/etc/systemd/system/app.service:1: Invalid section header '[Service'";
        assert!(unit("app.service").is_refusal(said));
    }

    #[test]
    fn a_value_that_systemd_ignores_is_not_shown() {
        let said = "/etc/systemd/system/e.service:5: Invalid syntax, ignoring: \"A=hunter2";
        assert_eq!(
            unit("e.service").warnings(said),
            ["files[0]: /etc/systemd/system/e.service:5: Invalid syntax, ignoring"]
        );
    }

    #[test]
    fn a_refusal_names_the_file_that_the_program_names() {
        let [a, b] = [
            "/etc/ssh/sshd_config.d/a.conf",
            "/etc/ssh/sshd_config.d/b.conf",
        ];
        let said = format!("{b} line 1: unsupported option \"sometimes\".");
        assert_eq!(
            check(SSHD, &[a, b]).refusal(&said).to_string(),
            format!("files[1]: {b}: /usr/sbin/sshd refuses it: {said}")
        );
    }
}
