//! The figures of the assembler: `cargo xtask hookos` as a developer calls it, and the real
//! linuxkit on the same images in the same run.

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ::hookos::oci::{
    Compression, ImageConfig, ImageSource, ImageSpec, LayerInput, LayoutWriter, T0,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use pipeline::cache;
use pipeline::choice::Options;
use pipeline::linuxkit::LinuxKit;
use pipeline::stages;
use pipeline::{group, process, progress};

use super::measure::{self, Run};
use super::{Figure, Unit};
use crate::harness;
use crate::host::qemu;
use crate::project::Project;

/// Limits as the project promises them.
const WARM_MS: f64 = 500.0;
const MEMORY_MIB: f64 = 256.0;
const INITRD_BYTES: f64 = 120e6;
/// From the firmware's hand-over to the first line of os-installer, emulated on 2 cores.
const BOOT_SECONDS: f64 = 15.0;
/// How many times as fast as linuxkit a warm build of 475 MB is.
const TIMES_AS_FAST: f64 = 20.0;
const MIB: f64 = 1024.0 * 1024.0;

/// Unpacked sizes of the synthetic images, bytes: 475 MB together.
const SYNTHETIC: [(&str, u64); 3] = [
    ("bench/init:1", 25_000_000),
    ("bench/tools:1", 100_000_000),
    ("bench/system:1", 350_000_000),
];
const SYNTHETIC_FILE: u64 = 250_000;
const SYNTHETIC_YAML: &str = "\
init: [bench/init:1]
onboot:
  - {name: tools, image: bench/tools:1}
services:
  - {name: system, image: bench/system:1}
files:
  - {path: etc/edited, source: files/edited, mode: \"0644\"}
";

/// What `bench hookos` takes.
#[derive(Args)]
pub struct Arguments {
    /// Runs of each measurement; of cold builds, boots and linuxkit at most 3
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The real linuxkit [default: the one in PATH]
    #[arg(long, value_name = "PATH")]
    linuxkit: Option<PathBuf>,
    /// Measure the boot alone
    #[arg(long)]
    boot: bool,
}

/// Measures all figures; those that compare with linuxkit only where there is one.
pub fn run(of: Project<'_>, arguments: &Arguments) -> Result<Vec<Figure>> {
    let directory = tempfile::tempdir_in(cache::directory()?)?;
    if arguments.boot {
        let stage = stages::hookos::STAGE.name;
        let outputs = of.produce(&Options::default(), &[stage])?;
        let efi = outputs.directory(stage)?.join("hookos.efi");
        return Ok(vec![boots(of, arguments.runs, &efi)?]);
    }
    let linuxkit = LinuxKit::find(
        arguments.linuxkit.as_deref(),
        directory.path().join("linuxkit-cache"),
    )?;
    match &linuxkit {
        Some(linuxkit) => eprintln!("{}", linuxkit.version),
        None => eprintln!("comparison with linuxkit: not run: no linuxkit"),
    }
    let mut figures = Vec::new();
    for set in [project(of, directory.path())?, synthetic(directory.path())?] {
        let bench = Bench {
            of,
            set,
            directory: directory.path(),
            runs: arguments.runs,
        };
        figures.extend(bench.figures(linuxkit.as_ref())?);
    }
    Ok(figures)
}

/// A LinuxKit file with its images, and one of its `files` to be edited.
struct Set {
    name: &'static str,
    definition: PathBuf,
    images: Vec<PathBuf>,
    edited: PathBuf,
    /// The project's own: its initrd's size is promised, and no multiple of linuxkit's speed.
    small: bool,
}

/// hook-os.yaml, copied so that it can be edited, with the images of the stages.
fn project(of: Project<'_>, directory: &Path) -> Result<Set> {
    let copy = directory.join("project");
    fs_err::create_dir_all(copy.join("files"))?;
    let from = of.root.join("hookos");
    fs_err::copy(from.join("hook-os.yaml"), copy.join("hook-os.yaml"))?;
    for entry in fs_err::read_dir(from.join("files"))? {
        let path = entry?.path();
        let name = path.file_name().context("a file without a name")?;
        fs_err::copy(&path, copy.join("files").join(name))?;
    }
    let stages = (stages::hookos::STAGE.needs)(&Options::default());
    let outputs = of.produce(&Options::default(), stages)?;
    let images = stages
        .iter()
        .map(|stage| Ok(outputs.directory(stage)?.into()));
    Ok(Set {
        name: "project",
        definition: copy.join("hook-os.yaml"),
        images: images.collect::<Result<_>>()?,
        edited: copy.join("installer/install-os.sh"),
        small: true,
    })
}

/// Images of 475 MB unpacked, half of it redundant.
fn synthetic(directory: &Path) -> Result<Set> {
    let copy = directory.join("synthetic");
    fs_err::create_dir_all(copy.join("files"))?;
    fs_err::write(copy.join("475-mb.yaml"), SYNTHETIC_YAML)?;
    fs_err::write(copy.join("files/edited"), "")?;
    let mut layout = LayoutWriter::create(copy.join("images"))?;
    let mut text = RandomText(0x9e37_79b9_7f4a_7c15);
    for (reference, size) in SYNTHETIC {
        let tar = copy.join("layer.tar");
        write_layer(&tar, size, &mut text)?;
        layout.add_image(ImageSpec {
            reference: reference.into(),
            config: ImageConfig::default(),
            layers: vec![LayerInput::Tar(tar.clone())],
            compression: Compression::Zstd(1),
        })?;
        fs_err::remove_file(tar)?;
    }
    Ok(Set {
        name: "475 MB",
        definition: copy.join("475-mb.yaml"),
        images: vec![copy.join("images")],
        edited: copy.join("files/edited"),
        small: false,
    })
}

fn write_layer(path: &Path, size: u64, text: &mut RandomText) -> Result<()> {
    let mut tar = tar::Builder::new(std::io::BufWriter::new(fs_err::File::create(path)?));
    for number in 0..size / SYNTHETIC_FILE {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(T0);
        header.set_size(SYNTHETIC_FILE);
        let name = format!("usr/share/{}/{number}", number % 100);
        tar.append_data(&mut header, name, text.take(SYNTHETIC_FILE))?;
    }
    Ok(tar.into_inner()?.flush()?)
}

/// Endless text of 16 letters without pattern (xorshift64): it shrinks to half and no further.
struct RandomText(u64);

impl Read for &mut RandomText {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        for chunk in buf.chunks_mut(16) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let mut bits = self.0;
            for byte in chunk {
                *byte = b'a' + (bits & 15) as u8;
                bits >>= 4;
            }
        }
        Ok(buf.len())
    }
}

