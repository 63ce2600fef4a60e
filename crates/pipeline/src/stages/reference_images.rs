//! Stage `reference-images`: the images of hookos/images.yaml, made of Debian packages, as an OCI image layout.

mod definition;
mod kernel;
pub mod packages;
mod root;
mod selection;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hookos::oci::{Compression, ImageConfig, ImageSpec, LayerInput, LayoutWriter};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use self::definition::{Definition, Image};
use self::root::RootTar;
use super::debian::{self, Lock, Package, Wanted};
use crate::choice::Options;
use crate::input::{Output, Source};
use crate::stage::{Recipe, Request, Stage, Work};

/// Fast, and small enough for a layout that is read from the local disk.
const COMPRESSION: Compression = Compression::Zstd(3);
/// How many images are made at the same time.
const AT_ONCE: usize = 3;
/// Where an image says which packages it is made of.
const PACKAGE_LIST: &str = "usr/share/doc/emts/packages";

/// The file that says what the images are.
const DEFINITION: &str = "hookos/images.yaml";
/// The locked versions of their packages.
pub const LOCK: &str = "hookos/images.lock";
/// The program in one of them.
const INIT: &str = "hookos-init";

/// The stage.
pub const STAGE: Stage = Stage::of::<ReferenceImages>();

/// How the images are made.
pub struct ReferenceImages;

/// What the images are made of.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    definition: Source,
    packages: Wanted,
    init: Output,
}

impl Recipe for ReferenceImages {
    type Inputs = Inputs;
    const NAME: &'static str = "reference-images";
    const SUMMARY: &'static str = "kernel, init, runc and tools of HookOS, made of Debian packages";
    const MODULE: &'static str = module_path!();
    const USUAL: Duration = Duration::from_secs(200);

    fn needs(_: &Options) -> &'static [&'static str] {
        &[INIT]
    }

    fn inputs(request: &Request<'_>) -> Result<Inputs> {
        Ok(Inputs {
            definition: request.source(DEFINITION),
            packages: Wanted::of(request, LOCK),
            init: request.output(INIT)?,
        })
    }

    fn build(inputs: Inputs, work: &Work) -> Result<()> {
        let lock = inputs.packages.lock()?;
        let init = inputs.init.directory.join(INIT);
        build(inputs.definition.path(), &lock, &init, &work.out)
    }
}

/// Makes every image of `definition` and adds it to the image layout in `out`.
///
/// `init_binary` becomes /init where the definition asks for it. Packages come from the mirrors of
/// the definition's suite, in the locked versions where these have them. The file [`debian::PACKAGES`]
/// beside the layout lists what was taken, and [`NOTES`](crate::stage::NOTES) which of it is not what was locked. Fails
/// without a usable layout when a package, a file or a module is not there, or when a package of
/// the locked version is another one.
pub fn build(definition: &Path, lock: &Lock, init_binary: &Path, out: &Path) -> Result<()> {
    let definition = Definition::read(definition)?;
    ensure!(
        init_binary.is_file(),
        "{} is missing; build the stage hookos-init first",
        init_binary.display()
    );
    let prepared = prepare_all(&definition, lock, init_binary)?;
    let taken: BTreeSet<Package> = prepared
        .iter()
        .flat_map(|image| image.packages.clone())
        .collect();
    let mut layout = LayoutWriter::create(out)?;
    for (image, prepared) in definition.images.iter().zip(&prepared) {
        layout
            .add_image(spec(image, prepared))
            .with_context(|| format!("adding the image {}", image.reference))?;
    }
    let notes: BTreeSet<&str> = prepared
        .iter()
        .filter_map(|it| it.note.as_deref())
        .collect();
    let note = notes.into_iter().next().map(str::to_owned);
    debian::keep(out, lock, &taken, note)
}

/// The names of all images, as `hookos/images.yaml` has them.
pub fn references(root: &Path) -> Result<Vec<String>> {
    let definition = Definition::read(&root.join(DEFINITION))?;
    let images = definition.images.into_iter();
    Ok(images.map(|image| image.reference).collect())
}

