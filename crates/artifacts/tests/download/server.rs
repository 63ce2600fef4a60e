//! The release server with the files of a test, in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

/// How long the list of requests may take.
const ANSWER: Duration = Duration::from_secs(10);

/// A running server; it ends with this value.
pub struct Server {
    child: Child,
    dir: tempfile::TempDir,
    pub ready: Ready,
}

/// What the server says when it is ready.
#[derive(Debug, Deserialize)]
pub struct Ready {
    pub url: String,
    pub http: String,
    pub proxy: String,
    pub ca: PathBuf,
}

/// A request that the server got.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    pub method: String,
    pub host: String,
    pub target: String,
    pub range: Option<String>,
    pub secure: bool,
    pub status: u16,
    pub sent: u64,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// A server of one file.
    pub fn of(name: &str, content: &[u8]) -> Self {
        Self::start(&[(name, content)], &[])
    }

    /// A server of several files, with more arguments.
    pub fn start(files: &[(&str, &[u8])], arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let served = dir.path().join("files");
        std::fs::create_dir(&served).unwrap();
        for (name, content) in files {
            std::fs::write(served.join(name), content).unwrap();
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_release-server"))
            .arg(&served)
            .arg("--ca")
            .arg(dir.path().join("ca.pem"))
            .arg("--faults")
            .arg(dir.path().join("faults.json"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Ends with the process if that does not get ready.
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("the server is not ready: {error}: `{line}`"));
        Self { child, dir, ready }
    }

    /// The URL of a release's file.
    pub fn release(&self, name: &str) -> String {
        format!("{}/k3s-io/k3s/releases/download/v1/{name}", self.ready.url)
    }

    /// The URL of a file of the source tree, which is no redirect.
    pub fn raw(&self, name: &str) -> String {
        format!("{}/k3s-io/k3s/v1/{name}", self.ready.url)
    }

    /// From now on a file has this fault alone.
    pub fn fault(&self, name: &str, fault: Value) {
        self.faults(&json!({ name: fault }));
    }

    pub fn no_faults(&self) {
        self.faults(&json!({}));
    }

    fn faults(&self, faults: &Value) {
        // Renamed, because the server may be reading.
        let draft = self.dir.path().join("draft.json");
        std::fs::write(&draft, faults.to_string()).unwrap();
        std::fs::rename(draft, self.dir.path().join("faults.json")).unwrap();
    }

    /// Replaces a file.
    pub fn replace(&self, name: &str, content: &[u8]) {
        std::fs::write(self.dir.path().join("files").join(name), content).unwrap();
    }

    /// All that was asked for so far, but for this.
    pub fn requests(&self) -> Vec<Request> {
        let host = self.ready.http.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(ANSWER)).unwrap();
        write!(stream, "GET /_requests HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// Bytes of bodies that were sent with this status.
    pub fn sent(&self, status: u16) -> Vec<u64> {
        let requests = self.requests().into_iter();
        let sent = requests.filter(|request| request.status == status);
        sent.map(|request| request.sent).collect()
    }

    /// Ends the server's standard input; returns whether it ended with 0.
    pub fn end(mut self) -> bool {
        drop(self.child.stdin.take());
        self.child.wait().unwrap().success()
    }
}
