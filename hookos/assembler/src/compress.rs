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
    encoder_with(out, level, workers())
}

fn encoder_with<W: Write>(
    out: W,
    level: i32,
    workers: u32,
) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(out, level)?;
    encoder.multithread(workers)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// More workers than this bring memory use over the limit of the assembler and little speed.
const MOST_WORKERS: usize = 4;

fn workers() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores.min(MOST_WORKERS)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::encoder_with;

    /// Compresses 40 MB of text that does not repeat, written in pieces of `piece` bytes.
    fn compressed(workers: u32, piece: usize) -> Vec<u8> {
        let mut encoder = encoder_with(Vec::new(), 6, workers).unwrap();
        let mut number = 1u64;
        let mut data = Vec::new();
        while data.len() < 40_000_000 {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            data.extend_from_slice(format!("{:x} ", number >> 40).as_bytes());
        }
        data.chunks(piece)
            .for_each(|chunk| encoder.write_all(chunk).unwrap());
        encoder.finish().unwrap()
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_number_of_workers_nor_on_the_pieces() {
        let one = compressed(1, 1 << 20);
        assert!(one == compressed(3, 1 << 20));
        assert!(one == compressed(2, 70_001));
    }
}
