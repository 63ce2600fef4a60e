//! A root tree that is opened once; every path is resolved beneath it by the kernel (openat2, RESOLVE_IN_ROOT).

use super::access::{Access, Owners};
use super::attributes;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// A directory, to name what is in it.
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);
/// A directory, to read what is in it or to change its access.
const CONTENT: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);
/// A file that is not there yet, not even as a link.
const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// Links are followed as if the root were `/`; those of /proc not at all.
const BENEATH: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// As many links to nothing may follow each other; the kernel follows no more than 40 links.
const MAX_LINKS: u8 = 8;

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

/// An open root tree.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
    owners: Owners,
}

impl Root {
    /// Opens the directory that is the target's `/`.
    ///
    /// # Errors
    /// It is no directory or cannot be opened.
    pub fn open(path: &Path, owners: Owners) -> Result<Self, RootError> {
        let flags = DIRECTORY.union(OFlags::CLOEXEC);
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

    /// The directory that it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path itself is there, be it a link to nothing.
    pub(super) fn is_there(&self, path: &str) -> Result<bool, RootError> {
        let (directory, name) = split(path);
        let found = self.resolve(directory, DIRECTORY).and_then(|dir| {
            rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).map(|_| true)
        });
        match found {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            other => other.map_err(|errno| self.error("looking up", path, errno)),
        }
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
        let (directory, name) = split(path);
        let dir = match self.resolve(directory, DIRECTORY) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(self.error("opening", directory, errno)),
        };
        match rustix::fs::readlinkat(&dir, name, vec![]) {
            Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(errno) => Err(self.error("reading the link", path, errno)),
        }
    }

    /// Makes a symbolic link, in the place of a file or another one. Directories above it are made.
    pub(super) fn link(
        &self,
        path: &str,
        target: &str,
        (user, group): (u32, u32),
    ) -> Result<(), RootError> {
        self.unlink(path)?;
        let (directory, name) = split(path);
        self.make_directories(directory, Access::root(0o755))?;
        let dir = self
            .resolve(directory, DIRECTORY)
            .map_err(|errno| self.error("opening", directory, errno))?;
        rustix::fs::symlinkat(target, &dir, name)
            .and_then(|()| match self.owners {
                Owners::Set => {
                    let (uid, gid) = ids(user, group);
                    rustix::fs::chownat(&dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                }
                Owners::Keep => Ok(()),
            })
            .map_err(|errno| self.error("making the link", path, errno))
    }

    /// Removes a symbolic link or a file, if there is one.
    pub(super) fn unlink(&self, path: &str) -> Result<(), RootError> {
        let (directory, name) = split(path);
        let dir = match self.resolve(directory, DIRECTORY) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(self.error("opening", directory, errno)),
        };
        match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.error("removing", path, errno)),
        }
    }

    /// What is in a directory, sorted by name; nothing when it is not there.
    pub(super) fn entries(&self, path: &str) -> Result<Vec<(String, FileType)>, RootError> {
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

    /// A file's content and access; `None` when it is not there, or is a FIFO, a socket or a device: to open one may wait
    /// for ever.
    pub(super) fn read(&self, path: &str) -> Result<Option<(Vec<u8>, Access)>, RootError> {
        let failed = |errno| self.error("reading", path, errno);
        let there = match self.resolve(path, OFlags::PATH) {
            Ok(there) => there,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        };
        let stat = rustix::fs::fstat(&there).map_err(failed)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(failed(Errno::ISDIR)),
            _ => return Ok(None),
        }
        let fd = self.resolve(path, OFlags::RDONLY).map_err(failed)?;
        let mut bytes = vec![];
        File::from(fd)
            .read_to_end(&mut bytes)
            .map_err(|error| self.io_error("reading", path, error))?;
        Ok(Some((bytes, access(&stat))))
    }

    /// Writes a file beside and renames it, so that it is there whole or not at all. Directories above it are made.
    pub(super) fn write(&self, path: &str, text: &[u8], access: Access) -> Result<(), RootError> {
        let (directory, name) = split(path);
        self.make_directories(directory, Access::root(0o755))?;
        let dir = self
            .resolve(directory, DIRECTORY)
            .map_err(|errno| self.error("opening", directory, errno))?;
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
        self.give(&file, access, |new| {
            attributes::keep(dir.as_fd(), name, new, self.owners)
        })?;
        file.sync_all()?;
        rustix::fs::renameat(dir, beside, dir, name)?;
        Ok(())
    }

    /// Makes a directory and those above it where they are missing; sets the last one's access.
    pub(super) fn directory(&self, path: &str, access: Access) -> Result<(), RootError> {
        let (above, _) = split(path);
        self.make_directories(above, Access::root(0o755))?;
        self.make_directories(path, access)?;
        let fd = self
            .resolve(path, CONTENT)
            .map_err(|errno| self.error("opening", path, errno))?;
        self.give(&File::from(fd), access, |_| Ok(()))
            .map_err(|error| self.io_error("setting the access of", path, error))
    }

    fn make_directories(&self, path: &str, access: Access) -> Result<(), RootError> {
        self.make_directories_through(path, access, MAX_LINKS)
    }

    fn make_directories_through(
        &self,
        path: &str,
        access: Access,
        links: u8,
    ) -> Result<(), RootError> {
        let mut done = String::new();
        for step in path.split('/').filter(|step| !step.is_empty()) {
            let above = if done.is_empty() {
                "/".to_owned()
            } else {
                done.clone()
            };
            done = format!("{done}/{step}");
            match self.resolve(&done, DIRECTORY) {
                Ok(_) => continue,
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(self.error("opening the directory", &done, errno)),
            }
            // To what the first boot was to make, as with /home -> var/home. One that leads to nothing from `/` on may
            // mean a place outside of the image, and is an error below.
            let link = self.target_of(&done)?;
            if let Some(target) = link.filter(|target| !target.starts_with('/')) {
                let target = format!("{above}/{target}");
                if links == 0 {
                    return Err(self.error("opening the directory", &done, Errno::LOOP));
                }
                self.make_directories_through(&target, access, links - 1)?;
                continue;
            }
            let dir = self
                .resolve(&above, DIRECTORY)
                .map_err(|errno| self.error("opening", &above, errno))?;
            rustix::fs::mkdirat(&dir, step, Mode::from_raw_mode(access.mode))
                .map_err(|errno| self.error("making the directory", &done, errno))?;
            let fd = self
                .resolve(&done, CONTENT)
                .map_err(|errno| self.error("opening", &done, errno))?;
            self.give(&File::from(fd), access, |_| Ok(()))
                .map_err(|error| self.io_error("setting the access of", &done, error))?;
        }
        Ok(())
    }

    /// Permission bits of what is there.
    pub(super) fn mode_of(&self, path: &str) -> Result<u32, RootError> {
        let fd = self
            .resolve(path, OFlags::PATH)
            .map_err(|errno| self.error("reading", path, errno))?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| self.error("reading", path, errno))?;
        Ok(access(&stat).mode)
    }

    /// Owner first, as a new one takes set-user-ID bits and capabilities away; the mode last, as it is part of the ACL.
    fn give(
        &self,
        file: &File,
        access: Access,
        between: impl FnOnce(&File) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        if self.owners == Owners::Set {
            let (uid, gid) = ids(access.uid, access.gid);
            rustix::fs::fchown(file, uid, gid)?;
        }
        between(file)?;
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
        Some((directory, name)) => (directory, name),
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

fn ids(user: u32, group: u32) -> (Option<rustix::fs::Uid>, Option<rustix::fs::Gid>) {
    (
        Some(rustix::fs::Uid::from_raw(user)),
        Some(rustix::fs::Gid::from_raw(group)),
    )
}
