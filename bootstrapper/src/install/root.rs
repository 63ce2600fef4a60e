//! A root tree that is opened once; every path is resolved beneath it by the kernel (openat2, RESOLVE_IN_ROOT).

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// A folder, to name what is in it.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);
/// A folder, to read what is in it or to change its access.
const CONTENT: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);
/// A file that is not there yet, not even as a link.
const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// Links are followed as if the root were `/`; those of /proc not at all.
const BENEATH: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// A path of the tree could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path} in the target's root {root}: {source}", root = .root.display())]
pub struct RootError {
    action: &'static str,
    path: String,
    root: PathBuf,
    #[source]
    source: std::io::Error,
}

/// Whether files get their owner. Without privileges nobody can give files away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// Owners are set, as an installation needs.
    Set,
    /// Owners stay the caller's, as a test without privileges needs.
    Keep,
}

/// Owner and permission bits of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

impl Access {
    pub(super) const fn root(mode: u32) -> Self {
        Self {
            uid: 0,
            gid: 0,
            mode,
        }
    }
}

/// An open root tree.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
    owners: Owners,
}

impl Root {
    /// Opens the folder that is the target's `/`.
    ///
    /// # Errors
    /// It is no folder or cannot be opened.
    pub fn open(path: &Path, owners: Owners) -> Result<Self, RootError> {
        let flags = FOLDER.union(OFlags::CLOEXEC);
        let opened = rustix::fs::openat(CWD, path, flags, Mode::empty());
        let fd = opened.map_err(|errno| RootError {
            action: "opening",
            path: "/".to_owned(),
            root: path.to_owned(),
            source: errno.into(),
        })?;
        Ok(Self {
            fd,
            path: path.to_owned(),
            owners,
        })
    }

