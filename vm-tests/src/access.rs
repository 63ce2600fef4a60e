//! How the harness gets into a machine whose config-file it leaves as it is.
//!
//! systemd takes credentials from the firmware's SMBIOS tables (systemd.system-credentials(7), systemd 252 or later), and
//! systemd-tmpfiles reads `tmpfiles.extra` at every boot as lines of its own (tmpfiles.d(5)). With them root may log in
//! with this run's key, whatever sshd's other settings are, and K3s gets the harness's leases. The image, the stick and
//! what the config-file says stay as they are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::leases::{DROP_IN, Leases};

/// The name of the credential.
pub const CREDENTIAL: &str = "tmpfiles.extra";
/// The harness's settings of sshd. The first value of a setting holds, in the order of the files' names.
const SSHD: &str = "/etc/ssh/sshd_config.d/000-emts-test-harness.conf";
/// A directory of the running system alone.
const RUN: &str = "/run/emts-test-harness";

/// This run's way into its machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The private key of root's login; its public part is beside it.
    pub identity: PathBuf,
    /// The value of the credential.
    pub lines: String,
}

impl Access {
    /// Makes a key pair `id_ed25519` in `folder`, which lives as long as the machine's disks do.
    ///
    /// # Errors
    /// `ssh-keygen` is missing or fails.
    pub fn create(folder: &Path, leases: &Leases) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        let identity = folder.join("id_ed25519");
        make_key(&identity)?;
        let public = fs_err::read_to_string(identity.with_extension("pub"))?;
        Ok(Self {
            lines: lines(public.trim(), leases),
            identity,
        })
    }

    /// The public part of the key, a line of `authorized_keys`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn public_key(&self) -> Result<String> {
        let text = fs_err::read_to_string(self.identity.with_extension("pub"))?;
        Ok(text.trim().to_owned())
    }
}

/// The lines for systemd-tmpfiles.
fn lines(public_key: &str, leases: &Leases) -> String {
    let keys = format!("{RUN}/authorized_keys");
    let sshd = format!(
        "Match User root\n\
         AllowUsers root\n\
         AllowGroups root\n\
         AuthenticationMethods publickey\n\
         AuthorizedKeysFile .ssh/authorized_keys {keys}\n\
         PermitRootLogin prohibit-password\n\
         PubkeyAuthentication yes\n"
    );
    let mut files = vec![(keys, format!("{public_key}\n")), (SSHD.to_owned(), sshd)];
    if let Some(drop_in) = leases.drop_in() {
        files.push((DROP_IN.to_owned(), drop_in));
    }
    let mut lines = format!("d {RUN} 0700 root root\n");
    for (path, content) in files {
        lines += &format!("f+ {path} 0600 root root - {}\n", argument(&content));
    }
    lines
}

/// A file's content as an argument of tmpfiles.d(5), where `\` begins an escape and `%` a specifier.
fn argument(content: &str) -> String {
    content
        .replace('\\', "\\\\")
        .replace('%', "%%")
        .replace('\n', "\\n")
}

fn make_key(identity: &Path) -> Result<()> {
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "emts-vm-test", "-f"])
        .arg(identity);
    let output = command.output().context(
        "cannot start ssh-keygen; install the package openssh-client (`cargo xtask setup` does)",
    )?;
    if !output.status.success() {
        bail!(
            "ssh-keygen cannot make the key {}: {}",
            identity.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_files_content_is_one_argument() {
        assert_eq!(argument("a \"b\" 100%\nc\\d\n"), r#"a "b" 100%%\nc\\d\n"#);
    }

    #[test]
    fn the_key_is_made_anew_and_is_for_its_owner_alone() {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [one, other] = folders
            .each_ref()
            .map(|folder| Access::create(folder.path(), &Leases::default()).unwrap());
        assert_ne!(one.public_key().unwrap(), other.public_key().unwrap());
        assert!(one.lines.contains(&one.public_key().unwrap()));
        let mode = fs_err::metadata(&one.identity)
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn leases_are_a_file_of_their_own() {
        let leases = Leases {
            longer: vec!["kube-scheduler".into()],
            kept: vec![],
        };
        let with = lines("ssh-ed25519 AAAA", &leases);
        let without = lines("ssh-ed25519 AAAA", &Leases::default());
        assert_eq!(with.lines().count(), without.lines().count() + 1);
        assert!(
            with.contains(&format!("f+ {DROP_IN} 0600 root root - #")),
            "{with}"
        );
    }
}
