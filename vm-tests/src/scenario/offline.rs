//! The step of a scenario in which the node has no network: what it says by itself.

use anyhow::Result;

use super::failure::Failure;
use super::session::Session;
use crate::evidence::Check;

impl Session<'_> {
    /// From the reset until a console shows the text that a command of the config-file writes there once the node is
    /// ready.
    pub async fn node_says(&mut self, text: &str) -> Result<()> {
        self.output
            .doing(&format!("waiting for the node to say `{text}`"));
        let console = self.guard.console();
        let said = console.wait_for(|state| {
            let lines = state.tail(usize::MAX);
            lines.into_iter().rev().find(|line| line.contains(text))
        });
        let said = async { Ok::<_, Failure>(said.await) };
        let budgets = self.budgets();
        let budget = budgets.boot + budgets.cloud_init + budgets.ready;
        let doing = format!("waiting for the node to say `{text}` on a console");
        let line = self.guard.race(&doing, budget, said).await?;
        self.checks.push(Check {
            key: "machine/nodeSays".into(),
            check: "the node says by itself, without a network".into(),
            expected: text.to_owned(),
            passed: line.contains(text),
            actual: line,
        });
        self.screenshot("screen-offline").await;
        Ok(())
    }
}
