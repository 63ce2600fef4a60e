//! What was on the disk goes: its blocks where the disk can forget them by itself, and all places that signatures of
//! earlier systems are looked for in, those at the ends of the partitions that are to come among them.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use super::disk::{Buffer, Disk};
use super::progress::Progress;
use super::table;
use super::{ALIGNMENT, PART};
use crate::error::Result;
use crate::image::OsImage;
use crate::program::{Call, Program};
use crate::state::Target;

/// Signatures are within so many bytes from the begin or the end of a disk or a partition: the farthest that libblkid
/// knows is the second header of LUKS2, at 4 MiB.
const ENDS: u64 = PART as u64;
/// One request to discard or to zero has so many bytes at most, so that its end is in sight.
const PIECE: u64 = 8 << 30;
/// How long one such request may take.
const PIECE_DEADLINE: Duration = Duration::from_secs(600);

/// Empties the disk; whether the area of the image reads as zeros then. Without that all of the image is written.
///
/// # Errors
/// The disk cannot be written.
pub fn disk(target: &Target, image: &OsImage, sysfs: &Path) -> Result<bool> {
    let sysfs = sysfs.join("class/block").join(&target.name);
    let limit = |name: &str| number(&sysfs.join("queue").join(name)).unwrap_or(0);
    if limit("discard_max_bytes") > 0 {
        discard(target);
    }
    let old = old_partitions(&sysfs);
    let places = places(target.size, target.sector_size.into(), &old, image);
    // Written, as what a mere discard leaves behind is undefined.
    zero(&Disk::open(&target.path, false)?, &places)?;
    Ok(limit("write_zeroes_max_bytes") > 0 && zeroed(target, image.raw_size))
}

/// In pieces, whose progress can be seen. A disk that refuses one is written without.
fn discard(target: &Target) {
    let progress = Progress::new("discarding", target.size);
    for piece in pieces(target.size) {
        if let Err(error) = blkdiscard(target, &[], &piece) {
            super::progress::say(&format!("the disk does not discard its blocks: {error}"));
            return;
        }
        progress.add(piece.end - piece.start);
    }
}

/// Whether the disk could zero so many bytes from its begin on by itself.
fn zeroed(target: &Target, bytes: u64) -> bool {
    let bytes = bytes.next_multiple_of(target.sector_size.into());
    let mut pieces = pieces(bytes.min(target.size));
    pieces.all(|piece| blkdiscard(target, &["--zeroout"], &piece).is_ok())
}

fn blkdiscard(target: &Target, options: &[&str], piece: &Range<u64>) -> Result<()> {
    let place = [
        format!("--offset={}", piece.start),
        format!("--length={}", piece.end - piece.start),
    ];
    let call = Call::new(Program::Blkdiscard).args(["--force"]);
    let call = call.args(options).args(place).args([&target.path]);
    call.deadline(PIECE_DEADLINE).run().map(|_| ())
}

fn pieces(size: u64) -> impl Iterator<Item = Range<u64>> {
    let starts = (0..size).step_by(PIECE as usize);
    starts.map(move |start| start..size.min(start + PIECE))
}

