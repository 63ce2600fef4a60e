//! `release-server`: a loopback server for tests that behaves as the publishers of releases do.
//!
//! It serves the files of one directory under the paths that GitHub has for releases and raw files,
//! over HTTPS with a certificate authority of its own, with faults on request and a proxy beside
//! it. It is a double: whatever is fetched from it came from that directory.

mod certificate;
mod connection;
mod directory;
mod faults;
mod head;
mod proxy;
mod requests;
mod respond;
mod route;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use directory::Directory;
use requests::Requests;

/// Serves a directory as a publisher of releases would, on loopback only.
///
/// Releases are at /OWNER/REPOSITORY/releases/download/VERSION/FILE (a redirect to another host
/// name, with a signature), raw files at /OWNER/REPOSITORY/VERSION/FILE. All that was asked for is
/// at /_requests. When it is ready it prints one line of JSON: the URLs of the HTTPS server, of
/// the same without TLS and of the proxy, and the file with the CA's certificate. It ends when its
/// standard input ends.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Directory with the files; the checksum file of a K3s release is made up if it has none.
    directory: PathBuf,
    /// File to write the CA's certificate to.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// File with faults by file name, in JSON; read at every request.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// The only release there is [default: any].
    #[arg(long, value_name = "VERSION")]
    release: Option<String>,
    /// A host name that the certificate has too, and to which the proxy leads; may be given several times.
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    /// Status with which the proxy refuses every CONNECT.
    #[arg(long, value_name = "STATUS")]
    proxy_refuses: Option<u16>,
}

/// What all connections share.
struct Server {
    directory: Directory,
    faults: Option<PathBuf>,
    release: Option<String>,
    names: Vec<String>,
    proxy_refuses: Option<u16>,
    requests: Requests,
    https: SocketAddr,
    http: SocketAddr,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    std::thread::spawn(end_with_standard_input);
    tokio::runtime::Runtime::new()?.block_on(run(cli))
}

fn end_with_standard_input() {
    // An error is an end, too.
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
    std::process::exit(0);
}

async fn run(cli: Cli) -> Result<()> {
    let acceptor = certificate::acceptor(&cli.names, &cli.ca)?;
    let (https, http, proxy) = (listen().await?, listen().await?, listen().await?);
    let server = Arc::new(Server {
        directory: Directory::open(&cli.directory)?,
        faults: cli.faults,
        release: cli.release,
        names: cli.names,
        proxy_refuses: cli.proxy_refuses,
        requests: Requests::default(),
        https: https.local_addr()?,
        http: http.local_addr()?,
    });
    let ready = serde_json::json!({
        "url": format!("https://localhost:{}", server.https.port()),
        "http": format!("http://localhost:{}", server.http.port()),
        "ca": cli.ca,
        "proxy": format!("http://{}", proxy.local_addr()?),
    });
    println!("{ready}");
    std::io::stdout().flush()?;
    tokio::try_join!(
        serve_tls(https, acceptor, server.clone()),
        serve_plain(http, server.clone()),
        serve_proxy(proxy, server),
    )?;
    Ok(())
}

async fn listen() -> Result<TcpListener> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    TcpListener::bind(any)
        .await
        .context("listening on 127.0.0.1")
}

async fn serve_tls(listener: TcpListener, tls: TlsAcceptor, server: Arc<Server>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let (tls, server) = (tls.clone(), server.clone());
        tokio::spawn(async move {
            // A client that does not trust the certificate or goes away is no error of the server.
            if let Ok(stream) = tls.accept(stream).await {
                let _ = connection::serve(stream, &server, true).await;
            }
        });
    }
}

async fn serve_plain(listener: TcpListener, server: Arc<Server>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let server = server.clone();
        // A client that goes away is no error of the server.
        tokio::spawn(async move { connection::serve(stream, &server, false).await });
    }
}

async fn serve_proxy(listener: TcpListener, server: Arc<Server>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let server = server.clone();
        // A client that goes away is no error of the proxy.
        tokio::spawn(async move { proxy::serve(stream, &server).await });
    }
}
