//! A CONNECT proxy: it leads to this server under any of its names, and nowhere else.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::io::{AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::TcpStream;

use crate::Server;
use crate::connection::reason;
use crate::head::Head;

/// Serves one client.
pub async fn serve(stream: TcpStream, server: &Server) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(head) = Head::read(&mut stream).await? else {
        return Ok(());
    };
    let record = server.requests.add(&head, false);
    let (status, target) = match (server.proxy_refuses, target(server, &head)) {
        (Some(status), _) => (status, None),
        (None, Some(target)) => (200, Some(target)),
        (None, None) => (403, None),
    };
    record.answered(status);
    let line = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    let Some(target) = target else {
        let refusal =
            line + "Proxy-Authenticate: Basic realm=\"tests\"\r\nContent-Length: 0\r\n\r\n";
        return stream.write_all(refusal.as_bytes()).await;
    };
    let mut other = TcpStream::connect(target).await?;
    stream.write_all((line + "\r\n").as_bytes()).await?;
    copy_bidirectional(&mut stream, &mut other).await?;
    Ok(())
}

fn target(server: &Server, head: &Head) -> Option<SocketAddr> {
    let (host, port) = head
        .target
        .rsplit_once(':')
        .filter(|_| head.method == "CONNECT")?;
    let own = |name: &String| host == name || host.strip_prefix("objects.") == Some(name);
    if server.names.iter().any(own) {
        return Some(server.https);
    }
    let is_loopback = host == "localhost" || host.parse() == Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let port = port.parse().ok().filter(|_| is_loopback)?;
    Some((Ipv4Addr::LOCALHOST, port).into())
}
