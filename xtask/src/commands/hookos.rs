//! `cargo xtask hookos`: boot files of a LinuxKit file, made by the built-in assembler, by
//! linuxkit, or by both and compared.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use ::hookos::compare::{BootFiles, Comparison, compare};
use ::hookos::oci::{ImageSource, Layout};
use ::hookos::{Request, assemble, opaque_folders, uki};
use anyhow::{Context, Result};
use clap::Args;
use pipeline::cache;
use pipeline::choice::Options;
use pipeline::linuxkit::LinuxKit;
use pipeline::linuxkit_files::{DEFINITION, lock_of};
use pipeline::progress;
use pipeline::stages::{self, boot_files};

use crate::hookos_parts::{Assembler, Init};
use crate::host::{self, Go};
use crate::locks::{require_locked, this_moment, update_locks};
use crate::project::Project;
use crate::registry::{Locking, Pull, Reach};

/// Makes kernel, initrd.img, cmdline and hookos.efi of a LinuxKit file.
#[derive(Args, Default)]
pub struct Arguments {
    /// The LinuxKit file; several are merged from the first to the last [default: hookos/hook-os.yaml]
    #[arg(value_name = "DEFINITION")]
    definitions: Vec<PathBuf>,
    /// Whose images are in its `init` list [default: those that it names]
    #[arg(long, value_enum, value_name = "WHOSE")]
    hookos_init: Option<Init>,
    /// Where its images are, in place of those that the stages make (with --hookos-init linuxkit before them): OCI
    /// layout directories or tars, or docker-archive tars; may be given several times
    #[arg(long, value_name = "PATH")]
    images: Vec<PathBuf>,
    /// Directory to write to [default: target/hookos]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What puts the files together
    #[arg(long, value_enum, default_value_t)]
    assembler: Assembler,
    /// The real linuxkit [default: the one in PATH]
    #[arg(long, value_name = "PATH")]
    linuxkit: Option<PathBuf>,
    /// Build with both assemblers and print what differs; fails on differences that
    /// docs/hookos.md does not list
    #[arg(long)]
    compare: bool,
    /// Private key (PEM) to sign hookos.efi with for Secure Boot
    #[arg(long, value_name = "FILE", requires = "sign_cert")]
    sign_key: Option<PathBuf>,
    /// Certificate (PEM) of that key
    #[arg(long, value_name = "FILE", requires = "sign_key")]
    sign_cert: Option<PathBuf>,
    /// Resolve the tags of images from registries again and write the lock file beside the
    /// LinuxKit file; without --images also take the newest Debian packages for the reference
    /// images and write hookos/images.lock
    #[arg(long)]
    update_lock: bool,
    /// Fail where an image from a registry or a Debian package is not the one in its lock file
    #[arg(long, conflicts_with = "update_lock")]
    locked: bool,
    #[command(flatten)]
    reach: Reach,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All was made, and nothing differs that should not.
    Done,
    /// The two builds differ, and the differences were printed.
    Different,
}

/// Builds, or builds twice and compares.
pub fn run(project: Project<'_>, arguments: &Arguments) -> Result<ExitCode> {
    Ok(match carry_out(project, arguments)? {
        Outcome::Done => ExitCode::SUCCESS,
        Outcome::Different => ExitCode::FAILURE,
    })
}

/// The comparison of hook-os.yaml with the linuxkit in PATH.
///
/// # Errors
/// [`NotRun`](pipeline::not_run::NotRun) where there is none.
pub fn comparison(project: Project<'_>) -> Result<Outcome> {
    let arguments = Arguments {
        compare: true,
        ..Arguments::default()
    };
    carry_out(project, &arguments)
}

fn carry_out(project: Project<'_>, arguments: &Arguments) -> Result<Outcome> {
    let root = project.root;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => root.join("target/hookos"),
    };
    // Looked for before anything takes time.
    let linuxkit = match arguments.compare || arguments.assembler == Assembler::Linuxkit {
        true => Some(LinuxKit::needed(arguments.linuxkit.as_deref())?),
        false => None,
    };
    let files = Files::of(root, arguments, &out)?;
    let images = images(project, &files, arguments)?;
    let Some(linuxkit) = linuxkit else {
        publish(&with_assembler(files, images, &out)?, &out, arguments)?;
        return Ok(Outcome::Done);
    };
    println!("{}", linuxkit.version);
    let theirs = with_linuxkit(&linuxkit, &files, &images, &out.join("linuxkit"))?;
    if arguments.compare {
        return both(files, images, &out, &theirs);
    }
    publish(&theirs, &out, arguments)?;
    Ok(Outcome::Done)
}

/// The LinuxKit files of a run.
struct Files {
    /// Themselves, or copies with another `init` list.
    definitions: Vec<PathBuf>,
    /// What their `source:` is relative to.
    base: PathBuf,
    /// The lock file of their images.
    lock: PathBuf,
}

impl Files {
    fn of(root: &Path, arguments: &Arguments, out: &Path) -> Result<Self> {
        let mut definitions = Vec::new();
        for path in &arguments.definitions {
            definitions.push(fs_err::canonicalize(path)?);
        }
        if definitions.is_empty() {
            definitions.push(root.join(DEFINITION));
        }
        let first = definitions[0].clone();
        let init = match arguments.hookos_init {
            Some(whose) => whose.images(root)?,
            None => None,
        };
        if let Some(images) = &init {
            definitions = ::hookos::derive(&definitions, images, &out.join("definition"))?;
        }
        Ok(Self {
            definitions,
            base: first.parent().unwrap_or(Path::new("/")).to_owned(),
            lock: lock_of(&first, init.is_some()),
        })
    }

