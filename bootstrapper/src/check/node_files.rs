//! Files that nobody reads as they are given: those that the distribution writes itself, those of other programs than its
//! own, and those below a folder of state that it does not use.

use super::context::Context;
use super::ignored_files::ignored;
use crate::codes;
use crate::distribution;
use crate::model::File;
use crate::path_rule::PathRule;
use crate::report::Report;
use crate::text::closest;
use crate::yaml::Pointer;

impl Report<'_> {
    /// Warns of a file that has not the effect that its place promises.
    pub(super) fn file_without_effect(&mut self, file: &File, at: &Pointer, context: &Context<'_>) {
        let Some((message, help)) = overwritten(file, context)
            .or_else(|| of_another_program(file, context))
            .or_else(|| of_another_unit(file, context))
            .or_else(|| mistyped(file.path.as_str(), context))
            .or_else(|| below_another_folder(file, context))
            .or_else(|| ignored(file.path.as_str(), context))
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
    let starts = [facts.data_dir, "/etc/rancher/", "/etc/systemd/system/"];
    if !starts.iter().any(|start| path.starts_with(start)) {
        return None;
    }
    let unit = facts.unit;
    let agent = format!("{}/agent", facts.data_dir);
    let others = [
        (
            facts.config.replace(
                "config.yaml",
                &format!("{}.yaml", facts.name.to_lowercase()),
            ),
            "the kubeconfig is made at each start; copy it in postK3sCommands if it has to be elsewhere",
        ),
        (
            format!("{agent}/etc/containerd/config-v3.toml"),
            "write a template, config-v3.toml.tmpl, beside it",
        ),
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

/// Files of programs that a node of a distribution does not run, and what takes their place below its state.
const OTHER_PROGRAMS: [(PathRule, &str, &str); 8] = [
    (
        PathRule::new("/etc/containerd/**"),
        "it has a containerd of its own",
        "agent/etc/containerd/config-v3.toml.tmpl",
    ),
    (
        PathRule::new("/etc/crictl.yaml"),
        "it has a containerd of its own",
        "agent/etc/containerd/config-v3.toml.tmpl",
    ),
    (
        PathRule::new("/etc/cni/net.d/**"),
        "its containerd has another directory of networks",
        "agent/etc/cni/net.d",
    ),
    (
        PathRule::new("/etc/kubernetes/manifests/**"),
        "its kubelet has another directory of static pods",
        "agent/pod-manifests",
    ),
    (
        PathRule::new("/etc/kubernetes/kubelet.conf"),
        KUBELET,
        KUBELET_DROP_IN,
    ),
    (
        PathRule::new("/etc/kubernetes/kubelet-config.yaml"),
        KUBELET,
        KUBELET_DROP_IN,
    ),
    (
        PathRule::new("/etc/default/kubelet"),
        KUBELET,
        KUBELET_DROP_IN,
    ),
    (
        PathRule::new("/var/lib/kubelet/config.yaml"),
        KUBELET,
        KUBELET_DROP_IN,
    ),
];
const KUBELET: &str = "it has a kubelet of its own";
const KUBELET_DROP_IN: &str = "agent/etc/kubelet.conf.d/50-site.conf";

fn of_another_program(file: &File, context: &Context<'_>) -> Option<(String, String)> {
    let (path, facts) = (file.path.as_str(), context.facts);
    let known = OTHER_PROGRAMS
        .into_iter()
        .find(|(rule, ..)| rule.covers(path));
    let message = |reason: &str| format!("{} does not read {path}: {reason}", facts.name);
    if let Some((_, reason, right)) = known {
        return Some((
            message(reason),
            format!("write {}/{right} instead", facts.data_dir),
        ));
    }
    of_another_distribution(path, context).map(|right| {
        let reason = "it is another distribution's";
        (message(reason), format!("write it as {right}"))
    })
}

/// The path in the directories of this distribution.
fn of_another_distribution(path: &str, context: &Context<'_>) -> Option<String> {
    let own = context.facts.name.to_lowercase();
    let rest = ["/etc/rancher/", "/var/lib/rancher/"]
        .into_iter()
        .find_map(|parent| Some((parent, path.strip_prefix(parent)?)));
    let (parent, rest) = rest?;
    let (other, below) = rest.split_once('/')?;
    let is_other = ["k3s", "rke2"].contains(&other) && other != own;
    is_other.then(|| format!("{parent}{own}/{below}"))
}

/// Units and drop-ins of a service that nobody makes, as of an agent.
fn of_another_unit(file: &File, context: &Context<'_>) -> Option<(String, String)> {
    let (path, facts) = (file.path.as_str(), context.facts);
    let name = facts.name;
    let folder = path.strip_prefix("/etc/systemd/system/")?;
    let unit = folder.split('/').next()?.trim_end_matches(".d");
    // Of whatever distribution: `k3s-agent.service` as well as `k3s.service`.
    let names = distribution::units().into_iter();
    let mut names = names.filter_map(|name| name.split(['-', '.']).next());
    let is_like = names.any(|start| unit.starts_with(start));
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

/// A name beside the configuration that is nearly one that is read.
fn mistyped(path: &str, context: &Context<'_>) -> Option<(String, String)> {
    let facts = context.facts;
    let (directory, _) = facts.config.rsplit_once('/')?;
    let name = path.strip_prefix(directory)?.strip_prefix('/')?;
    let known = [facts.config, facts.registries];
    let is_known = known.contains(&path) || path == context.distribution.registries_path();
    let near = closest(name, ["config.yaml", "registries.yaml"].into_iter())?;
    (!is_known).then(|| {
        let message = format!("{} does not read {path}", facts.name);
        (message, format!("did you mean {directory}/{near}?"))
    })
}
