//! A scenario: which machine is built, what is done with it, how long it may take.

mod collect;
mod definition;
mod failure;
mod flow;
mod guard;
mod machine;
mod run;
mod verify;

pub use definition::{Budgets, DiskDefinition, Scenario, ScenarioError, Step};
pub use failure::{Failure, Seen};
pub use guard::Guard;
pub use run::{RunOptions, run};
