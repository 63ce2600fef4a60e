//! Arguments of the components: told to K3s, arrived in the component, in force.

use cluster_bootstrapper::Setting;
use cluster_bootstrapper::k3s::settings;
use cluster_bootstrapper::values::ComponentArg;
use serde_json::Value;

use super::judge::{Verdict, failed};
use super::kubelet::{CONFIGZ, configz, text_of};
use super::node_settings::node_args;
use super::{Expectation, Source, cluster};
use crate::node::Probe;
use crate::ssh::GuestOutput;

/// The kubelet's port.
const KUBELET_PORT: u16 = 10250;
/// TLS 1.2 suites that a Go server may take: what is configured must be a part,
/// and what is not configured must be refused.
const SUITES: [&str; 10] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];

/// A list of arguments in the config-file and where it goes.
struct Component<'a> {
    key: String,
    /// K3s's flag.
    flag: &'static str,
    /// The component's name in K3s's log.
    name: &'static str,
    args: &'a [ComponentArg],
}

pub(super) fn expectations(source: &Source) -> Vec<Expectation> {
    let spec = source.config.k3s();
    let (agent, server) = (&spec.agent_config, &spec.server_config);
    let component = |key: &str, flag, name, args| Component {
        key: format!("{}/{key}", source.k3s),
        flag,
        name,
        args,
    };
    let components = [
        component(
            "agentConfig/kubeletArgs",
            "kubelet-arg",
            "kubelet",
            &agent.kubelet_args,
        ),
        component(
            "agentConfig/kubeProxyArgs",
            "kube-proxy-arg",
            "kube-proxy",
            &agent.kube_proxy_args,
        ),
        component(
            "serverConfig/kubeAPIServerArg",
            "kube-apiserver-arg",
            "kube-apiserver",
            &server.kube_api_server_arg,
        ),
        component(
            "serverConfig/kubeControllerManagerArgs",
            "kube-controller-manager-arg",
            "kube-controller-manager",
            &server.kube_controller_manager_args,
        ),
        component(
            "serverConfig/kubeSchedulerArgs",
            "kube-scheduler-arg",
            "kube-scheduler",
            &server.kube_scheduler_args,
        ),
    ];
    let mut all: Vec<Expectation> = components.iter().flat_map(arrived).collect();
    let values = settings(spec);
    let list = |flag: &str| values.get(flag).map(Setting::values).unwrap_or_default();
    all.extend(suites(
        &components[0].key,
        KUBELET_PORT,
        &list("kubelet-arg"),
    ));
    all.extend(suites(
        &components[2].key,
        cluster::api_port(server),
        &list("kube-apiserver-arg"),
    ));
    all
}

/// Every argument is among K3s's own and in the line with which the component
/// was started; the kubelet also tells the settings it works with.
fn arrived(component: &Component) -> Vec<Expectation> {
    let mut all = Vec::new();
    for arg in component.args {
        let (key, value) = arg.key_value();
        all.push(node_args(
            &component.key,
            format!("K3s has the argument for {}", component.name),
            component.flag,
            arg.as_str(),
        ));
        all.push(started_with(component, key, value));
        if component.name == "kubelet"
            && let Some(setting) = kubelet_field(key)
        {
            all.push(kubelet_argument(&component.key, setting, value.to_owned()));
        }
    }
    all
}

