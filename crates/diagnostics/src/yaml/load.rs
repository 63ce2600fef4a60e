//! Reads YAML events into a [`Tree`] within fixed limits, so that no input can make it hang or eat the memory.

use super::cause;
use super::code::YamlCode;
use super::error::LoadError;
use super::tree::{Entry, Kind, Node, NodeId, Tree};
use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, options};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Largest input in bytes: room for a thousand files of 10 KiB, with a margin.
pub const MAX_BYTES: usize = 32 << 20;
/// Deepest nesting of sequences and mappings.
pub const MAX_DEPTH: usize = 64;
/// Most nodes after every alias is expanded: as many as 1 MiB of text may have and be checked in 100 ms.
pub const MAX_NODES: usize = 50_000;

/// Reads one YAML document. Duplicate keys are returned beside the tree, since the rest can still be checked.
///
/// # Errors
/// Bad syntax, no document or several, an unknown tag, a key that is no scalar, a limit exceeded.
pub fn load(source: &str) -> Result<(Tree, Vec<LoadError>), LoadError> {
    load_owned(source.to_owned()).map_err(|(error, _)| error)
}

/// Like [`load`], for a text that the tree keeps; with an error it is given back.
pub fn load_owned(source: String) -> Result<(Tree, Vec<LoadError>), (LoadError, String)> {
    match read(&source) {
        Ok((loader, root)) => Ok((Tree::new(source, loader.nodes, root), loader.duplicates)),
        Err(error) => Err((error, source)),
    }
}

fn read(source: &str) -> Result<(Loader, NodeId), LoadError> {
    if source.len() > MAX_BYTES {
        return Err(LoadError::new(
            YamlCode::TooLarge,
            0..0,
            format!(
                "the document has {} bytes; the limit is {MAX_BYTES}",
                source.len()
            ),
        ));
    }
    if let Some(at) = source.find('\0') {
        let error = LoadError::new(
            YamlCode::YamlSyntax,
            at..at,
            "a NUL character is not allowed in YAML",
        );
        return Err(error.help("remove it; a file with several may not be saved as UTF-8"));
    }
    let mut loader = Loader::default();
    let parse_options = options! { emit_comments: false };
    for next in Parser::new_from_str_with_options(source, parse_options) {
        let (event, span) = next.map_err(|error| cause::of(source, &error))?;
        let range = byte_range(source, &span);
        refuse_tag(source, &event, &range)?;
        loader.event(event, range)?;
    }
    let root = loader
        .root
        .ok_or_else(|| LoadError::new(YamlCode::Empty, 0..0, "the document has no content"))?;
    Ok((loader, root))
}

/// A tag stands before the value that the parser names.
fn refuse_tag(source: &str, event: &Event<'_>, span: &Range<usize>) -> Result<(), LoadError> {
    if event.tag().is_none_or(|tag| tag.is_yaml_core_schema()) {
        return Ok(());
    }
    let before = source[..span.start].trim_end();
    let word = before
        .rfind(char::is_whitespace)
        .map_or(0, |space| space + 1);
    let at = before[word..].find('!').map_or(span.start, |at| word + at);
    let message = "! starts a tag of YAML, which has no meaning here";
    let error = LoadError::new(YamlCode::YamlTag, at..at + 1, message);
    Err(error.help("put the whole string in quotes"))
}

fn byte_range(source: &str, span: &Span) -> Range<usize> {
    let range = span.byte_range().unwrap_or(0..0);
    let start = range.start.min(source.len());
    // Block scalars end after their line breaks; a diagnostic must not point past the text.
    let end = range.end.clamp(start, source.len());
    start..start + source[start..end].trim_end().len()
}

/// An open collection while its children are read.
struct Frame {
    id: NodeId,
    anchor: usize,
    /// Written in brackets, so that the closing event has the end.
    flow: bool,
    key: Option<(String, Range<usize>)>,
    weight: usize,
}

#[derive(Default)]
struct Loader {
    nodes: Vec<Node>,
    /// Nodes a node stands for with aliases expanded, itself included.
    weights: Vec<usize>,
    anchors: HashMap<usize, NodeId>,
    stack: Vec<Frame>,
    root: Option<NodeId>,
    documents: usize,
    duplicates: Vec<LoadError>,
}

