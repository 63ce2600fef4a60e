//! Reports as HTML pages that need nothing else: no network, no server.

mod index;
mod view;

use minijinja::Environment;
use minijinja::value::{Serde, Value};
use serde::Serialize;

pub use index::write_index;
use view::View;

use super::report::Report;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("report.js");

/// A line of a console.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConsoleLine(
    /// When it came, in seconds from the run's begin.
    pub f64,
    /// The machine, where there are several, the port and the text.
    pub String,
);

/// The page of a run, with the lines of its consoles and the names of its files.
///
/// # Errors
/// The template cannot be filled in, which is a fault of this program.
pub fn to_html(
    report: &Report,
    lines: &[ConsoleLine],
    files: &[String],
) -> Result<String, minijinja::Error> {
    let page = Page {
        style: STYLE,
        script: SCRIPT,
        report,
        files,
        view: View::of(report, lines),
    };
    render("report.html", include_str!("report.html"), &page)
}

/// What the template of a run's page is filled with.
#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    report: &'a Report,
    files: &'a [String],
    #[serde(flatten)]
    view: View<'a>,
}

/// Fills in a template; `name` ends in `.html`, so that text is escaped.
fn render(name: &str, template: &str, values: &impl Serialize) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template(name, template)?;
    let values: Value = Serde(values).into();
    environment.get_template(name)?.render(values)
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    fn html(report: &Report) -> String {
        to_html(report, &[], &["serial-ttyS0.log".into()]).unwrap()
    }

    #[test]
    fn the_harness_settings_are_named() {
        let mut report = sample();
        report.notes = vec!["leases <60 s>".into()];
        assert!(html(&report).contains("<p>leases &lt;60 s&gt;</p>"));
    }

    #[test]
    fn the_reason_comes_first_with_the_step() {
        let mut report = sample();
        report.failed_step = Some("first-boot".into());
        report.failure = Some("no <answer>".into());
        let html = html(&report);
        let step = html.find("<h2>The run ended early in the step first-boot</h2>");
        let reason = html.find("no &lt;answer&gt;</pre>");
        let profile = html.find("<p>Profile");
        assert!(
            step.is_some() && step < reason && reason < profile,
            "{html}"
        );
    }

    #[test]
    fn failed_checks_come_first_and_show_where_they_differ() {
        let html = html(&sample());
        let (bad, good) = (
            html.find("operatingSystem").unwrap(),
            html.find("kubernetes").unwrap(),
        );
        assert!(bad < good);
        assert!(html.contains("value &lt;is&gt; as written"), "{html}");
        assert!(html.contains("a<del> &amp; b</del>"), "{html}");
        assert!(html.contains("href=\"serial-ttyS0.log\""));
    }

    #[test]
    fn no_console_line_ends_the_script_that_holds_it() {
        let lines = [ConsoleLine(1.5, "ttyS0: </script><b>".into())];
        let html = to_html(&sample(), &lines, &[]).unwrap();
        assert!(!html.contains("</script><b>"), "{html}");
        assert!(html.contains(r"[1.5,"));
    }
}
