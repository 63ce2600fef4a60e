//! Whether a publisher answers.

use std::net::TcpListener;

use artifacts::request::{Probe, ProbeReport};
use serde_json::json;

use crate::program::run;
use crate::server::Server;

fn probe(server: &Server, urls: &[String], timeout: u64) -> (Option<i32>, ProbeReport) {
    let dir = tempfile::tempdir().unwrap();
    let mut probe = Probe::new(urls.to_vec());
    probe.ca.push(server.ready.ca.clone());
    probe.timeout = timeout;
    let path = dir.path().join("probe.json");
    std::fs::write(&path, serde_json::to_vec(&probe).unwrap()).unwrap();
    let done = run(&["probe".as_ref(), &path], dir.path());
    let output = std::fs::read(dir.path().join("out")).unwrap();
    (
        done.status.code(),
        serde_json::from_slice(&output).expect(&done.messages),
    )
}

#[test]
fn the_one_that_answers_is_found_beside_one_that_does_not() {
    let server = Server::of("k3s", b"k3s");
    let good = server.release("k3s");
    let (status, report) = probe(&server, &[server.release("missing"), good.clone()], 5);
    assert_eq!((status, report.answered), (Some(0), Some(good)));
}

#[test]
fn each_that_does_not_answer_has_its_reason() {
    let server = Server::of("k3s", b"k3s");
    server.fault("k3s", json!({ "html": true }));
    let (status, report) = probe(
        &server,
        &[server.release("missing"), server.release("k3s")],
        5,
    );
    assert_eq!((status, report.answered), (Some(1), None));
    let mut seen: Vec<_> = report.failed.iter().map(|it| it.seen.as_str()).collect();
    seen.sort_unstable();
    assert!(seen[0].starts_with("404"), "{seen:?}");
    assert_eq!(seen[1], "an HTML page");
}

#[test]
fn a_publisher_that_accepts_and_says_nothing_is_given_up_in_time() {
    let server = Server::of("k3s", b"k3s");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/k3s", silent.local_addr().unwrap());
    let begun = std::time::Instant::now();
    let (status, report) = probe(&server, &[url], 1);
    assert!(begun.elapsed().as_secs() < 5);
    assert_eq!(status, Some(1));
    assert_eq!(report.failed[0].expected, "an answer within 1 s");
}

#[test]
fn a_large_file_is_not_fetched() {
    let server = Server::of("k3s", &vec![0; 10_000_000]);
    probe(&server, &[server.release("k3s")], 5);
    assert_eq!(server.sent(206), [1]);
}
