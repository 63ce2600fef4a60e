//! Stage `reference-images`: the images of hookos/images.yaml, made of Debian packages, as an OCI image layout.

mod definition;
mod kernel;
mod packages;
mod root;
mod selection;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use hookos::oci::{Compression, ImageConfig, ImageSpec, LayerInput, LayoutWriter};

use self::definition::{Definition, Image};
use self::root::RootTar;
use super::{Context, Input, Options, Stage, sources};

/// Fast, and small enough for a layout that is read from the local disk.
const COMPRESSION: Compression = Compression::Zstd(3);
/// Where an image says which packages it is made of.
const PACKAGE_LIST: &str = "usr/share/doc/emts/packages";

pub const STAGE: Stage = Stage {
    name: "reference-images",
    summary: "kernel, init, runc and tools of HookOS, made of Debian packages",
    needs: &["hookos-init"],
    inputs: |root, _: &Options| {
        let files = ["hookos/images.yaml", "xtask/src/stages/reference_images.rs", "xtask/src/stages/reference_images"];
        Ok::<Vec<Input>, _>(sources(root, &files))
    },
    build: |context: &Context| {
        let init = context.need("hookos-init")?.join("hookos-init");
        build(&context.root.join("hookos/images.yaml"), &init, &context.out)
    },
};

/// Makes every image of `definition` and adds it to the image layout in `out`.
///
/// `init_binary` becomes /init where the definition asks for it. Packages come from the mirrors of
/// the definition's suite. Fails without a usable layout when a package, a file or a module is not there.
pub fn build(definition: &Path, init_binary: &Path, out: &Path) -> Result<()> {
    let definition = Definition::read(definition)?;
    ensure!(init_binary.is_file(), "{} is missing; build the stage hookos-init first", init_binary.display());
    let mut layout = LayoutWriter::create(out)?;
    for image in &definition.images {
        add(&mut layout, &definition, image, init_binary).with_context(|| format!("making the image {}", image.reference))?;
    }
    Ok(())
}

fn add(layout: &mut LayoutWriter, definition: &Definition, image: &Image, init_binary: &Path) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let debian = scratch.path().join("debian.tar");
    packages::install(&definition.suite, image, &debian)?;
    let packages = packages::list(&debian)?;
    let layer = scratch.path().join("layer.tar");
    let mut tar = RootTar::create(&layer)?;
    if let Some(kernel) = &image.kernel {
        kernel::write(&debian, kernel, scratch.path(), &mut tar)?;
    }
    tar.copy_selected(&debian, &image.selection(definition)?)?;
    write_extras(&mut tar, image, &packages, init_binary)?;
    tar.finish()?;
    layout.add_image(spec(image, &packages, layer)?)?;
    Ok(())
}

fn write_extras(tar: &mut RootTar, image: &Image, packages: &str, init_binary: &Path) -> Result<()> {
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

fn spec(image: &Image, packages: &str, layer: PathBuf) -> Result<ImageSpec<'static>> {
    let mut labels = BTreeMap::from([
        ("org.opencontainers.image.title".to_owned(), image.reference.clone()),
        ("org.opencontainers.image.description".to_owned(), image.about.trim().to_owned()),
        ("org.opencontainers.image.vendor".to_owned(), "Debian packages, put together by emts".to_owned()),
        ("emts.packages".to_owned(), packages.lines().collect::<Vec<_>>().join(",")),
    ]);
    if let Some(linuxkit) = &image.linuxkit {
        labels.insert("org.mobyproject.config".to_owned(), linuxkit.to_string());
    }
    Ok(ImageSpec {
        reference: image.reference.clone(),
        config: ImageConfig {
            entrypoint: image.entrypoint.clone(),
            cmd: image.cmd.clone(),
            env: image.env.clone(),
            working_dir: String::new(),
            labels,
        },
        layers: vec![LayerInput::Tar(layer)],
        compression: COMPRESSION,
    })
}
