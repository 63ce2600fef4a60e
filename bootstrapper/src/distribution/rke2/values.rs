//! Values that RKE2's template has and K3s' has not.

use crate::codes;
use crate::values::{Complaint, TextValue, display_text, text_value};

/// An RKE2 release, such as `v1.33.1+rke2r1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rke2Version(String);

impl TextValue for Rke2Version {
    const FORMAT: &'static str = "rke2-version";
    const DESCRIPTION: &'static str = "An RKE2 release.";
    const EXAMPLES: &'static [&'static str] = &["v1.33.1+rke2r1"];
    const PATTERN: &'static str = r"^v[0-9]+\.[0-9]+\.[0-9]+\+rke2r[0-9]+$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let is_number = |part: &str| part.parse::<u32>().is_ok();
        let parts = text
            .strip_prefix('v')
            .and_then(|rest| rest.split_once("+rke2r"));
        let fine = parts.is_some_and(|(version, release)| {
            version.split('.').count() == 3
                && version.split('.').all(is_number)
                && is_number(release)
        });
        if !fine {
            return Err(Complaint::new(
                codes::Rke2Version,
                format!("`{text}` is not an RKE2 version"),
            )
            .help("write it as v1.33.1+rke2r1"));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// A range of ports, such as `30000-32767`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRange(String);

impl TextValue for PortRange {
    const FORMAT: &'static str = "port-range";
    const DESCRIPTION: &'static str = "A range of ports, from-to.";
    const EXAMPLES: &'static [&'static str] = &["30000-32767"];
    const PATTERN: &'static str = r"^[1-9][0-9]{0,4}-[1-9][0-9]{0,4}$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let port = |part: &str| {
            part.parse::<u16>()
                .ok()
                .filter(|port| port.to_string() == part)
        };
        let ends = text
            .split_once('-')
            .map(|(from, to)| (port(from), port(to)));
        match ends {
            Some((Some(from), Some(to))) if 0 < from && from <= to => Ok(Self(text.to_owned())),
            _ => Err(Complaint::new(
                codes::PortRange,
                format!("`{text}` is not a range of ports"),
            )
            .help("write the first and the last one, such as 30000-32767")),
        }
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// A SHA-256 checksum in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sha256Sum(String);

impl TextValue for Sha256Sum {
    const FORMAT: &'static str = "sha256";
    const DESCRIPTION: &'static str = "A SHA-256 checksum: 64 hexadecimal digits in lower case.";
    const EXAMPLES: &'static [&'static str] =
        &["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"];
    const PATTERN: &'static str = "^[0-9a-f]{64}$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if text.len() != 64 || !text.chars().all(is_digit) {
            return Err(Complaint::new(
                codes::Sha256,
                format!("`{text}` is not a SHA-256 checksum"),
            )
            .help("write the 64 digits that sha256sum prints"));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(Rke2Version, PortRange, Sha256Sum);
display_text!(Rke2Version, PortRange, Sha256Sum);
