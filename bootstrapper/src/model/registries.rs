//! Private registries and mirrors: the short form of K3s' registries.yaml.

use crate::values::{FilePath, RegistryHost, RegistrySecret, RegistryUrl, RewriteRule};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Registries that images are pulled from. Becomes the registries.yaml of K3s or RKE2, readable by root alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registries {
    /// Mirrors by the registry they stand for; `*` is every registry.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Mirror>", extend("propertyNames" = {"format": "registry-host"}))]
    pub mirrors: BTreeMap<RegistryHost, Mirror>,
    /// Credentials and TLS settings by registry.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RegistryConfig>", extend("propertyNames" = {"format": "registry-host"}))]
    pub configs: BTreeMap<RegistryHost, RegistryConfig>,
}

/// Mirrors of one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mirror {
    /// URLs of the mirrors, tried in order before the registry itself.
    #[serde(default)]
    pub endpoints: Vec<RegistryUrl>,
    /// Rewrites of image names for these endpoints: a regular expression to its replacement, `$1` being a group.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>", extend("propertyNames" = {"format": "rewrite-rule"}))]
    pub rewrite: BTreeMap<RewriteRule, String>,
}

/// Access to one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryConfig {
    /// Credentials.
    #[serde(default)]
    pub auth: Option<RegistryAuth>,
    /// TLS settings.
    #[serde(default)]
    pub tls: Option<RegistryTls>,
}

/// Credentials of a registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryAuth {
    /// User name; with `password`.
    #[serde(default)]
    pub username: Option<String>,
    /// Password in plain text, as the registry needs it.
    #[serde(default)]
    pub password: Option<RegistrySecret>,
    /// Base64 of `user:password`, instead of both.
    #[serde(default)]
    pub auth: Option<RegistrySecret>,
    /// Identity token.
    #[serde(default)]
    pub identity_token: Option<RegistrySecret>,
}

/// TLS settings of a registry. The files, in PEM, are given under `files` or `operatingSystem.writeFiles`, or are part
/// of the OS image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryTls {
    /// Certificate authority.
    #[serde(default)]
    #[schemars(extend("examples" = ["/etc/registry/ca.pem"]))]
    pub ca_file: Option<FilePath>,
    /// Client certificate.
    #[serde(default)]
    #[schemars(extend("examples" = ["/etc/registry/client.pem"]))]
    pub cert_file: Option<FilePath>,
    /// Key of the client certificate; give its file the permissions 0600.
    #[serde(default)]
    #[schemars(extend("examples" = ["/etc/registry/client.key"]))]
    pub key_file: Option<FilePath>,
    /// Accepts any certificate.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

impl Registries {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The text of registries.yaml: JSON, which is YAML that needs no further quoting.
    pub fn to_yaml(&self) -> String {
        let mirrors: Map<String, Value> = self
            .mirrors
            .iter()
            .map(|(host, mirror)| {
                let endpoints: Vec<&str> =
                    mirror.endpoints.iter().map(RegistryUrl::as_str).collect();
                let rewrite: Map<String, Value> = mirror
                    .rewrite
                    .iter()
                    .map(|(rule, to)| (rule.to_string(), to.as_str().into()))
                    .collect();
                let value = json!({"endpoint": endpoints, "rewrite": rewrite});
                (host.to_string(), without_empty(value))
            })
            .collect();
        let configs: Map<String, Value> = self
            .configs
            .iter()
            .map(|(host, config)| (host.to_string(), config.to_json()))
            .collect();
        let all = without_empty(json!({"mirrors": mirrors, "configs": configs}));
        format!("{all:#}\n")
    }
}

impl RegistryConfig {
    fn to_json(&self) -> Value {
        let secret = |value: &Option<RegistrySecret>| value.as_ref().map(|s| s.reveal().to_owned());
        let path = |value: &Option<FilePath>| value.as_ref().map(ToString::to_string);
        let auth = self.auth.as_ref().map(|auth| {
            without_empty(json!({
                "username": auth.username,
                "password": secret(&auth.password),
                "auth": secret(&auth.auth),
                "identity_token": secret(&auth.identity_token),
            }))
        });
        let tls = self.tls.as_ref().map(|tls| {
            without_empty(json!({
                "ca_file": path(&tls.ca_file),
                "cert_file": path(&tls.cert_file),
                "key_file": path(&tls.key_file),
                "insecure_skip_verify": tls.insecure_skip_verify.then_some(true),
            }))
        });
        without_empty(json!({"auth": auth, "tls": tls}))
    }
}

fn without_empty(value: Value) -> Value {
    let Value::Object(map) = value else {
        return value;
    };
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    map.into_iter()
        .filter(|(_, value)| !empty(value))
        .collect::<Map<_, _>>()
        .into()
}
