//! The firmware's variables as files of efivarfs, and what the refusal of one means.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use efi::{GLOBAL_VARIABLE, Uuid};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};

/// Non-volatile, seen by boot services and by the running system: what the boot variables have to be.
pub const ATTRIBUTES: u32 = 7;
/// Bytes of the attributes, before a variable's content.
const HEADER: usize = 4;

/// A store of variables. Errors of it are those of the system call, as the kernel makes them of the firmware's answer.
pub trait Variables {
    /// The names of all variables of the firmware's own namespace.
    fn names(&self) -> io::Result<BTreeSet<String>>;
    /// The content of a variable; nothing where there is none.
    fn read(&self, name: &str, vendor: Uuid) -> io::Result<Option<Vec<u8>>>;
    /// Gives a variable of the firmware's own namespace this content. One that was not there is not there after an
    /// error either.
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()>;
    /// Removes a variable of the firmware's own namespace.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// efivarfs, or a directory with files like its.
#[derive(Debug)]
pub struct Efivarfs {
    directory: PathBuf,
}

impl Efivarfs {
    /// The variables in this directory.
    ///
    /// # Errors
    /// It has none: efivarfs is not mounted there, or the firmware offers no variables.
    pub fn open(directory: &Path) -> Result<Self> {
        let reason = match fs::read_dir(directory).map(|mut files| files.next().is_some()) {
            Ok(true) => {
                return Ok(Self {
                    directory: directory.to_owned(),
                });
            }
            Ok(false) => "it is empty".to_owned(),
            Err(error) => error.to_string(),
        };
        let reason = format!(
            "no access to the firmware's variables in {}: {reason}",
            directory.display()
        );
        Err(Error::new(Kind::Environment, reason))
    }

    fn path(&self, name: &str, vendor: Uuid) -> PathBuf {
        self.directory.join(format!("{name}-{vendor}"))
    }
}

impl Variables for Efivarfs {
    fn names(&self) -> io::Result<BTreeSet<String>> {
        let suffix = format!("-{GLOBAL_VARIABLE}");
        let mut names = BTreeSet::new();
        for file in fs::read_dir(&self.directory)? {
            // Names of other vendors' variables may be any bytes.
            let name = file?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(&suffix));
            names.extend(name.map(str::to_owned));
        }
        Ok(names)
    }

    fn read(&self, name: &str, vendor: Uuid) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name, vendor)) {
            // What a failed write of a kernel before 6.14 leaves behind is shorter.
            Ok(bytes) => Ok(bytes.get(HEADER..).map(<[u8]>::to_vec)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.path(name, GLOBAL_VARIABLE);
        let is_new = !path.exists();
        if !is_new {
            make_mutable(&path)?;
        }
        let written = write_at_once(&path, content);
        if written.is_err() && is_new {
            // The file without a variable behind it, which kernels before 6.14 leave.
            let _ = fs::remove_file(&path);
        }
        written
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name, GLOBAL_VARIABLE);
        make_mutable(&path)?;
        fs::remove_file(path)
    }
}

/// The kernel hands each write to the firmware as a whole variable; truncating the file is none of it.
fn write_at_once(path: &Path, content: &[u8]) -> io::Result<()> {
    let bytes = [&ATTRIBUTES.to_le_bytes(), content].concat();
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    if file.write(&bytes)? != bytes.len() {
        return Err(io::Error::from(ErrorKind::WriteZero));
    }
    // Of efivarfs the file has this length already; in another directory the end of a longer one is left.
    let length = u64::try_from(bytes.len()).map_err(io::Error::other)?;
    if file.metadata()?.len() != length {
        file.set_len(length)?;
    }
    Ok(())
}

