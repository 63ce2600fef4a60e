//! What a disk holds after a power cut: the writes that it had been told to make durable, and of those after
//! them only some.
//!
//! QEMU's filter `blklogwrites` notes every request in the form of the kernel's dm-log-writes
//! (Documentation/admin-guide/device-mapper/log-writes.rst): a superblock, then for each request one sector
//! with its header and, for a write, its data.

use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// First word of the superblock, WRITE_LOG_MAGIC.
const MAGIC: u64 = 0x006a_7366_7773_6872;
/// LOG_FLUSH_FLAG: all requests before this one are durable.
const FLUSH: u64 = 1;
/// LOG_FUA_FLAG: this one is durable when it is done.
const FUA: u64 = 2;
/// LOG_DISCARD_FLAG: a discard, which has no data.
const DISCARD: u64 = 4;
/// Bytes that a disk loses or keeps as one when power goes, its physical sector.
const PIECE: usize = 4096;

/// Why a log of writes cannot be replayed.
#[derive(Debug, Error)]
pub enum WriteLogError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The log is not one.
    #[error("the log of the disk's writes has the magic number {0:#x}, not that of dm-log-writes")]
    Foreign(u64),
}

/// A request of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Request {
    /// Place on the disk, in bytes.
    start: u64,
    /// Length, in bytes.
    length: u64,
    flags: u64,
    /// Place of the data in the log.
    data: u64,
}

/// What a replay has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Requests that were durable.
    pub durable: usize,
    /// Pieces of 4 KiB that were in the disk's cache.
    pub cached: usize,
    /// Those of them that got lost.
    pub lost: usize,
}

/// Applies the first `log_length` bytes of the log to `disk`, which holds what it held before the first
/// request. Of what was in the disk's cache when power went, `seed` draws what is lost.
///
/// # Errors
/// The log is not one, or a file cannot be read or written.
pub fn replay(
    log: &Path,
    log_length: u64,
    disk: &Path,
    seed: u64,
) -> Result<Replayed, WriteLogError> {
    let mut log = BufReader::new(fs_err::File::open(log)?);
    let requests = read_requests(&mut log, log_length)?;
    let mut disk = fs_err::OpenOptions::new().write(true).open(disk)?;
    // A flush covers what came before it.
    let flushed = requests
        .iter()
        .rposition(|request| request.flags & FLUSH != 0)
        .map_or(0, |last| last + 1);
    let mut done = Replayed::default();
    for (number, request) in requests.iter().enumerate() {
        let durable = number < flushed || request.flags & FUA != 0;
        if durable {
            done.durable += 1;
        }
        if request.flags & DISCARD != 0 {
            if durable || !is_lost(seed, number, request.start) {
                zero(&disk, request)?;
            }
            continue;
        }
        log.seek(SeekFrom::Start(request.data))?;
        disk.seek(SeekFrom::Start(request.start))?;
        let mut piece = [0; PIECE];
        let mut place = request.start;
        let end = request.start + request.length;
        while place < end {
            let size = usize::try_from(end - place).map_or(PIECE, |left| left.min(PIECE));
            log.read_exact(&mut piece[..size])?;
            let lost = !durable && is_lost(seed, number, place);
            if !durable {
                done.cached += 1;
                done.lost += usize::from(lost);
            }
            if lost {
                disk.seek(SeekFrom::Current(i64::try_from(size).unwrap_or(0)))?;
            } else {
                disk.write_all(&piece[..size])?;
            }
            place += size as u64;
        }
    }
    disk.sync_all()?;
    Ok(done)
}

/// QEMU's raw files read as zeros where they were discarded.
fn zero(disk: &fs_err::File, request: &Request) -> std::io::Result<()> {
    use rustix::fs::FallocateFlags;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(
        disk.file(),
        flags,
        request.start,
        request.length,
    )?)
}

/// Every second piece of the cache is lost, by a draw that depends on nothing but the seed and the piece.
fn is_lost(seed: u64, request: usize, place: u64) -> bool {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update((request as u64).to_le_bytes());
    hasher.update(place.to_le_bytes());
    hasher.finalize()[0] & 1 == 1
}

