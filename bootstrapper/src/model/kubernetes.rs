//! The Kubernetes section: one alternative a distribution, told apart by `kind`.

use super::{KThreesControlPlaneTemplate, Rke2ControlPlaneTemplate};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;

/// A control plane template of Cluster API.
#[derive(Debug, Clone)]
pub enum Kubernetes {
    /// K3s.
    KThrees(Box<KThreesControlPlaneTemplate>),
    /// RKE2.
    Rke2(Box<Rke2ControlPlaneTemplate>),
}

/// By hand: serde's own way for untagged enums copies every text in it.
impl<'de> Deserialize<'de> for Kubernetes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let read = match value.get("kind").and_then(Value::as_str) {
            Some("RKE2ControlPlaneTemplate") => Box::deserialize(value).map(Self::Rke2),
            _ => Box::deserialize(value).map(Self::KThrees),
        };
        read.map_err(D::Error::custom)
    }
}

impl JsonSchema for Kubernetes {
    fn schema_name() -> Cow<'static, str> {
        "Kubernetes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A control plane template of Cluster API; `kind` chooses the distribution.",
            "oneOf": [
                generator.subschema_for::<KThreesControlPlaneTemplate>(),
                generator.subschema_for::<Rke2ControlPlaneTemplate>(),
            ],
        })
    }
}
