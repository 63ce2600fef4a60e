//! QEMU's block node of a disk, as one option of `-blockdev`.

use super::config::{Disk, DiskFault};
use crate::shell::escape;

/// The disk's block node: the format over the file, between them what notes or disturbs requests.
pub(super) fn block_node(disk: &Disk) -> String {
    const SECTORS_PER_MIB: u64 = 2048;
    let mut node = format!(
        "driver={},node-name={},discard={},read-only={}",
        disk.format.driver(),
        disk.name,
        if disk.discard { "unmap" } else { "ignore" },
        if disk.read_only { "on" } else { "off" }
    );
    let mut below = "file".to_owned();
    if let Some(log) = &disk.write_log {
        node += &format!(
            ",{below}.driver=blklogwrites,{below}.log.driver=file,{below}.log.filename={}",
            escape(log)
        );
        below += ".file";
    }
    if let Some(fault) = disk.fault {
        let request = match fault {
            DiskFault::WriteErrorAtMiB(place) => {
                format!(
                    "iotype=write,{below}.inject-error.0.sector={}",
                    u64::from(place) * SECTORS_PER_MIB
                )
            }
            DiskFault::FlushError => "iotype=flush".to_owned(),
        };
        // 5: EIO
        node += &format!(
            ",{below}.driver=blkdebug,{below}.inject-error.0.event=none,{below}.inject-error.0.errno=5,{below}.inject-error.0.{request}"
        );
        below += ".image";
    }
    node + &format!(
        ",{below}.driver=file,{below}.filename={}",
        escape(&disk.file)
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::machine::{Bus, DiskFormat};

    #[test]
    fn a_faulty_disk_and_a_noted_one_have_their_filter_below_the_format() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.img");
        let mut faulty = Disk::new("a", &file, DiskFormat::Raw, Bus::Sata, "S1");
        faulty.fault = Some(DiskFault::WriteErrorAtMiB(2));
        let node = block_node(&faulty);
        assert!(node.contains(",discard=unmap,"), "{node}");
        assert!(
            node.contains("file.driver=blkdebug")
                && node.contains("file.inject-error.0.sector=4096")
                && node.contains("file.image.driver=file"),
            "{node}"
        );
        faulty.write_log = Some(PathBuf::from("log"));
        faulty.fault = Some(DiskFault::FlushError);
        faulty.discard = false;
        let node = block_node(&faulty);
        assert!(
            node.contains(",discard=ignore,")
                && node.contains(
                    "file.driver=blklogwrites,file.log.driver=file,file.log.filename=log"
                )
                && node.contains("file.file.driver=blkdebug")
                && node.contains("file.file.inject-error.0.iotype=flush")
                && node.contains("file.file.image.filename="),
            "{node}"
        );
    }
}
