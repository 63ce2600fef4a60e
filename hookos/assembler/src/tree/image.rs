//! The file tree that an image's layers add up to.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::oci::{Error, Image, Result, T0};

use super::index::{Extent, LayerEntry, LayerKind, Sources, read_layer};
use super::{Entry, EntryKind, Sink, paths};

/// Links followed on the way to one entry's folder; the kernel's limit.
const MAX_LINKS: usize = 40;

/// A file's content.
#[derive(Clone, Debug)]
enum Content {
    At(Extent),
    Fixed(&'static [u8]),
}

#[derive(Clone, Debug)]
enum NodeKind {
    Directory,
    File { content: Content, inode: u64 },
    Symlink(String),
    Char(u32, u32),
    Block(u32, u32),
    Fifo,
}

#[derive(Clone, Debug)]
struct Node {
    kind: NodeKind,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: u64,
    xattrs: Vec<(String, Vec<u8>)>,
}

impl Node {
    fn made(kind: NodeKind, mode: u32) -> Self {
        Self {
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: T0,
            xattrs: Vec::new(),
        }
    }
}

/// All layers of an image applied: one node for each path, folders before what is in them.
pub struct ImageTree {
    nodes: BTreeMap<String, Node>,
    sources: Sources,
    next_inode: u64,
    /// Folders that some layer marks opaque.
    pub opaque: Vec<String>,
    /// What a reader of the build's output should know, in words.
    pub warnings: Vec<String>,
}

impl ImageTree {
    /// Reads all layers of `image`; uncompressed copies are kept in `spool` for as long as the
    /// tree lives, so that memory holds names only.
    pub fn read(image: &Image, spool: &Path) -> Result<Self> {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            sources: Vec::new(),
            next_inode: 0,
            opaque: Vec::new(),
            warnings: Vec::new(),
        };
        for blob in &image.layers {
            let entries = read_layer(blob, spool, &mut tree.sources)?;
            let layer = blob.digest.as_deref().unwrap_or("of a docker-archive");
            tree.apply(layer, entries)?;
        }
        Ok(tree)
    }

    /// Applies a layer by the rules of the OCI image-spec: its whiteouts hide what lower layers
    /// have, never what the layer itself has, wherever they stand in it.
    fn apply(&mut self, layer: &str, entries: Vec<LayerEntry>) -> Result<()> {
        let mut rest = Vec::new();
        for entry in entries {
            let (parent, name) = paths::split(&entry.path);
            match name.strip_prefix(".wh.") {
                None => rest.push(entry),
                Some(hidden) => {
                    let parent = self.folder(layer, &entry.path, parent)?;
                    match hidden {
                        ".wh..opq" => {
                            self.remove_below(&parent);
                            self.opaque.push(parent);
                        }
                        // Metadata of AUFS, of no meaning here.
                        other if other.starts_with(".wh.") => {}
                        hidden => self.remove(&paths::join(&parent, hidden)),
                    }
                }
            }
        }
        rest.into_iter()
            .try_for_each(|entry| self.place(layer, entry))
    }

