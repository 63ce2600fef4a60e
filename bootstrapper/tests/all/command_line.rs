//! The command line as install-os.sh and users call it: exit codes, what is written and what is not.

use crate::support::{command, run, sample_file, stderr, stdout, text_in};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

const WRONG: &str = "kubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n  spec: {template: {spec: {files: [{path: /usr/x}]}}}\n";

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn the_proposals_call_writes_a_file_for_root_alone() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let out = folder.path().join("k8s.cfg");
    let done = run(&[
        "-config-file",
        &text(sample_file().path()),
        "-out",
        &text(&out),
    ]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert_eq!(
        std::fs::metadata(&out).expect("there").mode() & 0o7777,
        0o600
    );
    let written = std::fs::read_to_string(&out).expect("readable");
    assert!(written.starts_with("#cloud-config\n"));
    let again = run(&[
        "--config-file",
        &text(sample_file().path()),
        "--out",
        &text(&out),
    ]);
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(
        std::fs::read_to_string(&out).expect("readable"),
        written,
        "not deterministic"
    );
}

#[test]
fn a_wrong_config_file_writes_nothing_and_ends_with_1() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let (file, out) = (
        folder.path().join("config-file"),
        folder.path().join("k8s.cfg"),
    );
    std::fs::write(&file, WRONG).expect("written");
    std::fs::write(&out, "before").expect("written");
    let done = run(&["-config-file", &text(&file), "-out", &text(&out)]);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        stderr(&done).contains("error[path-outside]"),
        "{}",
        stderr(&done)
    );
    assert!(
        stderr(&done).contains("config-file:4:43"),
        "{}",
        stderr(&done)
    );
    assert_eq!(std::fs::read_to_string(&out).expect("readable"), "before");
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("readable").count(),
        2
    );
}

#[test]
fn wrong_usage_ends_with_2() {
    for args in [
        &[][..],
        &["-out", "x"],
        &["nonsense"],
        &["validate"],
        &["-config-file", "a", "-bogus"],
        &[
            "install",
            "--config-file",
            "a",
            "--root",
            "/nonexistent",
            "--default-hostname",
            "no_host_name",
        ],
    ] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_or_written_ends_with_3() {
    let missing = run(&["validate", "--config-file", "/nonexistent/config-file"]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(
        stderr(&missing).contains("/nonexistent/config-file"),
        "{}",
        stderr(&missing)
    );
    let out = run(&[
        "-config-file",
        &text(sample_file().path()),
        "-out",
        "/nonexistent/k8s.cfg",
    ]);
    assert_eq!(out.status.code(), Some(3));
    let root = run(&[
        "install",
        "--config-file",
        &text(sample_file().path()),
        "--root",
        "/nonexistent",
    ]);
    assert_eq!(root.status.code(), Some(3));
}

#[test]
fn the_json_report_has_the_fields_of_the_interface() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let file = folder.path().join("config-file");
    std::fs::write(&file, WRONG).expect("written");
    let done = run(&[
        "validate",
        "--config-file",
        &text(&file),
        "--output",
        "json",
    ]);
    assert_eq!(done.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let first = &report["diagnostics"][1];
    let fields: Vec<&String> = first.as_object().expect("an object").keys().collect();
    assert_eq!(
        fields,
        [
            "severity", "code", "pointer", "line", "column", "message", "help"
        ]
    );
    assert_eq!(first["severity"], "error");
    assert_eq!(
        first["pointer"],
        "/kubernetes/spec/template/spec/files/0/path"
    );
    assert_eq!((&first["line"], &first["column"]), (&4.into(), &43.into()));
}

#[test]
fn warnings_change_the_exit_code_only_when_asked() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let file = folder.path().join("config-file");
    // Nobody can log in, which is a warning.
    std::fs::write(&file, WRONG.replace("/usr/x", "/etc/x")).expect("written");
    let file = text(&file);
    assert_eq!(
        run(&["validate", "--config-file", &file]).status.code(),
        Some(0)
    );
    let denied = run(&["validate", "--config-file", &file, "--deny-warnings"]);
    assert_eq!(denied.status.code(), Some(1));
}

#[test]
fn another_k3s_version_than_the_embedded_one_is_refused() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let file = folder.path().join("config-file");
    let spec = "{template: {spec: {version: v1.33.0+k3s1}}}";
    let head = WRONG.split_once("  spec:").expect("there").0;
    std::fs::write(&file, format!("{head}  spec: {spec}\n")).expect("written");
    let file = text(&file);
    let validate =
        |version: &str| run(&["validate", "--config-file", &file, "--k3s-version", version]);
    assert_eq!(validate("v1.33.0+k3s1").status.code(), Some(0));
    assert_eq!(validate("v1.33.5+k3s1").status.code(), Some(1));
    assert_eq!(
        run(&["validate", "--config-file", &file]).status.code(),
        Some(0)
    );
}

