//! The flags of Kubernetes' components: a table read off their own flag sets.

use std::sync::LazyLock;

/// Version of the table.
pub(super) const KUBERNETES: &str = "1.33";
/// What stands in the table in place of a component for the feature gates, which all components have in common.
const GATES: &str = "feature-gates";

/// A flag of a component, or a feature gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) component: &'static str,
    pub(super) name: &'static str,
    /// Type of the value, as Kubernetes calls it.
    pub(super) kind: &'static str,
    /// Texts that the value, an element of it or a key of it can be, with `,` between; empty where any text is taken.
    values: &'static str,
}

impl Flag {
    pub(super) fn values(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        self.values.split(',').filter(|value| !value.is_empty())
    }

    /// Whether it takes one value, of several the last.
    pub(super) fn takes_one(&self) -> bool {
        let kinds = [
            "Level",
            "LocalMode",
            "ProxyMode",
            "bool",
            "duration",
            "float32",
            "float64",
            "int",
            "int32",
            "int64",
            "ip",
            "ipport",
            "portRange",
            "quantity",
            "string",
            "uint",
        ];
        kinds.contains(&self.kind)
    }

    /// Whether it needs no value.
    pub(super) fn is_switch(&self) -> bool {
        ["bool", "version"].contains(&self.kind)
    }
}

/// By component, then by name.
static TABLE: LazyLock<Vec<Flag>> = LazyLock::new(|| {
    let lines = include_str!("flags.tsv").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines.filter_map(of_line).collect()
});

fn of_line(line: &'static str) -> Option<Flag> {
    let mut columns = line.split('\t');
    Some(Flag {
        component: columns.next()?,
        name: columns.next()?,
        kind: columns.next()?,
        values: columns.next()?,
    })
}

/// etcd has no pflags. K3s writes its arguments to etcd's configuration, which may have further keys.
const ETCD: Flag = Flag {
    component: "etcd",
    name: "tls-min-version",
    kind: "string",
    values: "TLS1.2,TLS1.3",
};

/// The flags of a component; none of one that the table does not have.
pub(super) fn of(component: &str) -> &'static [Flag] {
    let start = TABLE.partition_point(|flag| flag.component < component);
    let end = TABLE.partition_point(|flag| flag.component <= component);
    &TABLE[start..end]
}

pub(super) fn find(component: &str, name: &str) -> Option<&'static Flag> {
    if (component, name) == (ETCD.component, ETCD.name) {
        return Some(&ETCD);
    }
    let flags = of(component);
    let at = flags.binary_search_by(|flag| flag.name.cmp(name)).ok()?;
    Some(&flags[at])
}

/// The feature gates; the value of one that cannot be changed is its only one.
pub(super) fn gates() -> &'static [Flag] {
    of(GATES)
}

pub(super) fn gate(name: &str) -> Option<&'static Flag> {
    find(GATES, name)
}

/// Other components that have a flag.
pub(super) fn others_with(name: &str) -> impl Iterator<Item = &'static str> {
    let flags = TABLE.iter().filter(|flag| flag.component != GATES);
    flags
        .filter(move |flag| flag.name == name)
        .map(|flag| flag.component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_in_which_it_is_searched() {
        let keys: Vec<_> = TABLE.iter().map(|f| (f.component, f.name)).collect();
        assert!(keys.is_sorted());
    }

    #[test]
    fn every_line_is_read() {
        let lines = include_str!("flags.tsv").lines();
        let lines = lines.filter(|line| !line.starts_with('#')).count();
        assert_eq!(TABLE.len(), lines);
    }
}
