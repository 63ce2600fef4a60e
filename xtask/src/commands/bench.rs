//! `cargo xtask bench`: measures what the project promises in figures, and compares.

mod bootstrapper;
mod fetch;
mod hookos;
mod inputs;
mod install;
mod measure;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::project::Project;

/// What `bench` takes.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Print the figures as JSON on standard output
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum What {
    /// cluster-bootstrapper: time and memory of whole processes, size of the static binary
    Bootstrapper(bootstrapper::Arguments),
    /// HookOS: time and memory of cold builds and of builds after an edit, size of the initrd, time of its boot
    Hookos(hookos::Arguments),
    /// Fetching an artifact from loopback over HTTPS: time beside curl's, memory
    Fetch(fetch::Arguments),
    /// The installation in a VM: its time, the bytes that it writes, its rate beside a plain dd
    Install(install::Arguments),
}

/// Measures, prints, and ends with 1 when a figure misses its target.
pub fn run(project: Project<'_>, arguments: &Arguments) -> Result<ExitCode> {
    let figures = match &arguments.what {
        What::Bootstrapper(of) => bootstrapper::run(project, of)?,
        What::Hookos(of) => hookos::run(project, of)?,
        What::Fetch(of) => fetch::run(project, of)?,
        What::Install(of) => install::run(project, of)?,
    };
    if arguments.json {
        println!("{:#}", serde_json::json!({ "figures": figures }));
    } else {
        print!("{}", table(&figures));
    }
    Ok(if figures.iter().all(Figure::met) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Unit {
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Mebibytes.
    #[serde(rename = "MiB")]
    Mebibytes,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// One quantity divided by another.
    #[serde(rename = "ratio")]
    Ratio,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Mebibytes => format!("{value:.1} MiB"),
            Self::Seconds => format!("{value:.1} s"),
            Self::Ratio => format!("{value:.3}"),
        }
    }
}

/// A promised figure and what was measured.
#[derive(Debug, Serialize)]
struct Figure {
    /// What is measured.
    name: String,
    /// Unit of all numbers here.
    unit: Unit,
    /// The median must be below this.
    target: f64,
    /// Median of the runs.
    median: f64,
    /// Least of the runs.
    min: f64,
    /// Of a time: least processor time of the runs, which other work on the machine does not lengthen as much.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<f64>,
    /// Number of runs.
    runs: usize,
    /// Whether the median is below the target.
    met: bool,
}

impl Figure {
    /// The figure of `samples`, which are not empty.
    fn new(name: impl Into<String>, unit: Unit, target: f64, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let middle = samples.len() / 2;
        let median = if samples.len() % 2 == 1 {
            samples[middle]
        } else {
            f64::midpoint(samples[middle - 1], samples[middle])
        };
        Self {
            name: name.into(),
            unit,
            target,
            median,
            min: samples[0],
            cpu: None,
            runs: samples.len(),
            met: median < target,
        }
    }

    /// Adds the processor time of the runs that were measured.
    fn with_cpu(self, samples: impl Iterator<Item = f64>) -> Self {
        let cpu = samples.min_by(f64::total_cmp);
        Self { cpu, ..self }
    }

    fn met(&self) -> bool {
        self.met
    }
}

fn table(figures: &[Figure]) -> String {
    let width = figures.iter().map(|f| f.name.len()).max().unwrap_or(0);
    let mut out = format!(
        "{:<width$} {:>12} {:>12} {:>12} {:>12} {:>5}\n",
        "figure", "target", "median", "min", "least cpu", "runs"
    );
    for figure in figures {
        let show = |value| figure.unit.show(value);
        out.push_str(&format!(
            "{:<width$} {:>12} {:>12} {:>12} {:>12} {:>5}  {}\n",
            figure.name,
            format!("< {}", show(figure.target)),
            show(figure.median),
            show(figure.min),
            figure.cpu.map_or(String::new(), show),
            figure.runs,
            if figure.met { "ok" } else { "MISSED" }
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_runs_is_between_the_middle_two() {
        let figure = Figure::new("x", Unit::Milliseconds, 3.0, vec![4.0, 1.0, 2.0, 100.0]);
        assert_eq!((figure.median, figure.min, figure.runs), (3.0, 1.0, 4));
        assert!(!figure.met, "a figure at its target misses it");
    }

    #[test]
    fn the_table_says_which_figure_misses_its_target() {
        let figures = [
            Figure::new("time", Unit::Milliseconds, 5.0, vec![2.0]),
            Figure::new("size", Unit::Mebibytes, 6.0, vec![7.0]),
        ];
        let text = table(&figures);
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[1].starts_with("time") && lines[1].ends_with("ok"),
            "{text}"
        );
        assert!(
            lines[2].starts_with("size") && lines[2].ends_with("MISSED"),
            "{text}"
        );
    }
}