#[test]
fn the_install_disk_is_shown_as_json() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let file = folder.path().join("config-file");
    let kubernetes = WRONG.replace("/usr/x", "/etc/x");
    let disk = "operatingSystem:\n  users: [{username: root, password: b3A=}]\n  installDisk: {serial: 0042, transport: nvme, minSize: 64GB, byPath: /dev/disk/by-path/pci-0000:00:1f.2-ata-1, wipe: true}\n";
    let shown = |text_of_file: &str| {
        std::fs::write(&file, text_of_file).expect("written");
        let done = run(&["show", "install-disk", "--config-file", &text(&file)]);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    assert_eq!(
        shown(&format!("{disk}{kubernetes}")),
        "{\"serial\":\"0042\",\"wwn\":null,\"model\":null,\"transport\":\"nvme\",\"minSize\":64000000000,\"maxSize\":null,\"byPath\":\"pci-0000:00:1f.2-ata-1\",\"wipe\":true}\n"
    );
    assert_eq!(shown(&kubernetes), "null\n");
}

#[test]
fn a_generated_file_is_printed_or_compared() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let path = folder.path().join("generated");
    for command in ["schema", "docs", "explain --markdown"] {
        let words: Vec<&str> = command.split(' ').collect();
        let printed = run(&words);
        assert_eq!(printed.status.code(), Some(0), "{}", stderr(&printed));
        assert!(printed.stdout.len() > 1000, "{command} prints nothing");
        std::fs::write(&path, &printed.stdout).expect("written");
        let same = run(&[words.as_slice(), &["--check", &text(&path)]].concat());
        assert_eq!(same.status.code(), Some(0), "{}", stderr(&same));
        assert!(same.stdout.is_empty());
        std::fs::write(&path, "other").expect("written");
        let other = run(&[words.as_slice(), &["--check", &text(&path)]].concat());
        assert_eq!(other.status.code(), Some(1));
        let said = format!("run: cluster-bootstrapper {command} > {}\n", path.display());
        assert!(stderr(&other).ends_with(&said), "{}", stderr(&other));
    }
}

#[test]
fn one_dash_before_one_letter_is_a_short_option() {
    let help = run(&["-h"]);
    assert_eq!(help.status.code(), Some(0), "{}", stderr(&help));
    assert!(stdout(&help).contains("Usage: cluster-bootstrapper"));
}

#[test]
fn a_report_shows_the_line_and_has_colours_on_a_terminal_only() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let file = folder.path().join("config-file");
    std::fs::write(&file, WRONG).expect("written");
    for setting in [None, Some(""), Some("1")] {
        let mut command = command(&["validate", "--config-file", &text(&file)]);
        command
            .env_remove("NO_COLOR")
            .envs(setting.map(|value| ("NO_COLOR", value)));
        let said = stderr(&command.output().expect("the program runs"));
        let line = WRONG.lines().last().expect("there");
        assert!(said.contains(&format!("\n4 | {line}\n")), "{said}");
        assert!(!said.contains('\x1b'), "{said:?}");
    }
}

