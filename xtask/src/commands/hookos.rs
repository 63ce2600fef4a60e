//! `cargo xtask hookos`: boot files of a LinuxKit file, made by the built-in assembler, by
//! linuxkit, or by both and compared.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ::hookos::compare::{BootFiles, Comparison, compare};
use ::hookos::lock::Lock;
use ::hookos::oci::{ImageSource, Layout};
use ::hookos::{Request, assemble, opaque_folders, uki};
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::host::{self, Go};
use crate::linuxkit::LinuxKit;
use crate::stages::{self, Options, reference_images};
use crate::store::{Store, cache_dir};
use crate::{build, process, progress};

/// The exit code of what was not run: neither success nor failure, as Automake has it.
const NOT_RUN: u8 = 77;

/// Makes kernel, initrd.img, cmdline and hookos.efi of a LinuxKit file.
#[derive(Args, Default)]
pub struct Arguments {
    /// The LinuxKit file; several are merged from the first to the last [default: hookos/hook-os.yaml]
    #[arg(value_name = "DEFINITION")]
    definitions: Vec<PathBuf>,
    /// Where its images are, in place of those that the stages make: OCI layout folders or tars,
    /// or docker-archive tars; may be given several times
    #[arg(long, value_name = "PATH")]
    images: Vec<PathBuf>,
    /// Folder to write to [default: target/hookos]
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
    /// Resolve the tags of images from registries anew and write the lock file beside the
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

/// How registries are reached, for images that are nowhere else.
#[derive(Args, Default)]
struct Reach {
    /// Registry asked before another (REGISTRY=URL) or before all (URL)
    #[arg(long, value_name = "[REGISTRY=]URL")]
    mirror: Vec<String>,
    /// PEM file with certificates to trust beside the system's
    #[arg(long, value_name = "FILE")]
    ca: Vec<PathBuf>,
    /// Registry that is spoken to without TLS
    #[arg(long, value_name = "HOST[:PORT]")]
    plain_http: Vec<String>,
}

/// What puts the boot files together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Assembler {
    /// The crate `hookos`
    #[default]
    Builtin,
    /// The real linuxkit
    Linuxkit,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All was made, and nothing differs that should not.
    Done,
    /// The two builds differ, and the differences were printed.
    Different,
    /// There is no linuxkit, and this was printed.
    NotRun,
}

/// Builds, or builds twice and compares.
pub fn run(root: &Path, arguments: &Arguments) -> Result<ExitCode> {
    Ok(match carry_out(root, arguments)? {
        Outcome::Done => ExitCode::SUCCESS,
        Outcome::Different => ExitCode::FAILURE,
        Outcome::NotRun => ExitCode::from(NOT_RUN),
    })
}

/// The comparison of hook-os.yaml with the linuxkit in PATH.
pub fn comparison(root: &Path) -> Result<Outcome> {
    let arguments = Arguments {
        compare: true,
        ..Arguments::default()
    };
    carry_out(root, &arguments)
}

fn carry_out(root: &Path, arguments: &Arguments) -> Result<Outcome> {
    let mut definitions = Vec::new();
    for path in &arguments.definitions {
        definitions.push(fs_err::canonicalize(path)?);
    }
    if definitions.is_empty() {
        definitions.push(root.join("hookos/hook-os.yaml"));
    }
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => root.join("target/hookos"),
    };
    if !arguments.compare && arguments.assembler == Assembler::Builtin {
        let images = images(root, &definitions, arguments)?;
        let files = with_assembler(definitions, images, &out)?;
        publish(&files, &out, arguments)?;
        return Ok(Outcome::Done);
    }
    // Looked for before anything takes time.
    let cache = cache_dir()?.join("linuxkit");
    let Some(linuxkit) = LinuxKit::find(arguments.linuxkit.as_deref(), cache)? else {
        println!("not run: no linuxkit (--linuxkit PATH names one that is not in PATH)");
        return Ok(Outcome::NotRun);
    };
    println!("{}", linuxkit.version);
    let images = images(root, &definitions, arguments)?;
    let theirs = with_linuxkit(&linuxkit, &definitions, &images, &out.join("linuxkit"))?;
    if arguments.compare {
        return both(definitions, images, &out, &theirs);
    }
    publish(&theirs, &out, arguments)?;
    Ok(Outcome::Done)
}

/// The images given, else those that the stages make; what they lack comes from registries.
fn images(root: &Path, definitions: &[PathBuf], arguments: &Arguments) -> Result<ImageSource> {
    let mut folders = arguments.images.clone();
    if folders.is_empty() {
        folders = of_stages(root, arguments)?;
    }
    let mut images = ImageSource::open(&folders)?;
    let mut missing = ::hookos::references(definitions)?;
    missing.retain(|reference| !images.has(reference));
    if arguments.locked {
        check_locked(definitions, &missing)?;
    }
    if missing.is_empty() && !arguments.update_lock {
        return Ok(images);
    }
    let pulled = cache_dir()?.join("pulled");
    if arguments.update_lock || !all_pulled(definitions, &missing, &pulled)? {
        pull(root, definitions, &folders, &pulled, arguments)?;
    }
    images.add(Layout::open(&pulled)?);
    Ok(images)
}

