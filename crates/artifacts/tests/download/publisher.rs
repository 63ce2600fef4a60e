//! The release server itself: what it has in common with publishers.

use artifacts::Sha256;
use artifacts::checksums::Checksums;
use serde_json::json;

use crate::program::{Program, content};
use crate::server::Server;

fn fetch(server: &Server, name: &str, url: String) -> String {
    let mut program = Program::new(server);
    program.add(name, vec![url], None);
    program.fetch().fetched();
    std::fs::read_to_string(program.target(name)).unwrap()
}

#[test]
fn it_makes_up_a_checksum_file_of_all_files() {
    let server = Server::start(&[("k3s", b"k3s"), ("a.tar.zst", b"a")], &[]);
    let name = "sha256sum-amd64.txt";
    let sums = Checksums::parse(&fetch(&server, name, server.release(name))).unwrap();
    assert_eq!(sums.get("k3s"), Some(Sha256::of(b"k3s")));
    assert_eq!(sums.get("a.tar.zst"), Some(Sha256::of(b"a")));
}

#[test]
fn a_checksum_file_of_the_directory_is_served_as_it_is() {
    let name = "sha256sum-amd64.txt";
    let server = Server::start(&[("k3s", b"k3s"), (name, b"its own")], &[]);
    assert_eq!(fetch(&server, name, server.release(name)), "its own");
}

#[test]
fn a_checksum_file_can_be_changed() {
    let name = "sha256sum-amd64.txt";
    let server = Server::of("k3s", b"k3s");
    server.fault(name, json!({ "wrong_byte_at": 0 }));
    let sums = Checksums::parse(&fetch(&server, name, server.release(name)));
    assert_ne!(sums.unwrap().get("k3s"), Some(Sha256::of(b"k3s")));
}

#[test]
fn a_raw_file_is_no_redirect() {
    let server = Server::of("install.sh", b"#!/bin/sh\n");
    assert_eq!(
        fetch(&server, "install.sh", server.raw("install.sh")),
        "#!/bin/sh\n"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_version_with_a_plus_is_found() {
    let data = content(1000);
    let server = Server::start(&[("k3s", &data)], &["--release", "v1.33.13+k3s2"]);
    for version in ["v1.33.13+k3s2", "v1.33.13%2Bk3s2"] {
        let mut program = Program::of(&server, "k3s", &data);
        program.first().urls = vec![
            server
                .release("k3s")
                .replace("/v1/", &format!("/{version}/")),
        ];
        program.fetch().fetched();
    }
}

#[test]
fn another_version_is_not_found() {
    let server = Server::start(&[("k3s", b"k3s")], &["--release", "v2"]);
    Program::of(&server, "k3s", b"k3s").fetch().says(&["404"]);
}

#[test]
fn an_object_is_not_served_without_its_signature() {
    let server = Server::of("k3s", b"k3s");
    let mut program = Program::of(&server, "k3s", b"k3s");
    program.first().urls = vec![format!("{}/objects/v1/k3s", server.ready.url)];
    program.fetch().says(&["403"]);
}

#[test]
fn it_ends_when_its_standard_input_ends() {
    assert!(Server::of("k3s", b"k3s").end());
}
