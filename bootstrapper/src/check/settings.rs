//! Checks of the configuration that the distribution reads at start: drop-ins that it does not start with, keys that it
//! does not know, and values that it reads otherwise than they are written or does not take. Values of the template's keys
//! are checked by their types already.

use super::context::Context;
use crate::codes;
use crate::diagnostic::{MAX_FINDINGS, Severity};
use crate::distribution::joined::{Broken, Key, Origin, Surprise, SurpriseKind, Value};
use crate::distribution::known::{Kind, Known, Other};
use crate::report::Report;
use crate::schema::check_value;
use crate::text::closest;
use crate::values::MAX_NODE_NAME;
use crate::yaml::{Kind as NodeKind, Pointer, YamlCode};
use std::collections::HashSet;

impl Report<'_> {
    pub(super) fn settings(&mut self, context: &Context<'_>) {
        let joined = &context.joined;
        for (id, broken) in &joined.broken {
            let (path, name) = (&context.file(*id).path, context.facts.name);
            let (message, span) = match broken {
                Broken::NotYaml(error) if error.code == YamlCode::SeveralDocuments => (
                    format!(
                        "{name} reads the first YAML document of {path} alone: what follows is ignored"
                    ),
                    error.span.clone(),
                ),
                Broken::NotYaml(error) => (
                    format!("{name} reads {path} at start and would not start: {error}"),
                    error.span.clone(),
                ),
                Broken::NotAMapping => (format!("{path} must be a mapping"), 0..0),
            };
            self.error_of(codes::K3sFile, context, &Origin::DropIn(*id, span), message);
        }
        // Of each kind as many as are kept: the nearest name of one is not found for nothing.
        let is_unknown = |key: &&Key| key.known.is_none();
        for key in joined.keys.iter().filter(is_unknown).take(MAX_FINDINGS) {
            self.unknown_setting(context, key);
        }
        for key in joined
            .keys
            .iter()
            .filter(|key| key.twice)
            .take(MAX_FINDINGS)
        {
            let message = format!(
                "`{}` is given a second time in this file: {} takes the last one",
                key.written, context.facts.name
            );
            self.report_of(
                Severity::Warning,
                codes::K3sSettingTwice,
                context,
                &key.origin,
                message,
            )
            .help(format!(
                "keep one, or write `{}+` to append to a list",
                key.written
            ));
        }
        let replaces = |key: &&Key| key.known.is_some() && key.replaces;
        for key in joined.keys.iter().filter(replaces).take(MAX_FINDINGS) {
            self.replaced(context, key);
        }
        for surprise in joined.surprises.iter().take(MAX_FINDINGS) {
            self.surprise(context, surprise);
        }
        let reported: HashSet<_> = joined.surprises.iter().map(|s| s.origin.clone()).collect();
        let to_check = |value: &&Value| {
            matches!(value.origin, Origin::DropIn(..)) && !reported.contains(&value.origin)
        };
        for (name, values) in joined.all() {
            let Some(known) = context.facts.setting(name) else {
                continue;
            };
            for value in values.iter().filter(to_check) {
                if self.found.is_full() {
                    return;
                }
                self.value(context, known, value);
            }
        }
    }

    /// Settings that the distribution does not take beside each other.
    pub(super) fn conflicts(&mut self, context: &Context<'_>) {
        let joined = &context.joined;
        let is_set = |value: &&Value| !value.text.is_empty() && !is_false(&value.text);
        let set = |name: &str| joined.last(name).filter(is_set);
        for conflict in context.facts.conflicts {
            let Some(value) = set(conflict.setting) else {
                continue;
            };
            let meets = match conflict.other {
                Other::Any => true,
                Other::With(name) => set(name).is_some(),
                Other::Without(names) => !names
                    .iter()
                    .any(|name| set(name).is_some() || is_in_environment(context, name)),
            };
            if meets {
                self.error_of(codes::K3sConflict, context, &value.origin, conflict.message)
                    .help(conflict.help);
            }
        }
    }

    /// Of a component that is not there nothing is left out.
    pub(super) fn components(&mut self, context: &Context<'_>) {
        let facts = context.facts;
        if facts.packaged.is_empty() {
            return;
        }
        for part in context
            .joined
            .parts("disable")
            .into_iter()
            .take(MAX_FINDINGS)
        {
            let name = part.text.as_str();
            let known = || facts.packaged.iter().chain(facts.other_components).copied();
            if known().any(|other| other == name) {
                continue;
            }
            let switches = [
                "cloud-controller",
                "cloudController",
                "helm-controller",
                "network-policy",
                "kube-proxy",
            ];
            let bare = name.trim_start_matches("disable-");
            let help = match closest(name, known()) {
                _ if switches.contains(&bare) => {
                    let switch = bare.replace("cloudController", "cloud-controller");
                    format!(
                        "{} has a switch for it: `disable-{switch}: true` in a file below {}.d",
                        facts.name, facts.config
                    )
                }
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "known components: {}",
                    known().collect::<Vec<_>>().join(", ")
                ),
            };
            let of = facts.name;
            let message = format!("{of} has no packaged component `{name}` and would ignore it");
            self.report_of(
                Severity::Warning,
                codes::UnknownComponent,
                context,
                &part.origin,
                message,
            )
            .help(help);
        }
    }

    /// The kubelet labels the node with its name, which therefore ends where a label's value does.
    pub(super) fn node_name(&mut self, context: &Context<'_>) {
        let with_id = context
            .joined
            .last("with-node-id")
            .is_some_and(|value| value.text == "true");
        // The identity is eight digits behind a `-` (K3s, pkg/agent/config).
        let most = MAX_NODE_NAME - if with_id { 9 } else { 0 };
        let message = |name: &str| {
            let length = name.len();
            format!(
                "a node's name has at most {most} characters, as a label, and `{name}` has {length}"
            )
        };
        let help = "choose a shorter name, or give another one as nodeName";
        match (
            context.joined.last("node-name"),
            &context.config.operating_system.hostname,
        ) {
            // One that no node can have is an invalid value already.
            (Some(value), _) if (most + 1..=MAX_NODE_NAME).contains(&value.text.len()) => {
                let message = message(&value.text);
                self.error_of(codes::NodeName, context, &value.origin, message)
                    .help(help);
            }
            (None, Some(host)) if host.as_str().len() > most => {
                let at = Pointer::from("/operatingSystem/hostname");
                let message = message(host.as_str());
                self.error(codes::NodeName, &at, message).help(help);
            }
            _ => {}
        }
        let at = self.below_spec("agentConfig/nodeName");
        if let Some(NodeKind::Scalar { text, .. }) =
            self.tree.find(&at).map(|id| &self.tree.node(id).kind)
            && text.chars().any(|c| c.is_ascii_uppercase())
        {
            let lower = text.to_ascii_lowercase();
            let message = format!(
                "the node is called `{lower}`: {} lowers the name",
                context.facts.name
            );
            self.note(codes::NodeNameCase, &at, message)
                .help(format!("write `{lower}`"));
        }
    }

    fn unknown_setting(&mut self, context: &Context<'_>, key: &Key) {
        let (name, written) = (context.facts.name, &key.written);
        let bare = written.strip_suffix('+').unwrap_or(written);
        let near = closest(bare, context.facts.settings().map(|known| known.name));
        let message = format!("{name} does not know the setting `{written}` and would ignore it");
        self.report_of(
            Severity::Warning,
            codes::K3sSetting,
            context,
            &key.origin,
            message,
        )
        .help = near.map(|near| format!("did you mean `{near}`?"));
    }

    fn replaced(&mut self, context: &Context<'_>, key: &Key) {
        let written = &key.written;
        let message =
            format!("`{written}` here replaces what the config-file's own keys make of it");
        self.report_of(
            Severity::Note,
            codes::K3sSettingReplaced,
            context,
            &key.origin,
            message,
        )
        .help(format!(
            "write `{written}+` to append to a list, or use the config-file's key alone"
        ));
    }

    fn surprise(&mut self, context: &Context<'_>, surprise: &Surprise) {
        let (name, key) = (context.facts.name, &surprise.key);
        let (message, help) = match &surprise.kind {
            SurpriseKind::Scalar { typed, got } => (
                format!("{name} reads `{typed}` as {got}: its files are YAML 1.1"),
                format!("write it in quotes: `{key}: \"{typed}\"`"),
            ),
            SurpriseKind::Mapping { got } => (
                format!("a mapping, of which {name} would make the string `{got}`"),
                format!("write a list of strings, such as `{key}: [\"a=b\"]`"),
            ),
        };
        self.error_of(codes::K3sValueChanged, context, &surprise.origin, message)
            .help(help);
    }

    fn value(&mut self, context: &Context<'_>, known: &Known, value: &Value) {
        let text = value.text.as_str();
        let of_kind = match known.kind {
            Kind::Switch => is_switch(text).then_some(()).ok_or("true or false"),
            Kind::Number => text.parse::<i64>().map(drop).map_err(|_| "a whole number"),
            Kind::Duration => is_duration(text)
                .then_some(())
                .ok_or("a time such as 10m or 1h30m"),
            Kind::PortRange => is_port_range(text)
                .then_some(())
                .ok_or("a range of ports such as 30000-32767"),
            Kind::ServerUrl => text
                .starts_with("https://")
                .then_some(())
                .ok_or("the URL of a server, such as https://192.0.2.10:6443"),
            Kind::FileMode | Kind::Schedule => return self.ignored_value(context, known, value),
            Kind::OneOf(choices) => return self.choice(context, known, choices, value),
            Kind::Text | Kind::File | Kind::List | Kind::Commas => Ok(()),
        };
        if let Err(wanted) = of_kind {
            let name = context.facts.name;
            let message = format!("`{text}` is not {wanted}: {name} would not start");
            self.error_of(codes::K3sValue, context, &value.origin, message);
            return;
        }
        let parts: Vec<&str> = match known.kind {
            Kind::Commas => text.split(',').map(str::trim).collect(),
            _ => vec![text],
        };
        for part in parts
            .into_iter()
            .filter(|part| !part.is_empty() && !known.format.is_empty())
        {
            // A node's name is lowered before it is used.
            let part = match known.format {
                "node-name" => part.to_lowercase(),
                _ => part.to_owned(),
            };
            if let Err(complaint) = check_value(known.format, &part) {
                let mut of =
                    self.error_of(complaint.code, context, &value.origin, complaint.message);
                of.help = complaint.help;
            }
        }
    }

    /// Values with which the distribution starts, and does nothing for them.
    fn ignored_value(&mut self, context: &Context<'_>, known: &Known, value: &Value) {
        let text = value.text.as_str();
        let (fits, wanted, instead) = match known.kind {
            Kind::FileMode => (
                is_file_mode(text),
                "a mode of octal digits, such as \"0640\"",
                "leaves the file 0600",
            ),
            _ => (
                is_schedule(text),
                "a time table of five fields, such as \"0 */12 * * *\"",
                "would take no snapshot",
            ),
        };
        if !fits {
            let name = context.facts.name;
            let message = format!("`{text}` is not {wanted}: {name} {instead}");
            self.report_of(
                Severity::Warning,
                codes::K3sValueIgnored,
                context,
                &value.origin,
                message,
            );
        }
    }

    fn choice(&mut self, context: &Context<'_>, known: &Known, choices: &[&str], value: &Value) {
        let text = value.text.as_str();
        if text.is_empty() || choices.contains(&text) {
            return;
        }
        let help = match closest(text, choices.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("allowed: {}", choices.join(", ")),
        };
        let (name, key) = (context.facts.name, known.name);
        let message = format!("`{text}` is not a value of `{key}`: {name} would not start");
        self.error_of(codes::K3sValue, context, &value.origin, message)
            .help(help);
    }
}

