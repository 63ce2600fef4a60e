//! Users of the node: names, passwords, SSH keys; and the host's own name.

use super::network::is_host;
use super::{Complaint, TextValue, display_text, text_value};
use crate::codes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// A POSIX user name that is not an account of the system, `root` excepted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserName(String);

impl UserName {
    /// Whether it is the superuser.
    pub fn is_root(&self) -> bool {
        self.0 == "root"
    }
}

/// Accounts that Debian and EMT images make for services; a login user must not take one over.
pub(crate) const SYSTEM_ACCOUNTS: &[&str] = &[
    "_apt",
    "adm",
    "audio",
    "backup",
    "bin",
    "cdrom",
    "daemon",
    "disk",
    "games",
    "gnats",
    "irc",
    "kmem",
    "list",
    "lp",
    "mail",
    "man",
    "messagebus",
    "news",
    "nobody",
    "nogroup",
    "operator",
    "polkitd",
    "proxy",
    "shadow",
    "sshd",
    "staff",
    "sudo",
    "sync",
    "sys",
    "systemd-coredump",
    "systemd-network",
    "systemd-resolve",
    "systemd-timesync",
    "tcpdump",
    "tty",
    "utmp",
    "uucp",
    "video",
    "wheel",
    "www-data",
];

impl TextValue for UserName {
    const FORMAT: &'static str = "user-name";
    const DESCRIPTION: &'static str =
        "Login name: lower-case letters, digits, `-` and `_`, at most 32 characters.";
    const EXAMPLES: &'static [&'static str] = &["root", "edge-operator"];
    const PATTERN: &'static str = r"^[a-z_][a-z0-9_-]{0,31}$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let fine = text.len() <= 32
            && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c));
        if !fine {
            return Err(Complaint::new(
                codes::UserName,
                format!("`{text}` is not a portable user name"),
            )
            .help("start with a lower-case letter, go on with letters, digits, `-` or `_`; at most 32"));
        }
        if SYSTEM_ACCOUNTS.contains(&text) || text.starts_with("systemd-") {
            return Err(Complaint::new(
                codes::UserNameSystem,
                format!("`{text}` is an account of the system, not for logins"),
            )
            .help("choose another name"));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// A password: base64 of the plain text, or a ready hash of crypt(5). Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    secret: Secret,
    newline_dropped: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Secret {
    Plain(String),
    Hash(String),
}

impl Password {
    /// What the sample has in a password's place. It is no base64, so that no password can be meant.
    pub const PLACEHOLDER: &'static str = "CHANGE-ME";

    /// The plain text, for hashing and for rules about it only; `None` when a ready hash was given.
    pub(crate) fn plain(&self) -> Option<&str> {
        match &self.secret {
            Secret::Plain(text) => Some(text),
            Secret::Hash(_) => None,
        }
    }

    /// The ready hash, if one was given.
    pub fn hash(&self) -> Option<&str> {
        match &self.secret {
            Secret::Hash(hash) => Some(hash),
            Secret::Plain(_) => None,
        }
    }

    /// Whether the base64 text ended in a line break that was dropped.
    pub fn newline_dropped(&self) -> bool {
        self.newline_dropped
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

impl TextValue for Password {
    const SECRET: bool = true;
    const FORMAT: &'static str = "password";
    const DESCRIPTION: &'static str = "Base64 of the password, or a ready crypt(5) hash ($6$, $5$, $y$, $gy$, $7$, $2b$). \
         Only a hash is written to the node.";
    const EXAMPLES: &'static [&'static str] = &["cGFzc3dvcmQK"];
    const PATTERN: &'static str = r"^(\$[0-9a-z]+\$[^:\s]+|[A-Za-z0-9+/\s]+={0,2}\s*)$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if text.starts_with('$') {
            return parse_hash(text);
        }
        let help = "write the output of: printf %s 'the password' | base64";
        if text == Self::PLACEHOLDER {
            return Err(Complaint::new(
                codes::PasswordPlaceholder,
                "this is the sample's placeholder, not a password",
            )
            .help("write the output of: printf %s 'the password' | base64; or of: mkpasswd -m sha-512"));
        }
        let compact: String = text.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(&compact).map_err(|_| {
            Complaint::new(codes::PasswordEncoding, "the password is not base64").help(help)
        })?;
        let plain = String::from_utf8(bytes).map_err(|_| {
            Complaint::new(
                codes::PasswordEncoding,
                "the decoded password is not UTF-8 text",
            )
            .help(help)
        })?;
        let trimmed = plain.strip_suffix('\n').map_or(plain.as_str(), |rest| {
            rest.strip_suffix('\r').unwrap_or(rest)
        });
        if trimmed.is_empty() {
            return Err(
                Complaint::new(codes::PasswordEmpty, "the password is empty")
                    .help("leave `password` out for a user who logs in with an SSH key only"),
            );
        }
        if trimmed.chars().any(char::is_control) {
            return Err(Complaint::new(
                codes::PasswordEncoding,
                "the decoded password has a line break or control character",
            )
            .help(help));
        }
        Ok(Self {
            newline_dropped: trimmed.len() != plain.len(),
            secret: Secret::Plain(trimmed.to_owned()),
        })
    }

    /// Never the password: a fixed text.
    fn as_str(&self) -> &str {
        "(hidden)"
    }
}

