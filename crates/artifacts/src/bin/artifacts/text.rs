//! Sizes, rates and times for people.

use std::time::Duration;

use artifacts::request::Outcome;
use indicatif::{BinaryBytes, HumanDuration};

/// `12.50 MiB`.
pub fn bytes(count: u64) -> String {
    BinaryBytes(count).to_string()
}

/// `1.20 MiB/s`.
pub fn rate(count: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64().max(1e-3);
    format!("{}/s", bytes((count as f64 / seconds) as u64))
}

/// `, 3 minutes left`, as far as `came` bytes in `time` tell.
pub fn left(missing: u64, came: u64, time: Duration) -> String {
    if came == 0 {
        return String::new();
    }
    let seconds = time.as_secs_f64() * missing as f64 / came as f64;
    format!(
        ", {} left",
        HumanDuration(Duration::from_secs(seconds.ceil() as u64))
    )
}

/// What is said when a download ended.
pub fn ended(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(failure) => failure.to_string(),
        Outcome::Fetched(fetched) if fetched.url.is_none() => {
            format!(
                "{}: is there already, {}",
                fetched.name,
                bytes(fetched.size)
            )
        }
        Outcome::Fetched(fetched) => {
            let came = fetched.size.saturating_sub(fetched.resumed_at);
            let time = Duration::from_secs_f64(fetched.seconds);
            format!(
                "{}: fetched {} in {:.1} s ({}), SHA-256 {}",
                fetched.name,
                bytes(came),
                fetched.seconds,
                rate(came, time),
                fetched.sha256
            )
        }
    }
}
