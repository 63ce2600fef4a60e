//! The config-file without its secrets, for logs that people pass on.
//!
//! Hidden is what is a secret by its type or looks like one, and everything that this program carries without knowing
//! what it says: contents of files, commands, the parts of the template that have no effect. Comments are not kept.

use crate::Parsed;
use crate::check::Shape;
use crate::diagnostic::Diagnostics;
use crate::schema::{SCHEMA, alternatives, kind_of, takes};
use crate::secrets::looks_secret;
use crate::values::{Command, ProxyUrl, TextValue as _};
use serde_json::{Map, Value};

/// What takes the place of a secret.
const HIDDEN: &str = "(hidden)";

/// What a config-file says, in its own order, without its secrets; `None` when it has errors.
pub fn redacted(parsed: &Parsed) -> Option<Value> {
    let tree = parsed.tree.as_ref().filter(|_| !parsed.has_errors())?;
    let mut value = Shape::new(&SCHEMA, tree, &mut Diagnostics::default()).check()?;
    hide(&SCHEMA, &mut value);
    Some(value)
}

fn hide(schema: &Value, value: &mut Value) {
    let choices = alternatives(&SCHEMA, schema);
    match value {
        Value::Object(map) => match object_of(&choices, map) {
            Some(schema) => hide_object(schema, map),
            None => *value = HIDDEN.into(),
        },
        Value::Array(list) => {
            let items = choices
                .iter()
                .filter(|choice| takes(choice, "array"))
                .find_map(|choice| choice.get("items"));
            match items {
                Some(items) => list.iter_mut().for_each(|item| hide(items, item)),
                None => *value = HIDDEN.into(),
            }
        }
        Value::String(text) => {
            let mut scalars = choices
                .iter()
                .filter(|choice| !takes(choice, "array") && !takes(choice, "object"));
            match scalars.next() {
                Some(schema) if schema.is_object() => *text = shown(schema, text),
                _ => *text = HIDDEN.to_owned(),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The schema of a mapping: the one of its `kind` when there are several.
fn object_of<'a>(choices: &[&'a Value], map: &Map<String, Value>) -> Option<&'a Value> {
    let kind = map.get("kind").and_then(Value::as_str);
    let fits = |choice: &&Value| {
        let of = kind_of(&SCHEMA, choice);
        takes(choice, "object") && (of.is_none() || of == kind)
    };
    choices.iter().copied().find(fits)
}

fn hide_object(schema: &Value, map: &mut Map<String, Value>) {
    let properties = schema.get("properties");
    let others = schema.get("additionalProperties");
    let is_file = map.contains_key("path");
    for (key, value) in map {
        match properties.and_then(|all| all.get(key)).or(others) {
            Some(_) if is_file && key == "content" => *value = omitted(value).into(),
            Some(schema) => hide(schema, value),
            None => *value = HIDDEN.into(),
        }
    }
}

fn omitted(value: &Value) -> String {
    let length = value.as_str().map_or(0, str::len);
    format!("(hidden: {length} bytes)")
}

/// A text as it may be shown.
fn shown(schema: &Value, text: &str) -> String {
    let format = schema.get("format").and_then(Value::as_str);
    let format = format.unwrap_or_default();
    if format == Command::FORMAT {
        return omitted(&text.into());
    }
    if format == ProxyUrl::FORMAT {
        return without_credentials(text);
    }
    let secret = schema.get("writeOnly").is_some();
    if secret || looks_secret(text) {
        return HIDDEN.to_owned();
    }
    text.to_owned()
}

/// A proxy's URL without `user:password`.
fn without_credentials(url: &str) -> String {
    let hidden = || {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let at = rest[..end].rfind('@')?;
        Some(format!("{scheme}://{HIDDEN}{}", &rest[at..]))
    };
    hidden().unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{redacted, without_credentials};
    use crate::{ParseOptions, parse};
    use serde_json::Value;

    /// Every secret in it has the word `hunter2`, in clear or as base64.
    const FILE: &str = r#"
version: 1.0
operatingSystem: # root's password is hunter2
  hostname: edge-7
  users:
    - {username: root, password: aHVudGVyMg==}
    - {username: two, password: "$6$salt$hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2ab"}
  sshKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me
  proxy:
    httpProxy: http://me:hunter2@proxy.example.com:911
    noProxy: 10.0.0.0/8
  writeFiles:
    - {path: /etc/ssl/private/a.key, content: "-----BEGIN PRIVATE KEY-----\nhunter2", permissions: "0600"}
  runCommands: ["echo root:hunter2 | chpasswd"]
kubernetes:
  kind: KThreesControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta2
  registries:
    configs:
      registry.example.com: {auth: {username: puller, password: hunter2}, tls: {insecureSkipVerify: true}}
      other.example.com: {auth: {identityToken: hunter2}}
      third.example.com: {auth: {auth: cHVsbGVyOmh1bnRlcjI=}}
  spec:
    template:
      metadata: {annotations: {note: hunter2}}
      spec:
        kthreesConfigSpec:
          files: [{path: /etc/rancher/k3s/config.yaml.d/x.yaml, content: "token: hunter2"}]
          preK3sCommands: ["curl -u me:hunter2 http://x"]
          agentConfig:
            kubeletArgs: ["max-pods=64", "node-labels=some-token=hunter2"]
"#;

    fn of(text: &str) -> Result<Value, String> {
        let parsed = parse(text, &ParseOptions::default());
        let complaints = parsed.diagnostics.iter().map(|finding| &finding.message);
        let complaints: Vec<&String> = complaints.collect();
        redacted(&parsed).ok_or_else(|| format!("{complaints:?}"))
    }

    #[test]
    fn no_secret_is_left_wherever_it_stands() {
        let text = of(FILE).expect("valid").to_string();
        for secret in ["hunter2", "aHVudGVyMg", "cHVsbGVy", "$6$", "PRIVATE"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }

    #[test]
    fn what_is_no_secret_is_as_the_user_wrote_it() {
        let value = of(FILE).expect("valid");
        let at = |pointer: &str| value.pointer(pointer).cloned().unwrap_or_default();
        for (pointer, expected) in [
            ("/version", "1.0"),
            ("/operatingSystem/hostname", "edge-7"),
            ("/operatingSystem/users/1/username", "two"),
            ("/operatingSystem/users/1/password", "(hidden)"),
            (
                "/operatingSystem/proxy/httpProxy",
                "http://(hidden)@proxy.example.com:911",
            ),
            ("/operatingSystem/proxy/noProxy", "10.0.0.0/8"),
            ("/operatingSystem/writeFiles/0/permissions", "0600"),
            (
                "/operatingSystem/writeFiles/0/content",
                "(hidden: 35 bytes)",
            ),
            ("/operatingSystem/runCommands/0", "(hidden: 28 bytes)"),
            (
                "/kubernetes/registries/configs/registry.example.com/auth/username",
                "puller",
            ),
            (
                "/kubernetes/spec/template/spec/kthreesConfigSpec/agentConfig/kubeletArgs/0",
                "max-pods=64",
            ),
            (
                "/kubernetes/spec/template/spec/kthreesConfigSpec/agentConfig/kubeletArgs/1",
                "(hidden)",
            ),
        ] {
            assert_eq!(at(pointer), expected, "{pointer}");
        }
        let insecure = "/kubernetes/registries/configs/registry.example.com/tls/insecureSkipVerify";
        assert_eq!(at(insecure), true);
    }

    #[test]
    fn every_kind_that_can_be_converted_is_shown() {
        let text = FILE.split_once("kubernetes:").expect("there").0.to_owned()
            + "kubernetes:\n  kind: RKE2ControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta1\n  spec: {template: {spec: {serverConfig: {tlsSan: [a.example.com]}}}}\n";
        let value = of(&text).expect("valid");
        let san = value.pointer("/kubernetes/spec/template/spec/serverConfig/tlsSan/0");
        assert_eq!(san, Some(&"a.example.com".into()), "{value}");
    }

    #[test]
    fn a_config_file_with_errors_is_not_shown() {
        assert!(of("version: 1.0\npasword: hunter2\n").is_err());
        assert!(of("not: [yaml").is_err());
    }

    #[test]
    fn credentials_of_a_proxy_are_hidden_to_the_last_at_sign_before_the_path() {
        for (url, expected) in [
            ("http://h/a@b", "http://h/a@b"),
            ("http://u:p@ss@h:1/x", "http://(hidden)@h:1/x"),
            ("socks5://u@h", "socks5://(hidden)@h"),
        ] {
            assert_eq!(without_credentials(url), expected);
        }
    }
}
