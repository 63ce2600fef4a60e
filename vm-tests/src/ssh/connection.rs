//! One SSH connection. libssh2 waits for ever unless told otherwise, and QEMU's
//! forwarded port accepts before the guest's sshd does: each attempt is short,
//! and the caller's deadline is over all of them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ssh2::Session;
use thiserror::Error;

use super::log::SshLog;
use super::output::GuestOutput;
use vm::shell::quote;

/// How long one attempt may take to open the connection.
const CONNECT: Duration = Duration::from_secs(3);
/// How long sshd may take for any one step of the login; an emulated CPU needs seconds.
const LOGIN_STEP: Duration = Duration::from_secs(15);

/// Where and as whom to log in.
#[derive(Debug, Clone)]
pub struct SshTarget {
    /// The forwarded port on the host.
    pub address: SocketAddr,
    /// The user.
    pub user: String,
    /// The private key; `<key>.pub` may lie beside it.
    pub identity: PathBuf,
}

/// Why SSH did not work.
#[derive(Debug, Error)]
pub enum SshError {
    /// Nobody listens, or does not accept in time.
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, std::io::Error),
    /// The login failed.
    #[error("{doing} as {user} on {address}: {source}")]
    Login {
        /// The step of the login.
        doing: &'static str,
        /// The user.
        user: String,
        /// The port.
        address: SocketAddr,
        /// libssh2's words.
        source: ssh2::Error,
    },
    /// A command could not be run to its end.
    #[error("the command `{name}` in the guest did not end: {reason}")]
    Command {
        /// The command's name in the log.
        name: String,
        /// What was seen.
        reason: String,
    },
    /// A command failed.
    #[error("the command `{name}` in the guest ended with status {status}: {stderr}")]
    Status {
        /// The command's name in the log.
        name: String,
        /// Its exit status.
        status: i32,
        /// The end of its standard error.
        stderr: String,
    },
}

/// A login in the guest.
#[derive(Clone)]
pub struct Ssh {
    session: Arc<Mutex<Session>>,
    log: SshLog,
}

impl std::fmt::Debug for Ssh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ssh").finish_non_exhaustive()
    }
}

impl Ssh {
    /// Tries once to log in. The guest's host key is not compared with
    /// anything: the machine was made a minute ago and is on the loopback.
    ///
    /// # Errors
    /// Nobody listens yet, or the login is refused.
    pub async fn login(target: SshTarget, log: SshLog) -> Result<Self, SshError> {
        let session = blocking("log in", move || open(&target)).await?;
        Ok(Self {
            session: Arc::new(Mutex::new(session)),
            log,
        })
    }

    /// Runs a shell script. `name` is for the log and for messages;
    /// `limit` bounds the guest's silence, not the whole run: the caller has a
    /// deadline for that.
    ///
    /// # Errors
    /// The connection breaks, or the guest is silent for too long. A status
    /// other than 0 is none.
    pub async fn run(
        &self,
        name: &str,
        script: &str,
        limit: Duration,
    ) -> Result<GuestOutput, SshError> {
        let session = Arc::clone(&self.session);
        // The script goes through standard input: it may be long and hold secrets.
        let (name_sent, script_sent) = (name.to_owned(), script.to_owned());
        let started = Instant::now();
        let result = blocking(name, move || {
            let session = session.lock().unwrap_or_else(PoisonError::into_inner);
            execute(&session, "sh -s", script_sent.as_bytes(), limit).map_err(|error| {
                SshError::Command {
                    name: name_sent,
                    reason: error.to_string(),
                }
            })
        });
        self.logged(name, script, started, result.await)
    }

    fn logged(
        &self,
        name: &str,
        script: &str,
        started: Instant,
        result: Result<GuestOutput, SshError>,
    ) -> Result<GuestOutput, SshError> {
        let error = result.as_ref().err().map(ToString::to_string);
        self.log.record(
            name,
            script,
            started.elapsed(),
            result
                .as_ref()
                .map_err(|_| error.as_deref().unwrap_or_default()),
        );
        result
    }

    /// As [`Ssh::run`]; a status other than 0 is an error.
    ///
    /// # Errors
    /// As there, and a status other than 0.
    pub async fn check(
        &self,
        name: &str,
        script: &str,
        limit: Duration,
    ) -> Result<GuestOutput, SshError> {
        succeeded(name, self.run(name, script, limit).await?)
    }

