//! The assembly: definition and images in, kernel, initrd and command line out.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::boot::Boot;
use crate::error::located;
use crate::linuxkit::{self, Definition, Diagnostic, Plan};
use crate::oci::{self, ImageSource};
use crate::parts::{FOLDER, Part, Parts};
use crate::tree::TarWriter;
use crate::{Error, Result, unpack};

/// zstd level of the initrd: higher ones cost much time and save little.
pub const DEFAULT_LEVEL: i32 = 3;

/// What to assemble, of what, and where to.
#[derive(Debug)]
pub struct Request {
    /// The LinuxKit files, merged from the first to the last; one is usual.
    pub definitions: Vec<PathBuf>,
    /// Where its images are.
    pub images: ImageSource,
    /// Folder for `kernel`, `initrd.img` and `cmdline`; made if missing.
    pub out: PathBuf,
    /// Folder in which compressed parts are kept between builds; none: nothing is kept.
    pub cache: Option<PathBuf>,
    /// What `source:` of files is relative to; none: the folder of the (first) LinuxKit file. (LinuxKit
    /// itself takes the working directory of its process.)
    pub base: Option<PathBuf>,
    /// zstd level of the initrd, 1 to 19.
    pub level: i32,
    /// Write the whole tree as `tree.tar` too.
    pub tar: bool,
}

impl Request {
    /// A request with the defaults: no cache, no tar.
    pub fn new(
        definition: impl Into<PathBuf>,
        images: ImageSource,
        out: impl Into<PathBuf>,
    ) -> Self {
        Self {
            definitions: vec![definition.into()],
            images,
            out: out.into(),
            cache: None,
            base: None,
            level: DEFAULT_LEVEL,
            tar: false,
        }
    }

    /// A diagnostic behind the path of its file: `PATH:LINE:COLUMN: MESSAGE`.
    pub fn located(&self, diagnostic: &Diagnostic) -> String {
        located(&self.definitions, diagnostic)
    }
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Report {
    /// `kernel`; none if the definition has none.
    pub kernel: Option<PathBuf>,
    /// `initrd.img`.
    pub initrd: PathBuf,
    /// `cmdline`, without a newline; empty if there is no kernel.
    pub cmdline: PathBuf,
    /// `tree.tar`, if it was asked for.
    pub tar: Option<PathBuf>,
    /// Traps that LinuxKit walks into silently, with their place in the file.
    pub warnings: Vec<Diagnostic>,
    /// The parts of the initrd, in their order.
    pub parts: Vec<Part>,
}

/// Assembles. The same definition and images give the same bytes, on any machine, at any time.
///
/// # Errors
/// [`Error::Definition`] with every error of the file; [`Error::Image`] for an image that cannot
/// be unpacked or tries to leave its root; [`Error::Kernel`]; [`Error::Io`].
pub fn assemble(request: &Request) -> Result<Report> {
    let (plan, mut warnings) = make_plan(request)?;
    fs_err::create_dir_all(&request.out)?;
    let work = tempfile::Builder::new()
        .prefix(".assembling-")
        .tempdir_in(&request.out)?;
    let cache = match &request.cache {
        Some(cache) => cache.join(FOLDER),
        None => work.path().join(FOLDER),
    };
    fs_err::create_dir_all(&cache)?;
    let mut boot = Boot::new(work.path());
    let parts = write_initrd(
        &plan,
        &Parts {
            cache: &cache,
            level: request.level,
        },
        &mut boot,
        work.path(),
    )?;
    for (part, piece) in parts.iter().zip(&plan.pieces) {
        let position = unpack::position(piece);
        let warning = |message| Diagnostic::new(position, format!("{}: {message}", part.name));
        warnings.extend(part.warnings.iter().map(warning));
    }
    let tar = request
        .tar
        .then(|| write_tar(&plan, work.path()))
        .transpose()?;
    let cmdline = match boot.file("cmdline") {
        Some(path) => path,
        None => {
            let path = work.path().join("cmdline");
            fs_err::write(&path, "")?;
            path
        }
    };
    let publish = |from: PathBuf, name: &str| -> Result<PathBuf> {
        let to = request.out.join(name);
        fs_err::rename(from, &to)?;
        Ok(to)
    };
    Ok(Report {
        kernel: match boot.file("kernel") {
            Some(kernel) => Some(publish(kernel, "kernel")?),
            None => remove_stale(&request.out.join("kernel"))?,
        },
        initrd: publish(work.path().join("initrd.img"), "initrd.img")?,
        cmdline: publish(cmdline, "cmdline")?,
        tar: match tar {
            Some(tar) => Some(publish(tar, "tree.tar")?),
            None => remove_stale(&request.out.join("tree.tar"))?,
        },
        warnings,
        parts,
    })
}

/// An output of an earlier build that this one does not have.
fn remove_stale(path: &Path) -> Result<Option<PathBuf>> {
    if path.exists() {
        fs_err::remove_file(path)?;
    }
    Ok(None)
}

/// Reads and checks a definition against the images, without building anything; gives its
/// warnings.
///
/// # Errors
/// [`Error::Definition`] and [`Error::Io`].
pub fn check(request: &Request) -> Result<Vec<Diagnostic>> {
    make_plan(request).map(|(_, warnings)| warnings)
}

/// The canonical references of all images that definitions name, sorted.
///
/// # Errors
/// [`Error::Definition`] and [`Error::Io`].
pub fn references(definitions: &[PathBuf]) -> Result<Vec<String>> {
    let (definition, _) = read(definitions)?;
    let named = definition.images().map(|(reference, position)| {
        oci::canonical(reference).map_err(|error| Diagnostic::new(position, error.to_string()))
    });
    let mut references = named
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| refused(definitions, vec![error]))?;
    references.sort();
    references.dedup();
    Ok(references)
}

