//! Writing and hashing in a thread of its own, so that neither holds up receiving.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::thread::JoinHandle;

use tokio::sync::mpsc::{Sender, channel};

use crate::sha256::Hasher;

/// Bytes that are collected before they are passed on.
const BLOCK: usize = 256 * 1024;
/// Blocks between receiving and writing: with those at both ends 1.5 MiB for a download.
const WAITING: usize = 4;

/// What is in a file and hashed.
#[derive(Clone, Debug, Default)]
pub struct Held {
    pub hasher: Hasher,
    pub length: u64,
    /// Of these bytes, those that an earlier run left.
    pub earlier: u64,
    /// Whether they are of more than one answer, so that they may not fit.
    pub continued: bool,
}

impl Held {
    /// Reads what the file has.
    pub fn of_file(mut file: &File) -> io::Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        let mut hasher = Hasher::default();
        let length = hasher.read(&mut file)?;
        Ok(Self {
            hasher,
            length,
            earlier: length,
            continued: length > 0,
        })
    }
}

/// A file that is being appended to.
#[derive(Debug)]
pub struct Writer {
    block: Vec<u8>,
    blocks: Sender<Vec<u8>>,
    thread: JoinHandle<io::Result<Held>>,
}

impl Writer {
    /// Goes on behind what is held.
    pub fn start(file: &File, held: Held) -> io::Result<Self> {
        let mut file = file.try_clone()?;
        file.seek(SeekFrom::Start(held.length))?;
        let (blocks, mut received) = channel::<Vec<u8>>(WAITING);
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || {
                let mut held = held;
                while let Some(block) = received.blocking_recv() {
                    file.write_all(&block)?;
                    held.hasher.update(&block);
                    held.length += block.len() as u64;
                }
                Ok(held)
            })?;
        Ok(Self {
            block: Vec::with_capacity(BLOCK),
            blocks,
            thread,
        })
    }

    /// Takes more bytes; false if the thread has ended, which [`Self::finish`] gives the reason of.
    pub async fn write(&mut self, mut data: &[u8]) -> bool {
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(now);
            data = later;
            if self.block.len() == BLOCK {
                let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
                if self.blocks.send(block).await.is_err() {
                    return false;
                }
            }
        }
        true
    }

    /// Waits until all is written.
    pub async fn finish(self) -> io::Result<Held> {
        // A thread that has ended gives its own reason below.
        let _ = self.blocks.send(self.block).await;
        drop(self.blocks);
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await;
        match joined {
            Ok(Ok(held)) => held,
            _ => Err(io::Error::other("the thread that writes has panicked")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sha256;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    async fn write(file: &File, held: Held, data: &[u8]) -> io::Result<Held> {
        let mut writer = Writer::start(file, held)?;
        writer.write(data).await;
        writer.finish().await
    }

    #[test]
    fn what_was_held_before_is_part_of_the_sum() {
        let file = tempfile::tempfile().unwrap();
        let whole: Vec<u8> = (0..3 * BLOCK + 5).map(|n| n as u8).collect();
        let (first, rest) = whole.split_at(BLOCK + 1);
        let held = block_on(write(&file, Held::default(), first)).unwrap();
        let held = block_on(write(&file, held, rest)).unwrap();
        assert_eq!(held.length, whole.len() as u64);
        assert_eq!(held.hasher.finish(), Sha256::of(&whole));
        let read = Held::of_file(&file).unwrap();
        assert_eq!(read.hasher.finish(), Sha256::of(&whole));
    }

    #[test]
    fn a_full_disk_is_said() {
        let file = File::options().write(true).open("/dev/full").unwrap();
        let data = vec![0; 20 * BLOCK];
        let error = block_on(write(&file, Held::default(), &data)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
