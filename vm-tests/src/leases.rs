//! A setting of the harness, never of the user's config-file: K3s' components keep their leases for longer, so that an
//! emulated machine on a busy host does not lose them. It is a drop-in of K3s that the harness brings to the machine
//! ([`crate::access`]). Where the config-file has lease times of its own, they stay as they are.

use std::collections::BTreeMap;

use cluster_bootstrapper::ConfigFile;
use cluster_bootstrapper::Setting;
use cluster_bootstrapper::k3s::settings;
use serde_json::Value;

use crate::drop_ins;
use crate::evidence::Check;
use run_request::LeaseChoice;
use vm::accel::Accelerator;

/// The harness's drop-in. K3s reads drop-ins in the order of their names and appends by `key+`.
pub const DROP_IN: &str = "/etc/rancher/k3s/config.yaml.d/zz-emts-test-harness.yaml";
/// The components of K3s that hold a lease with the times below: K3s' flag for their arguments, the lease's name. The
/// leases of K3s itself have 45 s by themselves.
pub const COMPONENTS: [(&str, &str); 3] = [
    ("kube-scheduler-arg", "kube-scheduler"),
    ("kube-controller-manager-arg", "kube-controller-manager"),
    (
        "kube-cloud-controller-manager-arg",
        "k3s-cloud-controller-manager",
    ),
];
/// How long a lease holds, in seconds; Kubernetes has 15.
pub const LONG: u32 = 60;
/// What every argument of leader election begins with, its switch among them.
const PREFIX: &str = "leader-elect";
/// A component gives up when it could not renew for two thirds of the lease (Kubernetes: 10 s of 15), and each of its
/// requests may take half of that.
const ARGUMENTS: [&str; 3] = [
    "leader-elect-lease-duration=60s",
    "leader-elect-renew-deadline=40s",
    "leader-elect-retry-period=5s",
];

/// What holds where nothing was asked for: longer leases under emulation alone.
#[must_use]
pub fn asked_or_by(asked: Option<LeaseChoice>, accelerator: Accelerator) -> LeaseChoice {
    asked.unwrap_or(match accelerator {
        Accelerator::Kvm => LeaseChoice::Default,
        Accelerator::Tcg => LeaseChoice::Long,
    })
}

/// How the leases of a machine's K3s were set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    /// The leases that the harness made longer.
    pub longer: Vec<String>,
    /// Those whose times are the config-file's own.
    pub kept: Vec<String>,
}

impl Leases {
    /// What the harness adds to a config-file.
    #[must_use]
    pub fn of(config: &ConfigFile, choice: LeaseChoice) -> Self {
        let mut leases = Self::long(config);
        if choice == LeaseChoice::Default {
            leases.longer.clear();
        }
        leases
    }

    fn long(config: &ConfigFile) -> Self {
        if config.kubernetes.is_none() {
            return Self::default();
        }
        let (kept, longer): (Vec<_>, Vec<_>) = COMPONENTS
            .iter()
            .partition(|(flag, _)| is_set(config, flag));
        let names =
            |list: Vec<&(&str, &str)>| list.iter().map(|(_, name)| (*name).into()).collect();
        Self {
            longer: names(longer),
            kept: names(kept),
        }
    }

    /// The text of the drop-in; none when there is nothing to set.
    #[must_use]
    pub fn drop_in(&self) -> Option<String> {
        let flags = COMPONENTS
            .iter()
            .filter(|(_, name)| self.longer.iter().any(|longer| longer == name));
        let settings: BTreeMap<String, _> = flags
            .map(|(flag, _)| (format!("{flag}+"), ARGUMENTS))
            .collect();
        // JSON is YAML, in which K3s reads nothing but text between quotes.
        let text = serde_json::to_string_pretty(&settings).ok()?;
        (!settings.is_empty()).then(|| {
            format!("# From the test harness: longer leases for an emulated machine.\n{text}\n")
        })
    }

    /// What the report says of them.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.longer.is_empty() {
            let names = self.longer.join(", ");
            parts.push(format!(
                "harness setting: leases of {LONG} s instead of 15 s for {names}"
            ));
        }
        if !self.kept.is_empty() {
            let names = self.kept.join(", ");
            parts.push(format!(
                "the lease times of {names} are the config-file's own"
            ));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// The checks that leases are as the harness has set them, by the API's list of Leases. A lease that nobody holds, as
    /// of a component that is left out, has none.
    #[must_use]
    pub fn check(&self, list: &[u8]) -> Vec<Check> {
        let list: Value = serde_json::from_slice(list).unwrap_or_default();
        let all = list["items"].as_array().into_iter().flatten();
        let ours = all.filter(|lease| {
            let name = &lease["metadata"]["name"];
            self.longer.iter().any(|longer| name == longer.as_str())
        });
        let check = |lease: &Value| {
            let seconds = &lease["spec"]["leaseDurationSeconds"];
            let name = lease["metadata"]["name"].as_str().unwrap_or_default();
            Check {
                key: "harness/leases".into(),
                check: format!("the lease {name} is as long as the harness has set it"),
                expected: format!("{LONG} s"),
                actual: format!("{seconds} s"),
                passed: *seconds == LONG,
            }
        };
        ours.map(check).collect()
    }

    /// True when the harness made a lease longer: then the machine may lose one.
    #[must_use]
    pub fn are_long(&self) -> bool {
        !self.longer.is_empty()
    }
}

