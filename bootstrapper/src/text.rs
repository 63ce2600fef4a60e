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

/// Edits (insert, delete, replace, swap of neighbours) between two texts.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut table = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in table.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in table[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (table[i - 1][j] + 1)
                .min(table[i][j - 1] + 1)
                .min(table[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(table[i - 2][j - 2] + 1);
            }
            table[i][j] = best;
        }
    }
    table[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{closest, distance};

    #[test]
    fn an_edit_inserts_deletes_replaces_or_swaps_neighbours() {
        for (a, b, edits) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("", "abc", 3),
            ("a", "ab", 1),
            ("ab", "aab", 1),
            ("abc", "ac", 1),
            ("abc", "axc", 1),
            ("ab", "ba", 1),
            ("abcd", "acbd", 1),
            ("abcd", "badc", 2),
            ("ab", "cb", 1),
            ("abc", "cab", 2),
            ("ca", "abc", 3),
            ("aba", "bab", 2),
            ("abcd", "dcba", 3),
            ("abcdef", "ghijkl", 6),
            ("aaaa", "bbbb", 4),
            ("kitten", "sitting", 3),
            ("saturday", "sunday", 3),
            ("clusterCIDRs", "clusterCidr", 4),
            ("\u{e4}b", "b\u{e4}", 1),
        ] {
            assert_eq!(distance(a, b), edits, "{a} to {b}");
            assert_eq!(distance(b, a), edits, "{b} to {a}");
        }
    }

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