/// All requests that are complete within `length` bytes. The number in the superblock is not asked: QEMU
/// renews it only now and then.
fn read_requests(log: &mut (impl Read + Seek), length: u64) -> Result<Vec<Request>, WriteLogError> {
    if length < 4096 {
        return Ok(Vec::new());
    }
    let magic = word(log, 0)?;
    if magic != MAGIC {
        return Err(WriteLogError::Foreign(magic));
    }
    // The superblock: magic, version, number of entries, sector size (u32).
    let sector = word(log, 24)? & 0xffff_ffff;
    let mut requests = Vec::new();
    let mut at = sector;
    while at + sector <= length {
        let (start, count, flags) = (word(log, at)?, word(log, at + 8)?, word(log, at + 16)?);
        let has_data = flags & DISCARD == 0;
        // What QEMU had not written yet when it was stopped is a hole.
        if start == 0 && count == 0 && flags == 0 {
            break;
        }
        let next = at + sector + if has_data { count * sector } else { 0 };
        if next > length {
            break;
        }
        requests.push(Request {
            start: start * sector,
            length: count * sector,
            flags,
            data: at + sector,
        });
        at = next;
    }
    Ok(requests)
}

fn word(log: &mut (impl Read + Seek), at: u64) -> Result<u64, WriteLogError> {
    let mut bytes = [0; 8];
    log.seek(SeekFrom::Start(at))?;
    log.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTOR: usize = 512;

    /// A log of requests: first sector, flags, data.
    fn log(requests: &[(u64, u64, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [MAGIC, 1, requests.len() as u64, SECTOR as u64] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.resize(SECTOR, 0);
        for (start, flags, data) in requests {
            let from = bytes.len();
            for number in [*start, (data.len() / SECTOR) as u64, *flags, 0] {
                bytes.extend(number.to_le_bytes());
            }
            bytes.resize(from + SECTOR, 0);
            if flags & DISCARD == 0 {
                bytes.extend(*data);
            }
        }
        bytes.resize(bytes.len().max(4096), 0);
        bytes
    }

    fn replayed(requests: &[(u64, u64, &[u8])], seed: u64) -> (Vec<u8>, Replayed) {
        let folder = tempfile::tempdir().unwrap();
        let (log_file, disk) = (folder.path().join("log"), folder.path().join("disk"));
        let bytes = log(requests);
        fs_err::write(&log_file, &bytes).unwrap();
        fs_err::write(&disk, vec![9u8; 1 << 20]).unwrap();
        let done = replay(&log_file, bytes.len() as u64, &disk, seed).unwrap();
        (fs_err::read(disk).unwrap(), done)
    }

    #[test]
    fn what_was_flushed_is_there() {
        let (disk, done) = replayed(&[(8, 0, &[1; 4096]), (0, FLUSH, &[])], 1);
        assert_eq!(disk[4096..8192], [1; 4096]);
        assert_eq!((disk[4095], disk[8192], done.lost), (9, 9, 0));
    }

    #[test]
    fn a_write_through_the_cache_is_there_without_a_flush() {
        let (disk, _) = replayed(&[(8, FUA, &[1; 4096])], 1);
        assert_eq!(disk[4096..8192], [1; 4096]);
    }

    #[test]
    fn of_the_cache_some_is_lost_and_the_same_for_the_same_seed() {
        let data = vec![1u8; 64 * PIECE];
        let requests: &[(u64, u64, &[u8])] = &[(0, 0, &data)];
        let (disk, done) = replayed(requests, 7);
        assert_eq!(done.cached, 64);
        assert!(done.lost > 10 && done.lost < 54, "{done:?}");
        assert_eq!(disk, replayed(requests, 7).0);
        assert_ne!(disk, replayed(requests, 8).0);
    }

    #[test]
    fn a_discarded_range_reads_as_zeros() {
        let (disk, _) = replayed(&[(8, DISCARD, &[0; 512]), (0, FLUSH, &[])], 1);
        assert_eq!((disk[4095], disk[4096], disk[4608]), (9, 0, 9));
    }

    #[test]
    fn a_request_that_was_not_noted_whole_did_not_happen() {
        let folder = tempfile::tempdir().unwrap();
        let (log_file, disk) = (folder.path().join("log"), folder.path().join("disk"));
        let bytes = log(&[(0, FUA, &[1; 4096]), (8, FUA, &[2; 4096])]);
        fs_err::write(&log_file, &bytes).unwrap();
        fs_err::write(&disk, vec![9u8; 1 << 20]).unwrap();
        replay(&log_file, 512 + 512 + 4096 + 512 + 100, &disk, 1).unwrap();
        let disk = fs_err::read(disk).unwrap();
        assert_eq!((disk[0], disk[4096]), (1, 9));
    }

    #[test]
    fn another_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        fs_err::write(&file, [0; 4096]).unwrap();
        let error = replay(&file, 4096, &file, 1).unwrap_err();
        assert!(error.to_string().contains("dm-log-writes"), "{error}");
    }
}
