//! Which paths of the packages get into an image.

use anyhow::{Result, ensure};

/// A path pattern: `*` is anything within a name, a `/` at the end a whole directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    names: Vec<String>,
    directory: bool,
}

impl Pattern {
    /// Reads a pattern; paths are relative to the image's root.
    pub fn parse(text: &str) -> Result<Self> {
        let directory = text.ends_with('/');
        let names: Vec<String> = text
            .trim_end_matches('/')
            .split('/')
            .map(str::to_owned)
            .collect();
        let valid = names
            .iter()
            .all(|name| !matches!(name.as_str(), "" | "." | ".."));
        ensure!(valid, "{text:?} is no path relative to the image's root");
        Ok(Self { names, directory })
    }

    /// Reads patterns.
    pub fn list(texts: &[String]) -> Result<Vec<Self>> {
        texts.iter().map(|text| Self::parse(text)).collect()
    }

    /// Whether a path without leading or trailing `/` is meant.
    pub fn matches(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        let long_enough = if self.directory {
            names.len() >= self.names.len()
        } else {
            names.len() == self.names.len()
        };
        long_enough
            && self
                .names
                .iter()
                .zip(&names)
                .all(|(pattern, name)| name_matches(pattern, name))
    }

    /// Whether a path is a directory on the way to what is meant.
    fn leads_on_from(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        names.len() < self.names.len()
            && self
                .names
                .iter()
                .zip(&names)
                .all(|(pattern, name)| name_matches(pattern, name))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}{}",
            self.names.join("/"),
            if self.directory { "/" } else { "" }
        )
    }
}

fn name_matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(first) else {
        return false;
    };
    (0..=name.len())
        .filter(|&at| name.is_char_boundary(at))
        .any(|at| name_matches(rest, &name[at..]))
}

/// What stays and what goes. Going is stronger, and licences are stronger than both.
#[derive(Debug)]
pub struct Selection {
    /// What stays; everything when `None`.
    pub keep: Option<Vec<Pattern>>,
    /// What goes.
    pub drop: Vec<Pattern>,
}

impl Selection {
    /// Whether a file or directory gets into the image.
    pub fn takes(&self, path: &str, is_folder: bool) -> bool {
        if is_licence(path) {
            return true;
        }
        if self.drop.iter().any(|pattern| pattern.matches(path)) {
            return false;
        }
        self.keep.as_ref().is_none_or(|keep| {
            keep.iter()
                .any(|pattern| pattern.matches(path) || (is_folder && pattern.leads_on_from(path)))
        })
    }
}

/// /usr/share/doc/PACKAGE/copyright, which may be a link from one directory to another, and what they refer to.
fn is_licence(path: &str) -> bool {
    let names: Vec<&str> = path.split('/').collect();
    matches!(names[..], ["usr", "share", "doc", _, "copyright"])
        || path.starts_with("usr/share/common-licenses/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(keep: &[&str], drop: &[&str]) -> Selection {
        let list = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| Pattern::parse(text).unwrap())
                .collect::<Vec<_>>()
        };
        Selection {
            keep: (!keep.is_empty()).then(|| list(keep)),
            drop: list(drop),
        }
    }

    #[test]
    fn a_folder_pattern_means_all_below() {
        let pattern = Pattern::parse("lib/modules/").unwrap();
        assert!(pattern.matches("lib/modules") && pattern.matches("lib/modules/6.1/x.ko"));
        assert!(!pattern.matches("lib/modulesx"));
    }

    #[test]
    fn a_star_stays_within_a_name() {
        let pattern = Pattern::parse("drivers/net/*.ko").unwrap();
        assert!(pattern.matches("drivers/net/virtio_net.ko"));
        assert!(!pattern.matches("drivers/net/phy/fixed.ko"));
    }

    #[test]
    fn going_is_stronger_than_staying() {
        let selection = selection(&["lib/"], &["lib/systemd/"]);
        assert!(
            selection.takes("lib/libc.so.6", false) && !selection.takes("lib/systemd/x", false)
        );
        assert!(!selection.takes("etc/passwd", false));
    }

    #[test]
    fn folders_on_the_way_stay() {
        let selection = selection(&["usr/sbin/runc"], &[]);
        assert!(selection.takes("usr", true) && selection.takes("usr/sbin", true));
        assert!(!selection.takes("usr/share", true));
    }

    #[test]
    fn licences_stay_whatever_goes() {
        let selection = selection(&["bin/"], &["usr/share/doc/"]);
        assert!(selection.takes("usr/share/doc/kmod/copyright", false));
        assert!(!selection.takes("usr/share/doc/kmod/changelog.gz", false));
    }

    #[test]
    fn a_path_out_of_the_image_is_refused() {
        assert!(Pattern::parse("../etc").is_err() && Pattern::parse("/etc").is_err());
    }
}
