//! What must be true on a node, derived from its config-file: for every key the
//! question to ask and the judgement of the answer. A user's own config-file
//! needs no Rust.

mod arguments;
mod cluster;
pub mod coverage;
mod files;
mod install_disk;
mod judge;
mod kubelet;
mod network;
mod node_settings;
mod registries;
mod system;
mod users;
mod workload;

use cluster_bootstrapper::ConfigFile;
use cluster_bootstrapper::{Parsed, yaml::Pointer};

use crate::evidence::Check;
use crate::node::{Facts, Probe};
use crate::ssh::GuestOutput;

pub use judge::Verdict;
pub use workload::{Image, PODS, TEST_IMAGE, Workload, handlers};

/// Prints what the installed K3s says it is.
pub const K3S_VERSION: &str = "k3s --version";

/// Judges the answers to an expectation's questions, in their order.
pub type Judge = Box<dyn Fn(&[&GuestOutput]) -> Verdict + Send + Sync>;

/// One typed check before it is made.
pub struct Expectation {
    /// JSON pointer of the config-file's key.
    pub key: String,
    /// What is checked.
    pub check: String,
    /// What must be.
    pub expected: String,
    /// What is asked of the node.
    pub probes: Vec<Probe>,
    /// What the answers mean.
    pub judge: Judge,
}

impl std::fmt::Debug for Expectation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expectation")
            .field("key", &self.key)
            .field("check", &self.check)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl Expectation {
    /// An expectation with one question.
    pub(crate) fn new(
        key: impl Into<String>,
        check: impl Into<String>,
        expected: impl Into<String>,
        probe: Probe,
        judge: impl Fn(&GuestOutput) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self {
            key: key.into(),
            check: check.into(),
            expected: expected.into(),
            probes: vec![probe],
            judge: Box::new(move |answers| {
                answers
                    .first()
                    .map_or_else(|| Verdict::bad("not asked"), |answer| judge(answer))
            }),
        }
    }

    /// Judges by what was gathered.
    #[must_use]
    pub fn check(&self, facts: &Facts) -> Check {
        let answers: Option<Vec<&GuestOutput>> =
            self.probes.iter().map(|probe| facts.get(probe)).collect();
        let verdict = answers.map_or_else(
            || Verdict::bad("the node was not asked"),
            |answers| (self.judge)(&answers),
        );
        Check {
            key: self.key.clone(),
            check: self.check.clone(),
            expected: self.expected.clone(),
            actual: verdict.actual,
            passed: verdict.passed,
        }
    }
}

/// A config-file with where its parts stand.
pub(crate) struct Source<'a> {
    pub config: &'a ConfigFile,
    pub parsed: &'a Parsed,
    /// JSON pointer of the K3s configuration, which has two possible places.
    pub k3s: String,
}

impl Source<'_> {
    /// Pointer of one of the files, which may be given without a list.
    fn file(&self, index: usize) -> String {
        let listed = format!("{}/files/{index}", self.k3s);
        let found = self
            .parsed
            .tree
            .as_ref()
            .and_then(|tree| tree.find(&Pointer::from(listed.as_str())));
        if found.is_some() {
            listed
        } else {
            format!("{}/files", self.k3s)
        }
    }
}

/// All expectations of a config-file. None when it has errors.
#[must_use]
pub fn derive(parsed: &Parsed) -> Option<Vec<Expectation>> {
    let config = parsed.config.as_ref()?;
    let k3s = parsed.k3s_pointer()?.to_string();
    let source = Source {
        config,
        parsed,
        k3s,
    };
    let mut all = Vec::new();
    all.extend(users::expectations(&source));
    all.extend(system::expectations(&source));
    all.extend(install_disk::expectations(&source));
    all.extend(network::expectations(&source));
    all.extend(files::expectations(&source));
    if config.kubernetes.is_none() {
        return Some(all);
    }
    all.extend(registries::expectations(&source));
    all.extend(cluster::expectations(&source));
    all.extend(node_settings::expectations(&source));
    all.extend(arguments::expectations(&source));
    all.extend(workload::expectations(&source));
    Some(all)
}

/// What a config-file has in plain text and no report may show: passwords, credentials of registries.
#[must_use]
pub fn secrets(parsed: &Parsed) -> Vec<String> {
    let mut all: Vec<String> = users::passwords(parsed).into_iter().flatten().collect();
    if let Some(config) = &parsed.config {
        all.extend(registries::secrets(config));
    }
    all
}

/// The questions of all expectations.
#[must_use]
pub fn probes(expectations: &[Expectation]) -> Vec<Probe> {
    expectations
        .iter()
        .flat_map(|expectation| expectation.probes.clone())
        .collect()
}
