//! What a run leaves behind: a folder with the report, the consoles, the screen,
//! the firmware's variables and the guest's own logs.

mod check;
mod folder;
mod junit;
mod page;
mod report;

pub use check::Check;
pub use folder::{Evidence, EvidenceError, new_run_folder};
pub use junit::to_junit;
pub use page::{ConsoleLine, to_html, write_index};
pub use report::{ConsoleLog, Installation, Outcome, Report, Screenshot, StepRecord};
