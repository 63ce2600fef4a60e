//! No report shows a secret: neither the one at fault, nor one on the same line, nor one in a text that is no YAML.

use crate::support::{EMPTY, K3S, read, rendered, run, stderr, with};
use cluster_bootstrapper::Parsed;
use diagnostics::report::to_json;

/// What stands for every secret here.
const SECRET: &str = "hunter2";

#[track_caller]
fn tells_nothing(parsed: &Parsed, what: &str) {
    let shown = rendered(parsed) + &to_json(&parsed.diagnostics);
    assert!(!shown.contains(SECRET), "{what}:\n{shown}");
    assert!(parsed.config.is_none(), "{what} was accepted");
}

#[test]
fn a_secret_at_fault_or_beside_one_is_hidden() {
    for os in [
        "users: [{username: a, password: hunter2-x}]",
        "users: [{username: Ed, password: hunter2}]",
        "users: [{password: hunter2, username: Ed}]",
        "users: [{username: a, passwort: hunter2}]",
        "users: [{username: a, Password: hunter2}]",
        "users: [{username: a, password: [hunter2]}]",
        "users: [{username: a, password: {hunter2: x}}]",
        "users:\n  - username: a\n    password:\n    - hunter2",
        "users: []\n  users: {username: a, password: hunter2}",
        "users: [{username: a, password: \"hunter2\", uid: 7}]",
        "proxy: {httpProxy: 'proxy:hunter2@p'}",
        "proxy: {httpsProxy: 'http://u:hunter2@p:99999'}",
        "proxy: {http_proxy: 'http://u:hunter2@p'}",
        "proxy: {httpProxy: 'http://u:hunter2@p', noProxy: '1.2.3'}",
        "proxy: {noProxy: 'http://u:hunter2@p'}",
        "sshKey: '-----BEGIN OPENSSH PRIVATE KEY----- hunter2'",
        "runCommands: ['curl http://u:hunter2@host/a', '']",
        "runCommands: ['TOKEN=hunter2 join', '']",
    ] {
        tells_nothing(&with(&format!("  {os}\n"), "{}"), os);
    }
}

#[test]
fn a_credential_of_a_registry_is_hidden() {
    for registries in [
        "{mirrors: {a: {endpoints: ['https://u:hunter2@m']}}}",
        "{configs: {a: {auth: {auth: hunter2}}}}",
        "{configs: {a: {auth: {username: u, pasword: hunter2}}}}",
        "{configs: {a: {auth: {identityToken: hunter2, password: hunter2}}}}",
        "{configs: {a: {auth: [hunter2]}}}",
        "{configs: {'a b': {auth: {username: u, password: hunter2}}}}",
    ] {
        let text =
            format!("{K3S}  registries: {registries}\n  spec: {{template: {{spec: {{}}}}}}\n");
        tells_nothing(&read(&text), registries);
    }
    for content in [
        "configs: {a: {auth: {user: u, password: hunter2}}}",
        "configs: {a: {auth: {password: hunter2, username: [",
    ] {
        let spec = format!(
            "{{files: [{{path: /etc/rancher/k3s/registries.yaml, content: '{content}'}}]}}"
        );
        tells_nothing(&with("", &spec), content);
    }
}

#[test]
fn what_is_no_yaml_shows_no_value_of_a_secrets_key() {
    for text in [
        "users:\n- password: \"hunter2\n",
        "users: [{username: a, password: hunter2]\n",
        "a:\n  password: hunter2\n b: c\n",
        "users:\n- password:\n hunter2: [\n",
        "users:\n- password: 'a\nhunter2: [\n",
        "passwd=\"hunter2\" [: {\n\t-",
        &format!(
            "{{{} password: hunter2, {} [",
            "a: b, ".repeat(9000),
            "c: d, ".repeat(600)
        ),
        &format!("{{{} password: hunter2, c: [d", "\u{e4}: b, ".repeat(9000)),
        "password: hunter2 \0\n",
    ] {
        tells_nothing(&read(text), text);
    }
}

