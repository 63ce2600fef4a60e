//! YAML read with the place of every value, and reports of what is wrong with it: collected, shown to people with the
//! line at fault, and written for programs. It knows nothing of any one format; those who use it say what is wanted.

pub mod code;
#[cfg(feature = "decode")]
pub mod decode;
pub mod diagnostic;
pub mod render;
pub mod report;
pub mod severity;
pub mod text;
pub mod yaml;
