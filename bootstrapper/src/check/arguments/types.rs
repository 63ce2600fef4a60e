//! Values of flags by their types, as Go reads them.

use super::flags::{self, Flag, KUBERNETES};
use crate::check::settings::{is_duration, is_switch};
use crate::codes;
use crate::text::closest;
use diagnostics::code::Code;
use std::net::{IpAddr, SocketAddr};

/// Why a component does not take a value, or a part of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Whether another version of Kubernetes may take it.
    pub(super) of_version: bool,
}

impl Fault {
    fn new(message: String) -> Self {
        Self {
            code: codes::ArgumentValue.into(),
            message,
            help: None,
            of_version: false,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn of_version(self) -> Self {
        Self {
            of_version: true,
            ..self
        }
    }
}

/// What is wrong with a flag's value; lazily, for a list may have more faults than anybody reads.
pub(super) fn faults<'a>(flag: &'a Flag, value: &'a str) -> Box<dyn Iterator<Item = Fault> + 'a> {
    let parts = || value.split(',').filter(|part| !part.is_empty());
    if flag.name == "feature-gates" {
        return Box::new(parts().filter_map(gate));
    }
    match flag.kind {
        "mapStringString" | "stringToString" => {
            Box::new(parts().filter_map(|part| pair(flag, part, '=')))
        }
        "mapByLess" => Box::new(parts().filter_map(|part| pair(flag, part, '<'))),
        "pair" => Box::new(pair(flag, value, '=').into_iter()),
        "stringSlice" | "stringArray" => Box::new(parts().filter_map(|part| choice(flag, part))),
        _ => Box::new(scalar(flag, value).into_iter()),
    }
}

fn scalar(flag: &Flag, value: &str) -> Option<Fault> {
    let number = || number(value);
    let (fits, wanted) = match flag.kind {
        "bool" => (is_switch(value), "true or false"),
        "int" | "int64" => (number().is_some(), "a whole number"),
        "uint" => (number().is_some_and(|n| n >= 0), "a whole number from 0"),
        "int32" | "Level" => (
            number().is_some_and(|n| i32::try_from(n).is_ok()),
            "a whole number of 32 bits",
        ),
        "float32" | "float64" => (value.parse::<f64>().is_ok(), "a number"),
        "duration" => (is_duration(value), "a time such as 30s or 1h30m"),
        "ip" => (
            value.parse::<IpAddr>().is_ok(),
            "an address of IPv4 or IPv6",
        ),
        "ipport" => (is_ip_port(value), "an address, or one with a port"),
        "quantity" => (is_quantity(value), "an amount such as 500m or 1Gi"),
        "string" if flag.name == "reserved-cpus" => (is_cpu_set(value), "CPUs such as 0-1,4"),
        "portRange" => (is_port_range(value), "ports such as 30000-32767"),
        _ => (true, ""),
    };
    if !fits {
        let name = flag.name;
        return Some(Fault::new(format!(
            "`{value}` is not a value of {name}, which takes {wanted}"
        )));
    }
    bounds(flag, value).or_else(|| choice(flag, value))
}

/// A whole number as strconv.ParseInt reads it with base 0.
fn number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, base) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0b") => (&lower[2..], 2),
        Some("0o") => (&lower[2..], 8),
        _ if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let digits = digits.replace('_', "");
    i64::from_str_radix(&digits, base).ok().map(|n| sign * n)
}

/// `from-to`, `from+count` or one port (k8s.io/apimachinery, util/net).
fn is_port_range(text: &str) -> bool {
    let port = |text: &str| text.trim().parse::<u16>().ok();
    if let Some((from, to)) = text.split_once('-') {
        return matches!((port(from), port(to)), (Some(from), Some(to)) if from <= to);
    }
    let (from, more) = text.split_once('+').unwrap_or((text, "0"));
    let end = port(from).and_then(|from| from.checked_add(port(more)?));
    text.is_empty() || end.is_some()
}

