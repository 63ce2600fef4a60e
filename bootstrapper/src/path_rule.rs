//! Paths that the conversion keeps for itself, as rules that can be asked before there is a tree.

use std::borrow::Cow;
use std::fmt;

/// A path, in which `*` stands for any part of one name and `/**` at the end for all that is below.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathRule(Cow<'static, str>);

impl PathRule {
    pub(crate) const fn new(rule: &'static str) -> Self {
        Self(Cow::Borrowed(rule))
    }

    /// The path in which `part` takes the place of the `*`.
    pub(crate) fn with(&self, part: &str) -> String {
        self.0.replacen('*', part, 1)
    }

    /// Whether a path is one of these.
    pub fn covers(&self, path: &str) -> bool {
        if !path.starts_with(self.start()) {
            return false;
        }
        let (own, path) = (self.steps(), steps(path));
        match own.split_last() {
            Some((last, above)) if *last == "**" => {
                path.len() > above.len() && all_fit(above, &path)
            }
            _ => path.len() == own.len() && all_fit(&own, &path),
        }
    }

    /// Whether a file at `path` keeps these from being there: it is one of them, above or below one.
    pub fn excludes(&self, path: &str) -> bool {
        let start = self.start();
        if !path.starts_with(start) && !start.starts_with(path) {
            return false;
        }
        let mut own = self.steps();
        own.retain(|step| *step != "**");
        all_fit(&own, &steps(path))
    }

    /// What comes before the first `*`. Most rules are of another directory than a path, and there may be many paths.
    fn start(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }

    fn steps(&self) -> Vec<&str> {
        steps(&self.0)
    }
}

impl From<String> for PathRule {
    fn from(path: String) -> Self {
        Self(Cow::Owned(path))
    }
}

impl fmt::Display for PathRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn steps(path: &str) -> Vec<&str> {
    path.split('/').filter(|step| !step.is_empty()).collect()
}

/// Whether the steps fit as far as both go.
fn all_fit(rules: &[&str], names: &[&str]) -> bool {
    rules.iter().zip(names).all(|(rule, name)| fits(rule, name))
}

fn fits(rule: &str, name: &str) -> bool {
    let Some((start, rest)) = rule.split_once('*') else {
        return rule == name;
    };
    let Some(name) = name.strip_prefix(start) else {
        return false;
    };
    (0..=name.len())
        .filter(|at| name.is_char_boundary(*at))
        .any(|at| fits(rest, &name[at..]))
}

#[cfg(test)]
mod tests {
    use super::PathRule;

    const KEYS: PathRule = PathRule::new("/etc/ssh/ssh_host_*_key*");
    const BELOW: PathRule = PathRule::new("/etc/rancher/emts/**");

    #[test]
    fn a_star_is_any_part_of_one_name() {
        for path in [
            "/etc/ssh/ssh_host_rsa_key",
            "/etc/ssh/ssh_host_x_y_key.pub",
            "/etc/ssh/ssh_host__key-cert.pub",
        ] {
            assert!(KEYS.covers(path), "{path}");
        }
        for path in [
            "/etc/ssh/ssh_host_key",
            "/etc/ssh/ssh_host_a/b_key",
            "/etc/ssh/x/ssh_host_a_key",
            "/etc/ssh",
        ] {
            assert!(!KEYS.covers(path), "{path}");
        }
    }

    #[test]
    fn two_stars_are_all_that_is_below() {
        assert!(BELOW.covers("/etc/rancher/emts/a/b"));
        assert!(!BELOW.covers("/etc/rancher/emts"));
        assert!(!BELOW.covers("/etc/rancher/emtsx/a"));
        let drop_ins = PathRule::new("/etc/*.d/**");
        assert!(drop_ins.covers("/etc/a.d/b"));
        assert!(!drop_ins.covers("/etc/a.d"));
    }

    #[test]
    fn a_file_above_or_below_is_in_the_way() {
        for path in [
            "/etc",
            "/etc/rancher",
            "/etc/rancher/emts",
            "/etc/rancher/emts/a",
        ] {
            assert!(BELOW.excludes(path), "{path}");
        }
        assert!(KEYS.excludes("/etc/ssh/ssh_host_rsa_key/x"));
        assert!(!KEYS.excludes("/etc/ssh/sshd_config.d/x"));
    }

    #[test]
    fn a_rule_with_a_part_is_a_path() {
        assert_eq!(PathRule::new("/a/90-*.x").with("b"), "/a/90-b.x");
    }
}
