//! Checks of `files` and `writeFiles`: what they hold, that none is there twice or is another's, and containerd
//! templates in the right file.

use super::Meaning;
use crate::k3s::settings;
use crate::model::{ConfigSpec, Encoding, File, OneOrMany, OperatingSystem, Registries};
use crate::values::{GuestPath, SYSTEM_ACCOUNTS};
use crate::yaml::{Kind, Pointer, load};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What a file is compared with.
#[derive(Default)]
pub(super) struct Others {
    /// Path of registries.yaml.
    registries: String,
    /// Names of the files before, by path.
    seen: BTreeMap<String, String>,
    /// Packaged components that are left out.
    disabled: Vec<String>,
    /// Keys of the distribution's own settings.
    settings: Vec<String>,
}

impl Others {
    /// Nothing but the path of registries.yaml.
    pub(super) fn of(registries: &str) -> Self {
        Self {
            registries: registries.to_owned(),
            ..Self::default()
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

impl Meaning<'_> {
    /// Checks and mends the files of a K3s config-file.
    pub(super) fn files(&mut self, os: &mut OperatingSystem, spec: &mut ConfigSpec) {
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
        let registries = spec.agent_config.private_registry.as_ref();
        let registries = registries.map_or(Registries::DEFAULT_PATH, GuestPath::as_str);
        let mut files = std::mem::take(&mut spec.files).into_list();
        let at = |index: usize| match single {
            true => section.clone(),
            false => section.join(index),
        };
        let others = Others {
            disabled: spec
                .server_config
                .disable_components
                .iter()
                .map(ToString::to_string)
                .collect(),
            settings: settings(spec).into_keys().map(str::to_owned).collect(),
            ..Others::of(registries)
        };
        self.every_file(os, &mut files, at, others);
        spec.files = OneOrMany::Many(files);
    }

    /// Checks and mends the files that the installer writes, then those of a template, which are at `at`.
    pub(super) fn every_file(
        &mut self,
        os: &mut OperatingSystem,
        files: &mut [File],
        at: impl Fn(usize) -> Pointer,
        mut others: Others,
    ) {
        let section = Pointer::from("/operatingSystem/writeFiles");
        for (index, file) in os.write_files.iter_mut().enumerate() {
            let name = format!("writeFiles[{index}]");
            self.file(file, &section.join(index), name, &mut others);
        }
        for (index, file) in files.iter_mut().enumerate() {
            self.file(file, &at(index), format!("files[{index}]"), &mut others);
            self.owner(file, os, &at(index));
            self.mode(file, &at(index));
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
            self.error("file-owner", &at.join("owner"), message)
                .help("write the name of an account; or give the file under writeFiles, where a number may stand");
        } else if let Some(name) = names.find(|name| !is_there(name)) {
            let message =
                format!("`{name}` is none of the users here and no common account of the system");
            self.warning("file-owner-unknown", &at.join("owner"), message)
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
        self.error("file-mode-lost", &at.join("permissions"), message)
            .help("give the file under operatingSystem.writeFiles, where every mode is kept; or give it another mode");
    }

    fn file(&mut self, file: &mut File, at: &Pointer, name: String, others: &mut Others) {
        self.file_content(file, at);
        self.containerd_template(file, at);
        self.k3s_file(file, at, &others.registries, &others.settings);
        self.manifest(file, at, &others.disabled);
        self.cloud_config(file, at);
        let path_at = || at.join("path");
        if let Some(first) = others.seen.get(file.path.as_str()) {
            let message = format!("{} is written by {first} already", file.path);
            self.error("duplicate-path", &path_at(), message)
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
                self.error("containerd-template-twice", &path_at(), message)
                    .help("keep one of them");
            }
            if let Some(other) = others.above_or_below(file.path.as_str()) {
                let message = format!("{} and {other} cannot both be files", file.path);
                self.error("path-below-file", &path_at(), message)
                    .help("a file cannot be in another file: change one of the paths");
            }
            others.seen.insert(file.path.as_str().to_owned(), name);
        }
        self.generated_path(file, at, others);
    }

    fn generated_path(&mut self, file: &File, at: &Pointer, others: &Others) {
        let path = file.path.as_str();
        // Of registries in two places there is an error of its own.
        if path == others.registries {
            return;
        }
        let Some(rule) = self.generated.iter().find(|rule| rule.excludes(path)) else {
            return;
        };
        let message = match rule.covers(path) {
            true => format!("{path} is made or removed by the installer or the first boot"),
            false => format!(
                "{path} is in the way of {rule}, which the installer or the first boot makes"
            ),
        };
        self.error("path-generated", &at.join("path"), message)
            .help("use the key of the config-file that it is made from, or another file name");
    }

    /// K3s writes the manifests of its packaged components anew at every start, and deletes those of a name that
    /// `disable` has, whoever wrote them.
    fn manifest(&mut self, file: &File, at: &Pointer, disabled: &[String]) {
        let path = file.path.as_str();
        let Some(inside) = path.strip_prefix("/var/lib/rancher/k3s/server/manifests/") else {
            return;
        };
        let Some((stem, end)) = inside.rsplit_once('.') else {
            return;
        };
        let taken = |name: &&str| {
            PACKAGED.contains(name) || disabled.iter().any(|disabled| disabled == name)
        };
        if ["yaml", "yml", "json"].contains(&end)
            && let Some(name) = stem.split('/').find(taken)
        {
            let message = format!(
                "{path} is named as K3s' own component {name}: K3s replaces it at every start, or deletes it where \
                 the component is disabled"
            );
            self.error("manifest-packaged", &at.join("path"), message)
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
            self.error("cloud-config-list", &at.join("content"), message)
                .help("use writeFiles and runCommands under operatingSystem, or preK3sCommands");
        }
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

/// containerd templates of version 2 and of version 3, of which K3s reads the latter when both are there.
const CONTAINERD_TEMPLATES: [&str; 2] = [
    "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl",
    "/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl",
];
/// Names of the manifests that K3s brings (K3s, pkg/deploy).
const PACKAGED: &[&str] = &[
    "ccm",
    "coredns",
    "local-storage",
    "metrics-server",
    "rolebindings",
    "runtimes",
    "traefik",
];
