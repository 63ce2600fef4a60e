//! One page over all runs in a directory, with what became of the last ones of each scenario.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::{STYLE, render};
use crate::evidence::EvidenceError;
use crate::evidence::report::Report;

/// How many runs of a scenario are shown.
const SHOWN: usize = 10;

#[derive(Debug, Serialize)]
struct Page {
    style: &'static str,
    passed: usize,
    scenarios: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    directory: String,
    passed: bool,
    started: String,
    seconds: f64,
    why: String,
    /// The last ones, the oldest first.
    runs: Vec<Bar>,
}

#[derive(Debug, Serialize)]
struct Bar {
    passed: bool,
    started: String,
    seconds: f64,
    /// Of 10, in proportion to the longest of the scenario's runs.
    height: f64,
}

/// Writes `index.html` into the directory of all runs. Runs without a report are left out.
///
/// # Errors
/// The directory cannot be read, or the page cannot be written.
pub fn write_index(directory: &Path) -> Result<(), EvidenceError> {
    let mut scenarios: BTreeMap<String, Vec<(String, Report)>> = BTreeMap::new();
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        // `latest` is a link to one of the others.
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let text = fs_err::read(entry.path().join("report.json"));
        let report = text
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(report) = report {
            let name = entry.file_name().to_string_lossy().into_owned();
            let report: Report = report;
            let runs = scenarios.entry(report.scenario.clone()).or_default();
            runs.push((name, report));
        }
    }
    let rows: Vec<Row> = scenarios.into_values().filter_map(row).collect();
    let page = Page {
        style: STYLE,
        passed: rows.iter().filter(|row| row.passed).count(),
        scenarios: rows,
    };
    let page = render("index.html", include_str!("index.html"), &page)?;
    // Renamed into place: runs that end at the same time write it, too.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    std::io::Write::write_all(&mut file, page.as_bytes())?;
    file.persist(directory.join("index.html"))
        .map_err(|error| error.error)?;
    Ok(())
}

/// A scenario's row, from its runs with the names of their directories.
fn row(mut runs: Vec<(String, Report)>) -> Option<Row> {
    // A name begins with the time.
    runs.sort_by(|a, b| a.0.cmp(&b.0));
    let shown = &runs[runs.len().saturating_sub(SHOWN)..];
    let seconds = shown.iter().map(|(_, report)| report.seconds);
    let longest = seconds.fold(f64::EPSILON, f64::max);
    let bar = |(_, report): &(String, Report)| Bar {
        passed: report.passed,
        started: report.started.clone(),
        seconds: report.seconds,
        height: report.seconds / longest * 10.0,
    };
    let bars = shown.iter().map(bar).collect();
    let (directory, last) = runs.pop()?;
    Some(Row {
        name: last.scenario.clone(),
        directory,
        passed: last.passed,
        started: last.started.clone(),
        seconds: last.seconds,
        why: last.why().unwrap_or_default(),
        runs: bars,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::sample;
    use super::*;

    #[test]
    fn the_last_run_of_each_scenario_is_shown_with_those_before() {
        let directory = tempfile::tempdir().unwrap();
        for (name, passed) in [("20260102T0-sample", true), ("20260101T0-sample", false)] {
            let report = Report { passed, ..sample() };
            let run = directory.path().join(name);
            fs_err::create_dir(&run).unwrap();
            let text = serde_json::to_vec(&report).unwrap();
            fs_err::write(run.join("report.json"), text).unwrap();
        }
        fs_err::create_dir(directory.path().join("20260103T0-sample")).unwrap();
        std::os::unix::fs::symlink("20260102T0-sample", directory.path().join("latest")).unwrap();
        write_index(directory.path()).unwrap();
        let page = fs_err::read_to_string(directory.path().join("index.html")).unwrap();
        assert!(page.contains("1 of 1 passed"), "{page}");
        assert!(
            page.contains("href=\"20260102T0-sample/report.html\""),
            "{page}"
        );
        assert_eq!(page.matches("<rect").count(), 2);
        assert_eq!(page.matches("class=\"bad\" x=\"0\"").count(), 1);
    }
}
