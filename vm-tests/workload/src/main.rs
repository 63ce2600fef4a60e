//! The program of the pods that the harness starts: says where it runs, on its standard output once and on port 8080
//! to everybody who asks by HTTP, until it is told to end. As process 1 of its container it gets no signal that it does
//! not handle.

use std::io::{BufRead, BufReader, Error, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Where it listens: the pod's addresses of both families.
const ADDRESS: &str = "[::]:8080";
/// Where it listens on a node without IPv6.
const ADDRESS_V4: &str = "0.0.0.0:8080";
/// How long who asks may be silent.
const SILENCE: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let text = report()?;
    print!("{text}");
    std::io::stdout().flush()?;
    let listener = TcpListener::bind(ADDRESS).or_else(|_| TcpListener::bind(ADDRESS_V4))?;
    std::thread::spawn(move || serve(&listener, &text));
    signals.forever().next();
    Ok(())
}

/// What it is and where: the host name of a pod is the pod's own.
fn report() -> Result<String> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let (host, process) = (host.trim(), std::process::id());
    Ok(format!("emts test workload on {host}, process {process}\n"))
}

fn serve(listener: &TcpListener, text: &str) {
    for connection in listener.incoming() {
        if let Err(error) = connection.and_then(|stream| answer(stream, text)) {
            eprintln!("a request could not be answered: {error}");
        }
    }
}

/// Answers one request of any path.
fn answer(stream: TcpStream, text: &str) -> Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let mut request = BufReader::new(&stream).lines();
    // What is left unread would make the kernel break the connection instead of closing it.
    loop {
        let line = request.next();
        let line = line.ok_or_else(|| Error::other("the request ends in its header"))?;
        if line?.is_empty() {
            break;
        }
    }
    write!(
        &stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn every_request_gets_the_report() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || serve(&listener, "here\n"));
        for path in ["/", "/a/b?c"] {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert!(
                text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nhere\n"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_report_names_host_and_process() {
        let report = report().unwrap();
        assert!(report.starts_with("emts test workload on "), "{report}");
        assert!(
            report.ends_with(&format!("process {}\n", std::process::id())),
            "{report}"
        );
    }
}
