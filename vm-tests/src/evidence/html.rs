//! The report as one HTML page that needs nothing else.

use std::fmt::Write;

use super::report::{Check, Outcome, Report};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1a1a1a;background:#fff}\
h1 .state{padding:.1em .5em;border-radius:.3em;color:#fff}.passed .state{background:#1a7f37}.failed .state{background:#b3261e}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #ddd;overflow-wrap:anywhere}\
th{background:#f5f5f5}tr.bad td{background:#fdecea}td.n{text-align:right;font-variant-numeric:tabular-nums}code,pre{font:13px/1.45 ui-monospace,monospace}\
pre{background:#f5f5f5;padding:1rem;overflow:auto;white-space:pre-wrap}.bar{background:#4a7fc1;height:.7rem;border-radius:.2rem}\
@media(prefers-color-scheme:dark){body{background:#151515;color:#e6e6e6}th,pre{background:#222}td,th{border-color:#333}tr.bad td{background:#3b1a18}a{color:#8ab4f8}}";

/// Text of HTML, also in an attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The page.
#[must_use]
pub fn to_html(report: &Report, files: &[String]) -> String {
    let state = if report.passed { "passed" } else { "failed" };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{0}: {state}</title><style>{STYLE}</style></head>\n\
         <body class=\"{state}\"><h1>{0} <span class=\"state\">{state}</span></h1>\n",
        escape(&report.scenario)
    );
    write_reason(&mut out, report);
    let failed = report.failed_checks().count();
    let _ = writeln!(
        out,
        "<p>Profile <b>{}</b> · accelerator <b>{}</b> ({}) · {:.0} s · {} checks, {failed} failed · began {}<br>{}</p>",
        escape(&report.profile),
        escape(&report.accelerator),
        escape(&report.accelerator_reason),
        report.seconds,
        report.checks.len(),
        escape(&report.started),
        escape(&report.k3s)
    );
    if !report.replaced.is_empty() {
        let _ = writeln!(
            out,
            "<p>In place of the profile's own: {}</p>",
            escape(&report.replaced.join("; "))
        );
    }
    for note in &report.notes {
        let _ = writeln!(out, "<p>{}</p>", escape(note));
    }
    if !report.warnings.is_empty() {
        let _ = writeln!(
            out,
            "<h2>Warnings</h2><pre>{}</pre>",
            escape(&report.warnings.join("\n"))
        );
    }
    write_checks(&mut out, report);
    let steps: Vec<(String, f64, String)> = report
        .steps
        .iter()
        .map(|step| {
            let note = match step.outcome {
                Outcome::Passed => "",
                Outcome::Failed | Outcome::NotRun => step.outcome.word(),
            };
            (step.name.clone(), step.seconds, note.to_owned())
        })
        .collect();
    write_times(&mut out, "Steps", &steps);
    let stages = report.stages.iter().map(|stage| {
        (
            stage.name.clone(),
            stage.seconds,
            [if stage.cached {
                "from the store"
            } else {
                "built"
            }]
            .into_iter()
            .chain(stage.notes.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("; "),
        )
    });
    write_times(&mut out, "Stages", &stages.collect::<Vec<_>>());
    write_files(&mut out, files);
    out.push_str("</body></html>\n");
    out
}

/// Why the run did not pass.
fn write_reason(out: &mut String, report: &Report) {
    if let Some(failure) = &report.failure {
        let step = match &report.failed_step {
            Some(step) => format!(" in the step {}", escape(step)),
            None => String::new(),
        };
        let _ = writeln!(
            out,
            "<h2>The run ended early{step}</h2><pre>{}</pre>",
            escape(failure)
        );
    }
    let mut failed = report.failed_checks().peekable();
    if failed.peek().is_some() {
        out.push_str("<h2>Checks that failed</h2><ul>\n");
        for check in failed {
            let _ = writeln!(
                out,
                "<li><code>{}</code> {}: expected <b>{}</b>, was <b>{}</b></li>",
                escape(&check.key),
                escape(&check.check),
                escape(&check.expected),
                escape(&check.actual)
            );
        }
        out.push_str("</ul>\n");
    }
}

/// The checks, those that failed first.
fn write_checks(out: &mut String, report: &Report) {
    if report.checks.is_empty() {
        return;
    }
    out.push_str("<h2>Checks</h2><table><tr><th></th><th>Key</th><th>Check</th><th>Expected</th><th>Actual</th></tr>\n");
    let mut checks: Vec<&Check> = report.checks.iter().collect();
    checks.sort_by_key(|check| check.passed);
    for check in checks {
        let (class, sign) = if check.passed {
            ("good", "✓")
        } else {
            ("bad", "✗")
        };
        let _ = writeln!(
            out,
            "<tr class=\"{class}\"><td>{sign}</td><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&check.key),
            escape(&check.check),
            escape(&check.expected),
            escape(&check.actual)
        );
    }
    out.push_str("</table>\n");
}

fn write_times(out: &mut String, title: &str, rows: &[(String, f64, String)]) {
    if rows.is_empty() {
        return;
    }
    let longest = rows.iter().map(|row| row.1).fold(f64::EPSILON, f64::max);
    let _ = writeln!(out, "<h2>{title}</h2><table>");
    for (name, seconds, note) in rows {
        let width = seconds / longest * 100.0;
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{seconds:.1} s</td><td>{note}</td><td style=\"width:50%\"><div class=\"bar\" style=\"width:{width:.1}%\"></div></td></tr>",
            escape(name)
        );
    }
    out.push_str("</table>\n");
}

fn write_files(out: &mut String, files: &[String]) {
    out.push_str("<h2>Evidence</h2><ul>\n");
    for file in files {
        let name = escape(file);
        let _ = writeln!(out, "<li><a href=\"{name}\">{name}</a></li>");
    }
    out.push_str("</ul>\n");
    for image in files.iter().filter(|file| file.ends_with(".png")) {
        let name = escape(image);
        let _ = writeln!(
            out,
            "<figure><img src=\"{name}\" alt=\"{name}\" style=\"max-width:100%\"><figcaption>{name}</figcaption></figure>"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn the_harness_settings_are_named() {
        let mut report = sample();
        report.notes = vec!["leases <60 s>".into()];
        assert!(to_html(&report, &[]).contains("<p>leases &lt;60 s&gt;</p>"));
    }

    #[test]
    fn the_reason_comes_first_with_the_step() {
        let mut report = sample();
        report.failed_step = Some("first-boot".into());
        report.failure = Some("no <answer>".into());
        let html = to_html(&report, &[]);
        let reason =
            "<h2>The run ended early in the step first-boot</h2><pre>no &lt;answer&gt;</pre>";
        let (reason, profile) = (html.find(reason), html.find("<p>Profile"));
        assert!(reason.is_some() && reason < profile, "{html}");
    }

    #[test]
    fn failed_checks_come_first_and_text_is_escaped() {
        let html = to_html(&sample(), &["serial-ttyS0.log".into()]);
        let (bad, good) = (
            html.find("/operatingSystem").unwrap(),
            html.find("/kubernetes").unwrap(),
        );
        assert!(bad < good);
        assert!(
            html.contains("value &lt;is&gt; as written")
                && html.contains("href=\"serial-ttyS0.log\""),
            "{html}"
        );
    }
}
