//! Pulling from a real registry: Debian's docker-registry, with and without TLS, a login and tokens.
#![cfg(feature = "registry")]

mod server;
mod tokens;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hookos::lock::Lock;
use hookos::oci::{ImageSource, sha256_hex};
use hookos::{Request, assemble};

use server::{Demands, Server};

const OPEN: Demands = Demands {
    tls: false,
    login: false,
    tokens: false,
};

/// A folder with a definition that names `HOST/team/tool:1`, and a Docker configuration.
struct Client {
    dir: tempfile::TempDir,
    reference: String,
}

impl Client {
    fn of(server: &Server) -> Self {
        Self::naming(&server.host)
    }

    fn naming(host: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let reference = format!("{host}/team/tool:1");
        fs_err::write(
            dir.path().join("os.yaml"),
            format!("init: [\"{reference}\"]\n"),
        )
        .unwrap();
        Self { dir, reference }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes Docker's configuration say what the login of `host` is.
    fn log_in(&self, host: &str, user_and_password: &str) {
        use base64::Engine as _;
        let auth = base64::engine::general_purpose::STANDARD.encode(user_and_password);
        let config = serde_json::json!({ "auths": { host: { "auth": auth } } });
        fs_err::write(self.path("config.json"), config.to_string()).unwrap();
    }

    /// Makes Docker's configuration name a credential helper, which is `script`.
    fn use_helper(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let helper = self.path("docker-credential-test");
        fs_err::write(&helper, script).unwrap();
        fs_err::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        fs_err::write(self.path("config.json"), r#"{"credsStore": "test"}"#).unwrap();
    }

    fn pull(&self, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new(env!("CARGO_BIN_EXE_hookos"))
            .arg("pull")
            .arg(self.path("os.yaml"))
            .arg("--into")
            .arg(self.path("pulled"))
            .args(arguments)
            .env("DOCKER_CONFIG", self.dir.path())
            .env("PATH", format!("{}:{path}", self.dir.path().display()))
            .env_remove("HTTP_PROXY")
            .env_remove("http_proxy")
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy")
            .env_remove("ALL_PROXY")
            .output()
            .unwrap()
    }

    fn pulled(&self, arguments: &[&str]) -> String {
        let output = self.pull(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.pull(arguments);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "it was pulled: {text}");
        assert!(
            !self.path("os.lock").exists(),
            "a failed pull wrote the lock file"
        );
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn locked(&self) -> Option<String> {
        let lock = Lock::read(&self.path("os.lock")).unwrap();
        lock.get(&self.reference).map(str::to_owned)
    }

    /// Assembles what was pulled and looks for `text` in its tree.
    fn assembles_to(&self, text: &str) -> bool {
        let images = ImageSource::open([self.path("pulled")]).unwrap();
        let mut request = Request::new(self.path("os.yaml"), images, self.path("out"));
        request.tar = true;
        let tar = assemble(&request).unwrap().tar.unwrap();
        contains(&fs_err::read(tar).unwrap(), text.as_bytes())
    }
}

fn contains(data: &[u8], text: &[u8]) -> bool {
    data.windows(text.len()).any(|window| window == text)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_image_is_pulled_and_its_tag_is_locked() {
    let server = Server::start(OPEN, "first");
    let client = Client::of(&server);
    let out = client.pulled(&["--plain-http", &server.host]);
    assert!(out.contains("pulled") && out.contains("os.lock"), "{out}");
    assert!(client.assembles_to("first"));
    let digest = client.locked().unwrap();
    let index = client
        .path("pulled/blobs/sha256")
        .join(&digest["sha256:".len()..]);
    assert_eq!(
        digest,
        format!("sha256:{}", sha256_hex(&fs_err::read(index).unwrap()))
    );
}

#[test]
fn a_locked_tag_stays_until_the_lock_is_renewed() {
    let server = Server::start(OPEN, "first");
    let client = Client::of(&server);
    let plain = ["--plain-http", &server.host];
    client.pulled(&plain);
    let first = client.locked();
    server.move_tag("1", "second");
    let out = client.pulled(&plain);
    assert!(out.contains("present"), "{out}");
    fs_err::remove_dir_all(client.path("pulled")).unwrap();
    client.pulled(&plain);
    assert!(client.locked() == first && client.assembles_to("first"));
    client.pulled(&["--plain-http", &server.host, "--update-lock"]);
    assert!(client.locked() != first && client.assembles_to("second"));
}

#[test]
fn what_is_pulled_needs_no_network() {
    let server = Server::start(OPEN, "first");
    let client = Client::of(&server);
    client.pulled(&["--plain-http", &server.host]);
    drop(server);
    assert!(client.pulled(&[]).contains("present"));
    // And what a local layout has is never asked for, even without a lock.
    fs_err::rename(client.path("pulled"), client.path("local")).unwrap();
    fs_err::remove_file(client.path("os.lock")).unwrap();
    let local = client.path("local");
    assert_eq!(client.pulled(&["--images", text(&local)]), "");
}

#[test]
fn a_registry_without_tls_has_to_be_named() {
    let server = Server::start(OPEN, "first");
    let client = Client::of(&server);
    let error = client.refused(&[]);
    assert!(error.contains(&server.host), "{error}");
}

#[test]
fn tls_needs_a_trusted_certificate() {
    let demands = Demands { tls: true, ..OPEN };
    let server = Server::start(demands, "over TLS");
    let client = Client::of(&server);
    let error = client.refused(&[]);
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    client.pulled(&["--ca", text(&server.certificate())]);
    assert!(client.assembles_to("over TLS"));
}

#[test]
fn a_login_is_taken_from_dockers_configuration() {
    let demands = Demands {
        tls: true,
        login: true,
        ..OPEN
    };
    let server = Server::start(demands, "behind a login");
    let client = Client::of(&server);
    let certificate = server.certificate();
    let trust = ["--ca", text(&certificate)];
    let error = client.refused(&trust);
    assert!(error.contains("uthori"), "{error}");
    client.log_in(&server.host, "user:wrong");
    let error = client.refused(&trust);
    assert!(
        error.contains("uthori") && !error.contains("wrong"),
        "{error}"
    );
    client.log_in(&server.host, "user:secret");
    client.pulled(&trust);
    assert!(client.assembles_to("behind a login"));
}

#[test]
fn a_token_is_fetched_where_the_registry_says() {
    let demands = Demands {
        tls: true,
        tokens: true,
        ..OPEN
    };
    let server = Server::start(demands, "for everybody's token");
    let client = Client::of(&server);
    client.pulled(&["--ca", text(&server.certificate())]);
    assert!(client.assembles_to("for everybody's token"));
}

#[test]
fn a_token_is_asked_for_with_the_login() {
    let demands = Demands {
        tls: true,
        login: true,
        tokens: true,
    };
    let server = Server::start(demands, "for a user's token");
    let client = Client::of(&server);
    let certificate = server.certificate();
    let trust = ["--ca", text(&certificate)];
    let error = client.refused(&trust);
    assert!(error.contains("uthori"), "{error}");
    client.log_in(&server.host, "user:wrong");
    let error = client.refused(&trust);
    assert!(
        error.contains("uthori") && !error.contains("wrong"),
        "{error}"
    );
    client.log_in(&server.host, "user:secret");
    client.pulled(&trust);
    assert!(client.assembles_to("for a user's token"));
}

#[test]
fn a_credential_helper_is_asked() {
    let demands = Demands {
        login: true,
        ..OPEN
    };
    let server = Server::start(demands, "with a helper");
    let client = Client::of(&server);
    client.use_helper(
        "#!/bin/sh\ncat >/dev/null\necho '{\"Username\": \"user\", \"Secret\": \"secret\"}'\n",
    );
    client.pulled(&["--plain-http", &server.host]);
    assert!(client.assembles_to("with a helper"));
}

#[test]
fn a_helper_that_fails_is_named_and_its_output_is_not_shown() {
    let server = Server::start(OPEN, "x");
    let client = Client::of(&server);
    client.use_helper("#!/bin/sh\ncat >/dev/null\necho hush\nexit 1\n");
    let error = client.refused(&["--plain-http", &server.host]);
    assert!(
        error.contains("docker-credential-test") && !error.contains("hush"),
        "{error}"
    );
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_itself_after_it() {
    let server = Server::start(OPEN, "from the mirror");
    // A name that can be nobody's: RFC 2606.
    let client = Client::naming("registry.invalid");
    let mirror = format!("registry.invalid=http://{}", server.host);
    client.pulled(&["--mirror", &mirror]);
    assert!(client.assembles_to("from the mirror"));
    // Nothing listens on the port of the first mirror.
    let client = Client::of(&server);
    client.pulled(&[
        "--mirror",
        "http://127.0.0.1:1",
        "--plain-http",
        &server.host,
    ]);
    assert!(client.assembles_to("from the mirror"));
}

#[test]
fn a_damaged_blob_is_refused() {
    let server = Server::start(OPEN, "whole");
    server.damage_layer("whole");
    let client = Client::of(&server);
    let error = client.refused(&["--plain-http", &server.host]);
    assert!(
        error.to_lowercase().contains("digest") || error.contains("sha256:"),
        "{error}"
    );
    let blobs = fs_err::read_dir(client.path("pulled/blobs/sha256")).unwrap();
    for blob in blobs {
        let path = blob.unwrap().path();
        let hex = sha256_hex(&fs_err::read(&path).unwrap());
        assert!(path.ends_with(hex), "{} is damaged", path.display());
    }
}

#[test]
fn an_image_that_is_not_there_is_named_with_the_registry() {
    let server = Server::start(OPEN, "x");
    let client = Client::of(&server);
    let yaml = format!("init: [\"{}/team/other:1\"]\n", server.host);
    fs_err::write(client.path("os.yaml"), yaml).unwrap();
    let error = client.refused(&["--plain-http", &server.host]);
    assert!(
        error.contains("team/other:1") && error.contains(&server.host),
        "{error}"
    );
}

#[test]
fn all_images_that_no_registry_has_are_named() {
    let server = Server::start(OPEN, "x");
    let client = Client::of(&server);
    let host = &server.host;
    let yaml =
        format!("init: [\"{host}/team/a:1\", \"{host}/team/tool:1\", \"{host}/team/b:1\"]\n");
    fs_err::write(client.path("os.yaml"), yaml).unwrap();
    let output = client.pull(&["--plain-http", host]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{errors}");
    assert!(errors.contains("team/a:1"), "{errors}");
    assert!(errors.contains("team/b:1"), "{errors}");
    assert!(!errors.contains("team/tool:1"), "{errors}");
    assert!(client.locked().is_some(), "what was pulled is locked");
}

#[test]
fn damaged_content_is_not_taken_for_an_absent_image() {
    let server = Server::start(OPEN, "whole");
    server.damage_layer("whole");
    let client = Client::of(&server);
    let output = client.pull(&["--plain-http", &server.host]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn an_image_that_is_made_elsewhere_is_not_asked_for() {
    // A name that can be nobody's: RFC 2606.
    let client = Client::naming("registry.invalid");
    assert_eq!(client.pulled(&["--except", &client.reference]), "");
}

#[test]
fn the_lock_file_can_be_elsewhere() {
    let server = Server::start(OPEN, "first");
    let client = Client::of(&server);
    let lock = client.path("other.lock");
    client.pulled(&["--plain-http", &server.host, "--lock", text(&lock)]);
    assert!(client.locked().is_none());
    let digest = Lock::read(&lock).unwrap();
    assert!(digest.get(&client.reference).is_some());
}
