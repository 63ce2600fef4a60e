//! The report as JUnit XML, one test case a step and a check.

use std::fmt::Write;

use super::report::Report;

/// Text for an XML attribute or element. Control characters that XML 1.0 cannot
/// hold become U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The report as JUnit XML.
#[must_use]
pub fn to_junit(report: &Report) -> String {
    let failures = report.failed_checks().count();
    let errors = usize::from(report.failure.is_some());
    let tests = report.checks.len() + report.steps.len() + errors;
    let name = escape(&format!(
        "e2e.{}.{}.{}",
        report.scenario, report.profile, report.accelerator
    ));
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{:.3}\">\n<testsuite name=\"{name}\" timestamp=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{:.3}\">",
        report.seconds,
        escape(&report.started),
        report.seconds
    );
    for step in &report.steps {
        let _ = writeln!(
            out,
            "<testcase classname=\"{name}.step\" name=\"{}\" time=\"{:.3}\"/>",
            escape(&step.name),
            step.seconds
        );
    }
    for check in &report.checks {
        let title = escape(&format!("{}: {}", check.key, check.check));
        let _ = write!(
            out,
            "<testcase classname=\"{name}.check\" name=\"{title}\" time=\"0\""
        );
        if check.passed {
            out.push_str("/>\n");
            continue;
        }
        let message = escape(&format!(
            "expected {}, got {}",
            check.expected, check.actual
        ));
        let _ = writeln!(out, "><failure message=\"{message}\"/></testcase>");
    }
    if let Some(failure) = &report.failure {
        let _ = writeln!(
            out,
            "<testcase classname=\"{name}\" name=\"run\" time=\"0\"><error message=\"the run ended early\">{}</error></testcase>",
            escape(failure)
        );
    }
    out.push_str("</testsuite>\n</testsuites>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn counts_and_escapes() {
        let mut report = sample();
        report.failure = Some("QEMU ended <early>".into());
        let xml = to_junit(&report);
        assert!(
            xml.contains("tests=\"4\" failures=\"1\" errors=\"1\""),
            "{xml}"
        );
        assert!(
            xml.contains("value &lt;is&gt; as written")
                && xml.contains("expected a &amp; b, got a\u{fffd}"),
            "{xml}"
        );
        assert!(xml.contains("QEMU ended &lt;early&gt;"), "{xml}");
    }
}
