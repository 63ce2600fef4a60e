//! Boots of HookOS alone, without a scenario: what PID 1 does in which order, and how long the way to the installer takes.

mod order;
mod time;

pub use order::check_order;
pub use time::seconds_to_installer;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use vm::console::Console;
use vm::machine::{RunningVm, VmConfig};

/// When a boot is given up.
const DEADLINE: Duration = Duration::from_secs(300);
/// Lines of the consoles that an error shows.
const SHOWN: usize = 40;

/// A machine that is watched. Dropped, it ends.
struct Watched {
    vm: RunningVm,
    console: Console,
}

impl Watched {
    /// Starts a machine whose files are in `directory`.
    async fn start(config: &VmConfig, directory: &Path) -> Result<Self> {
        let plan = config.plan()?;
        let console = Console::follow(&plan.serial_logs);
        let log = directory.join("qmp.jsonl");
        let vm = RunningVm::start(plan, &log).await;
        let vm = vm.context("the machine does not start")?;
        Ok(Self { vm, console })
    }

    /// Until the consoles show what `look` finds.
    async fn wait_for<T>(
        &self,
        wanted: &str,
        look: impl Fn(&vm::console::ConsoleState) -> Option<T>,
    ) -> Result<T> {
        let failure = tokio::select! {
            biased;
            found = self.console.wait_for(look) => return Ok(found),
            death = self.vm.died() => death.to_string(),
            () = tokio::time::sleep(DEADLINE) => {
                format!("not within {}", humantime::format_duration(DEADLINE))
            }
        };
        bail!("{wanted}: {failure}; {}", self.last_lines().await)
    }

    async fn last_lines(&self) -> String {
        self.console.caught_up().await;
        let lines = self.console.look(|state| state.tail(SHOWN));
        format!("the last lines of the consoles:\n{}", lines.join("\n"))
    }
}