fn is_ip_port(text: &str) -> bool {
    let (address, with_port) = (text.parse::<IpAddr>(), text.parse::<SocketAddr>());
    text.is_empty() || address.is_ok() || with_port.is_ok()
}

/// Numbers of CPUs and ranges of them (k8s.io/utils, cpuset).
fn is_cpu_set(text: &str) -> bool {
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    let mut parts = text.split(',');
    text.is_empty()
        || parts.all(|part| match part.split_once('-') {
            Some((from, to)) => is_number(from) && is_number(to),
            None => is_number(part),
        })
}

/// Numbers that a component takes no others of than these.
const BOUNDS: &[(&str, i64, i64)] = &[
    ("image-gc-high-threshold", 0, 100),
    ("image-gc-low-threshold", 0, 100),
    ("max-pods", 0, i32::MAX as i64),
    ("node-cidr-mask-size", 0, 128),
    ("node-cidr-mask-size-ipv4", 0, 32),
    ("node-cidr-mask-size-ipv6", 0, 128),
    ("oom-score-adj", -1000, 1000),
    ("port", 1, 65535),
    ("secure-port", 0, 65535),
];

fn bounds(flag: &Flag, value: &str) -> Option<Fault> {
    let (name, from, to) = BOUNDS.iter().find(|(name, ..)| *name == flag.name)?;
    let fits = number(value).is_none_or(|n| (*from..=*to).contains(&n));
    (!fits).then(|| {
        Fault::new(format!(
            "`{value}` is not a value of {name}, which takes {from} to {to}"
        ))
    })
}

/// A value that must be one of those that the flag has, if it has any.
fn choice(flag: &Flag, value: &str) -> Option<Fault> {
    let name = match flag.name {
        // `*` is all of them, and `-` takes one away.
        "controllers" => value.strip_prefix('-').unwrap_or(value),
        _ => value,
    };
    let mut known = flag.values().peekable();
    if known.peek().is_none() || name.is_empty() || known.any(|known| known == name) {
        return None;
    }
    let trimmed = name.trim();
    let tls = flag.name.starts_with("tls-");
    let quote = |near: &str| match tls {
        true => near.to_owned(),
        false => format!("`{near}`"),
    };
    let help = match near(trimmed, flag.values()) {
        Some(near) if near == trimmed => format!("write {near} without spaces"),
        Some(near) => format!("did you mean {}?", quote(near)),
        None => list(flag.values()),
    };
    let of = flag.name;
    let fault = match tls {
        true => Fault {
            code: codes::TlsName.into(),
            ..Fault::new(format!("Go's TLS does not know `{name}` in {of}"))
        },
        false => Fault::new(format!("`{name}` is not a value of {of}")).of_version(),
    };
    Some(fault.help(help))
}

/// The value that was meant: the nearest, or the only one that begins as what was written.
fn near(text: &str, known: impl Iterator<Item = &'static str> + Clone) -> Option<&'static str> {
    closest(text, known.clone()).or_else(|| {
        let mut begin = known.filter(|known| !text.is_empty() && known.starts_with(text));
        begin.next().filter(|_| begin.next().is_none())
    })
}

/// Known values, as many as go into a line.
fn list(known: impl Iterator<Item = &'static str>) -> String {
    const LONGEST: usize = 160;
    let known: Vec<&str> = known.collect();
    let all = known.join(", ");
    match all.len() <= LONGEST {
        true => format!("known: {all}"),
        false => {
            let end = all[..LONGEST].rfind(", ").unwrap_or(LONGEST);
            format!("known: {} and others", &all[..end])
        }
    }
}

/// A key and its value in a map.
fn pair(flag: &Flag, part: &str, between: char) -> Option<Fault> {
    let Some((key, value)) = part.split_once(between) else {
        let name = flag.name;
        let message =
            format!("`{part}` in {name} has no `{between}`: it takes key{between}value,...");
        return Some(Fault::new(message));
    };
    let (key, value) = (key.trim(), value.trim());
    if let Some(fault) = choice(flag, key) {
        return Some(fault);
    }
    let (fits, wanted) = match flag.name {
        "kube-reserved" | "system-reserved" => (
            is_quantity(value) && !value.starts_with('-'),
            "an amount such as 500m or 1Gi",
        ),
        "eviction-hard" | "eviction-soft" | "eviction-minimum-reclaim" => (
            is_quantity(value) || is_percentage(value),
            "an amount such as 500Mi, or a percentage such as 10%",
        ),
        "eviction-soft-grace-period" => (is_duration(value), "a time such as 1m30s"),
        _ => (true, ""),
    };
    (!fits).then(|| {
        let name = flag.name;
        Fault::new(format!(
            "`{value}` is not a value of {key} in {name}, which takes {wanted}"
        ))
    })
}

/// An amount as resource.ParseQuantity of Kubernetes reads it.
fn is_quantity(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, suffix) = unsigned.split_at(end.unwrap_or(unsigned.len()));
    let suffixes = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    let exponent = suffix.strip_prefix(['e', 'E']);
    let fits = suffixes.contains(&suffix) || exponent.is_some_and(|e| e.parse::<i32>().is_ok());
    number.parse::<f64>().is_ok() && fits
}

