//! A scenario: which machine is built, what is done with it, how long it may take.

mod accelerator;
mod budgets;
mod check_list;
mod collect;
mod context;
mod cycle;
mod deadline;
mod definition;
mod failure;
mod guard;
mod immutable;
mod installed;
mod installer;
mod machine;
mod make_stick;
mod moments;
mod node;
mod offline;
mod outcome;
mod power_cuts;
mod ready;
mod run;
mod secure_boot;
mod service;
mod session;
mod step;
mod steps;
mod stick;
mod user_login;
mod verify;
mod workstation;

pub use budgets::Budgets;
pub use context::{ListedChecks, RunOptions, WorkstationParts};
pub use definition::{
    Attempt, DiskContent, DiskDefinition, ForeignEntry, MachineDefinition, OsImage, Scenario,
    ScenarioError, StickDefinition, Workstation, schema,
};
pub use failure::{Failure, Seen};
pub use guard::Guard;
pub use run::run;
pub use step::{PowerCuts, Refusal, Step};
pub use stick::{Damage, OnStick};
