//! When the power is cut: the moments of an installation and of the first boot after it, drawn by a seed, and the clock
//! that finds them in another.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::step::{FIRST_BOOT, PowerCuts};
use vm::console::{Marker, MarkerState, STEPS};

/// The environment variable that takes the place of a scenario's seed.
pub(super) const SEED: &str = "EMTS_SEED";
/// The part of a step's duration in which its random moments are: the second installation may be a little faster than
/// the first, whose duration it is.
const INSIDE: f64 = 0.85;

/// A moment of the installation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Moment {
    /// The step.
    pub step: String,
    /// After its end instead of after its begin.
    pub done: bool,
    /// Seconds after that.
    pub after: f64,
}

impl Moment {
    pub(super) fn label(&self) -> String {
        let state = if self.done { "done" } else { "begin" };
        if self.after > 0.0 {
            format!("{}-{state}+{:.2}s", self.step, self.after)
        } else {
            format!("{}-{state}", self.step)
        }
    }
}

pub(super) fn seed(cuts: &PowerCuts) -> Result<u64> {
    match std::env::var(SEED) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{SEED} is `{text}`, not a number")),
        Err(_) => Ok(cuts.seed),
    }
}

/// The moments that the scenario asks for, in the order in which they come.
pub(super) fn draw(cuts: &PowerCuts, seed: u64, times: &Times) -> Vec<Moment> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut boundaries: Vec<Moment> = STEPS
        .iter()
        .flat_map(|step| [false, true].map(|done| (step, done)))
        // After the end of the last step the machine is off.
        .filter(|(step, done)| !(**step == "reboot" && *done))
        .map(|(step, done)| Moment {
            step: (*step).to_owned(),
            done,
            after: 0.0,
        })
        .collect();
    while cuts
        .boundaries
        .is_some_and(|wanted| boundaries.len() > wanted)
    {
        let at = random.usize(..boundaries.len());
        boundaries.remove(at);
    }
    for step in &cuts.moments_in {
        boundaries.extend((0..cuts.moments).map(|_| inside(step, &mut random, times)));
    }
    sort(&mut boundaries);
    boundaries
}

/// Other random moments of the steps that these are of, by the durations of a later installation.
pub(super) fn draw_again(late: Vec<Moment>, seed: u64, times: &Times) -> Vec<Moment> {
    let mut random = fastrand::Rng::with_seed(seed);
    let again = |moment: Moment| inside(&moment.step, &mut random, times);
    let mut moments: Vec<_> = late.into_iter().map(again).collect();
    sort(&mut moments);
    moments
}

/// A random moment inside of a step.
fn inside(step: &str, random: &mut fastrand::Rng, times: &Times) -> Moment {
    Moment {
        step: step.to_owned(),
        done: false,
        after: (times.of(step) * INSIDE * random.f64()).max(0.01),
    }
}

fn sort(moments: &mut [Moment]) {
    let place = |moment: &Moment| {
        // The first boot comes after all of them.
        let step = STEPS.iter().position(|step| *step == moment.step);
        (step.unwrap_or(STEPS.len()), moment.done)
    };
    moments.sort_by(|a, b| place(a).cmp(&place(b)).then(a.after.total_cmp(&b.after)));
}

/// How long an installation and the first boot after it took.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// The installer's.
    pub markers: Vec<Marker>,
    /// Of the first boot.
    pub first_boot: Duration,
}

impl Times {
    /// How long a step took, in seconds: the installer's by its own clock.
    fn of(&self, step: &str) -> f64 {
        if step == FIRST_BOOT {
            return self.first_boot.as_secs_f64();
        }
        let time = |state| {
            self.markers
                .iter()
                .find(|marker| marker.step == step && marker.state == state)
                .and_then(|marker| marker.t.parse::<f64>().ok())
        };
        match (time(MarkerState::Begin), time(MarkerState::Done)) {
            (Some(begin), Some(done)) => done - begin,
            _ => 0.0,
        }
    }
}

/// The time that a machine has run, without that in which it was held still.
pub(super) struct Clock {
    pub started: Instant,
    pub held: Duration,
    /// The step that moments are counted from, and when it began.
    pub begun: Option<(String, Duration)>,
}