/// Whether a file of the config-file may give a setting to the distribution's unit as a variable (K3s, pkg/cli/cmds).
fn is_in_environment(context: &Context<'_>, setting: &str) -> bool {
    let name = setting.replace('-', "_").to_uppercase();
    let variable = format!("{}_{name}", context.facts.name.to_uppercase());
    let mut files = context.files();
    files.any(|file| String::from_utf8_lossy(&file.bytes().unwrap_or_default()).contains(&variable))
}

fn is_true(text: &str) -> bool {
    ["1", "t", "T", "TRUE", "true", "True"].contains(&text)
}

fn is_false(text: &str) -> bool {
    ["0", "f", "F", "FALSE", "false", "False"].contains(&text)
}

/// Kubernetes, apimachinery/pkg/util/net, ParsePortRange.
fn is_port_range(text: &str) -> bool {
    let text = text.trim();
    let port = |text: &str| {
        text.trim()
            .parse::<u32>()
            .ok()
            .filter(|port| *port <= 65535)
    };
    if let Some((base, offset)) = text.split_once('+') {
        return matches!((port(base), port(offset)), (Some(base), Some(offset)) if base + offset <= 65535);
    }
    match text.split_once('-') {
        Some((low, high)) => {
            matches!((port(low), port(high)), (Some(low), Some(high)) if low <= high)
        }
        None => port(text).is_some(),
    }
}

