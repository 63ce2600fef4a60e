//! Whether a server can be reached at all: a name that resolves and a port that opens. What it serves is another question.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long all servers together may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Variables that name a proxy for HTTPS; where one is set, only the proxy has to be reached.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Whether one of the servers of these URLs can be reached within 5 s. With a proxy that is not asked: it decides.
///
/// # Errors
/// None can; the reason of each.
pub fn any(urls: &[String]) -> Result<(), String> {
    if PROXIES
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    {
        return Ok(());
    }
    let hosts: Vec<(String, u16)> = urls.iter().filter_map(|url| host_of(url)).collect();
    any_of(hosts, LIMIT)
}

fn any_of(hosts: Vec<(String, u16)>, limit: Duration) -> Result<(), String> {
    let deadline = Instant::now() + limit;
    let (sender, results) = mpsc::channel();
    let mut waiting: Vec<String> = hosts.iter().map(|(host, _)| host.clone()).collect();
    for (host, port) in hosts {
        let sender = sender.clone();
        // A name server that does not answer holds its thread for longer; nobody waits for it.
        std::thread::spawn(move || {
            let result = open(&host, port, limit).map_err(|error| format!("{host}: {error}"));
            let _ = sender.send((host, result));
        });
    }
    drop(sender);
    let mut reasons = Vec::new();
    while let Ok((host, result)) =
        results.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        match result {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(reason),
        }
        waiting.retain(|other| *other != host);
    }
    reasons.extend(
        waiting
            .iter()
            .map(|host| format!("{host}: no answer within {} s", limit.as_secs())),
    );
    Err(reasons.join("; "))
}

fn open(host: &str, port: u16, limit: Duration) -> std::io::Result<()> {
    let mut last = std::io::Error::other("the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Host and port of an http or https URL (RFC 3986, section 3.2).
fn host_of(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let usual = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let server = authority
        .rsplit_once('@')
        .map_or(authority, |(_, server)| server);
    if let Some(rest) = server.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = port
            .strip_prefix(':')
            .map_or(Some(usual), |port| port.parse().ok());
        return Some((host.to_owned(), port?));
    }
    match server.split_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((server.to_owned(), usual)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn host_and_port_are_those_of_the_url() {
        for (url, host, port) in [
            ("https://github.com/k3s-io", "github.com", 443),
            ("http://user:p@ss@mirror:8080", "mirror", 8080),
            ("https://[::1]:9/x", "::1", 9),
            ("https://[fe80::1]?x", "fe80::1", 443),
        ] {
            assert_eq!(host_of(url), Some((host.to_owned(), port)), "{url}");
        }
        assert_eq!(host_of("ftp://host/x"), None);
    }

    #[test]
    fn one_server_that_listens_is_enough() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let hosts = vec![
            ("no-such-host.invalid".to_owned(), 1),
            ("127.0.0.1".to_owned(), port),
        ];
        assert_eq!(any_of(hosts, LIMIT), Ok(()));
    }

    #[test]
    fn each_servers_reason_is_given() {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let hosts = vec![
            ("no-such-host.invalid".to_owned(), 1),
            ("127.0.0.1".to_owned(), free),
        ];
        let reason = any_of(hosts, LIMIT).unwrap_err();
        assert!(
            reason.contains("no-such-host.invalid: ") && reason.contains("127.0.0.1: "),
            "{reason}"
        );
    }
}
