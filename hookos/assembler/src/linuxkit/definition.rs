//! The LinuxKit file itself, decoded key by key; all of its errors are found in one go.

use super::decode::{Fields, IdRef, id};
use super::diagnostic::{Diagnostic, Diagnostics, Position};
use super::fields::ImageFields;
use super::node::{self, Node};

/// A decoded LinuxKit file, or several merged.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    pub(super) kernel: Option<KernelSection>,
    pub(super) init: Vec<(String, Position)>,
    pub(super) onboot: Vec<ContainerSection>,
    pub(super) onshutdown: Vec<ContainerSection>,
    pub(super) services: Vec<ContainerSection>,
    pub(super) volumes: Vec<VolumeSection>,
    pub(super) files: Vec<FileSection>,
    /// The documents themselves, for `metadata` of files.
    pub(super) roots: Vec<Node>,
    /// Index of the first volume of the last file: binds know only those from there on.
    first_bindable: usize,
}

/// `kernel`; texts that are not given are empty.
#[derive(Clone, Debug)]
pub struct KernelSection {
    pub position: Position,
    pub image: String,
    pub cmdline: String,
    binary: String,
    tar: Option<String>,
    ucode: Option<String>,
}

impl KernelSection {
    /// Path of the kernel in its image.
    pub fn binary(&self) -> String {
        match self.binary.as_str() {
            "" => "kernel".into(),
            binary => binary.into(),
        }
    }

    /// Path of the archive with modules; `None` if there is to be none.
    pub fn tar(&self) -> Option<String> {
        match self.tar.as_deref() {
            None => Some("kernel.tar".into()),
            Some("" | "none") => None,
            Some(tar) => Some(tar.into()),
        }
    }

    /// Path of the microcode archive.
    pub fn ucode(&self) -> Option<String> {
        self.ucode.clone().filter(|ucode| !ucode.is_empty())
    }

    /// Takes what a later file gives.
    fn overlay(&mut self, later: Self) {
        if !later.image.is_empty() {
            (self.image, self.position) = (later.image, later.position);
        }
        if !later.cmdline.is_empty() {
            self.cmdline = later.cmdline;
        }
        if !later.binary.is_empty() {
            self.binary = later.binary;
        }
        self.tar = later.tar.or(self.tar.take());
        self.ucode = later.ucode.or(self.ucode.take());
    }
}

/// An item of `onboot`, `onshutdown` or `services`.
#[derive(Clone, Debug)]
pub struct ContainerSection {
    pub position: Position,
    pub name: String,
    pub image: String,
    pub fields: ImageFields,
}

/// An item of `volumes`.
#[derive(Clone, Debug)]
pub struct VolumeSection {
    pub position: Position,
    pub name: String,
    pub image: Option<String>,
    pub readonly: bool,
    /// Whether the format is `oci` and not `filesystem`.
    pub oci: bool,
    pub platforms: Vec<String>,
}

/// An item of `files`.
#[derive(Clone, Debug)]
pub struct FileSection {
    pub position: Position,
    pub path: String,
    pub directory: bool,
    pub symlink: Option<String>,
    pub contents: Option<String>,
    pub source: Option<String>,
    pub metadata: Option<String>,
    pub optional: bool,
    pub mode: Option<String>,
    pub uid: IdRef,
    pub gid: IdRef,
}

