//! Stage `bundle`: `usb-bootable-files.tar.gz`, what goes onto a stick, and
//! `sen-installation-files.tar.gz`, that archive with all that a user needs to make the stick.
//!
//! Both are the same bytes whenever their contents are: sorted, with fixed times and owners. A bundle whose OS image
//! holds a test double of K3s is called otherwise and says so (`warning.rs`).

mod not_before;
mod warning;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use flate2::{Compression, GzBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::choice::Options;
use crate::input::{Output, Source};
use crate::stage::{NOTES, Recipe, Request, Stage, Work};
use crate::{digest, process};

/// The archive whose content goes onto the stick.
pub const USB_ARCHIVE: &str = "usb-bootable-files.tar.gz";
/// The archive that users download.
const USER_ARCHIVE: &str = "sen-installation-files.tar.gz";
/// What it is called when a test double stands in for K3s.
const REFERENCE_ARCHIVE: &str = "sen-installation-files-reference.tar.gz";
/// The script that makes the stick.
pub const SCRIPT: &str = "bootable-usb-prepare.sh";
/// Version of `manifest.json`; the installer and the script refuse others.
const FORMAT: u32 = 1;
/// Seconds since 1970 of every archive member: the first moment that FAT and ZIP can express, in 1980.
const MODIFIED: u64 = 315_532_800;

/// The stage.
pub const STAGE: Stage = Stage::of::<Bundle>();

/// How the archives are made.
pub struct Bundle;

/// What the stage's archives are made of.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    bootstrapper: Output,
    hookos: Output,
    node_image: Output,
    profile: String,
    script: Source,
    readme: Source,
    config_file: Source,
}

impl Recipe for Bundle {
    type Inputs = Inputs;
    const NAME: &'static str = "bundle";
    const SUMMARY: &'static str = "usb-bootable-files.tar.gz and sen-installation-files.tar.gz";
    const MODULE: &'static str = module_path!();
    const USUAL: Duration = Duration::from_secs(8);

    fn needs(_: &Options) -> &'static [&'static str] {
        &["bootstrapper", "hookos", "node-image"]
    }

    fn inputs(request: &Request<'_>) -> Result<Inputs> {
        Ok(Inputs {
            bootstrapper: request.output("bootstrapper")?,
            hookos: request.output("hookos")?,
            node_image: request.output("node-image")?,
            profile: request.options.profile.clone(),
            script: request.source("hookos/installer/usb/bootable-usb-prepare.sh"),
            readme: request.source("hookos/installer/usb/README"),
            config_file: request.source("configs/config-file.yaml"),
        })
    }

    fn build(inputs: Inputs, work: &Work) -> Result<()> {
        build(&BundleInputs::of(inputs)?, &work.out)
    }
}

/// What the archives are made of.
#[derive(Debug)]
pub struct BundleInputs {
    /// HookOS as one EFI executable.
    pub hookos_efi: PathBuf,
    /// The kernel in it.
    pub kernel: PathBuf,
    /// Directory with `os-image.json` and the image that it names.
    pub node_image: PathBuf,
    /// The static cluster-bootstrapper.
    pub bootstrapper: PathBuf,
    /// Name of the profile that the parts come from.
    pub profile: String,
    /// `bootable-usb-prepare.sh`.
    pub script: PathBuf,
    /// What a user reads first.
    pub readme: PathBuf,
    /// The sample config-file.
    pub config_file: PathBuf,
    /// Manual page and shell completions of cluster-bootstrapper: name and text.
    pub manual: Vec<(String, String)>,
}

/// What the manual's files are called, and the arguments that make cluster-bootstrapper print them.
const MANUAL: &[(&str, &[&str])] = &[
    ("cluster-bootstrapper.1", &["man"]),
    (
        "completions/cluster-bootstrapper.bash",
        &["completions", "bash"],
    ),
    ("completions/_cluster-bootstrapper", &["completions", "zsh"]),
    (
        "completions/cluster-bootstrapper.fish",
        &["completions", "fish"],
    ),
];

fn manual(bootstrapper: &Path) -> Result<Vec<(String, String)>> {
    let print = |arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(bootstrapper);
        let output = command.args(arguments).output();
        let output = output.with_context(|| format!("starting {}", bootstrapper.display()))?;
        process::expect_success(output.status, &process::display(&command))?;
        String::from_utf8(output.stdout).context("cluster-bootstrapper prints UTF-8")
    };
    MANUAL
        .iter()
        .map(|(name, arguments)| Ok(((*name).to_owned(), print(arguments)?)))
        .collect()
}