    fn request(self, images: ImageSource, out: &Path) -> Result<Request> {
        let mut request = Request::new("", images, out);
        request.definitions = self.definitions;
        request.base = Some(self.base);
        request.cache = Some(cache::directory()?.join("hookos"));
        Ok(request)
    }
}

/// The images given, or those that the stages make; what they lack comes from registries.
fn images(project: Project<'_>, files: &Files, arguments: &Arguments) -> Result<ImageSource> {
    let mut directories = arguments.images.clone();
    if directories.is_empty() || arguments.hookos_init == Some(Init::Linuxkit) {
        directories.extend(of_stages(project, arguments)?);
    }
    let mut images = ImageSource::open(&directories)?;
    let mut missing = ::hookos::references(&files.definitions)?;
    missing.retain(|reference| !images.has(reference));
    let locking = match (arguments.update_lock, arguments.locked) {
        (true, _) => Locking::Update,
        (_, true) => Locking::Strict,
        _ => Locking::Keep,
    };
    if missing.is_empty() && locking != Locking::Update {
        return Ok(images);
    }
    let pull = Pull {
        root: project.root,
        cancel: project.cancel,
        definitions: &files.definitions,
        lock: &files.lock,
        local: &directories,
        except: &[],
        locking,
        reach: &arguments.reach,
    };
    images.add(Layout::open(pull.layout(&missing)?)?);
    Ok(images)
}

/// The images that the stages make. Their Debian packages are locked, or the lock is renewed.
fn of_stages(project: Project<'_>, arguments: &Arguments) -> Result<Vec<PathBuf>> {
    host::ensure(Go::Spared, project.cancel)?;
    let mut options = Options::default();
    if arguments.update_lock {
        options.newest_packages = Some(this_moment()?);
    }
    let stages = (stages::hookos::STAGE.needs)(&options);
    let outputs = project.produce(&options, stages)?;
    if arguments.update_lock {
        update_locks(project.root, &outputs)?;
    }
    if arguments.locked {
        require_locked(&outputs)?;
    }
    stages
        .iter()
        .map(|stage| Ok(outputs.directory(stage)?.to_owned()))
        .collect()
}

fn with_assembler(files: Files, images: ImageSource, out: &Path) -> Result<BootFiles> {
    let begun = Instant::now();
    let made = assembled(&files.request(images, out)?)?;
    println!(
        "assembled in {}",
        progress::short(begun.elapsed().as_secs_f64())
    );
    Ok(made)
}

fn assembled(request: &Request) -> Result<BootFiles> {
    let report = assemble(request)?;
    for warning in &report.warnings {
        eprintln!("warning: {}", request.located(warning));
    }
    for part in &report.parts {
        let origin = if part.cached { "cached" } else { "made" };
        println!(
            "{:>12}  {origin:<6}  {}",
            progress::bytes(part.size),
            part.name
        );
    }
    Ok(BootFiles {
        kernel: report.kernel,
        initrd: report.initrd,
        cmdline: Some(report.cmdline),
    })
}

fn with_linuxkit(
    linuxkit: &LinuxKit,
    files: &Files,
    images: &ImageSource,
    out: &Path,
) -> Result<BootFiles> {
    let begun = Instant::now();
    let made = linuxkit.make(&files.definitions, &files.base, images, out)?;
    println!(
        "linuxkit imported the images and built in {}",
        progress::short(begun.elapsed().as_secs_f64())
    );
    Ok(made)
}

/// Gives the files their usual names in `out`, makes hookos.efi of them, and lists them.
fn publish(files: &BootFiles, out: &Path, arguments: &Arguments) -> Result<()> {
    let place = |from: &Path, name: &str| -> Result<PathBuf> {
        let to = out.join(name);
        if from != to {
            fs_err::copy(from, &to)?;
        }
        println!(
            "{:>12}  {}",
            progress::bytes(fs_err::metadata(&to)?.len()),
            to.display()
        );
        Ok(to)
    };
    let initrd = place(&files.initrd, "initrd.img")?;
    let cmdline = match &files.cmdline {
        Some(cmdline) => fs_err::read_to_string(place(cmdline, "cmdline")?)?,
        None => String::new(),
    };
    let Some(kernel) = &files.kernel else {
        for name in ["kernel", "hookos.efi"] {
            // Of an earlier build with another LinuxKit file.
            let _ = fs_err::remove_file(out.join(name));
        }
        println!("no hookos.efi: the LinuxKit file has no kernel section");
        return Ok(());
    };
    let kernel = place(kernel, "kernel")?;
    let efi = out.join("hookos.efi");
    stages::hookos::efi(boot_files::stub().path(), &kernel, &initrd, &cmdline, &efi)?;
    if let (Some(key), Some(certificate)) = (&arguments.sign_key, &arguments.sign_cert) {
        uki::sign(&efi, key, certificate)?;
    }
    place(&efi, "hookos.efi")?;
    Ok(())
}

fn both(files: Files, images: ImageSource, out: &Path, theirs: &BootFiles) -> Result<Outcome> {
    let request = files.request(images, &out.join("builtin"))?;
    let ours = assembled(&request)?;
    let opaque = opaque_folders(&request)?;
    let comparison = compare(theirs, &ours, &opaque).context("comparing the two builds")?;
    Ok(if tell(&comparison) {
        Outcome::Done
    } else {
        Outcome::Different
    })
}

/// Prints a comparison; true if every difference is on the documented list.
fn tell(comparison: &Comparison) -> bool {
    for difference in comparison.unexpected() {
        println!("{}: {}", difference.path, difference.what);
    }
    for (point, count) in comparison.documented() {
        println!("documented ({point}): {count}");
    }
    let unexpected = comparison.unexpected().count();
    println!(
        "compared {} paths, kernel and command line: {unexpected} differences that are not documented",
        comparison.paths
    );
    unexpected == 0
}
