//! QEMU's control channel. Commands are qapi's types; the transport is our own,
//! because qapi's events are a closed enum and a newer QEMU's event would end it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use qapi::{Command, qmp};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, oneshot};

/// How long QEMU may take to answer one command.
const ANSWER: Duration = Duration::from_secs(30);

/// Why a command had no result.
#[derive(Debug, Error)]
pub enum QmpError {
    /// The channel is closed: QEMU has ended.
    #[error("the control channel is closed: QEMU has ended")]
    Closed,
    /// No answer came.
    #[error("QEMU did not answer `{0}` within {ANSWER:?}")]
    Silent(&'static str),
    /// QEMU refused the command.
    #[error("QEMU refused `{command}`: {description}")]
    Refused {
        /// The command.
        command: &'static str,
        /// QEMU's words.
        description: String,
    },
    /// The answer is not what the command's type says.
    #[error("QEMU's answer to `{0}` cannot be read")]
    Answer(&'static str, #[source] serde_json::Error),
    /// The channel or its log failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// An event as it came, known to us or not.
#[derive(Debug, Clone, PartialEq)]
pub struct QmpEvent {
    /// Its name, such as `RESET`.
    pub name: String,
    /// Its data; null when it has none.
    pub data: Value,
}

impl QmpEvent {
    /// True for the machine's reset asked for by the guest: a reboot. Of a machine that does not start again then
    /// (`-action reboot=shutdown`), QEMU says that it was shut down, and why.
    #[must_use]
    pub fn is_guest_reset(&self) -> bool {
        match self.name.as_str() {
            "RESET" => self.data.get("guest").and_then(Value::as_bool) == Some(true),
            "SHUTDOWN" => self.data.get("reason").and_then(Value::as_str) == Some("guest-reset"),
            _ => false,
        }
    }
}

type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Value>>>>>;
type Log = Arc<Mutex<fs_err::File>>;

/// The control channel of one QEMU.
#[derive(Debug)]
pub struct Qmp {
    writer: tokio::sync::Mutex<(OwnedWriteHalf, u64)>,
    waiting: Waiting,
    events: broadcast::Sender<QmpEvent>,
    log: Log,
}

impl Qmp {
    /// Takes the greeting, negotiates, and logs every message to `log`.
    ///
    /// # Errors
    /// QEMU does not speak, or the log cannot be written.
    pub async fn new(stream: UnixStream, log: &Path) -> Result<Self, QmpError> {
        let log = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)?;
        let log: Log = Arc::new(Mutex::new(log));
        let (reader, writer) = stream.into_split();
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let (events, _) = broadcast::channel(1024);
        tokio::spawn(read_all(
            reader,
            Arc::clone(&waiting),
            events.clone(),
            Arc::clone(&log),
        ));
        let qmp = Self {
            writer: tokio::sync::Mutex::new((writer, 0)),
            waiting,
            events,
            log,
        };
        qmp.execute(qmp::qmp_capabilities { enable: None }).await?;
        Ok(qmp)
    }

    /// Runs a command and waits for its result.
    ///
    /// # Errors
    /// QEMU refuses, ends, or does not answer in time.
    pub async fn execute<C: Command>(&self, command: C) -> Result<C::Ok, QmpError> {
        let arguments =
            serde_json::to_value(&command).map_err(|error| QmpError::Answer(C::NAME, error))?;
        let answer = self.ask(C::NAME, arguments).await?;
        serde_json::from_value(answer).map_err(|error| QmpError::Answer(C::NAME, error))
    }

    /// The same for what QEMU has more forms of than qapi's types.
    ///
    /// # Errors
    /// Those of [`Qmp::execute`].
    pub(crate) async fn ask(
        &self,
        command: &'static str,
        arguments: Value,
    ) -> Result<Value, QmpError> {
        let answer = tokio::time::timeout(ANSWER, self.call(command, arguments));
        let mut answer = answer.await.map_err(|_| QmpError::Silent(command))??;
        if let Some(error) = answer.get("error") {
            let description = error["desc"]
                .as_str()
                .unwrap_or("no reason given")
                .to_owned();
            return Err(QmpError::Refused {
                command,
                description,
            });
        }
        Ok(answer["return"].take())
    }

    /// The events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<QmpEvent> {
        self.events.subscribe()
    }

    /// A command of the human monitor, for what QMP has no command for.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub async fn monitor(&self, line: &str) -> Result<String, QmpError> {
        self.execute(qmp::human_monitor_command {
            command_line: line.to_owned(),
            cpu_index: None,
        })
        .await
    }

