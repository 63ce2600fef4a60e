//! `cargo xtask structure`: circles of modules, and how long functions and files are.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use module_graph::{Function, Graph, functions};

use crate::project::Project;

/// Prints a line a crate, then the circles. Exit status 1 where there is one.
pub fn run(project: Project<'_>) -> Result<ExitCode> {
    println!(
        "{:<22} {:>7} {:>7} {:>9} {:>6} {:>4}  longest function, longest file",
        "crate", "modules", "circles", "functions", "median", "p90"
    );
    let mut circles = vec![];
    for (name, directory) in project.workspace()?.members() {
        let code = directory.join("src");
        let graph = Graph::of_member(&name.replace('-', "_"), &code)?;
        let found = graph.circles();
        let lengths = Lengths::of(&graph, &code)?;
        println!(
            "{name:<22} {:>7} {:>7} {lengths}",
            graph.uses().len(),
            found.len()
        );
        circles.extend(found);
    }
    for circle in &circles {
        println!("a circle: {}", circle.join(", "));
    }
    Ok(match circles.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Lengths in lines.
struct Lengths {
    /// In order.
    functions: Vec<usize>,
    longest: Option<(String, Function)>,
    file: (String, usize),
}

impl Lengths {
    fn of(graph: &Graph, code: &Path) -> Result<Self> {
        let mut found = Self {
            functions: vec![],
            longest: None,
            file: (String::new(), 0),
        };
        let files: Vec<PathBuf> = graph.files().map(Path::to_owned).collect();
        for file in files {
            let text = fs_err::read_to_string(&file)?;
            let name = file.strip_prefix(code).context("a file of the crate")?;
            let name = name.display().to_string();
            for function in functions(&text) {
                found.functions.push(function.lines);
                let longest = found.longest.as_ref().map_or(0, |(_, it)| it.lines);
                if function.lines > longest {
                    found.longest = Some((name.clone(), function));
                }
            }
            let lines = text.lines().count();
            if lines > found.file.1 {
                found.file = (name, lines);
            }
        }
        found.functions.sort_unstable();
        Ok(found)
    }

    /// The length that this part of the functions does not exceed.
    fn part(&self, tenths: usize) -> usize {
        let last = self.functions.len().saturating_sub(1);
        let at = (last * tenths).div_ceil(10);
        self.functions.get(at).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Lengths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (count, median, most) = (self.functions.len(), self.part(5), self.part(9));
        write!(f, "{count:>9} {median:>6} {most:>4}  ")?;
        if let Some((file, function)) = &self.longest {
            let Function { name, line, lines } = function;
            write!(f, "{lines} {name} ({file}:{line}), ")?;
        }
        write!(f, "{} {}", self.file.1, self.file.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Lengths;

    #[test]
    fn parts_are_of_functions_that_are_there() {
        let of = |functions: Vec<usize>| {
            let lengths = Lengths {
                functions,
                longest: None,
                file: (String::new(), 0),
            };
            (lengths.part(5), lengths.part(9))
        };
        assert_eq!(of(vec![]), (0, 0));
        assert_eq!(of(vec![7]), (7, 7));
        assert_eq!(of((1..=11).collect()), (6, 10));
    }
}
