//! The network that machines share: what one sends reaches every other one.
//!
//! QEMU connects a card to a Unix socket (`-netdev stream`) and sends each Ethernet frame behind its length, 32 bits in
//! network byte order (QEMU's net/stream.c). That takes no privileges and no program beside the harness, and the network
//! ends with it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

/// The longest frame, in bytes: QEMU's `NET_BUFSIZE`.
const LONGEST: usize = 4096 + 65536;
/// Frames that wait for a machine that does not take them. Older ones are lost, as in a switch.
const QUEUE: usize = 1024;

/// A frame, and the number of the port that it came in by.
type Frame = (u64, Arc<[u8]>);

/// The network. Dropped, it takes no more machines and carries nothing more.
#[derive(Debug)]
pub struct Hub(AbortHandle);

impl Hub {
    /// A network that machines reach by the Unix socket `socket`, which must not exist.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn listen(socket: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        Ok(Self(tokio::spawn(connect(listener)).abort_handle()))
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn connect(listener: UnixListener) {
    let (frames, _) = broadcast::channel(QUEUE);
    // Dropped with this task, it ends those of the ports.
    let mut ports = tokio::task::JoinSet::new();
    for port in 0.. {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        ports.spawn(serve(stream, port, frames.clone()));
    }
}

/// Carries frames from and to one machine until it ends.
async fn serve(stream: UnixStream, port: u64, frames: broadcast::Sender<Frame>) {
    let received = frames.subscribe();
    let (reader, writer) = stream.into_split();
    // Whatever ends first: the machine is gone.
    let _ = tokio::select! {
        end = take(reader, port, frames) => end,
        end = give(writer, port, received) => end,
    };
}

async fn take(
    mut reader: OwnedReadHalf,
    port: u64,
    frames: broadcast::Sender<Frame>,
) -> io::Result<()> {
    loop {
        let length = usize::try_from(reader.read_u32().await?).unwrap_or(usize::MAX);
        if length > LONGEST {
            let message = format!("a frame of {length} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let mut frame = vec![0; length];
        reader.read_exact(&mut frame).await?;
        // Nobody else may be there.
        let _ = frames.send((port, frame.into()));
    }
}

async fn give(
    mut writer: OwnedWriteHalf,
    port: u64,
    mut frames: broadcast::Receiver<Frame>,
) -> io::Result<()> {
    loop {
        match frames.recv().await {
            Ok((from, _)) if from == port => {}
            Ok((_, frame)) => {
                let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
                writer.write_u32(length).await?;
                writer.write_all(&frame).await?;
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn send(machine: &mut UnixStream, frame: &[u8]) {
        let length = u32::try_from(frame.len()).unwrap();
        machine.write_u32(length).await.unwrap();
        machine.write_all(frame).await.unwrap();
    }

    async fn receive(machine: &mut UnixStream) -> io::Result<Vec<u8>> {
        let length = machine.read_u32().await?;
        let mut frame = vec![0; length as usize];
        machine.read_exact(&mut frame).await?;
        Ok(frame)
    }

    /// Three machines that are connected: each has seen a frame of another one.
    async fn network(directory: &Path) -> (Hub, [UnixStream; 3]) {
        let socket = directory.join("lan");
        let hub = Hub::listen(&socket).unwrap();
        let mut machines = Vec::new();
        for _ in 0..3 {
            let mut new = UnixStream::connect(&socket).await.unwrap();
            if let Some(first) = machines.first_mut() {
                // What is sent before the hub took the machine is not for it.
                loop {
                    send(first, b"hello").await;
                    let answer = std::time::Duration::from_millis(50);
                    if tokio::time::timeout(answer, receive(&mut new))
                        .await
                        .is_ok()
                    {
                        break;
                    }
                }
            }
            machines.push(new);
        }
        (hub, machines.try_into().unwrap())
    }

    /// The next frame that is no greeting.
    async fn next(machine: &mut UnixStream) -> io::Result<Vec<u8>> {
        loop {
            let frame = receive(machine).await?;
            if frame != b"hello" {
                return Ok(frame);
            }
        }
    }

    #[tokio::test]
    async fn a_frame_reaches_every_other_machine_and_not_the_one_that_sent_it() {
        let directory = tempfile::tempdir().unwrap();
        let (_hub, [mut a, mut b, mut c]) = network(directory.path()).await;
        send(&mut a, b"from a").await;
        assert_eq!(next(&mut b).await.unwrap(), b"from a");
        assert_eq!(next(&mut c).await.unwrap(), b"from a");
        send(&mut b, b"").await;
        assert_eq!(next(&mut a).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn what_is_no_frame_costs_its_sender_the_connection() {
        let directory = tempfile::tempdir().unwrap();
        let (_hub, [mut a, mut b, mut c]) = network(directory.path()).await;
        a.write_u32(u32::MAX).await.unwrap();
        assert!(next(&mut a).await.is_err());
        send(&mut b, b"still here").await;
        assert_eq!(next(&mut c).await.unwrap(), b"still here");
    }

    #[tokio::test]
    async fn the_network_ends_with_its_hub() {
        let directory = tempfile::tempdir().unwrap();
        let (hub, [mut a, _, _]) = network(directory.path()).await;
        drop(hub);
        assert!(next(&mut a).await.is_err());
    }
}
