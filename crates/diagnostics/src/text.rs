//! Small helpers on text: the nearest known name, lists of names, characters that only look right.

/// The known name nearest to a mistyped one, if it is near enough to be meant.
pub fn closest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (text.chars().count() / 3).clamp(1, 4);
    let lower = text.to_lowercase();
    let length = text.chars().count();
    known
        .filter(|name| name.chars().count().abs_diff(length) <= limit)
        .map(|name| (distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Edits (insert, delete, replace, swap of neighbours) between two texts, long ones as far as a name can go.
fn distance(a: &str, b: &str) -> usize {
    let start = |text: &str| text.chars().take(64).collect::<String>();
    strsim::osa_distance(&start(a), &start(b))
}

/// Names as a message lists them: as many as are read, and how many more there are.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let names: Vec<&str> = names.collect();
    let more = names.len().saturating_sub(MOST);
    let shown = names[..names.len() - more].join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What to do about a character that a word processor or a web page put in the place of a plain one.
pub fn odd_character(text: &str) -> Option<String> {
    let c = text.chars().find(|c| is_odd(*c))?;
    let plain = match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "the minus sign of the keyboard",
        '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' => "a straight quote, `\"` or `'`",
        _ => "a plain space, or none",
    };
    let code = u32::from(c);
    Some(format!(
        "the string has the character U+{code:04X}; write {plain} in its place"
    ))
}

fn is_odd(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}')
        || matches!(c, '\u{200b}' | '\u{feff}')
        || (!c.is_ascii() && c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_name_is_meant_when_no_more_than_a_third_of_it_is_wrong() {
        let found = |text| {
            closest(
                text,
                ["path", "agentConfig", "verylongnameofakey"].into_iter(),
            )
        };
        for (text, meant) in [
            ("path", Some("path")),
            ("PATH", Some("path")),
            ("pat", Some("path")),
            ("pa", None),
            ("pxty", None),
            ("pathyz", Some("path")),
            ("pathxyz", None),
            ("agentcfg", None),
            ("agntcnfig", Some("agentConfig")),
            ("verylongnameof", Some("verylongnameofakey")),
            ("verylongnameo", None),
            ("", None),
        ] {
            assert_eq!(found(text), meant, "{text}");
        }
    }

    #[test]
    fn the_nearer_name_is_meant() {
        let known = ["files", "file", "filter"];
        assert_eq!(closest("fils", known.into_iter()), Some("file"));
        assert_eq!(closest("filess", known.into_iter()), Some("files"));
    }
}
