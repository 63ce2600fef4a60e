//! `hookos pull`: images of a LinuxKit file that no local source has, from registries.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use hookos::lock::Lock;
use hookos::oci::{ImageSource, Layout, LayoutWriter, canonical};
use hookos::registry::{Error, Mirror, Registries, Settings};

/// The exit status when images cannot be had: `EX_UNAVAILABLE` of sysexits.h.
const UNAVAILABLE: u8 = 69;

/// What `pull` takes.
#[derive(Args)]
pub struct Arguments {
    /// The LinuxKit file; several are merged.
    #[arg(required = true, value_name = "DEFINITION")]
    definitions: Vec<PathBuf>,
    /// Lock file [default: beside the first LinuxKit file, named like it with the extension `lock`].
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// An image that is made elsewhere and not pulled; may be given several times.
    #[arg(long, value_name = "REFERENCE")]
    except: Vec<String>,
    /// OCI layout folders or tars, or docker-archive tars: what they have is not pulled; may be
    /// given several times.
    #[arg(long, value_name = "PATH")]
    images: Vec<PathBuf>,
    /// OCI layout folder to pull into; made if missing.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// Resolve every tag anew and write the lock file.
    #[arg(long)]
    update_lock: bool,
    #[command(flatten)]
    reach: Reach,
}

/// How registries are reached.
#[derive(Args)]
struct Reach {
    /// Registry asked before another (REGISTRY=URL) or before all (URL); may be given several
    /// times, the first is asked first.
    #[arg(long, value_name = "[REGISTRY=]URL")]
    mirror: Vec<Mirror>,
    /// PEM file with certificates to trust beside the system's; may be given several times.
    #[arg(long, value_name = "FILE")]
    ca: Vec<PathBuf>,
    /// Registry that is spoken to without TLS; may be given several times.
    #[arg(long, value_name = "HOST[:PORT]")]
    plain_http: Vec<String>,
}

/// Pulls what is missing and keeps the lock file. Ends with [`UNAVAILABLE`] when images are nowhere to be had, all of
/// which are named.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let path = match &arguments.lock {
        Some(path) => path.clone(),
        None => Lock::path_of(&arguments.definitions[0]),
    };
    let before = Lock::read(&path)?;
    let references = hookos::references(&arguments.definitions)?;
    let mut lock = before.clone();
    lock.retain(|locked| references.iter().any(|reference| reference == locked));
    let wanted = wanted(&references, &arguments)?;
    let unavailable = pull(&wanted, &arguments, &mut lock)?;
    // What could be pulled stays locked to what it was.
    if lock != before {
        lock.write(&path)?;
        println!("wrote {}", path.display());
    }
    for error in &unavailable {
        eprintln!("{error}");
    }
    Ok(if unavailable.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(UNAVAILABLE)
    })
}

/// The images that neither a local source has nor `--except` names.
fn wanted<'a>(references: &'a [String], arguments: &Arguments) -> Result<Vec<&'a String>> {
    let local = ImageSource::open(&arguments.images)?;
    let mut except = Vec::new();
    for reference in &arguments.except {
        except.push(canonical(reference)?);
    }
    let wanted = references.iter();
    Ok(wanted
        .filter(|reference| !local.has(reference) && !except.contains(reference))
        .collect())
}

/// Pulls into the layout and locks what was pulled; gives the failures of those that are nowhere to be had.
fn pull(references: &[&String], arguments: &Arguments, lock: &mut Lock) -> Result<Vec<Error>> {
    let mut layout = LayoutWriter::create(&arguments.into)?;
    let pulled = Layout::open(&arguments.into)?;
    let reach = &arguments.reach;
    let registries = Registries::new(&Settings {
        mirrors: reach.mirror.clone(),
        plain_http: reach.plain_http.clone(),
        certificates: reach.ca.clone(),
    })?;
    let mut unavailable = Vec::new();
    for reference in references {
        let locked = lock.get(reference).filter(|_| !arguments.update_lock);
        if let Some(digest) = locked
            && pulled.has_digest(reference, digest)
        {
            println!("{reference} {digest}: present");
            continue;
        }
        match registries.pull(reference, locked, &mut layout) {
            Ok(digest) => {
                println!("{reference} {digest}: pulled");
                lock.set(reference, &digest);
            }
            Err(error) if error.is_unavailable() => unavailable.push(error),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(unavailable)
}
