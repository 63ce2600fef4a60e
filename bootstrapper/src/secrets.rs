//! Which parts of a config-file are secrets, so that no report shows them: not the values of passwords and credentials,
//! whatever else is wrong on their line, nor texts that look like one in a wrong place.

use crate::diagnostic::{Diagnostic, line_around};
use crate::text::closest;
use crate::yaml::{Kind, Tree};
use std::ops::Range;

/// Keys of secrets, some of the old raw-text format. A key that could be one of them mistyped counts as well.
const KEYS: &[&str] = &[
    "password",
    "passwd",
    "auth",
    "identityToken",
    "identity_token",
    "httpProxy",
    "httpsProxy",
    "http_proxy",
    "https_proxy",
    "token",
    "secret",
];

/// Hides the secrets in the lines that the findings are shown with.
pub(crate) fn hide(tree: &Tree, diagnostics: &mut [Diagnostic]) {
    let source = tree.source();
    let shown = |diagnostic: &Diagnostic| diagnostic.shown(source).into_iter().flatten();
    let windows = joined(diagnostics.iter().flat_map(shown).collect());
    // What is seen of a value, from the beginning of its first line on.
    let seen = |span: &Range<usize>| {
        let first = windows.partition_point(|window| window.end <= span.start);
        let after = windows.partition_point(|window| window.start < span.end);
        let (first, last) = (windows.get(first)?, windows[..after].last()?);
        let start = begin_of_line(source, first.start).max(span.start);
        source.get(start..last.end.min(span.end))
    };
    let mut secrets = vec![];
    for node in tree.nodes() {
        match &node.kind {
            Kind::Mapping(entries) => {
                for entry in entries {
                    let value = tree.node(entry.value);
                    let inner = matches!(value.kind, Kind::Mapping(_)) && entry.key == "auth";
                    if seen(&value.span).is_some() && !inner && is_key(&entry.key) {
                        secrets.push(value.span.clone());
                    }
                }
            }
            Kind::Scalar { .. } if seen(&node.span).is_some_and(looks_secret) => {
                secrets.push(node.span.clone());
            }
            _ => {}
        }
    }
    let secrets = joined(secrets);
    for diagnostic in diagnostics {
        diagnostic.hidden.clone_from(&secrets);
    }
}

/// Hides what may be a secret in the lines of a text that is not YAML.
pub(crate) fn hide_in_text(text: &str, diagnostics: &mut [Diagnostic]) {
    for diagnostic in diagnostics {
        let line = line_around(text, diagnostic.span.start);
        let Some((line, [before, _, after])) = line.zip(diagnostic.shown(text)) else {
            continue;
        };
        let above = text[..line.start].trim_end();
        let above = &above[begin_of_line(above, above.len())..];
        let goes_on = assigned(above).is_some_and(|at| {
            let value = above[at..].trim();
            value.is_empty() || value.starts_with(['|', '>', '"', '\''])
        });
        let start = begin_of_line(text, before.start);
        let seen = &text[start..after.end];
        let start = match assigned(seen) {
            _ if goes_on => Some(line.start),
            Some(at) => Some(start + at),
            None => looks_secret(seen).then_some(start),
        };
        diagnostic.hidden = start.map(|start| start..line.end).into_iter().collect();
    }
}

/// How far before the shown part of a line, in bytes, the key of a secret in it is looked for.
const LOOK_BACK: usize = 4096;

/// Where the line of an offset begins, or a place far enough before the offset.
fn begin_of_line(text: &str, offset: usize) -> usize {
    let mut from = offset.saturating_sub(LOOK_BACK);
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let near = text[from..offset].rfind('\n');
    near.map_or(from, |at| from + at + 1)
}

fn is_key(key: &str) -> bool {
    closest(key, KEYS.iter().copied()).is_some()
}

/// A private key, a URL with a user, or an assignment to the name of a secret.
pub(crate) fn looks_secret(text: &str) -> bool {
    let with_user = |text: &str| {
        text.split("://").skip(1).any(|rest| {
            rest.split('/')
                .next()
                .is_some_and(|host| host.contains('@'))
        })
    };
    text.contains("PRIVATE KEY") || with_user(text) || text.lines().any(|l| assigned(l).is_some())
}

