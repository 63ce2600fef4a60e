//! Whose turn it is where several machines do the steps of one scenario.

use std::fmt;

use tokio::sync::watch;

/// How far the steps of all machines are.
#[derive(Debug, Default)]
struct State {
    /// The place of the step that is to be done now.
    now: usize,
    /// The machine that failed.
    failed: Option<String>,
}

/// The steps of all machines, one after the other.
#[derive(Debug)]
pub(super) struct Turns {
    state: watch::Sender<State>,
    /// How many steps there are.
    count: usize,
}

/// The end of a machine's part because another machine failed.
#[derive(Debug)]
pub(super) struct OtherFailed(String);

impl std::error::Error for OtherFailed {}

impl fmt::Display for OtherFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "machine `{}` failed", self.0)
    }
}

/// The turns of the steps that one run of a machine does.
#[derive(Clone, Copy)]
pub(super) struct OwnTurns<'a> {
    pub turns: &'a Turns,
    /// The place of each of the steps.
    pub places: &'a [usize],
}

impl Turns {
    /// Nothing of `count` steps is done.
    pub fn new(count: usize) -> Self {
        Self {
            state: watch::Sender::default(),
            count,
        }
    }

    /// Until the step at `place` is to be done.
    ///
    /// # Errors
    /// Another machine failed.
    pub async fn wait(&self, place: usize) -> Result<(), OtherFailed> {
        let mut state = self.state.subscribe();
        let reached = |state: &State| state.now >= place || state.failed.is_some();
        // The sender lives as long as this value.
        let Ok(state) = state.wait_for(reached).await else {
            return std::future::pending().await;
        };
        match &state.failed {
            Some(machine) => Err(OtherFailed(machine.clone())),
            None => Ok(()),
        }
    }

    /// Until the last step of all machines is done.
    ///
    /// # Errors
    /// Another machine failed.
    pub async fn end(&self) -> Result<(), OtherFailed> {
        self.wait(self.count).await
    }

    /// The step at `place` is done.
    pub fn done(&self, place: usize) {
        self.state.send_modify(|state| state.now = place + 1);
    }

    /// A machine failed: no step of another one is begun.
    pub fn fail(&self, machine: &str) {
        self.state.send_modify(|state| {
            state.failed.get_or_insert_with(|| machine.to_owned());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_waits_for_the_ones_before_it() {
        let turns = Turns::new(2);
        turns.wait(0).await.unwrap();
        let second = tokio::time::timeout(std::time::Duration::from_millis(20), turns.wait(1));
        assert!(second.await.is_err());
        turns.done(0);
        turns.wait(1).await.unwrap();
        turns.done(1);
        turns.end().await.unwrap();
    }

    #[tokio::test]
    async fn the_machine_that_failed_first_is_named_to_all() {
        let turns = Turns::new(3);
        turns.fail("a");
        turns.fail("b");
        let error = turns.wait(2).await.unwrap_err();
        assert_eq!(error.to_string(), "machine `a` failed");
        assert!(turns.end().await.is_err());
    }
}
