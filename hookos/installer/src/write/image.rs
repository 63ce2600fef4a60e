//! The parts of a zstd-compressed image.

use std::io::{BufReader, Cursor, Read};

use anyhow::{Context as _, Result, bail};

/// Bytes of a part, decompressed, at most.
pub const PART: usize = 8 << 20;
/// Each part's place on the disk is a multiple of this: direct I/O wants whole sectors, of which there are none larger.
pub const ALIGNMENT: usize = 4096;
/// Bytes that are read at once.
const READ: usize = 1 << 20;

/// What [`Image::next`] found.
pub enum Part {
    /// A frame, still compressed, that belongs at this byte of the disk.
    Frame { offset: u64 },
    /// Bytes that belong at this byte of the disk.
    Plain { offset: u64, size: usize },
}

/// An image that is read from its begin.
///
/// As long as its frames tell their size, a multiple of [`ALIGNMENT`] up to [`PART`], they are handed out as they are.
/// From the first other one on the image is decompressed here.
pub struct Image<R> {
    source: Source<R>,
    offset: u64,
}

type Rest<R> = zstd::Decoder<'static, BufReader<std::io::Chain<Cursor<Vec<u8>>, R>>>;

enum Source<R> {
    /// The reader, and what was read and belongs to no part yet.
    Frames(R, Vec<u8>),
    Stream(Box<Rest<R>>),
    Ended,
}

impl<R: Read> Image<R> {
    pub fn new(reader: R) -> Self {
        Self {
            source: Source::Frames(reader, Vec::new()),
            offset: 0,
        }
    }

    /// Hands out nothing any more.
    pub fn stop(&mut self) {
        self.source = Source::Ended;
    }

    /// The next part: a frame in `compressed` or else bytes in `plain`, which takes [`PART`] bytes. An error, also one
    /// of the frame's form, ends the image.
    pub fn next(&mut self, compressed: &mut Vec<u8>, plain: &mut [u8]) -> Result<Option<Part>> {
        let offset = self.offset;
        let part = self.part(compressed, plain);
        if part.is_err() {
            self.stop();
        }
        part.with_context(|| format!("reading the image at byte {offset} of the disk"))
    }

    fn part(&mut self, compressed: &mut Vec<u8>, plain: &mut [u8]) -> Result<Option<Part>> {
        if let Source::Frames(reader, pending) = &mut self.source {
            match frame(reader, pending, compressed)? {
                Found::Nothing if self.offset == 0 => bail!("it is empty"),
                Found::Nothing => return Ok(None),
                Found::Frame(size) => {
                    let offset = self.offset;
                    self.offset += size;
                    return Ok(Some(Part::Frame { offset }));
                }
                Found::Other => self.decompress()?,
            }
        }
        let Source::Stream(stream) = &mut self.source else {
            return Ok(None);
        };
        let (offset, size) = (self.offset, fill(stream, plain)?);
        self.offset += size as u64;
        Ok((size > 0).then_some(Part::Plain { offset, size }))
    }

    fn decompress(&mut self) -> Result<()> {
        if let Source::Frames(reader, pending) = std::mem::replace(&mut self.source, Source::Ended)
        {
            let rest = BufReader::with_capacity(READ, Cursor::new(pending).chain(reader));
            self.source = Source::Stream(Box::new(zstd::Decoder::with_buffer(rest)?));
        }
        Ok(())
    }
}

enum Found {
    Nothing,
    /// A frame, moved to the caller's vector, that becomes so many bytes.
    Frame(u64),
    /// Something that has to be decompressed in its order.
    Other,
}

