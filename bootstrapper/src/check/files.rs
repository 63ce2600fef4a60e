//! Checks of `files` and `writeFiles`: what they hold, that none is there twice or is another's, and containerd
//! templates in the right file.

use super::context::Context;
use crate::codes;
use crate::config_file::ConfigFile;
use crate::distribution::{Distribution, Facts};
use crate::install::{PathRule, generated_paths};
use crate::model::{ContentError, Encoding, File, MAX_UNPACKED, OperatingSystem};
use crate::report::Report;
use crate::values::SYSTEM_ACCOUNTS;
use crate::yaml::{Kind, Pointer, load};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What a file is compared with.
pub(super) struct Others<'a> {
    /// `None` on a node without Kubernetes.
    pub(super) distribution: Option<&'a dyn Distribution>,
    /// Names of the files before, by path.
    seen: BTreeMap<String, String>,
    /// Packaged components that are left out.
    disabled: Vec<String>,
    /// Paths that the installer and the first boot keep for themselves.
    generated: Vec<PathRule>,
}

impl<'a> Others<'a> {
    fn of(config: &'a ConfigFile) -> Self {
        Self {
            distribution: config.distribution(),
            seen: BTreeMap::new(),
            disabled: vec![],
            generated: generated_paths(config),
        }
    }

    fn with(context: &Context<'a>) -> Self {
        let disabled = context.joined.parts("disable").into_iter();
        Self {
            disabled: disabled.map(|part| part.text).collect(),
            ..Self::of(context.config)
        }
    }

    /// A file before that the path has as a folder, or that is below the path.
    fn above_or_below(&self, path: &str) -> Option<&str> {
        let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        let mut above = folders.filter_map(|folder| self.seen.get_key_value(folder));
        let inside = format!("{path}/");
        let from = (Bound::Included(inside.as_str()), Bound::Unbounded);
        let below = self.seen.range::<str, _>(from).next();
        let below = below.filter(|(other, _)| other.starts_with(&inside));
        above.next().or(below).map(|(other, _)| other.as_str())
    }
}

