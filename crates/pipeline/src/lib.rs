//! The build as stages, and the store of their outputs.
//!
//! A [stage](stage::Stage) says what it is made of; [`build::produce`] takes its output from the [store](store::Store) or
//! builds it. What a stage sees of the checkout and of the user's choices is what its inputs hold, and all that they hold
//! names the output; so does the [code](workspace::Workspace::code_of) that makes it.

pub mod build;
pub mod cache;
pub mod cancel;
pub mod choice;
pub mod digest;
pub mod group;
pub mod input;

pub mod linuxkit;
pub mod linuxkit_files;
pub mod not_run;
pub mod plan;
pub mod process;
pub mod progress;
pub mod signing;
pub mod stage;
pub mod stages;
pub mod store;
pub mod workspace;
