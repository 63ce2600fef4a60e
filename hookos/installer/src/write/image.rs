//! The parts of a zstd-compressed image.

use std::io::{self, BufReader, Cursor, Read};

use super::{ALIGNMENT, PART};
use crate::error::{Error, Kind, Result};

/// Bytes that are read at once.
const READ: usize = 1 << 20;
/// The least that zstd takes as a limit.
const MIN_WINDOW_LOG: u32 = 10;

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
    /// The next byte of the disk.
    offset: u64,
    /// Bytes that the image has.
    size: u64,
    window_log: u32,
}

type Rest<R> = zstd::Decoder<'static, BufReader<std::io::Chain<Cursor<Vec<u8>>, R>>>;

enum Source<R> {
    Frames(R, Pending),
    Stream(Box<Rest<R>>),
    Ended,
}

impl<R: Read> Image<R> {
    /// An image of `size` bytes, whose decompression takes a window of `1 << window_log` bytes at most.
    pub fn new(reader: R, size: u64, window_log: u32) -> Self {
        Self {
            source: Source::Frames(reader, Pending::default()),
            offset: 0,
            size,
            window_log,
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
        part.map_err(|error: std::io::Error| {
            let reason =
                format!("the OS image cannot be read, at byte {offset} of the disk: {error}");
            Error::new(Kind::Medium, reason)
        })
    }

    fn part(&mut self, compressed: &mut Vec<u8>, plain: &mut [u8]) -> io::Result<Option<Part>> {
        let offset = self.offset;
        if let Source::Frames(reader, pending) = &mut self.source {
            match pending.frame(reader, compressed)? {
                Found::Nothing => return self.end(),
                Found::Frame(size) => {
                    self.advance(size)?;
                    return Ok(Some(Part::Frame { offset }));
                }
                Found::Other => self.decompress()?,
            }
        }
        let Source::Stream(stream) = &mut self.source else {
            return Ok(None);
        };
        let size = fill(stream, plain)?;
        if size == 0 {
            return self.end();
        }
        self.advance(size as u64)?;
        Ok(Some(Part::Plain { offset, size }))
    }

    /// Nothing is written beyond the size that the disk was chosen for.
    fn advance(&mut self, size: u64) -> io::Result<()> {
        self.offset += size;
        match self.offset > self.size {
            true => Err(io::Error::other("it is larger than the manifest says")),
            false => Ok(()),
        }
    }

    fn end(&mut self) -> io::Result<Option<Part>> {
        self.source = Source::Ended;
        match self.offset < self.size {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(None),
        }
    }

    fn decompress(&mut self) -> io::Result<()> {
        if let Source::Frames(reader, pending) = std::mem::replace(&mut self.source, Source::Ended)
        {
            let rest = Cursor::new(pending.rest()).chain(reader);
            let mut decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(READ, rest))?;
            decoder.window_log_max(self.window_log.max(MIN_WINDOW_LOG))?;
            self.source = Source::Stream(Box::new(decoder));
        }
        Ok(())
    }
}

enum Found {
    Nothing,
    /// A frame, copied to the caller's vector, that becomes so many bytes.
    Frame(u64),
    /// Something that has to be decompressed in its order.
    Other,
}

/// What was read and belongs to no part yet.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    /// Before it all has been handed out.
    start: usize,
}

impl Pending {
    fn frame(&mut self, reader: &mut impl Read, frame: &mut Vec<u8>) -> io::Result<Found> {
        loop {
            let rest = &self.bytes[self.start..];
            if let Ok(compressed) = zstd::zstd_safe::find_frame_compressed_size(rest) {
                return Ok(match zstd::zstd_safe::get_frame_content_size(rest) {
                    Ok(Some(size)) if size <= PART as u64 && size % ALIGNMENT as u64 == 0 => {
                        frame.clear();
                        frame.extend_from_slice(&rest[..compressed]);
                        self.start += compressed;
                        Found::Frame(size)
                    }
                    _ => Found::Other,
                });
            }
            // What does not compress has hardly more bytes as a frame.
            if rest.len() > PART + READ {
                return Ok(Found::Other);
            }
            if self.read(reader)? == 0 {
                return Ok(match self.bytes.len() - self.start {
                    0 => Found::Nothing,
                    _ => Found::Other,
                });
            }
        }
    }

