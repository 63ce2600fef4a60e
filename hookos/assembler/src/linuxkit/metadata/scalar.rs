//! Texts in YAML as Go's yaml.v2 writes them: plain where it can be, else quoted, several lines as a
//! literal block; long lines are folded.

/// Lines longer than this are folded at the next space, characters.
const WIDTH: usize = 80;

/// A key of a mapping, on one line.
pub fn key(text: &str) -> String {
    written(text, 0, 0, false)
}

/// A value; its further lines are indented by `indent`, its first begins at `column`.
pub fn value(text: &str, indent: usize, column: usize) -> String {
    written(text, indent, column, true)
}

fn written(text: &str, indent: usize, column: usize, may_break: bool) -> String {
    let found = Findings::of(text);
    let fold = Fold {
        indent,
        column,
        may_break,
    };
    if text.contains('\n') {
        if may_break && found.block_allowed {
            return literal(text, indent);
        }
        return fold.double_quoted(text);
    }
    if is_no_text(text) {
        return fold.double_quoted(text);
    }
    if found.plain_allowed {
        return fold.plain(text);
    }
    if found.single_allowed {
        return fold.single_quoted(text);
    }
    fold.double_quoted(text)
}

/// In which styles a text can be written.
struct Findings {
    plain_allowed: bool,
    single_allowed: bool,
    block_allowed: bool,
}

impl Findings {
    fn of(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let blank_after = |index: usize| chars.get(index + 1).is_none_or(|c| " \t\n".contains(*c));
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let mut special = false;
        for (index, &c) in chars.iter().enumerate() {
            let blank_before = index == 0 || " \t\n".contains(chars[index - 1]);
            indicators |= match c {
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
                | '@' | '`' => index == 0,
                '#' => blank_before,
                ':' => blank_after(index),
                '?' | '-' => index == 0 && blank_after(index),
                _ => false,
            };
            special |= !is_printable(c);
        }
        let at = |index: usize, wanted: char| chars.get(index) == Some(&wanted);
        let pair = |a: char, b: char| chars.windows(2).any(|two| two == [a, b]);
        let edges = |wanted: char| at(0, wanted) || chars.last() == Some(&wanted);
        let (space_break, break_space) = (pair(' ', '\n'), pair('\n', ' '));
        let broken = chars.contains(&'\n');
        Self {
            plain_allowed: !(indicators
                || special
                || broken
                || edges(' ')
                || space_break
                || break_space),
            single_allowed: !(special || space_break || break_space),
            block_allowed: !(special || space_break || chars.last() == Some(&' ')),
        }
    }
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// Whether a text without quotes would be read as something else: a number, a boolean, a time.
fn is_no_text(text: &str) -> bool {
    const WORDS: [&str; 11] = [
        "y", "yes", "on", "true", "n", "no", "off", "false", "null", ".nan", ".inf",
    ];
    if matches!(text, "" | "~") {
        return true;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let known = |form: &str| {
        let lower = form.to_ascii_lowercase();
        let title = format!("{}{}", lower[..1].to_ascii_uppercase(), &lower[1..]);
        let upper = lower.to_ascii_uppercase();
        WORDS.contains(&lower.as_str()) && [lower, title, upper].iter().any(|it| it == form)
    };
    let dotted = |form: &str| matches!(form, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN");
    (text.is_ascii() && known(text)) || dotted(unsigned) || is_number(unsigned) || is_time(text)
}

/// `text` has no sign.
fn is_number(text: &str) -> bool {
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let in_base = |prefix: &str, base: u32| {
        let rest = digits.strip_prefix(prefix);
        rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(base)))
    };
    if in_base("0x", 16) || in_base("0b", 2) || in_base("0o", 8) {
        return true;
    }
    let float = digits
        .chars()
        .all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    is_sexagesimal(&digits) || (float && digits.parse::<f64>().is_ok())
}

/// YAML 1.1's numbers to the base of sixty: `190:20:30.15`.
fn is_sexagesimal(digits: &str) -> bool {
    let whole = digits.split_once('.').map_or(digits, |(whole, _)| whole);
    let number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let Some((first, rest)) = whole.split_once(':') else {
        return false;
    };
    let below_sixty = |part: &str| part.len() < 2 || (part.len() == 2 && part < "60");
    number(first)
        && rest
            .split(':')
            .all(|part| number(part) && below_sixty(part))
}

/// A date, alone or with a time of day; month and day may have one digit.
fn is_time(text: &str) -> bool {
    let end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (date, rest) = text.split_at(end);
    let lengths: Vec<usize> = date.split('-').map(str::len).collect();
    let is_date = matches!(lengths[..], [4, 1 | 2, 1 | 2])
        && date.chars().all(|c| c == '-' || c.is_ascii_digit());
    is_date && (rest.is_empty() || rest.contains(':'))
}

/// A literal block: `|`, then the lines.
fn literal(text: &str, indent: usize) -> String {
    let mut out = String::from("|");
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    let body = match text.strip_suffix('\n') {
        None => {
            out.push('-');
            text
        }
        Some(body) => {
            if body.is_empty() || body.ends_with('\n') {
                out.push('+');
            }
            body
        }
    };
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
    }
    out
}

