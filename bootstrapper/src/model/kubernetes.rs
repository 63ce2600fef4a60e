//! The Kubernetes section: one alternative a distribution, told apart by `kind`.

use super::KThreesControlPlaneTemplate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;

/// A control plane template of Cluster API.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Kubernetes {
    /// K3s.
    KThrees(Box<KThreesControlPlaneTemplate>),
}

impl JsonSchema for Kubernetes {
    fn schema_name() -> Cow<'static, str> {
        "Kubernetes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A control plane template of Cluster API; `kind` chooses the distribution.",
            "oneOf": [generator.subschema_for::<KThreesControlPlaneTemplate>()],
        })
    }
}
