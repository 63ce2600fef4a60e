//! What a run leaves behind: a folder with the report, the consoles, the screen,
//! the firmware's variables and the guest's own logs.

mod folder;
mod html;
mod junit;
mod report;

pub use folder::{Evidence, EvidenceError, new_run_folder};
pub use html::to_html;
pub use junit::to_junit;
pub use report::{Check, Installation, Outcome, Report, StageRecord, StepRecord};
