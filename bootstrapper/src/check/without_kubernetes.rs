//! A config-file without `kubernetes`: a node that runs what else the OS image has, which is reported, as the section may
//! have been forgotten.

use crate::codes;
use crate::config_file::ConfigFile;
use crate::report::Report;
use crate::yaml::{Kind, Pointer};

impl Report<'_> {
    pub(super) fn without_kubernetes(&mut self, config: &ConfigFile) {
        let refused = self.found.has_errors();
        self.written_files(config);
        self.system(&config.operating_system, None);
        self.commands(None);
        if refused {
            return; // The section may be among what was mistyped.
        }
        let root = Pointer::root();
        let section = root.join("kubernetes");
        if self.tree.find(&section).is_some() {
            self.error(codes::MissingKey, &section, "the key `kubernetes` has no value")
                .help("give it the control plane template; or leave the key out for a node without Kubernetes");
        } else if self.describes_a_system() {
            let message = "there is no `kubernetes`: the node runs no Kubernetes";
            self.note(codes::NoKubernetes, &root, message).help(
                "for a node with K3s, add the section of the sample configs/config-file.yaml",
            );
        } else {
            let message = "there is neither `operatingSystem` nor `kubernetes`";
            self.error(codes::MissingKey, &root, message)
                .help("start from the sample configs/config-file.yaml");
        }
    }

    /// Whether anything is said of the operating system.
    fn describes_a_system(&self) -> bool {
        let section = self.tree.find(&Pointer::from("/operatingSystem"));
        let node = section.map(|id| &self.tree.node(id).kind);
        matches!(node, Some(Kind::Mapping(entries)) if !entries.is_empty())
    }
}
