//! The K3s configuration of a config-file as Cluster API and EMF take it: a manifest of the template, or a cluster template.
//! The operating system has no place in either.

use crate::config_file::ConfigFile;
use crate::distribution::{BootFile, Kubernetes, own, user_files};
use crate::migrate::{value_of, without_unset};
use crate::model::ContentError;
use crate::values::CidrList;
use crate::{Parsed, emit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Why a config-file cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Only K3s has a template in cluster-api-k3s.
    #[error("only a KThreesControlPlaneTemplate is exported")]
    NotK3s,
    /// EMF's form names the version.
    #[error("EMF's cluster template names the version of K3s: give it with --k3s-version")]
    NoVersion,
    /// A file's content does not fit its encoding; [`crate::parse`] refuses such a config-file.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// [`crate::parse`] refused the config-file.
    #[error("the config-file is invalid")]
    Invalid,
}

/// What the template has to be told beside the config-file.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name of the object.
    pub name: String,
    /// Version of K3s; without one, the config-file's.
    pub version: Option<String>,
}

/// The manifest of the template, in YAML.
///
/// # Errors
/// The config-file has no K3s.
pub fn manifest(parsed: &Parsed, target: &Target) -> Result<String, ExportError> {
    let mut template = template(parsed, target)?;
    template["metadata"] = json!({"name": target.name});
    Ok(emit::yaml(&template, 0))
}

/// EMF's cluster template, in JSON.
///
/// # Errors
/// The config-file has no K3s, or no version of it is known.
pub fn cluster_template(parsed: &Parsed, target: &Target) -> Result<String, ExportError> {
    let config = parsed.config.as_ref().ok_or(ExportError::Invalid)?;
    let version = version(config, target).ok_or(ExportError::NoVersion)?;
    let server = &config.k3s().server_config;
    let blocks = |list: &Option<CidrList>, default: &str| -> Vec<String> {
        let text = list.as_ref().map_or(default, |list| list.as_str());
        text.split(',').map(str::to_owned).collect()
    };
    let template = json!({
        "name": target.name,
        "version": "v0.0.1",
        "kubernetesVersion": version,
        "description": "K3s of a standalone edge node",
        "controlplaneprovidertype": "k3s",
        "infraprovidertype": "intel",
        "clusterconfiguration": template(parsed, target)?,
        "clusterNetwork": {
            "pods": {"cidrBlocks": blocks(&server.cluster_cidr, "10.42.0.0/16")},
            "services": {"cidrBlocks": blocks(&server.service_cidr, "10.43.0.0/16")},
        },
    });
    Ok(format!("{template:#}\n"))
}

fn version(config: &ConfigFile, target: &Target) -> Option<String> {
    let own = config.k3s().version.as_ref().map(ToString::to_string);
    target.version.clone().or(own)
}

fn template(parsed: &Parsed, target: &Target) -> Result<Value, ExportError> {
    let config = parsed.config.as_ref().ok_or(ExportError::Invalid)?;
    let Some(Kubernetes::KThrees(_)) = &config.kubernetes else {
        return Err(ExportError::NotK3s);
    };
    let mut spec = spec(parsed);
    let files = files(config)?;
    if !files.is_empty() {
        spec["files"] = files.iter().map(file).collect();
    }
    if let Some(version) = version(config, target) {
        spec["version"] = version.into();
    }
    // Values that are mended when they are read.
    let server = &config.k3s().server_config;
    let components = server.disable_components.iter();
    let components: Vec<&str> = components.map(|name| name.as_str()).collect();
    let no_controller = server.disable_cloud_controller.unwrap_or_default();
    let read = |list: &Option<CidrList>| list.as_ref().map(|list| list.as_str().to_owned());
    let dns = server.cluster_dns.as_ref().map(|list| list.as_str());
    for (key, value) in [
        ("clusterCidr", json!(read(&server.cluster_cidr))),
        ("serviceCidr", json!(read(&server.service_cidr))),
        ("clusterDNS", json!(dns)),
        ("disableComponents", json!(components)),
        // What the provider would set otherwise where nothing is said.
        ("disableCloudController", json!(no_controller)),
        (
            "cloudProviderName",
            json!(server.cloud_provider_name.as_deref().unwrap_or_default()),
        ),
    ] {
        spec["serverConfig"][key] = value;
    }
    spec["agentConfig"]["airGapped"] = true.into();
    Ok(json!({
        "apiVersion": "controlplane.cluster.x-k8s.io/v1beta2",
        "kind": "KThreesControlPlaneTemplate",
        "metadata": {},
        "spec": {"template": {"spec": {"kthreesConfigSpec": without_unset(spec)}}},
    }))
}

/// The K3s configuration as it was written, but for the files.
fn spec(parsed: &Parsed) -> Value {
    let mut spec = json!({});
    let tree = parsed.tree.as_ref();
    let Some((tree, at)) = tree.zip(parsed.k3s_pointer()) else {
        return spec;
    };
    for key in [
        "preK3sCommands",
        "postK3sCommands",
        "agentConfig",
        "serverConfig",
    ] {
        let found = tree.find(&at.join(key)).map(|id| value_of(tree, id));
        if let Some(value) = found.filter(|value| !value.is_null()) {
            spec[key] = value;
        }
    }
    spec
}

/// The files of the template, and the registries, which cluster-api-k3s has no section for.
fn files(config: &ConfigFile) -> Result<Vec<BootFile>, ContentError> {
    let mut files = user_files(config.k3s().files.as_slice())?;
    let registries = config.registries();
    if let Some(path) = config.registries_path().filter(|_| !registries.is_empty()) {
        files.push(own(path, 0o600, &registries.to_yaml()));
    }
    Ok(files)
}

fn file(file: &BootFile) -> Value {
    let mut entry = json!({
        "path": file.path,
        "owner": file.owner,
        "permissions": format!("{:04o}", file.mode),
    });
    match std::str::from_utf8(&file.bytes) {
        Ok("") => {}
        Ok(text) if arrives(text) => entry["content"] = text.into(),
        _ => {
            entry["encoding"] = "base64".into();
            entry["content"] = STANDARD.encode(&file.bytes).into();
        }
    }
    entry
}

/// Whether the provider and cloud-init hand a content on as it is: they render it as a jinja template, and end it with one
/// line break.
fn arrives(text: &str) -> bool {
    let ends = text.ends_with('\n') && !text.ends_with("\n\n");
    ends && emit::fits_block(text) && !text.starts_with([' ', '\n', '\t']) && !is_jinja(text)
}

fn is_jinja(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// What does not come along, a line each.
pub fn left_out(config: &ConfigFile) -> Vec<String> {
    let spec = config.k3s();
    let mut found =
        vec!["operatingSystem is not exported: a template has no place for it".to_owned()];
    let lists = [
        ("preK3sCommands", &spec.pre_k3s_commands),
        ("postK3sCommands", &spec.post_k3s_commands),
    ];
    for (key, commands) in lists {
        for (index, command) in commands.iter().enumerate() {
            if is_jinja(command.as_str()) {
                found.push(format!(
                    "{key}[{index}] has `{{{{`, `{{%` or `{{#`, which cloud-init renders as a template: move it into a file"
                ));
            }
        }
    }
    found
}