#[test]
fn the_output_is_made_in_its_own_folder_wherever_the_program_runs() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let file = sample_file();
    let sample = text(file.path());
    let in_folder = |folder: &Path, out: &str| {
        let mut command = command(&["-config-file", &sample, "-out", out]);
        command.current_dir(folder);
        command.output().expect("the program runs")
    };
    // Nobody can make a file in /proc.
    let absolute = folder.path().join("absolute.cfg");
    let done = in_folder(Path::new("/proc"), &text(&absolute));
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let done = in_folder(folder.path(), "relative.cfg");
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let read = |name: &str| std::fs::read(folder.path().join(name)).expect("written");
    assert_eq!(read("absolute.cfg"), read("relative.cfg"));
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 2);
}

#[test]
fn of_too_large_a_file_no_more_is_read_than_shows_that_it_is() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let path = folder.path().join("config-file");
    // A file full of NUL characters that takes no room.
    let file = std::fs::File::create(&path).expect("made");
    let code = |size: usize| {
        file.set_len(size as u64).expect("set");
        let done = run(&[
            "validate",
            "--config-file",
            &text(&path),
            "--output",
            "json",
        ]);
        assert_eq!(done.status.code(), Some(1));
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        report["diagnostics"][0]["code"].as_str().map(str::to_owned)
    };
    let limit = cluster_bootstrapper::yaml::MAX_BYTES;
    assert_eq!(code(limit).as_deref(), Some("yaml-syntax"));
    assert_eq!(code(limit + 1).as_deref(), Some("too-large"));
}

#[test]
fn a_link_is_followed_and_a_pipe_is_written_into() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let (file, link) = (folder.path().join("k8s.cfg"), folder.path().join("link"));
    std::fs::write(&file, "before").expect("written");
    std::os::unix::fs::symlink("k8s.cfg", &link).expect("link");
    let filled = sample_file();
    let sample = text(filled.path());
    let done = run(&["-config-file", &sample, "-out", &text(&link)]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(link.is_symlink());
    let written = std::fs::read(&file).expect("readable");
    assert!(written.starts_with(b"#cloud-config\n"));
    // Replaced, not written into: whoever could read the old file must not read the new one.
    let mode = std::fs::metadata(&file).expect("there").mode();
    assert_eq!(mode & 0o777, 0o600);
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    // Open for both, so that nobody waits for the other end; the pipe's buffer takes the whole output.
    let options = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe);
    let mut reader = options.expect("opened");
    let done = run(&["-config-file", &sample, "-out", &text(&pipe)]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let kind = std::fs::metadata(&pipe).expect("there").file_type();
    assert!(kind.is_fifo(), "the pipe was replaced");
    let mut found = vec![0; written.len()];
    reader.read_exact(&mut found).expect("the output");
    assert_eq!(found, written);
}

#[test]
fn the_config_file_is_shown_without_its_secrets() {
    let file = sample_file();
    let sample = text(file.path());
    let done = run(&["show", "redacted", "--config-file", &sample]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let shown: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let users = shown["operatingSystem"]["users"].as_array().expect("users");
    assert!(users.iter().any(|user| user["password"] == "(hidden)"));
}

#[test]
fn a_default_host_name_counts_where_the_config_file_has_none() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: only root can install");
        return;
    }
    for (hostname, expected) in [("", "node-1a2b\n"), ("  hostname: edge-7\n", "edge-7\n")] {
        let root = crate::install::tree();
        let file = root.path().join("config-file");
        let kubernetes = WRONG.replace("/usr/x", "/etc/x");
        let text_of_file =
            format!("operatingSystem:\n  users: [{{username: root}}]\n{hostname}{kubernetes}");
        std::fs::write(&file, text_of_file).expect("written");
        let (file, folder) = (text(&file), text(root.path()));
        let args = ["install", "--config-file", &file, "--root", &folder];
        let done = run(&[&args[..], &["--default-hostname", "node-1a2b"]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        assert_eq!(text_in(root.path(), "etc/hostname"), expected);
    }
}