    /// Writes a file; under its name it appears when it is complete.
    ///
    /// # Errors
    /// The connection breaks, or the guest cannot write the file.
    pub async fn put(
        &self,
        name: &str,
        path: &str,
        bytes: Vec<u8>,
        limit: Duration,
    ) -> Result<(), SshError> {
        let path = Path::new(path);
        let folder = path
            .parent()
            .unwrap_or(Path::new("/"))
            .display()
            .to_string();
        let file = path.file_name().unwrap_or_default().display();
        let (part, whole) = (quote(&format!(".{file}.part")), quote(&file.to_string()));
        let folder = quote(&folder);
        let script =
            format!("mkdir -p {folder} && cd {folder} && cat >{part} && mv {part} {whole}");
        let session = Arc::clone(&self.session);
        let command = format!("sh -c {}", quote(&script));
        let started = Instant::now();
        let sent = name.to_owned();
        let result = blocking(name, move || {
            let session = session.lock().unwrap_or_else(PoisonError::into_inner);
            execute(&session, &command, &bytes, limit).map_err(|error| SshError::Command {
                name: sent,
                reason: error.to_string(),
            })
        });
        let result = self.logged(name, &script, started, result.await)?;
        succeeded(name, result).map(drop)
    }

    /// Gives `use_it` a connection to a port of the guest's own loopback.
    ///
    /// # Errors
    /// The port does not open, or `use_it` fails.
    pub async fn tunnel<T: Send + 'static>(
        &self,
        port: u16,
        limit: Duration,
        use_it: impl FnOnce(ssh2::Channel) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, SshError> {
        let session = Arc::clone(&self.session);
        let name = format!("connect to port {port}");
        let error_name = name.clone();
        blocking(&name, move || {
            let session = session.lock().unwrap_or_else(PoisonError::into_inner);
            session.set_timeout(milliseconds(limit));
            let channel = session
                .channel_direct_tcpip("127.0.0.1", port, None)
                .map_err(std::io::Error::from);
            channel.and_then(use_it).map_err(|error| SshError::Command {
                name: error_name,
                reason: error.to_string(),
            })
        })
        .await
    }
}

/// Takes a status other than 0 for an error.
fn succeeded(name: &str, output: GuestOutput) -> Result<GuestOutput, SshError> {
    if output.status == 0 {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = stderr.lines().rev().take(3).collect();
    let stderr = tail.into_iter().rev().collect::<Vec<_>>().join(" | ");
    Err(SshError::Status {
        name: name.to_owned(),
        status: output.status,
        stderr,
    })
}

fn milliseconds(limit: Duration) -> u32 {
    u32::try_from(limit.as_millis()).unwrap_or(u32::MAX)
}

/// Runs what blocks on a thread of its own, so that a deadline can leave it.
async fn blocking<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, SshError> + Send + 'static,
) -> Result<T, SshError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| {
        Err(SshError::Command {
            name: name.to_owned(),
            reason: error.to_string(),
        })
    })
}

fn open(target: &SshTarget) -> Result<Session, SshError> {
    let SshTarget {
        address,
        user,
        identity,
    } = target;
    let connected = TcpStream::connect_timeout(address, CONNECT)
        .map_err(|error| SshError::Connect(*address, error))?;
    let failed = |doing| {
        move |source| SshError::Login {
            doing,
            user: user.clone(),
            address: *address,
            source,
        }
    };
    let mut session = Session::new().map_err(failed("start SSH"))?;
    session.set_tcp_stream(connected);
    session.set_timeout(milliseconds(LOGIN_STEP));
    session.handshake().map_err(failed("greet sshd"))?;
    // Without the public part beside it libssh2 takes it from the private key.
    let public = public_part(identity);
    session
        .userauth_pubkey_file(user, public.as_deref(), identity, None)
        .map_err(failed("log in with the key"))?;
    Ok(session)
}

/// `<key>.pub`, if it is there.
fn public_part(identity: &Path) -> Option<PathBuf> {
    let mut name = identity.as_os_str().to_owned();
    name.push(".pub");
    Some(PathBuf::from(name)).filter(|path| path.is_file())
}

fn execute(
    session: &Session,
    command: &str,
    input: &[u8],
    limit: Duration,
) -> std::io::Result<GuestOutput> {
    session.set_timeout(milliseconds(limit));
    let mut channel = session.channel_session()?;
    channel.exec(command)?;
    channel.write_all(input)?;
    channel.send_eof()?;
    let mut output = GuestOutput::default();
    channel.read_to_end(&mut output.stdout)?;
    channel.stderr().read_to_end(&mut output.stderr)?;
    channel.wait_close()?;
    output.status = channel.exit_status()?;
    let signal = channel.exit_signal()?.exit_signal;
    signal.map_or(Ok(output), |signal| {
        Err(std::io::Error::other(format!("ended by signal {signal}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_nobody_has_is_named() {
        // A listener that is gone again: the port is free and refuses.
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let log = SshLog::new(
            &folder.path().join("ssh.jsonl"),
            super::super::Secrets::default(),
        )
        .unwrap();
        let target = SshTarget {
            address,
            user: "root".into(),
            identity: folder.path().join("id"),
        };
        let error = Ssh::login(target, log).await.unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
    }
}
