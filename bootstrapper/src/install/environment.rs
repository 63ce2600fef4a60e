//! The node's environment: /etc/environment with the proxy, the host name, and the time zone.

use super::InstallError;
use super::access::Access;
use super::draft::{Draft, lines};
use crate::config_file::ConfigFile;
use crate::path_rule::PathRule;
use crate::values::{ProxyUrl, TimeZone};
use std::borrow::Cow;

const ENVIRONMENT: &str = "/etc/environment";
const HOSTNAME: &str = "/etc/hostname";
const HOSTS: &str = "/etc/hosts";
/// Without it cloud-init sets a name of its own.
const KEEP_NAME: &str = "/etc/cloud/cloud.cfg.d/10-emts-hostname.cfg";
/// A link to the time zone (localtime(5)).
const LOCALTIME: &str = "/etc/localtime";
/// Debian's older record of the time zone's name; programs there believe it where it is.
const TIMEZONE: &str = "/etc/timezone";
const ZONES: &str = "/usr/share/zoneinfo";

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
    let no_proxy = no_proxy(config);
    both(
        "no_proxy",
        "NO_PROXY",
        (!no_proxy.is_empty()).then_some(no_proxy),
    );
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
    let more = config.inside().into_iter().flat_map(|inside| {
        let names = [".svc".to_owned(), format!(".{}", inside.domain)];
        let networks = inside.pods.into_iter().chain(inside.services);
        networks.chain(names)
    });
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
    claims.extend(os.timezone.iter().flat_map(|_| [LOCALTIME, TIMEZONE]));
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
    if let Some(zone) = &config.operating_system.timezone {
        time_zone(zone, draft)?;
    }
    draft.write(KEEP_NAME, "preserve_hostname: true\n", Access::root(0o644))
}

