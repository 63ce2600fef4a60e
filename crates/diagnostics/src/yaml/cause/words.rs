//! What is mistyped within one line: quotes, colons, spaces, dashes, and signs that YAML keeps for itself.

use super::Suspect;
use super::line::{Line, closing_quote};

const QUOTE_IT: &str = "put the whole string in quotes";

/// All that may be wrong in a line.
pub fn suspects(line: &Line<'_>) -> Vec<Suspect> {
    let checks = [
        tab,
        odd_space,
        odd_dash,
        odd_colon,
        odd_quote,
        open_quote,
        behind_quote,
        escape,
        reserved,
        block_sign,
        no_space_behind_dash,
        no_space_behind_colon,
        bracket,
        colon_in_text,
        equals,
        no_colon,
    ];
    checks.iter().filter_map(|check| check(line)).collect()
}

/// What may be wrong in a line that was meant to be a key and its value, and is a text.
pub fn of_key(line: &Line<'_>) -> Option<Suspect> {
    let has_value = |suspect: &Suspect| suspect.span.end < line.body.end;
    let checks = [
        odd_space,
        odd_dash,
        odd_colon,
        no_space_behind_dash,
        no_space_behind_colon,
        equals,
    ];
    let found = checks.iter().find_map(|check| check(line));
    found.or_else(|| no_colon(line).filter(has_value))
}

/// A line that a merge of versions left.
pub fn conflict(source: &str) -> Option<Suspect> {
    let at = if source.starts_with("<<<<<<< ") {
        0
    } else {
        source.find("\n<<<<<<< ")? + 1
    };
    let message = "a conflict of two versions of this file starts here";
    let help = "keep one of the versions and remove the lines `<<<<<<<`, `=======` and `>>>>>>>`";
    Some(Suspect::new(0, at..at + 7, message, help))
}

/// A tab at an offset that indents.
pub fn tab_at(at: usize) -> Suspect {
    Suspect::new(0, at..at, "a tab cannot indent a line", "use spaces")
}

fn tab(line: &Line<'_>) -> Option<Suspect> {
    let start = line.whole.start;
    let white = &line.source[start..start + line.indent()];
    let at = start + white.find('\t')?;
    let mut suspect = tab_at(at);
    for width in [2, 4, 8] {
        let spaces = white.replace('\t', &" ".repeat(width));
        suspect = suspect.repair(start..start + white.len(), spaces);
    }
    // As deep as the line above.
    let above = line.source[..start]
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty());
    let width = above.map_or(0, |above| above.len() - above.trim_start_matches(' ').len());
    let body = line.indented(width);
    Some(suspect.repair(line.whole.clone(), body))
}

/// Spaces that look like one and are none.
fn odd_space(line: &Line<'_>) -> Option<Suspect> {
    let is_odd =
        |c: char| c == '\u{feff}' || c == '\u{200b}' || (!c.is_ascii() && c.is_whitespace());
    let text = &line.source[line.whole.clone()];
    let (at, c) = text.char_indices().find(|(_, c)| is_odd(*c))?;
    let at = line.whole.start + at;
    let name = if c == '\u{a0}' {
        "a no-break space"
    } else {
        "an odd space"
    };
    let message = format!(
        "{name} (U+{:04X}) stands where a space belongs",
        u32::from(c)
    );
    let wide = |c: char| if is_odd(c) { ' ' } else { c };
    let repaired: String = text.chars().map(wide).collect();
    let suspect = Suspect::new(
        1,
        at..at + c.len_utf8(),
        message,
        "type a plain space in its place",
    );
    Some(suspect.repair(line.whole.clone(), repaired))
}

fn odd_dash(line: &Line<'_>) -> Option<Suspect> {
    let dash = line.body().chars().next()?;
    if !matches!(
        dash,
        '\u{2010}'..='\u{2015}' | '\u{2022}' | '\u{2212}' | '\u{b7}'
    ) {
        return None;
    }
    let at = line.body.start..line.body.start + dash.len_utf8();
    let message = format!(
        "a typographic dash (U+{:04X}) does not start a list element",
        u32::from(dash)
    );
    let suspect = Suspect::new(
        1,
        at.clone(),
        message,
        "write the minus sign of the keyboard, `- `",
    );
    Some(suspect.repair(at, "-"))
}

fn odd_colon(line: &Line<'_>) -> Option<Suspect> {
    let (found, c) = line
        .body()
        .char_indices()
        .find(|(_, c)| matches!(c, '\u{ff1a}' | '\u{a789}' | '\u{2236}'))?;
    let at = line.body.start + found..line.body.start + found + c.len_utf8();
    let message = format!(
        "a typographic colon (U+{:04X}) does not end a key",
        u32::from(c)
    );
    Some(Suspect::new(1, at.clone(), message, "write `: `").repair(at, ": "))
}