fn parse_hash(text: &str) -> Result<Password, Complaint> {
    let mut parts = text.split('$').skip(1);
    let id = parts.next().unwrap_or_default();
    let known = ["5", "6", "7", "y", "gy", "2a", "2b", "2y"].contains(&id);
    let rest: Vec<&str> = parts.collect();
    let body_fine = rest.last().is_some_and(|digest| digest.len() >= 22)
        && rest.iter().all(|part| {
            part.chars()
                .all(|c| c.is_ascii_alphanumeric() || "./=,-".contains(c))
        });
    // yescrypt and SHA-crypt have at least a salt before the digest; bcrypt joins them.
    let fields_fine = rest.len() >= 2;
    let digest_fine = match id {
        "6" => rest.last().is_some_and(|digest| digest.len() == 86),
        "5" | "y" | "gy" | "7" => rest.last().is_some_and(|digest| digest.len() >= 43),
        _ => true,
    };
    if !known || !body_fine || !fields_fine || !digest_fine {
        return Err(Complaint::new(
            codes::PasswordHash,
            "the password starts with `$` but is not a complete hash of crypt(5)",
        )
        .help("make one with: mkpasswd -m sha-512 (or give the password itself in base64)"));
    }
    Ok(Password {
        secret: Secret::Hash(text.to_owned()),
        newline_dropped: false,
    })
}

/// One public key as a line of authorized_keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SshKey(String);

/// Every public key type of OpenSSH. DSA is absent: OpenSSH refuses it since 7.0.
const KEY_TYPES: &[&str] = &[
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-ed25519-cert-v01@openssh.com",
    "ssh-rsa-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
];

impl TextValue for SshKey {
    const FORMAT: &'static str = "ssh-key";
    const DESCRIPTION: &'static str =
        "A public key of OpenSSH: type, base64 and an optional comment.";
    const EXAMPLES: &'static [&'static str] = &[
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f user@example.com",
    ];
    const PATTERN: &'static str = "";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let line = text.trim();
        let bad = |reason: &str| {
            Complaint::new(
                codes::SshKey,
                format!("not an OpenSSH public key: {reason}"),
            )
            .help("paste the whole line of a .pub file, such as id_ed25519.pub in ~/.ssh")
        };
        if line.contains("PRIVATE KEY") {
            return Err(bad(
                "this is a private key; it must not leave its owner's machine",
            ));
        }
        if line.chars().any(char::is_control) {
            return Err(bad("it has a line break or control character"));
        }
        if line.starts_with("ssh-dss ") {
            return Err(bad("OpenSSH takes no DSA keys any more"));
        }
        let is_key = |text: &str| {
            let kind = text.split(' ').next();
            kind.is_some_and(|kind| KEY_TYPES.contains(&kind))
        };
        let key = match after_options(line) {
            Some(rest) if !is_key(line) && is_key(rest) => rest,
            _ => line,
        };
        let mut fields = key.split_ascii_whitespace();
        let name = fields.next().unwrap_or_default();
        if !KEY_TYPES.contains(&name) {
            return Err(bad(&format!("`{name}` is not a key type")));
        }
        let blob = fields
            .next()
            .ok_or_else(|| bad("there is no base64 text after the type"))?;
        let blob = STANDARD
            .decode(blob)
            .map_err(|_| bad("the string after the type is not base64, or it is cut short"))?;
        check_blob(name, &blob).map_err(|reason| bad(&reason))?;
        Ok(Self(line.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// What follows the options field of an authorized_keys line, whose values may be quoted.
fn after_options(line: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted => return Some(line[at..].trim_start()),
            _ => {}
        }
    }
    None
}

