//! What a check of the whole looks at: the config-file, the configuration that the distribution reads, and the place of
//! each of its values in the document.

use crate::config_file::ConfigFile;
use crate::diagnostic::{Draft, Severity};
use crate::distribution::joined::{FileId, Joined, Origin};
use crate::distribution::{Distribution, Facts, Inside};
use crate::model::File;
use crate::report::Report;
use crate::yaml::Pointer;
use diagnostics::code::Code;

/// A config-file and its configuration of the distribution.
pub(super) struct Context<'a> {
    pub(super) config: &'a ConfigFile,
    pub(super) distribution: &'a dyn Distribution,
    pub(super) facts: &'static Facts,
    pub(super) joined: Joined,
    pub(super) inside: Inside,
}

impl<'a> Context<'a> {
    /// `None` of a node without Kubernetes.
    pub(super) fn of(config: &'a ConfigFile) -> Option<Self> {
        let distribution = config.distribution()?;
        let joined = Joined::of(distribution, &config.operating_system);
        let facts = distribution.facts();
        Some(Self {
            config,
            distribution,
            facts,
            inside: Inside::of(facts, &joined, &config.operating_system),
            joined,
        })
    }

    /// The files that the installer writes, then the template's.
    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        let written = self.config.operating_system.write_files.iter();
        written.chain(self.config.files())
    }

    pub(super) fn file(&self, id: FileId) -> &File {
        match id {
            FileId::Written(index) => &self.config.operating_system.write_files[index],
            FileId::Template(index) => &self.config.files()[index],
        }
    }
}

impl Report<'_> {
    /// Pointer of a file's content.
    pub(super) fn content_of(&self, id: FileId) -> Pointer {
        let file = match id {
            FileId::Written(index) => Pointer::from("/operatingSystem/writeFiles").join(index),
            FileId::Template(index) => self.file_at(&self.spec.join("files"), index),
        };
        file.join("content")
    }

    /// Reports an error where a value of the distribution's configuration was written.
    pub(super) fn error_of(
        &mut self,
        code: impl Into<Code>,
        context: &Context<'_>,
        origin: &Origin,
        message: impl Into<String>,
    ) -> Draft<'_> {
        self.report_of(Severity::Error, code, context, origin, message)
    }

    /// Reports where a value of the distribution's configuration was written.
    pub(super) fn report_of(
        &mut self,
        severity: Severity,
        code: impl Into<Code>,
        context: &Context<'_>,
        origin: &Origin,
        message: impl Into<String>,
    ) -> Draft<'_> {
        let (at, inside) = match origin {
            Origin::Key(keys) => (self.below_spec(keys), None),
            Origin::DropIn(id, span) => {
                let at = self.content_of(*id);
                let content = context.file(*id).content.as_deref().unwrap_or_default();
                let inside = self.inside_of(&at, content, span);
                (at, inside)
            }
        };
        match inside {
            Some(span) if !self.found.is_full() => {
                let position = self.tree.position(span.start);
                self.found
                    .add_at(severity, code, &at, span, position, message)
            }
            _ => self.found.add(self.tree, severity, code, &at, message),
        }
    }
}
