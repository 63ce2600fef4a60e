//! A control plane template of Cluster API, alone or as a cluster template of EMF, becomes a config-file.

use super::objects::without_unset;
use super::objects::{self, Content, Object};
use super::{MigrateError, Migrated, Remark};
use crate::codes;
use crate::diagnostic::{Diagnostic, Severity};
use crate::schema::{alternatives, schema};
use crate::{ParseOptions, emit, parse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Kinds that are taken, and where each has its K3s configuration.
const KINDS: &[(&str, &[&[&str]])] = &[
    (
        "KThreesControlPlaneTemplate",
        &[
            &["spec", "template", "spec", "kthreesConfigSpec"],
            &["spec", "template", "spec"],
        ],
    ),
    ("KThreesControlPlane", &[&["spec", "kthreesConfigSpec"]]),
];
/// Pointer of the K3s configuration in the result.
const SPEC: &str = "/kubernetes/spec/template/spec";
const HEAD: &str = "# What a template does not say is left to add under operatingSystem: users, proxy, SSH keys, network.\nversion: 1.0\n";

/// The template under work.
struct Template<'a> {
    objects: &'a [Object],
    schema: &'a Value,
    remarks: Vec<Remark>,
}

pub(super) fn migrate(text: &str) -> Result<Migrated, MigrateError> {
    let objects = objects::read(text)?;
    let schema = schema();
    let mut template = Template {
        objects: &objects,
        schema: &schema,
        remarks: vec![],
    };
    let spec = template.chosen()?;
    let mut spec = template.config_spec(spec)?;
    loop {
        let text = template.text(&spec);
        let parsed = parse(&text, &ParseOptions::default());
        let mut errors = parsed
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error);
        match errors.next() {
            None => return Ok(template.migrated(text)),
            Some(error) => template.refused(error, &mut spec)?,
        }
    }
}

/// The K3s configuration of an object, if its kind has one.
fn spec_of(object: &Object) -> Option<&Object> {
    let kind = object.get("kind")?.text()?;
    let (_, places) = KINDS.iter().find(|(name, _)| *name == kind)?;
    places.iter().find_map(|place| object.at(place))
}

