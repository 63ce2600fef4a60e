//! What goes well.

use artifacts::Sha256;

use crate::program::{Program, content};
use crate::server::Server;

#[test]
fn a_release_is_fetched_through_a_redirect_to_another_host() {
    let data = content(1_000_000);
    let server = Server::of("k3s", &data);
    let program = Program::of(&server, "k3s", &data);
    let done = program.fetch();
    assert_eq!(done.status.code(), Some(0), "{}", done.messages);
    assert_eq!(std::fs::read(program.target("k3s")).unwrap(), data);
    let requests = server.requests();
    let hosts: Vec<_> = requests
        .iter()
        .map(|it| it.host.split(':').next())
        .collect();
    assert_eq!(hosts, [Some("localhost"), Some("127.0.0.1")]);
}

#[test]
fn the_outcome_has_url_sum_and_size() {
    let data = content(1000);
    let server = Server::of("k3s", &data);
    let done = Program::of(&server, "k3s", &data).fetch();
    let fetched = done.fetched();
    assert_eq!(fetched.url, Some(server.release("k3s")));
    assert_eq!(fetched.sha256, Sha256::of(&data));
    assert_eq!((fetched.size, fetched.resumed_at), (1000, 0));
}

#[test]
fn an_artifact_without_a_known_sum_has_its_sum_in_the_outcome() {
    let server = Server::of("k3s", b"k3s");
    let mut program = Program::new(&server);
    let name = "sha256sum-amd64.txt";
    program.add(name, vec![server.release(name)], None);
    let done = program.fetch();
    let text = std::fs::read(program.target(name)).unwrap();
    assert_eq!(done.fetched().sha256, Sha256::of(&text));
}

#[test]
fn a_fetch_again_costs_no_request() {
    let data = content(1000);
    let server = Server::of("k3s", &data);
    let program = Program::of(&server, "k3s", &data);
    program.fetch().fetched();
    let before = server.requests().len();
    let done = program.fetch();
    assert_eq!(done.fetched().url, None);
    assert_eq!(server.requests().len(), before);
}

#[test]
fn nothing_is_left_beside_a_fetched_artifact() {
    let data = content(1000);
    let server = Server::of("k3s", &data);
    let program = Program::of(&server, "k3s", &data);
    program.fetch().fetched();
    let partials = program.partial("k3s");
    let left = std::fs::read_dir(partials.parent().unwrap()).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn a_damaged_artifact_is_fetched_again() {
    let data = content(1000);
    let server = Server::of("k3s", &data);
    let program = Program::of(&server, "k3s", &data);
    program.fetch().fetched();
    std::fs::write(program.target("k3s"), "damaged").unwrap();
    let done = program.fetch();
    assert!(done.fetched().url.is_some());
    assert!(
        done.messages.contains("is not the artifact"),
        "{}",
        done.messages
    );
    assert_eq!(std::fs::read(program.target("k3s")).unwrap(), data);
}

#[test]
fn an_empty_artifact_is_fetched() {
    let server = Server::of("empty", b"");
    let program = Program::of(&server, "empty", b"");
    assert_eq!(program.fetch().fetched().size, 0);
    assert!(program.target("empty").exists());
}

#[test]
fn a_server_that_says_no_size_is_read_to_its_end() {
    let data = content(700_000);
    let server = Server::of("k3s", &data);
    server.fault("k3s", serde_json::json!({ "no_length": true }));
    let mut program = Program::of(&server, "k3s", &data);
    program.first().size = None;
    assert_eq!(program.fetch().fetched().size, 700_000);
}

#[test]
fn the_outcomes_are_in_the_order_of_the_request() {
    let names = ["a", "b", "c", "d", "e"];
    let files: Vec<_> = names.iter().map(|name| (*name, name.as_bytes())).collect();
    let server = Server::start(&files, &[]);
    let mut program = Program::new(&server);
    for name in names {
        program.add(name, vec![server.release(name)], Some(name.as_bytes()));
    }
    let report = program.fetch().report.unwrap();
    let sums = report.outcomes.iter().map(|outcome| match outcome {
        artifacts::request::Outcome::Fetched(fetched) => fetched.sha256,
        artifacts::request::Outcome::Failed(failure) => panic!("{failure}"),
    });
    let expected = names.map(|name| Sha256::of(name.as_bytes()));
    assert_eq!(sums.collect::<Vec<_>>(), expected);
}

#[test]
fn the_others_are_fetched_when_one_fails() {
    let server = Server::start(&[("a", b"a"), ("b", b"b")], &[]);
    server.fault("a", serde_json::json!({ "status": 404 }));
    let mut program = Program::of(&server, "a", b"a");
    program.add("b", vec![server.release("b")], Some(b"b"));
    program.request.parallel = 1;
    program.fetch().failure();
    assert_eq!(std::fs::read(program.target("b")).unwrap(), b"b");
}

#[test]
fn mirrors_are_tried_in_their_order() {
    let data = content(1000);
    let server = Server::of("k3s", &data);
    let mut program = Program::of(&server, "k3s", &data);
    let missing = server.release("missing");
    program.first().urls.insert(0, missing.clone());
    let done = program.fetch();
    let fetched = done.fetched();
    assert_eq!(fetched.url, Some(server.release("k3s")));
    assert_eq!(fetched.passed_over[0].url, missing);
    assert!(fetched.passed_over[0].seen.contains("404"));
    assert!(done.messages.contains("trying"), "{}", done.messages);
}

#[test]
fn a_mirror_without_tls_serves_what_has_a_known_sum() {
    let data = content(1000);
    let server = Server::of("k3s", &data);
    let mut program = Program::of(&server, "k3s", &data);
    program.first().urls = vec![format!("{}/a/b/v1/k3s", server.ready.http)];
    program.fetch().fetched();
}

#[test]
fn progress_in_a_pipe_is_a_line_at_the_start_and_one_at_the_end() {
    let data = content(1 << 20);
    let server = Server::of("k3s", &data);
    let messages = Program::of(&server, "k3s", &data).fetch().messages;
    let lines: Vec<_> = messages.lines().collect();
    assert_eq!(lines.len(), 2, "{messages}");
    assert!(lines[0].starts_with("k3s: fetching 1.00 MiB from https://localhost:"));
    assert!(lines[1].starts_with("k3s: fetched 1.00 MiB in "));
    assert!(!messages.contains('\x1b'), "{messages:?}");
}
