//! The pieces of a plan, written to a sink as entries.

use std::io::{self, Read};
use std::path::Path;

use crate::linuxkit::{Kernel, Piece, Position, Role};
use crate::oci::{self, T0};
use crate::tree::{Entry, EntryKind, ImageTree, Sink};
use crate::{Error, Result};

/// What LinuxKit gives every image (160 bytes).
const HOSTS: &[u8] = b"127.0.0.1       localhost\n\
::1     localhost ip6-localhost ip6-loopback\n\
fe00::0 ip6-localnet\n\
ff00::0 ip6-mcastprefix\n\
ff02::1 ip6-allnodes\n\
ff02::2 ip6-allrouters\n";
/// What it gives containers; the root and volumes get a link to the file that DHCP writes.
const NO_RESOLV_CONF: &[u8] = b"\n# no resolv.conf configured\n";
const RESOLV_CONF_LINK: &str = "/run/resolvconf/resolv.conf";
/// Paths that no image can bring.
const EXCLUDED: [&str; 6] = [
    ".dockerenv",
    "Dockerfile",
    "dev/console",
    "dev/pts",
    "dev/shm",
    "etc/hostname",
];

/// What is known after an image has been written.
#[derive(Debug, Default)]
pub struct ImageOutcome {
    /// Traps seen in the image.
    pub warnings: Vec<String>,
}

/// What a piece is, for reports.
pub fn name(piece: &Piece) -> String {
    match piece {
        Piece::Small(entries) => format!("{} entries", entries.len()),
        Piece::ApkDatabase(_) => "package database".into(),
        Piece::Kernel(kernel) => format!("kernel {}", kernel.image.reference),
        Piece::Tree { image, prefix, .. } => format!("/{prefix} {}", image.reference),
    }
}

/// Where the definition asks for a piece.
pub fn position(piece: &Piece) -> Position {
    match piece {
        Piece::Small(_) | Piece::ApkDatabase(_) => Position::default(),
        Piece::Kernel(kernel) => kernel.position,
        Piece::Tree { position, .. } => *position,
    }
}

/// Writes a piece; uncompressed layers are put into `spool` meanwhile.
pub fn write(piece: &Piece, spool: &Path, sink: &mut dyn Sink) -> Result<ImageOutcome> {
    match piece {
        Piece::Small(entries) => small(entries, sink).map(|()| ImageOutcome::default()),
        Piece::ApkDatabase(images) => {
            apk_database(images, spool, sink).map(|()| ImageOutcome::default())
        }
        Piece::Kernel(kernel) => {
            let tree = read(&kernel.image, spool)?;
            write_kernel(kernel, &tree, sink)?;
            Ok(ImageOutcome {
                warnings: tree.warnings,
            })
        }
        Piece::Tree {
            image,
            prefix,
            role,
            ..
        } => {
            let mut tree = read(image, spool)?;
            furnish(&mut tree, *role);
            tree.emit(prefix, sink)
                .map_err(|error| in_image(image, error.into()))?;
            Ok(ImageOutcome {
                warnings: tree.warnings,
            })
        }
    }
}

/// Folders of a piece that a layer of its image marks opaque, as paths in the whole tree.
pub fn opaque_folders(piece: &Piece, spool: &Path) -> Result<Vec<String>> {
    let Piece::Tree { image, prefix, .. } = piece else {
        return Ok(Vec::new());
    };
    let tree = read(image, spool)?;
    let below = |folder: &String| {
        let path = format!("{prefix}/{folder}");
        path.trim_matches('/').to_owned()
    };
    Ok(tree.opaque.iter().map(below).collect())
}

fn in_image(image: &oci::Image, source: oci::Error) -> Error {
    Error::Image {
        reference: image.reference.clone(),
        source,
    }
}

fn read(image: &oci::Image, spool: &Path) -> Result<ImageTree> {
    ImageTree::read(image, spool).map_err(|error| in_image(image, error))
}

fn small(entries: &[oci::Entry], sink: &mut dyn Sink) -> Result<()> {
    for entry in entries {
        let mut data: Box<dyn Read> = Box::new(io::empty());
        let kind = match &entry.kind {
            oci::Kind::Directory => EntryKind::Directory,
            oci::Kind::Symlink(target) => EntryKind::Symlink(target.clone()),
            oci::Kind::File(content) => {
                let (size, reader) = content.open()?;
                data = reader;
                EntryKind::File {
                    size,
                    links: 1,
                    inode: 0,
                }
            }
        };
        let entry = Entry {
            path: entry.path.clone(),
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs: Vec::new(),
        };
        sink.entry(&entry, &mut *data)?;
    }
    Ok(())
}

/// Alpine's record of installed packages. The last image's would hide the others', so one with all
/// of them is laid over.
fn apk_database(images: &[oci::Image], spool: &Path, sink: &mut dyn Sink) -> Result<()> {
    const PATH: &str = "lib/apk/db/installed";
    let mut all = Vec::new();
    let mut found = 0;
    for image in images {
        if let Some((_, _, mut data)) = read(image, spool)?.open(PATH) {
            data.read_to_end(&mut all)?;
            all.extend(b"\n\n");
            found += 1;
        }
    }
    if found < 2 {
        return Ok(());
    }
    let mut entry = oci::Entry::file(PATH, 0o644, all);
    entry.mtime = 0;
    small(&[entry], sink)
}

