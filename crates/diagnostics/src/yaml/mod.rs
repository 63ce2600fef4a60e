//! A YAML document as a tree that keeps the byte range of every node and the text of every scalar as it was typed.
//! It is not a general YAML library: one document, no tags beyond the core ones, no merge keys.

mod cause;
mod code;
mod error;
mod load;
mod tree;

pub use cause::of_text;
pub use code::YamlCode;
pub use error::LoadError;
pub use load::{MAX_BYTES, MAX_DEPTH, MAX_NODES, load, load_owned};
pub use tree::{Entry, Kind, Node, NodeId, Pointer, Position, Tree};

/// Line and column of a byte offset in a text that has no tree.
pub fn position_in(text: &str, offset: usize) -> Position {
    tree::position(text, &tree::line_starts(text), offset)
}
