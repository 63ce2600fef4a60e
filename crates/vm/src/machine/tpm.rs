//! A TPM 2.0 of the machine: swtpm, a process of its own beside QEMU, with its state in a directory.

use std::path::PathBuf;

use crate::shell::escape;

/// swtpm as it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tpm {
    /// The directory of what it remembers while it has no power.
    pub state: PathBuf,
    /// The socket by which QEMU reaches it.
    pub socket: PathBuf,
    /// Its own messages.
    pub log: PathBuf,
}

impl Tpm {
    /// Options of QEMU's command line with their values.
    pub(super) fn arguments(&self) -> [(&'static str, String); 3] {
        let path = escape(&self.socket);
        [
            ("-chardev", format!("socket,id=tpm-control,path={path}")),
            ("-tpmdev", "emulator,id=tpm0,chardev=tpm-control".to_owned()),
            ("-device", "tpm-tis,tpmdev=tpm0".to_owned()),
        ]
    }

    /// swtpm's command line.
    pub(super) fn command(&self) -> Vec<String> {
        let words = [
            "swtpm".to_owned(),
            "socket".to_owned(),
            "--tpm2".to_owned(),
            "--terminate".to_owned(),
            "--tpmstate".to_owned(),
            format!("dir={}", self.state.display()),
            "--ctrl".to_owned(),
            format!("type=unixio,path={}", self.socket.display()),
        ];
        words.into()
    }
}
