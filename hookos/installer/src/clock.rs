//! The machine's clock, which a dead battery sets years back: tools refuse file systems of the future, and
//! certificates are made for a time that is over.

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::time::{ClockId, clock_gettime, clock_settime};

use crate::error::{Error, Kind, Result};
use crate::image::Manifest;
use crate::state::State;

/// A clock that is so many seconds ahead of the bundle is as wrong as one behind it. systemd has the same 15 years.
const AHEAD: i64 = 15 * 365 * 86_400;
/// systemd sets the clock to at least this file's time when it starts (systemd(1)).
const EPOCH: &str = "usr/lib/clock-epoch";

/// Sets the clock to the time of the bundle where it cannot be right; a warning says so.
///
/// # Errors
/// The manifest cannot be read, or the kernel refuses.
pub fn set(state: &State) -> Result<Option<String>> {
    let not_before = Manifest::read(state)?.not_before;
    let now = clock_gettime(ClockId::Realtime).tv_sec;
    let Some(time) = corrected(now, not_before) else {
        return Ok(None);
    };
    let time = rustix::time::Timespec {
        tv_sec: time,
        tv_nsec: 0,
    };
    clock_settime(ClockId::Realtime, time)
        .map_err(|error| Error::new(Kind::Bug, format!("the clock cannot be set: {error}")))?;
    Ok(Some(
        "the machine's clock was wrong by years and was set to the time of the OS image; its battery may be empty. \
         The node needs a time server (operatingSystem.ntp)."
            .into(),
    ))
}

/// What to set a clock to that shows `now`; nothing where it can be right.
fn corrected(now: i64, not_before: i64) -> Option<i64> {
    let possible = not_before..=not_before.saturating_add(AHEAD);
    (not_before > 0 && !possible.contains(&now)).then_some(not_before)
}

/// Has the system in this root start with a clock that is not behind the bundle.
///
/// # Errors
/// The root cannot be written.
pub fn note(state: &State, root: &Path) -> Result<()> {
    note_time(root, Manifest::read(state)?.not_before)
}

fn note_time(root: &Path, seconds: i64) -> Result<()> {
    match write_epoch(root, seconds) {
        // Where there is no directory for it there is no systemd to read it.
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => {
            let reason = format!("{EPOCH} of the OS image cannot be written: {error}");
            Err(Error::new(Kind::Environment, reason))
        }
    }
}

fn write_epoch(root: &Path, seconds: i64) -> rustix::io::Result<()> {
    let root = rustix::fs::openat(CWD, root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    // Links of the image are followed as if its root were `/`.
    let file = rustix::fs::openat2(
        &root,
        EPOCH,
        OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::from_raw_mode(0o644),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )?;
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::futimens(&file, &times)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn a_clock_that_can_be_right_stays() {
        let built = 1_758_326_400;
        for now in [built, built + 1, built + AHEAD] {
            assert_eq!(corrected(now, built), None);
        }
        assert_eq!(corrected(0, 0), None, "nobody knows when it was made");
    }

    #[test]
    fn a_clock_behind_the_bundle_or_far_ahead_is_set_to_it() {
        let built = 1_758_326_400;
        for now in [0, 946_684_800, built - 1, built + AHEAD + 1] {
            assert_eq!(corrected(now, built), Some(built));
        }
    }

    #[test]
    fn the_node_starts_at_the_bundle_s_time_or_later() {
        let root = tempfile::tempdir().expect("a directory can be made");
        let outside = tempfile::tempdir().expect("a directory can be made");
        std::fs::create_dir_all(root.path().join("real/lib")).expect("directory");
        symlink("/real", root.path().join("usr")).expect("link");
        write_epoch(root.path(), 1_758_326_400).expect("written");
        let metadata = std::fs::metadata(root.path().join("real/lib/clock-epoch"));
        let metadata = metadata.expect("the file is in the root");
        assert_eq!((metadata.mtime(), metadata.len()), (1_758_326_400, 0));
        let left = std::fs::read_dir(outside.path())
            .expect("directory")
            .count();
        assert_eq!(left, 0);
    }

    #[test]
    fn a_system_without_systemd_is_left_as_it_is() {
        let root = tempfile::tempdir().expect("a directory can be made");
        note_time(root.path(), 5).expect("nothing to do");
        let mut left = std::fs::read_dir(root.path()).expect("directory");
        assert!(left.next().is_none());
    }
}
