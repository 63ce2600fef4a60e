//! What two machines of one OS image must not share: machine-id, SSH host keys, seed of random numbers.

use super::InstallError;
use super::access::Access;
use super::draft::Draft;
use super::target::Program;
use crate::path_rule::PathRule;
use std::fmt;

const MACHINE_ID: PathRule = PathRule::new("/etc/machine-id");
const HOST_KEYS: PathRule = PathRule::new("/etc/ssh/ssh_host_*_key*");
/// Copies of the image's identity, which are made anew when they are missing.
const COPIES: [PathRule; 2] = [
    PathRule::new("/var/lib/dbus/machine-id"),
    PathRule::new("/var/lib/systemd/random-seed"),
];
const SSH_KEYGEN: &str = "/usr/bin/ssh-keygen";

/// A machine-id (machine-id(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineId(String);

/// The system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers for a machine-id: {0}")]
pub struct RandomError(#[from] rustix::io::Errno);

impl MachineId {
    /// One that no other machine has.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; 16];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        // A random UUID (RFC 9562, version 4), as systemd makes them.
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        Ok(Self(digits.collect()))
    }

    /// The name of a host that is given none: `node-` and eight digits of the machine-id.
    pub(super) fn host_name(&self) -> String {
        format!("node-{}", &self.0[..8])
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn claims() -> Vec<PathRule> {
    [vec![MACHINE_ID, HOST_KEYS], COPIES.to_vec()].concat()
}

pub(super) fn plan(id: &MachineId, draft: &mut Draft<'_>) -> Result<(), InstallError> {
    let path = MACHINE_ID.to_string();
    let access = draft
        .read(&path)?
        .map_or(Access::root(0o444), |(_, access)| access);
    draft.write(&path, format!("{id}\n"), access)?;
    for copy in &COPIES {
        draft.remove(&copy.to_string())?;
    }
    draft.remove_all(&HOST_KEYS)?;
    if draft.exists(SSH_KEYGEN)? {
        let key = "/etc/ssh/ssh_host_ed25519_key";
        let arguments = ["-q", "-t", "ed25519", "-N", "", "-f", key].map(str::to_owned);
        let program = Program {
            path: SSH_KEYGEN,
            arguments: arguments.to_vec(),
        };
        draft.make(key, program);
    }
    Ok(())
}
