//! The LinuxKit file itself, decoded key by key; all of its errors are found in one go.

use super::decode::{Fields, IdRef, id};
use super::diagnostic::{Diagnostic, Diagnostics, Position};
use super::fields::ImageFields;
use super::node::{self, Node};

/// A decoded LinuxKit file.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    pub(super) kernel: Option<KernelSection>,
    pub(super) init: Vec<(String, Position)>,
    pub(super) onboot: Vec<ContainerSection>,
    pub(super) onshutdown: Vec<ContainerSection>,
    pub(super) services: Vec<ContainerSection>,
    pub(super) volumes: Vec<VolumeSection>,
    pub(super) files: Vec<FileSection>,
}

/// `kernel`.
#[derive(Clone, Debug)]
pub struct KernelSection {
    pub position: Position,
    pub image: String,
    pub cmdline: String,
    pub binary: String,
    /// `None` for `none` and the empty text.
    pub tar: Option<String>,
    pub ucode: Option<String>,
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
    /// Decodes the text of a LinuxKit file.
    ///
    /// # Errors
    /// Every error of the file, in its order.
    pub fn parse(text: &str) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let mut diagnostics = Diagnostics::default();
        let definition = Self::decode(text, &mut diagnostics);
        match definition {
            Some(definition) if diagnostics.errors.is_empty() => {
                Ok((definition, diagnostics.warnings))
            }
            _ => {
                diagnostics.errors.sort_by_key(|error| error.position);
                Err(diagnostics.errors)
            }
        }
    }

    /// Every image as it is written, with its place.
    pub(crate) fn images(&self) -> impl Iterator<Item = (&str, Position)> {
        let kernel = self
            .kernel
            .iter()
            .map(|it| (it.image.as_str(), it.position));
        let init = self.init.iter().map(|(image, at)| (image.as_str(), *at));
        let containers = [&self.onboot, &self.onshutdown, &self.services];
        let containers = containers.into_iter().flatten();
        let volumes = self.volumes.iter();
        kernel
            .chain(init)
            .chain(containers.map(|it| (it.image.as_str(), it.position)))
            .chain(volumes.filter_map(|it| Some((it.image.as_deref()?, it.position))))
    }

    fn decode(text: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        if text.trim().is_empty() {
            diagnostics.error(Position { line: 1, column: 1 }, "the file is empty");
            return None;
        }
        let root = match node::parse(text) {
            Ok(root) => root,
            Err((position, message)) => {
                diagnostics.error(position, message);
                return None;
            }
        };
        let mut f = Fields::new(&root, "the definition", diagnostics)?;
        let definition = Self {
            kernel: f.with("kernel", kernel),
            init: f.placed_strings("init").unwrap_or_default(),
            onboot: f.list("onboot", container("onboot")).unwrap_or_default(),
            onshutdown: f
                .list("onshutdown", container("onshutdown"))
                .unwrap_or_default(),
            services: f.list("services", container("service")).unwrap_or_default(),
            volumes: f.list("volumes", volume).unwrap_or_default(),
            files: f.list("files", file).unwrap_or_default(),
        };
        f.with("trust", trust);
        f.finish();
        definition.check_names(diagnostics);
        Some(definition)
    }

    fn check_names(&self, diagnostics: &mut Diagnostics) {
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
    let named = |name: Option<String>| name.filter(|name| !name.is_empty() && name != "none");
    let section = KernelSection {
        position: node.position,
        image: f.string("image").unwrap_or_default(),
        cmdline: f.string("cmdline").unwrap_or_default(),
        binary: f
            .string("binary")
            .filter(|name| !name.is_empty())
            .unwrap_or("kernel".into()),
        tar: match f.string("tar") {
            None => Some("kernel.tar".into()),
            name => named(name),
        },
        ucode: f.string("ucode").filter(|name| !name.is_empty()),
    };
    f.finish();
    // Without an image LinuxKit ignores the section, cmdline included.
    (!section.image.is_empty()).then_some(section)
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

fn file(node: &Node, _: &str, diagnostics: &mut Diagnostics) -> Option<FileSection> {
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