/// Whether a character is a quote that a word processor makes.
pub fn is_odd_quote(c: char) -> bool {
    matches!(
        c,
        '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{2039}' | '\u{203a}' | '\u{b4}'
    )
}

fn odd_quote(line: &Line<'_>) -> Option<Suspect> {
    let (found, c) = line.body().char_indices().find(|(_, c)| is_odd_quote(*c))?;
    let at = line.body.start + found;
    let message = format!(
        "a typographic quote (U+{:04X}) is not a quote for YAML",
        u32::from(c)
    );
    let suspect = Suspect::new(
        1,
        at..at + c.len_utf8(),
        message,
        "write a straight quote, `\"` or `'`",
    );
    let straight = line.body().replace(is_odd_quote, "\"");
    let value = line.value.clone();
    Some(
        suspect
            .repair(line.body.clone(), straight)
            .repair(value, "x"),
    )
}

fn quoted<'a>(line: &Line<'a>) -> Option<(char, &'a str)> {
    let text = line.value();
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some((quote, text))
}

fn open_quote(line: &Line<'_>) -> Option<Suspect> {
    let (quote, text) = quoted(line)?;
    if closing_quote(text, quote).is_some() {
        return None;
    }
    let at = line.value.start..line.value.start + 1;
    let message = format!("the quote {quote} opens here and is not closed in this line");
    let help = format!("close it with {quote} at the end of the string");
    let suspect = Suspect::new(2, at, message, help);
    let suspect = suspect.repair(line.value.end..line.value.end, quote);
    Some(suspect.repair(line.value.clone(), "x"))
}

fn behind_quote(line: &Line<'_>) -> Option<Suspect> {
    let (quote, text) = quoted(line)?;
    let end = closing_quote(text, quote)?;
    let rest = text[end + 1..].trim_start();
    if rest.is_empty() || text[end + 1..].starts_with(" #") {
        return None;
    }
    let at = line.value.start + end;
    let help = match (rest, quote) {
        (",", _) => "remove the comma: only lists and mappings in brackets have them",
        (_, '"') => "write \\\" for a quote within double quotes",
        _ => "write '' for a quote within single quotes",
    };
    let message = format!("the quote {quote} is closed here, and more text follows");
    let suspect = Suspect::new(2, at..at + 1, message, help);
    Some(suspect.repair(line.value.clone(), "x"))
}

/// A backslash in double quotes that escapes nothing.
fn escape(line: &Line<'_>) -> Option<Suspect> {
    let (quote, text) = quoted(line)?;
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next().filter(|_| quote == '"') {
        let next = if c == '\\' { rest.next() } else { continue };
        if next.is_some_and(|(_, c)| !"0abtnvfre \"/\\N_LPxuU\t".contains(c)) {
            let at = line.value.start + at;
            let message = "a backslash in double quotes escapes no sign that YAML knows";
            let help = "write \\\\ for a backslash, or use single quotes";
            let suspect = Suspect::new(2, at..at + 2, message, help);
            return Some(suspect.repair(line.value.clone(), "x"));
        }
    }
    None
}

/// A text whose first sign means something to YAML.
fn reserved(line: &Line<'_>) -> Option<Suspect> {
    let sign = line.value().chars().next()?;
    let message = match sign {
        '@' | '`' => format!("a string cannot start with {sign}, which YAML keeps for itself"),
        '%' => "a string cannot start with %, which starts a directive of YAML".to_owned(),
        '&' => "& starts an anchor of YAML, not a string".to_owned(),
        '*' => "* starts an alias of YAML, and its anchor does not stand above".to_owned(),
        '!' => "! starts a tag of YAML, not a string".to_owned(),
        ',' | ']' | '}' => format!("a string cannot start with {sign}"),
        '-' if line.key.is_some() && line.value().starts_with("- ") => {
            let at = line.value.start..line.value.start + 1;
            let message = "a list cannot start in the line of its key";
            let suspect = Suspect::new(3, at, message, "start it on the next line");
            return Some(suspect.repair(line.value.clone(), "x"));
        }
        _ => return None,
    };
    let at = line.value.start..line.value.start + 1;
    Some(Suspect::new(3, at, message, QUOTE_IT).repair(line.value.clone(), "x"))
}

fn block_sign(line: &Line<'_>) -> Option<Suspect> {
    let sign = line
        .value()
        .chars()
        .next()
        .filter(|c| matches!(c, '|' | '>'))?;
    if line.opens_block() {
        return None;
    }
    let at = line.value.start..line.value.start + 1;
    let message =
        format!("{sign} starts a string of several lines, and this line goes on behind it");
    let help = format!("put the string in quotes, or start it on the line below {sign}");
    let suspect = Suspect::new(3, at, message, help);
    let suspect = suspect.repair(line.value.clone(), "x");
    Some(suspect.repair(line.value.clone(), sign))
}