/// The partitions that the kernel has found, in bytes. sysfs counts in 512 bytes whatever the sectors are.
fn old_partitions(sysfs: &Path) -> Vec<Range<u64>> {
    let entries = fs::read_dir(sysfs).into_iter().flatten().flatten();
    let parts = entries.filter(|entry| entry.path().join("partition").exists());
    let place = parts.filter_map(|entry| {
        let (start, size) = (
            number(&entry.path().join("start"))?,
            number(&entry.path().join("size"))?,
        );
        Some(start * 512..(start + size) * 512)
    });
    place.collect()
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Both ends of the disk, of old partitions, and of those that the image brings, of which the last one grows. Each begins
/// and ends where direct I/O can write.
fn places(size: u64, sector: u64, old: &[Range<u64>], image: &OsImage) -> Vec<Range<u64>> {
    let mut areas = old.to_vec();
    areas.push(0..size);
    let new = image.partitions.iter();
    areas.extend(new.map(|one| one.start..one.start + one.size));
    let last = image.partitions.iter().max_by_key(|one| one.start);
    let end = table::grown_end(table::usable_end(size, sector));
    areas.extend(last.map(|one| one.start..end.max(one.start + one.size)));
    let align = ALIGNMENT as u64;
    let ends = areas.iter().flat_map(|area| {
        let first = area.start..area.end.min(area.start + ENDS);
        [
            first,
            area.start.max(area.end.saturating_sub(ENDS))..area.end,
        ]
    });
    // What is over at the end of a disk with an odd number of sectors is written through the page cache.
    let aligned =
        ends.map(|area| area.start - area.start % align..area.end.next_multiple_of(align));
    let inside = aligned.map(|area| area.start..area.end.min(size));
    merged(inside.filter(|area| area.start < area.end).collect())
}

/// What overlaps or touches is one.
fn merged(mut areas: Vec<Range<u64>>) -> Vec<Range<u64>> {
    areas.sort_by_key(|area| area.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for area in areas {
        match merged.last_mut() {
            Some(last) if area.start <= last.end => last.end = last.end.max(area.end),
            _ => merged.push(area),
        }
    }
    merged
}

fn zero(disk: &Disk, places: &[Range<u64>]) -> Result<()> {
    let mut buffer = Buffer::new();
    for place in places {
        let mut start = place.start;
        while start < place.end {
            let size = (place.end - start).min(PART as u64);
            disk.write(&buffer.bytes()[..size as usize], start)?;
            start += size;
        }
    }
    disk.sync()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::example;

    const MIB: u64 = 1 << 20;

    #[test]
    fn both_ends_of_all_that_is_or_will_be_are_zeroed() {
        let disk = 1 << 30;
        let ends = places(disk, 512, &[], &example());
        // The image's partitions begin at 1 and 2 MiB; the last grows to the last MiB before the second table.
        assert_eq!(ends, [0..10 * MIB, disk - 9 * MIB..disk]);
        let old = 200 * MIB..500 * MIB + 512;
        let ends = places(disk, 512, &[old], &example());
        let expected = [
            0..10 * MIB,
            200 * MIB..208 * MIB,
            492 * MIB..500 * MIB + 4096,
            disk - 9 * MIB..disk,
        ];
        assert_eq!(ends, expected);
    }

    #[test]
    fn a_disk_of_an_odd_size_is_zeroed_to_its_last_sector() {
        let disk = (64 << 20) + 512;
        let ends = places(disk, 512, &[], &example());
        assert_eq!(ends.last(), Some(&(disk - 512 - 9 * MIB..disk)));
        assert!(ends.iter().all(|area| area.start % 4096 == 0));
    }

    #[test]
    fn an_old_partition_beyond_the_disk_is_no_reason_to_write_there() {
        let disk = 64 * MIB;
        let ends = places(
            disk,
            512,
            &[60 * MIB..90 * MIB, 70 * MIB..71 * MIB],
            &example(),
        );
        assert_eq!(ends.last().map(|area| area.end), Some(disk));
    }

    /// Where an earlier system's RAID (md 0.90, md 1.0) and ZFS have their superblocks on the grown partition.
    #[test]
    fn superblocks_at_the_end_of_the_grown_partition_are_zeroed() {
        for disk in [64 * MIB, (1 << 30) + 512, 3 << 40, 1_000_204_886_016] {
            let ends = places(disk, 512, &[], &example());
            let (start, end) = (2 * MIB, table::grown_end(table::usable_end(disk, 512)));
            let size = end - start;
            let kib = 1 << 10;
            let md090 = size / (64 * kib) * (64 * kib) - 64 * kib;
            let md10 = (size / 512 - 16) / 8 * 8 * 512;
            let labels = size / (256 * kib) * (256 * kib) - 512 * kib;
            for (at, length) in [(md090, 4 * kib), (md10, kib), (labels, 512 * kib)] {
                let place = start + at..start + at + length;
                let zeroed = |area: &Range<u64>| area.start <= place.start && place.end <= area.end;
                assert!(ends.iter().any(zeroed), "{place:?} of {disk}: {ends:?}");
            }
        }
    }

    #[test]
    fn places_are_zeroed_and_nothing_between_them() -> Result<()> {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("disk");
        fs::write(&path, vec![1; 20 * MIB as usize]).expect("file");
        zero(&Disk::file(&path, false)?, &[0..4096, 5 * MIB..15 * MIB])?;
        let bytes = fs::read(&path).expect("file");
        let zeros = |from: u64, to: u64| {
            let area = &bytes[from as usize..to as usize];
            area.iter().filter(|byte| **byte == 0).count() as u64
        };
        assert_eq!(zeros(0, 4096), 4096);
        assert_eq!(zeros(4096, 5 * MIB), 0);
        assert_eq!(zeros(5 * MIB, 15 * MIB), 10 * MIB);
        assert_eq!(zeros(15 * MIB, 20 * MIB), 0);
        Ok(())
    }

    #[test]
    fn a_disk_is_discarded_piece_by_piece() {
        let all: Vec<_> = pieces(2 * PIECE + 512).collect();
        assert_eq!(
            all,
            [0..PIECE, PIECE..2 * PIECE, 2 * PIECE..2 * PIECE + 512]
        );
        assert_eq!(pieces(0).count(), 0);
    }

    #[test]
    fn old_partitions_are_those_of_sysfs() {
        let sysfs = tempfile::tempdir().expect("a directory can be made");
        let write = |path: &str, text: &str| {
            let path = sysfs.path().join(path);
            fs::create_dir_all(path.parent().expect("above")).expect("directory");
            fs::write(path, text).expect("file");
        };
        write("sda1/partition", "1\n");
        write("sda1/start", "2048\n");
        write("sda1/size", "8\n");
        write("queue/start", "1\n");
        let found = old_partitions(sysfs.path());
        assert_eq!((found.len(), &found[0]), (1, &(MIB..MIB + 4096)));
        assert!(old_partitions(Path::new("/nonexistent")).is_empty());
    }
}
