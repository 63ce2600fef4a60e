//! The stages, and what the host gives to several of them.

mod assemble;
pub mod boot_files;
pub mod bundle;
pub mod debian;
mod debian_machine;
mod decoder;
pub mod hookos;
pub mod k3s;
pub mod node_image;
mod program_image;
pub mod reference_images;
pub mod registry;
pub mod small_image;
mod static_binary;
mod test_double;
pub mod usb;
pub mod workload;
pub mod workstation;

use anyhow::{Context as _, Result};
use diagnostics::text::closest;

use crate::choice::{K3s, Options};
use crate::stage::Stage;

/// All stages; each comes after those that it needs, and of others the one first on which most waits.
pub const ALL: &[Stage] = &[
    static_binary::HOOKOS_INIT,
    static_binary::BOOTSTRAPPER,
    static_binary::INSTALLER,
    reference_images::STAGE,
    program_image::BOOTSTRAPPER,
    program_image::INSTALLER,
    hookos::STAGE,
    k3s::STAGE,
    small_image::STAGE,
    node_image::ROOT_STAGE,
    node_image::STAGE,
    bundle::STAGE,
    usb::STAGE,
    workstation::STAGE,
    registry::STAGE,
    static_binary::TEST_WORKLOAD,
    workload::STAGE,
];

/// Stages whose packages come from a mirror: what a site without a network cannot make.
pub const FROM_MIRRORS: &[&str] = &["reference-images", "node-root"];

/// Stages whose Debian packages are locked, and the lock files in the checkout.
pub const LOCKS: &[(&str, &str)] = &[
    (reference_images::STAGE.name, reference_images::LOCK),
    (node_image::ROOT_STAGE.name, node_image::ROOT_LOCK),
    (workstation::STAGE.name, workstation::LOCK),
    (registry::STAGE.name, registry::LOCK),
];

/// The stage called `name`.
pub fn find(name: &str) -> Result<&'static Stage> {
    ALL.iter()
        .find(|stage| stage.name == name)
        .with_context(|| {
            let names = || ALL.iter().map(|stage| stage.name);
            match closest(name, names()) {
                Some(near) => format!("there is no stage {name}; did you mean {near}?"),
                None => {
                    let names: Vec<&str> = names().collect();
                    format!(
                        "there is no stage {name}; the stages are {}",
                        names.join(", ")
                    )
                }
            }
        })
}

/// `wanted` and everything below it.
pub fn required(wanted: &[&str], options: &Options) -> Vec<&'static str> {
    let mut names = Vec::new();
    for stage in ALL.iter().rev() {
        let needed = |name: &str| {
            ALL.iter()
                .any(|other| names.contains(&other.name) && (other.needs)(options).contains(&name))
        };
        if wanted.contains(&stage.name) || needed(stage.name) {
            names.push(stage.name);
        }
    }
    names
}

/// What the usual time of a stage is kept under: copying a K3s release takes seconds, compiling the double minutes.
pub fn history_name(stage: &Stage, options: &Options) -> &'static str {
    match options.k3s {
        K3s::Release(_) if stage.name == k3s::STAGE.name => "k3s release",
        _ => stage.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_comes_after_what_it_needs() {
        let mut seen = Vec::new();
        for stage in ALL {
            assert!(!seen.contains(&stage.name), "{} is there twice", stage.name);
            for need in (stage.needs)(&Options::default()) {
                assert!(
                    seen.contains(need),
                    "{} needs {need}, which comes later",
                    stage.name
                );
            }
            seen.push(stage.name);
        }
    }

    #[test]
    fn a_stage_requires_what_it_needs_and_no_more() {
        let options = Options::default();
        assert_eq!(required(&["bootstrapper"], &options), ["bootstrapper"]);
        let image = required(&["bootstrapper-image"], &options);
        assert!(
            image.contains(&"bootstrapper") && !image.contains(&"node-image"),
            "{image:?}"
        );
        // All but what only scenarios need: an image, two machines, the workload's program and image.
        assert_eq!(required(&["usb"], &options).len(), ALL.len() - 5);
    }

    #[test]
    fn an_os_image_of_ones_own_needs_neither_k3s_nor_packages() {
        let options = Options {
            os_image: Some("image.raw".into()),
            ..Options::default()
        };
        let names = required(&["node-image"], &options);
        assert_eq!(names, ["node-image"]);
    }
}
