//! A scenario: which machine is built, what is done with it, how long it may take.

mod accelerator;
mod aspect;
mod budgets;
mod by_hand;
mod check_list;
mod collect;
mod context;
mod cycle;
mod cycles;
mod deadline;
mod definition;
mod disk_content;
mod failure;
mod firmware_refuses;
mod guard;
mod installed;
mod installer;
mod joining;
mod machine;
mod machine_definition;
mod make_stick;
mod moments;
mod node;
mod offline;
mod one_machine;
mod outside;
mod power_cuts;
mod reaching;
mod ready;
mod registry;
mod request;
mod run;
mod service;
mod session;
mod several;
mod step;
mod steps;
mod stick;
mod turns;
mod user_login;
mod verify;
mod workstation;

pub use budgets::Budgets;
pub use by_hand::by_hand;
pub use context::RunOptions;
pub use definition::{ScenarioError, ScenarioFile, schema};
pub use failure::{Failure, Seen};
pub use guard::Guard;
pub use machine_definition::{
    Attempt, DiskContent, DiskDefinition, ForeignEntry, MachineDefinition, StickDefinition,
    Workstation,
};
pub use one_machine::Scenario;
pub use request::machines_of;
pub use run::run;
pub use step::{Delay, Disturbed, OnMachine, PowerCuts, Refusal, Step, Timed};
pub use stick::{Damage, OnStick};
