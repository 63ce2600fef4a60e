//! Waiting for disks that come late: for drivers, for the list to stay as it is, for the first disk that can be taken.

use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::disk::Disk;
use crate::state::Seen;

/// The list is taken when it has been the same for so long.
const QUIET: Duration = Duration::from_secs(3);
/// So long a controller without a driver, or an NVMe controller that starts, is waited for.
const DRIVERS: Duration = Duration::from_secs(15);
/// So long a disk is waited for where none can be taken: some spin up one after the other, some are behind RAID
/// controllers that look for them.
const FIRST: Duration = Duration::from_secs(30);
/// A list that never stays as it is is taken then.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks.
const STEP: Duration = Duration::from_millis(200);

/// Time, which tests make.
pub trait Clock {
    /// Since the machine was started.
    fn now(&self) -> Duration;
    /// Lets time pass.
    fn wait(&mut self, time: Duration);
}

/// The machine's own, which nobody sets.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
    }

    fn wait(&mut self, time: Duration) {
        thread::sleep(time);
    }
}

/// What one look at the machine shows.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// The disks.
    pub disks: Vec<Disk>,
    /// What may still bring more of them.
    pub pending: Vec<String>,
}

/// The disks as find-media saw them, to know later how long they have been the same.
pub fn seen(disks: &[Disk], now: Duration) -> Seen {
    let disk = |disk: &Disk| format!("{} {} {}", disk.name, disk.size, disk.identity.serial);
    Seen {
        milliseconds: now.as_millis().try_into().unwrap_or(u64::MAX),
        disks: disks.iter().map(disk).collect(),
    }
}

/// Looks until `wanted` gives something: that, with the disks that were seen.
///
/// # Errors
/// The deadline has passed: the disks that were seen last.
pub fn until<T>(
    deadline: Duration,
    clock: &mut impl Clock,
    mut look: impl FnMut() -> Vec<Disk>,
    wanted: impl Fn(&[Disk]) -> Option<T>,
) -> Result<(T, Vec<Disk>), Vec<Disk>> {
    let start = clock.now();
    loop {
        let disks = look();
        if let Some(found) = wanted(&disks) {
            return Ok((found, disks));
        }
        if clock.now().saturating_sub(start) >= deadline {
            return Err(disks);
        }
        clock.wait(STEP);
    }
}