fn proxy(
    config: &ConfigFile,
    variables: &[(&str, String)],
    draft: &mut Draft<'_>,
) -> Result<(), InstallError> {
    let found = draft.read(ENVIRONMENT)?;
    let (text, mut access) = found.unwrap_or((vec![], Access::root(0o644)));
    let is_ours = |line: &[u8]| {
        let name = line.split(|byte| *byte == b'=').next().unwrap_or_default();
        let name = name.trim_ascii();
        let name = name.strip_prefix(b"export ").unwrap_or(name).trim_ascii();
        variables.iter().any(|(key, _)| key.as_bytes() == name)
    };
    let mut out = vec![];
    for line in lines(&text).filter(|line| !is_ours(line)) {
        out.extend([line, b"\n"].concat());
    }
    for (key, value) in variables {
        out.extend(format!("{key}={}\n", quoted(value)).into_bytes());
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
    let (text, access) = found.unwrap_or((b"127.0.0.1\tlocalhost\n".to_vec(), Access::root(0o644)));
    let address = |line: &&[u8]| {
        let mut fields = line.split(u8::is_ascii_whitespace);
        fields.find(|field| !field.is_empty()) == Some(b"127.0.1.1")
    };
    let mut hosts = vec![];
    for line in lines(&text).filter(|line| !address(line)) {
        hosts.extend([line, b"\n"].concat());
    }
    let short = name.split('.').next().unwrap_or_default();
    let names = if short == name {
        short.to_owned()
    } else {
        format!("{name} {short}")
    };
    hosts.extend(format!("127.0.1.1\t{names}\n").into_bytes());
    draft.write_found(HOSTS, hosts, access)
}

/// As timedatectl sets it.
fn time_zone(zone: &TimeZone, draft: &mut Draft<'_>) -> Result<(), InstallError> {
    let missing = |program| InstallError::Missing {
        key: "operatingSystem.timezone",
        program,
    };
    if !draft.exists(ZONES)? {
        return Err(missing(format!("{ZONES} (time zones)")));
    }
    let file = format!("{ZONES}/{zone}");
    // A directory, as that of `Europe` is, has a `.` in it.
    if !draft.exists(&file)? || draft.exists(&format!("{file}/."))? {
        return Err(missing(format!("time zone {file}")));
    }
    draft.link(LOCALTIME, &format!("..{file}"))?;
    match draft.read(TIMEZONE)? {
        Some((_, access)) => draft.write(TIMEZONE, format!("{zone}\n"), access),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::install::{Machine, Owners, Plan, Root, plan};
    use crate::{ParseOptions, parse};
    use std::fs;
    use std::path::Path;

    /// An image with the zones Europe/Berlin and UTC.
    fn image() -> tempfile::TempDir {
        let tree = tempfile::tempdir().expect("temporary directory");
        for (path, text) in [
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
            ("etc/shadow", "root:*:20000::::::\n"),
            ("etc/group", "root:x:0:\n"),
            ("usr/share/zoneinfo/Europe/Berlin", "TZif"),
            ("usr/share/zoneinfo/UTC", "TZif"),
        ] {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().expect("above")).expect("directory");
            fs::write(path, text).expect("file");
        }
        tree
    }

    fn planned(image: &Path, zone: &str) -> Result<(Plan, Root), String> {
        let text = format!(
            "operatingSystem:\n  users: [{{username: root}}]\n  timezone: {zone}\nkubernetes:\n  kind: \
             KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n  spec: {{template: \
             {{spec: {{}}}}}}\n"
        );
        let parsed = parse(&text, &ParseOptions::default());
        let config = parsed.config.ok_or(format!("{:?}", parsed.diagnostics))?;
        let root = Root::open(image, Owners::Keep).map_err(|error| error.to_string())?;
        let machine = Machine::new(None).map_err(|error| error.to_string())?;
        let plan = plan(&config, &machine, &root).map_err(|error| error.to_string())?;
        Ok((plan, root))
    }

    fn install(image: &Path, zone: &str) {
        let (plan, root) = planned(image, zone).expect("planned");
        plan.carry_out(&root).expect("installed");
    }

    fn localtime(image: &Path) -> String {
        let link = fs::read_link(image.join("etc/localtime")).expect("a link");
        link.display().to_string()
    }

    #[test]
    fn localtime_leads_to_the_zone() {
        for zone in ["Europe/Berlin", "UTC"] {
            let image = image();
            install(image.path(), zone);
            assert_eq!(
                localtime(image.path()),
                format!("../usr/share/zoneinfo/{zone}")
            );
        }
    }

    #[test]
    fn a_copy_of_the_image_s_own_zone_is_replaced() {
        let image = image();
        fs::write(image.path().join("etc/localtime"), "TZif").expect("file");
        install(image.path(), "Europe/Berlin");
        assert_eq!(
            localtime(image.path()),
            "../usr/share/zoneinfo/Europe/Berlin"
        );
    }

    #[test]
    fn the_name_is_written_where_the_image_keeps_it() {
        let image = image();
        let name = image.path().join("etc/timezone");
        install(image.path(), "Europe/Berlin");
        assert!(!name.exists());
        fs::write(&name, "Etc/UTC\n").expect("file");
        install(image.path(), "Europe/Berlin");
        assert_eq!(fs::read_to_string(&name).expect("text"), "Europe/Berlin\n");
    }

    #[test]
    fn a_zone_that_the_image_lacks_is_refused() {
        for zone in ["Europe/Paris", "Europe"] {
            let error = planned(image().path(), zone).expect_err("refused");
            assert!(
                error.contains("operatingSystem.timezone") && error.contains(zone),
                "{error}"
            );
        }
    }

    #[test]
    fn an_image_without_zones_is_refused() {
        let image = image();
        fs::remove_dir_all(image.path().join("usr/share/zoneinfo")).expect("removed");
        let error = planned(image.path(), "UTC").expect_err("refused");
        assert!(
            error.contains("has no /usr/share/zoneinfo (time zones)"),
            "{error}"
        );
    }
}