/// An image's layer, and what it is made of.
struct Prepared {
    scratch: TempDir,
    packages: Vec<Package>,
    /// What people should know of them.
    note: Option<String>,
}

impl Prepared {
    fn layer(&self) -> PathBuf {
        self.scratch.path().join("layer.tar")
    }

    /// `name=version` of each package.
    fn versions(&self) -> Vec<String> {
        let packages = self.packages.iter();
        packages
            .map(|package| format!("{}={}", package.name, package.version))
            .collect()
    }
}

/// Makes all layers, a few at a time: much of it is waiting for the network.
fn prepare_all(definition: &Definition, lock: &Lock, init_binary: &Path) -> Result<Vec<Prepared>> {
    let queue = Mutex::new(definition.images.iter().enumerate());
    let work = || {
        let mut done = Vec::new();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((at, image)) = next else { return done };
            let prepared = prepare(definition, lock, image, init_binary)
                .with_context(|| format!("making the image {}", image.reference));
            let failed = prepared.is_err();
            done.push((at, prepared));
            if failed {
                // The others stop after what they are at.
                queue
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .by_ref()
                    .for_each(drop);
            }
        }
    };
    let mut all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let join = |thread: ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        threads
            .into_iter()
            .flat_map(join)
            .collect::<Vec<(usize, Result<Prepared>)>>()
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, prepared)| prepared).collect()
}

fn prepare(
    definition: &Definition,
    lock: &Lock,
    image: &Image,
    init_binary: &Path,
) -> Result<Prepared> {
    let scratch = tempfile::tempdir()?;
    let debian = scratch.path().join("debian.tar");
    let note = packages::install(&definition.suite, image, lock, scratch.path(), &debian)?;
    let prepared = Prepared {
        packages: packages::list(&debian)?,
        scratch,
        note,
    };
    let mut tar = RootTar::create(&prepared.layer())?;
    if let Some(kernel) = &image.kernel {
        kernel::write(
            &debian,
            kernel,
            init_binary,
            prepared.scratch.path(),
            &mut tar,
        )?;
    }
    tar.copy_selected(&debian, &image.selection(definition)?)?;
    let packages = prepared.versions().join("\n") + "\n";
    write_extras(&mut tar, image, &packages, init_binary)?;
    tar.finish()?;
    // All layers are kept until the layout is written; what they came from is not.
    fs_err::remove_file(debian)?;
    Ok(prepared)
}

fn write_extras(
    tar: &mut RootTar,
    image: &Image,
    packages: &str,
    init_binary: &Path,
) -> Result<()> {
    for dir in &image.directories {
        tar.directory(dir)?;
    }
    for (path, target) in &image.links {
        tar.symlink(path, target)?;
    }
    for (path, content) in &image.files {
        tar.file(path, 0o644, content.as_bytes())?;
    }
    if image.init_binary {
        tar.file_from("init", 0o755, init_binary)?;
        tar.symlink("sbin/init", "../init")?;
    }
    tar.file(PACKAGE_LIST, 0o644, packages.as_bytes())
}

fn spec(image: &Image, prepared: &Prepared) -> ImageSpec<'static> {
    let mut labels = BTreeMap::from([
        (
            "org.opencontainers.image.title".to_owned(),
            image.reference.clone(),
        ),
        (
            "org.opencontainers.image.description".to_owned(),
            image.about.trim().to_owned(),
        ),
        (
            "org.opencontainers.image.vendor".to_owned(),
            "Debian packages, put together by emts".to_owned(),
        ),
        ("emts.packages".to_owned(), prepared.versions().join(",")),
    ]);
    if let Some(linuxkit) = &image.linuxkit {
        labels.insert("org.mobyproject.config".to_owned(), linuxkit.to_string());
    }
    ImageSpec {
        reference: image.reference.clone(),
        config: ImageConfig {
            entrypoint: image.entrypoint.clone(),
            cmd: image.cmd.clone(),
            env: image.env.clone(),
            working_dir: String::new(),
            labels,
        },
        layers: vec![LayerInput::Tar(prepared.layer())],
        compression: COMPRESSION,
    }
}
