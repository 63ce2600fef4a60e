//! What could not be run: neither success nor failure, with an exit status of its own.

use std::fmt;

/// The exit status, as Automake has it.
pub const EXIT_STATUS: u8 = 77;

/// Why something was not run: a part that this machine and its network do not have. As an error it ends the program
/// with [`EXIT_STATUS`].
#[derive(Debug)]
pub struct NotRun(pub String);

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not run: {}", self.0)
    }
}

impl std::error::Error for NotRun {}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn it_is_known_behind_what_was_being_done() {
        let error = Err::<(), _>(NotRun("no linuxkit".into()))
            .context("building HookOS")
            .context("building all")
            .unwrap_err();
        let reason = error.downcast_ref::<NotRun>();
        assert_eq!(
            reason.map(NotRun::to_string).as_deref(),
            Some("not run: no linuxkit")
        );
    }
}
