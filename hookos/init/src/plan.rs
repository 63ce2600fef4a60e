//! The order of the boot and shutdown steps: PID 1's own ones and the tree's scripts.
//!
//! LinuxKit's init runs the files of /etc/init.d (/etc/shutdown.d) by name;
//! its images link 005-volumes, 010-onboot, 020-containerd (010-onshutdown) to
//! one program. Here those names are PID 1's own, whether the links are there
//! or not, and other files of an init image keep their place among them.
//! 001-modules, which a kernel's image has for an init that is not this one, is
//! left out: its modules are loaded with those of the devices, before all steps.

use std::fs;
use std::path::{Path, PathBuf};

use crate::modules::PROGRAM;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Volumes are mounted.
    Volumes,
    /// Onboot containers run one after another.
    Onboot,
    /// Services are started.
    Services,
    /// Onshutdown containers run one after another.
    Onshutdown,
    /// A program of the tree is run to its end.
    Program(PathBuf),
}

/// Steps of the boot, with names that sort among the tree's own.
const BOOT: &[(&str, Step)] = &[
    ("005-volumes", Step::Volumes),
    ("010-onboot", Step::Onboot),
    ("020-containerd", Step::Services),
];
const SHUTDOWN: &[(&str, Step)] = &[("010-onshutdown", Step::Onshutdown)];

/// Steps of the boot, of /etc/init.d or another folder.
#[must_use]
pub fn boot(programs: &Path) -> Vec<Step> {
    merged(BOOT, programs)
}

/// Steps of the shutdown, of /etc/shutdown.d or another folder.
#[must_use]
pub fn shutdown(programs: &Path) -> Vec<Step> {
    merged(SHUTDOWN, programs)
}

fn merged(own: &[(&str, Step)], programs: &Path) -> Vec<Step> {
    let mut steps: Vec<(String, Step)> = own
        .iter()
        .map(|(name, step)| ((*name).to_owned(), step.clone()))
        .collect();
    for entry in fs::read_dir(programs).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_own = name == PROGRAM || own.iter().any(|(own, _)| *own == name);
        if !is_own && entry.path().is_file() {
            steps.push((name, Step::Program(entry.path())));
        }
    }
    steps.sort_by(|a, b| a.0.cmp(&b.0));
    steps.into_iter().map(|(_, step)| step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_without_programs_has_the_own_steps_in_order() {
        let steps = boot(Path::new("/does/not/exist"));
        assert_eq!(steps, [Step::Volumes, Step::Onboot, Step::Services]);
    }

    #[test]
    fn programs_keep_their_place_and_own_names_are_not_run_twice() {
        let root = tempfile::tempdir().unwrap();
        for name in ["000-first", "001-modules", "005-volumes", "015-between"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        let program = |name: &str| Step::Program(root.path().join(name));
        assert_eq!(
            boot(root.path()),
            [
                program("000-first"),
                Step::Volumes,
                Step::Onboot,
                program("015-between"),
                Step::Services
            ]
        );
    }
}