/// Takes away what an image may not bring and adds what LinuxKit always adds.
fn furnish(tree: &mut ImageTree, role: Role) {
    for path in ["etc/hosts", "etc/resolv.conf"] {
        if let Some(target) = tree
            .symlink(path)
            .filter(|_| role == Role::Container || path == "etc/hosts")
        {
            let warning = format!(
                "its {path} is a symbolic link to {target}; it is replaced here, but linuxkit fails on it with `write too long`"
            );
            tree.warnings.push(warning);
        }
    }
    EXCLUDED.iter().for_each(|path| tree.exclude(path));
    for path in ["dev", "dev/pts", "dev/shm", "etc", "proc", "sys"] {
        if let Some(target) = tree.symlink(path).map(str::to_owned) {
            tree.warnings.push(format!(
                "its {path} is a symbolic link to {target}; a folder takes its place"
            ));
        }
        tree.set_folder(path, 0o755);
    }
    tree.set_file("etc/hosts", 0o644, HOSTS);
    match role {
        Role::Container => tree.set_file("etc/resolv.conf", 0o644, NO_RESOLV_CONF),
        Role::Init | Role::Volume => tree.set_symlink("etc/resolv.conf", 0o644, RESOLV_CONF_LINK),
    }
    if tree.contains("etc/mtab") {
        tree.set_mtime("etc/mtab", T0);
    } else {
        tree.set_symlink("etc/mtab", 0o755, "/proc/mounts");
    }
}

fn write_kernel(kernel: &Kernel, tree: &ImageTree, sink: &mut dyn Sink) -> Result<()> {
    let missing = |path: &str, key: &str| Error::Kernel {
        reference: kernel.image.reference.clone(),
        reason: format!(
            "it has no regular file `{path}` (kernel.{key}; written without a leading `/`)"
        ),
    };
    let file = |path: &str, mode, size| Entry {
        path: path.into(),
        kind: EntryKind::File {
            size,
            links: 1,
            inode: 0,
        },
        mode,
        uid: 0,
        gid: 0,
        mtime: T0,
        xattrs: Vec::new(),
    };
    let (mode, size, mut data) = tree
        .open(&kernel.binary)
        .ok_or_else(|| missing(&kernel.binary, "binary"))?;
    sink.entry(&file("boot/kernel", mode, size), &mut *data)?;
    if let Some(path) = &kernel.tar {
        let (_, _, data) = tree.open(path).ok_or_else(|| missing(path, "tar"))?;
        modules(kernel, data, sink)?;
    }
    if let Some((mode, size, mut data)) = kernel.ucode.as_ref().and_then(|path| tree.open(path)) {
        sink.entry(&file("boot/ucode.cpio", mode, size), &mut *data)?;
    }
    Ok(())
}

/// Copies the entries of kernel.tar as they are, names cleaned; hard links become symbolic ones,
/// as LinuxKit has it.
fn modules(kernel: &Kernel, data: Box<dyn Read + '_>, sink: &mut dyn Sink) -> Result<()> {
    let refuse = |path: &str, reason: String| {
        let layer = format!("kernel.tar of {}", kernel.image.reference);
        in_image(
            &kernel.image,
            oci::Error::BadEntry {
                layer,
                path: path.into(),
                reason,
            },
        )
    };
    let mut archive = tar::Archive::new(io::BufReader::with_capacity(1 << 18, data));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = crate::tree::clean(&name).map_err(|reason| refuse(&name, reason))?;
        let link = entry
            .link_name_bytes()
            .map(|link| String::from_utf8_lossy(&link).into_owned());
        let header = entry.header().clone();
        let kind = match header.entry_type() {
            tar::EntryType::XGlobalHeader => continue,
            tar::EntryType::Directory => EntryKind::Directory,
            tar::EntryType::Regular | tar::EntryType::Continuous => EntryKind::File {
                size: entry.size(),
                links: 1,
                inode: 0,
            },
            tar::EntryType::Symlink => EntryKind::Symlink(link.unwrap_or_default()),
            tar::EntryType::Link => {
                let target = crate::tree::clean(&link.unwrap_or_default())
                    .map_err(|reason| refuse(&name, reason))?;
                EntryKind::Symlink(crate::tree::relative(&path, &target))
            }
            other => {
                return Err(refuse(
                    &name,
                    format!("its type {other:?} has no place among modules"),
                ));
            }
        };
        if path.is_empty() {
            continue;
        }
        let id = |id: u64| u32::try_from(id).unwrap_or(0);
        let out = Entry {
            path,
            kind,
            mode: header.mode()? & 0o7777,
            uid: id(header.uid()?),
            gid: id(header.gid()?),
            mtime: header.mtime()?,
            xattrs: Vec::new(),
        };
        sink.entry(&out, &mut entry)?;
    }
    Ok(())
}
