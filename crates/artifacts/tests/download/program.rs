//! The program `artifacts` in a directory of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use artifacts::Sha256;
use artifacts::request::{Download, Failure, Fetched, Outcome, Report, Request};

use crate::server::Server;

/// How long a run may take; its own limits are far below.
const DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(5);
/// Variables that would lead the program elsewhere.
const PROXIES: [&str; 8] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// A request and where its files are.
pub struct Program {
    dir: tempfile::TempDir,
    pub request: Request,
    environment: Vec<(String, String)>,
    limit: Option<u64>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Done {
    pub status: ExitStatus,
    pub messages: String,
    pub report: Option<Report>,
}

/// A run that has not ended.
pub struct Running {
    child: Child,
    output: PathBuf,
    messages: PathBuf,
}

impl Program {
    /// Will fetch `name` as a release's file of `server`; `content` is what is expected.
    pub fn of(server: &Server, name: &str, content: &[u8]) -> Self {
        let mut program = Self::new(server);
        program.add(name, vec![server.release(name)], Some(content));
        program
    }

    /// Will fetch nothing yet. A server may be silent for 2 s.
    pub fn new(server: &Server) -> Self {
        let mut request = Request::new(Vec::new());
        request.ca.push(server.ready.ca.clone());
        request.silence = 2;
        Self {
            dir: tempfile::tempdir().unwrap(),
            request,
            environment: Vec::new(),
            limit: None,
        }
    }

    pub fn add(&mut self, name: &str, urls: Vec<String>, content: Option<&[u8]>) {
        let path = self.dir.path();
        self.request.downloads.push(Download {
            name: name.into(),
            urls,
            sha256: content.map(Sha256::of),
            size: content.map(|content| content.len() as u64),
            max_size: 1 << 30,
            partial: path.join("partial").join(name),
            target: path.join("store").join(name),
        });
    }

    /// The only or first download.
    pub fn first(&mut self) -> &mut Download {
        &mut self.request.downloads[0]
    }

    pub fn set(&mut self, variable: &str, value: &str) {
        self.environment.push((variable.into(), value.into()));
    }

    /// Files cannot grow beyond so many KiB.
    pub fn limit_files(&mut self, kibibytes: u64) {
        self.limit = Some(kibibytes);
    }

    pub fn target(&self, name: &str) -> PathBuf {
        self.dir.path().join("store").join(name)
    }

    pub fn partial(&self, name: &str) -> PathBuf {
        self.dir.path().join("partial").join(name)
    }

    pub fn length_of_partial(&self, name: &str) -> u64 {
        std::fs::metadata(self.partial(name)).map_or(0, |it| it.len())
    }

    /// Runs to the end.
    pub fn fetch(&self) -> Done {
        self.start().wait()
    }

    pub fn start(&self) -> Running {
        self.start_as("run")
    }

    /// A run with files of its own for what it prints.
    pub fn start_as(&self, name: &str) -> Running {
        let path = |end: &str| self.dir.path().join(format!("{name}.{end}"));
        let request = path("json");
        std::fs::write(&request, serde_json::to_vec(&self.request).unwrap()).unwrap();
        let mut command = self.command();
        command.arg("fetch").arg(&request);
        start(command, path("out"), path("err"))
    }

    /// A run whose parent is a shell, which is what is started here.
    pub fn start_under_a_shell(&self) -> Running {
        let path = |end: &str| self.dir.path().join(format!("run.{end}"));
        let request = path("json");
        std::fs::write(&request, serde_json::to_vec(&self.request).unwrap()).unwrap();
        let mut command = Command::new("bash");
        // With a command behind it the shell does not become the program.
        let program = env!("CARGO_BIN_EXE_artifacts");
        command.args(["-c", "\"$0\" fetch \"$1\"; exit $?", program]);
        command.arg(&request);
        start(command, path("out"), path("err"))
    }

    fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_artifacts");
        let mut command = match self.limit {
            None => Command::new(program),
            Some(limit) => {
                let mut shell = Command::new("bash");
                let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" \"$@\"");
                shell.args(["-c", &script, program]);
                shell
            }
        };
        PROXIES.iter().for_each(|name| _ = command.env_remove(name));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Runs `artifacts` with these arguments.
pub fn run(arguments: &[&Path], dir: &Path) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_artifacts"));
    PROXIES.iter().for_each(|name| _ = command.env_remove(name));
    command.args(arguments);
    start(command, dir.join("out"), dir.join("err")).wait()
}

fn start(mut command: Command, output: PathBuf, messages: PathBuf) -> Running {
    let child = command
        .stdout(File::create(&output).unwrap())
        .stderr(File::create(&messages).unwrap())
        .spawn()
        .unwrap();
    Running {
        child,
        output,
        messages,
    }
}

impl Running {
    pub fn messages(&self) -> String {
        std::fs::read_to_string(&self.messages).unwrap()
    }

    /// Waits until `seen` holds while the program runs.
    pub fn until(&mut self, what: &str, seen: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !seen(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended before {what}: {}", self.messages());
            assert!(Instant::now() < deadline, "no {what}: {}", self.messages());
            std::thread::sleep(POLL);
        }
    }

    /// Waits for a message of a program that is no child of this one any more.
    pub fn until_it_says(&self, text: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.messages().contains(text) {
            assert!(
                Instant::now() < deadline,
                "no `{text}`: {}",
                self.messages()
            );
            std::thread::sleep(POLL);
        }
    }

    /// The most memory that was resident so far, in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
    }

    pub fn wait(mut self) -> Done {
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("still running after {DEADLINE:?}: {}", self.messages());
            }
            std::thread::sleep(POLL);
        };
        self.done(status)
    }

    pub fn done(self, status: ExitStatus) -> Done {
        let output = std::fs::read(&self.output).unwrap();
        Done {
            status,
            messages: self.messages(),
            report: serde_json::from_slice(&output).ok(),
        }
    }
}

impl Done {
    /// The first download, which came.
    pub fn fetched(&self) -> &Fetched {
        match &self.report.as_ref().expect(&self.messages).outcomes[0] {
            Outcome::Fetched(fetched) => fetched,
            Outcome::Failed(failure) => panic!("{failure}\n---\n{}", self.messages),
        }
    }

    /// The first download, which failed, with exit status 1.
    pub fn failure(&self) -> &Failure {
        assert_eq!(self.status.code(), Some(1), "{}", self.messages);
        match &self.report.as_ref().expect(&self.messages).outcomes[0] {
            Outcome::Failed(failure) => failure,
            Outcome::Fetched(fetched) => panic!("{fetched:?}\n---\n{}", self.messages),
        }
    }

    /// Whether each of `parts` is in what the failure says, which is also what people read.
    pub fn says(&self, parts: &[&str]) {
        let text = self.failure().to_string();
        assert!(
            self.messages.contains(&text),
            "{}\n---\n{text}",
            self.messages
        );
        for part in parts {
            assert!(text.contains(part), "no `{part}` in:\n{text}");
        }
    }
}

/// Bytes that do not repeat soon.
pub fn content(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // Knuth's constants of MMIX.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
