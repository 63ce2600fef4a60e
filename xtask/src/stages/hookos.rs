//! Stage `hookos`: kernel, initrd and command line from `hook-os.yaml`, and all three as one EFI executable.

use std::path::Path;

use ::hookos::oci::ImageSource;
use ::hookos::{Request, assemble, uki};
use anyhow::{Context as _, Result};

use super::{Context, Stage, sources};
use crate::signing::Signing;
use crate::store;

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
    needs: |_| {
        &[
            "reference-images",
            "bootstrapper-image",
            "disk-writer-image",
        ]
    },
    inputs: |root, options| {
        let mut inputs = sources(
            root,
            &[
                "hookos/hook-os.yaml",
                "hookos/files",
                "hookos/assembler/src",
            ],
        );
        inputs.extend(sources(root, &["xtask/src/stages/hookos.rs"]));
        inputs.push(super::Input::Path(STUB.into()));
        inputs.extend(Signing::inputs(options.signing.as_ref())?);
        // The whole folder: the files that it takes are beside it.
        let before = options.before_hookos.as_deref().and_then(Path::parent);
        inputs.extend(before.map(|folder| super::Input::Path(folder.into())));
        Ok(inputs)
    },
    build,
};

fn build(context: &Context) -> Result<()> {
    let images = ImageSource::open([
        context.need("reference-images")?,
        context.need("bootstrapper-image")?,
        context.need("disk-writer-image")?,
    ])?;
    let folder = context.root.join("hookos");
    let definition = folder.join("hook-os.yaml");
    let mut request = Request::new(&definition, images, &context.out);
    request.base = Some(folder);
    request
        .definitions
        .splice(..0, context.options.before_hookos.clone());
    // Compressed parts are kept by digest: after an edit only what changed is compressed anew.
    request.cache = Some(store::cache_dir()?.join("hookos"));
    let report = assemble(&request)?;
    for warning in &report.warnings {
        eprintln!("warning: {}", request.located(warning));
    }
    let kernel = report
        .kernel
        .with_context(|| format!("{} has no kernel section", definition.display()))?;
    let cmdline = fs_err::read_to_string(&report.cmdline)?;
    let image = context.out.join("hookos.efi");
    efi(&kernel, &report.initrd, &cmdline, &image)?;
    match &context.options.signing {
        Some(signing) => signing.sign(&image),
        None => Ok(()),
    }
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
