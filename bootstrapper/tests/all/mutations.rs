//! A config-file with a secret in every place of one, broken at random as people and editors break files: no report of it
//! shows the secret.

use crate::support::rendered;
use cluster_bootstrapper::migrate::migrate;
use cluster_bootstrapper::redact::redacted;
use cluster_bootstrapper::{ParseOptions, Parsed, parse};
use diagnostics::report::Sarif;
use diagnostics::report::to_json;
use fastrand::Rng;

/// What stands for every secret.
const NEEDLE: &str = "hunter2";

const FILE: &str = r#"version: 1.0
operatingSystem:
  hostname: edge-7
  users:
    - username: root
      password: hunter2
    - {username: operator-1, password: "hunter2"}
    - username: third
      password: 'hunter2'
    - username: fourth
      password: |
        hunter2
  proxy:
    httpProxy: http://me:hunter2@proxy.example.com:911
    httpsProxy: "http://me:hunter2@proxy.example.com:912"
    noProxy: localhost,.example.com
  sshKey:
  ntpServers: [ntp.example.com]
  writeFiles:
    - path: /etc/site/secret.env
      permissions: "0600"
      content: |
        TOKEN=hunter2
        hunter2
    - {path: /etc/site/pin, content: "hunter2"}
  runCommands:
    - echo root:hunter2 | chpasswd
    - "curl -H 'Authorization: Bearer hunter2' http://x"
kubernetes:
  kind: KThreesControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta2
  registries:
    mirrors:
      docker.io: {endpoints: ["https://r.example.com"]}
    configs:
      r.example.com:
        auth:
          username: puller
          password: hunter2
      s.example.com: {auth: {identityToken: hunter2}}
      t.example.com: {auth: {auth: "hunter2"}}
  spec:
    template:
      spec:
        files:
          - path: /etc/rancher/k3s/config.yaml.d/a.yaml
            content: |
              token: hunter2
              etcd-s3-secret-key: "hunter2"
        preK3sCommands:
          - |
            export TOKEN=hunter2
            login --password hunter2
        agentConfig:
          kubeletArgs: ["max-pods=64", "some-token=hunter2"]
        serverConfig:
          clusterCidr: 10.42.0.0/16
"#;

const OLD: &str = "# old\nhttp_proxy=\"http://me:hunter2@p:1\"\nuser_name=\"u\"\npasswd=\"hunter2\"\nssh_key=\"\"\n\
    custom_file_path=/etc/a\ncustom_file_content=\"hunter2\"\nruncmd:\n  - echo hunter2\n";

/// Names that keys are taken for.
const NAMES: &[&str] = &[
    "user",
    "Users",
    "pass",
    "pwd",
    "passwort",
    "secret",
    "apiKey",
    "proxies",
    "commands",
    "contents",
    "text",
    "registry",
    "os",
    "credentials",
    "data",
];
const SIGNS: &[&str] = &[
    ":", ": ", "-", "- ", "\"", "'", "#", " #", "{", "}", "[", "]", ",", "!", "!x ", "&", "&a ",
    "*", "|", ">", "%", "@", "`", "\t", " ", "\n", "=", "\u{a0}", "\u{201c}", "\\", "? ", "<<: ",
    "---\n",
];

/// One change, as a slip of the hand makes it.
fn mutate(text: &str, random: &mut Rng) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = random.usize(..lines.len());
    let other = random.usize(..lines.len());
    let line = lines[at].clone();
    match random.u8(..12) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(other, line),
        2 => lines.swap(at, other),
        3 => lines[at] = format!("{}{}", " ".repeat(random.usize(..12)), line.trim_start()),
        4 => {
            lines[at] = line.replacen(
                random
                    .choice([":", ": ", "\"", "'", "- ", "{", "}"])
                    .unwrap_or(":"),
                "",
                1,
            )
        }
        5 => lines[at] = renamed(&line, random),
        6 => lines[at] = format!("{line}{}", random.choice(SIGNS).unwrap_or(&"")),
        7 => lines[at] = format!("{line} {}", lines[other].trim_start()),
        8 => drop(lines.drain(at.min(other)..at.max(other))),
        _ => return in_characters(text, random),
    }
    lines.join("\n") + "\n"
}