/// The files of this machine that definitions take into the tree (`source:`), sorted; relative ones are below `base`.
///
/// # Errors
/// [`Error::Definition`] and [`Error::Io`].
pub fn sources(definitions: &[PathBuf], base: &Path) -> Result<Vec<PathBuf>> {
    let (definition, _) = read(definitions)?;
    let mut sources: Vec<PathBuf> = definition
        .sources()
        .map(|source| linuxkit::locate(source, base))
        .collect();
    sources.sort();
    sources.dedup();
    Ok(sources)
}

/// Writes copies of definitions to the directory `out`, with `images` in place of what is in their `init` lists. Give
/// the directory of the first original as [`Request::base`]: their `source:` stays relative to it.
///
/// # Errors
/// [`Error::Definition`] for a file whose list cannot be replaced, and [`Error::Io`].
pub fn derive(definitions: &[PathBuf], images: &[String], out: &Path) -> Result<Vec<PathBuf>> {
    fs_err::create_dir_all(out)?;
    let mut copies = Vec::new();
    for (index, path) in definitions.iter().enumerate() {
        // The merge joins the lists: one file has it, the others none.
        let images = if index == 0 { images } else { &[] };
        let text = fs_err::read_to_string(path)?;
        let text = linuxkit::with_init(&text, images)
            .map_err(|error| refused(std::slice::from_ref(path), vec![error]))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let copy = match index {
            0 => out.join(&*name),
            _ => out.join(format!("{index}-{name}")),
        };
        fs_err::write(&copy, text)?;
        copies.push(copy);
    }
    Ok(copies)
}

/// The folders of the tree that an upper layer of their image marks opaque. LinuxKit does not
/// honour that, so its tree has more below them.
///
/// # Errors
/// Those of [`assemble`].
pub fn opaque_folders(request: &Request) -> Result<BTreeSet<String>> {
    let (plan, _) = make_plan(request)?;
    let spool = tempfile::tempdir()?;
    let mut folders = BTreeSet::new();
    for piece in &plan.pieces {
        folders.extend(unpack::opaque_folders(piece, spool.path())?);
    }
    Ok(folders)
}

fn refused(paths: &[PathBuf], mut errors: Vec<Diagnostic>) -> Error {
    errors.sort_by_key(|error| error.position);
    // Read again for the lines that are shown; what cannot be read is shown without them.
    let sources = paths
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap_or_default());
    Error::Definition {
        paths: paths.into(),
        sources: sources.collect(),
        diagnostics: errors,
    }
}

fn read(definitions: &[PathBuf]) -> Result<(Definition, Vec<Diagnostic>)> {
    let texts = definitions.iter().map(fs_err::read_to_string);
    let texts = texts.collect::<io::Result<Vec<String>>>()?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Definition::parse(&texts).map_err(|errors| refused(definitions, errors))
}

fn make_plan(request: &Request) -> Result<(Plan, Vec<Diagnostic>)> {
    let (definition, mut warnings) = read(&request.definitions)?;
    let first = request.definitions.first().and_then(|path| path.parent());
    let own = first.unwrap_or(Path::new(""));
    let base = request.base.as_deref().unwrap_or(own);
    let (plan, diagnostics) = linuxkit::plan(&definition, &request.images, base);
    if !diagnostics.errors.is_empty() {
        return Err(refused(&request.definitions, diagnostics.errors));
    }
    warnings.extend(diagnostics.warnings);
    warnings.sort_by_key(|warning| warning.position);
    Ok((plan, warnings))
}

fn write_initrd(plan: &Plan, parts: &Parts<'_>, boot: &mut Boot, work: &Path) -> Result<Vec<Part>> {
    let body = work.join("initrd.body");
    let mut file = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .open(&body)?
        .into_parts()
        .0;
    let mut made = Vec::new();
    for piece in &plan.pieces {
        made.push(parts.append(piece, &mut file, boot)?);
    }
    file.flush()?;
    drop(file);
    let initrd = work.join("initrd.img");
    let Some(ucode) = boot.file("ucode.cpio") else {
        fs_err::rename(body, initrd)?;
        return Ok(made);
    };
    // Microcode stands uncompressed before all else.
    let mut out = fs_err::File::create(initrd)?;
    io::copy(&mut fs_err::File::open(ucode)?, &mut out)?;
    io::copy(&mut fs_err::File::open(body)?, &mut out)?;
    Ok(made)
}

fn write_tar(plan: &Plan, work: &Path) -> Result<PathBuf> {
    let path = work.join("tree.tar");
    let mut tar = TarWriter::new(BufWriter::with_capacity(
        1 << 20,
        fs_err::File::create(&path)?,
    ));
    for piece in &plan.pieces {
        unpack::write(piece, work, &mut tar)?;
    }
    tar.finish()?.flush()?;
    Ok(path)
}
