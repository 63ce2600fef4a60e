//! Stage `hookos`: kernel, initrd and command line from `hook-os.yaml`, and all three as one EFI executable.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::hookos::compare::BootFiles;
use ::hookos::oci::{self, ImageSource, Layout};
use ::hookos::{Request as Assembly, assemble, uki};
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::{boot_files, program_image, reference_images};
use crate::cache;
use crate::choice::{Hookos as Choice, Options, Signing};
use crate::input::{Output, Place, Source};
use crate::linuxkit::LinuxKit;
use crate::linuxkit_files::{self, DEFINITION, with_init};
use crate::signing;
use crate::stage::{NOTES, Recipe, Request, Stage, Work};

/// What boot menus show.
const OS_RELEASE: &str = concat!(
    "ID=hookos\nNAME=\"HookOS (emts installer)\"\nVERSION_ID=",
    env!("CARGO_PKG_VERSION"),
    "\n"
);

/// The option of the kernel's command line with which HookOS gives a root shell to whoever stands before the machine.
const SHELL: &str = "emts.shell";

/// The stage.
pub const STAGE: Stage = Stage::of::<HookOs>();

/// How HookOS is made.
pub struct HookOs;

/// What HookOS is made of.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    definition: Source,
    /// What the LinuxKit file takes files from.
    files: Vec<Source>,
    /// What these are relative to.
    base: Place,
    /// The name of a LinuxKit file of the user's own.
    own_name: Option<String>,
    /// The directory of a LinuxKit file that is merged before, and the file's name.
    before: Option<(Source, String)>,
    /// Images in place of the file's `init` list.
    init: Option<Vec<String>>,
    /// Layouts and archives that come before the images of stages, and the one that comes after.
    images: Vec<Place>,
    pulled: Option<Place>,
    /// What the images in them are that the LinuxKit file names.
    image_digests: Vec<String>,
    linuxkit: Option<Source>,
    stub: Source,
    signing: Option<Signing>,
    made: Vec<Output>,
}

impl Recipe for HookOs {
    type Inputs = Inputs;
    const NAME: &'static str = "hookos";
    const SUMMARY: &'static str = "kernel, initrd.img, cmdline and hookos.efi from hook-os.yaml";
    const MODULE: &'static str = module_path!();
    const USUAL: Duration = Duration::from_secs(3);

    fn needs(_: &Options) -> &'static [&'static str] {
        &["reference-images", "bootstrapper-image", "installer-image"]
    }

    fn inputs(request: &Request<'_>) -> Result<Inputs> {
        let (root, options) = (request.root, request.options);
        let choice = &options.hookos;
        let original = linuxkit_files::original(choice, root);
        let base = linuxkit_files::base(choice, root);
        let before = options.before_hookos.as_deref();
        let needs = Self::needs(options).iter();
        Ok(Inputs {
            files: files(root, &original, &base)?,
            image_digests: digests(choice, &references(choice, &original)?)?,
            own_name: choice.definition.as_deref().map(file_name),
            before: before.and_then(|path| {
                // The whole directory: the files that it takes are beside it.
                let directory = Source::named("before hook-os.yaml", path.parent()?);
                Some((directory, file_name(path)))
            }),
            init: choice.init.clone(),
            images: choice.images.iter().map(Place::new).collect(),
            pulled: choice.pulled.as_ref().map(Place::new),
            linuxkit: choice
                .linuxkit
                .as_ref()
                .map(|path| Source::named("linuxkit", path)),
            stub: boot_files::stub(),
            signing: options.signing.clone(),
            made: needs
                .map(|need| request.output(need))
                .collect::<Result<_>>()?,
            definition: match choice.definition {
                Some(_) => Source::named("the LinuxKit file", original),
                None => request.source(DEFINITION),
            },
            base: Place::new(base),
        })
    }

    fn build(inputs: Inputs, work: &Work) -> Result<()> {
        let definitions = with_init(inputs.definitions(), inputs.init.as_deref(), &work.out)?;
        let images = inputs.images()?;
        let files = match &inputs.linuxkit {
            Some(program) => with_linuxkit(&inputs, program.path(), &definitions, &images, work)?,
            None => with_assembler(&inputs, definitions, images, &work.out)?,
        };
        let kernel = files.kernel.context("hook-os.yaml has no kernel section")?;
        let cmdline = match &files.cmdline {
            Some(path) => fs_err::read_to_string(path)?,
            None => String::new(),
        };
        let image = work.out.join("hookos.efi");
        efi(inputs.stub.path(), &kernel, &files.initrd, &cmdline, &image)?;
        if let Some(key) = &inputs.signing {
            ensure!(
                !cmdline.split_whitespace().any(|option| option == SHELL),
                "the command line has `{SHELL}`, which opens a root shell without a password: it is not signed"
            );
            signing::sign(&image, key)?;
        }
        inputs.note(&work.out)
    }
}

impl Inputs {
    fn definitions(&self) -> Vec<PathBuf> {
        let before = self.before.iter();
        let mut all: Vec<PathBuf> = before
            .map(|(directory, name)| directory.path().join(name))
            .collect();
        all.push(self.definition.path().to_owned());
        all
    }

    fn images(&self) -> Result<ImageSource> {
        let mut images = ImageSource::open(self.images.iter().map(|place| &place.path))?;
        for output in &self.made {
            images.add(Layout::open(&output.directory)?);
        }
        if let Some(pulled) = &self.pulled {
            images.add(Layout::open(&pulled.path)?);
        }
        Ok(images)
    }

