//! Reads, validates and converts the config-file of a standalone edge node.
//!
//! # Use
//! [`parse`] reads a config-file once: YAML to a tree with positions, the tree against the JSON Schema of the model,
//! then the meaning. [`Parsed::config`] is there when there was no error; [`Parsed::diagnostics`] has all findings.
//!
//! ```
//! use cluster_bootstrapper::{ParseOptions, k3s, parse};
//!
//! let text = "
//! version: 1.0
//! operatingSystem:
//!   users: [{username: operator-1, password: c2VjcmV0}]
//! kubernetes:
//!   kind: KThreesControlPlaneTemplate
//!   apiVersion: controlplane.cluster.x-k8s.io/v1beta2
//!   spec: {template: {spec: {serverConfig: {clusterCidr: 10.42.0.0/16}}}}
//! ";
//! let parsed = parse(text, &ParseOptions::default());
//! let config = parsed.config.expect("valid");
//! assert_eq!(config.operating_system.users[0].username.as_str(), "operator-1");
//!
//! // The final K3s configuration, as the node gets it: key -> values.
//! let settings = k3s::settings(config.k3s());
//! assert_eq!(settings["cluster-cidr"].values(), ["10.42.0.0/16"]);
//!
//! // Where a value stands in the text, for edits: byte ranges by JSON pointer.
//! let tree = parsed.tree.expect("YAML");
//! let span = tree.span(&"/operatingSystem/users/0/username".into()).expect("there");
//! assert_eq!(&text[span], "operator-1");
//! ```
//!
//! - [`model`] has the types, [`values`] their parsed texts (`Cidr`, `GuestPath`, ...).
//! - [`schema::schema`] is the JSON Schema, [`schema::schema_leaves`] the JSON pointers of all its leaves
//!   (`/operatingSystem/users/*/username`; a list of texts is one leaf).
//! - [`redact::redacted`] is the config-file without its secrets.
//!
//! The YAML events come from granit-parser, the parser inside serde-saphyr. serde-saphyr itself stops at the first
//! error and types scalars before the schema can say that a text is wanted, so it is used in tests only.

mod check;
pub mod codes;
mod config_file;
mod distribution;
pub mod document;
mod emit;
pub mod export;
pub mod install;
pub mod migrate;
pub mod model;
pub mod password;
mod path_rule;
pub mod redact;
mod report;
pub mod schema;
mod secrets;
mod shell;
pub mod values;

pub use config_file::ConfigFile;
pub use diagnostics::{diagnostic, yaml};
pub use distribution::{BootFile, FirstBoot, Kubernetes, Setting, k3s, rke2};
pub use report::ParseOptions;

use diagnostic::{Diagnostic, Diagnostics, Severity};
use diagnostics::text;
use report::Report;
use schema::SCHEMA;
use yaml::{LoadError, Pointer, Tree, YamlCode};

/// A config-file that was read.
#[derive(Debug)]
pub struct Parsed {
    /// The model, its slips mended; `None` when there is an error.
    pub config: Option<ConfigFile>,
    /// All findings in the order of the source.
    pub diagnostics: Vec<Diagnostic>,
    /// The document with positions; `None` when it is not YAML.
    pub tree: Option<Tree>,
    /// The text of a document that is not YAML.
    rejected: String,
}

impl Parsed {
    /// The config-file's text; what was not UTF-8 in it is replaced.
    pub fn source(&self) -> &str {
        self.tree.as_ref().map_or(&self.rejected, Tree::source)
    }

    /// Whether the config-file has an error.
    pub fn has_errors(&self) -> bool {
        self.config.is_none()
    }

    /// Pointer of the K3s configuration, which may stand in either of two places.
    pub fn k3s_pointer(&self) -> Option<Pointer> {
        self.tree.as_ref().map(k3s::spec_pointer)
    }
}

/// Reads a config-file and reports all that is wrong with it.
pub fn parse(text: &str, options: &ParseOptions) -> Parsed {
    parse_owned(text.to_owned(), options)
}