    /// The real path of the folder an entry goes into; symbolic links on the way are followed
    /// inside the image's root, as container engines do, and refused when they leave it.
    fn folder(&self, layer: &str, entry: &str, parent: &str) -> Result<String> {
        let refuse = |reason: String| Error::BadEntry {
            layer: layer.into(),
            path: entry.into(),
            reason,
        };
        let mut todo: Vec<String> = parent.split('/').rev().map(str::to_owned).collect();
        let mut real = String::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part.is_empty() {
                continue;
            }
            let next = paths::join(&real, &part);
            match self.nodes.get(&next).map(|node| &node.kind) {
                None | Some(NodeKind::Directory) => real = next,
                Some(NodeKind::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(refuse(format!("`{next}` is a circle of symbolic links")));
                    }
                    let target = paths::follow(&next, target).map_err(refuse)?;
                    todo.extend(target.split('/').rev().map(str::to_owned));
                    real = String::new();
                }
                Some(_) => return Err(refuse(format!("`{next}` is not a folder"))),
            }
        }
        Ok(real)
    }

    fn place(&mut self, layer: &str, entry: LayerEntry) -> Result<()> {
        let (parent, name) = paths::split(&entry.path);
        let folder = self.folder(layer, &entry.path, parent)?;
        self.make_folders(&folder);
        let path = paths::join(&folder, name);
        let kind = match entry.kind {
            LayerKind::HardLink(target) => return self.link(layer, path, &entry.path, &target),
            LayerKind::File(extent) => {
                self.next_inode += 1;
                NodeKind::File {
                    content: Content::At(extent),
                    inode: self.next_inode,
                }
            }
            LayerKind::Directory => NodeKind::Directory,
            LayerKind::Symlink(target) => NodeKind::Symlink(target),
            LayerKind::Char(major, minor) => NodeKind::Char(major, minor),
            LayerKind::Block(major, minor) => NodeKind::Block(major, minor),
            LayerKind::Fifo => NodeKind::Fifo,
        };
        if path.is_empty() && !matches!(kind, NodeKind::Directory) {
            return Err(Error::BadEntry {
                layer: layer.into(),
                path: entry.path,
                reason: "the image's root would be no folder".into(),
            });
        }
        let node = Node {
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs: entry.xattrs,
        };
        self.insert(path, node);
        Ok(())
    }

    fn link(&mut self, layer: &str, path: String, name: &str, target: &str) -> Result<()> {
        let refuse = |reason: String| Error::BadEntry {
            layer: layer.into(),
            path: name.into(),
            reason,
        };
        let (parent, last) = paths::split(target);
        let real = paths::join(&self.folder(layer, name, parent)?, last);
        match self.nodes.get(&real) {
            None => Err(refuse(format!(
                "it is a hard link to `{target}`, which is not there"
            ))),
            Some(Node {
                kind: NodeKind::Directory,
                ..
            }) => Err(refuse(format!(
                "it is a hard link to the folder `{target}`"
            ))),
            Some(node) if real != path => {
                let node = node.clone();
                self.insert(path, node);
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }

    fn insert(&mut self, path: String, node: Node) {
        let is_folder = |node: &Node| matches!(node.kind, NodeKind::Directory);
        if !(is_folder(&node) && self.nodes.get(&path).is_some_and(is_folder)) {
            self.remove(&path);
        }
        self.nodes.insert(path, node);
    }

    fn make_folders(&mut self, path: &str) {
        let ends = path
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([path.len()]);
        for folder in ends
            .map(|end| &path[..end])
            .filter(|folder| !folder.is_empty())
        {
            if !self.nodes.contains_key(folder) {
                self.nodes
                    .insert(folder.into(), Node::made(NodeKind::Directory, 0o755));
            }
        }
    }

    fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, path: &str) {
        // `0` is the character after `/`: the range holds exactly what begins with `path/`.
        let (from, to) = if path.is_empty() {
            ("\u{1}".to_owned(), "\u{10ffff}".to_owned())
        } else {
            (format!("{path}/"), format!("{path}0"))
        };
        let below: Vec<String> = self
            .nodes
            .range(from..to)
            .map(|(path, _)| path.clone())
            .collect();
        for path in below {
            self.nodes.remove(&path);
        }
    }

    /// Removes exactly this path; what is below it stays.
    pub fn exclude(&mut self, path: &str) {
        self.nodes.remove(path);
    }

    /// Whether there is anything at `path`.
    pub fn contains(&self, path: &str) -> bool {
        self.nodes.contains_key(path)
    }

    /// The target of the symbolic link at `path`, if it is one.
    pub fn symlink(&self, path: &str) -> Option<&str> {
        match &self.nodes.get(path)?.kind {
            NodeKind::Symlink(target) => Some(target),
            _ => None,
        }
    }

    /// Puts a root-owned folder at `path`, in place of whatever is not one.
    pub fn set_folder(&mut self, path: &str, mode: u32) {
        self.make_folders(paths::split(path).0);
        self.insert(path.into(), Node::made(NodeKind::Directory, mode));
    }

    /// Puts a root-owned file with fixed content at `path`.
    pub fn set_file(&mut self, path: &str, mode: u32, content: &'static [u8]) {
        self.next_inode += 1;
        let inode = self.next_inode;
        self.insert(
            path.into(),
            Node::made(
                NodeKind::File {
                    content: Content::Fixed(content),
                    inode,
                },
                mode,
            ),
        );
    }

    /// Puts a root-owned symbolic link at `path`.
    pub fn set_symlink(&mut self, path: &str, mode: u32, target: &str) {
        self.insert(
            path.into(),
            Node::made(NodeKind::Symlink(target.into()), mode),
        );
    }

    /// Sets the modification time (seconds since 1970) of what is at `path`.
    pub fn set_mtime(&mut self, path: &str, mtime: u64) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.mtime = mtime;
        }
    }

    /// A regular file's mode, size in bytes and content.
    pub fn open(&self, path: &str) -> Option<(u32, u64, Box<dyn Read + '_>)> {
        let node = self.nodes.get(path)?;
        match &node.kind {
            NodeKind::File { content, .. } => {
                Some((node.mode, size(content), self.reader(content)))
            }
            _ => None,
        }
    }

    /// Writes all entries to `sink`, their paths below `prefix` (`""` for the root itself).
    pub fn emit(&self, prefix: &str, sink: &mut dyn Sink) -> io::Result<()> {
        let names = self.names_of_inodes();
        let mut written: HashMap<u64, String> = HashMap::new();
        for (path, node) in &self.nodes {
            let path = match paths::join(prefix, path).trim_end_matches('/') {
                "" => ".".to_owned(),
                path => path.to_owned(),
            };
            let mut data: Box<dyn Read> = Box::new(io::empty());
            let kind = match &node.kind {
                NodeKind::File { content, inode } => {
                    let links = names[inode];
                    match written.get(inode) {
                        Some(first) => EntryKind::HardLink {
                            target: first.clone(),
                            links,
                            inode: *inode,
                        },
                        None => {
                            data = self.reader(content);
                            if links > 1 {
                                written.insert(*inode, path.clone());
                            }
                            EntryKind::File {
                                size: size(content),
                                links,
                                inode: *inode,
                            }
                        }
                    }
                }
                NodeKind::Directory => EntryKind::Directory,
                NodeKind::Symlink(target) => EntryKind::Symlink(target.clone()),
                NodeKind::Char(major, minor) => EntryKind::Char(*major, *minor),
                NodeKind::Block(major, minor) => EntryKind::Block(*major, *minor),
                NodeKind::Fifo => EntryKind::Fifo,
            };
            let entry = Entry {
                path,
                kind,
                mode: node.mode,
                uid: node.uid,
                gid: node.gid,
                mtime: node.mtime,
                xattrs: node.xattrs.clone(),
            };
            sink.entry(&entry, &mut *data)?;
        }
        Ok(())
    }

    fn names_of_inodes(&self) -> HashMap<u64, u32> {
        let mut names = HashMap::new();
        for node in self.nodes.values() {
            if let NodeKind::File { inode, .. } = node.kind {
                *names.entry(inode).or_insert(0) += 1;
            }
        }
        names
    }

    fn reader(&self, content: &Content) -> Box<dyn Read + '_> {
        match content {
            Content::Fixed(bytes) => Box::new(*bytes),
            Content::At(extent) => Box::new(ExtentReader {
                file: &self.sources[extent.source],
                offset: extent.offset,
                left: extent.size,
            }),
        }
    }
}

fn size(content: &Content) -> u64 {
    match content {
        Content::At(extent) => extent.size,
        Content::Fixed(bytes) => bytes.len() as u64,
    }
}

struct ExtentReader<'a> {
    file: &'a std::fs::File,
    offset: u64,
    left: u64,
}

impl Read for ExtentReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = buf
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = self.file.read_at(&mut buf[..most], self.offset)?;
        self.offset += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}
