//! Images and definitions for the assembler's tests, and a reader of what it makes.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test file uses its own part"
)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hookos::oci::{
    Compression, Entry, ImageConfig, ImageSource, ImageSpec, LayerInput, LayoutWriter,
};
use hookos::{Report, Request};
use serde_json::Value;

/// A folder with an image layout and a definition.
pub struct Bench {
    pub dir: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn image(&self, reference: &str, entries: Vec<Entry>) {
        self.image_with(reference, ImageConfig::default(), vec![entries]);
    }

    pub fn image_with(&self, reference: &str, config: ImageConfig, layers: Vec<Vec<Entry>>) {
        let layers = layers.into_iter().map(LayerInput::Entries).collect();
        self.add(reference, config, layers);
    }

    /// An image with layers given as tar bytes.
    pub fn image_of_tars(&self, reference: &str, tars: Vec<Vec<u8>>) {
        let layers = tars
            .into_iter()
            .map(|tar| LayerInput::Reader(Box::new(std::io::Cursor::new(tar))))
            .collect();
        self.add(reference, ImageConfig::default(), layers);
    }

    fn add(&self, reference: &str, config: ImageConfig, layers: Vec<LayerInput<'_>>) {
        LayoutWriter::create(self.path("images"))
            .unwrap()
            .add_image(ImageSpec {
                reference: reference.into(),
                config,
                layers,
                compression: Compression::Zstd(3),
            })
            .unwrap();
    }

    pub fn request(&self, yaml: &str) -> Request {
        let definition = self.path("hook-os.yaml");
        fs_err::write(&definition, yaml).unwrap();
        LayoutWriter::create(self.path("images")).unwrap();
        let images = ImageSource::open([self.path("images")]).unwrap();
        Request::new(definition, images, self.path("out"))
    }

    pub fn build(&self, yaml: &str) -> Report {
        hookos::assemble(&self.request(yaml)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The error of a definition, as it would be printed.
    pub fn refuse(&self, yaml: &str) -> String {
        match hookos::assemble(&self.request(yaml)) {
            Ok(_) => panic!("accepted:\n{yaml}"),
            Err(error) => {
                let mut text = error.to_string();
                let mut cause = std::error::Error::source(&error);
                while let Some(error) = cause {
                    text = format!("{text}: {error}");
                    cause = error.source();
                }
                text
            }
        }
    }

    /// A container's config.json.
    pub fn config(&self, yaml: &str, container: &str) -> Value {
        let files = unpack(&self.build(yaml).initrd);
        serde_json::from_slice(&files[&format!("containers/{container}/config.json")]).unwrap()
    }
}

/// Unpacks every archive of an initrd one after another into a folder, as the kernel does, with
/// GNU cpio; the content of regular files comes back by path.
pub fn unpack(initrd: &Path) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    unpack_into(initrd, dir.path());
    read_tree(dir.path())
}

pub fn unpack_into(initrd: &Path, dir: &Path) {
    for archive in archives(initrd) {
        let mut cpio = Command::new("cpio")
            .args([
                "--extract",
                "--make-directories",
                "--unconditional",
                "--quiet",
            ])
            .args(["--preserve-modification-time", "--no-absolute-filenames"])
            .current_dir(dir)
            .stdin(Stdio::piped())
            .spawn()
            .expect("cpio is installed");
        std::io::Write::write_all(&mut cpio.stdin.take().unwrap(), &archive).unwrap();
        assert!(cpio.wait().unwrap().success());
    }
}

/// The cpio archives of an initrd, decompressed.
pub fn archives(initrd: &Path) -> Vec<Vec<u8>> {
    let mut reader = std::io::BufReader::new(fs_err::File::open(initrd).unwrap());
    let mut out = Vec::new();
    while !std::io::BufRead::fill_buf(&mut reader).unwrap().is_empty() {
        let mut archive = Vec::new();
        let mut frame = zstd::Decoder::with_buffer(&mut reader)
            .unwrap()
            .single_frame();
        frame.read_to_end(&mut archive).unwrap();
        out.push(archive);
    }
    out
}

fn read_tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                files.insert(name, fs_err::read(&path).unwrap());
            }
        }
    }
    files
}

/// A tar made of raw headers, so that names that no honest tool writes can be in it.
pub fn raw_tar(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, kind, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        let is_link = kind.is_symlink() || kind.is_hard_link();
        if is_link {
            header.as_gnu_mut().unwrap().linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        let data = if is_link || !kind.is_file() { "" } else { text };
        header.set_size(data.len() as u64);
        header.set_cksum();
        out.append(&header, data.as_bytes()).unwrap();
    }
    out.into_inner().unwrap()
}
