//! When a wait ends that has not come to its end. On real processors that is at its limit. An emulated machine on a busy
//! host is slower by any factor, so there a wait may go on beyond its limit as long as something new is seen, and only
//! a standstill, or several times the limit, ends it.

use std::time::Duration;

use vm::accel::Accelerator;

/// How long nothing new may be seen once the limit is over. K3s says nothing for a minute and a half at its start on a
/// busy host.
const STANDSTILL: Duration = Duration::from_secs(120);
/// How many times its limit a wait may take at most.
const MOST: u32 = 4;

/// The end of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    limit: Duration,
    emulated: bool,
}

/// What follows from the time that has passed.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Look again after this time.
    Wait(Duration),
    /// The wait is over, for this reason.
    Over(String),
}

impl Deadline {
    /// The end of a wait that may take `limit`.
    #[must_use]
    pub fn new(limit: Duration, accelerator: Accelerator) -> Self {
        Self {
            limit,
            emulated: accelerator == Accelerator::Tcg,
        }
    }

    /// What is to be done `elapsed` after the begin, when the last new thing was seen `idle` ago.
    #[must_use]
    pub fn next(&self, elapsed: Duration, idle: Duration) -> Next {
        let limit = humantime::format_duration(self.limit);
        let most = if self.emulated {
            self.limit * MOST
        } else {
            self.limit
        };
        if elapsed < self.limit {
            Next::Wait(self.limit - elapsed)
        } else if !self.emulated {
            Next::Over(format!("not done within {limit}"))
        } else if elapsed >= most {
            let most = humantime::format_duration(most);
            Next::Over(format!(
                "not done within {most}, {MOST} times its limit of {limit}, though something new was seen all the time"
            ))
        } else if idle >= STANDSTILL {
            let quiet = humantime::format_duration(STANDSTILL);
            Next::Over(format!(
                "not done within {limit}, and nothing new was seen for {quiet}"
            ))
        } else {
            Next::Wait((STANDSTILL - idle).min(most - elapsed))
        }
    }

    /// What the report says of a wait that took longer than its limit.
    #[must_use]
    pub fn overrun(&self, doing: &str, elapsed: Duration) -> Option<String> {
        let (took, limit) = (elapsed.as_secs(), self.limit.as_secs());
        (elapsed > self.limit).then(|| {
            format!("{doing} took {took} s of {limit} s: the emulated machine was slow, and something new was seen all the time")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(180);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn next(accelerator: Accelerator, elapsed: u64, idle: u64) -> Next {
        Deadline::new(LIMIT, accelerator).next(seconds(elapsed), seconds(idle))
    }

    #[test]
    fn on_real_processors_the_limit_is_the_end() {
        assert_eq!(next(Accelerator::Kvm, 179, 179), Next::Wait(seconds(1)));
        let over = Next::Over("not done within 3m".into());
        assert_eq!(next(Accelerator::Kvm, 180, 0), over);
    }

    #[test]
    fn a_standstill_within_the_limit_is_none() {
        assert_eq!(next(Accelerator::Tcg, 179, 179), Next::Wait(seconds(1)));
    }

    #[test]
    fn emulated_progress_goes_on_beyond_the_limit() {
        assert_eq!(next(Accelerator::Tcg, 200, 20), Next::Wait(seconds(100)));
    }

    #[test]
    fn a_standstill_beyond_the_limit_ends_it() {
        let Next::Over(reason) = next(Accelerator::Tcg, 300, 120) else {
            panic!("it goes on");
        };
        assert_eq!(
            reason,
            "not done within 3m, and nothing new was seen for 2m"
        );
    }

    #[test]
    fn progress_does_not_go_on_for_ever() {
        assert_eq!(next(Accelerator::Tcg, 710, 0), Next::Wait(seconds(10)));
        assert!(
            matches!(next(Accelerator::Tcg, 720, 0), Next::Over(reason) if reason.contains("4 times"))
        );
    }

    #[test]
    fn only_a_wait_beyond_its_limit_is_told() {
        let deadline = Deadline::new(LIMIT, Accelerator::Tcg);
        assert_eq!(deadline.overrun("x", seconds(180)), None);
        let told = deadline
            .overrun("waiting for a ready node", seconds(237))
            .unwrap();
        assert!(
            told.starts_with("waiting for a ready node took 237 s of 180 s"),
            "{told}"
        );
    }
}
