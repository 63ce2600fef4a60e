//! The test harness, a program of its own: unlike this one it needs system libraries.

use std::path::PathBuf;

use anyhow::Result;

use crate::cargo;
use crate::project::Project;

/// Compiles `vm-tests`; the program.
pub fn build(project: Project<'_>) -> Result<PathBuf> {
    let (root, cancel) = (project.root, project.cancel);
    let arguments = ["--package", "vm-tests"];
    cargo::build_program(root, cancel, "test harness", "vm-tests", &arguments)
}