/// Takes away the flag by which the kernel keeps `rm -r` from removing variables that a firmware may need to start.
fn make_mutable(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    match ioctl_getflags(file.as_fd()) {
        Ok(flags) if flags.contains(IFlags::IMMUTABLE) => {
            Ok(ioctl_setflags(file.as_fd(), flags - IFlags::IMMUTABLE)?)
        }
        // Only some file systems know such flags.
        Ok(_) | Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What a refused write or removal means and what a person can do about it. `doing` is such as `writing BootOrder`.
pub fn refused(doing: &str, error: &io::Error) -> Error {
    let (meaning, advice) = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSPC) => (
            "its variable store is full",
            "delete boot entries that nobody needs in the firmware's setup, or load its defaults",
        ),
        Some(Errno::PERM | Errno::ACCESS | Errno::ROFS) => (
            "it is read-only",
            "allow the system to change boot entries in the firmware's setup, where it has such a setting",
        ),
        Some(Errno::IO) => (
            "its variable store failed",
            "update the firmware, or replace the board's battery; its flash memory may be failing",
        ),
        Some(Errno::INVAL) => ("it takes no such variable", "update the firmware"),
        _ => ("", "update the firmware if this repeats"),
    };
    let reason = match meaning {
        "" => format!("{doing}: {error}"),
        meaning => format!("{doing}: {meaning} ({error})"),
    };
    Error::new(Kind::Environment, reason).advice(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let file = directory
            .path()
            .join(format!("BootOrder-{GLOBAL_VARIABLE}"));
        fs::write(file, [7, 0, 0, 0, 1, 0, 2, 0]).expect("a file can be written");
        directory
    }

    #[test]
    fn a_directory_without_variables_is_refused_with_what_was_seen() {
        let empty = tempfile::tempdir().expect("a directory can be made");
        let missing = empty.path().join("efivars");
        let reason = |path: &Path| Efivarfs::open(path).expect_err("nothing is there").reason;
        assert!(reason(empty.path()).ends_with(": it is empty"));
        assert!(reason(&missing).contains("/efivars: No such file or directory"));
    }

    #[test]
    fn a_variable_is_a_file_with_its_attributes_before_its_content() -> io::Result<()> {
        let directory = directory();
        let variables = Efivarfs::open(directory.path()).expect("there is a variable");
        assert_eq!(
            variables.read("BootOrder", GLOBAL_VARIABLE)?,
            Some(vec![1, 0, 2, 0])
        );
        assert_eq!(
            variables.read("BootOrder", efi::IMAGE_SECURITY_DATABASE)?,
            None
        );
        variables.write("BootOrder", &[3, 0])?;
        variables.write("Boot0003", b"entry")?;
        assert_eq!(
            variables.read("BootOrder", GLOBAL_VARIABLE)?,
            Some(vec![3, 0])
        );
        let file = directory
            .path()
            .join("Boot0003-8be4df61-93ca-11d2-aa0d-00e098032b8c");
        assert_eq!(fs::read(file)?, b"\x07\0\0\0entry");
        variables.remove("BootOrder")?;
        assert_eq!(variables.names()?, BTreeSet::from(["Boot0003".to_owned()]));
        Ok(())
    }

    #[test]
    fn names_are_those_of_the_firmwares_own_namespace() -> io::Result<()> {
        let directory = directory();
        fs::write(
            directory
                .path()
                .join(format!("db-{}", efi::IMAGE_SECURITY_DATABASE)),
            [7, 0, 0, 0],
        )?;
        let variables = Efivarfs::open(directory.path()).expect("there is a variable");
        assert_eq!(variables.names()?, BTreeSet::from(["BootOrder".to_owned()]));
        Ok(())
    }

    #[test]
    fn a_file_of_less_than_attributes_is_no_variable() -> io::Result<()> {
        let directory = directory();
        let variables = Efivarfs::open(directory.path()).expect("there is a variable");
        fs::write(variables.path("Boot0001", GLOBAL_VARIABLE), [7, 0, 0])?;
        assert_eq!(variables.read("Boot0001", GLOBAL_VARIABLE)?, None);
        fs::write(variables.path("Boot0001", GLOBAL_VARIABLE), [7, 0, 0, 0])?;
        assert_eq!(
            variables.read("Boot0001", GLOBAL_VARIABLE)?,
            Some(Vec::new())
        );
        Ok(())
    }

    #[test]
    fn a_refusal_says_what_it_means_and_what_helps() {
        let meaning = |errno: Errno| {
            let error = refused("writing Boot0004", &errno.into());
            (error.reason, error.advice.expect("each has one"))
        };
        let (reason, advice) = meaning(Errno::NOSPC);
        assert!(
            reason.starts_with("writing Boot0004: its variable store is full (No space left"),
            "{reason}"
        );
        assert!(advice.starts_with("delete boot entries"), "{advice}");
        for errno in [Errno::PERM, Errno::ACCESS, Errno::ROFS] {
            assert!(meaning(errno).0.contains(": it is read-only ("));
        }
        assert!(
            meaning(Errno::IO)
                .0
                .contains(": its variable store failed (")
        );
        assert!(
            meaning(Errno::INVAL)
                .0
                .contains(": it takes no such variable (")
        );
        assert!(
            meaning(Errno::NXIO)
                .0
                .starts_with("writing Boot0004: No such device")
        );
    }
}
