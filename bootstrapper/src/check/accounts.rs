//! Checks of the operating system section that concern more than one value.

use crate::model::OperatingSystem;
use crate::report::Report;
use crate::yaml::Pointer;
use std::collections::HashSet;

impl Report<'_> {
    pub(super) fn operating_system(&mut self, os: &OperatingSystem) {
        let section = Pointer::from("/operatingSystem");
        let users = section.join("users");
        let mut seen = HashSet::new();
        for (index, user) in os.users.iter().enumerate() {
            let at = || users.join(index);
            if !seen.insert(&user.username) {
                let message = format!("the user `{}` occurs twice", user.username);
                self.error("duplicate-user", &at().join("username"), message)
                    .help("keep one of them");
            }
            match &user.password {
                Some(password) if password.newline_dropped() => {
                    self.note(
                        "password-newline",
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
        if no_password && os.ssh_keys().is_empty() && refused == [false, false] {
            self.warning(
                "no-login",
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
                "disk-size",
                &section.join("installDisk").join("minSize"),
                message,
            )
            .help("no disk can fit both");
        }
    }
}
