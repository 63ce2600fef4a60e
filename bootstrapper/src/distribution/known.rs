//! What is known of a setting that a distribution reads from its files: its type, and what its values must be.

/// A setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// Another key for it; empty for none.
    pub(crate) short: &'static str,
    /// The setting that it is an older name of; empty for none.
    pub(crate) same_as: &'static str,
    pub(crate) kind: Kind,
    /// `format` of the value, or of each element; empty where any text is taken.
    pub(crate) format: &'static str,
}

/// Type of a setting, as a command line's flag has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// True or false, as Go's strconv.ParseBool reads it.
    Switch,
    /// A whole number.
    Number,
    Text,
    /// A time as Go's time.ParseDuration reads it.
    Duration,
    /// Ports as Kubernetes' ParsePortRange reads them: `30000-32767`, `30000+100` or one.
    PortRange,
    /// The URL of a server of the distribution (K3s, pkg/clientaccess).
    ServerUrl,
    /// Permission bits in octal digits; what has others leaves the mode as it is (K3s, pkg/server).
    FileMode,
    /// A time table as cron has it; with another one nothing is ever due (K3s, pkg/etcd/snapshot.go).
    Schedule,
    /// One of some texts.
    OneOf(&'static [&'static str]),
    /// The path of a file that is read.
    File,
    /// A list whose elements are taken as they are.
    List,
    /// A list whose elements are split at commas.
    Commas,
}

impl Known {
    pub(crate) const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            short: "",
            same_as: "",
            kind,
            format: "",
        }
    }

    pub(crate) const fn short(mut self, key: &'static str) -> Self {
        self.short = key;
        self
    }

    pub(crate) const fn same_as(mut self, name: &'static str) -> Self {
        self.same_as = name;
        self
    }

    pub(crate) const fn format(mut self, format: &'static str) -> Self {
        self.format = format;
        self
    }

    /// Whether a key of a file means this setting.
    pub(crate) fn is(&self, key: &str) -> bool {
        self.name == key || (!self.short.is_empty() && self.short == key)
    }

    /// The name that values of it are collected under.
    pub(crate) fn joined_name(&self) -> &'static str {
        match self.same_as {
            "" => self.name,
            name => name,
        }
    }
}

/// Settings of which one is not taken with another, or not without it.
#[derive(Debug)]
pub(crate) struct Conflict {
    /// Set to something, and not switched off.
    pub(crate) setting: &'static str,
    pub(crate) other: Other,
    /// What happens, and what to do.
    pub(crate) message: &'static str,
    pub(crate) help: &'static str,
}

/// What makes a setting a conflict.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Other {
    /// Nothing else: it has no place on a node that is to keep running.
    Any,
    With(&'static str),
    /// None of these.
    Without(&'static [&'static str]),
}