    /// Reads some more; what was handed out makes room for it. So each byte is moved once, however small frames are.
    fn read(&mut self, reader: &mut impl Read) -> io::Result<usize> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let known = self.bytes.len();
        self.bytes.resize(known + READ, 0);
        let read = fill(reader, &mut self.bytes[known..])?;
        self.bytes.truncate(known + read);
        Ok(read)
    }

    fn rest(mut self) -> Vec<u8> {
        self.bytes.drain(..self.start);
        self.bytes
    }
}

/// Reads until the buffer is full or the reader at its end; the number of bytes.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(size) => filled += size,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
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
        // A size that it cannot end before, and a window for all that is made here.
        let size = zstd::decode_all(image).map_or(u64::MAX, |content| content.len() as u64);
        parts_of(Image::new(image, size, 27))
    }

    fn parts_of(mut image: Image<&[u8]>) -> Result<(Vec<Place>, Vec<u8>)> {
        let (mut compressed, mut plain) = (Vec::new(), vec![0; PART]);
        let (mut parts, mut content) = (Vec::new(), Vec::new());
        while let Some(part) = image.next(&mut compressed, &mut plain)? {
            match part {
                Part::Frame { offset } => {
                    parts.push((offset, true));
                    content.extend(zstd::bulk::decompress(&compressed, PART).expect("a frame"));
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

    fn frame_without_size(content: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory takes it");
        encoder.include_contentsize(false).expect("is known");
        encoder.write_all(content).expect("memory takes it");
        encoder.finish().expect("memory takes it")
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
        let others = [
            (frame_of(&large), 3),
            (frame_without_size(&small), 1),
            (frame_of(&noise(1000)), 1),
        ];
        for (other, plain) in others {
            let image = [frame_of(&small), other, frame_of(&small)].concat();
            let (parts, content) = parts(&image)?;
            let mut expected = vec![(0, true)];
            expected.extend((0..plain).map(|n| (4096 + n * PART as u64, false)));
            assert_eq!(parts, expected);
            assert!(zstd::decode_all(image.as_slice()).is_ok_and(|whole| whole == content));
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

    #[test]
    fn an_image_of_another_size_than_the_manifest_says_is_an_error() {
        let (whole, odd) = (frame_of(&noise(8192)), frame_without_size(&noise(8192)));
        for image in [whole.as_slice(), odd.as_slice()] {
            assert!(parts_of(Image::new(image, 8192, 27)).is_ok());
            let longer = parts_of(Image::new(image, 8191, 27)).expect_err("it is too long");
            assert_eq!(longer.kind, Kind::Medium);
            assert!(
                longer
                    .reason
                    .ends_with("it is larger than the manifest says"),
                "{longer}"
            );
            let shorter = parts_of(Image::new(image, 8193, 27)).expect_err("it is too short");
            assert!(shorter.reason.contains("at byte 8192"), "{shorter}");
        }
    }

    #[test]
    fn a_window_above_the_manifest_s_is_an_error() {
        let odd = frame_without_size(&noise(1 << 20));
        assert!(parts_of(Image::new(&odd, 1 << 20, 20)).is_ok());
        assert!(parts_of(Image::new(&odd, 1 << 20, 12)).is_err());
    }

    /// By moving all that was read once for each of them, this took minutes.
    #[test]
    fn many_small_frames_take_no_longer_than_their_bytes() -> Result<()> {
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
        let image = [skippable.repeat(1 << 19), frame_of(&noise(4096))].concat();
        let mut image = Image::new(image.as_slice(), 4096, 27);
        let (mut frame, mut plain) = (Vec::new(), vec![0; PART]);
        let began = std::time::Instant::now();
        let mut frames = 0;
        while image.next(&mut frame, &mut plain)?.is_some() {
            frames += 1;
        }
        assert_eq!(frames, (1 << 19) + 1);
        assert!(began.elapsed() < std::time::Duration::from_secs(30));
        Ok(())
    }
}
