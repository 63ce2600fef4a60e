//! Full disks, memory, and requests that cannot be used.

use rustix::process::Signal;
use serde_json::json;

use crate::program::{Program, content, run};
use crate::server::Server;

/// The figure of issue 16, in KiB.
const MEMORY: u64 = 64 * 1024;

#[test]
fn a_file_that_finds_no_room_is_said_and_continued_when_there_is() {
    let data = content(3_000_000);
    let server = Server::of("k3s", &data);
    let mut program = Program::of(&server, "k3s", &data);
    program.limit_files(1024);
    let done = program.fetch();
    done.says(&[
        "to write",
        "File too large",
        "make room in the file system of",
    ]);
    assert!(!program.target("k3s").exists());
    program.limit_files(10_240);
    assert_eq!(program.fetch().fetched().resumed_at, 1024 * 1024);
}

#[test]
fn a_full_disk_is_not_tried_with_another_mirror() {
    let data = content(3_000_000);
    let server = Server::of("k3s", &data);
    let mut program = Program::of(&server, "k3s", &data);
    let mirror = server.raw("k3s");
    program.first().urls.push(mirror);
    program.limit_files(1024);
    assert_eq!(program.fetch().failure().attempts.len(), 1);
}

#[test]
fn a_target_that_cannot_be_written_is_said() {
    let server = Server::of("k3s", b"k3s");
    let mut program = Program::of(&server, "k3s", b"k3s");
    program.first().target = "/proc/nowhere/k3s".into();
    program.fetch().says(&["to rename to /proc/nowhere/k3s"]);
}

#[test]
fn memory_stays_below_64_mib_for_a_large_file() {
    let data = vec![1; 300 << 20];
    let server = Server::start(&[("image", &data), ("k3s", b"k3s")], &[]);
    let mut program = Program::of(&server, "image", &data);
    // Keeps the program running when the image is there.
    server.fault("k3s", json!({ "stall_after": 0 }));
    program.add("k3s", vec![server.release("k3s")], None);
    program.request.silence = 600;
    let mut run = program.start();
    run.until("the image", |run| run.messages().contains("image: fetched"));
    let kibibytes = run.memory();
    run.signal(Signal::KILL);
    run.wait();
    assert!(kibibytes < MEMORY, "{kibibytes} KiB");
}

#[test]
fn a_request_that_is_not_understood_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let request = dir.path().join("request.json");
    std::fs::write(&request, json!({ "downloads": [], "typo": 1 }).to_string()).unwrap();
    let done = run(&["fetch".as_ref(), &request], dir.path());
    assert_eq!(done.status.code(), Some(2));
    assert!(done.messages.contains("typo"), "{}", done.messages);
}

#[test]
fn an_authority_that_cannot_be_read_ends_with_2() {
    let server = Server::of("k3s", b"k3s");
    let mut program = Program::of(&server, "k3s", b"k3s");
    program.request.ca.push("/nowhere/ca.pem".into());
    let done = program.fetch();
    assert_eq!(done.status.code(), Some(2));
    assert!(
        done.messages.contains("/nowhere/ca.pem"),
        "{}",
        done.messages
    );
}

#[test]
fn a_file_without_a_certificate_is_no_authority() {
    let server = Server::of("k3s", b"k3s");
    let mut program = Program::of(&server, "k3s", b"k3s");
    let empty = program.target("empty.pem");
    std::fs::create_dir(empty.parent().unwrap()).unwrap();
    std::fs::write(&empty, "nothing").unwrap();
    program.request.ca.push(empty);
    let done = program.fetch();
    assert_eq!(done.status.code(), Some(2));
    assert!(
        done.messages.contains("no certificate"),
        "{}",
        done.messages
    );
}

#[test]
fn no_place_to_run_ends_with_2() {
    let server = Server::of("k3s", b"k3s");
    let mut program = Program::of(&server, "k3s", b"k3s");
    program.request.parallel = 0;
    assert_eq!(program.fetch().status.code(), Some(2));
}
