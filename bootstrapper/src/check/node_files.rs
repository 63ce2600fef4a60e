//! Files that nobody reads as they are given: those that the distribution writes itself, those of other programs than its
//! own, and those below a folder of state that it does not use.

use super::context::Context;
use crate::codes;
use crate::model::File;
use crate::report::Report;
use crate::yaml::Pointer;

impl Report<'_> {
    /// Warns of a file that has not the effect that its place promises.
    pub(super) fn file_without_effect(&mut self, file: &File, at: &Pointer, context: &Context<'_>) {
        let Some((message, help)) = overwritten(file, context)
            .or_else(|| of_another_program(file, context))
            .or_else(|| below_another_folder(file, context))
        else {
            return;
        };
        self.warning(codes::FileWithoutEffect, &at.join("path"), message)
            .help(help);
    }
}

/// The distribution writes these anew at every start, install.sh when it installs it (install.sh, create_env_file).
fn overwritten(file: &File, context: &Context<'_>) -> Option<(String, String)> {
    let (path, facts) = (file.path.as_str(), context.facts);
    let unit = facts.unit;
    let agent = format!("{}/agent", facts.data_dir);
    let others = [
        (
            format!("{agent}/etc/containerd/config.toml"),
            "write a template, config-v3.toml.tmpl, beside it",
        ),
        (
            format!("{agent}/etc/crictl.yaml"),
            "leave it out: no setting changes it",
        ),
        (
            format!(
                "{agent}/etc/kubelet.conf.d/00-{}-defaults.conf",
                facts.name.to_lowercase()
            ),
            "choose a name that sorts after it, such as 50-site.conf",
        ),
        (
            format!("/etc/systemd/system/{unit}.env"),
            "set proxies under operatingSystem.proxy, and other variables in a drop-in of the unit",
        ),
    ];
    let (_, help) = others.into_iter().find(|(other, _)| other == path)?;
    let name = facts.name;
    let message = format!("{path} is written by {name} or its installer: what is here is lost");
    Some((message, help.to_owned()))
}

fn of_another_program(file: &File, context: &Context<'_>) -> Option<(String, String)> {
    let (path, facts) = (file.path.as_str(), context.facts);
    let name = facts.name;
    if ["/etc/containerd/config.toml", "/etc/crictl.yaml"].contains(&path) {
        let message = format!("{name} does not read {path}: it has a containerd of its own");
        let folder = format!("{}/agent/etc/containerd", facts.data_dir);
        return Some((
            message,
            format!("write a template, {folder}/config-v3.toml.tmpl"),
        ));
    }
    let folder = path.strip_prefix("/etc/systemd/system/")?;
    let unit = folder.split('/').next()?.trim_end_matches(".d");
    let is_like = ["k3s", "rke2"].iter().any(|start| unit.starts_with(start));
    let is_own = unit == facts.unit || unit == format!("{}.env", facts.unit);
    if !is_like || is_own || is_given(unit, context) {
        return None;
    }
    let message = format!("no unit {unit} is made; {name}'s is {}", facts.unit);
    let right = path.replacen(unit, facts.unit, 1);
    Some((message, format!("write it as {right}")))
}

/// Whether the config-file brings a unit itself.
fn is_given(unit: &str, context: &Context<'_>) -> bool {
    let path = format!("/etc/systemd/system/{unit}");
    let written = context.config.operating_system.write_files.iter();
    let mut files = written.chain(context.config.files());
    files.any(|file| file.path.as_str() == path)
}

/// `data-dir` in a drop-in moves all of the distribution's state.
fn below_another_folder(file: &File, context: &Context<'_>) -> Option<(String, String)> {
    let given = context.joined.last("data-dir")?;
    let folder = given.text.trim_end_matches('/');
    let own = context.facts.data_dir;
    let inside = file.path.as_str().strip_prefix(own)?;
    if folder == own || !inside.starts_with('/') {
        return None;
    }
    let name = context.facts.name;
    let message = format!(
        "{name} does not read {}: its data-dir is {folder}",
        file.path
    );
    Some((message, format!("write it as {folder}{inside}")))
}
