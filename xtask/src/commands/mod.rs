//! One file per command.

pub mod artifacts;
pub mod bench;
pub mod boot_order;
pub mod clean;
pub mod dev;
pub mod e2e;
pub mod hookos;
pub mod scenarios;
pub mod setup;
pub mod side_by_side;
pub mod stages;
pub mod structure;
pub mod test;