fn renamed(line: &str, random: &mut Rng) -> String {
    let name = random.choice(NAMES).unwrap_or(&"");
    match line.split_once(':') {
        Some((key, rest)) => {
            let indent = &key[..key.len() - key.trim_start_matches([' ', '-', '{']).len()];
            format!("{indent}{name}:{rest}")
        }
        None => line.to_owned(),
    }
}

fn in_characters(text: &str, random: &mut Rng) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let at = random.usize(..characters.len() - 1);
    match random.u8(..4) {
        0 => drop(characters.remove(at)),
        1 => characters.insert(at, characters[at]),
        2 => characters.swap(at, at + 1),
        _ => {
            let sign = random.choice(SIGNS).unwrap_or(&"");
            characters.splice(at..at, sign.chars());
        }
    }
    characters.into_iter().collect()
}

/// All that is said of a text.
fn told(text: &str) -> String {
    let parsed: Parsed = parse(text, &ParseOptions::default());
    let mut sarif = Sarif::new("a", "1");
    sarif.file("f", &parsed.diagnostics);
    let redacted = redacted(&parsed).map(|value| value.to_string());
    rendered(&parsed)
        + &to_json(&parsed.diagnostics)
        + &sarif.into_text()
        + &redacted.unwrap_or_default()
}

fn told_of_old(text: &str) -> String {
    match migrate(text) {
        Ok(migrated) => migrated.remarks.iter().map(ToString::to_string).collect(),
        Err(error) => error.to_string(),
    }
}

/// How many files are tried: the nightly run says more.
fn tries() -> u64 {
    let set = std::env::var("EMTS_MUTATIONS").ok();
    set.map_or(2_000, |number| number.parse().expect("a number"))
}

#[track_caller]
fn nothing_is_told(original: &str, told: fn(&str) -> String) {
    for seed in 0..tries() {
        let mut random = Rng::with_seed(seed);
        let changes = 1 + seed % 3;
        let text = (0..changes).fold(original.to_owned(), |text, _| mutate(&text, &mut random));
        let shown = told(&text);
        assert!(!shown.contains(NEEDLE), "seed {seed}:\n{text}\n{shown}");
    }
}

#[test]
fn no_broken_config_file_shows_a_secret() {
    nothing_is_told(FILE, told);
}

#[test]
fn no_broken_file_of_the_old_format_shows_a_secret() {
    nothing_is_told(OLD, |text| told(text) + &told_of_old(text));
}

/// Slips that the drawn ones seldom are.
#[test]
fn no_slip_that_is_seldom_drawn_shows_a_secret() {
    let kubelet = |argument: &str| {
        format!(
            "version: 1.0
operatingSystem: {{users: [{{username: root, password: c2VjcmV0}}]}}
kubernetes:
  kind: KThreesControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta2
  spec: {{template: {{spec: {{kthreesConfigSpec: {{agentConfig: {{kubeletArgs: ['{argument}']}}}}}}}}}}
"
        )
    };
    for text in [
        kubelet("some-to[ken=hunter2"),
        kubelet("some-to:ken=hunter2"),
        kubelet("sometoken=hunter2"),
        kubelet("some-tokenhunter2"),
        kubelet("some-flag=hunter2"),
        // What stands before it in its line is no more shown than elsewhere.
        "{version: 1.0, operatingSystem: {users: [{username: root, password: hunter2}]}, kubernetes: {kind: KThreesControlPlaneTemplate, apiVersion: controlplane.cluster.x-k8s.io/v1beta2, spec: {template: {spec: {preK3sCommands: [echo hunter2], agentConfig: {kubeletArgs: ['some-flag=1']}}}}}}".to_owned(),
        "version: 1.0\noperatingSystem: {users: [{username: root, password: c2VjcmV0}]}\nkubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n  spec: {template: {spec: {preK3sCommands: [echo hunter2], agentConfig: {kubeletArgs: ['some-flag=1']}}}}\n".to_owned(),
        "version: 1.0\noperatingSystem:\n  writeFiles:\n    - hunter2\n".to_owned(),
        "# old\ncustom_file{_content=\"hunter2\"\n".to_owned(),
        "# old\ncustom_file_path==/etc/a custom_file_content=\"hunter2\"\n".to_owned(),
        "a=1\nservices:\n  enable: [a]\nhttp_proxy=\"http://me:hunter2@p:1\": x\n".to_owned(),
    ] {
        let shown = told(&text) + &told_of_old(&text);
        assert!(!shown.contains(NEEDLE), "{text}\n{shown}");
    }
}