struct Bench<'a> {
    of: Project<'a>,
    set: Set,
    directory: &'a Path,
    runs: u32,
}

impl Bench<'_> {
    fn figures(&self, linuxkit: Option<&LinuxKit>) -> Result<Vec<Figure>> {
        let name = self.set.name;
        let mut cold = Vec::new();
        for _ in 0..self.runs.min(3) {
            let cache = self.cache();
            if cache.exists() {
                fs_err::remove_dir_all(cache)?;
            }
            cold.push(measured(&mut self.assembler()?)?);
        }
        let warm = self.edited(self.runs, || self.assembler())?;
        let mut figures = vec![
            time(format!("{name}: warm"), WARM_MS, &warm),
            memory(format!("{name}: warm"), &warm),
            memory(format!("{name}: cold"), &cold),
        ];
        if self.set.small {
            let size = fs_err::metadata(self.out().join("initrd.img"))?.len();
            let size = vec![size as f64 / MIB];
            let target = INITRD_BYTES / MIB;
            figures.push(Figure::new("initrd", Unit::Mebibytes, target, size));
            let efi = self.out().join("hookos.efi");
            figures.push(boots(self.of, self.runs, &efi)?);
        }
        tell(&format!("{name}: cold"), &cold);
        if let Some(linuxkit) = linuxkit {
            figures.extend(self.beside(linuxkit, &cold, &warm)?);
        }
        Ok(figures)
    }

    /// The figures whose targets are linuxkit's time.
    fn beside(&self, linuxkit: &LinuxKit, cold: &[Run], warm: &[Run]) -> Result<Vec<Figure>> {
        let definition = std::slice::from_ref(&self.set.definition);
        let out = self.directory.join("linuxkit-out");
        fs_err::create_dir_all(&out)?;
        linuxkit.import(&ImageSource::open(&self.set.images)?, definition)?;
        let base = self.set.definition.parent().unwrap_or(Path::new("/"));
        let theirs = self.edited(self.runs.min(3), || linuxkit.build(definition, base, &out))?;
        let name = self.set.name;
        tell(&format!("{name}: linuxkit"), &theirs);
        let median = milliseconds_median(&theirs);
        let times = median / milliseconds_median(warm);
        eprintln!("{name}: warm: {times:.1} times as fast as linuxkit");
        let mut figures = vec![time(
            format!("{name}: cold, no slower than linuxkit"),
            median,
            cold,
        )];
        if !self.set.small {
            let name = format!("{name}: warm, {TIMES_AS_FAST} times as fast as linuxkit");
            figures.push(time(name, median / TIMES_AS_FAST, warm));
        }
        Ok(figures)
    }

    /// Runs a command after one change of a file each.
    fn edited(&self, runs: u32, command: impl Fn() -> Result<Command>) -> Result<Vec<Run>> {
        let mut all = Vec::new();
        for _ in 0..runs {
            let mut file = fs_err::OpenOptions::new()
                .append(true)
                .open(&self.set.edited)?;
            file.write_all(b"# edited\n")?;
            all.push(measured(&mut command()?)?);
        }
        Ok(all)
    }

    fn assembler(&self) -> Result<Command> {
        let mut command = Command::new(process::this_program());
        command.arg("hookos").arg(&self.set.definition);
        for images in &self.set.images {
            command.arg("--images").arg(images);
        }
        command.arg("--out").arg(self.out());
        command.env("XDG_CACHE_HOME", self.cache());
        Ok(command)
    }

    fn cache(&self) -> PathBuf {
        self.directory.join("cache")
    }

    fn out(&self) -> PathBuf {
        self.directory.join("out")
    }
}

