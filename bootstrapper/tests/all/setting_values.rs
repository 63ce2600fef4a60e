//! Values of settings in a drop-in of K3s, at the edges of what K3s takes.

use crate::support::with;

/// Severity and code of what is reported of a drop-in.
fn drop_in(text: &str) -> Vec<String> {
    let lines: String = text
        .lines()
        .map(|line| format!("        {line}\n"))
        .collect();
    let path = "/etc/rancher/k3s/config.yaml.d/a.yaml";
    let user = "  users: [{username: a, password: bm90LXRoZS11c3VhbC1vbmU=}]\n";
    let os = format!("{user}  writeFiles:\n    - path: {path}\n      content: |\n{lines}");
    let parsed = with(&os, "{}");
    let found = parsed.diagnostics.iter();
    found
        .map(|d| format!("{} {}", d.severity.as_str(), d.code))
        .collect()
}

#[track_caller]
fn takes(setting: &str, values: &[&str]) {
    for value in values {
        let found = drop_in(&format!("{setting}: \"{value}\""));
        assert_eq!(found, [""; 0], "{value}");
    }
}

#[track_caller]
fn reports(setting: &str, values: &[&str], what: &str) {
    for value in values {
        let found = drop_in(&format!("{setting}: \"{value}\""));
        assert_eq!(found, [what], "{value}");
    }
}

#[test]
fn times_have_units() {
    let setting = "etcd-snapshot-reconcile-interval";
    takes(
        setting,
        &[
            "0", "10m", "1h30m", "1.5h", "-5m", "+5m", "300ms", "2us", "5ns", "1m0.5s",
        ],
    );
    reports(
        setting,
        &["5", "m", "1x", "1h30", "1..5h", "-", "1h 30m"],
        "error k3s-value",
    );
}

#[test]
fn ranges_of_ports_end_with_the_last_port() {
    let setting = "service-node-port-range";
    takes(
        setting,
        &[
            "30000-32767",
            "30000 - 32767",
            "30000",
            "30000+100",
            "65535",
            "65535-65535",
            "65000+535",
        ],
    );
    reports(
        setting,
        &[
            "65536",
            "2-1",
            "65000+536",
            "30000-65536",
            "65536-65537",
            "1-",
            "-1",
            "1+",
            "a",
        ],
        "error k3s-value",
    );
}

#[test]
fn modes_are_octal() {
    let setting = "write-kubeconfig-mode";
    takes(setting, &["0600", "7", "0"]);
    reports(
        setting,
        &["0800", "0x1a", "rw"],
        "warning k3s-value-ignored",
    );
}

#[test]
fn time_tables_have_five_fields_or_are_a_word() {
    let setting = "etcd-snapshot-schedule-cron";
    takes(
        setting,
        &[
            "0 */12 * * mon-fri",
            "1,2 ? * * *",
            "@daily",
            "@yearly",
            "@every 1h30m",
            "TZ=UTC 0 0 * * *",
            "CRON_TZ=Europe/Berlin @hourly",
        ],
    );
    reports(
        setting,
        &[
            "* * * *",
            "* * * * * *",
            "0 0 * * #",
            "@often",
            "@every day",
            "TZ=UTC",
            "UTC 0 0 * * *",
        ],
        "warning k3s-value-ignored",
    );
}

#[test]
fn switches_are_truth_values_of_go() {
    let setting = "debug";
    takes(
        setting,
        &[
            "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False",
        ],
    );
    reports(setting, &["yes", "on", "tRUE", "2"], "error k3s-value");
}

#[test]
fn numbers_are_whole() {
    let setting = "etcd-snapshot-retention";
    takes(setting, &["5", "-1"]);
    reports(setting, &["five", "1.5", "1e3"], "error k3s-value");
}

#[test]
fn the_name_of_a_node_ends_where_a_label_does() {
    let name = |length| format!("node-name: {}", "a".repeat(length));
    assert_eq!(drop_in(&name(63)), [""; 0]);
    assert_eq!(drop_in(&name(64)), ["error node-name"]);
}

#[test]
fn the_identity_behind_the_name_of_a_node_counts() {
    let name = |length| format!("with-node-id: true\nnode-name: {}", "a".repeat(length));
    assert_eq!(drop_in(&name(54)), [""; 0]);
    assert_eq!(drop_in(&name(55)), ["error node-name"]);
    let without = name(55).replace("true", "false");
    assert_eq!(drop_in(&without), [""; 0]);
}

/// A server of another node, and what it takes to join it.
const JOINS: &str = "server: https://192.0.2.10:6443\ntoken: a-long-token\n";

#[test]
fn settings_that_do_not_go_together_are_one_error() {
    for text in [
        "cluster-reset-restore-path: /var/lib/snapshot".to_owned(),
        "cluster-reset: true\ncluster-reset-restore-path: /var/lib/snapshot".to_owned(),
        format!("{JOINS}disable-etcd: true\ndatastore-endpoint: http://192.0.2.11"),
        "disable-apiserver: true\ndatastore-endpoint: http://192.0.2.11".to_owned(),
        "embedded-registry: true\ndocker: true".to_owned(),
    ] {
        assert_eq!(drop_in(&text), ["error k3s-conflict"], "{text}");
    }
}

#[test]
fn settings_that_are_off_or_empty_go_with_all_others() {
    for text in [
        format!("{JOINS}disable-etcd: true"),
        "embedded-registry: true\ndocker: false".to_owned(),
        "embedded-registry: \"0\"\ndocker: \"1\"".to_owned(),
        "disable-apiserver: true\ndatastore-endpoint: \"\"".to_owned(),
        "disable-etcd: false\ndatastore-endpoint: http://192.0.2.11".to_owned(),
    ] {
        assert_eq!(drop_in(&text), [""; 0], "{text}");
    }
}

#[test]
fn what_is_chosen_is_one_of_a_few() {
    takes(
        "egress-selector-mode",
        &["agent", "cluster", "pod", "disabled", ""],
    );
    reports(
        "egress-selector-mode",
        &["none", "Agent"],
        "error k3s-value",
    );
}
