//! A scenario: which machine is built, what is done with it, how long it may take.

mod accelerator;
mod budgets;
mod collect;
mod deadline;
mod definition;
mod failure;
mod flow;
mod guard;
mod immutable;
mod installed;
mod installer;
mod machine;
mod moments;
mod offline;
mod outcome;
mod power_cuts;
mod ready;
mod run;
mod secure_boot;
mod service;
mod step;
mod stick;
mod user_login;
mod verify;
mod workstation;

pub use budgets::Budgets;
pub use definition::{
    DiskContent, DiskDefinition, ForeignEntry, MachineDefinition, OsImage, Scenario, ScenarioError,
    StickDefinition,
};
pub use failure::{Failure, Seen};
pub use guard::Guard;
pub use run::{RunOptions, run};
pub use step::{PowerCuts, Refusal, Step};
pub use stick::{Damage, OnStick};
pub use workstation::{Attempt, Workstation, WorkstationParts};
