//! A check of Go text/template syntax, as far as containerd templates need it: actions that close, quotes that close,
//! blocks that match, names that are defined. K3s parses with template.Must, so that any fault is a crash loop.

/// Functions of text/template and of K3s.
const FUNCTIONS: &[&str] = &[
    "and",
    "or",
    "not",
    "len",
    "index",
    "slice",
    "print",
    "printf",
    "println",
    "html",
    "js",
    "urlquery",
    "call",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "deschemify",
    "toJson",
    "filepathjoin",
    "true",
    "false",
    "nil",
];
const OPENERS: &[&str] = &["if", "range", "with", "define", "block"];

/// The names of the templates that the text includes, or why Go would not parse it, as far as can be seen.
pub(super) fn check_template(text: &str) -> Result<Vec<String>, String> {
    let mut open: Vec<String> = vec![];
    let mut defined = vec!["base".to_owned()];
    let mut used = vec![];
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let (action, tail) = split_action(after)?;
        rest = tail;
        let Some(words) = words(action)? else {
            continue;
        };
        let first = words.first().map_or("", String::as_str);
        match first {
            "" => return Err("an empty action `{{ }}`".to_owned()),
            "end" => {
                open.pop().ok_or("`{{ end }}` without an open block")?;
            }
            "else" if open.is_empty() => {
                return Err("`{{ else }}` without an open block".to_owned());
            }
            "template" => used.push(name(&words)?),
            keyword if OPENERS.contains(&keyword) => {
                if keyword == "define" || keyword == "block" {
                    defined.push(name(&words)?);
                }
                open.push(keyword.to_owned());
            }
            _ => {}
        }
        check_words(&words)?;
    }
    if let Some(block) = open.last() {
        return Err(format!("`{{{{ {block} }}}}` has no `{{{{ end }}}}`"));
    }
    match used.iter().find(|name| !defined.contains(name)) {
        Some(name) => Err(format!("the template `{name}` is not defined")),
        None => Ok(used),
    }
}

/// Cuts at the `}}` that closes the action, which quotes and comments may hide.
fn split_action(text: &str) -> Result<(&str, &str), String> {
    let start = text.trim_start_matches(['-', ' ']);
    if let Some(comment) = start.strip_prefix("/*") {
        let (_, after) = comment.split_once("*/").ok_or("a comment is not closed")?;
        let end = after.find("}}").ok_or("an action is not closed by `}}`")?;
        return Ok(("/*", &after[end + 2..]));
    }
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(open), c) if open == c => quote = None,
            (Some('"' | '\''), '\n') => return Err("a quoted text is not closed".to_owned()),
            (Some(_), _) => {}
            (None, '"' | '`' | '\'') => quote = Some(c),
            (None, '}') if text[at..].starts_with("}}") => {
                return Ok((&text[..at], &text[at + 2..]));
            }
            _ => {}
        }
    }
    match quote {
        Some(_) => Err("a quoted text is not closed".to_owned()),
        None => Err("an action is not closed by `}}`".to_owned()),
    }
}

/// The words of an action, quoted texts whole; `None` for a comment.
fn words(action: &str) -> Result<Option<Vec<String>>, String> {
    if action == "/*" {
        return Ok(None);
    }
    let action = action.strip_prefix("- ").unwrap_or(action);
    let action = action.strip_suffix(" -").unwrap_or(action).trim();
    let mut out = vec![];
    let mut rest = action;
    while !rest.is_empty() {
        let c = rest.chars().next().unwrap_or_default();
        let length = match c {
            c if c.is_whitespace() => {
                rest = rest.trim_start();
                continue;
            }
            '"' | '`' | '\'' => quoted_length(rest, c),
            '(' | ')' | '|' | ',' | '=' => 1,
            ':' if rest.starts_with(":=") => 2,
            c if c.is_alphanumeric() || "_.$-+".contains(c) => rest
                .find(|c: char| !(c.is_alphanumeric() || "_.$-+".contains(c)))
                .unwrap_or(rest.len()),
            other => return Err(format!("unexpected `{other}` in `{{{{ {action} }}}}`")),
        };
        out.push(rest[..length].to_owned());
        rest = &rest[length..];
    }
    Ok(Some(out))
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The quoted name after `template`, `define` or `block`.
fn name(words: &[String]) -> Result<String, String> {
    let word = words.get(1).map_or("", String::as_str);
    let inner = word
        .strip_prefix('"')
        .and_then(|w| w.strip_suffix('"'))
        .or_else(|| word.strip_prefix('`').and_then(|w| w.strip_suffix('`')));
    inner
        .map(str::to_owned)
        .ok_or_else(|| format!("`{}` needs a name in double quotes, not `{word}`", words[0]))
}

fn check_words(words: &[String]) -> Result<(), String> {
    let keywords = ["end", "else", "template", "break", "continue"];
    for (at, word) in words.iter().enumerate() {
        let is_name = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let known = FUNCTIONS.contains(&word.as_str())
            || keywords.contains(&word.as_str())
            || OPENERS.contains(&word.as_str());
        if is_name && !known {
            return Err(format!("the function `{word}` is not defined"));
        }
        if word.starts_with('\'') && at > 0 && words[0] == "template" {
            return Err("a template's name has single quotes".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_template;

    #[test]
    fn accepts_what_go_accepts() {
        for text in [
            "no action",
            "{{ template \"base\" . }}",
            "{{template `base` .}}",
            "{{- template \"base\" . -}}",
            "{{/* a }} comment */}}",
            "{{ if .NodeConfig.Containerd }}x{{ else if not .DisableCgroup }}y{{ end }}",
            "{{ range $name, $runtime := .ExtraRuntimes }}{{ $name | printf \"%q\" }}{{ end }}",
            "{{ define \"mine\" }}x{{ end }}{{ template \"mine\" . }}",
            "{{ with $x := (index .ExtraRuntimes \"a\") }}{{ toJson $x }}{{ end }}",
        ] {
            assert!(check_template(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "{{ template \\\"base\\\" . }}",
            "{{ template 'base' . }}",
            "{{ template base . }}",
            "{{ template \"bass\" . }}",
            "{{ template \"base\" .",
            "{{ }}",
            "{{ end }}",
            "{{ if .A }}",
            "{{ else }}",
            "{{ nosuch .A }}",
            "{{ \"open }}\n",
            "{{/* open }}",
        ] {
            assert!(check_template(text).is_err(), "{text}");
        }
    }
}
