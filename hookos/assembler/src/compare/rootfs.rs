//! The root file system that an initrd becomes, by the rules of the kernel's `init/initramfs.c`.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use crate::oci::HashingReader;
use crate::tree::clean;

use super::newc::{Header, Visitor};

/// Symbolic links followed on the way to a folder; the kernel's limit.
const MAX_LINKS: usize = 40;
/// JSON documents larger than this are compared by hash, bytes.
const LARGEST_DOCUMENT: u32 = 4 << 20;

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File {
        size: u64,
        sha256: String,
        /// The content of a container's JSON document.
        document: Option<Vec<u8>>,
    },
    Symlink(String),
    Char(u32, u32),
    Block(u32, u32),
    Fifo,
    Socket,
}

impl Kind {
    /// In words.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Directory => "folder",
            Self::File { .. } => "file",
            Self::Symlink(_) => "symbolic link",
            Self::Char(..) => "character device",
            Self::Block(..) => "block device",
            Self::Fifo => "named pipe",
            Self::Socket => "socket",
        }
    }
}

/// A file, folder, link or device.
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    /// Permission bits (12 bits).
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// Names, and what they stand for; hard links stand for the same node.
#[derive(Debug)]
pub struct RootFs {
    names: BTreeMap<String, usize>,
    nodes: Vec<Node>,
    /// Inode number to node, for files with several names in the archive at hand.
    shared: HashMap<u32, usize>,
}

impl RootFs {
    /// An empty root.
    pub fn new() -> Self {
        let root = Node {
            kind: Kind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
        };
        Self {
            names: BTreeMap::from([(String::new(), 0)]),
            nodes: vec![root],
            shared: HashMap::new(),
        }
    }

    /// All paths, sorted; the root is empty.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// What is at `path`.
    pub fn get(&self, path: &str) -> Option<&Node> {
        Some(&self.nodes[*self.names.get(path)?])
    }

    /// Whether both are names of one file.
    pub fn same_file(&self, a: &str, b: &str) -> bool {
        self.names.contains_key(a) && self.names.get(a) == self.names.get(b)
    }

    /// Where an entry goes: symbolic links on the way to its folder are followed. `None` when
    /// there is no such folder: the kernel skips the entry then.
    fn place(&self, path: &str) -> Option<String> {
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut real: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    real.pop();
                    continue;
                }
                _ => real.push(part),
            }
            if todo.is_empty() {
                break;
            }
            match &self.get(&real.join("/"))?.kind {
                Kind::Directory => {}
                Kind::Symlink(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    real.pop();
                    if target.starts_with('/') {
                        real.clear();
                    }
                    todo.extend(target.split('/').rev().map(str::to_owned));
                }
                _ => return None,
            }
        }
        Some(real.join("/"))
    }

    /// Takes away what is of another type; false for a folder that is not empty, which stays.
    fn make_way(&mut self, path: &str, kind: &Kind) -> bool {
        let Some(node) = self.get(path) else {
            return true;
        };
        let replaced = matches!(kind, Kind::Symlink(_))
            || std::mem::discriminant(&node.kind) != std::mem::discriminant(kind);
        if !replaced {
            return true;
        }
        let below = format!("{path}/");
        let next = self.names.range(below.clone()..).next();
        if node.kind == Kind::Directory
            && (path.is_empty() || next.is_some_and(|(name, _)| name.starts_with(&below)))
        {
            return false;
        }
        self.names.remove(path);
        true
    }

    fn put(&mut self, path: String, node: Node) -> usize {
        let index = match self.names.get(&path) {
            Some(&index) => {
                self.nodes[index] = node;
                index
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        self.names.insert(path, index);
        index
    }
}

impl Visitor for RootFs {
    fn entry(&mut self, header: &Header, data: &mut dyn Read) -> io::Result<()> {
        let name = clean(&header.name).map_err(io::Error::other)?;
        let kind = kind(header, &name, data)?;
        let Some(path) = self.place(&name) else {
            return Ok(());
        };
        if !self.make_way(&path, &kind) {
            return Ok(());
        }
        let node = Node {
            kind,
            mode: header.mode & 0o7777,
            uid: header.uid,
            gid: header.gid,
        };
        let several = header.links > 1 && matches!(node.kind, Kind::File { .. });
        let first = several.then(|| self.shared.get(&header.inode)).flatten();
        if let Some(&first) = first {
            let content = match header.size {
                0 => self.nodes[first].kind.clone(),
                _ => node.kind.clone(),
            };
            self.nodes[first] = Node {
                kind: content,
                ..node
            };
            self.names.insert(path, first);
            return Ok(());
        }
        let index = self.put(path, node);
        if several {
            self.shared.insert(header.inode, index);
        }
        Ok(())
    }

    fn end_of_archive(&mut self) {
        self.shared.clear();
    }
}

/// The type bits of a mode (`S_IFMT` of stat(2)) and the content.
fn kind(header: &Header, name: &str, data: &mut dyn Read) -> io::Result<Kind> {
    let (major, minor) = header.device;
    Ok(match header.mode & 0o170_000 {
        0o040_000 => Kind::Directory,
        0o100_000 => file(header, name, data)?,
        0o120_000 => {
            let mut target = Vec::new();
            data.read_to_end(&mut target)?;
            Kind::Symlink(String::from_utf8_lossy(&target).into_owned())
        }
        0o020_000 => Kind::Char(major, minor),
        0o060_000 => Kind::Block(major, minor),
        0o010_000 => Kind::Fifo,
        0o140_000 => Kind::Socket,
        other => {
            return Err(io::Error::other(format!(
                "{name} has the unknown type {other:o}"
            )));
        }
    })
}

fn file(header: &Header, name: &str, data: &mut dyn Read) -> io::Result<Kind> {
    let mut data = HashingReader::new(data);
    let keep = is_document(name) && header.size <= LARGEST_DOCUMENT;
    let mut document = Vec::new();
    if keep {
        data.read_to_end(&mut document)?;
    } else {
        io::copy(&mut data, &mut io::sink())?;
    }
    let (_, sha256, size) = data.finish();
    Ok(Kind::File {
        size,
        sha256,
        document: keep.then_some(document),
    })
}

/// Whether it is config.json or runtime.json of a container.
fn is_document(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.next() == Some("containers")
        && matches!(parts.nth(2), Some("config.json" | "runtime.json"))
        && parts.next().is_none()
}
