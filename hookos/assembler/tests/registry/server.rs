//! Debian's docker-registry on a free loopback port, with the images of a test in it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use hookos::oci::sha256_hex;
use serde_json::{Value, json};

use crate::tokens;

/// How long the server may take to listen.
const START: Duration = Duration::from_secs(30);

/// What the server asks of its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    pub tls: bool,
    /// User `user`, password `secret`.
    pub login: bool,
    /// Bearer tokens, of the token server of these tests; `login` is what that one then asks for.
    pub tokens: bool,
}

/// The password `secret` as bcrypt has it.
const HTPASSWD: &str = "user:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A running registry; its process ends with this value.
pub struct Server {
    child: Child,
    pub dir: tempfile::TempDir,
    /// `127.0.0.1:PORT`.
    pub host: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts one with an image `team/tool:1` for linux/amd64, in an index that also names another
    /// platform. `file` is the content of its only file, `tool`.
    pub fn start(demands: Demands, file: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Image::of(file).publish(dir.path(), "1");
        let config = dir.path().join("config.json");
        fs_err::write(&config, config_of(demands, dir.path()).to_string()).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry is installed (Debian package docker-registry)");
        let lines = lines_of(child.stderr.take().unwrap());
        let mut server = Self {
            child,
            dir,
            host: String::new(),
        };
        server.host = address(&lines);
        server
    }

    /// The certificate that clients have to trust.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Puts another image under the tag.
    pub fn move_tag(&self, tag: &str, file: &str) {
        Image::of(file).publish(self.dir.path(), tag);
    }

    /// Overwrites every stored copy of a layer with other bytes.
    pub fn damage_layer(&self, file: &str) {
        let layer = Image::of(file).layer;
        fs_err::write(blob_path(self.dir.path(), &sha256_hex(&layer)), "damaged").unwrap();
    }
}

fn lines_of(stderr: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // Nobody listens any more once the address is known.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// The address that the server logs; it chooses the port itself.
fn address(lines: &Receiver<String>) -> String {
    let mut seen = String::new();
    loop {
        match lines.recv_timeout(START) {
            Ok(line) => {
                if let Some((_, rest)) = line.split_once("listening on ") {
                    let end = rest.find([',', '"', ' ']).unwrap_or(rest.len());
                    return rest[..end].to_owned();
                }
                seen.push_str(&line);
                seen.push('\n');
            }
            Err(RecvTimeoutError::Timeout) => {
                panic!("docker-registry does not listen after {START:?}; it said:\n{seen}")
            }
            Err(RecvTimeoutError::Disconnected) => panic!("docker-registry ended:\n{seen}"),
        }
    }
}

/// JSON is YAML, too.
fn config_of(demands: Demands, dir: &Path) -> Value {
    let mut config = json!({
        "version": 0.1,
        "log": { "level": "info", "formatter": "text", "accesslog": { "disabled": true } },
        "storage": {
            "filesystem": { "rootdirectory": dir.join("data") },
            "delete": { "enabled": false },
        },
        "http": { "addr": "127.0.0.1:0", "secret": "of a test" },
    });
    if demands.tls {
        make_certificates(dir);
        config["http"]["tls"] =
            json!({ "certificate": dir.join("server.pem"), "key": dir.join("server.key") });
    }
    if demands.tokens {
        config["auth"] = tokens::start(dir, demands.login);
    } else if demands.login {
        let path = dir.join("htpasswd");
        fs_err::write(&path, HTPASSWD).unwrap();
        config["auth"] = json!({ "htpasswd": { "realm": "test", "path": path } });
    }
    config
}

/// A certificate authority of its own and a server certificate for 127.0.0.1.
fn make_certificates(dir: &Path) {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .current_dir(dir)
            .args(arguments)
            .output()
            .expect("openssl is installed");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments:?}: {text}");
    };
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    let ca = [
        "-x509", "-subj", "/CN=test", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem",
    ];
    openssl(&[["req"].as_slice(), &key, &ca].concat());
    let request = [
        "-subj",
        "/CN=127.0.0.1",
        "-keyout",
        "server.key",
        "-out",
        "server.csr",
    ];
    openssl(&[["req"].as_slice(), &key, &request].concat());
    fs_err::write(
        dir.join("extensions"),
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    openssl(&[
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-days",
        "2",
        "-CAcreateserial",
        "-extfile",
        "extensions",
        "-out",
        "server.pem",
    ]);
}

/// The documents of an image.
struct Image {
    layer: Vec<u8>,
    config: Vec<u8>,
    manifest: Vec<u8>,
    index: Vec<u8>,
}

impl Image {
    fn of(file: &str) -> Self {
        let mut layer = Vec::new();
        let entry = hookos::oci::Entry::file("tool", 0o755, file);
        hookos::oci::write_tar(&[entry], &mut layer).unwrap();
        let digest = |data: &[u8]| format!("sha256:{}", sha256_hex(data));
        let descriptor = |kind: &str, data: &[u8]| {
            json!({
                "mediaType": format!("application/vnd.oci.image.{kind}"),
                "digest": digest(data), "size": data.len(),
            })
        };
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("config.v1+json", &config),
            "layers": [descriptor("layer.v1.tar", &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let mut own = descriptor("manifest.v1+json", &manifest);
        own["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        let mut other = descriptor("manifest.v1+json", b"not there");
        other["platform"] = json!({ "os": "linux", "architecture": "arm64" });
        let index = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [other, own],
        });
        let index = index.to_string().into_bytes();
        Self {
            layer,
            config,
            manifest,
            index,
        }
    }

    /// Writes it to the server's storage, as its own file system driver lays it out.
    fn publish(&self, dir: &Path, tag: &str) {
        let repository = dir.join("data/docker/registry/v2/repositories/team/tool");
        let link = |path: PathBuf, hex: &str| {
            fs_err::create_dir_all(&path).unwrap();
            fs_err::write(path.join("link"), format!("sha256:{hex}")).unwrap();
        };
        for data in [&self.layer, &self.config, &self.manifest, &self.index] {
            let hex = sha256_hex(data);
            let path = blob_path(dir, &hex);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, data).unwrap();
            link(repository.join("_layers/sha256").join(&hex), &hex);
            link(
                repository.join("_manifests/revisions/sha256").join(&hex),
                &hex,
            );
        }
        let hex = sha256_hex(&self.index);
        let tags = repository.join("_manifests/tags").join(tag);
        link(tags.join("current"), &hex);
        link(tags.join("index/sha256").join(&hex), &hex);
    }
}

fn blob_path(dir: &Path, hex: &str) -> PathBuf {
    let blobs = dir.join("data/docker/registry/v2/blobs/sha256");
    blobs.join(&hex[..2]).join(hex).join("data")
}