impl BundleInputs {
    fn of(inputs: Inputs) -> Result<Self> {
        let bootstrapper = inputs.bootstrapper.directory.join("cluster-bootstrapper");
        Ok(Self {
            manual: manual(&bootstrapper)?,
            bootstrapper,
            hookos_efi: inputs.hookos.directory.join("hookos.efi"),
            kernel: inputs.hookos.directory.join("kernel"),
            node_image: inputs.node_image.directory,
            profile: inputs.profile,
            script: inputs.script.path().to_owned(),
            readme: inputs.readme.path().to_owned(),
            config_file: inputs.config_file.path().to_owned(),
        })
    }
}

/// A file of an archive.
#[derive(Debug)]
struct Member {
    name: String,
    mode: u32,
    content: Content,
}

#[derive(Debug)]
enum Content {
    File(PathBuf),
    Text(String),
}

impl Member {
    fn file(name: &str, mode: u32, path: &Path) -> Self {
        Self {
            name: name.to_owned(),
            mode,
            content: Content::File(path.to_owned()),
        }
    }

    fn text(name: &str, text: String) -> Self {
        Self {
            name: name.to_owned(),
            mode: 0o644,
            content: Content::Text(text),
        }
    }

    fn sha256(&self) -> Result<String> {
        match &self.content {
            Content::File(path) => digest::of_file(path),
            Content::Text(text) => Ok(digest::of_text(text)),
        }
    }

    fn size(&self) -> Result<u64> {
        match &self.content {
            Content::File(path) => Ok(fs_err::metadata(path)?.len()),
            Content::Text(text) => Ok(text.len() as u64),
        }
    }

    /// The line that `sha256sum` prints for it.
    fn sum_line(&self) -> Result<String> {
        Ok(format!("{}  {}\n", self.sha256()?, self.name))
    }
}

/// The archive for users in the output of this stage.
pub fn user_archive(dir: &Path) -> Result<PathBuf> {
    [USER_ARCHIVE, REFERENCE_ARCHIVE]
        .iter()
        .map(|name| dir.join(name))
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "{} has neither {USER_ARCHIVE} nor {REFERENCE_ARCHIVE}",
                dir.display()
            )
        })
}

/// Whether this archive for users holds a test double of K3s.
pub fn is_reference(user_archive: &Path) -> bool {
    user_archive.ends_with(REFERENCE_ARCHIVE)
}

/// Makes both archives in `out`, and the notes of a bundle with a test double.
pub fn build(inputs: &BundleInputs, out: &Path) -> Result<()> {
    let os_image = OsImage::read(&inputs.node_image)?;
    let usb_archive = out.join(USB_ARCHIVE);
    // The OS image inside is compressed already.
    let members = usb_members(inputs, &os_image)?;
    write_archive(&usb_archive, members, Compression::fast())?;
    let members = user_members(inputs, &os_image, &usb_archive)?;
    let name = match &os_image.test_double {
        Some(double) => {
            fs_err::write(out.join(NOTES), warning::notes(double))?;
            REFERENCE_ARCHIVE
        }
        None => USER_ARCHIVE,
    };
    write_archive(&out.join(name), members, Compression::none())
}

/// What `os-image.json` says.
struct OsImage {
    json: Value,
    /// Name of the image's file.
    file: String,
    /// What stands in for K3s in it; nothing for a release, and where nobody knows.
    test_double: Option<String>,
}

impl OsImage {
    fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("os-image.json");
        let json: Value = serde_json::from_slice(&fs_err::read(&path)?)
            .with_context(|| format!("reading {}", path.display()))?;
        let file = json["file"]
            .as_str()
            .with_context(|| format!("{} names no file", path.display()))?
            .to_owned();
        let test_double = match json.get("testDouble") {
            None => None,
            Some(Value::String(name)) => Some(name.clone()),
            Some(other) => bail!("{}: testDouble is {other}, not a string", path.display()),
        };
        Ok(Self {
            json,
            file,
            test_double,
        })
    }
}

