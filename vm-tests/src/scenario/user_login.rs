//! That the SSH keys of the config-file open the accounts: sshd has a say in it that no file shows. The private keys are
//! the user's, so this run's key stands beside them for one login, in the same file.

use std::time::Duration;

use anyhow::Result;
use cluster_bootstrapper::ConfigFile;

use super::session::Session;
use crate::evidence::Check;
use vm::shell::quote;

/// How long the guest may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// Logs in once as each user that the config-file gives SSH keys.
///
/// # Errors
/// The harness's own login is gone.
pub(super) async fn checks(session: &mut Session<'_>) -> Result<()> {
    let names = session
        .parsed
        .config
        .as_ref()
        .map(users)
        .unwrap_or_default();
    for name in names {
        session.output.doing(&format!("logging in as {name}"));
        let opened = login(session, &name).await?;
        session.checks.push(Check::same(
            "/operatingSystem/sshKey",
            format!("a key beside the given ones opens the account {name}"),
            name,
            opened,
        ));
    }
    Ok(())
}

/// Those whose `authorized_keys` the installer writes; root has the harness's key in any case.
fn users(config: &ConfigFile) -> Vec<String> {
    let system = &config.operating_system;
    if system.ssh_keys().is_empty() {
        return Vec::new();
    }
    let names = system.users.iter().map(|user| user.username.as_str());
    names
        .filter(|name| *name != "root")
        .map(str::to_owned)
        .collect()
}

/// Who is logged in as `name`, or why nobody is. The file is as before afterwards.
async fn login(session: &Session<'_>, name: &str) -> Result<String> {
    let ssh = session.ssh()?;
    let file = format!(
        "f=$(getent passwd {} | cut -d: -f6)/.ssh/authorized_keys",
        quote(name)
    );
    let key = quote(&session.access.public_key()?);
    let add = format!("{file} && cp -a \"$f\" \"$f.before\" && printf '\\n%s\\n' {key} >>\"$f\"");
    let added = ssh.run("add the run's key", &add, SILENCE).await?;
    let seen = match (added.status, session.login_once(name).await) {
        (0, Ok(user)) => user
            .run("who?", "id -un", SILENCE)
            .await?
            .text()
            .trim()
            .to_owned(),
        (0, Err(error)) => error.to_string(),
        _ => String::from_utf8_lossy(&added.stderr).trim().to_owned(),
    };
    let restore = format!("{file} && [ ! -e \"$f.before\" ] || mv \"$f.before\" \"$f\"");
    ssh.check("take the run's key away", &restore, SILENCE)
        .await?;
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use cluster_bootstrapper::{ParseOptions, parse};

    use super::*;

    fn of(system: &str) -> Vec<String> {
        let text = format!("version: 1.0\noperatingSystem: {system}\n");
        let parsed = parse(&text, &ParseOptions::default());
        users(
            &parsed
                .config
                .unwrap_or_else(|| panic!("{:?}", parsed.diagnostics)),
        )
    }

    #[test]
    fn users_with_a_key_are_tried_and_root_is_not() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
        let names = "users: [{username: root}, {username: anna}]";
        assert_eq!(of(&format!("{{{names}, sshKey: {key}}}")), ["anna"]);
        assert_eq!(of(&format!("{{{names}}}")), [""; 0]);
    }
}
