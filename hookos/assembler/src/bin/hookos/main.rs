//! `hookos`: the assembler on the command line.

use std::path::PathBuf;

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
        /// The LinuxKit file.
        definition: PathBuf,
        /// OCI layout folders or tars, or docker-archive tars; may be given several times.
        #[arg(long, required = true, value_name = "PATH")]
        images: Vec<PathBuf>,
        /// Folder to write to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Folder that keeps compressed parts between builds.
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
        /// Folder that `source:` of files is relative to [default: that of the LinuxKit file].
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
        /// The LinuxKit file.
        definition: PathBuf,
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
        /// File to write.
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Build {
            definition,
            images,
            out,
            cache,
            base,
            level,
            tar,
        } => {
            let images = ImageSource::open(images)?;
            build(&Request {
                definition,
                images,
                out,
                cache,
                base,
                level,
                tar,
            })
        }
        Command::Check { definition, images } => {
            let request = Request::new(definition, ImageSource::open(images)?, "");
            for warning in hookos::check(&request)? {
                eprintln!("warning: {}:{warning}", request.definition.display());
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
            out,
        } => {
            let cmdline = fs_err::read_to_string(cmdline)?;
            hookos::uki::build(&stub, &kernel, &initrd, &cmdline, &os_release, &out)
                .with_context(|| format!("making {}", out.display()))
        }
    }
}

fn build(request: &Request) -> Result<()> {
    let report = hookos::assemble(request)?;
    for warning in &report.warnings {
        eprintln!("warning: {}:{warning}", request.definition.display());
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
