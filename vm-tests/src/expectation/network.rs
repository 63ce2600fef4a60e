//! Static addresses, gateways and name servers of interfaces; time servers; services.

use cluster_bootstrapper::model::NetworkInterface;
use serde_json::Value;

use super::judge::{Verdict, failed, has_line};
use super::{Expectation, Source};
use crate::node::Probe;
use crate::ssh::GuestOutput;
use vm::shell::quote;

pub(super) fn expectations(source: &Source) -> Vec<Expectation> {
    let system = &source.config.operating_system;
    let mut all = Vec::new();
    for (index, interface) in system.network.iter().enumerate() {
        let key = format!("/operatingSystem/network/{index}");
        all.extend(addresses(&key, interface));
        all.extend(gateways(&key, interface));
        for (index, server) in interface.dns.iter().enumerate() {
            all.push(Expectation::new(
                format!("{key}/dns/{index}"),
                "the node asks the name server",
                server.as_str(),
                Probe::shell("cat /run/systemd/resolve/resolv.conf"),
                has_line(format!("nameserver {server}")),
            ));
        }
    }
    for (index, server) in system.ntp_servers.iter().enumerate() {
        let wanted = server.to_string();
        all.push(Expectation::new(
            format!("/operatingSystem/ntpServers/{index}"),
            "the node takes its time from the server",
            &wanted,
            Probe::shell("timedatectl show-timesync --property=SystemNTPServers --value"),
            {
                let wanted = wanted.clone();
                move |answer: &GuestOutput| match answer.status {
                    0 => {
                        let text = answer.text();
                        Verdict::when(
                            text.split_whitespace().any(|word| word == wanted),
                            text.trim(),
                        )
                    }
                    _ => failed(answer),
                }
            },
        ));
    }
    all.extend(services(source));
    all
}

/// Each address is on a link that the entry means.
fn addresses(key: &str, interface: &NetworkInterface) -> Vec<Expectation> {
    let mut told_by = vec!["addresses"];
    if interface.interface.is_some() {
        told_by.push("interface");
    }
    if interface.mac_address.is_some() {
        told_by.push("macAddress");
    }
    let mut all = Vec::new();
    for (index, address) in interface.addresses.iter().enumerate() {
        for part in &told_by {
            let pointer = match *part {
                "addresses" => format!("{key}/addresses/{index}"),
                part => format!("{key}/{part}"),
            };
            let wanted = interface.clone();
            let (own, length) = (
                address.address().to_string(),
                address.network().prefix_len(),
            );
            all.push(Expectation::new(
                pointer,
                "the interface has the address",
                format!("{address} on {}", meant(interface)),
                Probe::shell("ip -json address show"),
                move |answer| {
                    if answer.status != 0 {
                        return failed(answer);
                    }
                    judge_address(&answer.stdout, &wanted, &own, length)
                },
            ));
        }
    }
    all
}

fn meant(interface: &NetworkInterface) -> String {
    let name = interface.interface.as_ref().map(ToString::to_string);
    let mac = interface.mac_address.as_ref().map(ToString::to_string);
    let parts: Vec<String> = name.into_iter().chain(mac).collect();
    parts.join(", ")
}

fn judge_address(links: &[u8], wanted: &NetworkInterface, own: &str, length: u8) -> Verdict {
    let links: Vec<Value> = serde_json::from_slice(links).unwrap_or_default();
    let has = |link: &&Value| {
        let addresses = link["addr_info"].as_array().into_iter().flatten();
        addresses
            .into_iter()
            .any(|info| info["local"] == own && info["prefixlen"] == u64::from(length))
    };
    let Some(link) = links.iter().find(has) else {
        let all: Vec<String> = links
            .iter()
            .flat_map(|link| link["addr_info"].as_array().into_iter().flatten())
            .map(|info| info["local"].as_str().unwrap_or_default().to_owned())
            .collect();
        return Verdict::bad(format!("no interface has it; seen: {}", all.join(", ")));
    };
    let name = link["ifname"].as_str().unwrap_or_default();
    let mac = link["address"].as_str().unwrap_or_default();
    let name_fits = wanted
        .interface
        .as_ref()
        // Wildcards are systemd's to apply: where there are some, any interface may be meant.
        .is_none_or(|wanted| wanted.is_pattern() || wanted.as_str() == name);
    let mac_fits = wanted
        .mac_address
        .as_ref()
        .is_none_or(|wanted| wanted.as_str().eq_ignore_ascii_case(mac));
    Verdict::when(
        name_fits && mac_fits,
        format!("{own}/{length} on {name}, {mac}"),
    )
}

