//! Keys as OpenSSH makes them, passwords as crypt(5) has them, and what is reached without the proxy.

use crate::support::read;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster_bootstrapper::install::proxy_variables;
use cluster_bootstrapper::password::shadow_hash;
use cluster_bootstrapper::values::{Password, SshKey, SshKeyLines, UserName};
use std::path::Path;
use std::process::Command;

fn ssh_keygen(folder: &Path, args: &[&str]) -> bool {
    let run = Command::new("ssh-keygen")
        .current_dir(folder)
        .args(args)
        .output();
    run.expect("ssh-keygen is not installed; run: cargo xtask setup")
        .status
        .success()
}

/// The public key of a new pair.
fn new_key(folder: &Path, name: &str, kind: &str, bits: &str) -> String {
    let made = ssh_keygen(
        folder,
        &[
            "-q",
            "-t",
            kind,
            "-b",
            bits,
            "-N",
            "",
            "-C",
            "a comment",
            "-f",
            name,
        ],
    );
    assert!(made, "{kind} {bits}");
    line_of(folder, &format!("{name}.pub"))
}

fn line_of(folder: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(folder.join(name)).expect("a key");
    text.trim().to_owned()
}

/// A key of a security token, made of the parts of an ordinary one: such a token is not at hand.
fn token_key(name: &str, ordinary: &str, parts: std::ops::Range<usize>) -> String {
    let encoded = ordinary.split(' ').nth(1).expect("base64");
    let blob = STANDARD.decode(encoded).expect("base64");
    let mut fields = vec![];
    let mut rest = blob.as_slice();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (field, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        fields.push(field);
        rest = after;
    }
    let mut out = vec![];
    let own = [name.as_bytes()]
        .into_iter()
        .chain(fields[parts].iter().copied())
        .chain([b"ssh:".as_slice()]);
    for field in own {
        out.extend(u32::try_from(field.len()).expect("short").to_be_bytes());
        out.extend(field);
    }
    format!("{name} {} token", STANDARD.encode(out))
}

#[test]
fn every_type_of_key_that_openssh_makes_is_taken() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let folder = folder.path();
    new_key(folder, "authority", "ed25519", "256");
    let mut keys = vec![];
    for (name, kind, bits) in [
        ("a", "ed25519", "256"),
        ("b", "rsa", "2048"),
        ("c", "ecdsa", "256"),
        ("d", "ecdsa", "384"),
        ("e", "ecdsa", "521"),
    ] {
        keys.push(new_key(folder, name, kind, bits));
        let public = format!("{name}.pub");
        assert!(ssh_keygen(
            folder,
            &["-q", "-s", "authority", "-I", "id", "-n", "root", &public]
        ));
        keys.push(line_of(folder, &format!("{name}-cert.pub")));
    }
    let tokens = [
        token_key("sk-ssh-ed25519@openssh.com", &keys[0], 1..2),
        token_key("sk-ecdsa-sha2-nistp256@openssh.com", &keys[4], 1..3),
    ];
    for (index, key) in tokens.into_iter().enumerate() {
        let name = format!("token{index}.pub");
        std::fs::write(folder.join(&name), &key).expect("written");
        assert!(
            ssh_keygen(folder, &["-l", "-f", &name]),
            "OpenSSH refuses {key}"
        );
        assert!(ssh_keygen(
            folder,
            &["-q", "-s", "authority", "-I", "id", "-n", "root", &name]
        ));
        keys.extend([key, line_of(folder, &format!("token{index}-cert.pub"))]);
    }
    let mut kinds: Vec<&str> = keys
        .iter()
        .filter_map(|key| key.split(' ').next())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 14, "{kinds:?}");
    for key in &keys {
        assert!(
            key.parse::<SshKey>().is_ok(),
            "{key}: {:?}",
            key.parse::<SshKey>()
        );
        let with_options = format!("restrict,command=\"echo \\\"a b\\\"\" {key}");
        assert!(with_options.parse::<SshKey>().is_ok(), "{with_options}");
        let (kind, rest) = key.split_once(' ').expect("two fields");
        let blob = rest.split(' ').next().expect("base64");
        let cut = format!("{kind} {}", &blob[..blob.len() / 2 / 4 * 4]);
        assert!(cut.parse::<SshKey>().is_err(), "{cut}");
        let other = if kind == "ssh-rsa" {
            "ssh-ed25519"
        } else {
            "ssh-rsa"
        };
        assert!(
            format!("{other} {blob}").parse::<SshKey>().is_err(),
            "{other} {blob}"
        );
    }
    let private = line_of(folder, "a");
    assert!(private.parse::<SshKey>().is_err());
}

/// A key of a type with these fields after it.
fn made_key(name: &str, fields: &[&[u8]]) -> String {
    let mut blob = vec![];
    for field in [&[name.as_bytes()], fields].concat() {
        blob.extend(u32::try_from(field.len()).expect("short").to_be_bytes());
        blob.extend(field);
    }
    format!("{name} {}", STANDARD.encode(blob))
}

