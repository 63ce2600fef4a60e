//! What a publisher can do wrong: one message with what was expected, seen, and what to do.

use artifacts::Sha256;
use serde_json::json;

use crate::program::{Program, content};
use crate::server::Server;

#[test]
fn a_missing_file_is_said_with_its_url() {
    let server = Server::of("k3s", b"k3s");
    let program = Program::of(&server, "missing", b"k3s");
    let done = program.fetch();
    done.says(&[
        "missing: not fetched",
        &server.release("missing"),
        "404 Not Found",
        "next: check version and URL",
    ]);
}

#[test]
fn a_forbidden_file_is_said() {
    let server = Server::of("k3s", b"k3s");
    server.fault("k3s", json!({ "status": 403 }));
    let done = Program::of(&server, "k3s", b"k3s").fetch();
    done.says(&["403 Forbidden", "--mirror"]);
}

#[test]
fn a_server_that_is_down_is_said_and_not_asked_again() {
    let server = Server::of("k3s", b"k3s");
    server.fault("k3s", json!({ "status": 503 }));
    let done = Program::of(&server, "k3s", b"k3s").fetch();
    done.says(&["503 Service Unavailable", "later"]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_html_page_in_place_of_a_file_is_said_with_its_title() {
    let server = Server::of("k3s", b"k3s");
    server.fault("k3s", json!({ "html": true }));
    let mut program = Program::of(&server, "k3s", b"k3s");
    program.first().size = None;
    program
        .fetch()
        .says(&["an HTML page titled `Log in to the network`", "browser"]);
    assert!(!program.target("k3s").exists());
}

#[test]
fn an_html_page_that_pretends_to_be_a_binary_is_said() {
    let server = Server::of("k3s", b"k3s");
    let page = "<!doctype html><title>Blocked</title>";
    server.fault("k3s", json!({ "text": page }));
    let mut program = Program::of(&server, "k3s", b"k3s");
    program.first().size = None;
    program.fetch().says(&["an HTML page titled `Blocked`"]);
}

#[test]
fn a_wrong_byte_never_gets_the_final_name() {
    let data = content(600_000);
    let server = Server::of("k3s", &data);
    server.fault("k3s", json!({ "wrong_byte_at": 500_000 }));
    let program = Program::of(&server, "k3s", &data);
    let done = program.fetch();
    let mut wrong = data.clone();
    wrong[500_000] ^= 1;
    done.says(&[
        &Sha256::of(&data).to_string(),
        &Sha256::of(&wrong).to_string(),
        "do not use",
    ]);
    assert!(!program.target("k3s").exists());
}

#[test]
fn a_wrong_sum_of_a_whole_file_is_not_tried_again() {
    let data = content(1000);
    let server = Server::of("k3s", &data);
    server.fault("k3s", json!({ "wrong_byte_at": 500 }));
    let program = Program::of(&server, "k3s", &data);
    program.fetch().failure();
    assert_eq!(server.sent(200), [1000]);
    assert_eq!(program.length_of_partial("k3s"), 0);
}

#[test]
fn a_wrong_sum_of_a_mirror_is_said_though_the_next_one_is_right() {
    let data = content(1000);
    let server = Server::start(&[("k3s", &data), ("other", &content(999))], &[]);
    let mut program = Program::of(&server, "k3s", &data);
    program.first().size = None;
    program.first().urls.insert(0, server.release("other"));
    let done = program.fetch();
    let sum = Sha256::of(&content(999)).to_string();
    assert!(done.fetched().passed_over[0].seen.contains(&sum));
    assert!(done.messages.contains(&sum), "{}", done.messages);
}

#[test]
fn another_size_than_expected_is_refused_before_it_is_fetched() {
    let data = content(2000);
    let server = Server::of("k3s", &data);
    let program = Program::of(&server, "k3s", &data[..1000]);
    program
        .fetch()
        .says(&["expected: 1000 bytes", "seen:     2000 bytes"]);
}

#[test]
fn a_file_above_the_maximum_is_refused() {
    let data = content(2000);
    let server = Server::of("k3s", &data);
    let mut program = Program::of(&server, "k3s", &data);
    program.first().size = None;
    program.first().max_size = 1999;
    program.fetch().says(&["at most 1999 bytes", "2000 bytes"]);
}

#[test]
fn a_file_of_unknown_size_is_cut_off_at_the_maximum() {
    let data = content(3_000_000);
    let server = Server::of("k3s", &data);
    server.fault("k3s", json!({ "no_length": true }));
    let mut program = Program::of(&server, "k3s", &data);
    program.first().size = None;
    program.first().max_size = 1_000_000;
    program.fetch().says(&["at most 1000000 bytes", "at least"]);
}

#[test]
fn a_redirect_from_https_to_http_is_refused() {
    let server = Server::of("k3s", b"k3s");
    server.fault("k3s", json!({ "downgrade": true }));
    let done = Program::of(&server, "k3s", b"k3s").fetch();
    done.says(&["leads from https to http://127.0.0.1:"]);
    assert!(server.requests().iter().all(|request| request.secure));
}

#[test]
fn redirects_without_an_end_are_given_up() {
    let server = Server::of("k3s", b"k3s");
    server.fault("k3s", json!({ "endless_redirects": true }));
    let done = Program::of(&server, "k3s", b"k3s").fetch();
    done.says(&["a redirect that is not followed"]);
    assert_eq!(server.requests().len(), 11);
}

#[test]
fn plain_http_is_refused_where_no_sum_is_known() {
    let server = Server::of("k3s", b"k3s");
    let mut program = Program::new(&server);
    let url = format!("{}/a/b/v1/sha256sum-amd64.txt", server.ready.http);
    program.add("sums", vec![url], None);
    program
        .fetch()
        .says(&["nothing to verify the artifact with"]);
    assert!(server.requests().is_empty());
}

#[test]
fn a_short_body_is_said_after_the_last_try() {
    let data = content(100_000);
    let server = Server::of("k3s", &data);
    server.fault("k3s", json!({ "end_after": 10 }));
    let done = Program::of(&server, "k3s", &data).fetch();
    done.says(&[
        "expected: 100000 bytes",
        "the connection broke after 60 bytes",
        "continues where it ended",
    ]);
}

#[test]
fn a_body_without_a_byte_is_not_asked_for_again() {
    let data = content(100_000);
    let server = Server::of("k3s", &data);
    server.fault("k3s", json!({ "end_after": 0 }));
    let done = Program::of(&server, "k3s", &data).fetch();
    done.says(&["the connection broke after 0 bytes"]);
    assert_eq!(server.sent(200), [0]);
}

#[test]
fn user_and_password_of_a_url_are_shown_nowhere() {
    let server = Server::of("k3s", b"k3s");
    let mut program = Program::of(&server, "k3s", b"other");
    let url = server
        .release("k3s")
        .replace("https://", "https://somebody:secret@");
    program.first().urls = vec![url.clone(), url];
    program.first().size = None;
    let done = program.fetch();
    let text = format!("{}{:?}", done.messages, done.report);
    assert!(text.contains("https://localhost"), "{text}");
    assert!(
        !text.contains("secret") && !text.contains("somebody"),
        "{text}"
    );
}
