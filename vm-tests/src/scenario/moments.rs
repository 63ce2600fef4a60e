//! When the power is cut: the moments of an installation, drawn by a seed, and the clock that finds them in another.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::step::PowerCuts;
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
pub(super) fn draw(cuts: &PowerCuts, seed: u64, markers: &[Marker]) -> Vec<Moment> {
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
        boundaries.extend((0..cuts.moments).map(|_| inside(step, &mut random, markers)));
    }
    sort(&mut boundaries);
    boundaries
}

/// Other random moments of the steps that these are of, by the durations of a later installation.
pub(super) fn draw_again(late: Vec<Moment>, seed: u64, markers: &[Marker]) -> Vec<Moment> {
    let mut random = fastrand::Rng::with_seed(seed);
    let again = |moment: Moment| inside(&moment.step, &mut random, markers);
    let mut moments: Vec<_> = late.into_iter().map(again).collect();
    sort(&mut moments);
    moments
}

/// A random moment inside of a step.
fn inside(step: &str, random: &mut fastrand::Rng, markers: &[Marker]) -> Moment {
    Moment {
        step: step.to_owned(),
        done: false,
        after: (duration(markers, step) * INSIDE * random.f64()).max(0.01),
    }
}

fn sort(moments: &mut [Moment]) {
    let place = |moment: &Moment| {
        let step = STEPS.iter().position(|step| *step == moment.step);
        (step, moment.done)
    };
    moments.sort_by(|a, b| place(a).cmp(&place(b)).then(a.after.total_cmp(&b.after)));
}

/// How long a step took, in seconds by the installer's clock.
fn duration(markers: &[Marker], step: &str) -> f64 {
    let time = |state| {
        markers
            .iter()
            .find(|marker| marker.step == step && marker.state == state)
            .and_then(|marker| marker.t.parse::<f64>().ok())
    };
    match (time(MarkerState::Begin), time(MarkerState::Done)) {
        (Some(begin), Some(done)) => done - begin,
        _ => 0.0,
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

    fn markers() -> Vec<Marker> {
        ["begin t=10", "done t=30"]
            .iter()
            .filter_map(|end| Marker::parse(&format!("EMTS step=write-image state={end}")))
            .collect()
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
        let moments = draw(&cuts(None, 0), 1, &markers());
        assert_eq!(moments.len(), 2 * STEPS.len() - 1);
        assert_eq!(moments[0].label(), "find-media-begin");
        assert_eq!(moments[1].label(), "find-media-done");
    }

    #[test]
    fn a_moment_that_came_too_late_is_drawn_by_the_step_s_other_duration() {
        let late = draw(&cuts(Some(0), 10), 1, &markers());
        let quick: Vec<_> = ["begin t=10", "done t=10.5"]
            .iter()
            .filter_map(|end| Marker::parse(&format!("EMTS step=write-image state={end}")))
            .collect();
        let again = draw_again(late, 2, &quick);
        assert_eq!(again.len(), 10);
        assert!(again.iter().all(|moment| moment.after < 0.5));
        assert!(again.is_sorted_by(|a, b| a.after <= b.after));
    }

    #[test]
    fn random_moments_lie_inside_their_step_and_depend_on_the_seed_alone() {
        let moments = draw(&cuts(Some(0), 10), 1, &markers());
        assert_eq!(moments.len(), 10);
        assert!(
            moments
                .iter()
                .all(|moment| moment.after > 0.0 && moment.after <= 20.0)
        );
        assert!(moments.is_sorted_by(|a, b| a.after <= b.after));
        assert_eq!(moments, draw(&cuts(Some(0), 10), 1, &markers()));
        assert_ne!(moments, draw(&cuts(Some(0), 10), 2, &markers()));
    }
}
