//! A log of every command that was run in the guest.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::output::GuestOutput;
use super::secrets::Secrets;

/// How many characters of a command's standard error the log keeps.
const STDERR_KEPT: usize = 2000;

/// The log: one JSON object a line.
#[derive(Debug, Clone)]
pub struct SshLog {
    file: Arc<Mutex<fs_err::File>>,
    secrets: Secrets,
}

impl SshLog {
    /// Starts or continues the log at `path`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(path: &Path, secrets: Secrets) -> std::io::Result<Self> {
        let file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        Ok(Self {
            file: Arc::new(Mutex::new(file)),
            secrets,
        })
    }

    /// Logs one command. A log that cannot be written does not end the run.
    pub fn record(
        &self,
        name: &str,
        script: &str,
        took: Duration,
        result: Result<&GuestOutput, &str>,
    ) {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let mut line = json!({"time": time, "name": name, "seconds": took.as_secs_f64(), "script": self.secrets.mask(script)});
        match result {
            Ok(output) => {
                let stderr: String = String::from_utf8_lossy(&output.stderr)
                    .chars()
                    .take(STDERR_KEPT)
                    .collect();
                line["status"] = output.status.into();
                line["stderr"] = self.secrets.mask(&stderr).into();
                line["stdoutBytes"] = output.stdout.len().into();
            }
            Err(error) => line["error"] = self.secrets.mask(error).into(),
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(file, "{line}");
    }
}
