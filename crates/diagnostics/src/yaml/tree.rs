//! The tree itself: nodes, look-up by JSON pointer, and byte offsets turned into lines and columns.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::OnceLock;

/// Index of a node in its [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeId(pub(super) usize);

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A scalar; `plain` when it was written without quotes or block indicator.
    Scalar {
        /// The text after escapes and folding, but not interpreted: `0644` stays `0644`.
        text: String,
        /// Whether it was written plain, so that `true`, `~` and the like have a meaning.
        plain: bool,
    },
    /// A sequence.
    Sequence(Vec<NodeId>),
    /// A mapping in the order of the source.
    Mapping(Vec<Entry>),
}

/// One key and its value in a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Byte range of the key.
    pub key_span: Range<usize>,
    /// The value's node.
    pub value: NodeId,
}

/// A node and where it stands in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What the node is.
    pub kind: Kind,
    /// Byte range in the source. Empty for a value that was left out (`key:`).
    pub span: Range<usize>,
}

/// A line and a column, both from 1, or 0 where there is no place; the column counts characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// A JSON pointer (RFC 6901) that grows and shrinks with a walk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer(String);

impl Pointer {
    /// The pointer of the whole document.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// This pointer with one more step, escaped as RFC 6901 asks.
    pub fn join(&self, step: impl fmt::Display) -> Self {
        // Every value of a document has its pointer made, so that this is to be quick.
        let mut text = String::with_capacity(self.0.len() + 24);
        text.push_str(&self.0);
        text.push('/');
        let start = text.len();
        let _ = write!(text, "{step}");
        if text[start..].contains(['~', '/']) {
            let escaped = text[start..].replace('~', "~0").replace('/', "~1");
            text.replace_range(start.., &escaped);
        }
        Self(text)
    }

    /// The pointer's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pointer without its last step, `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.rfind('/').map(|at| Self(self.0[..at].to_owned()))
    }

    fn steps(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let steps = self.0.split('/').skip(1);
        steps.map(|step| match step.contains('~') {
            true => step.replace("~1", "/").replace("~0", "~").into(),
            false => step.into(),
        })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Pointer {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A document with the positions of all its nodes.
#[derive(Debug, Clone)]
pub struct Tree {
    source: String,
    /// Made when a position is first asked for: a valid document has none to tell.
    line_starts: OnceLock<Vec<usize>>,
    nodes: Vec<Node>,
    root: NodeId,
    /// Places of the keys in mappings of more than a [`FEW`], made when such a one is first asked for.
    large: OnceLock<HashMap<usize, HashMap<String, usize>>>,
}

/// Most entries of a mapping that are looked through one by one.
const FEW: usize = 32;

impl Tree {
    pub(super) fn new(source: String, nodes: Vec<Node>, root: NodeId) -> Self {
        Self {
            source,
            line_starts: OnceLock::new(),
            nodes,
            root,
            large: OnceLock::new(),
        }
    }

    /// The text the tree was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The outermost node.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// The node of an index that this tree gave out.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// All nodes, in the order in which they begin.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node at a pointer, if the source has one there.
    pub fn find(&self, pointer: &Pointer) -> Option<NodeId> {
        pointer
            .steps()
            .try_fold(self.root, |at, step| self.child(at, &step))
    }

    /// The mapping entry at a pointer: gives the key's place, too.
    pub fn entry(&self, pointer: &Pointer) -> Option<&Entry> {
        let parent = self.find(&pointer.parent()?)?;
        let step = pointer.steps().last()?;
        match &self.node(parent).kind {
            Kind::Mapping(entries) => self.named(parent, entries, &step),
            _ => None,
        }
    }

    /// The first entry of a key. In a mapping of many, each is looked up among all.
    fn named<'t>(&'t self, id: NodeId, entries: &'t [Entry], key: &str) -> Option<&'t Entry> {
        if entries.len() <= FEW {
            return entries.iter().find(|entry| entry.key == key);
        }
        let index = self.large.get_or_init(|| self.index_of_large());
        index.get(&id.0)?.get(key).map(|at| &entries[*at])
    }

    fn index_of_large(&self) -> HashMap<usize, HashMap<String, usize>> {
        let mut all = HashMap::new();
        for (id, node) in self.nodes.iter().enumerate() {
            let Kind::Mapping(entries) = &node.kind else {
                continue;
            };
            if entries.len() > FEW {
                let places = entries.iter().enumerate().rev();
                let places = places.map(|(at, entry)| (entry.key.clone(), at));
                all.insert(id, places.collect());
            }
        }
        all
    }

    /// Byte range of the value at a pointer. A value left out has an empty range.
    pub fn span(&self, pointer: &Pointer) -> Option<Range<usize>> {
        self.find(pointer).map(|id| self.node(id).span.clone())
    }

    /// Byte range to point at for a pointer: the value, else its key, else the nearest parent's key.
    pub fn nearest_span(&self, pointer: &Pointer) -> Range<usize> {
        let mut at = Some(pointer.clone());
        let mut exact = true;
        while let Some(here) = at {
            if let Some(id) = self.find(&here) {
                let span = self.node(id).span.clone();
                let is_scalar = matches!(self.node(id).kind, Kind::Scalar { .. });
                match self.entry(&here) {
                    Some(entry) if span.is_empty() || !exact || !is_scalar => {
                        return entry.key_span.clone();
                    }
                    _ => return self.first_line(span),
                }
            }
            exact = false;
            at = here.parent();
        }
        0..0
    }

    /// Whether a node is what YAML 1.2 reads as null.
    pub fn is_null(&self, id: NodeId) -> bool {
        match &self.node(id).kind {
            Kind::Scalar { text, plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// Line and column of a byte offset.
    pub fn position(&self, offset: usize) -> Position {
        let line_starts = self.line_starts.get_or_init(|| line_starts(&self.source));
        position(&self.source, line_starts, offset)
    }

    fn first_line(&self, span: Range<usize>) -> Range<usize> {
        let text = &self.source[span.clone()];
        let end = text.find('\n').map_or(span.end, |at| span.start + at);
        span.start..end
    }

    fn child(&self, id: NodeId, step: &str) -> Option<NodeId> {
        match &self.node(id).kind {
            Kind::Mapping(entries) => self.named(id, entries, step).map(|entry| entry.value),
            Kind::Sequence(items) => items.get(step.parse::<usize>().ok()?).copied(),
            Kind::Scalar { .. } => None,
        }
    }
}

/// Byte offsets at which the lines of `source` begin.
pub fn line_starts(source: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(source.match_indices('\n').map(|(at, _)| at + 1))
        .collect()
}

/// Line and column (from 1) of a byte offset, which is moved back to a character boundary.
pub fn position(source: &str, line_starts: &[usize], offset: usize) -> Position {
    let mut offset = offset.min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    let line = line_starts.partition_point(|start| *start <= offset);
    let start = line_starts[line - 1];
    Position {
        line,
        column: source[start..offset].chars().count() + 1,
    }
}