impl Report<'_> {
    /// Whether all files together are small enough to be looked at; more than the limit is not unpacked.
    pub(super) fn content_fits(&mut self, config: &ConfigFile) -> bool {
        let written = config.operating_system.write_files.iter().enumerate();
        let section = Pointer::from("/operatingSystem/writeFiles");
        let written = written.map(|(index, file)| (section.join(index), file));
        let own = config.files().iter().enumerate();
        let section = self.spec.join("files");
        let own: Vec<_> = own
            .map(|(index, file)| (self.file_at(&section, index), file))
            .collect();
        let mut left = MAX_UNPACKED;
        for (at, file) in written.chain(own) {
            let size = file.bytes().map_or(0, |bytes| bytes.len() as u64);
            if size > left {
                let limit = MAX_UNPACKED >> 20;
                let message =
                    format!("with this file all files have more than {limit} MiB once unpacked");
                self.error(codes::ContentSize, &at.join("content"), message)
                    .help("make the files smaller, or fewer");
                return false;
            }
            left -= size;
        }
        true
    }

    /// Checks the files that the installer writes on a node without Kubernetes.
    pub(super) fn written_files(&mut self, config: &ConfigFile) {
        let mut others = Others::of(config);
        let section = Pointer::from("/operatingSystem/writeFiles");
        for (index, file) in config.operating_system.write_files.iter().enumerate() {
            let name = format!("writeFiles[{index}]");
            self.file(file, &section.join(index), name, &mut others);
        }
    }

    /// Checks the files that the installer writes, then those of the template.
    pub(super) fn files(&mut self, context: &Context<'_>) {
        let config = context.config;
        let os = &config.operating_system;
        let mut others = Others::with(context);
        let section = Pointer::from("/operatingSystem/writeFiles");
        for (index, file) in os.write_files.iter().enumerate() {
            let name = format!("writeFiles[{index}]");
            let at = section.join(index);
            self.file(file, &at, name, &mut others);
            self.file_without_effect(file, &at, context);
            self.manifest_content(file, &at, context);
        }
        let section = self.spec.join("files");
        for (index, file) in config.files().iter().enumerate() {
            let at = self.file_at(&section, index);
            self.file(file, &at, format!("files[{index}]"), &mut others);
            self.owner(file, os, &at);
            self.mode(file, &at);
            self.file_without_effect(file, &at, context);
            self.manifest_content(file, &at, context);
        }
    }

    /// cloud-init gives a file to an account by its name, and writes no further file where there is none. Those that K3s
    /// is installed by come last.
    fn owner(&mut self, file: &File, os: &OperatingSystem, at: &Pointer) {
        let Some(owner) = &file.owner else { return };
        let mut names = owner.as_str().split(':');
        let is_number = |name: &str| name.chars().all(|c| c.is_ascii_digit());
        let is_there = |name: &str| {
            let mut users = os.users.iter().map(|user| user.username.as_str());
            name == "root" || SYSTEM_ACCOUNTS.contains(&name) || users.any(|user| user == name)
        };
        if names.clone().any(is_number) {
            let message = format!(
                "`{owner}` has a number, and cloud-init takes names only: it would stop at this file"
            );
            self.error(codes::FileOwnerNumber, &at.join("owner"), message)
                .help("write the name of an account; or give the file under writeFiles, where a number may stand");
        } else if let Some(name) = names.find(|name| !is_there(name)) {
            let message =
                format!("`{name}` is none of the users here and no common account of the system");
            self.warning(codes::FileOwnerUnknown, &at.join("owner"), message)
                .help("make sure that the OS image has it: cloud-init stops at a file whose owner it does not find");
        }
    }

    /// cloud-init sets no mode where it is 0, and sets the mode before the owner, which takes set-ID bits away
    /// (cloudinit/util.py, chmod; cc_write_files.py; chown(2)).
    fn mode(&mut self, file: &File, at: &Pointer) {
        let mode = file.mode();
        let what = match mode {
            0 => "cloud-init would leave the file readable by all",
            _ if mode & 0o4000 != 0 || mode & 0o2010 == 0o2010 => {
                "cloud-init would lose the set-user-ID or set-group-ID bit"
            }
            _ => return,
        };
        let message = format!("mode {mode:04o}: {what}");
        self.error(codes::FileModeLost, &at.join("permissions"), message)
            .help("give the file under operatingSystem.writeFiles, where every mode is kept; or give it another mode");
    }

    fn file(&mut self, file: &File, at: &Pointer, name: String, others: &mut Others<'_>) {
        self.file_content(file, at);
        if let Some(distribution) = others.distribution {
            distribution.check_file(file, at, self);
            self.registries_file(file, at, distribution);
            self.manifest(file, at, distribution.facts(), &others.disabled);
        }
        self.cloud_config(file, at);
        let path_at = || at.join("path");
        if let Some(first) = others.seen.get(file.path.as_str()) {
            let message = format!("{} is written by {first} already", file.path);
            self.error(codes::DuplicatePath, &path_at(), message)
                .help("keep one of them: the later file would replace the earlier one");
        } else {
            let twin = [CONTAINERD_TEMPLATES[1], CONTAINERD_TEMPLATES[0]];
            let which = CONTAINERD_TEMPLATES
                .iter()
                .position(|path| *path == file.path.as_str());
            if which.is_some_and(|which| others.seen.contains_key(twin[which])) {
                let [ignored, read] = CONTAINERD_TEMPLATES;
                let message =
                    format!("K3s reads {read} and would ignore {ignored}, which is here, too");
                self.error(codes::ContainerdTemplateTwice, &path_at(), message)
                    .help("keep one of them");
            }
            if let Some(other) = others.above_or_below(file.path.as_str()) {
                let message = format!("{} and {other} cannot both be files", file.path);
                self.error(codes::PathBelowFile, &path_at(), message)
                    .help("a file cannot be in another file: change one of the paths");
            }
            others.seen.insert(file.path.as_str().to_owned(), name);
        }
        self.generated_path(file, at, others);
    }

    fn generated_path(&mut self, file: &File, at: &Pointer, others: &Others<'_>) {
        let path = file.path.as_str();
        // Of registries in two places there is an error of its own.
        if others.distribution.map(Distribution::registries_path) == Some(path) {
            return;
        }
        let Some(rule) = others.generated.iter().find(|rule| rule.excludes(path)) else {
            return;
        };
        if others.distribution.map(|of| of.facts().config) == Some(path) {
            let message = format!("{path} is generated from agentConfig and serverConfig");
            self.error(codes::PathGenerated, &at.join("path"), message).help(format!(
                "put further settings into {path}.d/50-site.yaml; a plain key there replaces a generated list, `key+` \
                 appends to it"
            ));
            return;
        }
        let message = match rule.covers(path) {
            true => format!("{path} is made or removed by the installer or the first boot"),
            false => format!(
                "{path} is in the way of {rule}, which the installer or the first boot makes"
            ),
        };
        self.error(codes::PathGenerated, &at.join("path"), message)
            .help("use the key of the config-file that it is made from, or another file name");
    }

    /// K3s writes the manifests of its packaged components anew at every start, and deletes those of a name that
    /// `disable` has, whoever wrote them.
    fn manifest(&mut self, file: &File, at: &Pointer, facts: &Facts, disabled: &[String]) {
        let path = file.path.as_str();
        let folder = format!("{}/server/manifests/", facts.data_dir);
        let Some(inside) = path.strip_prefix(&folder) else {
            return;
        };
        let Some((stem, end)) = inside.rsplit_once('.') else {
            return;
        };
        let taken = |name: &&str| {
            facts.packaged.contains(name) || disabled.iter().any(|other| other == name)
        };
        if ["yaml", "yml", "json"].contains(&end)
            && let Some(name) = stem.split('/').find(taken)
        {
            let message = format!(
                "{path} is named as {of}'s own component {name}: {of} replaces it at every start, or deletes it where \
                 the component is disabled",
                of = facts.name
            );
            self.error(codes::ManifestPackaged, &at.join("path"), message)
                .help(format!("choose another name, such as my-{name}.{end}"));
        }
    }

    /// Of cloud-init's files only one may have each list: a second one would replace the first boot's.
    fn cloud_config(&mut self, file: &File, at: &Pointer) {
        let is_ours = file.path.parent() == "/etc/cloud/cloud.cfg.d";
        if !is_ours || !file.path.file_name().ends_with(".cfg") {
            return;
        }
        let Ok(bytes) = file.bytes() else {
            return; // Reported with the file's content.
        };
        let Ok((tree, _)) = load(&String::from_utf8_lossy(&bytes)) else {
            return; // cloud-init says so and goes on without the file.
        };
        let Kind::Mapping(entries) = &tree.node(tree.root()).kind else {
            return;
        };
        let lists = ["bootcmd", "write_files", "runcmd"];
        let list = entries
            .iter()
            .find(|entry| lists.contains(&entry.key.as_str()));
        if let Some(entry) = list {
            let message = format!(
                "`{}` in {} would replace that of the first boot, and K3s would not be installed: cloud-init does \
                 not join lists",
                entry.key, file.path
            );
            self.error(codes::CloudConfigList, &at.join("content"), message)
                .help("use writeFiles and runCommands under operatingSystem, or preK3sCommands");
        }
    }

    fn file_content(&mut self, file: &File, at: &Pointer) {
        if file.encoding == Some(Encoding::Gzip) {
            self.error(
                codes::GzipText,
                &at.join("encoding"),
                "gzip data are binary, and YAML text cannot hold them",
            )
            .help("encode them in base64 and write `encoding: gzip+base64`");
            return;
        }
        match file.bytes() {
            Ok(_) => {}
            Err(error @ ContentError::TooLarge) => {
                self.error(codes::ContentSize, &at.join("content"), error.to_string())
                    .help("make the file smaller");
            }
            Err(error) => {
                self.error(codes::ContentEncoding, &at.join("content"), error.to_string())
                    .help("write what `base64 FILE` or `gzip -c FILE | base64` prints, or leave `encoding` out for plain text");
            }
        }
    }
}

/// containerd templates of version 2 and of version 3, of which K3s reads the latter when both are there.
const CONTAINERD_TEMPLATES: [&str; 2] = [
    "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl",
    "/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl",
];
