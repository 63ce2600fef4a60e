//! Sums and products of whole numbers, which the old format takes for `huge_page_config`.

/// The value of sums and products of whole numbers, as `$(( ))` of the shell has it.
pub(super) fn evaluate(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let value = sum(&mut rest, 0)?;
    rest.is_empty().then_some(value)
}

/// Deepest nesting of parentheses.
const NESTING: usize = 16;

fn sum(rest: &mut &str, depth: usize) -> Option<i64> {
    let mut value = product(rest, depth)?;
    loop {
        value = match take(rest, &['+', '-']) {
            Some('+') => value.checked_add(product(rest, depth)?)?,
            Some(_) => value.checked_sub(product(rest, depth)?)?,
            None => return Some(value),
        };
    }
}

fn product(rest: &mut &str, depth: usize) -> Option<i64> {
    let mut value = number(rest, depth)?;
    loop {
        value = match take(rest, &['*', '/']) {
            Some('*') => value.checked_mul(number(rest, depth)?)?,
            Some(_) => value.checked_div(number(rest, depth)?)?,
            None => return Some(value),
        };
    }
}

fn number(rest: &mut &str, depth: usize) -> Option<i64> {
    if take(rest, &['(']).is_some() {
        let value = (depth < NESTING).then(|| sum(rest, depth + 1))??;
        return take(rest, &[')']).map(|_| value);
    }
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let value = rest[..digits].parse().ok();
    *rest = rest[digits..].trim_start();
    value
}

fn take(rest: &mut &str, wanted: &[char]) -> Option<char> {
    let first = rest.chars().next().filter(|c| wanted.contains(c))?;
    *rest = rest[first.len_utf8()..].trim_start();
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluates_what_the_shell_would() {
        for (text, value) in [
            ("12 * 1024", Some(12288)),
            ("2+3*4", Some(14)),
            ("(2 + 3) * 4 - 1", Some(19)),
            ("7/2", Some(3)),
            ("1/0", None),
            ("$(reboot)", None),
            ("12 *", None),
            ("9223372036854775807 * 2", None),
        ] {
            assert_eq!(evaluate(text), value, "{text}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(evaluate(&nested(NESTING)), Some(1));
        assert_eq!(evaluate(&nested(NESTING + 1)), None);
    }
}
