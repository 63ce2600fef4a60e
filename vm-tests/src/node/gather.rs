//! Asks a node all questions of a round: the commands in one script, then the
//! handshakes through the same connection.

use std::collections::BTreeSet;
use std::time::Duration;

use thiserror::Error;

use super::probe::{Facts, Probe, ProbeError, parse_answers, script};
use super::tls;
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

/// Asks every question once.
///
/// # Errors
/// The connection breaks, or the answers are incomplete. A question that fails
/// is an answer, not an error.
pub async fn gather(
    ssh: &Ssh,
    name: &str,
    probes: &[Probe],
    silence: Duration,
) -> Result<Facts, GatherError> {
    let probes: BTreeSet<&Probe> = probes.iter().collect();
    let commands: Vec<&str> = probes
        .iter()
        .filter_map(|probe| {
            if let Probe::Shell(command) = probe {
                Some(command.as_str())
            } else {
                None
            }
        })
        .collect();
    let mut facts = Facts::default();
    if !commands.is_empty() {
        let output = ssh.check(name, &script(&commands), silence).await?;
        let answers = parse_answers(&commands, &output.stdout)?;
        for (command, answer) in commands.iter().zip(answers) {
            facts.insert(Probe::shell(*command), answer);
        }
    }
    for probe in probes {
        let answer = match probe {
            Probe::Shell(_) => continue,
            Probe::Cipher { port, suite } => {
                let suite = suite.clone();
                ssh.tunnel(*port, HANDSHAKE, move |channel| {
                    tls::try_suite(channel, &suite)
                })
                .await
            }
            Probe::Certificate { port } => ssh.tunnel(*port, HANDSHAKE, tls::certificate).await,
        };
        facts.insert(
            probe.clone(),
            answer.unwrap_or_else(|error| unanswered(&error)),
        );
    }
    Ok(facts)
}

/// A question that could not be asked, as an answer: the check that needs it
/// shows the reason.
fn unanswered(error: &SshError) -> GuestOutput {
    GuestOutput {
        status: 255,
        stdout: Vec::new(),
        stderr: error.to_string().into_bytes(),
    }
}
