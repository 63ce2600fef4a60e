//! Checks of `files`: what they hold, that none is there twice, and containerd templates in the right file.

use super::Meaning;
use crate::model::{ConfigSpec, Encoding, File, OneOrMany, Registries};
use crate::values::GuestPath;
use crate::yaml::Pointer;
use std::collections::HashMap;

impl Meaning<'_> {
    pub(super) fn files(&mut self, spec: &mut ConfigSpec) {
        let section = self.spec.join("files");
        let single = matches!(spec.files, OneOrMany::One(_));
        if single {
            self.note(
                "single-file",
                &section,
                "`files` is a single mapping, read as a list of one",
            )
            .help("put `- ` before its first key");
        }
        let registries = &spec.agent_config.private_registry;
        let registries = registries
            .as_ref()
            .map_or(Registries::DEFAULT_PATH, GuestPath::as_str);
        let registries = registries.to_owned();
        let mut files = std::mem::take(&mut spec.files).into_list();
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (index, file) in files.iter_mut().enumerate() {
            let at = if single {
                section.clone()
            } else {
                section.join(index)
            };
            self.file_content(file, &at);
            self.containerd_template(file, &at);
            self.k3s_file(file, &at, &registries);
            if let Some(first) = seen.insert(file.path.as_str().to_owned(), index) {
                let message = format!("{} is written by files[{first}] already", file.path);
                self.error("duplicate-path", &at.join("path"), message)
                    .help("keep one of them: the later file would replace the earlier one");
            }
            if is_reserved(file) {
                let message = format!("{} is written by the conversion itself", file.path);
                self.error("path-generated", &at.join("path"), message)
                    .help("choose another file name");
            }
        }
        spec.files = OneOrMany::Many(files);
    }

    fn file_content(&mut self, file: &File, at: &Pointer) {
        if file.content_from.is_some() {
            self.error(
                "content-from",
                &at.join("contentFrom"),
                "`contentFrom` cannot be used: there is no API server to read a Secret from",
            )
            .help("write the text into `content`");
            return;
        }
        if file.encoding == Some(Encoding::Gzip) {
            self.error(
                "gzip-text",
                &at.join("encoding"),
                "gzip data are binary, and YAML text cannot hold them",
            )
            .help("encode them in base64 and write `encoding: gzip+base64`");
            return;
        }
        if let Err(error) = file.bytes() {
            self.error("content-encoding", &at.join("content"), error.to_string());
        }
    }
}

/// Files that the conversion writes for its own work.
fn is_reserved(file: &File) -> bool {
    let path = file.path.as_str();
    path.starts_with("/etc/rancher/emts/")
        || path.starts_with("/etc/systemd/system/k3s.service.d/10-emts")
}