/// Where the value begins that a line assigns to a secret's name, by `:` or `=`; of several the first.
fn assigned(line: &str) -> Option<usize> {
    let mut ends = line.match_indices([':', '=']);
    ends.find_map(|(at, _)| {
        let before = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = &before[before.trim_end_matches(is_name).len()..];
        let value = line[at + 1..].trim_start();
        (!name.is_empty() && is_key(name)).then_some(line.len() - value.len())
    })
}

/// Ranges in order, those that touch joined.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut out: Vec<Range<usize>> = vec![];
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{LOOK_BACK, assigned, begin_of_line, hide_in_text, joined, looks_secret};
    use crate::diagnostic::{Diagnostics, Severity};
    use crate::yaml::{Pointer, Position};

    #[test]
    fn a_secrets_name_with_a_sign_behind_it_assigns() {
        for (line, value) in [
            ("password: x", Some("x")),
            ("password:x", Some("x")),
            ("password:", Some("")),
            ("  \"passwd\" =  'x'", Some("'x'")),
            ("user: a, Password: b", Some("b")),
            ("a token=b: c", Some("b: c")),
            ("my-identity_token: x", Some("x")),
            ("pasword: x", Some("x")),
            ("user: a", None),
            (": x", None),
            ("password", None),
            ("http://host:8080/a", None),
            ("the password is: x", None),
        ] {
            assert_eq!(assigned(line).map(|at| &line[at..]), value, "{line}");
        }
    }

    #[test]
    fn keys_users_of_urls_and_assignments_look_secret() {
        for (text, secret) in [
            ("-----BEGIN PRIVATE KEY-----", true),
            ("curl http://u:p@host/a", true),
            ("http://a/ http://u@b", true),
            ("TOKEN=x join", true),
            ("a\ntoken: x\nb", true),
            ("http://host/a@b", false),
            ("mail a@b.example", false),
            ("ssh-ed25519 AAAA a@b", false),
            ("echo a", false),
        ] {
            assert_eq!(looks_secret(text), secret, "{text}");
        }
    }

    #[test]
    fn a_line_begins_behind_a_break_or_far_enough_back() {
        assert_eq!(begin_of_line("ab", 2), 0);
        assert_eq!(begin_of_line("a\nbc\nd", 4), 2);
        assert_eq!(begin_of_line("a\nbc\nd", 2), 2);
        let long = "x".repeat(LOOK_BACK + 9);
        assert_eq!(begin_of_line(&long, LOOK_BACK), 0);
        assert_eq!(begin_of_line(&long, LOOK_BACK + 7), 7);
        // A place within a character is moved to its beginning.
        let wide = "\u{20ac}".repeat(LOOK_BACK);
        assert_eq!(begin_of_line(&wide, 4500), 402);
    }

    #[test]
    fn ranges_that_touch_are_joined() {
        let ranges = vec![20..30, 5..7, 0..2, 2..3, 6..9, 21..22, 31..32];
        assert_eq!(joined(ranges), [0..3, 5..9, 20..30, 31..32]);
        assert_eq!(joined(vec![]), []);
    }

    #[test]
    fn of_a_text_that_is_no_yaml_whole_values_are_hidden() {
        // The finding is at the last line's beginning; what is hidden of it is behind the bar.
        for (above, shown, hidden) in [
            ("", "password: ", "x"),
            ("a: b\n", "a: b, token: ", "x, c: d"),
            ("password:\n", "", "  x y"),
            ("password:\n\n", "", "  x y"),
            ("password: |\n", "", "x"),
            ("password: 'a\n", "", "x: y"),
            ("password: a\n", "b: c", ""),
            ("a:\n", "b", ""),
            ("a:\n", "", "http://u:p@h"),
        ] {
            let text = format!("{above}{shown}{hidden}\npassword: z\n");
            let at = above.len();
            let position = Position { line: 1, column: 1 };
            let mut found = Diagnostics::default();
            found.add_at(
                Severity::Error,
                "a-code",
                &Pointer::root(),
                at..at,
                position,
                "wrong",
            );
            let mut found = found.into_sorted();
            hide_in_text(&text, &mut found);
            let ranges = found[0].hidden.iter().map(|range| &text[range.clone()]);
            let expected: Vec<&str> = [hidden].into_iter().filter(|h| !h.is_empty()).collect();
            assert_eq!(ranges.collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