/// Checks a key's binary form to its last byte (RFC 4253, section 6.6; RFC 5656; OpenSSH's PROTOCOL.u2f and, for
/// certificates, PROTOCOL.certkeys).
fn check_blob(name: &str, blob: &[u8]) -> Result<(), String> {
    let short = || "the key is cut short, or too small for OpenSSH".to_owned();
    let mut rest = blob;
    if take_field(&mut rest) != Some(name.as_bytes()) {
        return Err(format!("the base64 text holds another type than `{name}`"));
    }
    let (plain, certified) = match name.strip_suffix("-cert-v01@openssh.com") {
        Some(plain) => (plain, true),
        None => (name.trim_end_matches("@openssh.com"), false),
    };
    let mut fields = |count: usize| -> Option<Vec<&[u8]>> {
        (0..count).map(|_| take_field(&mut rest)).collect()
    };
    if certified {
        fields(1).ok_or_else(short)?; // a nonce
    }
    let parts: &[Part] = match plain {
        "ssh-ed25519" => &[Part::Ed25519],
        "sk-ssh-ed25519" => &[Part::Ed25519, Part::Text],
        "ssh-rsa" => &[Part::Text, Part::Modulus],
        "sk-ecdsa-sha2-nistp256" => &[Part::Text, Part::Point(65), Part::Text],
        "ecdsa-sha2-nistp384" => &[Part::Text, Part::Point(97)],
        "ecdsa-sha2-nistp521" => &[Part::Text, Part::Point(133)],
        _ => &[Part::Text, Part::Point(65)],
    };
    let found = fields(parts.len()).ok_or_else(short)?;
    if !parts
        .iter()
        .zip(found)
        .all(|(part, field)| part.fits(field))
    {
        return Err(short());
    }
    if certified {
        // Serial number and kind; id and principals; validity; options, extensions, a reserved field, the
        // authority's key and its signature.
        let whole = take(&mut rest, 12).is_some()
            && skip_fields(&mut rest, 2)
            && take(&mut rest, 16).is_some()
            && skip_fields(&mut rest, 5);
        if !whole {
            return Err(short());
        }
    }
    rest.is_empty().then_some(()).ok_or_else(short)
}

/// A field of a public key.
enum Part {
    Ed25519,
    /// RSA: OpenSSH takes 1024 bits and more.
    Modulus,
    /// A point of a curve, uncompressed, of so many bytes.
    Point(usize),
    Text,
}

impl Part {
    fn fits(&self, field: &[u8]) -> bool {
        match self {
            Self::Ed25519 => field.len() == 32,
            Self::Modulus => field.len() >= 128,
            Self::Point(bytes) => field.len() == *bytes && field[0] == 4,
            Self::Text => !field.is_empty(),
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    Some(taken)
}

fn skip_fields(rest: &mut &[u8], count: usize) -> bool {
    (0..count).all(|_| take_field(rest).is_some())
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(take(rest, 4)?.try_into().ok()?);
    take(rest, usize::try_from(length).ok()?)
}

/// Public keys as one text, a key a line; empty lines and `#` comments are skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshKeyLines {
    keys: Vec<SshKey>,
    text: String,
}

impl SshKeyLines {
    /// The keys in order.
    pub fn keys(&self) -> &[SshKey] {
        &self.keys
    }
}

impl TextValue for SshKeyLines {
    const FORMAT: &'static str = "ssh-key-lines";
    const DESCRIPTION: &'static str = "One public key, or several with a line each.";
    const EXAMPLES: &'static [&'static str] = SshKey::EXAMPLES;
    const PATTERN: &'static str = "";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let keys = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(SshKey::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            keys,
            text: text.to_owned(),
        })
    }

    fn as_str(&self) -> &str {
        &self.text
    }
}

/// The host's name: one DNS label or a full name, lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl TextValue for HostName {
    const FORMAT: &'static str = "host-name";
    const DESCRIPTION: &'static str = "Host name in lower case, at most 64 characters.";
    const EXAMPLES: &'static [&'static str] = &["edge-7"];
    const PATTERN: &'static str = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let fine = text.len() <= 64
            && is_host(text)
            && !text.ends_with('.')
            && !text.contains('_')
            && !text.chars().any(|c| c.is_ascii_uppercase());
        if !fine {
            return Err(
                Complaint::new(codes::HostName, format!("`{text}` is not a host name"))
                    .help("use lower-case letters, digits, `-` and `.`; at most 64 characters"),
            );
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(UserName, Password, SshKey, SshKeyLines, HostName);
display_text!(UserName, SshKey, SshKeyLines, HostName);
