//! The node's environment: /etc/environment with the proxy, and the host name.

use super::InstallError;
use super::access::Access;
use super::draft::Draft;
use crate::config_file::ConfigFile;
use crate::path_rule::PathRule;
use crate::values::ProxyUrl;
use std::borrow::Cow;

const ENVIRONMENT: &str = "/etc/environment";
const HOSTNAME: &str = "/etc/hostname";
const HOSTS: &str = "/etc/hosts";
/// Without it cloud-init sets a name of its own.
const KEEP_NAME: &str = "/etc/cloud/cloud.cfg.d/10-emts-hostname.cfg";

/// What stands for itself in a shell, also unquoted: no blank, operator, quote, pattern or `~`.
const PLAIN: &str = "%+,-./:=@_*";

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

/// A file of which nothing is set is the user's to give.
pub(super) fn claims(config: &ConfigFile) -> Vec<PathRule> {
    let os = &config.operating_system;
    let mut claims = vec![KEEP_NAME];
    claims.extend((!os.proxy.is_empty()).then_some(ENVIRONMENT));
    claims.extend(os.hostname.iter().flat_map(|_| [HOSTNAME, HOSTS]));
    claims.into_iter().map(PathRule::new).collect()
}

pub(super) fn plan(
    config: &ConfigFile,
    default: &str,
    draft: &mut Draft<'_>,
) -> Result<(), InstallError> {
    let variables = proxy_variables(config);
    if !variables.is_empty() {
        proxy(config, &variables, draft)?;
    } else if !draft.exists(ENVIRONMENT)? {
        // Units that name it without a `-`, as the proposal's drop-in does, do not start without the file.
        draft.write_found(ENVIRONMENT, "", Access::root(0o644))?;
    }
    match &config.operating_system.hostname {
        Some(name) => hostname(name.as_str(), draft)?,
        None => hostname(default, draft)?,
    }
    draft.write(KEEP_NAME, "preserve_hostname: true\n", Access::root(0o644))
}

fn proxy(
    config: &ConfigFile,
    variables: &[(&str, String)],
    draft: &mut Draft<'_>,
) -> Result<(), InstallError> {
    let found = draft.read(ENVIRONMENT)?;
    let (text, mut access) = found.unwrap_or((String::new(), Access::root(0o644)));
    let is_ours = |line: &&str| {
        let name = line.split('=').next().unwrap_or_default().trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        variables.iter().any(|(key, _)| *key == name)
    };
    let mut out: String = text
        .lines()
        .filter(|line| !is_ours(line))
        .map(|line| format!("{line}\n"))
        .collect();
    for (key, value) in variables {
        out.push_str(&format!("{key}={}\n", quoted(value)));
    }
    let proxy = &config.operating_system.proxy;
    let mut urls = proxy.http_proxy.iter().chain(&proxy.https_proxy);
    if urls.any(ProxyUrl::has_credentials) {
        // Those who log in, and services, get the variables from programs that read the file as root.
        access.mode &= 0o700;
    }
    draft.write(ENVIRONMENT, out, access)
}

/// A value as shells, systemd and pam_env read it alike. They agree on double quotes around a value without quotes,
/// `\`, `$`, `` ` `` and `#`, which proxies and noProxy do not have; and on a value that needs no quotes.
fn quoted(value: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || PLAIN.contains(c);
    match value.chars().all(is_plain) {
        true => Cow::Borrowed(value),
        false => Cow::Owned(format!("\"{value}\"")),
    }
}

/// Files of the user's stay as they are: only without a `hostname` can there be any.
fn hostname(name: &str, draft: &mut Draft<'_>) -> Result<(), InstallError> {
    if !draft.is_planned(HOSTNAME) {
        draft.write_found(HOSTNAME, format!("{name}\n"), Access::root(0o644))?;
    }
    if draft.is_planned(HOSTS) {
        return Ok(());
    }
    let found = draft.read(HOSTS)?;
    let (text, access) =
        found.unwrap_or(("127.0.0.1\tlocalhost\n".to_owned(), Access::root(0o644)));
    let mut hosts: String = text
        .lines()
        .filter(|line| line.split_whitespace().next() != Some("127.0.1.1"))
        .map(|line| format!("{line}\n"))
        .collect();
    let short = name.split('.').next().unwrap_or_default();
    let names = if short == name {
        short.to_owned()
    } else {
        format!("{name} {short}")
    };
    hosts.push_str(&format!("127.0.1.1\t{names}\n"));
    draft.write_found(HOSTS, hosts, access)
}
