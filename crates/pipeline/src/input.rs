//! What stages are made of. A stage's inputs are a value: fields that are a [`Source`] or an [`Output`] count by their
//! content, fields that are a [`Place`] do not count, all others by what they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest;

/// A file or directory whose content counts, and not where it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    #[serde(rename = "$source")]
    path: PathBuf,
    /// What people know it by, in the same way on every machine.
    name: String,
    /// The SHA-256 of a file that was read before, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl Source {
    /// Something outside the checkout, by a name that is the same on every machine.
    pub fn named(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            name: name.into(),
            sha256: None,
        }
    }

    /// A file with the content that it has now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(name: &str, path: &Path) -> Result<Self> {
        Ok(Self::known(name, path, &digest::of_file(path)?))
    }

    /// A file with the content that it had when it was chosen.
    pub fn known(name: &str, path: &Path, sha256: &str) -> Self {
        Self {
            path: path.to_owned(),
            name: name.to_owned(),
            sha256: Some(sha256.to_owned()),
        }
    }

    /// What people know it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its SHA-256 in hexadecimal, where it was read before.
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }
}

/// Files and directories of which each stays below one directory: what a tool is given as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sources {
    directory: Place,
    parts: Vec<Source>,
}

impl Sources {
    /// Parts of the directory `name` of a checkout.
    pub fn of(root: &Path, name: &str, parts: &[&str]) -> Self {
        let part = |part: &&str| {
            let name = Path::new(name).join(part);
            Source::named(name.display().to_string(), root.join(name))
        };
        Self {
            directory: Place::new(root.join(name)),
            parts: parts.iter().map(part).collect(),
        }
    }

    /// Where a part is.
    ///
    /// # Errors
    /// It is none of the parts, nor below one.
    pub fn part(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.path.join(name);
        let counts = |part: &Source| path.starts_with(&part.path);
        ensure!(
            self.parts.iter().any(counts),
            "the stage uses {}, which is none of its inputs",
            path.display()
        );
        Ok(path)
    }
}

/// A place that a stage has to know and that makes no difference to its output.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
    /// Where.
    #[serde(rename = "$place")]
    pub path: PathBuf,
}

impl Place {
    /// A path that does not count.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// The output of another stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The stage.
    #[serde(rename = "$output")]
    pub stage: String,
    /// Where it is.
    pub directory: PathBuf,
    /// The digest of its content.
    pub digest: String,
}

/// Name and digest of everything that counts in a stage's inputs.
///
/// # Errors
/// A source cannot be read, or two have one name.
pub fn digests(inputs: &Value) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    collect(inputs, "", &mut found)?;
    Ok(found)
}

fn collect(value: &Value, at: &str, found: &mut BTreeMap<String, String>) -> Result<()> {
    let below = |step: &str| match at {
        "" => step.to_owned(),
        at => format!("{at}.{step}"),
    };
    match value {
        Value::Null => Ok(()),
        Value::Object(map) if map.contains_key("$place") => Ok(()),
        Value::Object(map) if map.contains_key("$source") => {
            let source: Source = serde_json::from_value(value.clone())?;
            let digest = match source.sha256 {
                Some(sha256) => sha256,
                None => digest::of_path(&source.path)
                    .with_context(|| format!("reading {}", source.name))?,
            };
            insert(found, source.name, digest)
        }
        Value::Object(map) if map.contains_key("$output") => {
            let output: Output = serde_json::from_value(value.clone())?;
            insert(found, format!("stage {}", output.stage), output.digest)
        }
        Value::Object(map) => map
            .iter()
            .try_for_each(|(key, value)| collect(value, &below(key), found)),
        Value::Array(items) => (0..)
            .zip(items)
            .try_for_each(|(index, item)| collect(item, &below(&format!("{index}")), found)),
        Value::String(text) => insert(found, at.to_owned(), text.clone()),
        other => insert(found, at.to_owned(), other.to_string()),
    }
}

fn insert(found: &mut BTreeMap<String, String>, name: String, digest: String) -> Result<()> {
    let before = found.insert(name.clone(), digest.clone());
    ensure!(
        before.is_none_or(|before| before == digest),
        "a stage has two inputs of the name {name}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Inputs {
        script: Source,
        level: u8,
        suite: Option<String>,
        root: Place,
        k3s: Output,
        images: Vec<Source>,
    }

    fn inputs(dir: &Path) -> Result<BTreeMap<String, String>> {
        digests(&serde_json::to_value(Inputs {
            script: Source::named("a script", dir.join("script")),
            level: 3,
            suite: None,
            root: Place::new(dir),
            k3s: Output {
                stage: "k3s".into(),
                directory: dir.into(),
                digest: "12".into(),
            },
            images: vec![Source::known("an image", &dir.join("none"), "34")],
        })?)
    }

    #[test]
    fn content_counts_and_places_do_not() -> Result<()> {
        let (one, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
        for dir in [&one, &other] {
            fs_err::write(dir.path().join("script"), "true")?;
        }
        let found = inputs(one.path())?;
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["a script", "an image", "level", "stage k3s"]);
        assert_eq!(found["level"], "3");
        assert_eq!(found, inputs(other.path())?);
        fs_err::write(other.path().join("script"), "false")?;
        assert_ne!(found, inputs(other.path())?);
        Ok(())
    }

    #[test]
    fn a_source_that_is_not_there_is_named() {
        let error = inputs(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.to_string(), "reading a script");
    }

    #[test]
    fn only_parts_are_seen() -> Result<()> {
        let sources = Sources::of(Path::new("/checkout"), "a", &["b", "c/d"]);
        assert_eq!(sources.part("b")?, Path::new("/checkout/a/b"));
        assert_eq!(sources.part("c/d/e")?, Path::new("/checkout/a/c/d/e"));
        let error = sources.part("c").unwrap_err().to_string();
        assert!(error.contains("/checkout/a/c, which is none"), "{error}");
        Ok(())
    }
}
