//! `hookos`: the assembler on the command line.

#[cfg(feature = "registry")]
mod pull;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use hookos::oci::ImageSource;
use hookos::{DEFAULT_LEVEL, Request};

/// Assembles boot files from a LinuxKit definition and OCI images.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make kernel, initrd.img and cmdline.
    Build {
        /// The LinuxKit file; several are merged from the first to the last.
        #[arg(required = true, value_name = "DEFINITION")]
        definitions: Vec<PathBuf>,
        /// OCI layout folders or tars, or docker-archive tars; may be given several times.
        #[arg(long, required = true, value_name = "PATH")]
        images: Vec<PathBuf>,
        /// Folder to write to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Folder that keeps compressed parts between builds.
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
        /// Folder that `source:` of files is relative to [default: that of the first LinuxKit file].
        #[arg(long, value_name = "DIR")]
        base: Option<PathBuf>,
        /// zstd level of the initrd.
        #[arg(long, default_value_t = DEFAULT_LEVEL, value_parser = clap::value_parser!(i32).range(1..=19))]
        level: i32,
        /// Write the whole tree as tree.tar too.
        #[arg(long)]
        tar: bool,
    },
    /// Check a LinuxKit file against its images and build nothing.
    Check {
        /// The LinuxKit file; several are merged from the first to the last.
        #[arg(required = true, value_name = "DEFINITION")]
        definitions: Vec<PathBuf>,
        /// OCI layout folders or tars, or docker-archive tars; may be given several times.
        #[arg(long, required = true, value_name = "PATH")]
        images: Vec<PathBuf>,
    },
    /// List the references of images.
    Images {
        /// OCI layout folders or tars, or docker-archive tars.
        #[arg(required = true)]
        images: Vec<PathBuf>,
    },
    /// Pull the images that no local source has from registries, by the digests of the lock file.
    ///
    /// Credentials are those of Docker: $DOCKER_CONFIG/config.json or ~/.docker/config.json and the
    /// credential helpers it names. Registries are spoken to over TLS unless --plain-http names
    /// them. What has no digest in the lock file yet is resolved once and written there.
    #[cfg(feature = "registry")]
    Pull(pull::Arguments),
    /// Remove parts from a cache that no build has used for a time.
    Prune {
        /// The folder that `build --cache` was given.
        #[arg(long, value_name = "DIR")]
        cache: PathBuf,
        /// Days since the last use.
        #[arg(long, value_name = "DAYS")]
        older_than: u32,
    },
    /// Make one UEFI executable of stub, kernel, initrd and command line.
    Uki {
        /// systemd's linuxx64.efi.stub.
        #[arg(long)]
        stub: PathBuf,
        /// The kernel.
        #[arg(long)]
        kernel: PathBuf,
        /// The initrd.
        #[arg(long)]
        initrd: PathBuf,
        /// File with the kernel's command line.
        #[arg(long)]
        cmdline: PathBuf,
        /// The os-release text.
        #[arg(long, default_value = "ID=hookos\nNAME=HookOS\n")]
        os_release: String,
        /// Private key (PEM) to sign it with for Secure Boot, by sbsign.
        #[arg(long, value_name = "FILE", requires = "sign_cert")]
        sign_key: Option<PathBuf>,
        /// Certificate (PEM) of the key.
        #[arg(long, value_name = "FILE", requires = "sign_key")]
        sign_cert: Option<PathBuf>,
        /// File to write.
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> Result<ExitCode> {
    let done = match Cli::parse().command {
        Command::Build {
            definitions,
            images,
            out,
            cache,
            base,
            level,
            tar,
        } => {
            let images = ImageSource::open(images)?;
            build(&Request {
                definitions,
                images,
                out,
                cache,
                base,
                level,
                tar,
            })
        }
        Command::Check {
            definitions,
            images,
        } => {
            let mut request = Request::new("", ImageSource::open(images)?, "");
            request.definitions = definitions;
            for warning in hookos::check(&request)? {
                eprintln!("warning: {}", request.located(&warning));
            }
            Ok(())
        }
        #[cfg(feature = "registry")]
        Command::Pull(arguments) => return pull::run(arguments),
        Command::Prune { cache, older_than } => {
            let age = Duration::from_secs(24 * 60 * 60) * older_than;
            for part in hookos::old_parts(&cache, age)? {
                fs_err::remove_dir_all(&part.path)?;
                println!("{:>12} {}", part.size, part.path.display());
            }
            Ok(())
        }
        Command::Images { images } => {
            for reference in ImageSource::open(images)?.references() {
                println!("{reference}");
            }
            Ok(())
        }
        Command::Uki {
            stub,
            kernel,
            initrd,
            cmdline,
            os_release,
            sign_key,
            sign_cert,
            out,
        } => {
            let cmdline = fs_err::read_to_string(cmdline)?;
            hookos::uki::build(&stub, &kernel, &initrd, &cmdline, &os_release, &out)
                .with_context(|| format!("making {}", out.display()))?;
            if let (Some(key), Some(certificate)) = (sign_key, sign_cert) {
                hookos::uki::sign(&out, &key, &certificate)?;
            }
            Ok(())
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn build(request: &Request) -> Result<()> {
    let report = hookos::assemble(request)?;
    for warning in &report.warnings {
        eprintln!("warning: {}", request.located(warning));
    }
    for part in &report.parts {
        let origin = if part.cached { "cached" } else { "made" };
        println!("{:>12} {origin:<6} {}", part.size, part.name);
    }
    let outputs = [
        report.kernel,
        Some(report.initrd),
        Some(report.cmdline),
        report.tar,
    ];
    for path in outputs.iter().flatten() {
        println!("{:>12} {}", fs_err::metadata(path)?.len(), path.display());
    }
    Ok(())
}