#[test]
fn a_key_has_parts_of_the_right_size() {
    let point = |length: usize, first: u8| [vec![first], vec![7; length - 1]].concat();
    let (p256, p384) = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384");
    let fine = [
        made_key("ssh-ed25519", &[&[7; 32]]),
        made_key("ssh-rsa", &[&[1, 0, 1], &[7; 128]]),
        made_key(p256, &[b"nistp256", &point(65, 4)]),
        made_key(p384, &[b"nistp384", &point(97, 4)]),
    ];
    for key in &fine {
        let read: SshKey = key.parse().unwrap_or_else(|e| panic!("{key}: {e:?}"));
        assert_eq!(read.as_str(), key);
    }
    for key in [
        format!("ssh-ed25519 {}", fine[1]),
        made_key("ssh-ed25519", &[&[7; 31]]),
        made_key("ssh-ed25519", &[&[7; 33]]),
        made_key("ssh-ed25519", &[&[7; 32], &[]]),
        made_key("ssh-rsa", &[&[1, 0, 1], &[7; 127]]),
        made_key("ssh-rsa", &[&[], &[7; 128]]),
        made_key(p256, &[b"nistp256", &point(64, 4)]),
        made_key(p256, &[b"nistp256", &point(65, 3)]),
        made_key(p256, &[b"nistp256", &point(97, 4)]),
        made_key(p256, &[b"nistp256", &[]]),
        made_key(p256, &[&[], &point(65, 4)]),
        made_key(p384, &[b"nistp384", &point(65, 4)]),
    ] {
        assert!(key.parse::<SshKey>().is_err(), "{key}");
    }
}

#[test]
fn a_text_of_keys_may_have_comments_and_gaps() {
    let key = made_key("ssh-ed25519", &[&[7; 32]]);
    let text = format!("# mine\n\n  {key} a\n{key} b\n");
    let lines: SshKeyLines = text.parse().expect("keys");
    assert_eq!(lines.as_str(), text);
    let keys: Vec<&str> = lines.keys().iter().map(SshKey::as_str).collect();
    assert_eq!(keys, [format!("{key} a"), format!("{key} b")]);
    assert!(
        format!("{key}\nssh-rsa AAAA\n")
            .parse::<SshKeyLines>()
            .is_err()
    );
}

/// `openssl passwd -6 -salt saltsalt password`, `mkpasswd -m yescrypt password`.
const HASHES: &[&str] = &[
    "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/",
    "$6$rounds=5000$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/",
    "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
];

#[test]
fn a_ready_hash_goes_to_shadow_as_it_is() {
    for hash in HASHES {
        let password: Password = hash.parse().unwrap_or_else(|e| panic!("{hash}: {e:?}"));
        assert_eq!(shadow_hash(&password, None).expect("hashed"), *hash);
        for broken in [
            &hash[..hash.len() - 1],
            &hash[..hash.len() / 2],
            &format!("{hash}:x"),
        ] {
            assert!(broken.parse::<Password>().is_err(), "{broken}");
        }
    }
}

#[test]
fn a_hash_that_crypt_does_not_have_is_refused() {
    let digest = |length: usize| "x".repeat(length);
    for text in [
        format!("$2b$10${}", digest(53)),
        format!("$5$salt${}", digest(43)),
        format!("$6$salt${}", digest(86)),
    ] {
        assert!(text.parse::<Password>().is_ok(), "{text}");
    }
    for text in [
        format!("$1$salt${}", digest(22)),
        format!("$6${}", digest(86)),
        format!("$2b$10${}", digest(21)),
        format!("$5$salt${}", digest(42)),
        format!("$6$salt${}", digest(87)),
        format!("$6$sa:t${}", digest(86)),
        "$".to_owned(),
    ] {
        assert!(text.parse::<Password>().is_err(), "{text}");
    }
}

#[test]
fn a_password_is_never_shown() {
    for text in ["c2VjcmV0", HASHES[0]] {
        let password: Password = text.parse().expect("a password");
        assert_eq!(format!("{password:?}"), "Password(hidden)");
        assert_eq!(password.as_str(), "(hidden)");
    }
}

#[test]
fn a_password_is_what_base64_says_without_its_line_break() {
    // printf 'secret\n' | base64; printf 'secret\r\n' | base64; with a break in the text itself
    for (text, newline) in [
        ("c2VjcmV0", false),
        ("c2VjcmV0Cg==", true),
        ("c2VjcmV0DQo=", true),
        ("c2Vj\ncmV0", false),
    ] {
        let password: Password = text.parse().expect("a password");
        assert_eq!(password.newline_dropped(), newline, "{text:?}");
        let first = shadow_hash(&password, None).expect("hashed");
        let same: Password = "c2VjcmV0".parse().expect("a password");
        assert_eq!(
            shadow_hash(&same, Some(&first)).expect("hashed"),
            first,
            "{text:?} is another password"
        );
    }
}

#[test]
fn user_names_are_posix_names_of_people() {
    for name in ["a", "edge-operator", "_x1", &"a".repeat(32)] {
        assert!(name.parse::<UserName>().is_ok(), "{name}");
    }
    for name in [
        "",
        "A",
        "1a",
        "-a",
        "a.b",
        "a b",
        "a$",
        "\u{e4}",
        &"a".repeat(33),
        "nobody",
        "www-data",
        "systemd-x",
    ] {
        assert!(name.parse::<UserName>().is_err(), "{name}");
    }
}

#[test]
fn the_clusters_own_networks_and_names_are_never_behind_the_proxy() {
    let text = "operatingSystem: {proxy: {httpsProxy: 'http://p:1', noProxy: '.svc, 10.1.0.0/16'}}
kubernetes:
  kind: KThreesControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta2
  spec: {template: {spec: {serverConfig: {clusterCidr: '10.1.0.0/16,fd00:1::/56', serviceCidr: '10.2.0.9/16,fd00:2::/112', clusterDomain: plant.local}}}}
";
    let config = read(text).config.expect("valid");
    let variables = proxy_variables(&config);
    let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"]
    );
    assert_eq!(
        variables[2].1,
        ".svc,10.1.0.0/16,fd00:1::/56,10.2.0.0/16,fd00:2::/112,.plant.local"
    );
}
