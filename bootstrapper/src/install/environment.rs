//! The node's environment: /etc/environment with the proxy, and the host name.

use super::InstallError;
use super::root::{Access, Root};
use crate::config_file::ConfigFile;
use crate::values::HostName;

const ENVIRONMENT: &str = "/etc/environment";

/// The proxy variables of a config-file in the order they are written, empty when no proxy is set.
pub fn proxy_variables(config: &ConfigFile) -> Vec<(&'static str, String)> {
    let proxy = &config.operating_system.proxy;
    if proxy.is_empty() {
        return vec![];
    }
    let mut out = vec![];
    let mut both = |lower, upper, value: Option<String>| {
        if let Some(value) = value {
            out.push((lower, value.clone()));
            out.push((upper, value));
        }
    };
    let text = |url: &crate::values::ProxyUrl| url.to_string();
    both(
        "http_proxy",
        "HTTP_PROXY",
        proxy.http_proxy.as_ref().map(text),
    );
    both(
        "https_proxy",
        "HTTPS_PROXY",
        proxy.https_proxy.as_ref().map(text),
    );
    both("no_proxy", "NO_PROXY", Some(no_proxy(config)));
    out
}

/// The user's noProxy, then what must never go through a proxy: the cluster's networks and names.
fn no_proxy(config: &ConfigFile) -> String {
    let given = &config.operating_system.proxy.no_proxy;
    let mut entries: Vec<String> = given
        .iter()
        .flat_map(|list| list.entries())
        .cloned()
        .collect();
    let inside = config.inside();
    let names = [".svc".to_owned(), format!(".{}", inside.domain)];
    let networks = inside.pods.into_iter().chain(inside.services);
    let more = networks.chain(names);
    for entry in more {
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries.join(",")
}

pub(super) fn proxy(config: &ConfigFile, root: &Root) -> Result<(), InstallError> {
    let variables = proxy_variables(config);
    let found = root.read(ENVIRONMENT)?;
    if variables.is_empty() {
        // Units that name it without a `-`, as the proposal's drop-in does, do not start without the file.
        return match found {
            Some(_) => Ok(()),
            None => Ok(root.write(ENVIRONMENT, b"", Access::root(0o644))?),
        };
    }
    let (text, access) = found.unwrap_or((String::new(), Access::root(0o644)));
    let is_ours = |line: &&str| {
        let name = line.split('=').next().unwrap_or_default().trim();
        variables.iter().any(|(key, _)| *key == name)
    };
    let mut out: String = text
        .lines()
        .filter(|line| !is_ours(line))
        .map(|line| format!("{line}\n"))
        .collect();
    for (key, value) in &variables {
        out.push_str(&format!("{key}={value}\n"));
    }
    Ok(root.write(ENVIRONMENT, out.as_bytes(), access)?)
}

pub(super) fn hostname(name: &HostName, root: &Root) -> Result<(), InstallError> {
    root.write(
        "/etc/hostname",
        format!("{name}\n").as_bytes(),
        Access::root(0o644),
    )?;
    let found = root.read("/etc/hosts")?;
    let (text, access) =
        found.unwrap_or(("127.0.0.1\tlocalhost\n".to_owned(), Access::root(0o644)));
    let mut hosts: String = text
        .lines()
        .filter(|line| line.split_whitespace().next() != Some("127.0.1.1"))
        .map(|line| format!("{line}\n"))
        .collect();
    let short = name.as_str().split('.').next().unwrap_or_default();
    let names = if short == name.as_str() {
        short.to_owned()
    } else {
        format!("{name} {short}")
    };
    hosts.push_str(&format!("127.0.1.1\t{names}\n"));
    root.write("/etc/hosts", hosts.as_bytes(), access)?;
    // Without it cloud-init sets a name of its own.
    let keep = b"preserve_hostname: true\n";
    Ok(root.write(
        "/etc/cloud/cloud.cfg.d/10-emts-hostname.cfg",
        keep,
        Access::root(0o644),
    )?)
}
