//! What an earlier run or a broken connection left is continued.

use std::io::Write;

use serde_json::json;

use crate::program::{Program, content};
use crate::server::Server;

/// A run that left half of the file.
fn interrupted(server: &Server, data: &[u8]) -> Program {
    let program = Program::of(server, "k3s", data);
    server.fault("k3s", json!({ "stall_after": data.len() / 2 }));
    program.fetch().failure();
    server.no_faults();
    assert_eq!(program.length_of_partial("k3s"), data.len() as u64 / 2);
    program
}

#[test]
fn only_the_rest_is_fetched_after_an_earlier_run() {
    let data = content(1_000_000);
    let server = Server::of("k3s", &data);
    let program = interrupted(&server, &data);
    let done = program.fetch();
    assert_eq!(done.fetched().resumed_at, 500_000);
    assert_eq!(server.sent(206), [500_000]);
    let last = server.requests().pop().unwrap();
    assert_eq!(last.range.as_deref(), Some("bytes=500000-"));
    assert_eq!(std::fs::read(program.target("k3s")).unwrap(), data);
}

#[test]
fn a_connection_that_breaks_is_continued_where_it_ended() {
    let data = content(1_000_000);
    let server = Server::of("k3s", &data);
    server.fault("k3s", json!({ "end_after": 600_000 }));
    let done = Program::of(&server, "k3s", &data).fetch();
    assert_eq!(done.fetched().size, 1_000_000);
    assert_eq!(server.sent(206), [400_000]);
    assert!(
        done.messages.contains("continuing there (1 of 5 times)"),
        "{}",
        done.messages
    );
}

#[test]
fn a_connection_is_continued_five_times_at_most() {
    let data = content(1_000_000);
    let server = Server::of("k3s", &data);
    server.fault("k3s", json!({ "end_after": 1000 }));
    Program::of(&server, "k3s", &data).fetch().failure();
    assert_eq!(server.sent(206), [1000; 5]);
}

#[test]
fn a_file_that_changed_meanwhile_is_fetched_from_its_start() {
    let data = content(1_000_000);
    let server = Server::of("k3s", &data);
    let program = interrupted(&server, &data);
    server.fault("k3s", json!({ "etag": "\"another\"" }));
    let done = program.fetch();
    assert_eq!(done.fetched().resumed_at, 0);
    assert!(server.sent(206).is_empty());
    assert!(
        done.messages.contains("sends the file from its start"),
        "{}",
        done.messages
    );
}

#[test]
fn a_server_without_ranges_sends_it_from_the_start() {
    let data = content(1_000_000);
    let server = Server::of("k3s", &data);
    let program = interrupted(&server, &data);
    server.fault("k3s", json!({ "no_ranges": true }));
    assert_eq!(program.fetch().fetched().resumed_at, 0);
    assert_eq!(std::fs::read(program.target("k3s")).unwrap(), data);
}

#[test]
fn a_rest_that_does_not_fit_is_fetched_once_more_from_the_start() {
    let data = content(1_000_000);
    let server = Server::of("k3s", &data);
    let program = interrupted(&server, &data);
    let mut partial = std::fs::OpenOptions::new()
        .write(true)
        .open(program.partial("k3s"))
        .unwrap();
    partial.write_all(b"damaged").unwrap();
    let done = program.fetch();
    assert_eq!(done.fetched().resumed_at, 0);
    assert!(
        done.messages
            .contains("fetching it once more from the start"),
        "{}",
        done.messages
    );
    assert_eq!(std::fs::read(program.target("k3s")).unwrap(), data);
}

#[test]
fn a_whole_partial_costs_no_request() {
    let data = content(1_000_000);
    let server = Server::of("k3s", &data);
    let program = Program::of(&server, "k3s", &data);
    std::fs::create_dir(program.partial("k3s").parent().unwrap()).unwrap();
    std::fs::write(program.partial("k3s"), &data).unwrap();
    program.fetch().fetched();
    assert!(server.requests().is_empty());
}

#[test]
fn a_partial_that_is_longer_than_the_file_is_thrown_away() {
    let data = content(1_000_000);
    let server = Server::of("k3s", &data);
    let program = Program::of(&server, "k3s", &data);
    std::fs::create_dir(program.partial("k3s").parent().unwrap()).unwrap();
    std::fs::write(program.partial("k3s"), content(1_000_001)).unwrap();
    assert_eq!(program.fetch().fetched().resumed_at, 0);
}

#[test]
fn another_mirror_continues_what_has_a_known_sum() {
    let data = content(1_000_000);
    let server = Server::start(&[("k3s", &data), ("mirror", &data)], &[]);
    server.fault("k3s", json!({ "stall_after": 700_000 }));
    let mut program = Program::of(&server, "k3s", &data);
    let mirror = server.release("mirror");
    program.first().urls.push(mirror.clone());
    let done = program.fetch();
    assert_eq!(done.fetched().url, Some(mirror));
    assert_eq!(server.sent(206), [300_000]);
}

#[test]
fn without_a_known_sum_a_changed_file_is_not_mixed_with_the_old_one() {
    let (old, new) = (content(1_000_000), vec![7; 1_000_000]);
    let server = Server::of("k3s", &old);
    let mut program = Program::new(&server);
    program.add("k3s", vec![server.release("k3s")], None);
    server.fault("k3s", json!({ "stall_after": 500_000 }));
    program.fetch().failure();
    server.no_faults();
    server.replace("k3s", &new);
    program.fetch().fetched();
    assert_eq!(std::fs::read(program.target("k3s")).unwrap(), new);
}

#[test]
fn without_sum_and_validator_it_starts_again() {
    let data = content(1000);
    let server = Server::of("k3s", &data);
    let mut program = Program::new(&server);
    program.add("k3s", vec![server.release("k3s")], None);
    std::fs::create_dir(program.partial("k3s").parent().unwrap()).unwrap();
    std::fs::write(program.partial("k3s"), "of somewhere else").unwrap();
    let done = program.fetch();
    assert!(
        done.messages.contains("sends the file from its start"),
        "{}",
        done.messages
    );
    assert_eq!(std::fs::read(program.target("k3s")).unwrap(), data);
}

#[test]
fn a_mirror_that_fails_leaves_what_the_next_one_continues() {
    let data = content(1_000_000);
    let server = Server::of("k3s", &data);
    let mut program = Program::new(&server);
    program.add("k3s", vec![server.release("k3s")], None);
    server.fault("k3s", json!({ "stall_after": 500_000 }));
    program.fetch().failure();
    server.no_faults();
    program.first().urls.insert(0, server.release("missing"));
    assert_eq!(program.fetch().fetched().resumed_at, 500_000);
}