fn frame(reader: &mut impl Read, pending: &mut Vec<u8>, frame: &mut Vec<u8>) -> Result<Found> {
    loop {
        if let Ok(compressed) = zstd::zstd_safe::find_frame_compressed_size(pending) {
            return Ok(match zstd::zstd_safe::get_frame_content_size(pending) {
                Ok(Some(size)) if size <= PART as u64 && size % ALIGNMENT as u64 == 0 => {
                    // Only what was read beyond it is copied.
                    frame.clear();
                    frame.extend_from_slice(&pending[compressed..]);
                    pending.truncate(compressed);
                    std::mem::swap(pending, frame);
                    Found::Frame(size)
                }
                _ => Found::Other,
            });
        }
        // What does not compress has hardly more bytes as a frame.
        if pending.len() > PART + READ {
            return Ok(Found::Other);
        }
        let known = pending.len();
        pending.resize(known + READ, 0);
        let read = fill(reader, &mut pending[known..])?;
        pending.truncate(known + read);
        if read == 0 {
            return Ok(if pending.is_empty() {
                Found::Nothing
            } else {
                Found::Other
            });
        }
    }
}

/// Reads until the buffer is full or the reader at its end; the number of bytes.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(size) => filled += size,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Offset, and whether it is a frame.
    type Place = (u64, bool);

    /// The places of an image's parts, and what they hold together.
    fn parts(image: &[u8]) -> Result<(Vec<Place>, Vec<u8>)> {
        let (mut image, mut compressed, mut plain) = (Image::new(image), Vec::new(), vec![0; PART]);
        let (mut parts, mut content) = (Vec::new(), Vec::new());
        while let Some(part) = image.next(&mut compressed, &mut plain)? {
            match part {
                Part::Frame { offset } => {
                    parts.push((offset, true));
                    content.extend(zstd::bulk::decompress(&compressed, PART)?);
                }
                Part::Plain { offset, size } => {
                    parts.push((offset, false));
                    content.extend(&plain[..size]);
                }
            }
        }
        Ok((parts, content))
    }

    /// Bytes that do not compress well.
    fn noise(size: usize) -> Vec<u8> {
        std::iter::successors(Some(1u32), |state| {
            Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
        })
        .map(|state| (state >> 24) as u8)
        .take(size)
        .collect()
    }

    fn frame_of(content: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(content, 1).expect("memory takes it")
    }

    #[test]
    fn frames_are_handed_out_with_their_places() -> Result<()> {
        let pieces = [noise(PART), vec![7; PART], noise(4096)];
        let image: Vec<_> = pieces.iter().flat_map(|piece| frame_of(piece)).collect();
        let (parts, content) = parts(&image)?;
        let part = PART as u64;
        assert_eq!(parts, [(0, true), (part, true), (2 * part, true)]);
        assert!(content == pieces.concat());
        Ok(())
    }

    #[test]
    fn a_frame_of_an_odd_size_is_decompressed_with_all_after_it() -> Result<()> {
        let (small, large) = (noise(4096), noise(2 * PART + 512));
        let mut encoder = zstd::Encoder::new(Vec::new(), 1)?;
        encoder.include_contentsize(false)?;
        encoder.write_all(&small)?;
        let others = [
            (frame_of(&large), 3),
            (encoder.finish()?, 1),
            (frame_of(&noise(1000)), 1),
        ];
        for (other, plain) in others {
            let image = [frame_of(&small), other, frame_of(&small)].concat();
            let (parts, content) = parts(&image)?;
            let mut expected = vec![(0, true)];
            expected.extend((0..plain).map(|n| (4096 + n * PART as u64, false)));
            assert_eq!(parts, expected);
            assert!(content == zstd::decode_all(image.as_slice())?);
        }
        Ok(())
    }

    #[test]
    fn frames_for_others_are_passed_over() -> Result<()> {
        // RFC 8878, section 3.1.2: a skippable frame of 4 bytes.
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
        let image = [&skippable[..], &frame_of(b"content")].concat();
        assert_eq!(parts(&image)?.1, b"content");
        Ok(())
    }

    #[test]
    fn what_is_cut_off_empty_or_no_image_is_an_error() {
        let frame = frame_of(&noise(100_000));
        for image in [&frame[..frame.len() - 1], &frame[..3], b"", b"no image"] {
            assert!(parts(image).is_err(), "{} bytes", image.len());
        }
        let cut = [&frame[..], &frame[..50_000]].concat();
        assert!(parts(&cut).is_err());
    }
}
