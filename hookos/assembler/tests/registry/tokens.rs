//! A token server of these tests: it signs what docker-registry's `auth: token` asks for, on a
//! free loopback port. Source: distribution's "Token Authentication Specification".

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const SERVICE: &str = "registry of a test";
const ISSUER: &str = "token server of a test";
/// Seconds that a token counts.
const LIFETIME: u64 = 300;

/// What signs tokens, and whom it gives them to.
struct TokenServer {
    dir: PathBuf,
    login: bool,
}

/// Starts one that ends with this process; returns docker-registry's `auth` section for it.
///
/// With `login` only `user` with the password `secret` gets a token, else everybody does.
pub fn start(dir: &Path, login: bool) -> Value {
    let mut make = Command::new("openssl");
    make.current_dir(dir)
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=tokens", "-keyout", "tokens.key"])
        .args(["-out", "tokens.pem"]);
    let output = make.output().expect("openssl is installed");
    assert!(output.status.success(), "{output:?}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = TokenServer {
        dir: dir.to_owned(),
        login,
    };
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            // A client that went away is told by its own test.
            let _ = server.answer(connection);
        }
    });
    json!({ "token": {
        "realm": format!("http://{address}/token"),
        "service": SERVICE,
        "issuer": ISSUER,
        "rootcertbundle": dir.join("tokens.pem"),
    } })
}

impl TokenServer {
    fn answer(&self, mut connection: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(connection.try_clone()?).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        let mut credentials = None;
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("authorization")
            {
                credentials = Some(value.to_owned());
            }
        }
        let expected = format!("Basic {}", STANDARD.encode("user:secret"));
        let (status, body) = if self.login && credentials != Some(expected) {
            ("401 Unauthorized", json!({ "details": "who are you?" }))
        } else {
            assert!(request.starts_with("GET /token?"), "{request}");
            assert!(
                request.contains("repository%3Ateam%2Ftool%3Apull")
                    || request.contains("repository:team/tool:pull"),
                "{request}"
            );
            (
                "200 OK",
                json!({ "token": self.token(), "expires_in": LIFETIME }),
            )
        };
        let body = body.to_string();
        write!(
            connection,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    /// A JSON web token for `team/tool`, signed with RSA and SHA-256.
    fn token(&self) -> String {
        let pem = fs_err::read_to_string(self.dir.join("tokens.pem")).unwrap();
        let certificate: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [certificate] });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = now.as_secs();
        let claims = json!({
            "iss": ISSUER, "sub": "user", "aud": SERVICE, "jti": now.to_string(),
            "iat": now, "nbf": now, "exp": now + LIFETIME,
            "access": [{ "type": "repository", "name": "team/tool", "actions": ["pull"] }],
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.signature(&signed));
        format!("{signed}.{signature}")
    }

    fn signature(&self, text: &str) -> Vec<u8> {
        let mut openssl = Command::new("openssl")
            .current_dir(&self.dir)
            .args(["dgst", "-sha256", "-sign", "tokens.key"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = openssl.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        let output = openssl.wait_with_output().unwrap();
        assert!(output.status.success(), "openssl could not sign");
        output.stdout
    }
}