/// The images that the stages make. Their Debian packages are locked, or the lock is renewed.
fn of_stages(root: &Path, arguments: &Arguments) -> Result<Vec<PathBuf>> {
    host::ensure(Go::Spared)?;
    let mut options = Options::default();
    if arguments.update_lock {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        options.newest_packages = Some(format!("newest at {} s", now.as_secs()));
    }
    let stages = (stages::hookos::STAGE.needs)(&options);
    let outputs = build::produce(root, &Store::of_user()?, &options, stages)?;
    if arguments.update_lock {
        let packages = outputs
            .folder(reference_images::STAGE.name)?
            .join(reference_images::PACKAGES);
        let lock = root.join(reference_images::lock::FILE);
        fs_err::write(&lock, fs_err::read(packages)?)?;
        println!("wrote {}", lock.display());
    }
    let notes: Vec<&str> = outputs
        .runs
        .iter()
        .flat_map(|run| run.notes.iter().map(String::as_str))
        .collect();
    ensure!(
        !arguments.locked || notes.is_empty(),
        "not everything is as locked, and --locked was given:\n{}\n`cargo xtask hookos --update-lock` renews the lock",
        notes.join("\n")
    );
    stages
        .iter()
        .map(|stage| Ok(outputs.folder(stage)?.to_owned()))
        .collect()
}

/// With `--locked` no tag is resolved.
fn check_locked(definitions: &[PathBuf], references: &[String]) -> Result<()> {
    let path = Lock::path_of(&definitions[0]);
    let lock = Lock::read(&path)?;
    let unlocked = references.iter().find(|it| lock.get(it).is_none());
    match unlocked {
        Some(reference) => bail!(
            "{} has no digest of {reference}, and --locked was given; --update-lock writes one",
            path.display()
        ),
        None => Ok(()),
    }
}

/// Whether every image is there with the digest that the lock file has for it.
fn all_pulled(definitions: &[PathBuf], references: &[String], pulled: &Path) -> Result<bool> {
    let lock = Lock::read(&Lock::path_of(&definitions[0]))?;
    let Ok(layout) = Layout::open(pulled) else {
        return Ok(false);
    };
    Ok(references.iter().all(|reference| {
        lock.get(reference)
            .is_some_and(|digest| layout.has_digest(reference, digest))
    }))
}

/// Pulls with the program `hookos`: an HTTP client and TLS have no place in this one.
fn pull(
    root: &Path,
    definitions: &[PathBuf],
    folders: &[PathBuf],
    into: &Path,
    arguments: &Arguments,
) -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root)
        .args(["run", "--quiet", "--locked", "--package", "hookos"])
        .args(["--", "pull"])
        .args(definitions)
        .arg("--into")
        .arg(into);
    for folder in folders {
        command.arg("--images").arg(fs_err::canonicalize(folder)?);
    }
    if arguments.update_lock {
        command.arg("--update-lock");
    }
    let reach = &arguments.reach;
    for (flag, values) in [
        ("--mirror", &reach.mirror),
        ("--plain-http", &reach.plain_http),
    ] {
        values.iter().for_each(|value| {
            command.arg(flag).arg(value);
        });
    }
    for file in &reach.ca {
        command.arg("--ca").arg(fs_err::canonicalize(file)?);
    }
    process::run(&mut command).context("pulling images from registries")
}

fn with_assembler(definitions: Vec<PathBuf>, images: ImageSource, out: &Path) -> Result<BootFiles> {
    let begun = Instant::now();
    let mut request = Request::new("", images, out);
    request.definitions = definitions;
    request.cache = Some(cache_dir()?.join("hookos"));
    let files = assembled(&request)?;
    println!(
        "assembled in {}",
        progress::short(begun.elapsed().as_secs_f64())
    );
    Ok(files)
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
    definitions: &[PathBuf],
    images: &ImageSource,
    out: &Path,
) -> Result<BootFiles> {
    // It leaves files of an earlier build that this one does not make.
    if out.exists() {
        fs_err::remove_dir_all(out)?;
    }
    fs_err::create_dir_all(out)?;
    linuxkit.import(images, definitions)?;
    let begun = Instant::now();
    process::run(&mut linuxkit.build(definitions, out)?)?;
    println!(
        "linuxkit built in {}",
        progress::short(begun.elapsed().as_secs_f64())
    );
    Ok(LinuxKit::outputs(out))
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
    stages::hookos::efi(&kernel, &initrd, &cmdline, &efi)?;
    if let (Some(key), Some(certificate)) = (&arguments.sign_key, &arguments.sign_cert) {
        uki::sign(&efi, key, certificate)?;
    }
    place(&efi, "hookos.efi")?;
    Ok(())
}

fn both(
    definitions: Vec<PathBuf>,
    images: ImageSource,
    out: &Path,
    theirs: &BootFiles,
) -> Result<Outcome> {
    let mut request = Request::new("", images, out.join("builtin"));
    request.definitions = definitions;
    request.cache = Some(cache_dir()?.join("hookos"));
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
