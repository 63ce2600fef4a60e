//! Asks a node all questions of a round: the commands in one script, the handshakes
//! through the same connection, the API from the host.

use std::collections::BTreeSet;
use std::time::Duration;

use thiserror::Error;

use super::probe::{Facts, Probe, ProbeError, parse_answers, script};
use super::tls;
use crate::kube::{Client, KubeError, Objects};
use crate::ssh::{GuestOutput, Ssh, SshError};

/// How long a handshake may take on an emulated CPU.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// Why a round of questions has no answers.
#[derive(Debug, Error)]
pub enum GatherError {
    /// The connection failed.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The answers are incomplete.
    #[error(transparent)]
    Answers(#[from] ProbeError),
}

/// Asks every question once. Without a client of the API, those to it are answered with that.
///
/// # Errors
/// The connection breaks, or the answers are incomplete. A question that fails
/// is an answer, not an error.
pub async fn gather(
    ssh: &Ssh,
    kube: Option<&Client>,
    name: &str,
    probes: &[Probe],
    silence: Duration,
) -> Result<Facts, GatherError> {
    let probes: BTreeSet<&Probe> = probes.iter().collect();
    let mut facts = commands(ssh, name, &probes, silence).await?;
    for probe in probes {
        let answer = match probe {
            Probe::Shell(_) => continue,
            Probe::Cipher { port, suite } => {
                let suite = suite.clone();
                let answer = ssh.tunnel(*port, HANDSHAKE, move |channel| {
                    tls::try_suite(channel, &suite)
                });
                answer.await.unwrap_or_else(|error| unanswered(&error))
            }
            Probe::Certificate { port } => {
                let answer = ssh.tunnel(*port, HANDSHAKE, tls::certificate);
                answer.await.unwrap_or_else(|error| unanswered(&error))
            }
            Probe::Objects | Probe::Api(_) | Probe::Kubelet(_) => match kube {
                Some(kube) => ask_api(kube, probe).await,
                None => unanswered(&"the API was not reached before"),
            },
        };
        facts.insert(probe.clone(), answer);
    }
    Ok(facts)
}

/// The answers to the questions that are commands.
async fn commands(
    ssh: &Ssh,
    name: &str,
    probes: &BTreeSet<&Probe>,
    silence: Duration,
) -> Result<Facts, GatherError> {
    let commands = probes.iter().filter_map(|probe| match probe {
        Probe::Shell(command) => Some(command.as_str()),
        _ => None,
    });
    let commands: Vec<&str> = commands.collect();
    let mut facts = Facts::default();
    if !commands.is_empty() {
        let output = ssh.check(name, &script(&commands), silence).await?;
        let answers = parse_answers(&commands, &output.stdout)?;
        for (command, answer) in commands.iter().zip(answers) {
            facts.insert(Probe::shell(*command), answer);
        }
    }
    Ok(facts)
}

async fn ask_api(kube: &Client, probe: &Probe) -> GuestOutput {
    let answer = match probe {
        Probe::Api(path) => kube.get(path).await,
        Probe::Kubelet(path) => kubelet(kube, path).await,
        _ => Objects::list(kube)
            .await
            .map(|all| all.to_text().into_bytes()),
    };
    match answer {
        Ok(stdout) => GuestOutput {
            stdout,
            ..GuestOutput::default()
        },
        Err(error) => unanswered(&error),
    }
}

/// What the only node's kubelet has at a path.
async fn kubelet(kube: &Client, path: &str) -> Result<Vec<u8>, KubeError> {
    let objects = Objects::nodes(kube).await?;
    let node = objects.node().map_err(KubeError::Format)?;
    let name = node["metadata"]["name"].as_str().unwrap_or_default();
    kube.get(&format!("/api/v1/nodes/{name}/proxy/{path}"))
        .await
}

/// A question that could not be asked, as an answer: the check that needs it
/// shows the reason.
fn unanswered(error: &dyn std::fmt::Display) -> GuestOutput {
    GuestOutput {
        status: 255,
        stdout: Vec::new(),
        stderr: error.to_string().into_bytes(),
    }
}
