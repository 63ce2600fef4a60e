//! Files of the installer and of the first boot, and its commands.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster_bootstrapper::model::File;

use super::judge::{Verdict, failed, succeeds};
use super::{Expectation, Source};
use crate::node::Probe;
use crate::ssh::GuestOutput;
use vm::shell::quote;

/// The script that cloud-init makes of all commands.
const RUNCMD: &str = "/var/lib/cloud/instance/scripts/runcmd";
/// Written when the last command was reached.
const COMPLETE: &str = "/var/lib/emts/first-boot-complete";

pub(super) fn expectations(source: &Source) -> Vec<Expectation> {
    let spec = source.config.k3s();
    let mut all = Vec::new();
    let files = spec.files.as_slice();
    for (index, file) in files.iter().enumerate() {
        // A later file of the same path replaces an earlier one.
        if files[index + 1..]
            .iter()
            .any(|later| later.path == file.path)
        {
            continue;
        }
        all.extend(file_on_disk(&source.file(index), file));
    }
    let system = &source.config.operating_system;
    for (index, file) in system.write_files.iter().enumerate() {
        all.extend(file_on_disk(
            &format!("/operatingSystem/writeFiles/{index}"),
            file,
        ));
    }
    let groups = [
        ("/operatingSystem", "runCommands", &system.run_commands),
        (&source.k3s, "preK3sCommands", &spec.pre_k3s_commands),
        (&source.k3s, "postK3sCommands", &spec.post_k3s_commands),
    ];
    for (section, name, commands) in groups {
        let commands: Vec<String> = commands.iter().map(ToString::to_string).collect();
        for index in 0..commands.len() {
            all.extend(command(
                &format!("{section}/{name}"),
                name,
                index,
                &commands,
            ));
        }
    }
    all
}

fn file_on_disk(key: &str, file: &File) -> Vec<Expectation> {
    let path = file.path.as_str();
    let word = quote(path);
    let owner = file
        .owner
        .as_ref()
        .map_or("root:root".to_owned(), ToString::to_string);
    // A user alone leaves the group root.
    let owner = if owner.contains(':') {
        owner
    } else {
        format!("{owner}:root")
    };
    let mode = file.permissions.as_ref().map_or(0o644, |mode| mode.bits());
    let status = |format| Probe::shell(format!("stat -c {format} {word}"));
    let mut all = vec![
        Expectation::new(
            format!("{key}/path"),
            format!("{path} is a file"),
            "regular file",
            status("'%F'"),
            |answer| {
                let text = answer.text();
                if answer.status == 0 {
                    Verdict::when(text.trim().starts_with("regular"), text.trim())
                } else {
                    failed(answer)
                }
            },
        ),
        Expectation::new(
            format!("{key}/owner"),
            format!("owner of {path}"),
            &owner,
            status("%U:%G"),
            super::judge::equals(&owner),
        ),
        Expectation::new(
            format!("{key}/permissions"),
            format!("mode of {path}"),
            format!("{mode:04o}"),
            status("%a"),
            super::judge::output(move |text| {
                Verdict::when(u32::from_str_radix(text, 8) == Ok(mode), text)
            }),
        ),
    ];
    if let Ok(bytes) = file.bytes() {
        let part = if file.encoding.is_some() {
            "encoding"
        } else {
            "content"
        };
        all.push(content(&format!("{key}/{part}"), path, bytes.clone()));
        if file.encoding.is_some() {
            all.push(content(&format!("{key}/content"), path, bytes));
        }
    }
    all
}

/// Compared as a whole; shown as a size, as it may be long or secret.
fn content(key: &str, path: &str, bytes: Vec<u8>) -> Expectation {
    let expected = format!("{} bytes as in the config-file", bytes.len());
    let encoded = STANDARD.encode(&bytes);
    Expectation::new(
        key,
        format!("content of {path}"),
        expected,
        Probe::shell(format!("base64 -w0 {}", quote(path))),
        move |answer| {
            if answer.status != 0 {
                return failed(answer);
            }
            if answer.text().trim() == encoded {
                return Verdict::good(format!("{} bytes as in the config-file", bytes.len()));
            }
            let found = STANDARD.decode(answer.text().trim()).unwrap_or_default();
            let same = found.iter().zip(&bytes).take_while(|(a, b)| a == b).count();
            Verdict::bad(format!("{} bytes, other from byte {same} on", found.len()))
        },
    )
}

