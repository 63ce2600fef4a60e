//! The config-file that a stick is made with: the user's, with a password where the sample has placeholders.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster_bootstrapper::values::Password;
use cluster_bootstrapper::yaml::{Kind, Pointer, Tree};
use cluster_bootstrapper::{ParseOptions, parse};
use sha2::{Digest as _, Sha256};
use vm::hex::hex;

/// Checks a config-file and copies it to `copy`, where it has a password in the place of each placeholder. The same file
/// always gives the same copy, so that a stick made with it is made once; so the password is no secret.
///
/// # Errors
/// The config-file has errors: all of them, with their lines. The copy cannot be written.
pub fn copy(config_file: &Path, copy: &Path) -> Result<()> {
    let text = fs_err::read_to_string(config_file)?;
    let text = replace_placeholders(&text, &password(&text));
    let parsed = parse(&text, &ParseOptions::default());
    if parsed.has_errors() {
        let name = config_file.display().to_string();
        let all: Vec<String> = parsed
            .diagnostics
            .iter()
            .map(|diagnostic| diagnostic.render(&name, &text, false))
            .collect();
        bail!("the config-file has errors:\n{}", all.concat());
    }
    write_private(copy, text.as_bytes()).with_context(|| format!("cannot write {}", copy.display()))
}

/// The text with a password in the place of every placeholder, all else unchanged.
fn replace_placeholders(text: &str, password: &str) -> String {
    let mut edited = text.to_owned();
    let tree = parse(text, &ParseOptions::default()).tree;
    let all = tree.as_ref().map(placeholders).unwrap_or_default();
    for place in all.into_iter().rev() {
        edited.replace_range(place, &format!("\"{}\"", STANDARD.encode(password)));
    }
    edited
}

/// Where users have the placeholder of a password, in the order of the text.
fn placeholders(tree: &Tree) -> Vec<std::ops::Range<usize>> {
    let users = Pointer::from("/operatingSystem/users");
    let Some(Kind::Sequence(items)) = tree.find(&users).map(|id| &tree.node(id).kind) else {
        return vec![];
    };
    let at = |index| tree.find(&users.join(index).join("password"));
    let nodes = (0..items.len()).filter_map(|index| Some(tree.node(at(index)?)));
    let is_one =
        |kind: &Kind| matches!(kind, Kind::Scalar { text, .. } if text == Password::PLACEHOLDER);
    nodes
        .filter(|node| is_one(&node.kind))
        .map(|node| node.span.clone())
        .collect()
}

/// A password that nobody guesses who does not have the file.
fn password(text: &str) -> String {
    hex(&Sha256::digest(text)[..12])
}

/// A config-file holds passwords: readable by its owner only.
fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("the file has no folder")?;
    // Made for its owner alone.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const CONFIG: &str = "version: 1.0\noperatingSystem:\n  users: [{username: operator-1, password: c2VjcmV0}]\nkubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n  spec: {template: {spec: {serverConfig: {clusterCidr: 10.42.0.0/16}}}}\n";

    fn copied(text: &str) -> Result<String> {
        let folder = tempfile::tempdir()?;
        let (config, out) = (folder.path().join("config.yaml"), folder.path().join("out"));
        fs_err::write(&config, text)?;
        copy(&config, &out)?;
        let mode = fs_err::metadata(&out)?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        Ok(fs_err::read_to_string(out)?)
    }

    #[test]
    fn a_users_file_is_copied_as_it_is_for_its_owner_alone() {
        assert_eq!(copied(CONFIG).unwrap(), CONFIG);
    }

    #[test]
    fn the_samples_placeholders_become_a_password_that_follows_from_the_file() {
        let sample = CONFIG.replace("c2VjcmV0", "CHANGE-ME");
        let password = |text: &str| {
            let config = parse(&copied(text).unwrap(), &ParseOptions::default()).config;
            config.unwrap().operating_system.users[0].password.clone()
        };
        assert!(password(&sample) == password(&sample));
        assert!(password(&sample) != password(&format!("{sample}# other\n")));
    }

    #[test]
    fn every_placeholder_gets_the_password_and_nothing_else_changes() {
        let text = "operatingSystem:\n  # CHANGE-ME\n  users:\n    - {username: root, password: 'CHANGE-ME'}\n    \
             - username: op\n      password: CHANGE-ME # soon\n    - {username: b, password: c2VjcmV0}\n";
        let expected = text
            .replace("'CHANGE-ME'", "\"YSBi\"")
            .replace("CHANGE-ME # soon", "\"YSBi\" # soon");
        assert_eq!(replace_placeholders(text, "a b"), expected);
    }

    #[test]
    fn a_text_without_a_placeholder_stays_whatever_it_is() {
        for text in ["a: [", "a: b", CONFIG] {
            assert_eq!(replace_placeholders(text, "x"), text);
        }
    }

    #[test]
    fn an_invalid_config_file_is_refused_with_its_name() {
        let error = copied("version: 1.0\n").unwrap_err().to_string();
        assert!(
            error.contains("config.yaml") && error.contains("kubernetes"),
            "{error}"
        );
    }
}