impl<'a> Template<'a> {
    /// The first K3s configuration of the file; what else is in it is remarked on.
    fn chosen(&mut self) -> Result<&'a Object, MigrateError> {
        let mut found = None;
        for object in self.objects {
            if object.get("operatingSystem").is_some() || object.get("kubernetes").is_some() {
                return Err(MigrateError::AlreadyYaml { line: object.line });
            }
            let template = object.get("clusterconfiguration").unwrap_or(object);
            match spec_of(template) {
                Some(spec) if found.is_none() => {
                    self.beside(object, template, spec);
                    found = Some(spec);
                }
                Some(_) => self.left_out(
                    template.line,
                    "kind",
                    "another template; the first is taken",
                ),
                None if is_secret(object) => {}
                None => self.left_out(object.line, "kind", "the management cluster alone uses it"),
            }
        }
        found.ok_or_else(|| MigrateError::Template {
            line: 1,
            message: "there is no KThreesControlPlaneTemplate or KThreesControlPlane with a K3s configuration".to_owned(),
        })
    }

    fn left_out(&mut self, line: usize, key: &str, message: &str) {
        self.remarks.push(Remark::dropped(line, key, message));
    }

    /// What stands beside the K3s configuration.
    fn beside(&mut self, object: &Object, template: &Object, spec: &Object) {
        self.cluster_network(object, spec);
        let outer = template
            .at(&["spec", "template", "spec"])
            .or(template.get("spec"));
        for key in ["rolloutAfter", "machineTemplate", "remediationStrategy"] {
            if let Some(value) = outer.and_then(|outer| outer.get(key)) {
                self.left_out(value.line, key, "the management cluster alone uses it");
            }
        }
    }

    /// The networks of the Cluster object, where K3s' are others.
    fn cluster_network(&mut self, object: &Object, spec: &Object) {
        for (part, key, default) in [
            ("pods", "clusterCidr", "10.42.0.0/16"),
            ("services", "serviceCidr", "10.43.0.0/16"),
        ] {
            let Some(blocks) = object.at(&["clusterNetwork", part, "cidrBlocks"]) else {
                continue;
            };
            let networks = spec.at(&["serverConfig", key]).and_then(Object::text);
            let networks: Vec<&str> = networks.unwrap_or(default).split(',').collect();
            if blocks.to_value() != json!(networks) {
                let message =
                    format!("cluster-api-k3s does not hand it on to K3s, which has {key} for it");
                self.left_out(blocks.line, part, &message);
            }
        }
    }

    fn config_spec(&mut self, spec: &Object) -> Result<Object, MigrateError> {
        let shape = &self.schema["$defs"]["ConfigSpec"];
        let Content::Map(entries) = &spec.value else {
            return Err(MigrateError::Template {
                line: spec.line,
                message: "the K3s configuration is not a mapping".to_owned(),
            });
        };
        // Cluster API's other keys may stand beside those of the K3s configuration.
        let own = [
            "kthreesConfigSpec",
            "rolloutAfter",
            "machineTemplate",
            "remediationStrategy",
        ];
        let mut kept = vec![];
        for (key, value) in entries {
            if own.contains(&key.as_str()) {
                continue;
            }
            if key.eq_ignore_ascii_case("version") {
                self.left_out(value.line, key, "the OS image fixes the version of K3s");
                continue;
            }
            let value = match key.eq_ignore_ascii_case("files") {
                true => self.files(value)?,
                false => value.clone(),
            };
            kept.push((key.clone(), value));
        }
        let spec = Object::new(spec.line, Content::Map(kept));
        Ok(self
            .fitted(&spec, shape)
            .unwrap_or(Object::new(spec.line, Content::Map(vec![]))))
    }

    /// A value with the keys as the schema spells them, without what says nothing and what is unknown.
    fn fitted(&mut self, object: &Object, shape: &Value) -> Option<Object> {
        let shapes = alternatives(self.schema, shape);
        let value = match &object.value {
            Content::Scalar(Value::Null) => return None,
            Content::Scalar(Value::String(text)) if text.is_empty() => return None,
            Content::Scalar(value) => Content::Scalar(value.clone()),
            Content::List(items) => {
                let items_shape = shapes.iter().find_map(|shape| shape.get("items"));
                let shape = items_shape.unwrap_or(&Value::Null);
                Content::List(
                    items
                        .iter()
                        .filter_map(|item| self.fitted(item, shape))
                        .collect(),
                )
            }
            Content::Map(entries) => {
                let properties = shapes
                    .iter()
                    .find_map(|shape| shape.get("properties")?.as_object());
                let mut kept = vec![];
                for (key, value) in entries {
                    let known = properties.into_iter().flatten();
                    let mut known = known.filter(|(name, _)| name.eq_ignore_ascii_case(key));
                    match known.next() {
                        Some((name, shape)) => {
                            let value = self.fitted(value, shape);
                            kept.extend(value.map(|value| (name.clone(), value)));
                        }
                        None => self.left_out(value.line, key, "an unknown key"),
                    }
                }
                Content::Map(kept)
            }
        };
        Some(Object::new(object.line, value))
    }

    /// The files, with the contents that Secrets have.
    fn files(&mut self, files: &Object) -> Result<Object, MigrateError> {
        let Content::List(items) = &files.value else {
            return Ok(files.clone());
        };
        let mut kept = vec![];
        for item in items {
            if item.get("path").is_none() {
                self.left_out(item.line, "files", "a file without a path");
                continue;
            }
            kept.push(self.file(item)?);
        }
        Ok(Object::new(files.line, Content::List(kept)))
    }

    fn file(&self, file: &Object) -> Result<Object, MigrateError> {
        let (Some(from), Content::Map(entries)) =
            (file.at(&["contentFrom", "secret"]), &file.value)
        else {
            return Ok(file.clone());
        };
        let wrong = |message: &str| MigrateError::Template {
            line: from.line,
            message: message.to_owned(),
        };
        let text = |key| from.get(key).and_then(Object::text);
        let (Some(name), Some(key)) = (text("name"), text("key")) else {
            return Err(wrong("contentFrom.secret has no name or no key"));
        };
        let missing = || {
            format!(
                "contentFrom: the Secret `{name}` with the key `{key}` is not in the file; add it as a YAML document"
            )
        };
        let bytes = objects::secret(self.objects, name, key)?.ok_or_else(|| wrong(&missing()))?;
        let taken = ["contentFrom", "content"];
        let mut entries = entries.clone();
        entries.retain(|(key, _)| !taken.iter().any(|taken| taken.eq_ignore_ascii_case(key)));
        match String::from_utf8(bytes) {
            Ok(text) => entries.push(("content".to_owned(), Object::text_at(from.line, text))),
            Err(error) => {
                let text = STANDARD.encode(error.as_bytes());
                entries.push(("encoding".to_owned(), Object::text_at(from.line, "base64")));
                entries.push(("content".to_owned(), Object::text_at(from.line, text)));
            }
        }
        Ok(Object::new(file.line, Content::Map(entries)))
    }

    /// Leaves out what the new format refuses.
    fn refused(&mut self, error: &Diagnostic, spec: &mut Object) -> Result<(), MigrateError> {
        let invalid = || MigrateError::Invalid(format!("{}: {}", error.pointer, error.message));
        let steps = error.pointer.strip_prefix(SPEC).ok_or_else(invalid)?;
        let mut steps: Vec<&str> = steps.split('/').skip(1).collect();
        if let ["files", _, _, ..] = steps[..] {
            // Without its owner or mode a file would be another one.
            steps.truncate(2);
        }
        let line = spec.remove(&steps).ok_or_else(invalid)?;
        if error.code == codes::ShellSyntax {
            let message = error.message.clone();
            return Err(MigrateError::Template { line, message });
        }
        let key = steps.iter().rfind(|step| step.parse::<usize>().is_err());
        let message = match &error.help {
            Some(help) => format!("{} ({help})", error.message),
            None => error.message.clone(),
        };
        self.left_out(line, key.unwrap_or(&""), &message);
        Ok(())
    }

    fn text(&self, spec: &Object) -> String {
        let document = json!({"kubernetes": {
            "kind": "KThreesControlPlaneTemplate",
            "apiVersion": "controlplane.cluster.x-k8s.io/v1beta2",
            "spec": {"template": {"spec": without_unset(spec.to_value())}},
        }});
        HEAD.to_owned() + &emit::yaml(&document, 0)
    }

    fn migrated(mut self, mut text: String) -> Migrated {
        self.remarks.sort_by_key(|remark| remark.line);
        if !self.remarks.is_empty() {
            text.push_str("\n# Left out of the template:\n");
        }
        for remark in &self.remarks {
            let message = remark.message.replace('\n', " ");
            text.push_str(&format!(
                "#   line {}, {}: {message}\n",
                remark.line, remark.key
            ));
        }
        Migrated {
            text,
            remarks: self.remarks,
        }
    }
}

fn is_secret(object: &Object) -> bool {
    object.get("kind").and_then(Object::text) == Some("Secret")
}