fn no_space_behind_dash(line: &Line<'_>) -> Option<Suspect> {
    let rest = line.body().strip_prefix('-')?;
    if rest.is_empty() || rest.starts_with(['-', ' ']) {
        return None;
    }
    let at = line.body.start + 1;
    let message = "there is no space behind the `-` of a list element";
    let suspect = Suspect::new(4, at - 1..at, message, "write `- ` with a space");
    Some(suspect.repair(at..at, " "))
}

/// The length of a word that could be a key, at the beginning of a text.
fn word(text: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.find(|c: char| !is_word(c)).unwrap_or(text.len())
}

fn no_space_behind_colon(line: &Line<'_>) -> Option<Suspect> {
    let body = line.body();
    let quoted = body
        .starts_with(['"', '\''])
        .then(|| closing_quote(body, body.chars().next()?));
    let end = quoted.flatten().map_or_else(|| word(body), |end| end + 1);
    let rest = body[end..].strip_prefix(':')?;
    if end == 0 || rest.is_empty() || rest.starts_with([' ', '\t']) {
        return None;
    }
    let at = line.body.start + end;
    if rest.starts_with("//") {
        let message = "a value stands here without a key before it";
        let suspect = Suspect::new(
            4,
            line.body.start..line.body.end,
            message,
            "write `key: value`",
        );
        return Some(suspect.repair(line.body.clone(), "x: y"));
    }
    let message = "there is no space behind the colon of a key";
    let suspect = Suspect::new(4, at..at + 1, message, "write `: ` with a space");
    Some(suspect.repair(at + 1..at + 1, " "))
}

/// A text that begins with a bracket, which is closed too early or not at all.
fn bracket(line: &Line<'_>) -> Option<Suspect> {
    let sign = line
        .value()
        .chars()
        .next()
        .filter(|c| matches!(c, '{' | '['))?;
    let at = line.value.start..line.value.start + 1;
    let kind = if sign == '{' { "mapping" } else { "list" };
    let end = super::layout::closing_bracket(line.value());
    if end.is_none() && line.value.start == line.whole.start {
        return None; // A document in brackets.
    }
    let message = match end {
        None => format!("{sign} starts a {kind}, which is not closed in this line"),
        Some(end) if end + 1 < line.value().len() => {
            format!("{sign} starts a {kind}, and more text follows behind its end")
        }
        Some(_) => format!("the {kind} in brackets that starts here cannot be read"),
    };
    let help = match end {
        Some(end) if end + 1 == line.value().len() => {
            "part its entries by `, `, and keys from values by `: `"
        }
        _ => "close the bracket; or, if it is a string, put the whole in quotes",
    };
    Some(Suspect::new(5, at, message, help).repair(line.value.clone(), "x"))
}

fn colon_in_text(line: &Line<'_>) -> Option<Suspect> {
    let text = line.value();
    if text.starts_with(['"', '\'', '{', '[', '|', '>', '&', '*', '!']) {
        return None;
    }
    let inner = text
        .find(": ")
        .or_else(|| text.ends_with(':').then(|| text.len() - 1))?;
    let at = line.value.start + inner;
    line.key.as_ref()?;
    let message = "a second `: ` in the line: a string without quotes cannot have one";
    Some(Suspect::new(5, at..at + 1, message, QUOTE_IT).repair(line.value.clone(), "x"))
}

fn equals(line: &Line<'_>) -> Option<Suspect> {
    let end = word(line.body());
    let rest = line.body()[end..].trim_start();
    let sign = rest.chars().next().filter(|c| matches!(c, '=' | ';'))?;
    if line.key.is_some() || end == 0 {
        return None;
    }
    let at = line.body.end - rest.len();
    let message = format!("{sign} stands behind a key, where `: ` belongs");
    let suspect = Suspect::new(4, at..at + 1, message, "write `key: value`");
    Some(suspect.repair(at..line.body.end, ": x"))
}

fn no_colon(line: &Line<'_>) -> Option<Suspect> {
    let end = word(line.body());
    let rest = &line.body()[end..];
    let fits = rest.is_empty() || rest.starts_with([' ', '\t']);
    if line.key.is_some() || end == 0 || !fits || line.body().starts_with('-') {
        return None;
    }
    let at = line.body.start + end;
    let message = "there is no colon behind the key";
    let suspect = Suspect::new(6, line.body.start..at, message, "write `key: value`");
    let suspect = suspect.repair(at..at, ":");
    Some(suspect.repair(at..line.body.end, ": x"))
}

