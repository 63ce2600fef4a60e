//! Checks of a config-file: its shape against the schema, then its meaning: rules between values, and values fixed by the
//! OS image. A check reads the config-file and changes nothing; what is mended is mended before, in [`normalise`].

mod accounts;
mod arguments;
mod cloud_controller;
mod cluster_networks;
mod commands;
mod configurations;
mod context;
mod files;
mod ignored_files;
mod manifests;
mod node_families;
mod node_files;
mod ports;
mod registries;
mod registries_file;
mod settings;
mod shape;
mod system;
mod without_kubernetes;

pub(crate) use shape::Shape;

use context::Context;

use crate::config_file::ConfigFile;
use crate::report::Report;
use crate::yaml::Pointer;

/// Brings a decoded config-file into one form, and reports what was written in another.
pub(crate) fn normalise(config: &mut ConfigFile, report: &mut Report<'_>) {
    let Some(kubernetes) = &mut config.kubernetes else {
        return;
    };
    let distribution = kubernetes.distribution_mut();
    distribution.normalise(report);
    let section = Pointer::from("/operatingSystem/writeFiles");
    let files = config.operating_system.write_files.iter_mut();
    for (index, file) in files.enumerate() {
        distribution.normalise_file(file, &section.join(index), report);
    }
}

/// Checks a normalised config-file.
pub(crate) fn meaning(config: &ConfigFile, report: &mut Report<'_>) {
    if !report.content_fits(config) {
        return;
    }
    if config.kubernetes.is_none() && report.given(&Pointer::from("/kubernetes")) {
        return; // It was refused.
    }
    report.operating_system(&config.operating_system);
    match Context::of(config) {
        Some(context) => with_kubernetes(&context, report),
        None => report.without_kubernetes(config),
    }
}

fn with_kubernetes(context: &Context<'_>, report: &mut Report<'_>) {
    let config = context.config;
    report.files(context);
    report.settings(context);
    report.conflicts(context);
    report.cloud_controller(context);
    report.components(context);
    report.node_name(context);
    report.component_arguments(context);
    report.configurations(context);
    report.cluster_networks(context);
    report.api_port(context);
    report.other_ports(context);
    report.node_families(context);
    report.cni(context);
    context.distribution.check(report);
    report.registries(config);
    report.system(&config.operating_system, Some(&context.inside));
    report.commands(Some(context.distribution));
}
