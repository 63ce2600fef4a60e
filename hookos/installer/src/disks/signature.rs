//! What libblkid finds on a disk or a partition.
//!
//! By `wipefs`, which shows all signatures, also where several contradict each other, and of each libblkid's own word
//! for what it is used as. Its exit status is believed: what cannot be probed is an error and not "nothing".

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::program::{Call, Program};

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Signature {
    /// libblkid's name of it, such as `ext4` or `BitLocker`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is used as, as libblkid says: `filesystem`, `raid`, `crypto`, `other`, `partition-table`.
    #[serde(default, deserialize_with = "text")]
    pub usage: String,
    /// The label in it; empty where it has none.
    #[serde(default, deserialize_with = "text")]
    pub label: String,
}

/// libblkid's names of what is `other` and belongs to no other system: it is lost, but not missed.
const SWAP: &[&str] = &["swap", "swsuspend"];
/// Pools that libblkid calls `filesystem`, besides those whose names say `_member`.
const POOLS: &[&str] = &["oracleasm", "mpool"];

impl Signature {
    /// Whether it makes the disk part of something that other disks or other systems need: a RAID, a volume group, a
    /// pool, an encrypted volume. What libblkid has no word for is taken for such a thing.
    pub fn is_member(&self) -> bool {
        match &*self.usage {
            "filesystem" => self.kind.ends_with("_member") || POOLS.contains(&&*self.kind),
            "partition-table" => false,
            "other" => !SWAP.contains(&&*self.kind),
            _ => true,
        }
    }

    /// Whether it is a partition table.
    pub fn is_table(&self) -> bool {
        self.usage == "partition-table"
    }
}

#[derive(Deserialize)]
struct Answer {
    signatures: Vec<Signature>,
}

fn text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(from)?.unwrap_or_default())
}

/// All signatures of a node.
///
/// # Errors
/// It cannot be probed.
pub fn probe(node: &Path) -> Result<Vec<Signature>> {
    let options = ["--json", "--output", "TYPE,USAGE,LABEL", "--"];
    let call = Call::new(Program::Wipefs).args(options).args([node]);
    parse(&call.run()?.stdout)
}

/// What wipefs says.
fn parse(answer: &[u8]) -> Result<Vec<Signature>> {
    // Of a node without signatures some versions say nothing at all.
    if answer.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(answer);
    let answer: Result<Answer, _> = serde_json::from_str(&text);
    answer.map(|answer| answer.signatures).map_err(|error| {
        Error::new(
            Kind::Bug,
            format!("the answer of wipefs cannot be read: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(kind: &str, usage: &str) -> Signature {
        Signature {
            kind: kind.into(),
            usage: usage.into(),
            label: String::new(),
        }
    }

    #[test]
    fn reads_what_wipefs_of_debian_12_says() {
        let answer = br#"{
   "signatures": [
      {
         "type": "ext4",
         "usage": "filesystem",
         "label": "my label",
         "uuid": "439e2cdf-d97f-4f52-9b27-42c2de42b6a6",
         "offset": "0x438"
      },{
         "type": "gpt",
         "usage": "partition-table",
         "label": null
      }
   ]
}"#;
        let mut ext4 = signature("ext4", "filesystem");
        ext4.label = "my label".into();
        assert_eq!(
            parse(answer),
            Ok(vec![ext4, signature("gpt", "partition-table")])
        );
        assert_eq!(parse(b"{\n   \"signatures\": [\n\n   ]\n}\n"), Ok(vec![]));
        assert_eq!(parse(b"\n"), Ok(vec![]));
        assert_eq!(parse(b"DEVICE").expect_err("no JSON").kind, Kind::Bug);
    }

    #[test]
    fn what_libblkid_calls_raid_or_crypto_belongs_to_another_system() {
        // As libblkid 2.38 prints them.
        let raid = [
            "linux_raid_member",
            "LVM2_member",
            "LVM1_member",
            "isw_raid_member",
            "ddf_raid_member",
            "promise_fasttrack_raid_member",
            "silicon_medley_raid_member",
            "nvidia_raid_member",
            "adaptec_raid_member",
            "jmicron_raid_member",
            "lsi_mega_raid_member",
            "via_raid_member",
            "hpt37x_raid_member",
            "hpt45x_raid_member",
            "drbd",
            "stratis",
            "VMFS_volume_member",
        ];
        let crypto = ["BitLocker", "crypto_LUKS", "DM_verity_hash", "DM_integrity"];
        let other = ["bcache", "ceph_bluestore"];
        let pools = ["zfs_member", "oracleasm", "mpool"];
        let members = raid.map(|kind| (kind, "raid")).into_iter();
        let members = members.chain(crypto.map(|kind| (kind, "crypto")));
        for (kind, usage) in members.chain(other.map(|kind| (kind, "other"))) {
            assert!(signature(kind, usage).is_member(), "{kind}");
        }
        for kind in pools {
            assert!(signature(kind, "filesystem").is_member(), "{kind}");
        }
        assert!(signature("of-tomorrow", "").is_member());
    }

    #[test]
    fn file_systems_swap_and_tables_belong_to_nobody_else() {
        let rows = [
            ("ntfs", "filesystem"),
            ("ext4", "filesystem"),
            ("swap", "other"),
            ("swsuspend", "other"),
            ("gpt", "partition-table"),
            ("dos", "partition-table"),
        ];
        for (kind, usage) in rows {
            let signature = signature(kind, usage);
            assert!(!signature.is_member(), "{kind}");
            assert_eq!(signature.is_table(), usage == "partition-table", "{kind}");
        }
    }
}
