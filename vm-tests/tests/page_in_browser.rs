//! The page of a run in a real browser, from a file and without a network. Needs Debian's package chromium:
//! `cargo test -p vm-tests --test page_in_browser -- --ignored`. The pictures are kept in `target/pages/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use vm_tests::evidence::{ConsoleLine, Report, to_html, write_index};

/// A run that failed in its second step, with a line of a console in each.
fn report() -> Report {
    let check = |key: &str, passed: bool| json!({"key": key, "check": "the host's name", "expected": "edge-1", "actual": if passed { "edge-1" } else { "edge-2" }, "passed": passed});
    let step = |name: &str, started: f64, outcome: &str| json!({"name": name, "started": started, "seconds": 10.0, "outcome": outcome});
    let report = json!({
        "scenario": "sample", "profile": "reference", "accelerator": "tcg", "passed": false, "seconds": 20.0,
        "started": "2026-01-01T00:00:00Z", "stages": [],
        "steps": [step("install", 0.0, "passed"), step("first-boot", 10.0, "failed"), step("verify", 0.0, "not-run")],
        "checks": [check("/operatingSystem/hostname", false), check("/operatingSystem", true)],
        "failed_step": "first-boot", "failure": "while waiting for a login: not done",
    });
    serde_json::from_value(report).unwrap()
}

/// The page in a directory of its own; the browser's view of it, a picture named `name` beside.
fn shown(name: &str, size: &str, directory: &Path, page: &Path) -> String {
    let pictures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/pages");
    fs_err::create_dir_all(&pictures).unwrap();
    let browser = |what: &str| {
        let profile = directory.join("profile");
        let output = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            .args(["--proxy-server=127.0.0.1:9", "--virtual-time-budget=2000"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--window-size={size}"))
            .arg(what)
            .arg(format!("file://{}", page.display()))
            .output()
            .expect("the package chromium");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let picture = pictures.join(format!("{name}.png"));
    browser(&format!("--screenshot={}", picture.display()));
    assert!(fs_err::read(&picture).unwrap().starts_with(b"\x89PNG"));
    browser("--dump-dom")
}

#[test]
#[ignore = "needs Debian's package chromium"]
fn the_step_that_failed_shows_its_lines() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("report.html");
    let lines = [
        ConsoleLine(5.0, "ttyS0: EMTS step=write-image state=begin".into()),
        ConsoleLine(15.0, "ttyS0: login: </pre><b id=broken>".into()),
    ];
    fs_err::write(&page, to_html(&report(), &lines, &[]).unwrap()).unwrap();
    for (name, size) in [("report", "1280,900"), ("report-on-a-phone", "390,844")] {
        let dom = shown(name, size, directory.path(), &page);
        let (_, console) = dom.split_once("<pre id=\"console\">").unwrap();
        let (console, _) = console.split_once("</pre>").unwrap();
        assert!(console.contains("login: &lt;/pre&gt;"), "{console}");
        assert!(!console.contains("write-image"), "{console}");
        assert!(!dom.contains("<b id=\"broken\""));
        assert_eq!(dom.matches("aria-pressed=\"true\"").count(), 1);
        assert!(dom.contains("The consoles in first-boot: 1 line"));
    }
}

#[test]
#[ignore = "needs Debian's package chromium"]
fn the_index_shows_every_scenario() {
    let directory = tempfile::tempdir().unwrap();
    for (name, passed) in [
        ("20260101T000000Z-sample", false),
        ("20260102T000000Z-sample", true),
    ] {
        let run = directory.path().join(name);
        fs_err::create_dir(&run).unwrap();
        let report = Report { passed, ..report() };
        fs_err::write(
            run.join("report.json"),
            serde_json::to_vec(&report).unwrap(),
        )
        .unwrap();
    }
    write_index(directory.path()).unwrap();
    let page = directory.path().join("index.html");
    let dom = shown("index", "1280,500", directory.path(), &page);
    assert!(dom.contains("1 of 1 passed"), "{dom}");
    assert_eq!(dom.matches("<rect").count(), 2);
}