impl Definition {
    /// Decodes LinuxKit files and merges them from the first to the last: lists are joined, of the
    /// kernel's keys the last one given counts.
    ///
    /// # Errors
    /// Every error of all files, in their order.
    pub fn parse(texts: &[&str]) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let mut diagnostics = Diagnostics::default();
        let mut merged = Self::default();
        for (file, text) in texts.iter().enumerate() {
            match Self::decode(text, file, &mut diagnostics) {
                Some(definition) if file == 0 => merged = definition,
                Some(definition) => merged.append(definition),
                None => {}
            }
        }
        merged.check_services(&mut diagnostics);
        if diagnostics.errors.is_empty() {
            return Ok((merged, diagnostics.warnings));
        }
        diagnostics.errors.sort_by_key(|error| error.position);
        Err(diagnostics.errors)
    }

    fn append(&mut self, later: Self) {
        match (&mut self.kernel, later.kernel) {
            (Some(kernel), Some(later)) => kernel.overlay(later),
            (kernel @ None, later) => *kernel = later,
            (Some(_), None) => {}
        }
        self.init.extend(later.init);
        self.onboot.extend(later.onboot);
        self.onshutdown.extend(later.onshutdown);
        self.services.extend(later.services);
        self.files.extend(later.files);
        self.roots.extend(later.roots);
        self.first_bindable = self.volumes.len();
        self.volumes.extend(later.volumes);
    }

    /// The volumes that binds may name. LinuxKit looks them up in the last file only.
    pub(super) fn bindable_volumes(&self) -> &[VolumeSection] {
        &self.volumes[self.first_bindable..]
    }

    /// Every image as it is written, with its place.
    pub(crate) fn images(&self) -> impl Iterator<Item = (&str, Position)> {
        let kernel = self.kernel.iter().filter(|it| !it.image.is_empty());
        let kernel = kernel.map(|it| (it.image.as_str(), it.position));
        let init = self.init.iter().map(|(image, at)| (image.as_str(), *at));
        let containers = [&self.onboot, &self.onshutdown, &self.services];
        let containers = containers.into_iter().flatten();
        let volumes = self.volumes.iter();
        kernel
            .chain(init)
            .chain(containers.map(|it| (it.image.as_str(), it.position)))
            .chain(volumes.filter_map(|it| Some((it.image.as_deref()?, it.position))))
    }

    /// What `source:` of files says, in the files' order.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|file| file.source.as_deref())
    }

    fn decode(text: &str, file: usize, diagnostics: &mut Diagnostics) -> Option<Self> {
        if text.trim().is_empty() {
            let (line, column) = (1, 1);
            let start = Position { file, line, column };
            diagnostics.error(start, "the file is empty");
            return None;
        }
        let first = text.lines().position(|line| !line.trim().is_empty());
        let first = first.and_then(|index| Some((index, text.lines().nth(index)?)));
        if let Some((index, _)) = first.filter(|(_, line)| line.starts_with('\t')) {
            let (line, column) = (index as u64 + 1, 1);
            let tab = Position { file, line, column };
            diagnostics.error(tab, "a tab stands where only spaces may indent");
            return None;
        }
        let mut root = match node::parse(text) {
            Ok(root) => root,
            Err(mut error) => {
                error.position.file = file;
                diagnostics.errors.push(error);
                return None;
            }
        };
        root.set_file(file);
        let mut f = Fields::new(&root, "the definition", diagnostics)?;
        let mut definition = Self {
            kernel: f.with("kernel", kernel),
            init: f.placed_strings("init").unwrap_or_default(),
            onboot: f.list("onboot", container("onboot")).unwrap_or_default(),
            onshutdown: f
                .list("onshutdown", container("onshutdown"))
                .unwrap_or_default(),
            services: f.list("services", container("service")).unwrap_or_default(),
            volumes: f.list("volumes", volume).unwrap_or_default(),
            files: f.list("files", file_section).unwrap_or_default(),
            roots: Vec::new(),
            first_bindable: 0,
        };
        f.with("trust", trust);
        f.finish();
        definition.check_names(diagnostics);
        definition.roots = vec![root];
        Some(definition)
    }

    fn check_services(&self, diagnostics: &mut Diagnostics) {
        for (index, service) in self.services.iter().enumerate() {
            if self.services[..index]
                .iter()
                .any(|other| other.name == service.name)
            {
                diagnostics.error(
                    service.position,
                    format!("the service name `{}` is used twice", service.name),
                );
            }
        }
    }

    fn check_names(&self, diagnostics: &mut Diagnostics) {
        for (index, volume) in self.volumes.iter().enumerate() {
            if self.volumes[..index]
                .iter()
                .any(|other| other.name == volume.name)
            {
                diagnostics.error(
                    volume.position,
                    format!("the volume name `{}` is used twice", volume.name),
                );
            }
        }
        for container in self
            .onboot
            .iter()
            .chain(&self.onshutdown)
            .chain(&self.services)
        {
            check_container_name(container, diagnostics);
        }
    }
}