    /// Whether the path is there.
    pub(super) fn exists(&self, path: &str) -> Result<bool, RootError> {
        match self.resolve(path, OFlags::PATH) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(errno) => Err(self.error("looking up", path, errno)),
        }
    }

    /// What a symbolic link says; `None` for anything else, and for nothing.
    pub(super) fn target_of(&self, path: &str) -> Result<Option<String>, RootError> {
        let (folder, name) = split(path);
        let dir = match self.resolve(folder, FOLDER) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(self.error("opening", folder, errno)),
        };
        match rustix::fs::readlinkat(&dir, name, vec![]) {
            Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(errno) => Err(self.error("reading the link", path, errno)),
        }
    }

    /// Makes a symbolic link, in the place of another one. Folders above it are made.
    pub(super) fn link(&self, path: &str, target: &str) -> Result<(), RootError> {
        if self.target_of(path)?.as_deref() == Some(target) {
            return Ok(());
        }
        self.unlink(path)?;
        let (folder, name) = split(path);
        self.make_folders(folder, Access::root(0o755))?;
        let dir = self
            .resolve(folder, FOLDER)
            .map_err(|errno| self.error("opening", folder, errno))?;
        rustix::fs::symlinkat(target, &dir, name)
            .map_err(|errno| self.error("making the link", path, errno))
    }

    /// Removes a symbolic link or a file, if there is one.
    pub(super) fn unlink(&self, path: &str) -> Result<(), RootError> {
        let (folder, name) = split(path);
        let dir = match self.resolve(folder, FOLDER) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(self.error("opening", folder, errno)),
        };
        match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.error("removing", path, errno)),
        }
    }

    /// Names of the folders in a folder.
    pub(super) fn folders_in(&self, path: &str) -> Result<Vec<String>, RootError> {
        let entries = self.entries(path)?.into_iter();
        let folders = entries.filter(|(_, kind)| *kind == FileType::Directory);
        Ok(folders.map(|(name, _)| name).collect())
    }

    /// Names and targets of the symbolic links in a folder.
    pub(super) fn links_in(&self, path: &str) -> Result<Vec<(String, String)>, RootError> {
        let mut links = vec![];
        for (name, kind) in self.entries(path)? {
            if kind == FileType::Symlink
                && let Some(target) = self.target_of(&format!("{path}/{name}"))?
            {
                links.push((name, target));
            }
        }
        Ok(links)
    }

    /// What is in a folder, sorted by name; nothing when it is not there.
    fn entries(&self, path: &str) -> Result<Vec<(String, FileType)>, RootError> {
        let fd = match self.resolve(path, CONTENT) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(vec![]),
            Err(errno) => return Err(self.error("reading", path, errno)),
        };
        let entries = rustix::fs::Dir::read_from(&fd)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|errno| self.error("reading", path, errno))?;
        let mut found: Vec<(String, FileType)> = entries
            .iter()
            .map(|e| (e.file_name().to_string_lossy().into_owned(), e.file_type()))
            .filter(|(name, _)| name != "." && name != "..")
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// A file's text and access; `None` when it is not there.
    pub(super) fn read(&self, path: &str) -> Result<Option<(String, Access)>, RootError> {
        let fd = match self.resolve(path, OFlags::RDONLY) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.error("reading", path, errno)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(|errno| self.error("reading", path, errno))?;
        let mut text = String::new();
        File::from(fd)
            .read_to_string(&mut text)
            .map_err(|error| self.io_error("reading", path, error))?;
        Ok(Some((text, access(&stat))))
    }

    /// Writes a file beside and renames it, so that it is there whole or not at all. Folders above it are made.
    pub(super) fn write(&self, path: &str, text: &[u8], access: Access) -> Result<(), RootError> {
        let (folder, name) = split(path);
        self.make_folders(folder, Access::root(0o755))?;
        let dir = self
            .resolve(folder, FOLDER)
            .map_err(|errno| self.error("opening", folder, errno))?;
        let beside = format!(".{name}.emts-new");
        let done = self.write_beside(&dir, &beside, name, text, access);
        if done.is_err() {
            let _ = rustix::fs::unlinkat(&dir, &beside, AtFlags::empty());
        }
        done.map_err(|error| self.io_error("writing", path, error))
    }

    fn write_beside(
        &self,
        dir: &OwnedFd,
        beside: &str,
        name: &str,
        text: &[u8],
        access: Access,
    ) -> std::io::Result<()> {
        match rustix::fs::unlinkat(dir, beside, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let fd = rustix::fs::openat(dir, beside, NEW_FILE, Mode::from_raw_mode(0o600))?;
        let mut file = File::from(fd);
        file.write_all(text)?;
        self.give(&file, access)?;
        file.sync_all()?;
        rustix::fs::renameat(dir, beside, dir, name)?;
        Ok(())
    }

    /// Makes a folder and those above it where they are missing; sets the last one's access.
    pub(super) fn folder(&self, path: &str, access: Access) -> Result<(), RootError> {
        let (above, _) = split(path);
        self.make_folders(above, Access::root(0o755))?;
        self.make_folders(path, access)?;
        let fd = self
            .resolve(path, CONTENT)
            .map_err(|errno| self.error("opening", path, errno))?;
        self.give(&File::from(fd), access)
            .map_err(|error| self.io_error("setting the access of", path, error))
    }

    fn make_folders(&self, path: &str, access: Access) -> Result<(), RootError> {
        let mut done = String::new();
        for step in path.split('/').filter(|step| !step.is_empty()) {
            let above = if done.is_empty() {
                "/".to_owned()
            } else {
                done.clone()
            };
            done = format!("{done}/{step}");
            match self.resolve(&done, FOLDER) {
                Ok(_) => continue,
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(self.error("opening the folder", &done, errno)),
            }
            let dir = self
                .resolve(&above, FOLDER)
                .map_err(|errno| self.error("opening", &above, errno))?;
            rustix::fs::mkdirat(&dir, step, Mode::from_raw_mode(access.mode))
                .map_err(|errno| self.error("making the folder", &done, errno))?;
            let fd = self
                .resolve(&done, CONTENT)
                .map_err(|errno| self.error("opening", &done, errno))?;
            self.give(&File::from(fd), access)
                .map_err(|error| self.io_error("setting the access of", &done, error))?;
        }
        Ok(())
    }

    /// Copies a folder's content (files, folders, links) to another folder, giving it to one owner.
    pub(super) fn copy_folder(&self, from: &str, to: &str, owner: Access) -> Result<(), RootError> {
        self.folder(to, owner)?;
        let fd = match self.resolve(from, CONTENT) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(self.error("reading", from, errno)),
        };
        for (name, kind) in self.entries(from)? {
            let (source, target) = (format!("{from}/{name}"), format!("{to}/{name}"));
            match kind {
                FileType::Directory => {
                    let mode = self.mode_of(&source)?;
                    self.copy_folder(&source, &target, Access { mode, ..owner })?;
                }
                FileType::RegularFile => {
                    if let Some((text, found)) = self.read(&source)? {
                        let mode = found.mode;
                        self.write(&target, text.as_bytes(), Access { mode, ..owner })?;
                    }
                }
                FileType::Symlink => self.copy_link(fd.as_fd(), &name, to, owner)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn copy_link(
        &self,
        from: std::os::fd::BorrowedFd<'_>,
        name: &str,
        to: &str,
        owner: Access,
    ) -> Result<(), RootError> {
        let fail = |errno| self.error("copying the link", name, errno);
        let target = rustix::fs::readlinkat(from, name, vec![]).map_err(fail)?;
        let dir = self.resolve(to, FOLDER).map_err(fail)?;
        rustix::fs::symlinkat(target.as_c_str(), &dir, name).map_err(fail)?;
        if self.owners == Owners::Set {
            let (uid, gid) = ids(owner);
            rustix::fs::chownat(&dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        }
        Ok(())
    }

    fn mode_of(&self, path: &str) -> Result<u32, RootError> {
        let fd = self
            .resolve(path, OFlags::PATH)
            .map_err(|errno| self.error("reading", path, errno))?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| self.error("reading", path, errno))?;
        Ok(access(&stat).mode)
    }

    fn give(&self, file: &File, access: Access) -> std::io::Result<()> {
        if self.owners == Owners::Set {
            let (uid, gid) = ids(access);
            rustix::fs::fchown(file, uid, gid)?;
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(access.mode))?;
        Ok(())
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags.union(OFlags::CLOEXEC);
        rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), BENEATH)
    }

    fn error(&self, action: &'static str, path: &str, errno: Errno) -> RootError {
        self.io_error(action, path, errno.into())
    }

    fn io_error(&self, action: &'static str, path: &str, source: std::io::Error) -> RootError {
        RootError {
            action,
            path: path.to_owned(),
            root: self.path.clone(),
            source,
        }
    }
}

fn split(path: &str) -> (&str, &str) {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => ("/", path),
    }
}

fn access(stat: &Stat) -> Access {
    Access {
        uid: stat.st_uid,
        gid: stat.st_gid,
        mode: stat.st_mode & 0o7777,
    }
}

fn ids(access: Access) -> (Option<rustix::fs::Uid>, Option<rustix::fs::Gid>) {
    (
        Some(rustix::fs::Uid::from_raw(access.uid)),
        Some(rustix::fs::Gid::from_raw(access.gid)),
    )
}
