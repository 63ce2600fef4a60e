//! How long functions are.

use crate::scan::ignored;

/// A function that is written out, tests left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// Lines from its `fn` to the brace that closes it.
    pub lines: usize,
}

/// The functions of a source file in their order, those within others as well.
#[must_use]
pub fn functions(text: &str) -> Vec<Function> {
    let code = without_tests(&masked(text));
    let line_of = |at: usize| code[..at].matches('\n').count() + 1;
    let mut found = vec![];
    for (at, _) in code.match_indices("fn ") {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if code[..at].ends_with(is_word) {
            continue;
        }
        let name = code[at + 3..].trim_start();
        let name = &name[..name.find(|c| !is_word(c)).unwrap_or(name.len())];
        let Some(body) = body(&code[at..]).filter(|_| !name.is_empty()) else {
            continue;
        };
        let (line, end) = (line_of(at), line_of(at + end_of_block(&code[at..], body)));
        found.push(Function {
            name: name.to_owned(),
            line,
            lines: end - line + 1,
        });
    }
    found
}

/// The code with blanks in the place of comments, texts and characters.
fn masked(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_in_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = match ignored(rest) {
            Some(length) if !is_in_word => {
                let blank = |c| if c == '\n' { '\n' } else { ' ' };
                code.extend(rest[..length].chars().map(blank));
                length
            }
            _ => {
                code.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    code
}

/// The code with blanks in the place of modules of tests.
fn without_tests(code: &str) -> String {
    const TESTS: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(TESTS) {
        let behind = rest[at + TESTS.len()..].trim_start();
        let block = (behind.starts_with("mod ") || behind.starts_with("pub mod "))
            .then(|| rest[at..].find(['{', ';']))
            .flatten()
            .map(|open| at + end_of_block(&rest[at..], open) + 1);
        let end = block.unwrap_or(at + TESTS.len());
        kept.push_str(&rest[..at]);
        kept.extend(rest[at..end].chars().filter(|c| *c == '\n'));
        rest = &rest[end..];
    }
    kept + rest
}

/// Where the body of the function opens that a text begins with; none for one that is only declared.
fn body(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// Where the block ends that opens at `open`; there, if none opens.
fn end_of_block(text: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return open + at;
        }
    }
    text.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, usize, usize)> {
        let all = functions(text).into_iter();
        all.map(|it| (it.name, it.line, it.lines)).collect()
    }

    #[test]
    fn functions_are_found_with_their_lines() {
        let text = "fn one() {}\n\npub async fn two(\n    a: [u8; 3],\n) -> Option<u8>\nwhere\n    u8: Copy,\n{\n    fn inner() {\n    }\n    None\n}\n";
        let expected = [("one", 1, 1), ("two", 3, 10), ("inner", 9, 2)];
        assert_eq!(
            found(text),
            expected.map(|(name, line, lines)| (name.to_owned(), line, lines))
        );
    }

    #[test]
    fn what_is_no_written_function_is_not_found() {
        for text in [
            "trait T { fn declared(&self) -> [u8; 2]; }",
            "// fn a() {}\n/* fn b() {} */",
            "const A: &str = \"fn c() {}\";",
            "const A: &str = r#\"fn \"d\"() {}\"#;",
            "type F = fn (u8) -> u8;",
            "#[cfg(test)]\nmod tests {\n    fn e() {}\n}\n",
            "let my_fn = 1;",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn braces_in_texts_and_characters_do_not_count() {
        let text = "fn a<'x>(b: &'x str) -> char {\n    let _ = (\"}\", '}', b'{', r\"}\");\n    '{'\n}\nfn c() {\n}\n";
        assert_eq!(
            found(text),
            [("a".to_owned(), 1, 4), ("c".to_owned(), 5, 2)]
        );
    }

    #[test]
    fn what_is_behind_tests_keeps_its_line() {
        let text =
            "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod more {\n    fn a() {}\n}\nfn b() {}\n";
        assert_eq!(found(text), [("b".to_owned(), 7, 1)]);
    }
}
