//! The operating system: proxy, host name, time zone.

use cluster_bootstrapper::install::proxy_variables;

use super::judge::{equals, has_line};
use super::{Expectation, Source};
use crate::node::Probe;

/// Prints the environment of the running K3s, one variable a line.
const K3S_ENVIRONMENT: &str =
    "tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value k3s.service)/environ";

pub(super) fn expectations(source: &Source) -> Vec<Expectation> {
    let mut all = Vec::new();
    if let Some(name) = &source.config.operating_system.hostname {
        all.push(Expectation::new(
            "/operatingSystem/hostname",
            "the host has the name",
            name.as_str(),
            Probe::shell("cat /proc/sys/kernel/hostname"),
            equals(name),
        ));
    }
    if let Some(zone) = &source.config.operating_system.timezone {
        all.push(Expectation::new(
            "/operatingSystem/timezone",
            "the system has the time zone",
            zone.as_str(),
            Probe::shell("timedatectl show --property=Timezone --value"),
            equals(zone),
        ));
    }
    for (name, value) in proxy_variables(source.config) {
        let key = match name.to_ascii_lowercase().as_str() {
            "http_proxy" => "httpProxy",
            "https_proxy" => "httpsProxy",
            _ => "noProxy",
        };
        let key = format!("/operatingSystem/proxy/{key}");
        let line = format!("{name}={value}");
        all.push(Expectation::new(
            key.clone(),
            format!("/etc/environment sets {name}"),
            &line,
            Probe::shell("set -a; . /etc/environment; env"),
            has_line(&line),
        ));
        if source.config.kubernetes.is_none() {
            continue;
        }
        all.push(Expectation::new(
            key,
            format!("K3s runs with {name}"),
            &line,
            Probe::shell(K3S_ENVIRONMENT),
            has_line(&line),
        ));
    }
    all
}