/// The files that users get, with `SHA256SUMS`.
fn user_members(
    inputs: &BundleInputs,
    os_image: &OsImage,
    usb_archive: &Path,
) -> Result<Vec<Member>> {
    let readme = fs_err::read_to_string(&inputs.readme)?;
    let warning = os_image.test_double.as_deref().map(warning::of_readme);
    let mut members = vec![
        Member::file(USB_ARCHIVE, 0o644, usb_archive),
        Member::file("cluster-bootstrapper", 0o755, &inputs.bootstrapper),
        Member::file("config-file", 0o644, &inputs.config_file),
        Member::file(SCRIPT, 0o755, &inputs.script),
        Member::text("README", warning.unwrap_or_default() + &readme),
    ];
    let manual = inputs.manual.iter();
    members.extend(manual.map(|(name, text)| Member::text(name, text.clone())));
    members.push(Member::text("SHA256SUMS", sums(&members)?));
    Ok(members)
}

/// The files of the stick, with `manifest.json` and `SHA256SUMS`.
///
/// The manifest's id is made from the sums of all other files, and `SHA256SUMS` has the manifest's own sum
/// as well: neither can change without the other showing it.
fn usb_members(inputs: &BundleInputs, os_image: &OsImage) -> Result<Vec<Member>> {
    let description = inputs.node_image.join("os-image.json");
    let image_name = os_image.file.as_str();
    let mut members = vec![
        Member::file("cluster-bootstrapper", 0o755, &inputs.bootstrapper),
        Member::file("hookos.efi", 0o644, &inputs.hookos_efi),
        Member::file("os-image.json", 0o644, &description),
        Member::file(image_name, 0o644, &inputs.node_image.join(image_name)),
    ];
    sort(&mut members);
    let others = sums(&members)?;
    let mut files = Vec::new();
    for member in &members {
        let sha256 = member.sha256()?;
        if member.name == image_name && os_image.json["sha256"] != sha256.as_str() {
            bail!(
                "{image_name} has sha256 {sha256}, os-image.json says {}",
                os_image.json["sha256"]
            );
        }
        files.push(json!({"path": member.name, "size": member.size()?, "sha256": sha256}));
    }
    let mut manifest = json!({"format": FORMAT, "id": &digest::of_text(&others)[..16]});
    if let Some(double) = &os_image.test_double {
        manifest["testDouble"] = double.as_str().into();
    }
    let of_image = os_image.json["notBefore"].as_u64().unwrap_or(0);
    let of_kernel = not_before::of_kernel(&inputs.kernel)?;
    manifest["notBefore"] = of_image.max(of_kernel).into();
    manifest["profile"] = inputs.profile.as_str().into();
    manifest["osImage"] = os_image.json.clone();
    manifest["files"] = files.into();
    let manifest = Member::text("manifest.json", format!("{manifest:#}\n"));
    let all_sums = others + &manifest.sum_line()?;
    members.push(manifest);
    members.push(Member::text("SHA256SUMS", all_sums));
    Ok(members)
}

fn sums(members: &[Member]) -> Result<String> {
    members.iter().map(Member::sum_line).collect()
}

fn sort(members: &mut [Member]) {
    members.sort_by(|a, b| a.name.cmp(&b.name));
}

/// Writes a `.tar.gz` whose bytes depend on the members alone.
fn write_archive(path: &Path, mut members: Vec<Member>, level: Compression) -> Result<()> {
    sort(&mut members);
    let file = std::io::BufWriter::new(fs_err::File::create(path)?);
    let gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(file, level);
    let mut archive = tar::Builder::new(gzip);
    for member in &members {
        append(&mut archive, member)
            .with_context(|| format!("adding {} to {}", member.name, path.display()))?;
    }
    archive
        .into_inner()?
        .finish()?
        .into_inner()
        .context("writing the archive's end")?
        .sync_all()?;
    Ok(())
}

fn append<W: Write>(archive: &mut tar::Builder<W>, member: &Member) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(member.mode);
    header.set_mtime(MODIFIED);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(member.size()?);
    match &member.content {
        Content::File(path) => {
            archive.append_data(&mut header, &member.name, fs_err::File::open(path)?)?
        }
        Content::Text(text) => archive.append_data(&mut header, &member.name, text.as_bytes())?,
    }
    Ok(())
}

#[cfg(test)]
mod tests;
