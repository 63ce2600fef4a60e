//! Files on the node: path, mode, owner; and the commands that run there.

use super::{Complaint, TextValue, display_text, text_value};
use crate::codes;

/// An absolute, normalised path below `/etc` or `/var`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPath(String);

impl GuestPath {
    /// The file name without its folders.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The folder the file is in.
    pub fn parent(&self) -> &str {
        self.0.rsplit_once('/').map_or("/", |(parent, _)| parent)
    }

    /// The same folder with another file name.
    pub fn with_file_name(&self, name: &str) -> Self {
        Self(format!("{}/{name}", self.parent()))
    }
}

impl TextValue for GuestPath {
    const FORMAT: &'static str = "guest-path";
    const DESCRIPTION: &'static str = "An absolute path below /etc or /var, without `.` or `..`.";
    const EXAMPLES: &'static [&'static str] = &["/etc/rancher/k3s/config.yaml.d/50-etcd.yaml"];
    const PATTERN: &'static str = r"^/(etc|var)/.*[^/]$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if !text.starts_with('/') {
            return Err(Complaint::new(
                codes::PathNotAbsolute,
                format!("the path `{text}` is not absolute"),
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(Complaint::new(
                codes::PathNotNormal,
                "the path has a control character",
            ));
        }
        let odd = text[1..]
            .split('/')
            .find(|part| ["", ".", ".."].contains(part));
        if let Some(part) = odd {
            let what = if part.is_empty() {
                "an empty step"
            } else {
                part
            };
            return Err(Complaint::new(
                codes::PathNotNormal,
                format!("the path `{text}` is not normalised: it has {what}"),
            )
            .help("write the path of a file, without `//`, `.` or `..`"));
        }
        if text.split('/').any(|part| part.len() > 255) || text.len() > 4095 {
            return Err(Complaint::new(
                codes::PathNotNormal,
                "the path is too long for Linux",
            ));
        }
        if !text.starts_with("/etc/") && !text.starts_with("/var/") {
            return Err(Complaint::new(
                codes::PathOutside,
                format!("the path `{text}` is outside /etc and /var"),
            )
            .help("files are limited to /etc and /var: the rest of the node is the read-only OS image"));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// An absolute path on the node, in any folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath(String);

impl TextValue for FilePath {
    const FORMAT: &'static str = "file-path";
    const DESCRIPTION: &'static str = "An absolute path, without `.` or `..`.";
    const EXAMPLES: &'static [&'static str] = &["/var/lib/rancher/rke2/bin/kubelet"];
    const PATTERN: &'static str = r"^/.*[^/]$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let steps = text.strip_prefix('/').map(|rest| rest.split('/'));
        let normal = |mut steps: std::str::Split<'_, char>| {
            steps.all(|step| !["", ".", ".."].contains(&step))
        };
        if !steps.is_some_and(normal) || text.chars().any(char::is_control) {
            let code = match text.starts_with('/') {
                true => codes::PathNotNormal,
                false => codes::PathNotAbsolute,
            };
            return Err(Complaint::new(
                code,
                format!("`{text}` is not an absolute, normalised path"),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// Permission bits in octal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMode {
    bits: u32,
    text: String,
}

impl FileMode {
    /// The bits, at most `0o7777`.
    pub fn bits(&self) -> u32 {
        self.bits
    }
}

/// Modes as programs write them that have read them as numbers.
const DECIMAL: &[(&str, &str)] = &[
    ("256", "0400"),
    ("384", "0600"),
    ("416", "0640"),
    ("420", "0644"),
    ("438", "0666"),
    ("448", "0700"),
    ("488", "0750"),
    ("493", "0755"),
    ("511", "0777"),
];

impl TextValue for FileMode {
    const FORMAT: &'static str = "file-mode";
    const DESCRIPTION: &'static str = "Permission bits in octal; quotes are not needed.";
    const EXAMPLES: &'static [&'static str] = &["0644", "0600"];
    const PATTERN: &'static str = r"^(0o?)?[0-7]{3,4}$";
    const NUMERIC: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        if let Some((_, octal)) = DECIMAL.iter().find(|(decimal, _)| *decimal == text) {
            let message = format!("`{text}` is the mode {octal} as a decimal number");
            let help = format!("write {octal}; four octal digits if {text} is meant");
            return Err(Complaint::new(codes::FileMode, message).help(help));
        }
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let bits = u32::from_str_radix(digits, 8)
            .ok()
            .filter(|bits| *bits <= 0o7777 && (3..=5).contains(&digits.len()))
            .ok_or_else(|| {
                Complaint::new(codes::FileMode, format!("`{text}` is not a mode in octal"))
                    .help("write three or four octal digits, such as 0644")
            })?;
        Ok(Self {
            bits,
            text: format!("{bits:04o}"),
        })
    }

    fn as_str(&self) -> &str {
        &self.text
    }
}

/// `user` or `user:group` that own a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOwner(String);

impl TextValue for FileOwner {
    const FORMAT: &'static str = "file-owner";
    const DESCRIPTION: &'static str = "Owner of a file as `user` or `user:group`.";
    const EXAMPLES: &'static [&'static str] = &["root:root"];
    const PATTERN: &'static str = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let is_name = |name: &str| {
            !name.is_empty()
                && !name.starts_with(['-', '.'])
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        };
        let (user, group) = text.split_once(':').unwrap_or((text, "root"));
        if !is_name(user) || !is_name(group) {
            return Err(
                Complaint::new(codes::FileOwner, format!("`{text}` is not an owner"))
                    .help("write user or user:group, such as root:root"),
            );
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// A shell command of preK3sCommands or postK3sCommands; it may have several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(String);

impl TextValue for Command {
    const FORMAT: &'static str = "command";
    const DESCRIPTION: &'static str = "A command for /bin/sh, or a part of one. All commands share one shell, so variables and `cd` carry over; each list is a whole program, in which nothing restarts the machine.";
    const EXAMPLES: &'static [&'static str] = &["mkdir -p /etc/systemd/system/k3s.service.d"];
    const PATTERN: &'static str = r"\S";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if text.trim().is_empty() {
            return Err(Complaint::new(codes::EmptyCommand, "the command is empty"));
        }
        if text.contains('\0') {
            return Err(Complaint::new(
                codes::NulCharacter,
                "a NUL character cannot be part of a command",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(GuestPath, FilePath, FileMode, FileOwner, Command);
display_text!(GuestPath, FilePath, FileMode, FileOwner, Command);