/// The disks, once no more are to be expected. `say` is told what is waited for, once each.
pub fn settled(
    before: Option<Seen>,
    clock: &mut impl Clock,
    mut look: impl FnMut() -> Look,
    can_be_taken: impl Fn(&Disk) -> bool,
    mut say: impl FnMut(&str),
) -> Vec<Disk> {
    let start = clock.now();
    let mut last = before;
    let mut told = String::new();
    loop {
        let Look { disks, pending } = look();
        let now = clock.now();
        let passed = now.saturating_sub(start);
        let current = seen(&disks, now);
        let since = match last {
            Some(last) if last.disks == current.disks => last,
            _ => current,
        };
        let quiet = now.saturating_sub(Duration::from_millis(since.milliseconds));
        last = Some(since);
        let waits_for = if passed >= LIMIT {
            None
        } else if !pending.is_empty() && passed < DRIVERS {
            Some((DRIVERS, pending.join(", ")))
        } else if quiet < QUIET {
            Some((LIMIT, "the list of disks to stay as it is".into()))
        } else if passed < FIRST && !disks.iter().any(&can_be_taken) {
            Some((FIRST, "a disk that can be used".into()))
        } else {
            None
        };
        let Some((deadline, what)) = waits_for else {
            return disks;
        };
        if what != told {
            say(&format!(
                "Waiting up to {} s for {what}",
                deadline.as_secs()
            ));
            told = what;
        }
        clock.wait(STEP);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::disks::rank::tests::disk;

    /// A clock that a test reads, from one second on.
    #[derive(Clone)]
    pub(crate) struct Fake(std::rc::Rc<std::cell::Cell<Duration>>);

    impl Fake {
        pub(crate) fn new() -> Self {
            Self(std::rc::Rc::new(std::cell::Cell::new(Duration::from_secs(
                1,
            ))))
        }

        fn seconds(&self) -> f32 {
            self.now().as_secs_f32() - 1.0
        }
    }

    impl Clock for Fake {
        fn now(&self) -> Duration {
            self.0.get()
        }

        fn wait(&mut self, time: Duration) {
            self.0.set(self.0.get() + time);
        }
    }

    /// What `settled` gives, says, and how many seconds it takes, with what a look shows after so many.
    fn wait(before: Option<Seen>, look: impl Fn(f32) -> Look) -> (Vec<String>, Vec<String>, f32) {
        let mut clock = Fake::new();
        let time = clock.clone();
        let mut said = Vec::new();
        let look = || look(time.seconds());
        let usable = |disk: &Disk| disk.transport != "usb";
        let disks = settled(before, &mut clock, look, usable, |line| {
            said.push(line.to_owned())
        });
        let seconds = (clock.seconds() * 10.0).round() / 10.0;
        (
            disks.into_iter().map(|disk| disk.name).collect(),
            said,
            seconds,
        )
    }

    fn disks(names: &[&str]) -> Look {
        let transport = |name: &str| if name == "sdz" { "usb" } else { "sata" };
        Look {
            disks: names
                .iter()
                .map(|name| disk(name, 1, transport(name)))
                .collect(),
            pending: Vec::new(),
        }
    }

    #[test]
    fn a_list_that_stays_is_taken_after_the_quiet_time() {
        let (names, said, seconds) = wait(None, |_| disks(&["sda", "sdz"]));
        assert_eq!(
            (names, seconds),
            (vec!["sda".to_owned(), "sdz".into()], 3.0)
        );
        assert_eq!(
            said,
            ["Waiting up to 60 s for the list of disks to stay as it is"]
        );
    }

    #[test]
    fn what_was_seen_long_before_is_not_waited_for_again() {
        let look = disks(&["sda", "sdz"]);
        let before = |disks: &[Disk]| Some(seen(disks, Duration::ZERO));
        assert_eq!(
            wait(before(&look.disks), |_| disks(&["sda", "sdz"])).2,
            2.0,
            "it was 1 s ago"
        );
        let other = disks(&["sdz"]);
        assert_eq!(
            wait(before(&other.disks), |_| disks(&["sda", "sdz"])).2,
            3.0
        );
        let mut grown = look.disks;
        grown[0].size += 1;
        assert_eq!(wait(before(&grown), |_| disks(&["sda", "sdz"])).2, 3.0);
    }

    #[test]
    fn a_disk_that_comes_late_is_waited_for_and_said() {
        let look = |seconds: f32| {
            disks(if seconds < 20.0 {
                &["sdz"]
            } else {
                &["sda", "sdz"]
            })
        };
        let (names, said, seconds) = wait(None, look);
        assert_eq!((names.len(), seconds), (2, 23.0));
        assert_eq!(said[1], "Waiting up to 30 s for a disk that can be used");
    }

    #[test]
    fn without_a_disk_the_wait_ends() {
        assert_eq!(wait(None, |_| disks(&["sdz"])).2, 30.0);
    }

    #[test]
    fn a_second_disk_that_comes_while_the_list_is_not_quiet_is_in_it() {
        let look = |seconds: f32| {
            disks(if seconds < 2.0 {
                &["sdb", "sdz"]
            } else {
                &["sda", "sdb", "sdz"]
            })
        };
        let (names, _, seconds) = wait(None, look);
        assert_eq!((names.len(), seconds), (3, 5.0));
    }

    #[test]
    fn controllers_without_a_driver_are_waited_for_by_name_and_not_for_ever() {
        let pending = |seconds: f32, until: f32| Look {
            pending: if seconds < until {
                vec!["a driver for 0000:00:1f.2".into()]
            } else {
                vec![]
            },
            ..disks(&["sda"])
        };
        let (_, said, seconds) = wait(None, |seconds| pending(seconds, 6.0));
        assert_eq!(
            (&*said[0], seconds),
            ("Waiting up to 15 s for a driver for 0000:00:1f.2", 6.0)
        );
        assert_eq!(wait(None, |seconds| pending(seconds, 999.0)).2, 15.0);
    }

    #[test]
    fn a_list_that_never_stays_is_taken_at_the_limit() {
        let look = |seconds: f32| {
            disks(if (seconds as u32).is_multiple_of(2) {
                &["sda"]
            } else {
                &["sda", "sdb"]
            })
        };
        assert_eq!(wait(None, look).2, 60.0);
    }

    #[test]
    fn the_medium_is_looked_for_until_the_deadline() {
        let found = |from: f32| {
            let mut clock = Fake::new();
            let time = clock.clone();
            let look = || disks(if time.seconds() < from { &[] } else { &["sdz"] }).disks;
            let wanted = |disks: &[Disk]| disks.first().map(|disk| disk.name.clone());
            let found = until(Duration::from_secs(4), &mut clock, look, wanted);
            (
                found.is_ok_and(|(name, disks)| name == "sdz" && disks.len() == 1),
                clock.seconds(),
            )
        };
        assert_eq!(found(0.0), (true, 0.0));
        assert_eq!(found(4.0), (true, 4.0));
        let (late, seconds) = found(9.0);
        assert!(!late && (seconds - 4.0).abs() < 0.1);
    }

    #[test]
    fn the_machines_clock_goes_forward_by_what_is_waited() {
        let mut clock = SystemClock;
        let before = clock.now();
        clock.wait(Duration::from_millis(10));
        assert!(before > Duration::ZERO && clock.now() - before >= Duration::from_millis(10));
    }
}
