//! Checks of the operating system section that concern more than one value.

use crate::codes;
use crate::model::{OperatingSystem, User};
use crate::report::Report;
use crate::yaml::Pointer;
use std::collections::HashSet;

/// Characters that a password should have at the least (NIST SP 800-63B, section 5.1.1).
const SHORTEST: usize = 8;

/// Passwords that are tried first, in lower case without what is no letter or digit.
const WELL_KNOWN: &[&str] = &[
    "00000000",
    "11111111",
    "12345678",
    "123456789",
    "1234567890",
    "87654321",
    "abcd1234",
    "admin123",
    "administrator",
    "adminadmin",
    "changeit",
    "changeme",
    "changeme123",
    "debian",
    "default",
    "defaultpassword",
    "edgenode",
    "iloveyou",
    "kubernetes",
    "letmein123",
    "operator",
    "operator1",
    "p4ssw0rd",
    "passw0rd",
    "password",
    "password1",
    "password12",
    "password123",
    "password1234",
    "passwort",
    "q1w2e3r4",
    "qwerty123",
    "qwertyui",
    "qwertyuiop",
    "raspberry",
    "rootroot",
    "secret123",
    "secretpassword",
    "supersecret",
    "test1234",
    "testtest",
    "ubuntu",
    "user1234",
    "welcome1",
    "welcome123",
    "yourpassword",
];

/// Why a password is guessed soon; it is not part of the reason.
fn weakness(user: &User) -> Option<&'static str> {
    let plain = user.password.as_ref()?.plain()?.to_lowercase();
    let bare = |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).collect() };
    let name = bare(user.username.as_str());
    match bare(&plain) {
        bare if bare == name || WELL_KNOWN.contains(&bare.as_str()) => {
            Some("is one that is tried first")
        }
        _ if plain.chars().count() < SHORTEST => Some("has fewer than 8 characters"),
        _ => None,
    }
}

impl Report<'_> {
    pub(super) fn operating_system(&mut self, os: &OperatingSystem) {
        let section = Pointer::from("/operatingSystem");
        let users = section.join("users");
        let mut seen = HashSet::new();
        for (index, user) in os.users.iter().enumerate() {
            let at = || users.join(index);
            if let Some(reason) = weakness(user) {
                let message = format!("the password of `{}` {reason}", user.username);
                self.warning(codes::PasswordWeak, &at().join("password"), message)
                    .help("choose a longer one that is used nowhere else, or leave it out and give an sshKey");
            }
            if !seen.insert(&user.username) {
                let message = format!("the user `{}` occurs twice", user.username);
                self.error(codes::DuplicateUser, &at().join("username"), message)
                    .help("keep one of them");
            }
            match &user.password {
                Some(password) if password.newline_dropped() => {
                    self.note(
                        codes::PasswordNewline,
                        &at().join("password"),
                        "the decoded password ends in a line break, which is dropped",
                    )
                    .help("encode without it: printf %s 'the password' | base64");
                }
                _ => {}
            }
        }
        self.install_disk(os, &section);
        let no_password = os.users.iter().all(|user| user.password.is_none());
        // What was refused may have been the way in.
        let refused = [&users, &section.join("sshKey")].map(|at| self.found.has_errors_below(at));
        // So may what has a mistyped name.
        let mistyped = self.found.iter().any(|found| {
            let above = found.pointer.rsplit_once('/').map(|(above, _)| above);
            found.code == codes::UnknownKey && matches!(above, Some("" | "/operatingSystem"))
        });
        if no_password && os.ssh_keys().is_empty() && refused == [false, false] && !mistyped {
            self.warning(
                codes::NoLogin,
                &section,
                "nobody can log in: no user has a password and there is no SSH key",
            )
            .help("give a user a password, or set sshKey");
        }
    }

    fn install_disk(&mut self, os: &OperatingSystem, section: &Pointer) {
        let Some(disk) = &os.install_disk else { return };
        if let (Some(min), Some(max)) = (&disk.min_size, &disk.max_size)
            && min.bytes() > max.bytes()
        {
            let message = format!("minSize {min} is larger than maxSize {max}");
            self.error(
                codes::DiskSizeRange,
                &section.join("installDisk").join("minSize"),
                message,
            )
            .help("no disk can fit both");
        }
    }
}
