//! What is wrong between lines: indentation, dashes of lists, texts of blocks, brackets over several lines.

use super::Suspect;
use super::line::{Line, closing_quote};
use std::ops::Range;

/// Most lines above the one at which the parser stopped whose indentation is doubted.
const NEAR: usize = 4;
/// Most indentations that are tried for one line.
const MAX_TRIED: usize = 8;

/// What may be wrong with the place of the line of an index.
pub fn suspects(lines: &[Line<'_>], at: usize) -> Vec<Suspect> {
    let line = &lines[at];
    if line.is_blank() || near(lines, at) > NEAR {
        return vec![];
    }
    let found = [
        block_text(lines, at),
        dash_missing(lines, at),
        dash_too_many(line),
        comma(lines, at),
    ];
    let found = found.into_iter().flatten();
    found.chain(indentation(lines, at)).collect()
}

/// How many lines with content a line is above the last one.
fn near(lines: &[Line<'_>], at: usize) -> usize {
    lines[at + 1..]
        .iter()
        .filter(|line| !line.is_blank())
        .take(NEAR + 1)
        .count()
}

/// The nearest line with content above.
fn above<'l, 'a>(lines: &'l [Line<'a>], at: usize) -> Option<(usize, &'l Line<'a>)> {
    let mut before = lines[..at].iter().enumerate().rev();
    before.find(|(_, line)| !line.is_blank())
}

/// The line whose block of text a line would be in if it were deeper.
fn opening_of_block<'l, 'a>(lines: &'l [Line<'a>], at: usize) -> Option<&'l Line<'a>> {
    let opens = |line: &&Line<'_>| line.opens_block();
    let opening = lines[..at].iter().rev().find(opens)?;
    let first = lines[..at].iter().rposition(|line| line.opens_block())?;
    let deeper = |line: &Line<'_>| line.is_blank() || line.indent() > opening.indent();
    let inside = lines[first + 1..at].iter().all(deeper);
    (inside && lines[at].indent() <= opening.body_column()).then_some(opening)
}

