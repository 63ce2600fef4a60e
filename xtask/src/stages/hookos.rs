//! Stage `hookos`: kernel, initrd and command line from `hook-os.yaml`, and all three as one EFI executable.

use std::path::{Path, PathBuf};

use ::hookos::compare::BootFiles;
use ::hookos::lock::Lock;
use ::hookos::oci::{self, ImageSource, Layout};
use ::hookos::{Request, assemble, uki};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{Context, Input, NOTES, Options, Stage, program_image, reference_images, sources};
use crate::linuxkit::LinuxKit;
use crate::signing::Signing;
use crate::store;

/// The LinuxKit file that counts where the user names no other.
pub const DEFINITION: &str = "hookos/hook-os.yaml";
/// systemd's EFI stub, from the Debian package systemd-boot-efi.
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/// What boot menus show.
const OS_RELEASE: &str = concat!(
    "ID=hookos\nNAME=\"HookOS (emts installer)\"\nVERSION_ID=",
    env!("CARGO_PKG_VERSION"),
    "\n"
);

pub const STAGE: Stage = Stage {
    name: "hookos",
    summary: "kernel, initrd.img, cmdline and hookos.efi from hook-os.yaml",
    compiles: false,
    needs: |_| {
        &[
            "reference-images",
            "bootstrapper-image",
            "disk-writer-image",
        ]
    },
    inputs,
    build,
};

/// What HookOS is made of where it is not what the checkout has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Choice {
    /// A LinuxKit file in place of [`DEFINITION`].
    pub definition: Option<PathBuf>,
    /// Images in place of its `init` list.
    pub init: Option<Vec<String>>,
    /// Layouts and archives that are searched before the images of stages.
    pub images: Vec<PathBuf>,
    /// The layout of images from registries, searched after all others.
    pub pulled: Option<PathBuf>,
    /// The real linuxkit, to put it together instead of the crate `hookos`.
    pub linuxkit: Option<PathBuf>,
}

impl Choice {
    fn original(&self, root: &Path) -> PathBuf {
        let own = || root.join(DEFINITION);
        self.definition.clone().unwrap_or_else(own)
    }

    /// What `source:` of files is relative to.
    pub fn base(&self, root: &Path) -> PathBuf {
        let original = self.original(root);
        original.parent().unwrap_or(Path::new("/")).to_owned()
    }

    /// The lock file of its images: with another `init` list it is another one.
    pub fn lock(&self, root: &Path) -> PathBuf {
        lock_of(&self.original(root), self.init.is_some())
    }

    /// The LinuxKit files, `before` first. Those with another `init` list are copies in the directory `derived`.
    pub fn definitions(
        &self,
        root: &Path,
        before: Option<PathBuf>,
        derived: &Path,
    ) -> Result<Vec<PathBuf>> {
        let mut definitions: Vec<PathBuf> = before.into_iter().collect();
        definitions.push(self.original(root));
        Ok(match &self.init {
            Some(images) => ::hookos::derive(&definitions, images, derived)?,
            None => definitions,
        })
    }

    /// What the stage depends on beside the checkout.
    fn inputs(&self, root: &Path) -> Result<Vec<Input>> {
        let mut inputs = Vec::new();
        let original = [self.original(root)];
        if self.definition.is_some() {
            let sources = ::hookos::sources(&original, &self.base(root))?;
            inputs.extend(original.iter().cloned().map(Input::Path));
            // One that is not there is optional, or an error of the build.
            let sources = sources.into_iter().filter(|path| path.exists());
            inputs.extend(sources.map(Input::Path));
        }
        let mut references = ::hookos::references(&original)?;
        if let Some(init) = &self.init {
            inputs.push(Input::Value("init images", init.join("\n")));
            for image in init {
                references.push(oci::canonical(image)?);
            }
        }
        let digests = self.digests(&references)?;
        if !digests.is_empty() {
            inputs.push(Input::Value("images", digests.join("\n")));
        }
        inputs.extend(self.linuxkit.iter().cloned().map(Input::Path));
        Ok(inputs)
    }

    /// The images that no stage makes, by what they hold and not by where they are.
    fn digests(&self, references: &[String]) -> Result<Vec<String>> {
        let images = ImageSource::open(self.images.iter().chain(&self.pulled))?;
        let mut digests = Vec::new();
        for reference in references.iter().filter(|reference| images.has(reference)) {
            digests.push(format!("{reference} {}", images.find(reference)?.0.digest));
        }
        Ok(digests)
    }
}

