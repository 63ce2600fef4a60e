//! Private authorities, proxies, and what cannot be reached.

use serde_json::json;

use crate::program::{Program, content};
use crate::server::Server;

const NAME: &str = "publisher.example";

fn connects(server: &Server) -> Vec<String> {
    let requests = server.requests().into_iter();
    let connects = requests.filter(|request| request.method == "CONNECT");
    connects.map(|request| request.target).collect()
}

/// A server that is known by a name to its proxy alone.
fn behind_a_proxy(data: &[u8]) -> (Server, Program) {
    let server = Server::start(&[("k3s", data)], &["--name", NAME]);
    let mut program = Program::of(&server, "k3s", data);
    program.first().urls = vec![format!(
        "https://{NAME}/k3s-io/k3s/releases/download/v1/k3s"
    )];
    program.set("HTTPS_PROXY", &server.ready.proxy);
    (server, program)
}

#[test]
fn an_unknown_authority_is_said_with_the_option_that_names_it() {
    let server = Server::of("k3s", b"k3s");
    let mut program = Program::of(&server, "k3s", b"k3s");
    program.request.ca.clear();
    program.fetch().says(&[
        "a trusted TLS connection to https://localhost:",
        "UnknownIssuer",
        "--ca FILE",
    ]);
    assert!(server.requests().is_empty());
}

#[test]
fn a_certificate_for_another_name_is_said() {
    let server = Server::of("k3s", b"k3s");
    let mut program = Program::of(&server, "k3s", b"k3s");
    let url = server.release("k3s").replace("localhost", "127.0.0.2");
    program.first().urls = vec![url];
    // 127.0.0.2 leads nowhere by itself: the server is at 127.0.0.1 only.
    program
        .fetch()
        .says(&["a connection to https://127.0.0.2:", "refused"]);
}

#[test]
fn the_proxy_of_the_environment_is_used_for_both_hosts() {
    let data = content(100_000);
    let (server, program) = behind_a_proxy(&data);
    program.fetch().fetched();
    let expected = [format!("{NAME}:443"), format!("objects.{NAME}:443")];
    assert_eq!(connects(&server), expected);
}

#[test]
fn a_host_of_no_proxy_is_reached_directly() {
    let data = content(1000);
    let server = Server::of("k3s", &data);
    let mut program = Program::of(&server, "k3s", &data);
    program.set("HTTPS_PROXY", &server.ready.proxy);
    program.set("NO_PROXY", "localhost");
    program.fetch().fetched();
    let connects = connects(&server);
    assert_eq!(connects.len(), 1, "{connects:?}");
    assert!(connects[0].starts_with("127.0.0.1:"));
}

#[test]
fn a_proxy_that_refuses_is_said_with_its_answer() {
    let server = Server::start(&[("k3s", b"k3s")], &["--proxy-refuses", "403"]);
    let mut program = Program::of(&server, "k3s", b"k3s");
    program.set("HTTPS_PROXY", &server.ready.proxy);
    let proxy = format!("the proxy {} to connect to", server.ready.proxy);
    program.fetch().says(&[&proxy, "403 Forbidden", "NO_PROXY"]);
}

#[test]
fn a_proxy_that_wants_a_password_is_said() {
    let server = Server::start(&[("k3s", b"k3s")], &["--proxy-refuses", "407"]);
    let mut program = Program::of(&server, "k3s", b"k3s");
    program.set("HTTPS_PROXY", &server.ready.proxy);
    program
        .fetch()
        .says(&["407 Proxy Authentication Required", "USER:PASSWORD"]);
}

#[test]
fn the_password_of_a_proxy_is_not_shown() {
    let server = Server::start(&[("k3s", b"k3s")], &["--proxy-refuses", "403"]);
    let mut program = Program::of(&server, "k3s", b"k3s");
    let proxy = server
        .ready
        .proxy
        .replace("http://", "http://somebody:secret@");
    program.set("HTTPS_PROXY", &proxy);
    let done = program.fetch();
    done.failure();
    assert!(!done.messages.contains("secret"), "{}", done.messages);
}

#[test]
fn a_proxy_that_is_not_there_is_said() {
    let server = Server::of("k3s", b"k3s");
    let mut program = Program::of(&server, "k3s", b"k3s");
    program.set("HTTPS_PROXY", "http://127.0.0.1:1");
    program.fetch().says(&[
        "the proxy http://127.0.0.1:1 to connect to",
        "refused",
        "HTTPS_PROXY",
    ]);
}

#[test]
fn a_name_without_an_address_is_said() {
    let server = Server::of("k3s", b"k3s");
    let mut program = Program::of(&server, "k3s", b"k3s");
    program.first().urls = vec!["https://publisher.invalid/k3s".into()];
    program.request.silence = 20;
    program.fetch().says(&[
        "an address for the name publisher.invalid",
        "name server",
        "import DIR",
    ]);
}

#[test]
fn a_server_that_is_silent_ends_within_the_limit_with_the_last_thing_seen() {
    let data = content(100_000);
    let server = Server::of("k3s", &data);
    server.fault("k3s", json!({ "stall_after": 30_000 }));
    let program = Program::of(&server, "k3s", &data);
    let begun = std::time::Instant::now();
    let done = program.fetch();
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    done.says(&["30000 of 100000 bytes, then nothing for 2 s"]);
}

#[test]
fn a_slow_line_is_no_silence() {
    let data = content(60_000);
    let server = Server::of("k3s", &data);
    // 3 s in all, with a limit of 2 s without a byte.
    server.fault("k3s", json!({ "bytes_per_second": 20_000 }));
    let done = Program::of(&server, "k3s", &data).fetch();
    assert!(done.fetched().seconds > 2.0);
}