fn block_text(lines: &[Line<'_>], at: usize) -> Option<Suspect> {
    let line = &lines[at];
    let opening = opening_of_block(lines, at)?;
    let number = line.source[..opening.whole.start].matches('\n').count() + 1;
    let message = format!(
        "this line is not indented deeper than the key of the string that starts in line {number}"
    );
    let width = opening.body_column() + 2;
    let help = format!("indent each line of the string by at least {width} spaces");
    let body = line.body.start - (line.body_column() - line.indent());
    let is_first = above(lines, at).is_some_and(|(_, above)| above.opens_block());
    let rank = if is_first { 3 } else { 7 };
    let mut suspect = Suspect::new(rank, body..line.whole.end, message, help);
    for many in [false, true] {
        let range = with_following(line, many);
        let text = shifted(&line.source[range.clone()], line.indent(), width);
        suspect = suspect.repair(range, text);
    }
    Some(suspect)
}

/// One suspect for each indentation that other lines have, the nearest first.
fn indentation(lines: &[Line<'_>], at: usize) -> impl Iterator<Item = Suspect> {
    let line = &lines[at];
    let own = line.indent();
    let range = with_following(line, true);
    let start = line.whole.start + own;
    let suspect = move |width: usize| {
        let message = format!("this line is indented by {own} spaces, which fits no line above it");
        let help = format!("indent it by {width} spaces, if it belongs to the lines that are");
        let text = shifted(&line.source[range.clone()], own, width);
        let suspect = Suspect::new(8, start..line.whole.end, message, help);
        suspect.repair(range.clone(), text)
    };
    widths(lines, at).into_iter().map(suspect)
}

/// Indentations of other lines.
fn widths(lines: &[Line<'_>], at: usize) -> Vec<usize> {
    let own = lines[at].indent();
    let mut widths: Vec<usize> = vec![];
    for other in lines[..at].iter().rev().filter(|other| !other.is_blank()) {
        for width in [other.indent(), other.body_column()] {
            if width != own && !widths.contains(&width) && widths.len() < MAX_TRIED {
                widths.push(width);
            }
        }
    }
    // Where a key begins a level, its first line is two deeper.
    let opens = above(lines, at).filter(|(_, above)| above.key.is_some() && above.value.is_empty());
    widths.extend(opens.map(|(_, above)| above.body_column() + 2));
    widths.sort_by_key(|width| width.abs_diff(own));
    widths
}

/// A line and, if wanted, what is indented deeper below it.
fn with_following(line: &Line<'_>, wanted: bool) -> Range<usize> {
    let mut end = line.whole.end;
    let own = line.indent();
    for next in line.source[end..].split_inclusive('\n').skip(1) {
        let text = next.trim_start();
        if !wanted || !(text.is_empty() || next.len() - text.len() > own) {
            break;
        }
        end += next.len();
    }
    line.whole.start..end.min(line.source.len())
}

/// Lines with their indentation changed as that of the first is.
fn shifted(text: &str, from: usize, to: usize) -> String {
    let shift = |line: &str| {
        let body = line.trim_start_matches([' ', '\t']);
        let width = (line.len() - body.len() + to).saturating_sub(from);
        format!("{:width$}{body}", "")
    };
    text.split_inclusive('\n').map(shift).collect()
}

fn dash_missing(lines: &[Line<'_>], at: usize) -> Option<Suspect> {
    let line = &lines[at];
    if line.has_dash() || line.body().starts_with('-') {
        return None;
    }
    let start = line.whole.start + line.indent();
    let message = "there is no `- ` before this element of a list";
    // Beside an element at the same depth this is surer than another indentation.
    let rank = if is_dash_below(line) { 6 } else { 9 };
    let suspect = Suspect::new(rank, start..line.whole.end, message, "write `- ` before it");
    let suspect = suspect.repair(start..start, "- ");
    let mut lists = lines[..at].iter().rev().filter(|line| line.has_dash());
    let body = line.body();
    let beside = lists
        .next()
        .map(|list| format!("{:width$}- {body}", "", width = list.indent()));
    match beside {
        Some(text) => Some(suspect.repair(line.whole.clone(), text)),
        None => Some(suspect),
    }
}

/// Whether the next line with content is a list element at the same depth.
fn is_dash_below(line: &Line<'_>) -> bool {
    let below = line.source[line.whole.end..].lines().skip(1);
    let mut below = below.filter(|next| !next.trim().is_empty());
    let dash = format!("{:width$}- ", "", width = line.indent());
    below.next().is_some_and(|next| next.starts_with(&dash))
}

fn dash_too_many(line: &Line<'_>) -> Option<Suspect> {
    if !line.has_dash() {
        return None;
    }
    let start = line.whole.start + line.indent();
    let message = "a list element stands among the keys of a mapping";
    let help = "remove the `- `, or give the list a key of its own";
    let suspect = Suspect::new(9, start..start + 1, message, help);
    Some(suspect.repair(start..start + 2, "  "))
}

/// A comma that is missing at the end of the line above, in brackets over several lines.
fn comma(lines: &[Line<'_>], at: usize) -> Option<Suspect> {
    let (_, above) = above(lines, at)?;
    let end = above.whole.start + above.source[above.whole.clone()].trim_end().len();
    let last = above.source[..end].chars().next_back()?;
    if matches!(last, ',' | '{' | '[' | ':') {
        return None;
    }
    let message = "there is no comma behind this entry";
    let suspect = Suspect::new(9, above.body.clone(), message, "write `,` at its end");
    Some(suspect.repair(end..end, ","))
}

/// Where the bracket that a text begins with is closed.
pub fn closing_bracket(text: &str) -> Option<usize> {
    scan(text, |open, _| open == 0)
}

/// Goes over the brackets outside quotes; ends at the one for which `until` says so of the depth behind it.
fn scan(text: &str, mut until: impl FnMut(usize, usize) -> bool) -> Option<usize> {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' => at += closing_quote(&text[at..], c)?,
            '{' | '[' => depth += 1,
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if until(depth, at) {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

/// The innermost bracket that is never closed, and one that closes nothing, in a document that is written in brackets.
pub fn brackets(source: &str) -> Option<Suspect> {
    let first = source.find(|c: char| !c.is_whitespace())?;
    if !source[first..].starts_with(['{', '[']) {
        return None;
    }
    let mut open: Vec<(usize, char)> = vec![];
    let mut at = first;
    while let Some(c) = source[at..].chars().next() {
        match c {
            '"' => at += closing_quote(&source[at..], c)?,
            '{' | '[' => open.push((at, c)),
            '}' | ']' => match open.pop() {
                Some((_, opened)) if (opened == '{') == (c == '}') => {}
                Some((opening, opened)) => return Some(closed_by_another(opening, opened, at)),
                None => return Some(closes_nothing(at, c)),
            },
            _ => {}
        }
        at += c.len_utf8();
    }
    let missing: String = open.iter().rev().map(|(_, c)| closing(*c)).collect();
    let (at, sign) = open.pop()?;
    let message = format!("the bracket {sign} opens here and is never closed");
    let suspect = Suspect::new(10, at..at + 1, message, "close it where its entries end");
    Some(suspect.repair(source.len()..source.len(), missing))
}

fn closing(opened: char) -> char {
    if opened == '{' { '}' } else { ']' }
}

fn closed_by_another(at: usize, sign: char, other: usize) -> Suspect {
    let message = format!("the bracket {sign} opens here and is not closed before the next one is");
    let suspect = Suspect::new(10, at..at + 1, message, "close it where its entries end");
    suspect.repair(other..other, closing(sign))
}

fn closes_nothing(at: usize, sign: char) -> Suspect {
    let message = format!("the bracket {sign} closes none that is open here");
    let suspect = Suspect::new(
        10,
        at..at + 1,
        message,
        "remove it, or open its list or mapping",
    );
    suspect.repair(at..at + 1, "")
}

#[cfg(test)]
mod tests {
    use super::super::Lines;
    use super::*;

    fn lines(text: &str) -> Vec<Line<'_>> {
        Lines::up_to(text, text.len()).list
    }

    fn shown(text: &str, suspect: Option<Suspect>) -> Vec<String> {
        suspect.map_or(vec![], |suspect| suspect.shown(text))
    }

    #[test]
    fn lines_far_above_are_not_doubted() {
        let text = "a\nb\nc\n\nd\n# e\nf\ng";
        let doubted: Vec<usize> = (0..8)
            .filter(|at| !suspects(&lines(text), *at).is_empty())
            .collect();
        assert_eq!(doubted, [1, 2, 4, 6, 7]);
    }

    #[test]
    fn a_line_behind_a_block_is_tried_as_its_text() {
        for (text, at, expected) in [
            (
                "a:\n- b: |\n   c\n\n- d\n e\nf",
                4,
                &[
                    "a:\n- b: |\n   c\n\n«- d»\n e\nf",
                    "a:\n- b: |\n   c\n\n    - d\n e\nf",
                    "a:\n- b: |\n   c\n\n    - d\n     e\nf",
                ][..],
            ),
            ("a: |\n  b", 1, &[]),
            ("a: |\nb: 1\nc", 2, &[]),
        ] {
            assert_eq!(shown(text, block_text(&lines(text), at)), expected);
        }
    }

    #[test]
    fn the_first_line_of_a_blocks_text_is_surer() {
        let rank = |text: &str, at| block_text(&lines(text), at).map(|found| found.rank);
        assert_eq!(rank("a: |\n\nb", 2), Some(3));
        assert_eq!(rank("a: |\n  b\nc", 2), Some(7));
    }

    #[test]
    fn a_text_that_is_not_deep_enough_names_the_line_of_its_key() {
        let found = block_text(&lines("a:\n- - b: |\nc"), 2).expect("found");
        assert!(found.message.ends_with("starts in line 2"));
        assert!(found.help.ends_with("at least 6 spaces"));
    }

    #[test]
    fn indentations_of_lines_above_are_tried_the_nearest_first() {
        for (text, at, expected) in [
            ("a:\n    - b: 1\n   c", 2, &[4, 6, 0][..]),
            ("a:\n  b:\n   c", 2, &[2, 4, 0]),
            ("a:\n # b\n  c\n d", 3, &[2, 0]),
            ("a:\nb", 1, &[2]),
        ] {
            assert_eq!(widths(&lines(text), at), expected, "{text}");
        }
        let text: String = (1..=12).map(|width| format!("{:width$}a\n", "")).collect();
        assert_eq!(widths(&lines(&text), 12), [5, 6, 7, 8, 9, 10, 11, 12]);
    }

    #[test]
    fn a_line_is_moved_to_each_indentation() {
        let text = "a:\n   b: 1\n  c: 2\n   d\n\ne";
        let found: Vec<_> = indentation(&lines(text), 2).collect();
        let made: Vec<String> = found.iter().flat_map(|found| found.shown(text)).collect();
        assert_eq!(
            made,
            [
                "a:\n   b: 1\n  «c: 2»\n   d\n\ne",
                "a:\n   b: 1\n   c: 2\n    d\n\ne",
                "a:\n   b: 1\n  «c: 2»\n   d\n\ne",
                "a:\n   b: 1\nc: 2\n d\n\ne",
            ]
        );
    }

    #[test]
    fn what_is_below_a_line_is_deeper() {
        let text = "a:\n  b:\n    c\n\n   d\n  e\n";
        let line = &lines(text)[1];
        assert_eq!(&text[with_following(line, true)], "  b:\n    c\n\n   d");
        assert_eq!(&text[with_following(line, false)], "  b:");
        let last = &lines(text)[5];
        assert_eq!(&text[with_following(last, true)], "  e");
    }

    #[test]
    fn a_dash_is_tried_before_a_line_and_below_the_last_one() {
        for (text, at, expected) in [
            (
                "a:\n- b\n  c\nd",
                2,
                &["a:\n- b\n  «c»\nd", "a:\n- b\n  - c\nd", "a:\n- b\n- c\nd"][..],
            ),
            ("a:\n  b", 1, &["a:\n  «b»", "a:\n  - b"]),
            ("a:\n- b", 1, &[]),
            ("a:\n-b", 1, &[]),
        ] {
            assert_eq!(shown(text, dash_missing(&lines(text), at)), expected);
        }
    }

    #[test]
    fn a_dash_beside_an_element_is_surer() {
        for (text, rank) in [
            ("a:\n  b\n\n  - c", 6),
            ("a:\n  b\n- c", 9),
            ("a:\n  b\n  c\n  - d", 9),
            ("a:\n  b", 9),
        ] {
            let found = dash_missing(&lines(text), 1).map(|found| found.rank);
            assert_eq!(found, Some(rank), "{text}");
        }
    }

    #[test]
    fn an_element_among_keys_is_tried_without_its_dash() {
        let text = "a: 1\n  - b: 2";
        let [first, second] = &lines(text)[..] else {
            panic!("two lines");
        };
        assert!(dash_too_many(first).is_none());
        assert_eq!(
            shown(text, dash_too_many(second)),
            ["a: 1\n  «-» b: 2", "a: 1\n    b: 2"]
        );
    }

    #[test]
    fn a_comma_is_tried_at_the_end_of_an_entry() {
        let text = "{\n  a: 1 \n b: 2";
        assert_eq!(
            shown(text, comma(&lines(text), 2)),
            ["{\n  «a: 1» \n b: 2", "{\n  a: 1, \n b: 2"]
        );
        assert!(comma(&lines(text), 0).is_none());
        for end in [',', '{', '[', ':'] {
            assert!(comma(&lines(&format!("a{end}\nb")), 1).is_none(), "{end}");
        }
    }

    #[test]
    fn the_bracket_that_closes_a_text_is_not_in_quotes() {
        for (text, at) in [
            ("[a]", Some(2)),
            ("[{a}, [b]] c]", Some(9)),
            ("['a]', \"]\"]", Some(10)),
            ("[\u{e4}]", Some(3)),
            ("['a]", None),
            ("[[a]", None),
        ] {
            assert_eq!(closing_bracket(text), at, "{text}");
        }
    }

    #[test]
    fn brackets_are_closed_where_they_are_open_and_removed_where_not() {
        for (text, expected) in [
            (
                " {\"a\": [1, 2}",
                &[" {\"a\": «[»1, 2}", " {\"a\": [1, 2]}"][..],
            ),
            (
                "[\"\u{e4}\", {]",
                &["[\"\u{e4}\", «{»]", "[\"\u{e4}\", {}]"],
            ),
            ("{\"a\": 1}} ", &["{\"a\": 1}«}» ", "{\"a\": 1} "]),
            ("[{\"]\": 1 ", &["[«{»\"]\": 1 ", "[{\"]\": 1 }]"]),
            ("[1]", &[]),
            ("a: [", &[]),
            (" ", &[]),
        ] {
            assert_eq!(shown(text, brackets(text)), expected);
        }
    }
}
