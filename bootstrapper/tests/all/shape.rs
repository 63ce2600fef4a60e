//! What a value of the wrong shape is told: the message, and what to do instead.

use crate::support::{read, with};
use cluster_bootstrapper::Parsed;
use cluster_bootstrapper::diagnostic::Severity;

const USERS: &str = "  users: [{username: root, password: Zm9yIHRoaXMgdGVzdA==}]\n";

fn with_spec(spec: &str) -> Parsed {
    with(USERS, &format!("{{{spec}}}"))
}

/// The only error: message and help.
fn told(parsed: &Parsed) -> (&str, Option<&str>) {
    let errors = parsed.diagnostics.iter();
    let errors: Vec<_> = errors.filter(|d| d.severity == Severity::Error).collect();
    assert_eq!(errors.len(), 1, "{:#?}", parsed.diagnostics);
    (&errors[0].message, errors[0].help.as_deref())
}

/// The K3s configuration, the message, and the help where there is one.
const SHAPES: &[(&str, &str, Option<&str>)] = &[
    ("serverConfig: []", "a list where a mapping is wanted", None),
    (
        "serverConfig: x",
        "a single value where a mapping is wanted",
        Some(
            "write its keys, such as `kubeAPIServerArg: ...` and `kubeControllerManagerArgs: ...`",
        ),
    ),
    (
        "postK3sCommands: echo",
        "a single value where a list is wanted",
        Some("write it as a list element: put `- ` before it, on a line of its own"),
    ),
    (
        "postK3sCommands: {a: b}",
        "a mapping where a list is wanted",
        Some("write it as a list element: put `- ` before its first key"),
    ),
    (
        "agentConfig: {nodeName: {a: b}}",
        "a mapping where a single value is wanted",
        Some("write the one value without brackets; a string that starts with one needs quotes"),
    ),
    (
        "agentConfig: {nodeName: [a]}",
        "a list where a single value is wanted",
        Some("write the one value without brackets; a string that starts with one needs quotes"),
    ),
    (
        "agentConfig: {airGapped: [true]}",
        "a list where true or false is wanted",
        None,
    ),
    (
        "agentConfig: {airGapped: 'true'}",
        "`true` is not true or false",
        Some("write true, without quotes"),
    ),
    (
        "agentConfig: {airGapped: Yes}",
        "`Yes` is not true or false",
        Some("write true, without quotes"),
    ),
    (
        "serverConfig: {disableCloudController: 'false'}",
        "`false` is not true or false",
        Some("write false, without quotes"),
    ),
    (
        "serverConfig: {disableCloudController: off}",
        "`off` is not true or false",
        Some("write false, without quotes"),
    ),
    (
        "serverConfig: {disableCloudController: maybe}",
        "`maybe` is not true or false",
        Some("write true or false, without quotes"),
    ),
    (
        "files: [{path: /etc/a, encoding: bas64}]",
        "`bas64` is not allowed here",
        Some("did you mean `base64`?"),
    ),
    (
        "files: [{path: /etc/a, encoding: uuencode}]",
        "`uuencode` is not allowed here",
        Some("allowed: base64, gzip, gzip+base64"),
    ),
    ("files: [{path: ~}]", "the key `path` has no value", None),
    ("files: [{content: a}]", "the key `path` is missing", None),
    (
        "preK3sCommands: [~]",
        "an empty list element",
        Some("remove the `-` or give it a value"),
    ),
    (
        "serverConfig: {clusterCIDRs: 10.42.0.0/16}",
        "unknown key `clusterCIDRs`",
        Some("did you mean `clusterCidr`?"),
    ),
    // What is there already was not meant again.
    (
        "files: [{path: /etc/a, paths: /etc/b}]",
        "unknown key `paths`",
        Some("known keys here: path, owner, permissions, encoding, content, contentFrom"),
    ),
    (
        "<<: {files: []}",
        "unknown key `<<`",
        Some("merge keys (`<<`) are not part of YAML 1.2; write the keys out"),
    ),
];

#[test]
fn a_value_of_the_wrong_shape_is_told_what_is_wanted() {
    let mut wrong = vec![];
    for (spec, message, help) in SHAPES {
        let parsed = with_spec(spec);
        let found = told(&parsed);
        if found != (*message, *help) {
            wrong.push(format!("{spec}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_template_is_told_the_kind_and_the_version_that_it_needs() {
    let kinds = "KThreesControlPlaneTemplate";
    for (kubernetes, message, help) in [
        (
            "{spec: {template: {}}}",
            "the key `kind` is missing",
            "add `kind: KThreesControlPlaneTemplate` or `kind: RKE2ControlPlaneTemplate`"
                .to_owned(),
        ),
        (
            "{kind: KThreesControlPlane, spec: {template: {}}}",
            "`KThreesControlPlane` is not a kind that can be converted",
            format!("known kinds: {kinds}, RKE2ControlPlaneTemplate"),
        ),
        (
            "{kind: KthreeControlPlaneTemplate, spec: {template: {}}}",
            "`KthreeControlPlaneTemplate` is not a kind that can be converted",
            format!("did you mean `{kinds}`?"),
        ),
        (
            "{kind: KThreesControlPlaneTemplate, spec: {template: {}}}",
            "the key `apiVersion` is missing",
            "write `apiVersion: controlplane.cluster.x-k8s.io/v1beta2`".to_owned(),
        ),
    ] {
        let text = format!("kubernetes: {kubernetes}\n");
        let parsed = read(&text);
        let mut found = parsed.diagnostics.iter();
        let first = found.find(|d| d.severity == Severity::Error);
        let first = first.unwrap_or_else(|| panic!("accepted: {text}"));
        assert_eq!(
            (first.message.as_str(), first.help.as_deref()),
            (message, Some(help.as_str())),
            "{text}"
        );
    }
}

#[test]
fn a_value_that_was_left_out_is_as_if_its_key_were_not_there() {
    for spec in [
        "serverConfig: ",
        "agentConfig: {nodeName: ~, airGapped: null}",
        "version: ",
    ] {
        let parsed = with_spec(spec);
        assert!(parsed.diagnostics.is_empty(), "{:#?}", parsed.diagnostics);
    }
    // A key or a list of keys: nothing says that a list was meant.
    let parsed = with(&format!("{USERS}  sshKey:\n"), "{}");
    assert!(parsed.diagnostics.is_empty(), "{:#?}", parsed.diagnostics);
}

#[test]
fn a_whole_number_has_32_bits_and_no_sign() {
    let code = |replicas: &str| {
        let text = format!(
            "operatingSystem: {{users: [{{username: root, password: Zm9yIHRoaXMgdGVzdA==}}]}}\nkubernetes: {{kind: \
             RKE2ControlPlaneTemplate, apiVersion: controlplane.cluster.x-k8s.io/v1beta1, \
             spec: {{template: {{spec: {{replicas: {replicas}}}}}}}}}\n"
        );
        let parsed = read(&text);
        (
            parsed.diagnostics[0].code.as_str(),
            parsed.diagnostics[0].message.clone(),
        )
    };
    for replicas in ["0", "4294967295"] {
        assert_eq!(code(replicas).0, "no-effect", "{replicas}");
    }
    for replicas in ["-1", "4294967296", "1.5", "three"] {
        let message = format!("`{replicas}` is not a whole number from 0 to 4294967295");
        assert_eq!(code(replicas), ("wrong-type", message));
    }
}
