//! The installation medium, as long as it is attached.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// The medium as it was when it was first looked at.
#[derive(Debug)]
pub struct Medium {
    node: PathBuf,
    /// Its link in sysfs, and where that leads: another disk may get its name.
    link: PathBuf,
    place: Option<PathBuf>,
}

impl Medium {
    /// The medium with this node, such as `/dev/sda`, among the devices in `sysfs`.
    #[must_use]
    pub fn of(node: &Path, sysfs: &Path) -> Self {
        let name = node.file_name().map_or_else(OsString::new, Into::into);
        let link = sysfs.join("class/block").join(name);
        Self {
            node: node.into(),
            place: fs::read_link(&link).ok(),
            link,
        }
    }

    /// Whether it has been pulled, or its drive has been opened.
    ///
    /// One that was not there at first has not been pulled.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.place.is_some() && (fs::read_link(&self.link).ok() != self.place || self.is_empty())
    }

    /// A drive or reader without its medium stays, but does not open.
    fn is_empty(&self) -> bool {
        let gone = [Errno::NOMEDIUM, Errno::NXIO, Errno::NODEV, Errno::NOENT];
        let error = File::open(&self.node)
            .err()
            .and_then(|error| error.raw_os_error());
        error.is_some_and(|error| gone.iter().any(|gone| gone.raw_os_error() == error))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A stick `sda`, in directories that stand for sysfs and /dev.
    fn stick() -> (tempfile::TempDir, PathBuf, Medium) {
        let root = tempfile::tempdir().expect("a directory can be made");
        let link = root.path().join("class/block/sda");
        fs::create_dir_all(root.path().join("class/block")).expect("it can be made");
        symlink("../../devices/usb1/host6/block/sda", &link).expect("it can be made");
        let node = root.path().join("sda");
        fs::write(&node, "").expect("it can be made");
        let medium = Medium::of(&node, root.path());
        (root, link, medium)
    }

    #[test]
    fn one_that_is_attached_is_not_gone() {
        let (_root, _, medium) = stick();
        assert!(!medium.is_gone());
    }

    #[test]
    fn one_that_is_pulled_is_gone() {
        let (_root, link, medium) = stick();
        fs::remove_file(link).expect("it is there");
        assert!(medium.is_gone());
    }

    #[test]
    fn another_disk_of_its_name_is_not_the_medium() {
        let (_root, link, medium) = stick();
        fs::remove_file(&link).expect("it is there");
        symlink("../../devices/usb1/host7/block/sda", &link).expect("it can be made");
        assert!(medium.is_gone());
    }

    #[test]
    fn a_drive_that_does_not_open_any_more_has_no_medium() {
        let (root, _, medium) = stick();
        fs::remove_file(root.path().join("sda")).expect("it is there");
        assert!(medium.is_gone());
    }

    #[test]
    fn one_that_was_never_there_is_not_waited_for() {
        let root = tempfile::tempdir().expect("a directory can be made");
        assert!(!Medium::of(Path::new("/dev/sdz"), root.path()).is_gone());
    }
}
