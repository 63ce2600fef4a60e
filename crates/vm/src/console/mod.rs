//! The machine's serial consoles: followed while they grow, their lines kept,
//! the installer's markers and signs of trouble picked out.

mod badness;
mod marker;
mod watch;

pub use badness::{
    BADNESS, Badness, BadnessPattern, DISK_ERROR, FILE_SYSTEM_ERROR, Gravity, NOTHING_TO_START,
    find_badness,
};
pub use marker::{Marker, MarkerState, STEPS};
pub use watch::{Console, ConsoleState, RefusedEntry};
