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
//! - [`edit::add_ssh_key`] adds a key to a config-file's text and changes nothing else.
//!
//! The YAML events come from granit-parser, the parser inside serde-saphyr. serde-saphyr itself stops at the first
//! error and types scalars before the schema can say that a text is wanted, so it is used in tests only.

mod check;
pub mod diagnostic;
mod distribution;
pub mod document;
pub mod edit;
mod emit;
pub mod export;
mod first_boot;
pub mod install;
pub mod k3s;
pub mod migrate;
pub mod model;
pub mod password;
pub mod redact;
pub mod rke2;
pub mod schema;
mod secrets;
mod shell;
mod text;
pub mod values;
pub mod yaml;

pub use first_boot::{BootFile, FirstBoot};

use diagnostic::{Diagnostic, Diagnostics, Severity};
use model::ConfigFile;
use std::sync::LazyLock;
use yaml::{LoadError, Pointer, Tree};

/// What a config-file is compared with.
#[derive(Debug, Clone, Default)]
pub struct ParseOptions {
    /// The K3s version in the OS image; a `version` that differs is an error. Without it nothing is compared.
    pub k3s_version: Option<String>,
}

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
        self.tree.as_ref().map(check::spec_pointer)
    }
}

/// The schema is the same for every file.
static SCHEMA: LazyLock<serde_json::Value> = LazyLock::new(schema::schema);

/// Reads a config-file and reports all that is wrong with it.
pub fn parse(text: &str, options: &ParseOptions) -> Parsed {
    parse_owned(text.to_owned(), options)
}

/// Like [`parse`], without a copy of the text.
pub fn parse_owned(text: String, options: &ParseOptions) -> Parsed {
    let mut found = Diagnostics::default();
    let (tree, duplicates) = match yaml::load_owned(text) {
        Ok(loaded) => loaded,
        Err((error, text)) => return rejected(text, error),
    };
    for duplicate in duplicates.into_iter().take(diagnostic::MAX_FINDINGS) {
        report(&mut found, tree.source(), duplicate);
    }
    let value = check::Shape::new(&SCHEMA, &tree, &mut found).check();
    let mut config = value.and_then(|value| decode(value, &tree, &mut found));
    if let Some(config) = &mut config {
        check::Meaning::new(&tree, &mut found, options).check(config);
    }
    let config = config.filter(|_| !found.has_errors());
    let mut diagnostics = found.into_sorted();
    secrets::hide(&tree, &mut diagnostics);
    Parsed {
        config,
        diagnostics,
        tree: Some(tree),
        rejected: String::new(),
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
        code: "not-utf-8",
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
            found.error(tree, "decode", &Pointer::root(), message);
            None
        }
    }
}

fn report(found: &mut Diagnostics, text: &str, error: LoadError) {
    let position = yaml::position_in(text, error.span.start);
    let diagnostic = found.add_at(
        Severity::Error,
        error.code,
        &Pointer::root(),
        error.span,
        position,
        error.message,
    );
    diagnostic.help = error.help;
}
