//! Stage `workstation`: a Debian machine on which scenarios run `bootable-usb-prepare.sh` as users do.

use std::time::Duration;

use anyhow::Result;

use super::debian_machine::{Inputs, Machine};
use crate::stage::{Recipe, Request, Stage, Work};

/// Name of the disk in the stage's output.
pub const IMAGE: &str = "workstation.raw";
/// The locked versions of its packages.
pub const LOCK: &str = "vm-tests/reference/workstation/packages.lock";

/// The stage.
pub const STAGE: Stage = Stage::of::<Workstation>();

const MACHINE: Machine = Machine {
    name: Workstation::NAME,
    lock: LOCK,
    image: IMAGE,
};

/// How the machine's disk is made.
pub struct Workstation;

impl Recipe for Workstation {
    type Inputs = Inputs;
    const NAME: &'static str = "workstation";
    const SUMMARY: &'static str = "workstation.raw: a Debian machine that makes sticks, for scenarios of bootable-usb-prepare.sh";
    const MODULE: &'static str = module_path!();
    const USUAL: Duration = Duration::from_secs(240);

    fn inputs(request: &Request<'_>) -> Result<Inputs> {
        MACHINE.inputs(request)
    }

    fn build(inputs: Inputs, work: &Work) -> Result<()> {
        MACHINE.build(&inputs, work)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_workstation_has_the_packages_that_the_readme_asks_for_and_no_other_of_its_tools()
    -> Result<()> {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let readme = fs_err::read_to_string(root.join("hookos/installer/usb/README"))?;
        let needed = readme
            .lines()
            .find_map(|line| line.strip_prefix("Needed on Debian or Ubuntu: "))
            .context("the README tells what is needed")?;
        let list =
            fs_err::read_to_string(root.join("vm-tests/reference/workstation/packages.txt"))?;
        let first_group: Vec<&str> = list
            .split("\n\n")
            .nth(1)
            .context("the second paragraph is the README's list")?
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert_eq!(first_group, needed.split_whitespace().collect::<Vec<_>>());
        Ok(())
    }
}
