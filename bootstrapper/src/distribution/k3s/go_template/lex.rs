//! The words of a Go template's actions (text/template/parse, lex.go).

/// A word of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Space,
    /// A function, or a keyword.
    Word(String),
    /// `.name`
    Field(String),
    /// `$` or `$name`
    Variable(String),
    Dot,
    /// A number, a character or a truth value.
    Constant,
    Nil,
    /// A quoted text, its quotes taken off.
    Text(String),
    Open,
    Close,
    Pipe,
    Comma,
    /// `=` or `:=`
    Assign,
}

/// A template in pieces: each action as its words. Text between them and comments are left out.
pub(super) fn actions(text: &str) -> Result<Vec<Vec<Token>>, String> {
    let mut found = vec![];
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let after = match after.strip_prefix('-') {
            Some(trimmed) if trimmed.starts_with(is_space) => trimmed.trim_start_matches(is_space),
            _ => after,
        };
        if let Some(comment) = after.strip_prefix("/*") {
            let (_, end) = comment.split_once("*/").ok_or("a comment is not closed")?;
            rest = right_delimiter(end).ok_or("a comment must end with `*/}}`")?;
            continue;
        }
        let mut lexer = Lexer { rest: after };
        let mut tokens = vec![];
        // Each word takes a character at least.
        for _ in 0..=after.len() {
            match lexer.next()? {
                Some(token) => tokens.push(token),
                None => break,
            }
        }
        found.push(tokens);
        rest = lexer.rest;
    }
    Ok(found)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// What follows the end of an action, if one is here.
fn right_delimiter(text: &str) -> Option<&str> {
    let trimmed = text.strip_prefix(is_space);
    let trimmed = trimmed.and_then(|text| text.strip_prefix("-}}"));
    trimmed.or_else(|| text.strip_prefix("}}"))
}

struct Lexer<'a> {
    rest: &'a str,
}

impl Lexer<'_> {
    /// The next word; `None` at the end of the action.
    fn next(&mut self) -> Result<Option<Token>, String> {
        if let Some(after) = right_delimiter(self.rest) {
            self.rest = after;
            return Ok(None);
        }
        let Some(c) = self.rest.chars().next() else {
            return Err("an action is not closed by `}}`".to_owned());
        };
        let token = match c {
            c if is_space(c) => return Ok(Some(self.space())),
            '"' => Token::Text(self.quoted('"')?),
            '\'' => self.character()?,
            '`' => self.raw()?,
            '$' => {
                self.rest = &self.rest[1..];
                Token::Variable(format!("${}", self.name()?))
            }
            '.' if !self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                self.rest = &self.rest[1..];
                match self.name()? {
                    "" => Token::Dot,
                    name => Token::Field(name.to_owned()),
                }
            }
            c if c.is_ascii_digit() || ".+-".contains(c) => self.number()?,
            c if is_name(c) => match self.name()? {
                "true" | "false" => Token::Constant,
                "nil" => Token::Nil,
                word => Token::Word(word.to_owned()),
            },
            _ => self.sign(c)?,
        };
        Ok(Some(token))
    }

    fn sign(&mut self, c: char) -> Result<Token, String> {
        let (token, length) = match c {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '|' => (Token::Pipe, 1),
            ',' => (Token::Comma, 1),
            '=' => (Token::Assign, 1),
            ':' if self.rest.starts_with(":=") => (Token::Assign, 2),
            _ => return Err(format!("unexpected `{c}`")),
        };
        self.rest = &self.rest[length..];
        Ok(token)
    }

    /// Blanks, but for the one that belongs to `-}}`.
    fn space(&mut self) -> Token {
        while self.rest.starts_with(is_space) && right_delimiter(self.rest).is_none() {
            self.rest = &self.rest[1..];
        }
        Token::Space
    }

    /// A name, which must end where one can end.
    fn name(&mut self) -> Result<&str, String> {
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (name, after) = self.rest.split_at(end);
        let ends = |c: char| is_space(c) || ".,|:)(=".contains(c);
        if !after.is_empty() && !after.starts_with(ends) && right_delimiter(after).is_none() {
            let c = after.chars().next().unwrap_or_default();
            return Err(format!("unexpected `{c}` after `{name}`"));
        }
        self.rest = after;
        Ok(name)
    }

    /// A text in quotes, checked as Go unquotes it.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let open = || "a quoted text is not closed".to_owned();
        let mut chars = self.rest.char_indices().skip(1);
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\n' => return Err(open()),
                '\\' => {
                    let (_, kind) = chars.next().ok_or_else(open)?;
                    let digits = match kind {
                        'x' => 2,
                        'u' => 4,
                        'U' => 8,
                        '0'..='7' => 2,
                        c if "abfnrtv\\".contains(c) || c == quote => 0,
                        _ => return Err(format!("`\\{kind}` is not an escape of a quoted text")),
                    };
                    let radix = if kind.is_ascii_digit() { 8 } else { 16 };
                    for _ in 0..digits {
                        chars
                            .next()
                            .filter(|(_, c)| c.is_digit(radix))
                            .ok_or_else(|| format!("`\\{kind}` needs more digits"))?;
                    }
                    text.push('\\');
                }
                c => text.push(c),
            }
        }
        Err(open())
    }

    fn character(&mut self) -> Result<Token, String> {
        let text = self.quoted('\'')?;
        if text.chars().count() != 1 {
            return Err(format!(
                "`'{text}'` is not a single character; strings have double quotes"
            ));
        }
        Ok(Token::Constant)
    }

    fn raw(&mut self) -> Result<Token, String> {
        let inside = &self.rest[1..];
        let (text, after) = inside
            .split_once('`')
            .ok_or("a quoted text is not closed")?;
        self.rest = after;
        Ok(Token::Text(text.to_owned()))
    }

    fn number(&mut self) -> Result<Token, String> {
        let (signed, text) = match self.rest.strip_prefix(['+', '-']) {
            Some(text) => (1, text),
            None => (0, self.rest),
        };
        // A sign inside is that of an exponent.
        let mut last = ' ';
        let end = text.find(|c: char| {
            let inside = is_name(c) || c == '.' || "+-".contains(c) && "eEpP".contains(last);
            last = c;
            !inside
        });
        let end = end.unwrap_or(text.len());
        if !is_number(&text[..end]) {
            return Err(format!("`{}` is not a number", &self.rest[..signed + end]));
        }
        self.rest = &text[end..];
        Ok(Token::Constant)
    }
}

/// Whether Go takes the text for a number without a sign.
fn is_number(text: &str) -> bool {
    let text = text.strip_suffix('i').unwrap_or(text);
    let digits = text.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    for (start, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] {
        if let Some(rest) = lower.strip_prefix(start) {
            return u64::from_str_radix(rest, radix).is_ok();
        }
    }
    if lower.starts_with('0') && lower.chars().all(|c| c.is_ascii_digit()) {
        return u64::from_str_radix(&lower, 8).is_ok();
    }
    lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') && lower.parse::<f64>().is_ok()
}
