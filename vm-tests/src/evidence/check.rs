//! One check of a run.

use serde::{Deserialize, Serialize};

/// One check: what was expected and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// JSON pointer of the config-file's key, or the machine's part.
    pub key: String,
    /// What is checked.
    pub check: String,
    /// What must be.
    pub expected: String,
    /// What is.
    pub actual: String,
    /// Whether they agree.
    pub passed: bool,
}

impl Check {
    /// One whose texts do not say by themselves whether it holds.
    pub fn new(
        key: &str,
        check: impl Into<String>,
        expected: impl Into<String>,
        actual: impl Into<String>,
        passed: bool,
    ) -> Self {
        Self {
            key: key.to_owned(),
            check: check.into(),
            expected: expected.into(),
            actual: actual.into(),
            passed,
        }
    }

    /// One that holds when what is is what must be, to the letter.
    pub fn same(
        key: &str,
        check: impl Into<String>,
        expected: impl Into<String>,
        actual: impl Into<String>,
    ) -> Self {
        let (expected, actual) = (expected.into(), actual.into());
        let passed = expected == actual;
        Self::new(key, check, expected, actual, passed)
    }
}
