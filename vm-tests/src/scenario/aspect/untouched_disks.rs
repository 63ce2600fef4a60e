//! The disks that nobody may have touched: all but the one that is installed to.

use anyhow::Result;

use super::hooks::{Aspect, Subject};
use crate::evidence::Check;

/// Disks besides the target.
pub(super) struct UntouchedDisks;

impl Aspect for UntouchedDisks {
    fn powered_off(&self, subject: &Subject<'_>, _finished: bool) -> Result<Vec<Check>> {
        let changed = subject.hardware.changed()?;
        Ok(vec![untouched(&changed, subject.scenario.target())])
    }
}

fn untouched(changed: &[&str], target: Option<&str>) -> Check {
    let wrong: Vec<&str> = changed
        .iter()
        .copied()
        .filter(|name| Some(*name) != target)
        .collect();
    Check::same(
        "machine/disks",
        match target {
            Some(name) => format!("no byte of a disk but `{name}` was changed"),
            None => "no byte of any disk was changed".to_owned(),
        },
        "none changed",
        match wrong.is_empty() {
            true => "none changed".to_owned(),
            false => format!("changed: {}", wrong.join(", ")),
        },
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::made::{Made, results};
    use super::*;

    #[test]
    fn a_byte_on_another_disk_fails_also_a_run_that_ended_early() {
        let made = Made::new(|_| {});
        let write = |name: &str| {
            let disk = made.hardware.disk(name).unwrap();
            let mut file = fs_err::OpenOptions::new()
                .write(true)
                .open(&disk.file)
                .unwrap();
            file.write_all(b"x").unwrap();
        };
        write("target");
        assert_eq!(
            results(&made.off(&UntouchedDisks, true)),
            [("machine/disks", true)]
        );
        write("data");
        for finished in [true, false] {
            assert_eq!(
                results(&made.off(&UntouchedDisks, finished)),
                [("machine/disks", false)]
            );
        }
    }

    #[test]
    fn only_the_target_may_change() {
        assert!(untouched(&["target"], Some("target")).passed);
        assert!(!untouched(&["target", "data"], Some("target")).passed);
        assert!(!untouched(&["target"], None).passed);
        assert!(untouched(&[], None).passed);
    }
}
