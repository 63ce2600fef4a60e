//! Components of Kubernetes and K3s: their arguments, and which can be left out.

use super::{Complaint, TextValue, display_text, text_value};

/// One argument of a Kubernetes component: `key=value`, with or without `--` before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentArg(String);

/// A packaged component of K3s that can be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentName(String);

text_value!(ComponentArg, ComponentName);
display_text!(ComponentArg, ComponentName);

impl ComponentArg {
    /// Key and value as the component gets them: one leading `--` is dropped, no `=` means `true`.
    pub fn key_value(&self) -> (&str, &str) {
        let bare = self.0.strip_prefix("--").unwrap_or(&self.0);
        bare.split_once('=').unwrap_or((bare, "true"))
    }

    /// Whether it is written with a `=`.
    pub fn has_value(&self) -> bool {
        self.0.contains('=')
    }
}

impl TextValue for ComponentArg {
    const FORMAT: &'static str = "component-arg";
    const DESCRIPTION: &'static str = "An argument as key=value; a leading -- is allowed.";
    const EXAMPLES: &'static [&'static str] = &["max-pods=250", "--v=2"];
    const PATTERN: &'static str = r"^(--)?[A-Za-z][A-Za-z0-9._-]*([+-]?=.*)?$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |message: String| Complaint::new("component-arg", message);
        if text.trim().is_empty() {
            return Err(
                bad("an empty argument: the component would not start".to_owned())
                    .help("remove the list element"),
            );
        }
        if text.starts_with('-') && !text.starts_with("--") {
            return Err(bad(format!(
                "`{text}` has a single dash, which K3s does not strip"
            ))
            .help(format!("write {}", text.trim_start_matches('-'))));
        }
        let bare = text.strip_prefix("--").unwrap_or(text);
        let key = bare.split('=').next().unwrap_or_default();
        if let Some((name, value)) = key.split_once(char::is_whitespace) {
            return Err(bad(format!(
                "`{text}` has a space before any `=`: K3s would take it all as a flag's name"
            ))
            .help(format!("write {name}={}", value.trim())));
        }
        if let Some(other) = second_argument(bare) {
            return Err(bad(format!(
                "`{text}` has a second argument in it: the component would take it for a part of the first one's value"
            ))
            .help(format!("make `{other}` a list element of its own")));
        }
        let name = key.strip_suffix(['+', '-']).unwrap_or(key);
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if !named {
            return Err(bad(format!("`{text}` does not begin with a flag's name"))
                .help("write key=value, such as max-pods=250"));
        }
        if text.chars().any(|c| c.is_control()) {
            return Err(bad(
                "an argument cannot have a line break or control character".to_owned(),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// An argument behind a space. Lists such as `cpu=1, memory=2` may have spaces after their commas.
fn second_argument(text: &str) -> Option<&str> {
    let (_, value) = text.split_once('=')?;
    let mut rest = value;
    while let Some((before, after)) = rest.split_once(' ') {
        let word = after.split(' ').next().unwrap_or_default();
        if word.starts_with("--") || (word.contains('=') && !before.ends_with(',')) {
            return Some(word);
        }
        rest = after;
    }
    None
}

impl ComponentName {
    /// What `disable` of K3s knows, and the proposal's spelling for the cloud controller.
    pub const KNOWN: &'static [&'static str] = &[
        "coredns",
        "servicelb",
        "traefik",
        "local-storage",
        "metrics-server",
        "runtimes",
        Self::CLOUD_CONTROLLER,
    ];
    /// The proposal's name for the embedded cloud controller; K3s has a switch of its own for it.
    pub const CLOUD_CONTROLLER: &'static str = "cloudController";
}

impl TextValue for ComponentName {
    const FORMAT: &'static str = "component-name";
    const DESCRIPTION: &'static str = "A packaged component of K3s that is left out.";
    const EXAMPLES: &'static [&'static str] = &["traefik", "servicelb"];
    const PATTERN: &'static str =
        r"^(coredns|servicelb|traefik|local-storage|metrics-server|runtimes|cloudController)$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if Self::KNOWN.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
        let switches = [
            "cloud-controller",
            "helm-controller",
            "network-policy",
            "kube-proxy",
        ];
        let help = if switches.contains(&text.trim_start_matches("disable-")) {
            format!(
                "K3s has a switch for it: `disable-{}: true` in a file below /etc/rancher/k3s/config.yaml.d",
                text.trim_start_matches("disable-")
            )
        } else if text == "etcd-proxy" {
            "leave it out: a standalone node has no etcd proxy".to_owned()
        } else if text.contains([',', ' ']) {
            "write one component per list element".to_owned()
        } else {
            match crate::text::closest(text, Self::KNOWN.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known components: {}", Self::KNOWN.join(", ")),
            }
        };
        Err(Complaint::new(
            "unknown-component",
            format!("K3s has no packaged component `{text}` and would ignore it"),
        )
        .help(help))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}