/// K3s logs each component's arguments as it starts it in its own process.
fn started_with(component: &Component, key: &str, value: &str) -> Expectation {
    let name = component.name;
    // `key+=v` and `key-=v` put v after or before K3s's own value of `key`.
    let joined = key.ends_with(['+', '-']);
    let flag = format!("--{}=", key.trim_end_matches(['+', '-']));
    let value = value.to_owned();
    let command = format!(
        "journalctl -u k3s.service -b -o cat --no-pager | grep -F 'Running {name} --' | tail -n 1"
    );
    Expectation::new(
        &component.key,
        format!("{name} was started with the argument"),
        format!("{flag}{value}"),
        Probe::shell(command),
        move |answer| {
            let line = answer.text();
            // K3s's log quotes the message and escapes quotes in it.
            let plain = line.replace("\\\"", "\"");
            let after = plain.split(&flag).skip(1);
            let found = after
                .map(|rest| {
                    rest.split(" --")
                        .next()
                        .unwrap_or_default()
                        .trim_end_matches(['"', '\n'])
                })
                .collect::<Vec<_>>();
            let unquoted = |text: &&str| {
                text.trim_matches('"') == value
                    || (joined && text.split(',').any(|part| part == value))
            };
            let passed = found.iter().any(unquoted);
            let actual = if found.is_empty() {
                format!("no {flag} in the line: {}", line.trim())
            } else {
                found.join(", ")
            };
            Verdict::when(passed, actual)
        },
    )
}

/// The field of KubeletConfiguration that a flag sets: the flag's name in camel
/// case. Flags that are not part of it are listed in the kubelet's
/// documentation; those that operators use are left out here.
fn kubelet_field(flag: &str) -> Option<String> {
    const NOT_FIELDS: [&str; 12] = [
        "v",
        "vmodule",
        "node-labels",
        "node-ip",
        "hostname-override",
        "kubeconfig",
        "config",
        "config-dir",
        "root-dir",
        "cloud-provider",
        "cert-dir",
        "register-with-taints",
    ];
    if NOT_FIELDS.contains(&flag) || flag.ends_with(['+', '-']) {
        return None;
    }
    let mut words = flag.split('-');
    let mut field = words.next()?.to_owned();
    for word in words {
        let mut chars = word.chars();
        field.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        field.push_str(chars.as_str());
    }
    Some(field)
}

/// A field of the running kubelet's configuration has the value of a flag.
fn kubelet_argument(key: &str, field: String, value: String) -> Expectation {
    Expectation::new(
        key,
        format!("the running kubelet works with {field}"),
        value.clone(),
        CONFIGZ,
        move |answer| {
            let config = match configz(answer) {
                Ok(config) => config,
                Err(verdict) => return verdict,
            };
            match config.get(&field) {
                // Not a field of this version's configuration: started_with is the check there is.
                None => Verdict::good(format!("{field} is no part of the kubelet's configuration")),
                Some(found) => Verdict::when(same_setting(found, &value), text_of(found)),
            }
        },
    )
}

/// A flag's text and a field's value: lists by commas, maps as key=value.
fn same_setting(found: &Value, text: &str) -> bool {
    match found {
        Value::Array(items) => {
            let wanted: Vec<&str> = text.split(',').collect();
            wanted
                .iter()
                .all(|word| items.iter().any(|item| text_of(item) == *word))
        }
        Value::Object(map) => text.split(',').all(|pair| {
            let (name, value) = pair.split_once(['=', '<']).unwrap_or((pair, "true"));
            map.get(name)
                .is_some_and(|found| text_of(found) == value.trim_start_matches('<'))
        }),
        Value::String(found) => found == text || same_duration(found, text),
        other => text_of(other) == text,
    }
}