fn boots(of: Project<'_>, runs: u32, efi: &Path) -> Result<Figure> {
    let harness = harness::build(of)?;
    let cpus = qemu::emulated_processors()?.to_string();
    let boot = |_| -> Result<f64> {
        let mut command = Command::new(&harness);
        command.arg("boot-time").arg(efi).args(["--cpus", &cpus]);
        let printed = group::output(&mut command, of.cancel)?;
        let printed = printed.trim();
        let number = printed.parse();
        number.with_context(|| format!("vm-tests boot-time printed `{printed}`"))
    };
    let seconds = (0..runs.min(3)).map(boot).collect::<Result<_>>()?;
    let name = "boot, firmware to os-installer (TCG, 2 cores)";
    Ok(Figure::new(name, Unit::Seconds, BOOT_SECONDS, seconds))
}

fn measured(command: &mut Command) -> Result<Run> {
    let run = measure::run(command)?;
    if !run.status.success() {
        // What is measured writes to nowhere. Once more, to see what it says.
        command.stderr(Stdio::inherit());
        pipeline::process::run(command)?;
        bail!("{} failed once", pipeline::process::display(command));
    }
    Ok(run)
}

fn milliseconds(runs: &[Run]) -> Vec<f64> {
    let elapsed = runs.iter().map(|run| run.elapsed.as_secs_f64() * 1e3);
    elapsed.collect()
}

fn milliseconds_median(runs: &[Run]) -> f64 {
    Figure::new("", Unit::Milliseconds, f64::INFINITY, milliseconds(runs)).median
}

fn time(name: String, target: f64, runs: &[Run]) -> Figure {
    Figure::new(
        format!("{name}: time"),
        Unit::Milliseconds,
        target,
        milliseconds(runs),
    )
}

fn memory(name: String, runs: &[Run]) -> Figure {
    let samples = runs.iter().map(|run| run.peak_memory as f64 / MIB);
    let name = format!("{name}: peak memory");
    Figure::new(name, Unit::Mebibytes, MEMORY_MIB, samples.collect())
}

/// What was measured without a target of its own.
fn tell(name: &str, runs: &[Run]) {
    let memory = runs.iter().map(|run| run.peak_memory).max().unwrap_or(0);
    eprintln!(
        "{name}: {} (median of {}), at most {}",
        progress::short(milliseconds_median(runs) / 1e3),
        runs.len(),
        progress::bytes(memory)
    );
}
