//! One source file: which modules it declares and which paths it names.

use std::collections::BTreeSet;

/// What stands before the name of something that is defined. A macro's name stands behind a `!` and is found by no path.
const DEFINITIONS: [&str; 8] = [
    "const", "enum", "fn", "static", "struct", "trait", "type", "union",
];

/// A path as its steps.
pub type Path = Vec<String>;

/// What a source file says of modules.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Modules that are declared and not written here.
    pub children: Vec<String>,
    /// What `use` declarations bring.
    pub uses: Vec<Use>,
    /// Paths of more than one step in the code.
    pub paths: Vec<Path>,
    /// Names of what is defined here.
    pub items: BTreeSet<String>,
}

/// One name that a `use` declaration brings.
#[derive(Debug)]
pub struct Use {
    /// The name here; `*` for all.
    pub name: String,
    /// What it stands for.
    pub path: Path,
    /// Whether others see it, too.
    pub exported: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    Name(&'t str),
    /// `::`
    Step,
    Other(char),
}

impl Scanned {
    /// Reads a source file.
    pub fn of(text: &str) -> Self {
        let tokens = tokens(text);
        let mut found = Self::default();
        let mut rest = &tokens[..];
        let mut is_test = false;
        while let [first, after @ ..] = rest {
            rest = match (first, after) {
                (Token::Other('#'), after) if is_of_tests(after) => {
                    is_test = true;
                    &after[6..]
                }
                (Token::Name("mod"), [Token::Name(name), Token::Other(';'), after @ ..]) => {
                    if !std::mem::take(&mut is_test) {
                        found.children.push((*name).to_owned());
                    }
                    after
                }
                (Token::Name("mod"), [Token::Name(_), Token::Other('{'), after @ ..])
                    if std::mem::take(&mut is_test) =>
                {
                    behind_block(after)
                }
                (Token::Name("use"), after) => {
                    let exported = is_exported(&tokens[..tokens.len() - rest.len()]);
                    let names = found.uses.len();
                    let after = found.tree(after, &[]);
                    for it in &mut found.uses[names..] {
                        it.exported = exported;
                    }
                    after
                }
                (Token::Name(keyword), [Token::Name(name), after @ ..])
                    if DEFINITIONS.contains(keyword) =>
                {
                    found.items.insert((*name).to_owned());
                    after
                }
                (Token::Name(_), [Token::Step, ..]) => found.path(rest),
                (Token::Other(';' | '{' | '}'), after) => {
                    is_test = false;
                    after
                }
                (_, after) => after,
            };
        }
        found
    }

    /// Reads a tree of a `use` declaration behind the steps `before`.
    fn tree<'t, 'r>(&mut self, tokens: &'r [Token<'t>], before: &[String]) -> &'r [Token<'t>] {
        let mut path = before.to_vec();
        let mut rest = tokens;
        loop {
            rest = match rest {
                [Token::Step, after @ ..] => after,
                [Token::Other('*'), after @ ..] => {
                    self.bring("*", path);
                    return after;
                }
                [Token::Other('{'), after @ ..] => {
                    let mut rest = after;
                    while !matches!(rest, [] | [Token::Other('}'), ..]) {
                        rest = self.tree(rest, &path);
                        if let [Token::Other(','), after @ ..] = rest {
                            rest = after;
                        }
                    }
                    return rest.get(1..).unwrap_or_default();
                }
                [Token::Name("as"), Token::Name(name), after @ ..] => {
                    self.bring(name, path);
                    return after;
                }
                [Token::Name("self"), after @ ..] if !path.is_empty() => after,
                [Token::Name(name), after @ ..] => {
                    path.push((*name).to_owned());
                    after
                }
                after => {
                    let name = path.last().cloned().unwrap_or_default();
                    self.bring(&name, path);
                    // Something that is no path must not be read for ever.
                    return match after {
                        [Token::Other(',' | ';' | '}'), ..] | [] => after,
                        [_, after @ ..] => after,
                    };
                }
            };
        }
    }

    fn bring(&mut self, name: &str, path: Path) {
        self.uses.push(Use {
            name: name.to_owned(),
            path,
            exported: false,
        });
    }

    /// Reads a path in the code, which begins with a name.
    fn path<'t, 'r>(&mut self, tokens: &'r [Token<'t>]) -> &'r [Token<'t>] {
        let mut path = Vec::new();
        let mut rest = tokens;
        while let [Token::Name(name), after @ ..] = rest {
            path.push((*name).to_owned());
            let [Token::Step, after @ ..] = after else {
                rest = after;
                break;
            };
            rest = after;
        }
        self.paths.push(path);
        rest
    }
}

/// Whether what follows a `#` is `[cfg(test)]`.
fn is_of_tests(tokens: &[Token<'_>]) -> bool {
    use Token::{Name, Other};
    let attribute = [
        Other('['),
        Name("cfg"),
        Other('('),
        Name("test"),
        Other(')'),
        Other(']'),
    ];
    tokens.starts_with(&attribute)
}

/// Whether a `use` behind these tokens is seen by other modules: `pub`, or `pub(…)`.
fn is_exported(before: &[Token<'_>]) -> bool {
    match before {
        [.., Token::Name("pub")] => true,
        [.., Token::Other(')')] => {
            let open = before.iter().rposition(|it| *it == Token::Other('('));
            open.is_some_and(|open| before[..open].ends_with(&[Token::Name("pub")]))
        }
        _ => false,
    }
}

/// What is behind a block of which `{` was read.
fn behind_block<'t, 'r>(tokens: &'r [Token<'t>]) -> &'r [Token<'t>] {
    let mut depth = 1;
    for (index, token) in tokens.iter().enumerate() {
        depth += match token {
            Token::Other('{') => 1,
            Token::Other('}') => -1,
            _ => 0,
        };
        if depth == 0 {
            return &tokens[index + 1..];
        }
    }
    &[]
}

/// Names, `::` and single characters, without comments and literals.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        rest = if let Some(length) = ignored(rest) {
            &rest[length..]
        } else if is_name(first) {
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            found.push(Token::Name(&rest[..end]));
            &rest[end..]
        } else if let Some(after) = rest.strip_prefix("::") {
            found.push(Token::Step);
            after
        } else {
            if !first.is_whitespace() {
                found.push(Token::Other(first));
            }
            &rest[first.len_utf8()..]
        };
    }
    found
}

/// The length of a comment, a string or a character that a text begins with.
pub fn ignored(text: &str) -> Option<usize> {
    // Most of what is asked about begins with something else.
    if !matches!(
        text.as_bytes().first()?,
        b'/' | b'"' | b'\'' | b'b' | b'c' | b'r'
    ) {
        return None;
    }
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        text[..]
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(['"', '#', '\'']))
    });
    let prefix = prefix?;
    let quoted = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = quoted.len() - quoted.trim_start_matches('#').len();
        let body = quoted[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(prefix.len() + hashes + 1 + length);
    }
    let quote = quoted.chars().next().filter(|c| *c != '#')?;
    if quote == '\'' {
        // A lifetime has no second quote behind one character.
        let mut characters = quoted[1..].chars();
        let is_escape = characters.next()? == '\\';
        if !is_escape && characters.next() != Some('\'') {
            return None;
        }
    }
    let mut escaped = false;
    for (at, c) in quoted.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(prefix.len() + at + c.len_utf8()),
            _ => {}
        }
    }
    Some(text.len())
}