/// `1h0m0s` and `60m` are the same.
fn same_duration(a: &str, b: &str) -> bool {
    match (humantime::parse_duration(a), humantime::parse_duration(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// The suites that a component's port takes are those configured, as far as
/// they fit the certificate's key and are of TLS 1.2.
fn suites(key: &str, port: u16, args: &[String]) -> Option<Expectation> {
    let lists = args.iter().filter_map(|arg| {
        arg.trim_start_matches("--")
            .strip_prefix("tls-cipher-suites=")
    });
    let configured: Vec<String> = lists
        .flat_map(|list| list.split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    if configured.is_empty() {
        return None;
    }
    let mut probes = vec![Probe::Certificate { port }];
    probes.extend(SUITES.iter().map(|suite| Probe::Cipher {
        port,
        suite: (*suite).to_owned(),
    }));
    Some(Expectation {
        key: key.to_owned(),
        check: format!("port {port} takes exactly the configured TLS 1.2 suites that fit its key"),
        expected: configured.join(","),
        probes,
        judge: Box::new(move |answers| judge_suites(answers, &configured)),
    })
}

fn judge_suites(answers: &[&GuestOutput], configured: &[String]) -> Verdict {
    let Some((certificate, tries)) = answers.split_first() else {
        return Verdict::bad("not asked");
    };
    if certificate.status != 0 {
        return failed(certificate);
    }
    let kind = certificate.text();
    let ecdsa = kind.starts_with("EC");
    let mut wrong = Vec::new();
    let mut taken = Vec::new();
    for (suite, answer) in SUITES.iter().zip(tries) {
        let fits = suite.contains("_ECDSA_") == ecdsa;
        // Go has an older name without the hash for these two.
        let named = configured
            .iter()
            .any(|name| name == suite || format!("{name}_SHA256") == **suite);
        match (answer.status, fits && named) {
            (0, true) => taken.push(*suite),
            (0, false) => wrong.push(format!("{suite} is taken though not configured")),
            (1, true) => wrong.push(format!("{suite} is refused though configured")),
            (1, false) => {}
            _ => wrong.push(format!(
                "{suite}: {}",
                String::from_utf8_lossy(&answer.stderr)
            )),
        }
    }
    if wrong.is_empty() {
        Verdict::good(taken.join(","))
    } else {
        Verdict::bad(wrong.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::judge::said;
    use super::*;

    #[test]
    fn finds_a_flag_in_the_line_that_k3s_logs() {
        let component = Component {
            key: "/k".into(),
            flag: "kubelet-arg",
            name: "kubelet",
            args: &[],
        };
        let line = said(
            "time=\"x\" level=info msg=\"Running kubelet --config-dir=/a --max-pods=250 --v=2\"\n",
        );
        assert!((started_with(&component, "max-pods", "250").judge)(&[&line]).passed);
        assert!((started_with(&component, "v", "2").judge)(&[&line]).passed);
        assert!(!(started_with(&component, "max-pods", "25").judge)(&[&line]).passed);
        assert!(!(started_with(&component, "feature-gates", "A=true").judge)(&[&line]).passed);
    }

    #[test]
    fn compares_a_flags_text_with_a_fields_value() {
        for (found, text) in [
            (json!(250), "250"),
            (json!(["A", "B"]), "A,B"),
            (json!({"memory.available": "5%"}), "memory.available<5%"),
            (json!({"Gate": true}), "Gate=true"),
            (json!("1m0s"), "60s"),
            (json!(true), "true"),
        ] {
            assert!(same_setting(&found, text), "{found} {text}");
        }
        assert!(!same_setting(&json!(["A"]), "A,B"));
        assert!(!same_setting(&json!(110), "250"));
    }

    #[test]
    fn a_flags_name_gives_the_fields_name() {
        assert_eq!(
            kubelet_field("tls-cipher-suites").as_deref(),
            Some("tlsCipherSuites")
        );
        assert_eq!(kubelet_field("v"), None);
    }

    fn tries(taken: &[&str]) -> Vec<GuestOutput> {
        let mut answers = vec![said("EC\nlocalhost")];
        answers.extend(SUITES.iter().map(|suite| GuestOutput {
            status: i32::from(!taken.contains(suite)),
            ..GuestOutput::default()
        }));
        answers
    }

    #[test]
    fn a_suite_more_or_less_than_configured_is_seen() {
        let configured = [
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384".to_owned(),
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned(),
        ];
        let judge = |taken: &[&str]| {
            let answers = tries(taken);
            judge_suites(&answers.iter().collect::<Vec<_>>(), &configured)
        };
        assert!(judge(&["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]).passed);
        assert!(judge(&[]).actual.contains("refused though configured"));
        let more = judge(&[
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        ]);
        assert!(
            more.actual.contains("taken though not configured"),
            "{}",
            more.actual
        );
    }
}
