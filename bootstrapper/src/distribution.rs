//! The seam between the config-file and the Kubernetes distributions: each is one module behind [`Distribution`], chosen
//! by the template's `kind` and `apiVersion`.

use crate::check::Meaning;
use crate::first_boot::{BootFile, FirstBoot, Plan, user_files};
use crate::k3s::K3s;
use crate::model::{ConfigFile, ContentError, Kubernetes};
use crate::rke2::Rke2;

/// What the rest of the crate asks of a distribution. Its template is in the config-file that it is given.
pub(crate) trait Distribution {
    /// Checks the template's meaning, and mends what was written wrongly in a known way.
    fn check(&self, config: &mut ConfigFile, meaning: &mut Meaning<'_>);

    /// Plans the first boot of a node that has these files of the user's; `None` for another distribution's config-file.
    fn plan<'a>(&self, config: &'a ConfigFile, files: Vec<BootFile>) -> Option<Plan<'a>>;

    /// The networks and the DNS domain of the cluster, which are never reached through a proxy.
    fn inside(&self, config: &ConfigFile) -> Inside;
}

/// What is inside a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inside {
    /// Networks of pods and services.
    pub(crate) networks: Vec<String>,
    /// DNS domain.
    pub(crate) domain: String,
}

impl Kubernetes {
    pub(crate) fn distribution(&self) -> &'static dyn Distribution {
        match self {
            Self::KThrees(_) => &K3s,
            Self::Rke2(_) => &Rke2,
        }
    }
}

impl ConfigFile {
    /// Plans the first boot of the node.
    ///
    /// # Errors
    /// A file's content does not fit its encoding; [`crate::parse`] refuses such a config-file.
    pub fn first_boot(&self) -> Result<FirstBoot, ContentError> {
        let files = user_files(self.files())?;
        let plan = self.kubernetes.distribution().plan(self, files);
        Ok(plan.map(Plan::first_boot).unwrap_or_default())
    }
}
