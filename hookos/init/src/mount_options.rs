//! Mount options of runtime.json, translated the way LinuxKit's `service` does it.

use rustix::mount::{MountFlags, MountPropagationFlags};

/// What a list of options asks mount(2) for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOptions {
    /// Which kind of call it is.
    pub action: Action,
    /// Flags beside the action's own.
    pub flags: MountFlags,
    /// The words that are no flag, joined by commas: options of the file system.
    pub data: String,
}

/// Kinds of mount(2) calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A new mount of a file system.
    New,
    /// A bind mount; `true` when mounts below the source come along.
    Bind(bool),
    /// Other flags for an existing mount.
    Remount,
    /// Another propagation for an existing mount.
    Propagation(MountPropagationFlags),
}

impl MountOptions {
    /// Reads the options in order. A word that LinuxKit does not know goes to
    /// the file system, even when mount(8) knows it (`rshared`, `mode=...`).
    #[must_use]
    pub fn parse(words: &[String]) -> Self {
        let mut flags = MountFlags::empty();
        let mut data = Vec::new();
        let (mut bind, mut remount, mut propagation) = (None, false, None);
        for word in words {
            match word.as_str() {
                "bind" => bind = Some(bind.unwrap_or(false)),
                "rbind" => bind = Some(true),
                "remount" => remount = true,
                "private" => propagation = Some(MountPropagationFlags::PRIVATE),
                "shared" => propagation = Some(MountPropagationFlags::SHARED),
                "slave" => propagation = Some(MountPropagationFlags::DOWNSTREAM),
                "unbindable" => propagation = Some(MountPropagationFlags::UNBINDABLE),
                word => match flag(word) {
                    Some((true, flag)) => flags |= flag,
                    Some((false, flag)) => flags -= flag,
                    None => data.push(word),
                },
            }
        }
        // mount(2) looks at remount first, then bind, then propagation.
        let action = match (remount, bind, propagation) {
            (true, _, _) => Action::Remount,
            (false, Some(recursive), _) => Action::Bind(recursive),
            (false, None, Some(propagation)) => Action::Propagation(propagation),
            (false, None, None) => Action::New,
        };
        Self {
            action,
            flags,
            data: data.join(","),
        }
    }
}

/// The flag of a word, and whether the word sets or clears it.
fn flag(word: &str) -> Option<(bool, MountFlags)> {
    Some(match word {
        "async" => (false, MountFlags::SYNCHRONOUS),
        "sync" => (true, MountFlags::SYNCHRONOUS),
        "atime" => (false, MountFlags::NOATIME),
        "noatime" => (true, MountFlags::NOATIME),
        "defaults" => (true, MountFlags::empty()),
        "dev" => (false, MountFlags::NODEV),
        "nodev" => (true, MountFlags::NODEV),
        "diratime" => (false, MountFlags::NODIRATIME),
        "nodiratime" => (true, MountFlags::NODIRATIME),
        "dirsync" => (true, MountFlags::DIRSYNC),
        "exec" => (false, MountFlags::NOEXEC),
        "noexec" => (true, MountFlags::NOEXEC),
        "mand" => (true, MountFlags::PERMIT_MANDATORY_FILE_LOCKING),
        "nomand" => (false, MountFlags::PERMIT_MANDATORY_FILE_LOCKING),
        "relatime" => (true, MountFlags::RELATIME),
        "norelatime" => (false, MountFlags::RELATIME),
        "ro" => (true, MountFlags::RDONLY),
        "rw" => (false, MountFlags::RDONLY),
        "strictatime" => (true, MountFlags::STRICTATIME),
        "nostrictatime" => (false, MountFlags::STRICTATIME),
        "suid" => (false, MountFlags::NOSUID),
        "nosuid" => (true, MountFlags::NOSUID),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> MountOptions {
        MountOptions::parse(
            &words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn an_overlay_has_only_data() {
        let options = parse(&["lowerdir=/l", "upperdir=/u", "workdir=/w"]);
        assert_eq!(options.action, Action::New);
        assert_eq!(options.data, "lowerdir=/l,upperdir=/u,workdir=/w");
        assert!(options.flags.is_empty());
    }

    #[test]
    fn remount_private_is_a_remount() {
        assert_eq!(parse(&["remount", "private"]).action, Action::Remount);
    }

    #[test]
    fn later_words_win() {
        assert!(parse(&["ro", "rw"]).flags.is_empty());
        assert!(
            parse(&["suid", "nosuid"])
                .flags
                .contains(MountFlags::NOSUID)
        );
    }

    #[test]
    fn words_linuxkit_does_not_know_are_data() {
        let options = parse(&["bind", "rshared", "mode=755"]);
        assert_eq!(options.action, Action::Bind(false));
        assert_eq!(options.data, "rshared,mode=755");
    }
}