    /// Says in every run's output and report what is not the project's own.
    fn note(&self, out: &Path) -> Result<()> {
        let mut notes = Vec::new();
        // Not where it is: the output is the same for the same content elsewhere.
        if let Some(name) = &self.own_name {
            notes.push(format!("made of the LinuxKit file {name}"));
        }
        if let Some(init) = &self.init {
            notes.push(format!("init images: {}", init.join(", ")));
        }
        if self.linuxkit.is_some() {
            notes.push("put together by linuxkit".to_owned());
        }
        if notes.is_empty() {
            return Ok(());
        }
        Ok(fs_err::write(out.join(NOTES), notes.join("\n") + "\n")?)
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// What a LinuxKit file takes from the directory `base`. What is not there is optional, or an error of the build.
fn files(root: &Path, definition: &Path, base: &Path) -> Result<Vec<Source>> {
    let mut sources = ::hookos::sources(&[definition.to_owned()], base)?;
    sources.retain(|path| path.exists());
    sources.sort();
    sources.dedup();
    let named = sources.into_iter().map(|path| {
        let below = [root, base].into_iter();
        let mut below = below.filter_map(|directory| path.strip_prefix(directory).ok());
        let name = below.next().unwrap_or(&path).display().to_string();
        Source::named(name, path)
    });
    Ok(named.collect())
}

/// The images that the choice has HookOS made of.
fn references(choice: &Choice, definition: &Path) -> Result<Vec<String>> {
    let mut references = ::hookos::references(&[definition.to_owned()])?;
    for image in choice.init.iter().flatten() {
        references.push(oci::canonical(image)?);
    }
    Ok(references)
}

/// The images that no stage makes, by what they hold and not by where they are.
fn digests(choice: &Choice, references: &[String]) -> Result<Vec<String>> {
    let images = ImageSource::open(choice.images.iter().chain(&choice.pulled))?;
    let mut digests = Vec::new();
    for reference in references.iter().filter(|reference| images.has(reference)) {
        digests.push(format!("{reference} {}", images.find(reference)?.0.digest));
    }
    Ok(digests)
}

/// The canonical references of all images that stages make.
pub fn made(root: &Path) -> Result<Vec<String>> {
    let mut references = reference_images::references(root)?;
    references.extend(program_image::REFERENCES.map(str::to_owned));
    let canonical = references.iter().map(|it| oci::canonical(it));
    Ok(canonical.collect::<Result<_, _>>()?)
}

fn with_assembler(
    inputs: &Inputs,
    definitions: Vec<PathBuf>,
    images: ImageSource,
    out: &Path,
) -> Result<BootFiles> {
    let mut request = Assembly::new("", images, out);
    request.definitions = definitions;
    request.base = Some(inputs.base.path.clone());
    // Compressed parts are kept by digest: after an edit only what changed is compressed anew.
    request.cache = Some(cache::directory()?.join("hookos"));
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
    inputs: &Inputs,
    program: &Path,
    definitions: &[PathBuf],
    images: &ImageSource,
    work: &Work,
) -> Result<BootFiles> {
    let linuxkit = LinuxKit::needed(Some(program))?;
    println!("{}", linuxkit.version);
    let made = linuxkit.make(
        definitions,
        &inputs.base.path,
        images,
        &work.scratch.join("linuxkit"),
    )?;
    let place = |path: &Path, name: &str| -> Result<PathBuf> {
        let to = work.out.join(name);
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

/// Makes the EFI executable that the stick boots, of systemd's stub.
///
/// # Errors
/// A part cannot be read, or is not of the form that the stub takes.
pub fn efi(stub: &Path, kernel: &Path, initrd: &Path, cmdline: &str, out: &Path) -> Result<()> {
    Ok(uki::build(stub, kernel, initrd, cmdline, OS_RELEASE, out)?)
}

#[cfg(test)]
mod tests {
    use ::hookos::oci::{Compression, Entry, ImageConfig, ImageSpec, LayerInput, LayoutWriter};

    use super::*;

    const LINUXKIT: [&str; 2] = ["linuxkit/init:1", "linuxkit/runc:1"];

    fn checkout() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
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
        let original = with_init(vec![root.join(DEFINITION)], None, dir.path())?;
        let derived = with_init(
            vec![root.join(DEFINITION)],
            linuxkit().init.as_deref(),
            dir.path(),
        )?;
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
        let derived = with_init(
            vec![before, checkout().join(DEFINITION)],
            linuxkit().init.as_deref(),
            &out,
        )?;
        let references = ::hookos::references(&derived)?;
        assert!(
            !references.iter().any(|it| it.contains("emts/x")),
            "{references:?}"
        );
        Ok(())
    }

    #[test]
    fn what_hook_os_yaml_takes_from_the_checkout_is_an_input() -> Result<()> {
        let definition = checkout().join(DEFINITION);
        let base = definition.parent().context("a directory")?;
        let found = files(checkout(), &definition, base)?;
        let paths: Vec<&Path> = found.iter().map(Source::path).collect();
        let script = checkout().join("hookos/installer/install-os.sh");
        assert!(
            paths.iter().any(|path| script.starts_with(path)),
            "{paths:?}"
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
            let references = references(&choice, &checkout().join(DEFINITION))?;
            Ok(digests(&choice, &references)?.join("\n"))
        };
        assert_eq!(inputs("one")?, inputs("one")?);
        assert_ne!(inputs("one")?, inputs("two")?);
        Ok(())
    }
}