/// Digits that Go's strconv.ParseInt takes with base 8.
fn is_file_mode(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit))
}

/// What robfig/cron reads without seconds: five fields, behind a time zone, or a word such as `@daily`.
fn is_schedule(text: &str) -> bool {
    let text = match text
        .strip_prefix("TZ=")
        .or_else(|| text.strip_prefix("CRON_TZ="))
    {
        Some(zone) => zone.split_once(' ').map_or("", |(_, rest)| rest),
        None => text,
    };
    let words = [
        "@yearly",
        "@annually",
        "@monthly",
        "@weekly",
        "@daily",
        "@midnight",
        "@hourly",
    ];
    if let Some(every) = text.strip_prefix("@every ") {
        return is_duration(every);
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || "*/,-?".contains(c);
    let mut fields = text.split_whitespace();
    words.contains(&text)
        || (fields.clone().count() == 5 && fields.all(|field| field.chars().all(is_part)))
}

/// Whether Go's strconv.ParseBool takes the text.
pub(super) fn is_switch(text: &str) -> bool {
    is_true(text) || is_false(text)
}

/// Whether Go's time.ParseDuration takes the text: numbers with units, one after another.
pub(super) fn is_duration(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut rest = unsigned;
    if rest == "0" {
        return true;
    }
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let units = ["ns", "us", "\u{b5}s", "ms", "s", "m", "h"];
        let number = rest[..end].parse::<f64>().is_ok();
        let after = &rest[end..];
        // `m` begins `ms` as well, so the longest unit that is there is taken.
        let fits = units.iter().filter(|unit| after.starts_with(**unit));
        let Some(unit) = fits.max_by_key(|unit| unit.len()).filter(|_| number) else {
            return false;
        };
        rest = &after[unit.len()..];
    }
    !unsigned.is_empty()
}