/// LinuxKit takes any name; one that cannot be a folder's is refused, one that runc or containerd
/// will not have at boot is warned of.
fn check_container_name(container: &ContainerSection, diagnostics: &mut Diagnostics) {
    let name = &container.name;
    if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
        diagnostics.error(
            container.position,
            format!("`{name}` cannot be a container's name: it names its folder"),
        );
    } else if !name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        || name.len() > 76
    {
        diagnostics.warn(
            container.position,
            format!("`{name}` will be refused at boot: letters, digits, `_`, `-`, `.`, at most 76"),
        );
    }
}

fn kernel(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<KernelSection> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let section = KernelSection {
        position: node.position,
        image: f.string("image").unwrap_or_default(),
        cmdline: f.string("cmdline").unwrap_or_default(),
        binary: f.string("binary").unwrap_or_default(),
        tar: f.string("tar"),
        ucode: f.string("ucode"),
    };
    f.finish();
    Some(section)
}

fn trust(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<()> {
    let mut f = Fields::new(node, what, diagnostics)?;
    f.strings("image");
    f.strings("org");
    f.finish();
    Some(())
}

fn container(
    what: &'static str,
) -> impl Fn(&Node, &str, &mut Diagnostics) -> Option<ContainerSection> {
    move |node, _, diagnostics| {
        let mut f = Fields::new(node, what, diagnostics)?;
        let name = f.required("name");
        let image = f.required("image");
        let fields = ImageFields::decode(&mut f);
        f.finish();
        Some(ContainerSection {
            position: node.position,
            name: name?,
            image: image?,
            fields,
        })
    }
}

fn volume(node: &Node, _: &str, diagnostics: &mut Diagnostics) -> Option<VolumeSection> {
    let mut f = Fields::new(node, "volume", diagnostics)?;
    let name = f.string("name").unwrap_or_default();
    if !name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
    {
        f.error(format!(
            "`{name}` cannot be a volume's name: a-z, 0-9, `_` and `-` only"
        ));
    }
    let oci = match f.string("format").as_deref() {
        None | Some("filesystem") => false,
        Some("oci") => true,
        Some(other) => {
            f.error(format!(
                "volume `{name}` has the format `{other}`; there are `filesystem` and `oci`"
            ));
            false
        }
    };
    let section = VolumeSection {
        position: node.position,
        name,
        image: f.string("image").filter(|image| !image.is_empty()),
        readonly: f.boolean("readonly").unwrap_or(false),
        oci,
        platforms: f.strings("platforms").unwrap_or_default(),
    };
    f.finish();
    Some(section)
}

fn file_section(node: &Node, _: &str, diagnostics: &mut Diagnostics) -> Option<FileSection> {
    let mut f = Fields::new(node, "file", diagnostics)?;
    let section = FileSection {
        position: node.position,
        path: f.required("path").unwrap_or_default(),
        directory: f.boolean("directory").unwrap_or(false),
        symlink: f.string("symlink").filter(|target| !target.is_empty()),
        contents: f.string("contents"),
        source: f.string("source").filter(|source| !source.is_empty()),
        metadata: f.string("metadata").filter(|metadata| !metadata.is_empty()),
        optional: f.boolean("optional").unwrap_or(false),
        mode: f.string("mode").filter(|mode| !mode.is_empty()),
        uid: f.with("uid", id).unwrap_or(IdRef::Number(0)),
        gid: f.with("gid", id).unwrap_or(IdRef::Number(0)),
    };
    f.finish();
    Some(section)
}
