//! The steps of a scenario in which the installed node is at work.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::aspect::{self, When};
use super::session::{Session, wait_for_reset};
use super::{collect, verify};

/// How long the guest may be silent in the middle of a command.
const SILENCE: Duration = Duration::from_secs(120);

impl Session<'_> {
    /// From the reset to the end of cloud-init.
    pub async fn first_boot(&mut self) -> Result<()> {
        self.login().await?;
        aspect::ask(self, When::LoggedIn).await?;
        self.is_node = true;
        self.bring_workload().await?;
        self.wait_for_cloud_init().await
    }

    async fn wait_for_cloud_init(&self) -> Result<()> {
        self.output.doing("waiting for cloud-init");
        let ssh = self.ssh()?;
        let asking = self.ask_until(|| verify::cloud_init(self.service(&ssh)));
        self.guard
            .race(
                "waiting for the end of cloud-init",
                self.budgets().cloud_init,
                asking,
            )
            .await?;
        Ok(())
    }

    /// Until the node is ready with its workloads.
    pub async fn ready(&mut self) -> Result<()> {
        if !self.has_kubernetes() {
            self.output
                .line("no Kubernetes in the config-file: not checked");
            return Ok(());
        }
        self.wait_until_ready().await?;
        self.k3s = self.api().await?.client.version().await?;
        self.start_workloads().await?;
        self.wait_until_ready().await?;
        self.screenshot("screen-node").await;
        Ok(())
    }

    /// Runs a command as root on the node.
    pub async fn run_on_node(&mut self, command: &str) -> Result<()> {
        let ssh = self.ssh()?;
        let doing = format!("running `{command}` on the node");
        self.output.doing(&doing);
        let run = ssh.run("run-on-node", command, SILENCE);
        let budget = self.budgets().checks;
        let answer = self.guard.race(&doing, budget, run).await?;
        ensure!(
            answer.status == 0,
            "`{command}` on the node ended with {}: {}{}",
            answer.status,
            answer.text(),
            String::from_utf8_lossy(&answer.stderr)
        );
        Ok(())
    }

    /// Restarts the node; it must come back as the same node.
    pub async fn reboot(&mut self) -> Result<()> {
        let before = verify::identity(self).await?;
        aspect::ask(self, When::BeforeReboot).await?;
        collect::journal(self).await;
        self.output.doing("rebooting the node");
        let mut events = self.events.resubscribe();
        // The connection breaks while the command runs: its result says nothing.
        let _ = self
            .ssh()?
            .run("reboot", "systemctl reboot", Duration::from_secs(20))
            .await;
        self.ssh = None;
        self.api = None;
        self.guard
            .race(
                "waiting for the node to reset",
                self.budgets().boot,
                wait_for_reset(&mut events),
            )
            .await?;
        self.after_reset().await;
        self.login().await?;
        aspect::ask(self, When::LoggedIn).await?;
        self.wait_until_ready().await?;
        self.wait_for_cloud_init().await?;
        verify::after_reboot(self, &before).await
    }
}
