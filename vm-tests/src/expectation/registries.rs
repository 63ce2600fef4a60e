//! Private registries: the file that K3s reads, and the mirrors that containerd got from it.

use cluster_bootstrapper::ConfigFile;
use serde_json::Value;

use super::judge::{Verdict, failed};
use super::{Expectation, Source};
use crate::node::Probe;
use crate::ssh::GuestOutput;
use vm::shell::quote;

/// Keys of registries.yaml whose values are shown nowhere.
const SECRET: &[&str] = &["password", "auth", "identity_token"];
/// Where K3s tells containerd of mirrors.
const HOSTS: &str = "/var/lib/rancher/k3s/agent/etc/containerd/certs.d";

/// A value of registries.yaml: its pointers there and in the config-file.
struct Leaf {
    there: String,
    key: String,
    value: Value,
    secret: bool,
}

pub(super) fn expectations(source: &Source) -> Vec<Expectation> {
    let path = source.config.registries_path().unwrap_or_default();
    let mut all = Vec::new();
    for leaf in leaves(source.config) {
        if let Some(url) = leaf.value.as_str()
            && leaf.key.contains("/endpoints/")
        {
            all.push(mirror(&leaf.key, url));
        }
        all.push(in_the_file(path, leaf));
    }
    all
}

/// The credentials that the config-file has in plain text.
pub(super) fn secrets(config: &ConfigFile) -> Vec<String> {
    let leaves = leaves(config).into_iter().filter(|leaf| leaf.secret);
    leaves
        .filter_map(|leaf| leaf.value.as_str().map(str::to_owned))
        .collect()
}

fn leaves(config: &ConfigFile) -> Vec<Leaf> {
    let written = config.registries().to_yaml();
    let mut found = Vec::new();
    // It is JSON, which is YAML.
    if let Ok(value) = serde_json::from_str::<Value>(&written) {
        collect(&value, "", "/kubernetes/registries", &mut found);
    }
    found
}

fn collect(value: &Value, there: &str, key: &str, found: &mut Vec<Leaf>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let step = name.replace('~', "~0").replace('/', "~1");
                let own = own_name(&step);
                collect(
                    value,
                    &format!("{there}/{step}"),
                    &format!("{key}/{own}"),
                    found,
                );
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                collect(
                    value,
                    &format!("{there}/{index}"),
                    &format!("{key}/{index}"),
                    found,
                );
            }
        }
        value => {
            let name = there.rsplit('/').next().unwrap_or_default();
            found.push(Leaf {
                there: there.to_owned(),
                key: key.to_owned(),
                value: value.clone(),
                secret: there.contains("/auth/") && SECRET.contains(&name),
            });
        }
    }
}

/// A key of registries.yaml as the config-file calls it.
fn own_name(name: &str) -> String {
    match name {
        "endpoint" => "endpoints",
        "identity_token" => "identityToken",
        "ca_file" => "caFile",
        "cert_file" => "certFile",
        "key_file" => "keyFile",
        "insecure_skip_verify" => "insecureSkipVerify",
        other => other,
    }
    .to_owned()
}

fn in_the_file(path: &str, leaf: Leaf) -> Expectation {
    let word = quote(path);
    let expected = match leaf.secret {
        true => "(hidden)".to_owned(),
        false => leaf.value.to_string(),
    };
    Expectation::new(
        leaf.key.clone(),
        format!("{path} has it, for root alone"),
        expected,
        Probe::shell(format!(
            "[ \"$(stat -c %a:%U {word})\" = 600:root ] && cat {word}"
        )),
        move |answer| {
            if answer.status != 0 {
                // The file may hold credentials: what was read of it is not shown.
                return Verdict::bad(format!(
                    "status {}: no such file of root's with mode 600",
                    answer.status
                ));
            }
            judge(answer, &leaf)
        },
    )
}

fn judge(answer: &GuestOutput, leaf: &Leaf) -> Verdict {
    let Ok(file) = serde_json::from_slice::<Value>(&answer.stdout) else {
        return Verdict::bad("the file is not the one that cluster-bootstrapper writes");
    };
    let found = file.pointer(&leaf.there);
    let shown = match found {
        None => "nothing".to_owned(),
        Some(_) if leaf.secret => "(hidden)".to_owned(),
        Some(value) => value.to_string(),
    };
    Verdict::when(found == Some(&leaf.value), shown)
}

fn mirror(key: &str, url: &str) -> Expectation {
    // K3s completes the path: `https://mirror` becomes `https://mirror/v2`.
    let start = format!("[host.\"{}", url.trim_end_matches('/'));
    Expectation::new(
        key,
        "containerd knows the mirror",
        url,
        Probe::shell(format!("grep -rhF '[host.' {HOSTS}")),
        move |answer| {
            if answer.status != 0 {
                return failed(answer);
            }
            let text = answer.text();
            let found = text.lines().any(|line| line.trim().starts_with(&start));
            Verdict::when(found, text.trim().replace('\n', " | "))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::judge::said;
    use super::*;

    fn leaf(value: &str, secret: bool) -> Leaf {
        Leaf {
            there: "/configs/a/auth/password".to_owned(),
            key: String::new(),
            value: value.into(),
            secret,
        }
    }

    #[test]
    fn another_credential_is_noticed_and_not_shown() {
        let answer = said(r#"{"configs": {"a": {"auth": {"password": "hunter2"}}}}"#);
        assert!(judge(&answer, &leaf("hunter2", true)).passed);
        let other = judge(&answer, &leaf("other", true));
        assert!(!other.passed && !other.actual.contains("hunter2"));
    }

    #[test]
    fn a_mirror_is_found_with_the_path_that_k3s_adds() {
        let check = mirror("", "https://mirror.example.com");
        let seen = |text: &str| (check.judge)(&[&said(text)]).passed;
        assert!(seen("[host.\"https://mirror.example.com/v2\"]\n"));
        assert!(!seen("[host.\"https://registry-1.docker.io/v2\"]\n"));
    }
}