fn gateways(key: &str, interface: &NetworkInterface) -> Vec<Expectation> {
    let given = interface.gateway.iter().flat_map(|list| list.addresses());
    given
        .map(|gateway| {
            let family = if gateway.address().is_ipv4() {
                "-4"
            } else {
                "-6"
            };
            let wanted = gateway.to_string();
            Expectation::new(
                format!("{key}/gateway"),
                "a default route leads to the gateway",
                &wanted,
                Probe::shell(format!("ip {family} -json route show default")),
                {
                    let wanted = wanted.clone();
                    move |answer: &GuestOutput| {
                        if answer.status != 0 {
                            return failed(answer);
                        }
                        let routes: Vec<Value> =
                            serde_json::from_slice(&answer.stdout).unwrap_or_default();
                        let seen: Vec<&str> = routes
                            .iter()
                            .filter_map(|route| route["gateway"].as_str())
                            .collect();
                        Verdict::when(seen.contains(&wanted.as_str()), seen.join(", "))
                    }
                },
            )
        })
        .collect()
}

fn services(source: &Source) -> Vec<Expectation> {
    let services = &source.config.operating_system.services;
    let mut all = Vec::new();
    for (list, units, on) in [
        ("enable", &services.enable, true),
        ("disable", &services.disable, false),
    ] {
        for (index, unit) in units.iter().enumerate() {
            let word = quote(unit.as_str());
            all.push(Expectation::new(
                format!("/operatingSystem/services/{list}/{index}"),
                match on {
                    true => "the unit is started at boot",
                    false => "the unit is not started at boot",
                },
                unit.as_str(),
                // Both commands answer by their exit status, too; the words are what is judged.
                Probe::shell(format!(
                    "echo \"$(systemctl is-enabled {word} 2>&1) $(systemctl is-active {word} 2>&1)\""
                )),
                move |answer| judge_unit(&answer.text(), on),
            ));
        }
    }
    all
}

/// `enabled active`: a unit that ran once and ended is inactive, and may be enabled all the same.
fn judge_unit(text: &str, on: bool) -> Verdict {
    let words: Vec<&str> = text.split_whitespace().collect();
    let enabled = words
        .first()
        .is_some_and(|word| ["enabled", "alias"].contains(word));
    let state = words.last().copied().unwrap_or_default();
    let passed = match on {
        true => enabled && state != "failed",
        // A node that does not know says neither word.
        false => {
            words.len() > 1 && !enabled && !["active", "activating", "failed"].contains(&state)
        }
    };
    Verdict::when(passed, text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS: &str = r#"[{"ifname": "ens3", "address": "52:54:00:12:34:56",
        "addr_info": [{"local": "10.0.2.15", "prefixlen": 24}]}]"#;

    fn interface(text: &str) -> NetworkInterface {
        serde_json::from_str(text).expect("an interface")
    }

    #[test]
    fn an_address_counts_on_the_interface_meant_only() {
        let judge = |text: &str| judge_address(LINKS.as_bytes(), &interface(text), "10.0.2.15", 24);
        assert!(judge(r#"{"interface": "ens3", "addresses": []}"#).passed);
        assert!(judge(r#"{"macAddress": "52-54-00-12-34-56", "addresses": []}"#).passed);
        assert!(!judge(r#"{"interface": "ens4", "addresses": []}"#).passed);
        assert!(
            !judge_address(
                LINKS.as_bytes(),
                &interface(r#"{"addresses": []}"#),
                "10.0.2.15",
                16
            )
            .passed
        );
    }

    #[test]
    fn a_unit_that_failed_is_neither_on_nor_off() {
        assert!(judge_unit("enabled inactive\n", true).passed);
        assert!(!judge_unit("enabled failed\n", true).passed);
        assert!(judge_unit("disabled inactive\n", false).passed);
        assert!(
            judge_unit(
                "Failed to get unit file state: No such file or directory inactive\n",
                false
            )
            .passed
        );
        assert!(!judge_unit("disabled active\n", false).passed);
        assert!(!judge_unit("disabled activating\n", false).passed);
        assert!(!judge_unit("disabled failed\n", false).passed);
        assert!(!judge_unit("enabled inactive\n", false).passed);
        assert!(!judge_unit("alias inactive\n", false).passed);
        assert!(judge_unit("alias active\n", true).passed);
        assert!(!judge_unit("disabled active\n", true).passed);
        assert!(!judge_unit("\n", false).passed);
    }
}
