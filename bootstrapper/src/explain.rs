//! `explain`: what a code of the reports means.

use crate::{generated, print};
use anyhow::Result;
use clap::Args;
use cluster_bootstrapper::codes::page;
use cluster_bootstrapper::diagnostic::{Diagnostic, Severity};
use diagnostics::code::Entry;
use std::path::PathBuf;
use std::process::ExitCode;

/// What `explain` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The code, as it stands in brackets in a report; all are listed when it is left out.
    #[arg(value_name = "CODE", value_parser = page::entry)]
    code: Option<&'static Entry>,
    /// Print all explanations as a page of Markdown.
    #[arg(long, conflicts_with = "code")]
    markdown: bool,
    /// Compare this file with the page instead; exit 1 when they differ.
    #[arg(long, value_name = "FILE", requires = "markdown")]
    check: Option<PathBuf>,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments.code {
        _ if arguments.markdown => {
            return generated("explain --markdown", &page::markdown(), arguments.check);
        }
        Some(entry) => print(&page::text(entry))?,
        None => print(&page::list())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The line that says where an error or warning of a report is explained; `None` of a report without.
pub fn hint(found: &[Diagnostic]) -> Option<String> {
    let of = |severity| found.iter().find(|d| d.severity == severity);
    let first = of(Severity::Error).or_else(|| of(Severity::Warning))?;
    let code = first.code;
    Some(format!(
        "For more about a code: cluster-bootstrapper explain {code}"
    ))
}
