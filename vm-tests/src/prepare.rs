//! The harness's own key: made once in a cache folder, added to a copy of the
//! config-file before the stick is made from that copy.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cluster_bootstrapper::edit::{add_ssh_key, add_written_file, replace_placeholders};
use cluster_bootstrapper::{ParseOptions, parse};
use sha2::{Digest as _, Sha256};

use crate::leases::{DROP_IN, LeaseChoice, Leases};

/// What was prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The copy of the config-file that has the key.
    pub config_file: PathBuf,
    /// The private key.
    pub identity: PathBuf,
}

/// Copies `config_file` to `out` without another key, for a run with one of the
/// user's own that the config-file has already.
///
/// # Errors
/// The config-file or the key cannot be read, the copy cannot be written.
pub fn prepare_with_own_key(
    config_file: &Path,
    identity: &Path,
    out: &Path,
    leases: LeaseChoice,
) -> Result<Prepared> {
    if !identity.is_file() {
        bail!("the SSH key {} does not exist", identity.display());
    }
    let text = with_leases(&read_valid(config_file, identity)?, leases)?;
    fs_err::create_dir_all(out)?;
    let copy = out.join("config-file");
    write_private(&copy, text.as_bytes())
        .with_context(|| format!("cannot write {}", copy.display()))?;
    Ok(Prepared {
        config_file: copy,
        identity: identity.to_owned(),
    })
}

/// Makes the key pair in `out` unless it is there, and the copy of
/// `config_file` with the public key. The same input gives the same bytes, so
/// that a stage that reads the copy is not built anew.
///
/// # Errors
/// The config-file has errors, `ssh-keygen` is missing or fails, a file cannot
/// be written.
pub fn prepare(config_file: &Path, out: &Path, leases: LeaseChoice) -> Result<Prepared> {
    fs_err::create_dir_all(out)?;
    let identity = out.join("id_ed25519");
    if !identity.exists() || !identity.with_extension("pub").exists() {
        make_key(&identity)?;
    }
    let text = with_leases(&read_valid(config_file, &identity)?, leases)?;
    let public = fs_err::read_to_string(identity.with_extension("pub"))?;
    let edited = add_ssh_key(&text, public.trim()).with_context(|| {
        format!(
            "cannot add the test's SSH key to a copy of {}",
            config_file.display()
        )
    })?;
    let copy = out.join("config-file");
    write_private(&copy, edited.as_bytes())
        .with_context(|| format!("cannot write {}", copy.display()))?;
    Ok(Prepared {
        config_file: copy,
        identity,
    })
}

/// The text with longer leases, if they are wanted and it has not its own for all.
fn with_leases(text: &str, choice: LeaseChoice) -> Result<String> {
    let config = parse(text, &ParseOptions::default()).config;
    let wanted = config.filter(|_| choice == LeaseChoice::Long);
    match wanted.and_then(|config| Leases::wanted(&config).drop_in()) {
        Some(drop_in) => add_written_file(text, DROP_IN, &drop_in)
            .context("cannot add the harness's longer leases; `--leases default` leaves them out"),
        None => Ok(text.to_owned()),
    }
}

/// The text of a config-file without errors; else all of them, with their lines. Where the sample has placeholders it
/// has a password of the harness's own.
fn read_valid(config_file: &Path, identity: &Path) -> Result<String> {
    let text = fs_err::read_to_string(config_file)?;
    let text = replace_placeholders(&text, &password(identity)?).unwrap_or(text);
    let parsed = parse(&text, &ParseOptions::default());
    if parsed.has_errors() {
        let name = config_file.display().to_string();
        let findings: Vec<String> = parsed
            .diagnostics
            .iter()
            .map(|diagnostic| diagnostic.render(&name, &text, false))
            .collect();
        bail!("the config-file has errors:\n{}", findings.concat());
    }
    Ok(text)
}