#[test]
fn the_keys_around_a_secret_are_shown() {
    let parsed = with(
        "  users: [{username: Ed, password: aHVudGVyMg==, uid: 7}]\n",
        "{}",
    );
    let shown = rendered(&parsed);
    let line = "2 |   users: [{username: (hidden), password: (hidden), uid: (hidden)}]\n";
    assert_eq!(shown.matches(line).count(), 2, "{shown}");
    assert!(
        shown.contains("  |                      ^^^^^^^^\n"),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("  |{}^^^\n", " ".repeat(52))),
        "{shown}"
    );
}

#[test]
fn of_a_registrys_credential_the_keys_and_the_host_are_shown() {
    let registries = "{configs: {a.example: {auth: {username: u, pasword: hunter2}}}}";
    let text = format!("{K3S}  registries: {registries}\n  spec: {{template: {{spec: {{}}}}}}\n");
    let shown = rendered(&read(&text));
    assert!(
        shown.contains("{a.example: {auth: {username: (hidden), pasword: (hidden)}}}"),
        "{shown}"
    );
}

#[test]
fn of_an_unknown_argument_all_up_to_its_sign_is_shown() {
    let shown = rendered(&with("", "{agentConfig: {kubeletArgs: [max-pod=hunter2]}}"));
    assert!(shown.contains("kubeletArgs: [max-pod=(hidden)]"), "{shown}");
}

#[test]
fn a_secret_does_not_come_back_at_the_cut_of_a_long_line() {
    let far = " ".repeat(300);
    for os in [
        format!("users: [{{username: a, password: {SECRET}{far}, uid: 7}}]"),
        format!("users: [{{uid: 7,{far} username: a, password: {SECRET}}}]"),
        format!(
            "users: [{{username: a, password: \"{}\", uid: 7}}]",
            SECRET.repeat(60)
        ),
    ] {
        tells_nothing(&with(&format!("  {os}\n"), "{}"), &os);
    }
}

#[test]
fn a_model_that_is_printed_shows_no_secret() {
    let text = format!(
        "operatingSystem: {{users: [{{username: a, password: aHVudGVyMg==}}], proxy: {{httpProxy: 'http://u:hunter2@p'}}}}\n\
         {K3S}  registries: {{configs: {{a: {{auth: {{username: u, password: hunter2}}}}}}}}\n  spec: {{template: {{spec: {{}}}}}}\n"
    );
    let shown = format!("{:?}", read(&text).config.expect("valid"));
    assert!(
        !shown.contains(SECRET) && !shown.contains("aHVudGVyMg"),
        "{shown}"
    );
}

/// `script` gives the program a terminal.
#[test]
fn colour_is_for_terminals_alone() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let file = folder.path().join("config-file");
    std::fs::write(&file, EMPTY.replace("{}", "{foo: 1}")).expect("written");
    let file = file.display().to_string();
    let piped = run(&["validate", "--config-file", &file]);
    assert!(!piped.stderr.contains(&0x1b), "{}", stderr(&piped));
    let on_terminal = |set: &str| {
        // A shell reads the call.
        let call = format!("{set} \"$PROGRAM\" validate --config-file \"$FILE\"");
        let done = std::process::Command::new("script")
            .args(["-qec", &call, "/dev/null"])
            .env("PROGRAM", env!("CARGO_BIN_EXE_cluster-bootstrapper"))
            .env("FILE", &file)
            .env_remove("NO_COLOR")
            .output()
            .expect("script is not installed (Debian package bsdutils)");
        assert_eq!(done.status.code(), Some(1));
        done.stdout.contains(&0x1b)
    };
    assert!(on_terminal(""), "no colour on a terminal");
    assert!(!on_terminal("NO_COLOR=1"), "colour in spite of NO_COLOR");
}
