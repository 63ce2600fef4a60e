//! Small helpers on text: the nearest known name.

/// The known name nearest to a mistyped one, if it is near enough to be meant.
pub fn closest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (text.chars().count() / 3).clamp(1, 4);
    known
        .map(|name| (distance(&text.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Edits (insert, delete, replace, swap of neighbours) between two texts, long ones as far as a name can go.
fn distance(a: &str, b: &str) -> usize {
    let start = |text: &str| text.chars().take(64).collect::<String>();
    strsim::osa_distance(&start(a), &start(b))
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
