//! Ctrl-C, ended parents, and two runs at once.

use rustix::process::Signal;
use serde_json::json;

use crate::program::{Program, Running, content};
use crate::server::Server;

const SLOW: u64 = 2_000_000;

/// A run that has received something of a slow download.
fn running(server: &Server, program: &Program) -> Running {
    server.fault("k3s", json!({ "bytes_per_second": SLOW }));
    let mut run = program.start();
    run.until("bytes on the disk", |_| {
        program.length_of_partial("k3s") > 0
    });
    run
}

fn interrupted_by(signal: Signal) {
    let data = content(8_000_000);
    let server = Server::of("k3s", &data);
    let program = Program::of(&server, "k3s", &data);
    let run = running(&server, &program);
    run.signal(signal);
    let done = run.wait();
    assert_eq!(done.status.code(), Some(130), "{}", done.messages);
    assert!(
        done.messages.contains("the same command continues there"),
        "{}",
        done.messages
    );
    server.no_faults();
    let kept = program.length_of_partial("k3s");
    assert_eq!(program.fetch().fetched().resumed_at, kept);
    assert_eq!(server.sent(206), [8_000_000 - kept]);
}

#[test]
fn ctrl_c_keeps_what_came_and_the_next_run_continues() {
    interrupted_by(Signal::INT);
}

#[test]
fn sigterm_keeps_what_came_and_the_next_run_continues() {
    interrupted_by(Signal::TERM);
}

#[test]
fn a_killed_run_is_continued() {
    let data = content(8_000_000);
    let server = Server::of("k3s", &data);
    let program = Program::of(&server, "k3s", &data);
    let run = running(&server, &program);
    run.signal(Signal::KILL);
    run.wait();
    server.no_faults();
    assert!(program.fetch().fetched().resumed_at > 0);
    assert_eq!(std::fs::read(program.target("k3s")).unwrap(), data);
}

#[test]
fn it_ends_with_its_parent() {
    let data = content(8_000_000);
    let server = Server::of("k3s", &data);
    let program = Program::of(&server, "k3s", &data);
    server.fault("k3s", json!({ "bytes_per_second": SLOW }));
    let mut run = program.start_under_a_shell();
    run.until("bytes on the disk", |_| {
        program.length_of_partial("k3s") > 0
    });
    // The shell, which has the program as its child.
    run.signal(Signal::KILL);
    run.until_it_says("interrupted");
}

#[test]
fn the_second_of_two_runs_waits_and_finds_the_finished_artifact() {
    let data = content(2_000_000);
    let server = Server::of("k3s", &data);
    let program = Program::of(&server, "k3s", &data);
    let first = running(&server, &program);
    let mut second = program.start_as("second");
    second.until("the message that it waits", |run| {
        run.messages()
            .contains("waiting for another run that fetches it")
    });
    assert!(first.wait().fetched().url.is_some());
    assert_eq!(second.wait().fetched().url, None);
    assert_eq!(server.sent(200), [2_000_000]);
}

#[test]
fn the_second_of_two_runs_continues_when_the_first_is_killed() {
    let data = content(8_000_000);
    let server = Server::of("k3s", &data);
    let program = Program::of(&server, "k3s", &data);
    let first = running(&server, &program);
    let mut second = program.start_as("second");
    second.until("the message that it waits", |run| {
        run.messages().contains("waiting for another run")
    });
    server.no_faults();
    first.signal(Signal::KILL);
    first.wait();
    assert!(second.wait().fetched().resumed_at > 0);
}