#[cfg(test)]
mod tests {
    use super::{behind_quote, of_key, suspects};
    use crate::yaml::cause::line::Line;

    /// What is suspected of a line in the midst of others: each marked in it, and what its repairs make of the line.
    fn shown(line: &str) -> String {
        let text = format!(" k: v\n\n{line}\nz: 1");
        let found = suspects(&Line::new(&text, 7..7 + line.len()));
        let shown: Vec<String> = found.iter().flat_map(|found| found.shown(&text)).collect();
        let lines = shown.iter().map(|text| &text[7..text.len() - 5]);
        lines.collect::<Vec<_>>().join(" / ")
    }

    #[test]
    fn what_may_be_mistyped_is_marked_and_repaired() {
        for (line, expected) in [
            ("a: \"b", "a: «\"»b / a: \"b\" / a: x"),
            ("- a: 'b' c # d", "- a: 'b«'» c # d / - a: x"),
            ("a: \"b\" # c", ""),
            ("a: \"b\",", "a: \"b«\"», / a: x"),
            (
                " \t- a: b",
                " «»\t- a: b /    - a: b /      - a: b /          - a: b /  - a: b",
            ),
            (
                "a:\u{a0}b\u{3000}c",
                "a:«\u{a0}»b\u{3000}c / a: b c / a«:»\u{a0}b\u{3000}c / a: \u{a0}b\u{3000}c",
            ),
            ("a \u{200b}b: c", "a «\u{200b}»b: c / a  b: c"),
            ("a \u{feff}b: c", "a «\u{feff}»b: c / a  b: c"),
            ("- \u{2022} a", "- «\u{2022}» a / - - a"),
            ("  a\u{ff1a}b: c", "  a«\u{ff1a}»b: c /   a: b: c"),
            (
                "a: \u{201c}b\u{201d} c",
                "a: «\u{201c}»b\u{201d} c / a: \"b\" c / a: x",
            ),
            ("- a: \"\\d\\\" b\"", "- a: \"«\\d»\\\" b\" / - a: x"),
            ("a: \"b\\\"c\\w\"", "a: \"b\\\"c«\\w»\" / a: x"),
            ("a: ,b", "a: «,»b / a: x"),
            ("a: }b", "a: «}»b / a: x"),
            ("a: *b", "a: «*»b / a: x"),
            ("a: &b", "a: «&»b / a: x"),
            ("a: !b", "a: «!»b / a: x"),
            ("a: - b", "a: «-» b / a: x"),
            ("a: -b", ""),
            ("a: | b", "a: «|» b / a: x / a: |"),
            ("a: |", ""),
            ("- > b", "- «>» b / - x / - >"),
            (" -a", " «-»a /  - a"),
            ("--a", ""),
            ("-", ""),
            (" a:b", " a«:»b /  a: b"),
            ("a:", ""),
            (":a", ""),
            ("'a':'b'", "'a«'»:'b' / x / 'a'«:»'b' / 'a': 'b'"),
            (" http://a/b", " «http://a/b» /  x: y"),
            ("a: [b", "a: «[»b / a: x"),
            ("[b", ""),
            ("  [b", "  «[»b /   x"),
            ("a: {b} c", "a: «{»b} c / a: x"),
            ("a: b: c", "a: b«:» c / a: x"),
            ("a: b:", "a: b«:» / a: x"),
            ("a=b", "a«=»b / a: x"),
            (" a; b", " a«;» b /  a: x"),
            ("=a", ""),
            ("a: b=c", ""),
            ("a b", "«a» b / a: b / a: x"),
            ("a b: c", ""),
            ("  a.b_c-d", "  «a.b_c-d» /   a.b_c-d: /   a.b_c-d: x"),
            ("a(b)", ""),
            ("- -a b", "- «-»a b / - - a b"),
            ("a\tb", "«a»\tb / a:\tb / a: x"),
            ("äb c", "«äb» c / äb: c / äb: x"),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn a_comment_behind_a_quote_is_no_text() {
        let found = |text: &str| behind_quote(&Line::new(text, 0..text.len())).is_some();
        assert!(found("a: \"b\" c"));
        assert!(!found("a: \"b\" # c"));
        assert!(!found("a: \"b\""));
    }

    #[test]
    fn a_missing_colon_is_told_where_a_value_follows() {
        let told = |text: &str| of_key(&Line::new(text, 0..text.len())).map(|found| found.message);
        let missing = Some("there is no colon behind the key");
        assert_eq!(told("hostname edge").as_deref(), missing);
        assert_eq!(told("hostname"), None);
        assert_eq!(told("hostname: edge"), None);
    }
}
