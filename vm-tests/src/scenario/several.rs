//! A machine among several: it waits for its turn, and stays on until the others are done.

use std::time::Duration;

use anyhow::Result;

use super::guard::May;
use super::session::Session;

/// How long a machine may have nothing to do. Each step of the others has a limit of its own.
const IDLE: Duration = Duration::from_secs(12 * 3600);

impl Session<'_> {
    /// Until the machine's step number `at` is to be done; its trouble meanwhile is the scenario's.
    pub async fn wait_for_turn(&self, at: usize) -> Result<()> {
        let Some(own) = self.turns else { return Ok(()) };
        self.idle(own.turns.wait(own.places[at])).await
    }

    pub fn turn_is_over(&self, at: usize) {
        if let Some(own) = self.turns {
            own.turns.done(own.places[at]);
        }
    }

    /// Until all machines have done all.
    pub async fn wait_for_others(&self) -> Result<()> {
        let Some(own) = self.turns else { return Ok(()) };
        self.idle(own.turns.end()).await
    }

    /// Watches the machine while others are at work. The failure of another one is passed on as it is.
    async fn idle<E: std::error::Error + Send + Sync + 'static>(
        &self,
        others: impl Future<Output = Result<(), E>>,
    ) -> Result<()> {
        let waiting = async { Ok::<_, std::convert::Infallible>(others.await) };
        let doing = "waiting for the steps of other machines";
        Ok(self
            .guard
            .race_but(May::Installer, doing, IDLE, waiting)
            .await??)
    }
}
