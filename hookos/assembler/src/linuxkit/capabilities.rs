//! Capabilities by name, in their numeric order (linux/capability.h).

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

/// CAP_CHOWN is 0, CAP_CHECKPOINT_RESTORE is 40.
const KNOWN: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Expands `all` and `none` and checks the names.
///
/// # Errors
/// A message for the first name that LinuxKit refuses.
pub fn expand(list: &[String]) -> Result<Vec<String>, String> {
    if let [only] = list {
        if only.eq_ignore_ascii_case("all") {
            return Ok(KNOWN.map(str::to_owned).to_vec());
        }
        if only.eq_ignore_ascii_case("none") {
            return Ok(Vec::new());
        }
    }
    for name in list {
        if !KNOWN.contains(&name.as_str()) {
            return Err(match name.to_ascii_lowercase().as_str() {
                "all" | "none" => format!("the capability `{name}` must stand alone in its list"),
                _ => {
                    format!("unknown capability `{name}`; names are like CAP_SYS_ADMIN, upper case")
                }
            });
        }
    }
    Ok(list.to_vec())
}

/// The `capabilities` object of config.json.
pub fn to_json(effective: &[String], ambient: &[String]) -> Json {
    let all: BTreeSet<&String> = effective.iter().chain(ambient).collect();
    let mut out = Map::new();
    let mut put = |key: &str, value: Json| {
        if value.as_array().is_some_and(|list| !list.is_empty()) {
            out.insert(key.into(), value);
        }
    };
    put("bounding", json!(all));
    put("effective", json!(effective));
    put("inheritable", json!(all));
    put("permitted", json!(all));
    put("ambient", json!(ambient));
    Json::Object(out)
}