impl Clock {
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.held)
    }

    /// Whether moments are counted from this step's begin.
    pub(super) fn counts_from(&self, step: &str) -> bool {
        matches!(&self.begun, Some((begun, _)) if begun == step)
    }

    /// How long ago the step began that moments are counted from; nothing for another one.
    pub(super) fn since(&self, step: &str) -> Duration {
        match &self.begun {
            Some((begun, at)) if begun == step => self.now().saturating_sub(*at),
            _ => Duration::ZERO,
        }
    }

    /// When the step began; now, for one that was not asked for before.
    pub(super) fn begin_of(&mut self, step: &str) -> Duration {
        match &self.begun {
            Some((begun, at)) if begun == step => *at,
            _ => {
                let now = self.now();
                self.begun = Some((step.to_owned(), now));
                now
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(boundaries: Option<usize>, moments: usize) -> PowerCuts {
        PowerCuts {
            seed: 1,
            boundaries,
            moments,
            moments_in: vec!["write-image".into()],
            then: Vec::new(),
        }
    }

    #[test]
    fn the_harness_knows_the_installers_steps() {
        let names: Vec<_> = installer::steps::STEPS
            .iter()
            .map(|step| step.name)
            .collect();
        assert_eq!(names, STEPS);
    }

    /// An installation whose image took until then, from second 10 on; the first boot took 100 s.
    fn times(written: &str) -> Times {
        let markers = ["begin t=10".to_owned(), format!("done t={written}")];
        let line = |end| format!("EMTS step=write-image state={end}");
        Times {
            markers: markers
                .iter()
                .filter_map(|end| Marker::parse(&line(end)))
                .collect(),
            first_boot: Duration::from_secs(100),
        }
    }

    #[test]
    fn all_moments_of_a_step_are_counted_from_its_one_begin() {
        let mut clock = Clock {
            started: Instant::now(),
            held: Duration::ZERO,
            begun: None,
        };
        let begun = clock.begin_of("write-image");
        while clock.now() == begun {}
        assert_eq!(clock.begin_of("write-image"), begun);
        assert_ne!(clock.begin_of("set-boot-order"), begun);
        clock.held = Duration::from_secs(3600);
        assert_eq!(clock.now(), Duration::ZERO);
    }

    #[test]
    fn all_boundaries_but_the_end_are_taken_in_their_order() {
        let moments = draw(&cuts(None, 0), 1, &times("30"));
        assert_eq!(moments.len(), 2 * STEPS.len() - 1);
        assert_eq!(moments[0].label(), "find-media-begin");
        assert_eq!(moments[1].label(), "find-media-done");
    }

    #[test]
    fn moments_of_the_first_boot_come_after_the_installers_and_within_it() {
        let mut cuts = cuts(Some(2), 5);
        cuts.moments_in = vec![FIRST_BOOT.into(), "write-image".into()];
        let moments = draw(&cuts, 1, &times("30"));
        let (before, after) = moments.split_at(7);
        assert!(before.iter().all(|moment| moment.step != FIRST_BOOT));
        assert!(after.iter().all(|moment| moment.step == FIRST_BOOT));
        assert!(after.iter().all(|moment| moment.after <= 85.0));
        assert!(after.iter().any(|moment| moment.after > 20.0));
        assert!(after.is_sorted_by(|a, b| a.after <= b.after));
    }

    #[test]
    fn a_moment_that_came_too_late_is_drawn_by_the_step_s_other_duration() {
        let late = draw(&cuts(Some(0), 10), 1, &times("30"));
        let again = draw_again(late, 2, &times("10.5"));
        assert_eq!(again.len(), 10);
        assert!(again.iter().all(|moment| moment.after < 0.5));
        assert!(again.is_sorted_by(|a, b| a.after <= b.after));
    }

    #[test]
    fn random_moments_lie_inside_their_step_and_depend_on_the_seed_alone() {
        let moments = draw(&cuts(Some(0), 10), 1, &times("30"));
        assert_eq!(moments.len(), 10);
        assert!(
            moments
                .iter()
                .all(|moment| moment.after > 0.0 && moment.after <= 20.0)
        );
        assert!(moments.is_sorted_by(|a, b| a.after <= b.after));
        assert_eq!(moments, draw(&cuts(Some(0), 10), 1, &times("30")));
        assert_ne!(moments, draw(&cuts(Some(0), 10), 2, &times("30")));
    }
}