fn is_percentage(text: &str) -> bool {
    let number = text.strip_suffix('%').and_then(|n| n.parse::<f64>().ok());
    number.is_some_and(|n| (0.0..=100.0).contains(&n))
}

/// A feature gate, which the components of the control plane take with a component's name before it.
fn gate(part: &str) -> Option<Fault> {
    let gate = part.split_once(':').map_or(part, |(_, gate)| gate);
    let fault = |message: String| Fault {
        code: codes::FeatureGate.into(),
        ..Fault::new(message)
    };
    let Some((name, value)) = gate.split_once('=') else {
        let message = format!("`{part}` in feature-gates has no `=`");
        return Some(fault(message).help("write name=true or name=false"));
    };
    let (name, value) = (name.trim(), value.trim());
    let Some(known) = flags::gate(name) else {
        let message = format!("Kubernetes {KUBERNETES} has no feature gate `{name}`");
        let near = near(name, flags::gates().iter().map(|gate| gate.name));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        return Some(Fault {
            help,
            ..fault(message).of_version()
        });
    };
    if !is_switch(value) {
        let message = format!(
            "`{value}` is not a value of the feature gate {name}, which takes true or false"
        );
        return Some(fault(message));
    }
    let given = value.starts_with(['1', 't', 'T']).to_string();
    let fixed = known.values().next().filter(|fixed| *fixed != given)?;
    let message = format!("the feature gate {name} is {fixed} in Kubernetes {KUBERNETES} for good");
    Some(fault(message).help("leave it out").of_version())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_go_reads_it() {
        for (text, read) in [
            ("250", Some(250)),
            ("-1", Some(-1)),
            ("+7", Some(7)),
            ("0x1f", Some(31)),
            ("0b11", Some(3)),
            ("0o17", Some(15)),
            ("010", Some(8)),
            ("1_000", Some(1000)),
            ("0", Some(0)),
            ("", None),
            ("--1", None),
            ("1e3", None),
            ("09", None),
            ("two", None),
            ("1.0", None),
        ] {
            assert_eq!(number(text), read, "{text}");
        }
    }

    #[test]
    fn an_amount_is_read_as_kubernetes_reads_it() {
        for text in ["0", "1", "1.5", ".5", "500m", "1Gi", "1e3", "-1", "2E"] {
            assert!(is_quantity(text), "{text}");
        }
        for text in ["", "m", "1GB", "1 Gi", "1gi", "one", "1e", "1..5"] {
            assert!(!is_quantity(text), "{text}");
        }
    }

    #[test]
    fn ports_are_a_range_a_port_with_a_count_or_one() {
        for text in ["", "80", "30000-32767", "30000+100"] {
            assert!(is_port_range(text), "{text}");
        }
        for text in ["a", "2-1", "1-70000", "65535+1", "1-"] {
            assert!(!is_port_range(text), "{text}");
        }
    }
}
