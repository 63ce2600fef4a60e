//! Names, addresses and credentials of image registries.

use super::network::check_host_port;
use super::{Complaint, TextValue, display_text, text_value};
use crate::codes;
use std::fmt;

/// A registry as image names have it: `host[:port]`, or `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegistryHost(String);

impl TextValue for RegistryHost {
    const FORMAT: &'static str = "registry-host";
    const DESCRIPTION: &'static str =
        "A registry as image names have it: host[:port], or `*` for every one.";
    const EXAMPLES: &'static [&'static str] = &["docker.io", "registry.example.com:5000"];
    const PATTERN: &'static str = r"^(\*|[A-Za-z0-9][A-Za-z0-9._:\[\]-]*)$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |reason: &str| {
            Complaint::new(
                codes::RegistryHost,
                format!("`{text}` is not a registry: {reason}"),
            )
            .help("write host[:port] without scheme or path, or `*`")
        };
        if text.contains('/') {
            return Err(bad("it has a scheme or a path"));
        }
        if text != "*" {
            check_host_port(text).map_err(|reason| bad(&reason))?;
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// URL of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryUrl(String);

impl TextValue for RegistryUrl {
    const FORMAT: &'static str = "registry-url";
    const DESCRIPTION: &'static str =
        "URL of a registry: http or https, host, port, path; https where no scheme is given.";
    const EXAMPLES: &'static [&'static str] = &["https://mirror.example.com:5000"];
    const PATTERN: &'static str = r"^(https?://)?[^\s]+$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        // The text may have a password in it, so it is not shown.
        let bad = |reason: &str| {
            Complaint::new(
                codes::RegistryUrl,
                format!("not a registry's URL: {reason}"),
            )
            .help("write https://host[:port][/path]")
        };
        // K3s reads one without a scheme as https (pkg/agent/containerd, getHostConfigs).
        let rest = match text.split_once("://") {
            Some(("http" | "https", rest)) => rest,
            Some(_) => return Err(bad("its scheme is neither https nor http")),
            None => text,
        };
        if !text.chars().all(|c| c.is_ascii_graphic()) || text.contains('@') {
            return Err(bad(
                "it has a space, a user or a character that is not ASCII",
            ));
        }
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        check_host_port(host).map_err(|reason| bad(&reason))?;
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// A regular expression of Go over the repository part of an image's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RewriteRule(String);

impl RewriteRule {
    /// The first group that a replacement names and the expression has not, as Go's regexp.Expand reads names: `$1`,
    /// `${1}`, `$name`, the longest that is one.
    pub(crate) fn missing_group(&self, replacement: &str) -> Option<String> {
        let ast = regex_syntax::ast::parse::Parser::new()
            .parse(&self.0)
            .ok()?;
        let mut groups = Groups::default();
        regex_syntax::ast::visit(&ast, &mut groups).ok()?;
        let mut rest = replacement;
        while let Some((_, after)) = rest.split_once('$') {
            rest = after;
            if let Some(escaped) = rest.strip_prefix('$') {
                rest = escaped;
                continue;
            }
            let bare = rest.strip_prefix('{').unwrap_or(rest);
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let name = &bare[..bare.find(|c| !is_name(c)).unwrap_or(bare.len())];
            let known = match name.parse::<usize>() {
                Ok(number) => number <= groups.count,
                Err(_) => groups.names.iter().any(|known| known == name),
            };
            if !name.is_empty() && !known {
                return Some(name.to_owned());
            }
        }
        None
    }
}

/// The groups of a regular expression.
#[derive(Default)]
struct Groups {
    count: usize,
    names: Vec<String>,
}

impl regex_syntax::ast::Visitor for &mut Groups {
    type Output = ();
    type Err = ();

    fn finish(self) -> Result<(), ()> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &regex_syntax::ast::Ast) -> Result<(), ()> {
        if let regex_syntax::ast::Ast::Group(group) = ast {
            self.count += usize::from(group.is_capturing());
            if let regex_syntax::ast::GroupKind::CaptureName { name, .. } = &group.kind {
                self.names.push(name.name.clone());
            }
        }
        Ok(())
    }
}

impl TextValue for RewriteRule {
    const FORMAT: &'static str = "rewrite-rule";
    const DESCRIPTION: &'static str =
        "A regular expression (RE2) over the repository part of an image's name.";
    const EXAMPLES: &'static [&'static str] = &["^rancher/(.*)"];
    const PATTERN: &'static str = "";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |reason: &str| {
            Complaint::new(
                codes::RewriteRule,
                format!("`{text}` is not a regular expression: {reason}"),
            )
            .help("write one of RE2, such as ^rancher/(.*); groups are $1, $2 in the replacement")
        };
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        regex_syntax::ast::parse::Parser::new()
            .parse(text)
            .map_err(|error| bad(&error.kind().to_string()))?;
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// A credential of a registry. Never shown, but written to the file that K3s reads.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistrySecret(String);

impl RegistrySecret {
    /// The plain text, for registries.yaml.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RegistrySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistrySecret(hidden)")
    }
}

impl TextValue for RegistrySecret {
    const SECRET: bool = true;
    const FORMAT: &'static str = "registry-secret";
    const DESCRIPTION: &'static str = "A credential of a registry, as the registry takes it.";
    const EXAMPLES: &'static [&'static str] = &[];
    const PATTERN: &'static str = "";
    const NUMERIC: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        // Some registries take a key file of several lines; K3s writes what it is given in quotes.
        let odd = |c: char| c.is_control() && !"\n\r\t".contains(c);
        if text.is_empty() || text.chars().any(odd) {
            return Err(Complaint::new(
                codes::RegistrySecret,
                "the credential is empty or has a control character",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        "(hidden)"
    }
}

text_value!(RegistryHost, RegistryUrl, RegistrySecret, RewriteRule);
display_text!(RegistryHost, RegistryUrl, RewriteRule);