/// Like [`parse`], without a copy of the text.
pub fn parse_owned(text: String, options: &ParseOptions) -> Parsed {
    let mut found = Diagnostics::default();
    let (tree, duplicates) = match yaml::load_owned(text) {
        Ok((tree, duplicates)) => match old_format(&tree) {
            Some(error) => return rejected(tree.source().to_owned(), error),
            None => (tree, duplicates),
        },
        Err((error, text)) => {
            let error = migrate::first_line(&text).map_or(error, old_line);
            return rejected(text, error);
        }
    };
    for duplicate in duplicates.into_iter().take(diagnostic::MAX_FINDINGS) {
        report(&mut found, tree.source(), duplicate);
    }
    let value = check::Shape::new(&SCHEMA, &tree, &mut found).check();
    let mut config = value.and_then(|value| decode(value, &tree, &mut found));
    if let Some(config) = &mut config {
        let spec = distribution::spec_pointer(config.distribution(), &tree);
        let mut report = Report {
            tree: &tree,
            found: &mut found,
            options,
            spec,
        };
        check::normalise(config, &mut report);
        check::meaning(config, &mut report);
    }
    let config = config.filter(|_| !found.has_errors());
    let mut diagnostics = found.into_sorted();
    drop_follow_ups(&mut diagnostics);
    secrets::hide(&tree, &mut diagnostics);
    Parsed {
        config,
        diagnostics,
        tree: Some(tree),
        rejected: String::new(),
    }
}

/// Drops errors of a mapping that lacks what one of its unknown keys was meant to be.
fn drop_follow_ups(diagnostics: &mut Vec<Diagnostic>) {
    let unknown = diagnostics.iter().filter(|d| d.code == codes::UnknownKey);
    let parents = unknown.filter_map(|d| d.pointer.rsplit_once('/'));
    let parents: Vec<String> = parents.map(|(parent, _)| parent.to_owned()).collect();
    let of_keys = |d: &Diagnostic| {
        d.code == codes::UnknownKey
            || d.code == codes::MisplacedKey
            || d.code == YamlCode::DuplicateKey
    };
    let follows = |d: &Diagnostic| parents.contains(&d.pointer) && !of_keys(d);
    diagnostics.retain(|d| !follows(d));
}

/// A file of the old raw-text format is one text to YAML.
fn old_format(tree: &Tree) -> Option<LoadError> {
    let is_text = matches!(tree.node(tree.root()).kind, yaml::Kind::Scalar { .. });
    let line = is_text.then(|| migrate::first_line(tree.source()));
    line.flatten().map(old_line)
}

fn old_line(span: std::ops::Range<usize>) -> LoadError {
    LoadError {
        code: codes::OldFormat.into(),
        message: "this is a file of the old raw-text format, whose lines are `key=value`"
            .to_owned(),
        help: Some(
            "`cluster-bootstrapper migrate --input OLD --out NEW` makes a config-file of it"
                .to_owned(),
        ),
        span,
    }
}

/// Reads a config-file from its bytes, which must be UTF-8.
pub fn parse_bytes(bytes: Vec<u8>, options: &ParseOptions) -> Parsed {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return parse_owned(text, options),
        Err(error) => error,
    };
    let at = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let error = LoadError {
        code: codes::NotUtf8.into(),
        message: "the config-file is not UTF-8 text".to_owned(),
        help: Some("save it in UTF-8".to_owned()),
        span: at..at,
    };
    rejected(text, error)
}

/// What is known of a text that is not YAML.
fn rejected(text: String, error: LoadError) -> Parsed {
    let mut found = Diagnostics::default();
    report(&mut found, &text, error);
    let mut diagnostics = found.into_sorted();
    secrets::hide_in_text(&text, &mut diagnostics);
    Parsed {
        config: None,
        diagnostics,
        tree: None,
        rejected: text,
    }
}

/// Decodes what the schema let through. An error here would be a schema that does not match the types.
fn decode(value: serde_json::Value, tree: &Tree, found: &mut Diagnostics) -> Option<ConfigFile> {
    match serde_json::from_value(value) {
        Ok(config) => Some(config),
        Err(error) => {
            let message = format!("the config-file does not decode: {error}");
            found.error(tree, codes::Decode, &Pointer::root(), message);
            None
        }
    }
}

fn report(found: &mut Diagnostics, text: &str, error: LoadError) {
    let sample = "start from the sample configs/config-file.yaml".to_owned();
    let help = error
        .help
        .or((error.code == YamlCode::Empty).then_some(sample));
    let position = yaml::position_in(text, error.span.start);
    let mut diagnostic = found.add_at(
        Severity::Error,
        error.code,
        &Pointer::root(),
        error.span,
        position,
        error.message,
    );
    diagnostic.help = help;
}
