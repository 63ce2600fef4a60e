//! What a YAML 1.1 reader written in Go makes of a plain scalar, as K3s does with its files (gopkg.in/yaml.v2, resolve.go,
//! decoded without a type and printed by fmt).

/// A plain scalar as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    /// A number; its text is how Go prints it.
    Number(String),
    Text(String),
}

impl Scalar {
    /// What the program gets: every value is a text in the end, a null an empty one.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(flag) => flag.to_string(),
            Self::Number(text) | Self::Text(text) => text.clone(),
        }
    }
}

/// Reads a plain scalar; dates and times stay texts.
pub(crate) fn read(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Number("NaN".to_owned()),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Number("+Inf".to_owned());
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Number("-Inf".to_owned()),
        _ => {}
    }
    let starts = |c: char| c.is_ascii_digit() || "+-.".contains(c);
    let number = text.starts_with(starts).then(|| number(text)).flatten();
    number.map_or_else(|| Scalar::Text(text.to_owned()), Scalar::Number)
}

/// How Go prints the number that a text is.
fn number(text: &str) -> Option<String> {
    let plain = text.replace('_', "");
    // What begins with a dot is read by Go's ParseFloat alone.
    if !plain.starts_with('.') {
        if let Some(whole) = whole(&plain) {
            return Some(whole.to_string());
        }
        if !is_float(&plain) {
            return None;
        }
    }
    let is_decimal = plain
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    let value: f64 = is_decimal.then(|| plain.parse().ok()).flatten()?;
    Some(float(value))
}

/// A whole number as Go's ParseInt reads it with base 0: the beginning tells the base, and a `0` alone is octal's.
fn whole(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    let is_digit = |c: char| c.is_digit(radix);
    if digits.is_empty() || !digits.chars().all(is_digit) {
        return None;
    }
    let value = sign * i128::from_str_radix(digits, radix).ok()?;
    let range = i128::from(i64::MIN)..=i128::from(u64::MAX);
    range.contains(&value).then_some(value)
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let exponent = exponent.map(|text| text.strip_prefix(['-', '+']).unwrap_or(text));
    let mantissa = match mantissa.split_once('.') {
        Some(("", after)) => digits(after),
        Some((before, after)) => digits(before) && (after.is_empty() || digits(after)),
        None => digits(mantissa),
    };
    mantissa && exponent.is_none_or(digits)
}

/// Go's `%v` of a float64: the shortest digits, with an exponent below 10^-4 and from 10^6 on.
fn float(value: f64) -> String {
    let shown = format!("{value:e}");
    let (digits, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::{Scalar, read};

    /// Each was printed by a Go program with gopkg.in/yaml.v2.
    #[test]
    fn numbers_are_printed_as_go_prints_them() {
        for (typed, got) in [
            ("0644", "420"),
            ("0o644", "420"),
            ("0x1F", "31"),
            ("0b101", "5"),
            ("1_000", "1000"),
            ("1e3", "1000"),
            ("1.50", "1.5"),
            ("012345", "5349"),
            ("0123456789", "1.23456789e+08"),
            ("1234567890123456789012", "1.2345678901234568e+21"),
            ("-7", "-7"),
            ("0", "0"),
            ("+5", "5"),
            ("-0644", "-420"),
            (".5", "0.5"),
            ("1.", "1"),
            ("09", "9"),
            ("1e6", "1e+06"),
            ("1234567.5", "1.2345675e+06"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "1.8446744073709552e+19"),
        ] {
            assert_eq!(read(typed), Scalar::Number(got.to_owned()), "{typed}");
        }
    }

    #[test]
    fn words_are_true_false_or_nothing() {
        for (typed, got) in [
            ("yes", Scalar::Bool(true)),
            ("On", Scalar::Bool(true)),
            ("n", Scalar::Bool(false)),
            ("~", Scalar::Null),
            ("", Scalar::Null),
        ] {
            assert_eq!(read(typed), got, "{typed}");
        }
    }

    #[test]
    fn what_is_no_number_stays_text() {
        for typed in [
            "12:30:45",
            "2026-11-28",
            "10.42.0.0/16",
            "v1.33",
            "1.2.3",
            "0x",
            "-",
            "+",
            "a=1",
            "08x",
            "_1",
            "0b12",
        ] {
            assert_eq!(read(typed), Scalar::Text(typed.to_owned()), "{typed}");
        }
    }
}
