//! How long the phases of a scenario may take.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// How long each phase may take, from its begin. The defaults leave room for
/// software emulation on a loaded host. Each is a number with a unit, such as `90s`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Budgets {
    /// From power-on to the installer's first marker.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub first_marker: Duration,
    /// From the first marker to the reset.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub install: Duration,
    /// From a reset to a login by SSH.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub boot: Duration,
    /// From the login to the end of cloud-init, which installs K3s.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub cloud_init: Duration,
    /// From there to a ready node with running workloads.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub ready: Duration,
    /// All questions of one round of checks.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub checks: Duration,
}

impl Default for Budgets {
    fn default() -> Self {
        let minutes = |number: u64| Duration::from_secs(60 * number);
        Self {
            first_marker: minutes(2),
            install: minutes(5),
            boot: minutes(3),
            cloud_init: minutes(5),
            ready: minutes(3),
            checks: minutes(4),
        }
    }
}

/// Reads a duration with its unit, such as `90s`.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        serde::de::Error::custom(format!("`{text}` is no duration such as `90s`: {error}"))
    })
}
