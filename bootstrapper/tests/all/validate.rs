//! `validate` with several paths, folders and standard input; completions and the manual page.

use crate::support::{command, run, stderr, stdout};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const HEAD: &str = "operatingSystem: {users: [{username: a, password: Zm9yIHRoaXMgdGVzdA==}]}\nkubernetes:\n  kind: \
    KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n";
const GOOD: &str = "  spec: {template: {spec: {}}}\n";
const WRONG: &str = "  spec: {template: {spec: {foo: 1}}}\n";

fn write(folder: &Path, name: &str, spec: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, format!("{HEAD}{spec}")).expect("written");
    path.display().to_string()
}

#[test]
fn the_last_line_of_a_report_names_the_command_that_explains_its_first_error() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let (good, wrong) = (
        write(folder.path(), "good", GOOD),
        write(folder.path(), "wrong", WRONG),
    );
    let hint = "For more about a code: cluster-bootstrapper explain unknown-key";
    for arguments in [
        vec!["validate", "--config-file", &wrong],
        vec!["validate", &wrong, &good],
    ] {
        let said = stderr(&run(&arguments));
        assert_eq!(said.lines().last(), Some(hint), "{said}");
    }
    assert_eq!(stderr(&run(&["validate", &good])), "");
}

#[test]
fn several_files_are_checked_in_one_run() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let (good, wrong) = (
        write(folder.path(), "good", GOOD),
        write(folder.path(), "wrong", WRONG),
    );
    let done = run(&["validate", &wrong, &good]);
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(stdout(&done), format!("{wrong}: invalid\n{good}: valid\n"));
    assert!(
        stderr(&done).contains(&format!("{wrong}:5:")),
        "{}",
        stderr(&done)
    );
    assert_eq!(run(&["validate", &good, &good]).status.code(), Some(0));
}

#[test]
fn a_folder_stands_for_its_config_files() {
    let folder = tempfile::tempdir().expect("temporary directory");
    for name in ["b.yml", "a.yaml", "config-file"] {
        write(folder.path(), name, GOOD);
    }
    write(folder.path(), "notes.txt", WRONG);
    std::fs::create_dir(folder.path().join("directory.yaml")).expect("a directory");
    let shown = folder.path().display().to_string();
    let done = run(&["validate", &shown]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let expected: String = ["a.yaml", "b.yml", "config-file"]
        .iter()
        .map(|name| format!("{shown}/{name}: valid\n"))
        .collect();
    assert_eq!(stdout(&done), expected);
}

#[test]
fn a_folder_without_config_files_is_an_error() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let done = run(&["validate", &folder.path().display().to_string()]);
    assert_eq!(done.status.code(), Some(3));
    assert!(
        stderr(&done).contains("no config-file in"),
        "{}",
        stderr(&done)
    );
}

#[test]
fn standard_input_is_a_file_among_others() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let good = write(folder.path(), "good", GOOD);
    let mut child = command(&["validate", &good, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut input = child.stdin.take().expect("a pipe");
    input
        .write_all(format!("{HEAD}{WRONG}").as_bytes())
        .expect("written");
    drop(input);
    let done = child.wait_with_output().expect("ended");
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(stdout(&done), format!("{good}: valid\n-: invalid\n"));
    assert!(stderr(&done).contains("--> -:5:"), "{}", stderr(&done));
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_others() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let wrong = write(folder.path(), "wrong", WRONG);
    let done = run(&["validate", "/nonexistent/config-file", &wrong]);
    assert_eq!(done.status.code(), Some(3));
    assert!(
        stderr(&done).contains("/nonexistent/config-file"),
        "{}",
        stderr(&done)
    );
    assert!(
        stderr(&done).contains("error[unknown-key]"),
        "{}",
        stderr(&done)
    );
}

#[test]
fn the_json_report_of_several_files_names_each() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let (good, wrong) = (
        write(folder.path(), "good", GOOD),
        write(folder.path(), "wrong", WRONG),
    );
    let done = run(&[
        "validate",
        "--output",
        "json",
        &good,
        &wrong,
        "/nonexistent",
    ]);
    assert_eq!(done.status.code(), Some(3));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let files = report["files"].as_array().expect("a list");
    assert_eq!(files.len(), 3);
    assert_eq!(
        (&files[0]["path"], &files[0]["valid"]),
        (&good.into(), &true.into())
    );
    assert_eq!(
        (&files[1]["path"], &files[1]["valid"]),
        (&wrong.into(), &false.into())
    );
    assert_eq!(files[1]["diagnostics"][0]["code"], "unknown-key");
    assert!(
        files[2]["error"]
            .as_str()
            .is_some_and(|text| text.contains("/nonexistent"))
    );
}

#[test]
fn completions_are_what_the_shell_takes() {
    for (shell, sign) in [
        ("bash", "-o default cluster-bootstrapper"),
        ("zsh", "#compdef cluster-bootstrapper"),
        ("fish", "complete -c cluster-bootstrapper"),
    ] {
        let done = run(&["completions", shell]);
        assert_eq!(done.status.code(), Some(0), "{shell}");
        assert!(stdout(&done).contains(sign), "{shell}: {}", stdout(&done));
    }
    let folder = tempfile::tempdir().expect("temporary directory");
    let path = folder.path().join("completions");
    std::fs::write(&path, stdout(&run(&["completions", "bash"]))).expect("written");
    let checked = Command::new("bash")
        .arg("-n")
        .arg(&path)
        .output()
        .expect("bash");
    assert!(checked.status.success(), "{}", stderr(&checked));
}

#[test]
fn the_manual_page_has_every_command() {
    let done = run(&["man"]);
    assert_eq!(done.status.code(), Some(0));
    let page = stdout(&done);
    assert!(page.contains(".TH cluster-bootstrapper 1"), "{page}");
    for name in [
        "install",
        "validate",
        "schema",
        "docs",
        "completions",
        "man",
    ] {
        assert!(
            page.contains(&format!("BOOTSTRAPPER {}", name.to_uppercase())),
            "no {name}: {page}"
        );
    }
    assert!(page.contains("deny\\-warnings"), "{page}");
}

#[test]
fn a_single_valid_file_is_named_to_people_alone() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let good = write(folder.path(), "good", GOOD);
    let people = run(&["validate", "--config-file", &good]);
    assert_eq!(people.status.code(), Some(0));
    assert_eq!(stdout(&people), format!("{good}: valid\n"));
    let programs = run(&["validate", "--config-file", &good, "--output", "json"]);
    assert_eq!(programs.status.code(), Some(0));
    assert_eq!(stdout(&programs), "{\"diagnostics\":[]}\n");
}

#[test]
fn a_code_is_explained() {
    let done = run(&["explain", "cidr-overlap"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let head = "cidr-overlap (error): Two networks overlap\n\n";
    assert!(stdout(&done).starts_with(head), "{}", stdout(&done));
}

#[test]
fn a_mistyped_code_is_wrong_usage_and_the_right_one_is_named() {
    let done = run(&["explain", "cidr-overlp"]);
    assert_eq!(done.status.code(), Some(2), "{}", stdout(&done));
    let meant = "did you mean `cidr-overlap`?";
    assert!(stderr(&done).contains(meant), "{}", stderr(&done));
}

#[test]
fn without_a_code_all_are_listed_with_their_titles() {
    let listed = stdout(&run(&["explain"]));
    for line in ["cidr-overlap", "yaml-syntax", "wrong-type"] {
        let mut lines = listed.lines().map(str::trim);
        let found = lines.find(|other| other.split(' ').next() == Some(line));
        assert!(found.is_some_and(|found| found.len() > 30), "{listed}");
    }
}