/// True when the config-file itself has arguments of leader election among those that `flag` gives.
fn is_set(config: &ConfigFile, flag: &str) -> bool {
    let settings = settings(config.k3s());
    let keys = settings.get(flag).map(Setting::values).unwrap_or_default();
    let files = drop_ins::all(config);
    let files = files.iter().flat_map(|file| drop_ins::values(file, flag));
    keys.into_iter()
        .chain(files)
        .any(|argument| argument.trim_start_matches('-').starts_with(PREFIX))
}

#[cfg(test)]
mod tests {
    use cluster_bootstrapper::{ParseOptions, parse};

    use super::*;

    const CONFIG: &str = "version: 1.0\nkubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n  spec: {template: {spec: {SPEC}}}\n";

    fn config(spec: &str) -> ConfigFile {
        let parsed = parse(&CONFIG.replace("SPEC", spec), &ParseOptions::default());
        parsed
            .config
            .unwrap_or_else(|| panic!("{:?}", parsed.diagnostics))
    }

    #[test]
    fn an_emulated_machine_alone_gets_longer_leases_unasked() {
        let by = |accelerator| asked_or_by(None, accelerator);
        assert_eq!(by(Accelerator::Tcg), LeaseChoice::Long);
        assert_eq!(by(Accelerator::Kvm), LeaseChoice::Default);
        let asked = Some(LeaseChoice::Default);
        assert_eq!(asked_or_by(asked, Accelerator::Tcg), LeaseChoice::Default);
    }

    #[test]
    fn a_config_file_without_lease_times_gets_them_for_all_components() {
        let leases = Leases::long(&config("serverConfig: {kubeSchedulerArgs: [v=2]}"));
        assert_eq!(leases.longer.len(), COMPONENTS.len());
        let text = leases.drop_in().unwrap();
        let settings: BTreeMap<String, Vec<String>> = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(settings["kube-scheduler-arg+"], ARGUMENTS);
        assert_eq!(settings.len(), COMPONENTS.len());
    }

    #[test]
    fn the_users_arguments_win() {
        let leases = Leases::long(&config(
            "serverConfig: {kubeSchedulerArgs: [leader-elect-lease-duration=30s]}",
        ));
        assert_eq!(leases.kept, ["kube-scheduler"]);
        assert!(!leases.drop_in().unwrap().contains("kube-scheduler-arg"));
        assert!(
            leases
                .note()
                .unwrap()
                .contains("kube-scheduler are the config-file's own")
        );
    }

    #[test]
    fn the_users_drop_ins_win() {
        for key in [
            "kube-controller-manager-arg",
            "kube-controller-manager-arg+",
        ] {
            let content = format!("{key}: leader-elect-renew-deadline=20s\\n");
            let leases = Leases::long(&config(&format!(
                "files: [{{path: {}50-site.yaml, content: \"{content}\"}}]",
                drop_ins::FOLDER
            )));
            assert_eq!(leases.kept, ["kube-controller-manager"], "{key}");
        }
    }

    #[test]
    fn no_lease_is_longer_where_nobody_wants_it() {
        let leases = Leases::of(&config(""), LeaseChoice::Default);
        assert_eq!((leases.are_long(), leases.note()), (false, None));
    }

    #[test]
    fn a_lease_that_is_not_as_it_was_set_is_seen() {
        let leases = Leases::long(&config("serverConfig: {}"));
        let list = br#"{"items": [
            {"metadata": {"name": "kube-scheduler"}, "spec": {"leaseDurationSeconds": 60}},
            {"metadata": {"name": "kube-controller-manager"}, "spec": {"leaseDurationSeconds": 15}},
            {"metadata": {"name": "k3s"}, "spec": {"leaseDurationSeconds": 45}}]}"#;
        let passed: Vec<bool> = leases
            .check(list)
            .iter()
            .map(|check| check.passed)
            .collect();
        assert_eq!(passed, [true, false]);
    }

    #[test]
    fn every_component_gives_up_before_its_lease_ends() {
        let seconds = |name: &str| {
            let argument = ARGUMENTS
                .iter()
                .find_map(|argument| argument.strip_prefix(&format!("{PREFIX}-{name}=")));
            humantime::parse_duration(argument.unwrap())
                .unwrap()
                .as_secs_f64()
        };
        assert_eq!(seconds("lease-duration"), f64::from(LONG));
        assert!(seconds("lease-duration") > seconds("renew-deadline"));
        // client-go's JitterFactor.
        assert!(seconds("renew-deadline") > 1.2 * seconds("retry-period"));
    }
}
