//! zstd with all cores, its output the same on any number of them.

use std::io::{self, Write};

/// A multi-threaded encoder of one zstd frame.
///
/// Blocks are cut by zstd's job size, which depends on the level alone, so that the output is the
/// same for every number of workers from one up. (No worker at all would give other bytes.)
///
/// # Errors
/// When zstd refuses the level or has no memory.
pub fn zstd_encoder<W: Write>(out: W, level: i32) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(out, level)?;
    encoder.multithread(workers())?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// More workers than this bring memory use over the limit of the assembler and little speed.
const MOST_WORKERS: usize = 4;

fn workers() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores.min(MOST_WORKERS)).unwrap_or(1)
}