/// Where lines begin, and whether there may be more than one.
struct Fold {
    indent: usize,
    column: usize,
    may_break: bool,
}

impl Fold {
    fn plain(mut self, text: &str) -> String {
        let mut out = String::new();
        let chars: Vec<char> = text.chars().collect();
        for (index, &c) in chars.iter().enumerate() {
            self.put_or_break(&chars, index, c, &mut out);
        }
        out
    }

    fn single_quoted(mut self, text: &str) -> String {
        let mut out = String::from("'");
        self.column += 1;
        let chars: Vec<char> = text.chars().collect();
        for (index, &c) in chars.iter().enumerate() {
            let inside = index > 0 && index + 1 < chars.len();
            match c {
                '\'' => {
                    out.push_str("''");
                    self.column += 1;
                }
                ' ' if inside => {
                    self.put_or_break(&chars, index, c, &mut out);
                    continue;
                }
                c => out.push(c),
            }
            self.column += 1;
        }
        out.push('\'');
        out
    }

    /// Writes a character, or a line break in place of a single space beyond the width.
    fn put_or_break(&mut self, chars: &[char], index: usize, c: char, out: &mut String) {
        let single = c == ' '
            && chars.get(index + 1) != Some(&' ')
            && (index == 0 || chars[index - 1] != ' ');
        if self.may_break && single && self.column > WIDTH {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', self.indent));
            self.column = self.indent;
        } else {
            out.push(c);
            self.column += 1;
        }
    }

    fn double_quoted(mut self, text: &str) -> String {
        let mut out = String::from("\"");
        self.column += 1;
        let chars: Vec<char> = text.chars().collect();
        for (index, &c) in chars.iter().enumerate() {
            let inside = index > 0 && index + 1 < chars.len();
            if c == ' '
                && inside
                && self.may_break
                && self.column > WIDTH
                && chars[index - 1] != ' '
            {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', self.indent));
                self.column = self.indent;
                if chars[index + 1] == ' ' {
                    out.push('\\');
                    self.column += 1;
                }
                continue;
            }
            let shown = escaped(c);
            self.column += shown.chars().count();
            out.push_str(&shown);
        }
        out.push('"');
        out
    }
}

fn escaped(c: char) -> String {
    match c {
        '"' => "\\\"".into(),
        '\\' => "\\\\".into(),
        '\0' => "\\0".into(),
        '\u{7}' => "\\a".into(),
        '\u{8}' => "\\b".into(),
        '\t' => "\\t".into(),
        '\n' => "\\n".into(),
        '\u{b}' => "\\v".into(),
        '\u{c}' => "\\f".into(),
        '\r' => "\\r".into(),
        '\u{1b}' => "\\e".into(),
        '\u{85}' => "\\N".into(),
        '\u{a0}' => "\\_".into(),
        '\u{2028}' => "\\L".into(),
        '\u{2029}' => "\\P".into(),
        c if is_printable(c) => c.into(),
        c if u32::from(c) <= 0xff => format!("\\x{:02X}", u32::from(c)),
        c if u32::from(c) <= 0xffff => format!("\\u{:04X}", u32::from(c)),
        c => format!("\\U{:08X}", u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    /// What linuxkit v1.8.2 wrote for the same texts.
    #[test]
    fn texts_are_written_as_linuxkit_writes_them() {
        for (text, written) in [
            ("debian:12.10", "debian:12.10"),
            ("a: b", "'a: b'"),
            ("it's", "it's"),
            ("'q'", "'''q'''"),
            ("- x", "'- x'"),
            ("trail ", "'trail '"),
            ("", r#""""#),
            ("0644", r#""0644""#),
            ("1.2.3", "1.2.3"),
            ("12:30", r#""12:30""#),
            ("1:70", "1:70"),
            ("_1", "_1"),
            ("yes", r#""yes""#),
            ("tRue", "tRue"),
            ("2020-1-2", r#""2020-1-2""#),
            ("<<", "<<"),
            ("tab\there", r#""tab\there""#),
            ("a\nb\n", "|\n  a\n  b"),
            ("a\nb", "|-\n  a\n  b"),
            ("a\n\n", "|+\n  a\n"),
        ] {
            assert_eq!(value(text, 2, 0), written, "{text:?}");
        }
    }

    #[test]
    fn long_lines_are_folded_at_the_first_space_beyond_eighty_characters() {
        let text = format!("{} b c", "a".repeat(81));
        assert_eq!(value(&text, 4, 0), format!("{}\n    b c", "a".repeat(81)));
        assert_eq!(value(&text, 4, 80).matches('\n').count(), 1);
    }
}