/// The lock file of a LinuxKit file's images, of the file as it is or with another `init` list.
pub fn lock_of(definition: &Path, derived: bool) -> PathBuf {
    if derived {
        definition.with_extension("linuxkit.lock")
    } else {
        Lock::path_of(definition)
    }
}

/// The canonical references of all images that stages make.
pub fn made(root: &Path) -> Result<Vec<String>> {
    let mut references = reference_images::references(root)?;
    references.extend(program_image::REFERENCES.map(str::to_owned));
    let canonical = references.iter().map(|it| oci::canonical(it));
    Ok(canonical.collect::<Result<_, _>>()?)
}

fn inputs(root: &Path, options: &Options) -> Result<Vec<Input>> {
    let mut inputs = sources(
        root,
        &[
            DEFINITION,
            "hookos/files",
            "hookos/assembler/src",
            "xtask/src/stages/hookos.rs",
        ],
    );
    inputs.push(Input::Path(STUB.into()));
    inputs.extend(Signing::inputs(options.signing.as_ref())?);
    inputs.extend(options.hookos.inputs(root)?);
    // The whole folder: the files that it takes are beside it.
    let before = options.before_hookos.as_deref().and_then(Path::parent);
    inputs.extend(before.map(|folder| Input::Path(folder.into())));
    Ok(inputs)
}

fn build(context: &Context) -> Result<()> {
    let choice = &context.options.hookos;
    let base = choice.base(&context.root);
    let before = context.options.before_hookos.clone();
    let definitions = choice.definitions(&context.root, before, &context.out)?;
    let images = images(context)?;
    let files = match &choice.linuxkit {
        Some(program) => with_linuxkit(context, program, &definitions, &base, &images)?,
        None => with_assembler(context, definitions, base, images)?,
    };
    let kernel = files.kernel.context("hook-os.yaml has no kernel section")?;
    let cmdline = match &files.cmdline {
        Some(path) => fs_err::read_to_string(path)?,
        None => String::new(),
    };
    let image = context.out.join("hookos.efi");
    efi(&kernel, &files.initrd, &cmdline, &image)?;
    if let Some(signing) = &context.options.signing {
        signing.sign(&image)?;
    }
    note(choice, &context.out)
}

fn images(context: &Context) -> Result<ImageSource> {
    let choice = &context.options.hookos;
    let mut images = ImageSource::open(&choice.images)?;
    for stage in (STAGE.needs)(&context.options) {
        images.add(Layout::open(context.need(stage)?)?);
    }
    if let Some(pulled) = &choice.pulled {
        images.add(Layout::open(pulled)?);
    }
    Ok(images)
}

fn with_assembler(
    context: &Context,
    definitions: Vec<PathBuf>,
    base: PathBuf,
    images: ImageSource,
) -> Result<BootFiles> {
    let mut request = Request::new("", images, &context.out);
    request.definitions = definitions;
    request.base = Some(base);
    // Compressed parts are kept by digest: after an edit only what changed is compressed anew.
    request.cache = Some(store::cache_dir()?.join("hookos"));
    let report = assemble(&request)?;
    for warning in &report.warnings {
        eprintln!("warning: {}", request.located(warning));
    }
    Ok(BootFiles {
        kernel: report.kernel,
        initrd: report.initrd,
        cmdline: Some(report.cmdline),
    })
}

fn with_linuxkit(
    context: &Context,
    program: &Path,
    definitions: &[PathBuf],
    base: &Path,
    images: &ImageSource,
) -> Result<BootFiles> {
    let linuxkit = LinuxKit::needed(Some(program))?;
    println!("{}", linuxkit.version);
    let made = linuxkit.make(definitions, base, images, &context.scratch.join("linuxkit"))?;
    let place = |path: &Path, name: &str| -> Result<PathBuf> {
        let to = context.out.join(name);
        fs_err::copy(path, &to)?;
        Ok(to)
    };
    let optional = |path: Option<PathBuf>, name: &str| path.map(|path| place(&path, name));
    Ok(BootFiles {
        kernel: optional(made.kernel, "kernel").transpose()?,
        initrd: place(&made.initrd, "initrd.img")?,
        cmdline: optional(made.cmdline, "cmdline").transpose()?,
    })
}

