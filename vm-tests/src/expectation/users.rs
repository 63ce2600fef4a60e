//! Users: accounts, passwords, SSH keys, sudo.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster_bootstrapper::Parsed;
use cluster_bootstrapper::model::User;
use cluster_bootstrapper::yaml::{Kind, Pointer};
use sha_crypt::{PasswordVerifier, ShaCrypt};

use super::judge::{Verdict, failed, has_line, succeeds};
use super::{Expectation, Source};
use crate::node::Probe;
use crate::ssh::GuestOutput;
use vm::shell::quote;

/// The plain passwords of a config-file by the place of their user in the list.
/// They are read from the text, not from the model, which hides them.
pub(super) fn passwords(parsed: &Parsed) -> Vec<Option<String>> {
    let users = parsed
        .config
        .as_ref()
        .map_or(0, |config| config.operating_system.users.len());
    (0..users).map(|index| password(parsed, index)).collect()
}

fn password(parsed: &Parsed, index: usize) -> Option<String> {
    let tree = parsed.tree.as_ref()?;
    let pointer = Pointer::from(format!("/operatingSystem/users/{index}/password").as_str());
    let Kind::Scalar { text, .. } = &tree.node(tree.find(&pointer)?).kind else {
        return None;
    };
    if text.starts_with('$') {
        return None;
    }
    let compact: String = text.split_ascii_whitespace().collect();
    let plain = String::from_utf8(STANDARD.decode(compact).ok()?).ok()?;
    let plain = plain.strip_suffix('\n').unwrap_or(&plain);
    Some(plain.strip_suffix('\r').unwrap_or(plain).to_owned())
}

pub(super) fn expectations(source: &Source) -> Vec<Expectation> {
    let system = &source.config.operating_system;
    let mut all = Vec::new();
    for ((index, user), plain) in system
        .users
        .iter()
        .enumerate()
        .zip(passwords(source.parsed))
    {
        let key = format!("/operatingSystem/users/{index}");
        all.extend(account(&key, user));
        all.extend(password_of(&key, user, plain));
    }
    let root = ["root".to_owned()];
    let names: Vec<String> = system
        .users
        .iter()
        .map(|user| user.username.to_string())
        .collect();
    let owners: &[String] = if names.is_empty() { &root } else { &names };
    for (index, ssh_key) in system.ssh_keys().iter().enumerate() {
        for owner in owners {
            all.push(authorized_key(index, &ssh_key.to_string(), owner));
        }
    }
    all
}

fn account(key: &str, user: &User) -> Vec<Expectation> {
    let name = user.username.as_str().to_owned();
    let word = quote(&name);
    let mut all = vec![Expectation::new(
        format!("{key}/username"),
        "the account exists with a home folder of its own and a login shell",
        format!("{name}, its home owned by it, a shell of /etc/shells"),
        Probe::shell(format!(
            "e=$(getent passwd {word}) && h=$(echo \"$e\" | cut -d: -f6) && s=$(echo \"$e\" | cut -d: -f7) && \
             [ \"$(stat -c %U \"$h\")\" = {word} ] && grep -qxF \"$s\" /etc/shells && echo \"$e\""
        )),
        move |answer| {
            let text = answer.text();
            let first = text.split(':').next().unwrap_or_default();
            if answer.status == 0 {
                Verdict::when(first == name, text.trim())
            } else {
                failed(answer)
            }
        },
    )];
    if !user.username.is_root() {
        let probe = Probe::shell(format!("runuser -u {word} -- sudo -n true"));
        all.push(Expectation::new(
            format!("{key}/username"),
            "sudo works without a password",
            "yes",
            probe,
            succeeds,
        ));
    }
    all
}

fn password_of(key: &str, user: &User, plain: Option<String>) -> Option<Expectation> {
    let password = user.password.as_ref()?;
    let hash = password.hash().map(str::to_owned);
    let check = if hash.is_some() {
        "the account has the given hash"
    } else {
        "the account's hash fits the password"
    };
    let probe = Probe::shell(format!(
        "getent shadow {} | cut -d: -f2",
        quote(user.username.as_str())
    ));
    Some(Expectation::new(
        format!("{key}/password"),
        check,
        "(hidden)",
        probe,
        move |answer| match (&hash, &plain) {
            (Some(hash), _) => Verdict::when(answer.text().trim() == hash, "(hidden)"),
            (None, Some(plain)) => verify(answer, plain),
            (None, None) => Verdict::bad("the password cannot be read from the config-file"),
        },
    ))
}

/// Checks a SHA-crypt hash; shows only its scheme.
fn verify(answer: &GuestOutput, plain: &str) -> Verdict {
    let text = answer.text();
    let hash = text.trim();
    if !hash.starts_with("$6$") && !hash.starts_with("$5$") {
        let scheme = if hash.starts_with(['!', '*']) || hash.is_empty() {
            "no password is set"
        } else {
            "a hash of another scheme than SHA-crypt"
        };
        return Verdict::bad(scheme);
    }
    match ShaCrypt::default().verify_password(plain.as_bytes(), hash) {
        Ok(()) => Verdict::good("a SHA-crypt hash that fits"),
        Err(_) => Verdict::bad("a SHA-crypt hash of another password"),
    }
}

fn authorized_key(index: usize, ssh_key: &str, owner: &str) -> Expectation {
    let word = quote(owner);
    // sshd refuses a file that others can write: owner and mode belong to the effect.
    let command = format!(
        "h=$(getent passwd {word} | cut -d: -f6) && f=$h/.ssh/authorized_keys && \
         [ \"$(stat -c %U \"$f\")\" = {word} ] && [ $((0$(stat -c %a \"$f\") & 022)) -eq 0 ] && cat \"$f\""
    );
    Expectation::new(
        format!("/operatingSystem/sshKey/{index}"),
        format!("the key opens the account {owner}"),
        ssh_key,
        Probe::shell(command),
        has_line(ssh_key),
    )
}

#[cfg(test)]
mod tests {
    use super::super::judge::said;
    use super::*;

    // `openssl passwd -6 -salt saltsalt password`
    const HASH: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

    #[test]
    fn a_hash_of_the_password_fits_and_of_another_does_not() {
        assert!(verify(&said(HASH), "password").passed);
        assert!(!verify(&said(HASH), "Password").passed);
    }

    #[test]
    fn a_locked_account_has_no_password() {
        assert_eq!(
            verify(&said("!\n"), "password"),
            Verdict::bad("no password is set")
        );
    }
}
