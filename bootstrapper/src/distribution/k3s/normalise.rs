//! Brings a K3s template into one form: the configuration in one place, and what the proposal's example writes in another
//! way than K3s reads it.

use super::containerd::{self, V3_NAME};
use super::{ComponentName, KThreesControlPlaneTemplate, ServerConfig};
use crate::codes;
use crate::distribution::TEMPLATE_SPEC;
use crate::model::{File, OneOrMany};
use crate::report::Report;
use crate::yaml::Pointer;

pub(super) fn template(template: &mut KThreesControlPlaneTemplate, report: &mut Report<'_>) {
    place(template, report);
    let spec = &mut template.spec.template.spec.direct;
    files(&mut spec.files, report);
    etcd_proxy(&mut spec.server_config, report);
    cloud_controller(&mut spec.server_config, report);
}

/// The etcd proxy of cluster-api-k3s is not on a standalone node.
fn etcd_proxy(server: &mut ServerConfig, report: &mut Report<'_>) {
    let is_proxy = |name: &ComponentName| name.as_str() == ComponentName::ETCD_PROXY;
    let Some(index) = server.disable_components.iter().position(is_proxy) else {
        return;
    };
    let at = report
        .below_spec("serverConfig/disableComponents")
        .join(index);
    let message = "`etcd-proxy` is left out: cluster-api-k3s alone has it";
    report
        .note(codes::NoEffect, &at, message)
        .help("it can be left out; a standalone node has no etcd proxy");
    server.disable_components.retain(|name| !is_proxy(name));
}

/// Brings the K3s configuration into one place, refusing a mixture of both.
fn place(template: &mut KThreesControlPlaneTemplate, report: &mut Report<'_>) {
    let spec = &mut template.spec.template.spec;
    let Some(nested) = spec.kthrees_config_spec.take() else {
        return;
    };
    let outer = Pointer::from(TEMPLATE_SPEC);
    let fields = [
        "version",
        "files",
        "preK3sCommands",
        "postK3sCommands",
        "agentConfig",
        "serverConfig",
    ];
    let beside = fields.into_iter();
    let beside = beside.filter(|field| report.tree.find(&outer.join(field)).is_some());
    let beside: Vec<String> = beside.map(|field| format!("`{field}`")).collect();
    if !beside.is_empty() {
        let message = format!("kthreesConfigSpec stands beside {}", beside.join(", "));
        report
            .error(codes::MixedSpec, &outer.join("kthreesConfigSpec"), message)
            .help("put all of it under kthreesConfigSpec, or all of it directly under spec");
    }
    spec.direct = *nested;
}

fn files(files: &mut OneOrMany<File>, report: &mut Report<'_>) {
    let section = report.spec.join("files");
    let single = matches!(files, OneOrMany::One(_));
    if single {
        let message = "`files` is a single mapping, read as a list of one";
        report
            .note(codes::SingleFile, &section, message)
            .help("put `- ` before its first key");
    }
    let mut list = std::mem::take(files).into_list();
    for (index, file) in list.iter_mut().enumerate() {
        let at = report.file_at(&section, index);
        containerd_template(file, &at, report);
    }
    *files = OneOrMany::Many(list);
}

/// Mends the escaped quotes of the proposal's example, and the name of a template over version 3.
pub(super) fn containerd_template(file: &mut File, at: &Pointer, report: &mut Report<'_>) {
    if !containerd::is_template(file) {
        return;
    }
    if let Some(mended) = containerd::unescaped(file) {
        file.content = Some(mended);
        let message =
            "escaped quotes in a template action (`{{ template \\\"base\\\" . }}`) are unescaped";
        report
            .note(codes::EscapedQuotes, &at.join("content"), message)
            .help("write {{ template \"base\" . }}: a block text needs no escapes");
    }
    if containerd::is_version_3_by_wrong_name(file) {
        let name = file.path.file_name().to_owned();
        file.path = file.path.with_file_name(V3_NAME);
        let message =
            format!("plugin names of version 3 in {name}: the file is written as {V3_NAME}");
        report
            .note(codes::ContainerdTemplateName, &at.join("path"), message)
            .help(format!("name it {}", file.path));
    }
}

/// `cloudController` among the components is the proposal's way to write `disableCloudController`.
fn cloud_controller(server: &mut ServerConfig, report: &mut Report<'_>) {
    let is_slip = |name: &ComponentName| name.as_str() == ComponentName::CLOUD_CONTROLLER;
    let Some(index) = server.disable_components.iter().position(is_slip) else {
        return;
    };
    let at = report
        .below_spec("serverConfig/disableComponents")
        .join(index);
    if server.disable_cloud_controller == Some(false) {
        let message =
            "`cloudController` is disabled here and kept by `disableCloudController: false`";
        report.error(codes::CloudControllerConflict, &at, message);
    } else {
        let message =
            "`cloudController` is not a packaged component; read as `disableCloudController: true`";
        report
            .note(codes::CloudControllerComponent, &at, message)
            .help("write `disableCloudController: true` under serverConfig");
    }
    server.disable_cloud_controller = Some(true);
    server.disable_components.retain(|name| !is_slip(name));
}
