//! Private registries of an RKE2 template, which has the references to Secrets beside what RKE2 itself takes.

use crate::model::{Mirror, Registries, RegistryConfig, RegistryTls, reference};
use crate::values::{RegistryHost, RegistryUrl, RewriteRule};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Registry: private registries and mirrors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rke2Registries {
    /// Mirrors by the registry they stand for; `*` is every registry.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Rke2Mirror>", extend("propertyNames" = {"format": "registry-host"}))]
    pub mirrors: BTreeMap<RegistryHost, Rke2Mirror>,
    /// Access by registry.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Rke2RegistryConfig>", extend("propertyNames" = {"format": "registry-host"}))]
    pub configs: BTreeMap<RegistryHost, Rke2RegistryConfig>,
}

/// Mirror.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rke2Mirror {
    /// URLs of the mirrors, tried in order.
    #[serde(default)]
    pub endpoint: Vec<RegistryUrl>,
    /// Rewrites of image names: regular expression to replacement.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>", extend("propertyNames" = {"format": "rewrite-rule"}))]
    pub rewrite: BTreeMap<RewriteRule, String>,
}

/// RegistryConfig without credentials, which are in Secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rke2RegistryConfig {
    /// Secret with credentials.
    #[serde(default)]
    #[schemars(extend("x-refused" = reference(
        "use kubernetes.registries, which takes credentials and files"
    )))]
    pub auth_secret: Option<Value>,
    /// TLS settings.
    #[serde(default)]
    pub tls: Rke2RegistryTls,
}

/// TLSConfig of a registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rke2RegistryTls {
    /// Secret with certificates.
    #[serde(default)]
    #[schemars(extend("x-refused" = reference(
        "use kubernetes.registries, which takes credentials and files"
    )))]
    pub tls_config_secret: Option<Value>,
    /// Accepts any certificate.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

impl Rke2Registries {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is left of them on a standalone node, where the references are refused.
impl From<&Rke2Registries> for Registries {
    fn from(given: &Rke2Registries) -> Self {
        let mirror = |mirror: &Rke2Mirror| Mirror {
            endpoints: mirror.endpoint.clone(),
            rewrite: mirror.rewrite.clone(),
        };
        let config = |config: &Rke2RegistryConfig| RegistryConfig {
            auth: None,
            tls: Some(RegistryTls {
                insecure_skip_verify: config.tls.insecure_skip_verify,
                ..RegistryTls::default()
            }),
        };
        let mirrors = given.mirrors.iter();
        let configs = given.configs.iter();
        Self {
            mirrors: mirrors
                .map(|(host, of)| (host.clone(), mirror(of)))
                .collect(),
            configs: configs
                .map(|(host, of)| (host.clone(), config(of)))
                .collect(),
        }
    }
}
