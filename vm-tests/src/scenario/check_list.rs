//! The list of a scenario's checks, `configs/scenarios/checks/<name>.txt`: a check that is no longer made fails the run
//! as one does that fails.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::evidence::Check;

/// Checks of the harness itself, which depend on the host: longer leases are for emulated machines.
const OF_THE_HARNESS: &str = "harness/";

/// Keys of checks, and how often each is made; where that differs from run to run, none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CheckList(BTreeMap<String, Option<usize>>);

impl CheckList {
    /// The list of what was checked.
    pub fn of(checks: &[Check], counted: bool) -> Self {
        let mut list = BTreeMap::new();
        for check in checks {
            // Before it stands the machine's name, where there are several.
            let key = check
                .key
                .split_once(':')
                .map_or(&*check.key, |(_, key)| key);
            if !key.starts_with(OF_THE_HARNESS) && !check.key.starts_with(OF_THE_HARNESS) {
                *list.entry(check.key.clone()).or_insert(0) += 1;
            }
        }
        let number = |(key, number)| (key, counted.then_some(number));
        Self(list.into_iter().map(number).collect())
    }

    /// Reads a list: a key a line, and behind a space how often it is checked.
    ///
    /// # Errors
    /// The file cannot be read, or has something else than a number.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(file)?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let list = lines.map(|line| match line.rsplit_once(' ') {
            None => Ok((line.to_owned(), None)),
            Some((key, number)) => {
                let number = number
                    .parse()
                    .with_context(|| format!("{}: `{line}` ends in no number", file.display()))?;
                Ok((key.to_owned(), Some(number)))
            }
        });
        Ok(Self(list.collect::<Result<_>>()?))
    }

    /// Whether all that this list has was checked, and nothing else.
    pub fn compare(&self, made: &[Check]) -> Check {
        let made = Self::of(made, true);
        let keys = self.0.keys().chain(made.0.keys());
        let mut keys: Vec<&String> = keys.collect();
        keys.sort();
        keys.dedup();
        let differences: Vec<String> = keys
            .into_iter()
            .filter_map(|key| {
                let (listed, made) = (self.0.get(key), made.0.get(key).copied().flatten());
                match (listed, made) {
                    (None, _) => Some(format!("{key} is not in the list")),
                    (Some(None), Some(_)) => None,
                    (Some(Some(wanted)), Some(made)) if *wanted == made => None,
                    (Some(wanted), made) => Some(format!(
                        "{key} was checked {} times instead of {}",
                        made.unwrap_or(0),
                        wanted.map_or_else(|| "at least once".to_owned(), |n| n.to_string())
                    )),
                }
            })
            .collect();
        Check {
            key: format!("{OF_THE_HARNESS}checks"),
            check: "the checks of the scenario's list were made, and no others (--bless writes it)"
                .into(),
            expected: "no difference".into(),
            passed: differences.is_empty(),
            actual: match differences.is_empty() {
                true => "no difference".to_owned(),
                false => differences.join("; "),
            },
        }
    }
}

impl fmt::Display for CheckList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# What the scenario checks, and how often: cargo xtask e2e --scenario NAME --bless"
        )?;
        for (key, number) in &self.0 {
            match number {
                Some(number) => writeln!(f, "{key} {number}")?,
                None => writeln!(f, "{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(keys: &[&str]) -> Vec<Check> {
        let check = |key: &&str| Check {
            key: (*key).to_owned(),
            check: String::new(),
            expected: String::new(),
            actual: String::new(),
            passed: true,
        };
        keys.iter().map(check).collect()
    }

    fn compared(list: &[&str], counted: bool, made: &[&str]) -> (bool, String) {
        let check = CheckList::of(&checks(list), counted).compare(&checks(made));
        (check.passed, check.actual)
    }

    #[test]
    fn a_check_that_is_not_made_or_not_listed_fails() {
        let fine = (true, "no difference".to_owned());
        assert_eq!(compared(&["a", "b", "b"], true, &["b", "a", "b"]), fine);
        let (passed, actual) = compared(&["a", "b", "b"], true, &["b", "c"]);
        assert!(!passed);
        assert_eq!(
            actual,
            "a was checked 0 times instead of 1; b was checked 1 times instead of 2; c is not in the list"
        );
    }

    #[test]
    fn without_a_number_once_is_enough() {
        assert!(compared(&["a"], false, &["a", "a"]).0);
        let (passed, actual) = compared(&["a"], false, &[]);
        assert!(!passed);
        assert_eq!(actual, "a was checked 0 times instead of at least once");
    }

    #[test]
    fn checks_of_the_harness_do_not_count() {
        assert!(compared(&["a"], true, &["a", "harness/leases"]).0);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for counted in [true, false] {
            let list = CheckList::of(&checks(&["/a b", "c", "c"]), counted);
            let file = tempfile::NamedTempFile::new().unwrap();
            fs_err::write(file.path(), list.to_string()).unwrap();
            if counted {
                assert_eq!(CheckList::read(file.path()).unwrap(), list);
            }
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), "a x\n").unwrap();
        let error = CheckList::read(file.path()).unwrap_err().to_string();
        assert!(error.contains("`a x` ends in no number"), "{error}");
    }
}