/// Nobody knows it who does not have the key, and the same key gives the same.
fn password(identity: &Path) -> Result<String> {
    let digest = Sha256::digest(fs_err::read(identity)?);
    Ok(digest[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Makes the pair under a temporary name first: two runs at once each rename a
/// whole pair, and an interrupted one leaves none.
fn make_key(identity: &Path) -> Result<()> {
    let folder = identity.parent().context("the key has no folder")?;
    let temporary = tempfile::tempdir_in(folder)?;
    let key = temporary.path().join("key");
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "emts-vm-test", "-f"])
        .arg(&key);
    let output = command.output().context(
        "cannot start ssh-keygen; install the package openssh-client (`cargo xtask setup` does)",
    )?;
    if !output.status.success() {
        bail!(
            "ssh-keygen cannot make a key in {}: {}",
            folder.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    fs_err::rename(key.with_extension("pub"), identity.with_extension("pub"))?;
    Ok(fs_err::rename(&key, identity)?)
}

/// A config-file holds passwords: readable by its owner only.
fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("the file has no folder")?;
    let temporary = tempfile::NamedTempFile::new_in(folder)?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(temporary.path())?;
    file.write_all(bytes)?;
    temporary.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const CONFIG: &str = "version: 1.0\noperatingSystem:\n  users: [{username: operator-1, password: c2VjcmV0}]\n  sshKey:\nkubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n  spec: {template: {spec: {serverConfig: {clusterCidr: 10.42.0.0/16}}}}\n";

    #[test]
    fn a_second_call_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        fs_err::write(&config, CONFIG).unwrap();
        let out = folder.path().join("keys");
        let first = prepare(&config, &out, LeaseChoice::Default).unwrap();
        let bytes = fs_err::read(&first.config_file).unwrap();
        let second = prepare(&config, &out, LeaseChoice::Default).unwrap();
        assert_eq!(fs_err::read(&second.config_file).unwrap(), bytes);
        assert!(String::from_utf8_lossy(&bytes).contains("ssh-ed25519 AAAA"));
    }

    #[test]
    fn the_samples_placeholders_become_a_password_of_the_harness() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        fs_err::write(&config, CONFIG.replace("c2VjcmV0", "CHANGE-ME")).unwrap();
        let prepared = |out: &str| {
            let out = folder.path().join(out);
            let prepared = prepare(&config, &out, LeaseChoice::Default).unwrap();
            let text = fs_err::read_to_string(prepared.config_file).unwrap();
            let config = parse(&text, &ParseOptions::default()).config.unwrap();
            config.operating_system.users[0].password.clone().unwrap()
        };
        assert!(
            prepared("a") == prepared("a"),
            "another one of the same key"
        );
        assert!(
            prepared("a") != prepared("b"),
            "the same one of another key"
        );
    }

    #[test]
    fn longer_leases_are_a_file_of_the_copy_alone() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        fs_err::write(&config, CONFIG).unwrap();
        let out = folder.path().join("keys");
        let copy = prepare(&config, &out, LeaseChoice::Long).unwrap();
        let text = fs_err::read_to_string(&copy.config_file).unwrap();
        let parsed = parse(&text, &ParseOptions::default()).config.unwrap();
        assert_eq!(
            parsed.operating_system.write_files[0].path.as_str(),
            DROP_IN
        );
        assert_eq!(fs_err::read_to_string(&config).unwrap(), CONFIG);
    }

    #[test]
    fn key_and_copy_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        fs_err::write(&config, CONFIG).unwrap();
        let prepared = prepare(&config, &folder.path().join("keys"), LeaseChoice::Default).unwrap();
        for path in [&prepared.config_file, &prepared.identity] {
            assert_eq!(
                fs_err::metadata(path).unwrap().permissions().mode() & 0o777,
                0o600,
                "{}",
                path.display()
            );
        }
    }

    #[test]
    fn a_wrong_config_file_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        fs_err::write(&config, "version: 1.0\n").unwrap();
        let error = format!(
            "{:#}",
            prepare(&config, &folder.path().join("keys"), LeaseChoice::Default).unwrap_err()
        );
        assert!(
            error.contains("config.yaml") && error.contains("kubernetes"),
            "{error}"
        );
    }
}
