//! Stage `registry`: a Debian machine with a container registry, from which nodes of scenarios pull.

use std::time::Duration;

use anyhow::Result;

use super::debian_machine::{Inputs, Machine};
use crate::stage::{Recipe, Request, Stage, Work};

/// Name of the disk in the stage's output.
pub const IMAGE: &str = "registry.raw";
/// The locked versions of its packages.
pub const LOCK: &str = "vm-tests/reference/registry/packages.lock";

/// The stage.
pub const STAGE: Stage = Stage::of::<Registry>();

const MACHINE: Machine = Machine {
    name: Registry::NAME,
    lock: LOCK,
    image: IMAGE,
};

/// How the machine's disk is made.
pub struct Registry;

impl Recipe for Registry {
    type Inputs = Inputs;
    const NAME: &'static str = "registry";
    const SUMMARY: &'static str = "registry.raw: a Debian machine with a container registry, for scenarios of registry mirrors";
    const MODULE: &'static str = module_path!();
    const USUAL: Duration = Duration::from_secs(240);

    fn inputs(request: &Request<'_>) -> Result<Inputs> {
        MACHINE.inputs(request)
    }

    fn build(inputs: Inputs, work: &Work) -> Result<()> {
        MACHINE.build(&inputs, work)
    }
}
