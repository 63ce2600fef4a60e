//! `hookos pull`: images of a LinuxKit file that no local source has, from registries.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use hookos::lock::Lock;
use hookos::oci::{ImageSource, Layout, LayoutWriter};
use hookos::registry::{Mirror, Registries, Settings};

/// What `pull` takes.
#[derive(Args)]
pub struct Arguments {
    /// The LinuxKit file; several are merged. The lock file is beside the first, named like it with
    /// the extension `lock`.
    #[arg(required = true, value_name = "DEFINITION")]
    definitions: Vec<PathBuf>,
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

/// Pulls what is missing and keeps the lock file.
pub fn run(arguments: Arguments) -> Result<()> {
    let path = Lock::path_of(&arguments.definitions[0]);
    let before = Lock::read(&path)?;
    let local = ImageSource::open(&arguments.images)?;
    let references = hookos::references(&arguments.definitions)?;
    let mut lock = before.clone();
    lock.retain(|locked| references.iter().any(|reference| reference == locked));
    let mut layout = LayoutWriter::create(&arguments.into)?;
    let pulled = Layout::open(&arguments.into)?;
    let registries = Registries::new(&Settings {
        mirrors: arguments.reach.mirror,
        plain_http: arguments.reach.plain_http,
        certificates: arguments.reach.ca,
    })?;
    for reference in references.iter().filter(|reference| !local.has(reference)) {
        let locked = lock.get(reference).filter(|_| !arguments.update_lock);
        if let Some(digest) = locked
            && pulled.has_digest(reference, digest)
        {
            println!("{reference} {digest}: present");
            continue;
        }
        let digest = registries.pull(reference, locked, &mut layout)?;
        println!("{reference} {digest}: pulled");
        lock.set(reference, &digest);
    }
    if lock != before {
        lock.write(&path)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}
