//! A connection: requests are read, answers sent, with the faults that were asked for.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use crate::Server;
use crate::faults::Fault;
use crate::head::Head;
use crate::requests::Request;
use crate::respond::{Answer, answer};

/// Bytes that are sent at once.
const BLOCK: usize = 256 * 1024;
/// How often a slow line sends something.
const BEAT: Duration = Duration::from_millis(50);

/// Answers requests until the client or a fault ends the connection.
pub async fn serve<S>(stream: S, server: &Server, secure: bool) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    while let Some(head) = Head::read(&mut stream).await? {
        let answer = answer(server, &head, secure);
        let record = (head.target != "/_requests").then(|| server.requests.add(&head, secure));
        if !send(stream.get_mut(), answer, record.as_deref()).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Sends an answer; false if the connection ends with it.
async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    answer: Answer,
    record: Option<&Request>,
) -> io::Result<bool> {
    if let Some(record) = record {
        record.answered(answer.status);
    }
    let length = answer.to - answer.from;
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    if answer.fault.no_length {
        head += "Connection: close\r\n";
    } else {
        head += &format!("Content-Length: {length}\r\n");
    }
    for (name, value) in &answer.fields {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes()).await?;
    let no_length = answer.fault.no_length;
    let whole = body(stream, answer, record).await?;
    stream.flush().await?;
    if whole && no_length {
        // With TLS' own end, which tells it from one in the middle.
        stream.shutdown().await?;
    }
    Ok(whole && !no_length)
}

/// Sends the body; false if a fault ends it.
async fn body(
    stream: &mut (impl AsyncWrite + Unpin),
    answer: Answer,
    record: Option<&Request>,
) -> io::Result<bool> {
    let Answer {
        content,
        from,
        to,
        fault,
        ..
    } = answer;
    let mut source = content.from(from).await?.take(to - from);
    let mut block = vec![0; block_size(&fault)];
    let mut sent = 0;
    loop {
        let limit = limit(&fault, sent).min(block.len() as u64);
        if limit == 0 {
            stream.flush().await?;
            if fault.stall_after == Some(sent) {
                std::future::pending::<()>().await;
            }
            return Ok(false);
        }
        let n = source.read(&mut block[..limit as usize]).await?;
        if n == 0 {
            return Ok(true);
        }
        spoil(&mut block[..n], from + sent, &fault);
        if let Some(record) = record {
            record.sends(n);
        }
        stream.write_all(&block[..n]).await?;
        sent += n as u64;
        if fault.bytes_per_second.is_some() {
            stream.flush().await?;
            tokio::time::sleep(BEAT).await;
        }
    }
}

fn block_size(fault: &Fault) -> usize {
    let beats = Duration::from_secs(1).as_millis() / BEAT.as_millis();
    match fault.bytes_per_second {
        Some(rate) => (rate as usize / beats as usize).clamp(1, 64 * BLOCK),
        None => BLOCK,
    }
}

/// How many bytes may still be sent before a fault ends or stalls the body.
fn limit(fault: &Fault, sent: u64) -> u64 {
    let after = [fault.end_after, fault.stall_after].into_iter().flatten();
    after
        .min()
        .map_or(u64::MAX, |after| after.saturating_sub(sent))
}

/// Changes the byte that is to be wrong, if it is in this block, which is at `position`.
fn spoil(block: &mut [u8], position: u64, fault: &Fault) {
    let at = fault.wrong_byte_at.and_then(|at| at.checked_sub(position));
    if let Some(byte) = at.and_then(|at| block.get_mut(at as usize)) {
        *byte ^= 1;
    }
}

/// What publishers write behind a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        416 => "Range Not Satisfiable",
        503 => "Service Unavailable",
        _ => "Error",
    }
}
