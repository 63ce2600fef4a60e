//! File trees: what an image's layers add up to, and the archives a tree is written to.

mod cpio;
mod image;
mod index;
mod paths;
mod sink;
mod sparse;

pub(crate) use cpio::CpioWriter;
pub(crate) use image::ImageTree;
pub(crate) use paths::{clean, relative};
pub(crate) use sink::{Entry, EntryKind, Sink, TarWriter};
