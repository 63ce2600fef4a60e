//! The Kubernetes section: one alternative a distribution, told apart by `kind`.

use super::KThreesControlPlaneTemplate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// A control plane template of Cluster API.
#[derive(Debug, Clone)]
pub enum Kubernetes {
    /// K3s.
    KThrees(Box<KThreesControlPlaneTemplate>),
}

/// By hand: serde's own way for untagged enums copies every text in it.
impl<'de> Deserialize<'de> for Kubernetes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Box::deserialize(from).map(Self::KThrees)
    }
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
