//! Empties the cache of translated code of a machine that QEMU emulates.
//!
//! After a reset the guest writes over pages that the code of the boot before was translated from, and as long
//! as translations of a page are left, every write to it is a slow one: the kernel starts five times as slowly
//! (QEMU 7.2, `tb_invalidate_phys_range`). QEMU has no command for it, but throws all translations away when a
//! debugger makes a single step. So this is a debugger for one step, in GDB's remote serial protocol (GDB
//! manual, appendix E).

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// How long the step may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Makes one step in the machine whose debugger socket is `socket`, and lets it go on.
///
/// # Errors
/// QEMU does not answer, or not as it should.
pub(super) async fn empty(socket: &Path) -> std::io::Result<()> {
    tokio::time::timeout(DEADLINE, single_step(socket))
        .await
        .map_err(|_| std::io::Error::other("QEMU's debugger socket gave no answer"))?
}

async fn single_step(socket: &Path) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(&packet("s")).await?;
    // T05: stopped by SIGTRAP, which is the end of the step.
    wait_for(&mut stream, b"$T05").await?;
    stream.write_all(b"+").await?;
    // Detaching lets the machine go on.
    stream.write_all(&packet("D")).await?;
    wait_for(&mut stream, b"+").await
}

/// `$` text `#` and the sum of the text's bytes.
fn packet(text: &str) -> Vec<u8> {
    let sum = text.bytes().fold(0u8, u8::wrapping_add);
    format!("${text}#{sum:02x}").into_bytes()
}

async fn wait_for(stream: &mut UnixStream, wanted: &[u8]) -> std::io::Result<()> {
    let mut seen = Vec::new();
    while !seen.windows(wanted.len()).any(|part| part == wanted) {
        if stream.read_buf(&mut seen).await? == 0 {
            return Err(std::io::Error::other("QEMU closed its debugger socket"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_ends_with_the_sum_of_its_bytes() {
        assert_eq!(packet("s"), b"$s#73");
        assert_eq!(packet("D"), b"$D#44");
    }

    #[tokio::test]
    async fn steps_once_and_detaches() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("gdb.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let stub = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"$s#73") {
                stream.read_buf(&mut seen).await.unwrap();
            }
            stream.write_all(b"+$T05thread:01;#07").await.unwrap();
            while !seen.ends_with(b"$D#44") {
                stream.read_buf(&mut seen).await.unwrap();
            }
            stream.write_all(b"+").await.unwrap();
        });
        empty(&socket).await.unwrap();
        stub.await.unwrap();
    }

    #[tokio::test]
    async fn a_machine_without_a_socket_is_an_error() {
        assert!(empty(Path::new("/nowhere/gdb.sock")).await.is_err());
    }
}
