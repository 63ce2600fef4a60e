//! A log of every request to the API.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::json;

/// The log: one JSON object a line. Of a watch it has the beginning; what it tells is not logged.
#[derive(Debug, Clone)]
pub struct KubeLog(Arc<Mutex<fs_err::File>>);

impl KubeLog {
    /// Starts or continues the log at `path`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(path: &Path) -> std::io::Result<Self> {
        let mut options = fs_err::OpenOptions::new();
        let file = options.create(true).append(true).open(path)?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Logs one request. A log that cannot be written does not end the run.
    pub(super) fn record(&self, request: &str, took: Duration, error: Option<String>) {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let mut line = json!({"time": time, "request": request, "seconds": took.as_secs_f64()});
        if let Some(error) = error {
            line["error"] = error.into();
        }
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(file, "{line}");
    }
}