/// Says in every run's output and report what is not the project's own.
fn note(choice: &Choice, out: &Path) -> Result<()> {
    let mut notes = Vec::new();
    if let Some(path) = &choice.definition {
        // Not where it is: the output is the same for the same content elsewhere.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        notes.push(format!("made of the LinuxKit file {name}"));
    }
    if let Some(init) = &choice.init {
        notes.push(format!("init images: {}", init.join(", ")));
    }
    if choice.linuxkit.is_some() {
        notes.push("put together by linuxkit".to_owned());
    }
    if notes.is_empty() {
        return Ok(());
    }
    Ok(fs_err::write(out.join(NOTES), notes.join("\n") + "\n")?)
}

/// Makes the EFI executable that the stick boots.
pub fn efi(kernel: &Path, initrd: &Path, cmdline: &str, out: &Path) -> Result<()> {
    Ok(uki::build(
        Path::new(STUB),
        kernel,
        initrd,
        cmdline,
        OS_RELEASE,
        out,
    )?)
}

#[cfg(test)]
mod tests {
    use ::hookos::oci::{Compression, Entry, ImageConfig, ImageSpec, LayerInput, LayoutWriter};

    use super::*;

    const LINUXKIT: [&str; 2] = ["linuxkit/init:1", "linuxkit/runc:1"];

    fn checkout() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    fn linuxkit() -> Choice {
        Choice {
            init: Some(LINUXKIT.map(str::to_owned).into()),
            ..Choice::default()
        }
    }

    #[test]
    fn with_linuxkits_init_only_that_list_is_another() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let root = checkout();
        let original = Choice::default().definitions(root, None, dir.path())?;
        let derived = linuxkit().definitions(root, None, dir.path())?;
        let differing = |paths: &[PathBuf], others: &[PathBuf]| -> Result<Vec<String>> {
            let others = ::hookos::references(others)?;
            let mut references = ::hookos::references(paths)?;
            references.retain(|it| !others.contains(it));
            Ok(references)
        };
        assert_eq!(
            differing(&derived, &original)?,
            LINUXKIT.map(|it| format!("docker.io/{it}"))
        );
        assert_eq!(
            differing(&original, &derived)?,
            [
                "docker.io/emts/reference-init:0.1",
                "docker.io/emts/reference-runc:1.1"
            ]
        );
        Ok(())
    }

    #[test]
    fn a_file_that_is_merged_before_loses_its_list() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let before = dir.path().join("before.yaml");
        fs_err::write(&before, "init: [emts/x:1]\nonboot: []\n")?;
        let out = dir.path().join("out");
        let derived = linuxkit().definitions(checkout(), Some(before), &out)?;
        let references = ::hookos::references(&derived)?;
        assert!(
            !references.iter().any(|it| it.contains("emts/x")),
            "{references:?}"
        );
        Ok(())
    }

    #[test]
    fn all_images_of_hook_os_yaml_are_made_by_stages() -> Result<()> {
        let made = made(checkout())?;
        let named = ::hookos::references(&[checkout().join(DEFINITION)])?;
        for reference in named {
            assert!(made.contains(&reference), "{reference} is made by no stage");
        }
        Ok(())
    }

    #[test]
    fn an_image_counts_by_its_content_and_not_by_its_place() -> Result<()> {
        let inputs = |content: &str| -> Result<String> {
            let dir = tempfile::tempdir()?;
            let mut layout = LayoutWriter::create(dir.path())?;
            layout.add_image(ImageSpec {
                reference: LINUXKIT[0].into(),
                config: ImageConfig::default(),
                layers: vec![LayerInput::Entries(vec![Entry::file("a", 0o644, content)])],
                compression: Compression::Zstd(1),
            })?;
            let mut choice = linuxkit();
            choice.images = vec![dir.path().into()];
            Ok(format!("{:?}", choice.inputs(checkout())?))
        };
        assert_eq!(inputs("one")?, inputs("one")?);
        assert_ne!(inputs("one")?, inputs("two")?);
        Ok(())
    }

    #[test]
    fn the_projects_own_choice_adds_no_inputs() -> Result<()> {
        assert!(Choice::default().inputs(checkout())?.is_empty());
        Ok(())
    }
}