    /// Writes what is on the screen to `png`.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub async fn screenshot(&self, png: &Path) -> Result<(), QmpError> {
        let filename = png.to_string_lossy().into_owned();
        let command = qmp::screendump {
            device: None,
            head: None,
            format: Some(qmp::ImageFormat::png),
            filename,
        };
        self.execute(command).await.map(|_| ())
    }

    /// Asks QEMU to end.
    ///
    /// # Errors
    /// As [`Qmp::execute`]; a channel that closes instead of an answer is none.
    pub async fn quit(&self) -> Result<(), QmpError> {
        match self.execute(qmp::quit {}).await {
            Ok(_) | Err(QmpError::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn call(&self, name: &'static str, arguments: Value) -> Result<Value, QmpError> {
        let answer = {
            let mut writer = self.writer.lock().await;
            let id = writer.1;
            writer.1 += 1;
            let (sender, answer) = oneshot::channel();
            lock(&self.waiting)
                .as_mut()
                .ok_or(QmpError::Closed)?
                .insert(id, sender);
            let mut message = json!({"execute": name, "id": id});
            if arguments
                .as_object()
                .is_some_and(|object| !object.is_empty())
            {
                message["arguments"] = arguments;
            }
            record(&self.log, "to", &message);
            let sent = writer.0.write_all(format!("{message}\n").as_bytes()).await;
            sent.map_err(|_| QmpError::Closed)?;
            answer
        };
        answer.await.map_err(|_| QmpError::Closed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read_all(
    reader: OwnedReadHalf,
    waiting: Waiting,
    events: broadcast::Sender<QmpEvent>,
    log: Log,
) {
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        record(&log, "from", &message);
        if let Some(name) = message.get("event").and_then(Value::as_str) {
            let _ = events.send(QmpEvent {
                name: name.to_owned(),
                data: message["data"].clone(),
            });
        } else if let Some(id) = message.get("id").and_then(Value::as_u64) {
            let sender = lock(&waiting)
                .as_mut()
                .and_then(|waiting| waiting.remove(&id));
            if let Some(sender) = sender {
                let _ = sender.send(message);
            }
        }
    }
    // Dropping the senders tells all who wait that nothing will come.
    lock(&waiting).take();
}

/// One line of the log. A log that cannot be written must not end the machine.
fn record(log: &Log, direction: &str, message: &Value) {
    use std::io::Write;
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let line = json!({"time": time, direction: message});
    let _ = writeln!(lock(log), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other end of a channel: says `lines` after the negotiation, then closes.
    async fn fake_qemu(stream: UnixStream, lines: &'static [&'static str]) {
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader).lines();
        writer.write_all(b"{\"QMP\": {}}\n").await.unwrap();
        reader.next_line().await.unwrap();
        writer
            .write_all(b"{\"return\": {}, \"id\": 0}\n")
            .await
            .unwrap();
        reader.next_line().await.unwrap();
        for line in lines {
            writer.write_all(line.as_bytes()).await.unwrap();
            writer.write_all(b"\n").await.unwrap();
        }
    }

    async fn talk(lines: &'static [&'static str]) -> (Result<String, QmpError>, Option<QmpEvent>) {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        tokio::spawn(fake_qemu(theirs, lines));
        let qmp = Qmp::new(ours, &folder.path().join("qmp.jsonl"))
            .await
            .unwrap();
        let mut events = qmp.events();
        let answer = qmp.monitor("info usernet").await;
        (answer, events.try_recv().ok())
    }

    #[tokio::test]
    async fn survives_an_event_that_nobody_knows() {
        let lines = &[
            r#"{"event": "NEW_IN_QEMU_99", "data": {"x": 1}}"#,
            r#"{"return": "text", "id": 1}"#,
        ];
        let (answer, event) = talk(lines).await;
        assert_eq!(
            (answer.unwrap().as_str(), event.unwrap().name.as_str()),
            ("text", "NEW_IN_QEMU_99")
        );
    }

    #[tokio::test]
    async fn a_refusal_carries_qemus_words() {
        let (answer, _) =
            talk(&[r#"{"error": {"class": "GenericError", "desc": "no such thing"}, "id": 1}"#])
                .await;
        assert_eq!(
            answer.unwrap_err().to_string(),
            "QEMU refused `human-monitor-command`: no such thing"
        );
    }

    #[tokio::test]
    async fn a_closed_channel_ends_the_wait() {
        let (answer, _) = talk(&[]).await;
        assert!(matches!(answer, Err(QmpError::Closed)));
    }
}