impl Loader {
    fn event(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), LoadError> {
        match event {
            Event::DocumentStart(..) => self.document(span),
            Event::Scalar(text, style, anchor, _) => {
                self.scalar(text.into_owned(), style, anchor, span)
            }
            Event::SequenceStart(style, anchor, _) => {
                self.open(Kind::Sequence(vec![]), style, anchor, span)
            }
            Event::MappingStart(style, anchor, _) => {
                self.open(Kind::Mapping(vec![]), style, anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(&span),
            Event::Alias(anchor) => {
                let id = self.anchors.get(&anchor).copied().ok_or_else(|| {
                    LoadError::new(
                        YamlCode::YamlAlias,
                        span.clone(),
                        "an alias inside its own anchor",
                    )
                })?;
                self.place(id, span)
            }
            _ => Ok(()),
        }
    }

    fn document(&mut self, span: Range<usize>) -> Result<(), LoadError> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(LoadError::new(
                YamlCode::SeveralDocuments,
                span,
                "a second YAML document starts here, and only one is read",
            )
            .help("remove the `---` and what does not belong into the file"));
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: String,
        style: ScalarStyle,
        anchor: usize,
        span: Range<usize>,
    ) -> Result<(), LoadError> {
        if let Some(frame) = self.stack.last_mut()
            && frame.key.is_none()
            && matches!(self.nodes[frame.id.0].kind, Kind::Mapping(_))
        {
            frame.key = Some((text, span));
            return Ok(());
        }
        let plain = style == ScalarStyle::Plain;
        if anchor != 0 && span.is_empty() {
            let message = "& starts an anchor of YAML, and there is no value behind it";
            let error = LoadError::new(YamlCode::YamlAnchor, span, message);
            return Err(error.help("put the whole string in quotes"));
        }
        let id = self.push(Kind::Scalar { text, plain }, span.clone());
        self.anchor(anchor, id);
        self.place(id, span)
    }

    fn open(
        &mut self,
        kind: Kind,
        style: StructureStyle,
        anchor: usize,
        span: Range<usize>,
    ) -> Result<(), LoadError> {
        self.refuse_complex_key(&span)?;
        if self.stack.len() >= MAX_DEPTH {
            return Err(LoadError::new(
                YamlCode::TooDeep,
                span,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        let id = self.push(kind, span);
        self.stack.push(Frame {
            id,
            anchor,
            flow: style == StructureStyle::Flow,
            key: None,
            weight: 1,
        });
        Ok(())
    }

    fn close(&mut self, closing: &Range<usize>) -> Result<(), LoadError> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        self.weights[frame.id.0] = frame.weight;
        self.find_duplicates(frame.id);
        let end = if frame.flow {
            closing.end
        } else {
            self.last_child_end(frame.id)
        };
        let span = &mut self.nodes[frame.id.0].span;
        span.end = span.end.max(end);
        let span = span.clone();
        self.anchor(frame.anchor, frame.id);
        self.place(frame.id, span)
    }

    fn find_duplicates(&mut self, id: NodeId) {
        let Kind::Mapping(entries) = &self.nodes[id.0].kind else {
            return;
        };
        let mut seen = HashSet::with_capacity(entries.len());
        for entry in entries {
            if !seen.insert(entry.key.as_str()) {
                let message = "this key is in its mapping a second time";
                let error = LoadError::new(YamlCode::DuplicateKey, entry.key_span.clone(), message);
                let help = "keep one of them; in a list, `- ` starts the next element";
                self.duplicates.push(error.help(help));
            }
        }
    }

    fn last_child_end(&self, id: NodeId) -> usize {
        let node = &self.nodes[id.0];
        match &node.kind {
            Kind::Sequence(items) => items.last().map_or(0, |item| self.nodes[item.0].span.end),
            Kind::Mapping(entries) => entries.last().map_or(0, |entry| {
                self.nodes[entry.value.0].span.end.max(entry.key_span.end)
            }),
            Kind::Scalar { .. } => 0,
        }
    }

    fn refuse_complex_key(&self, span: &Range<usize>) -> Result<(), LoadError> {
        match self.stack.last() {
            Some(frame)
                if frame.key.is_none()
                    && matches!(self.nodes[frame.id.0].kind, Kind::Mapping(_)) =>
            {
                Err(LoadError::new(
                    YamlCode::YamlKey,
                    span.clone(),
                    "a key must be plain text, not an alias, a list or a mapping",
                )
                .help("write `key: value`; a string that starts with a bracket needs quotes"))
            }
            _ => Ok(()),
        }
    }

    /// Hangs a finished node into the collection that is open.
    fn place(&mut self, id: NodeId, span: Range<usize>) -> Result<(), LoadError> {
        let weight = self.weights[id.0];
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(id);
            return Ok(());
        };
        frame.weight = frame.weight.saturating_add(weight);
        if frame.weight > MAX_NODES {
            return Err(LoadError::new(
                YamlCode::TooLarge,
                span,
                format!("more than {MAX_NODES} values once aliases are expanded"),
            ));
        }
        let parent = frame.id;
        match &mut self.nodes[parent.0].kind {
            Kind::Sequence(items) => items.push(id),
            Kind::Mapping(entries) => match frame.key.take() {
                Some((key, key_span)) => entries.push(Entry {
                    key,
                    key_span,
                    value: id,
                }),
                None => return self.refuse_complex_key(&span),
            },
            Kind::Scalar { .. } => {}
        }
        Ok(())
    }

    fn push(&mut self, kind: Kind, span: Range<usize>) -> NodeId {
        self.nodes.push(Node { kind, span });
        self.weights.push(1);
        NodeId(self.nodes.len() - 1)
    }

    fn anchor(&mut self, anchor: usize, id: NodeId) {
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
    }
}
