//! Stage `reference-images`: the images of hookos/images.yaml, made of Debian packages, as an OCI image layout.

mod definition;
mod kernel;
mod packages;
mod root;
mod selection;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::ScopedJoinHandle;

use anyhow::{Context as _, Result, ensure};
use hookos::oci::{Compression, ImageConfig, ImageSpec, LayerInput, LayoutWriter};
use tempfile::TempDir;

use self::definition::{Definition, Image};
use self::root::RootTar;
use super::{Context, Input, Options, Stage, sources};

/// Fast, and small enough for a layout that is read from the local disk.
const COMPRESSION: Compression = Compression::Zstd(3);
/// How many images are made at the same time.
const AT_ONCE: usize = 3;
/// Where an image says which packages it is made of.
const PACKAGE_LIST: &str = "usr/share/doc/emts/packages";

pub const STAGE: Stage = Stage {
    name: "reference-images",
    summary: "kernel, init, runc and tools of HookOS, made of Debian packages",
    needs: &["hookos-init"],
    inputs: |root, _: &Options| {
        let files = [
            "hookos/images.yaml",
            "xtask/src/stages/reference_images.rs",
            "xtask/src/stages/reference_images",
        ];
        Ok::<Vec<Input>, _>(sources(root, &files))
    },
    build: |context: &Context| {
        let init = context.need("hookos-init")?.join("hookos-init");
        build(
            &context.root.join("hookos/images.yaml"),
            &init,
            &context.out,
        )
    },
};

/// Makes every image of `definition` and adds it to the image layout in `out`.
///
/// `init_binary` becomes /init where the definition asks for it. Packages come from the mirrors of
/// the definition's suite. `packages.lock` beside the layout lists the versions. Fails without a usable layout when a package, a file or a module is not there.
pub fn build(definition: &Path, init_binary: &Path, out: &Path) -> Result<()> {
    let definition = Definition::read(definition)?;
    ensure!(
        init_binary.is_file(),
        "{} is missing; build the stage hookos-init first",
        init_binary.display()
    );
    let prepared = prepare_all(&definition, init_binary)?;
    let mut layout = LayoutWriter::create(out)?;
    for (image, prepared) in definition.images.iter().zip(&prepared) {
        layout
            .add_image(spec(image, prepared))
            .with_context(|| format!("adding the image {}", image.reference))?;
    }
    fs_err::write(out.join("packages.lock"), lock(&definition, &prepared))?;
    Ok(())
}

/// An image's layer, and what it is made of.
struct Prepared {
    scratch: TempDir,
    /// One `name=version` a line.
    packages: String,
}

impl Prepared {
    fn layer(&self) -> PathBuf {
        self.scratch.path().join("layer.tar")
    }
}

/// Makes all layers, a few at a time: much of it is waiting for the network.
fn prepare_all(definition: &Definition, init_binary: &Path) -> Result<Vec<Prepared>> {
    let queue = Mutex::new(definition.images.iter().enumerate());
    let work = || {
        let mut done = Vec::new();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((at, image)) = next else { return done };
            let prepared = prepare(definition, image, init_binary)
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

fn prepare(definition: &Definition, image: &Image, init_binary: &Path) -> Result<Prepared> {
    let scratch = tempfile::tempdir()?;
    let debian = scratch.path().join("debian.tar");
    packages::install(&definition.suite, image, &debian)?;
    let prepared = Prepared {
        packages: packages::list(&debian)?,
        scratch,
    };
    let mut tar = RootTar::create(&prepared.layer())?;
    if let Some(kernel) = &image.kernel {
        kernel::write(&debian, kernel, prepared.scratch.path(), &mut tar)?;
    }
    tar.copy_selected(&debian, &image.selection(definition)?)?;
    write_extras(&mut tar, image, &prepared.packages, init_binary)?;
    tar.finish()?;
    // All layers are kept until the layout is written; what they came from is not.
    fs_err::remove_file(debian)?;
    Ok(prepared)
}

/// The versions that went into the images, for people and for comparisons between builds.
fn lock(definition: &Definition, prepared: &[Prepared]) -> String {
    let mut lock = String::new();
    for (image, prepared) in definition.images.iter().zip(prepared) {
        for package in prepared.packages.lines() {
            lock.push_str(&format!("{}\t{package}\n", image.reference));
        }
    }
    lock
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
        (
            "emts.packages".to_owned(),
            prepared.packages.lines().collect::<Vec<_>>().join(","),
        ),
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