/// A command is in cloud-init's script after the one before it, did not fail,
/// and the script was run to its end. Where its effect is plain to see, that is
/// looked at too.
fn command(key: &str, list: &str, index: usize, commands: &[String]) -> Vec<Expectation> {
    let before: Vec<String> = commands[..=index].to_vec();
    let mut all = vec![Expectation {
        key: key.to_owned(),
        check: format!("{list}[{index}] was run in its place and did not fail"),
        expected: commands[index].clone(),
        probes: vec![
            Probe::shell(format!("cat {RUNCMD}")),
            Probe::shell(format!(
                "! grep -F {} /var/log/cloud-init-output.log && test -e {COMPLETE}",
                quote(&format!("emts: {list}[{index}] ended with status"))
            )),
        ],
        judge: Box::new(move |answers| judge_command(answers, &before)),
    }];
    if let Some(effect) = visible_effect(&commands[index]) {
        let (what, probe) = effect;
        all.push(Expectation::new(
            key,
            format!("{list}[{index}] took effect: {what}"),
            "yes",
            Probe::shell(probe),
            succeeds,
        ));
    }
    all
}

fn judge_command(answers: &[&GuestOutput], before: &[String]) -> Verdict {
    let [script, outcome] = answers else {
        return Verdict::bad("not asked");
    };
    if script.status != 0 {
        return failed(script);
    }
    let text = script.text();
    let mut rest = text.as_str();
    for command in before {
        let Some(at) = rest.find(command.trim_end()) else {
            return Verdict::bad(format!(
                "cloud-init's script has no such command in this place: {command}"
            ));
        };
        rest = &rest[at + command.trim_end().len()..];
    }
    if outcome.status == 0 {
        Verdict::good("run, and the script went on to its end")
    } else {
        Verdict::bad(format!(
            "it failed, or the script did not reach its end: {}",
            outcome.text().trim()
        ))
    }
}

/// The effect of the simplest commands: `mkdir [-p] FOLDER...` makes folders,
/// `echo TEXT > FILE` and `touch FILE` leave a file behind.
fn visible_effect(command: &str) -> Option<(String, String)> {
    let command = command.trim();
    let plain_path = |word: &str| {
        word.starts_with('/')
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/._-@".contains(c))
    };
    if let Some(rest) = command.strip_prefix("mkdir ") {
        let folders: Vec<&str> = rest
            .split_whitespace()
            .filter(|word| *word != "-p")
            .collect();
        let plain = !folders.is_empty() && folders.iter().all(|word| plain_path(word));
        let tests: Vec<String> = folders
            .iter()
            .map(|folder| format!("test -d {folder}"))
            .collect();
        return plain.then(|| {
            (
                format!("{} is a folder", folders.join(", ")),
                tests.join(" && "),
            )
        });
    }
    if let Some(file) = command
        .strip_prefix("touch ")
        .filter(|file| plain_path(file))
    {
        return Some((format!("{file} exists"), format!("test -e {file}")));
    }
    let (_, file) = command
        .rsplit_once("> ")
        .filter(|(text, _)| text.starts_with("echo ") || text.starts_with("printf "))?;
    let file = file.trim();
    plain_path(file).then(|| (format!("{file} is not empty"), format!("test -s {file}")))
}

#[cfg(test)]
mod tests {
    use super::super::judge::said;
    use super::*;

    fn judged(script: &str, outcome: i32, commands: &[&str]) -> Verdict {
        let outcome = GuestOutput {
            status: outcome,
            ..GuestOutput::default()
        };
        let commands: Vec<String> = commands.iter().map(ToString::to_string).collect();
        judge_command(&[&said(script), &outcome], &commands)
    }

    #[test]
    fn commands_must_stand_in_their_order() {
        assert!(judged("#!/bin/sh\nmkdir /a\necho b\n", 0, &["mkdir /a", "echo b"]).passed);
        assert!(!judged("#!/bin/sh\necho b\nmkdir /a\n", 0, &["mkdir /a", "echo b"]).passed);
    }

    #[test]
    fn a_command_that_failed_is_not_as_expected() {
        assert!(!judged("#!/bin/sh\nmkdir /a\n", 1, &["mkdir /a"]).passed);
    }

    #[test]
    fn sees_the_effect_of_plain_commands_only() {
        assert_eq!(
            visible_effect("mkdir -p /etc/a /etc/b").unwrap().1,
            "test -d /etc/a && test -d /etc/b"
        );
        assert_eq!(
            visible_effect("echo '[Service]\nX=1' > /etc/a.conf")
                .unwrap()
                .1,
            "test -s /etc/a.conf"
        );
        for command in [
            "mkdir -p $HOME/x",
            "echo a > /etc/$(id)",
            "apt update",
            "mkdir -m 700 /x",
        ] {
            assert_eq!(visible_effect(command), None, "{command}");
        }
    }
}
