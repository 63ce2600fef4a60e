//! Every expectation of the project's config-files, as a list: one that is no longer derived, or asks something else, is
//! a difference. And no expectation holds on a node that answers nothing.

use std::fmt::Write as _;
use std::path::Path;

use cluster_bootstrapper::values::Password;
use cluster_bootstrapper::{ParseOptions, parse};
use vm_tests::expectation::{Expectation, derive};
use vm_tests::node::{Facts, Probe};
use vm_tests::ssh::GuestOutput;

/// The config-files, relative to the crate, and the lists of what they call for in `tests/expectations/`.
const FILES: [(&str, &str); 4] = [
    ("../configs/config-file.yaml", "sample.txt"),
    (
        "../configs/scenarios/config-files/many-keys.yaml",
        "many-keys.txt",
    ),
    (
        "../configs/scenarios/config-files/no-kubernetes.yaml",
        "no-kubernetes.txt",
    ),
    ("tests/every-key.yaml", "every-key.txt"),
];

fn of(file: &str) -> Vec<Expectation> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs_err::read_to_string(path).unwrap();
    let text = text.replace(Password::PLACEHOLDER, "cGFzc3dvcmQ=");
    let parsed = parse(&text, &ParseOptions::default());
    derive(&parsed).unwrap_or_else(|| panic!("{file}: {:#?}", parsed.diagnostics))
}

fn listed(expectations: &[Expectation]) -> String {
    let mut text = String::new();
    for one in expectations {
        writeln!(
            text,
            "{}: {}\n  expected: {:?}",
            one.key, one.check, one.expected
        )
        .unwrap();
        for probe in &one.probes {
            writeln!(text, "  asked: {probe:?}").unwrap();
        }
        if one.check(&told(one, 0)).passed {
            writeln!(text, "  holds when told just that").unwrap();
        }
    }
    text
}

/// What is expected, as the answer to every question.
fn told(expectation: &Expectation, status: i32) -> Facts {
    let mut facts = Facts::default();
    for probe in &expectation.probes {
        let answer = GuestOutput {
            status,
            stdout: format!("{}\n", expectation.expected).into_bytes(),
            stderr: Vec::new(),
        };
        facts.insert(probe.clone(), answer);
    }
    facts
}

#[test]
fn nothing_holds_of_a_command_that_failed_whatever_it_printed() {
    for (file, _) in FILES {
        // Of systemctl the words are judged, of a pipe the lines that came through: no exit status says it.
        let by_words = |one: &Expectation| {
            one.key.starts_with("/operatingSystem/services/")
                || one.check.ends_with("was started with the argument")
                || one.check == "the API listens on the address"
        };
        let judged = of(file).into_iter().filter(|one| !by_words(one));
        let holds: Vec<Expectation> = judged
            .filter(|one| one.check(&told(one, 1)).passed)
            .collect();
        assert!(holds.is_empty(), "{file}: {holds:#?}");
    }
}

#[test]
fn the_lists_are_what_the_config_files_call_for() {
    for (file, list) in FILES {
        let list = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/expectations")
            .join(list);
        let derived = listed(&of(file));
        if std::env::var_os("BLESS").is_some() {
            fs_err::write(&list, derived).unwrap();
            continue;
        }
        let kept = fs_err::read_to_string(&list).unwrap();
        let differs = kept.lines().zip(derived.lines()).find(|(a, b)| a != b);
        assert!(
            kept == derived,
            "{file} calls for something else than {} has, first {differs:?}; if it shall: BLESS=1 cargo test -p vm-tests --test \
             expectations",
            list.display()
        );
    }
}

/// Keys and texts of what holds on a node whose every answer is `answer`.
fn holds(answer: &GuestOutput) -> Vec<String> {
    let mut holds = Vec::new();
    for (file, _) in FILES {
        for one in of(file) {
            let mut facts = Facts::default();
            let asked = one.probes.iter().cloned();
            asked.for_each(|probe: Probe| facts.insert(probe, answer.clone()));
            if one.check(&facts).passed {
                holds.push(format!("{}: {}", one.key, one.check));
            }
        }
    }
    holds.sort();
    holds.dedup();
    holds
}

#[test]
fn nothing_holds_of_a_node_that_was_not_asked() {
    for (file, _) in FILES {
        let passed = |one: &Expectation| one.check(&Facts::default()).passed;
        assert!(!of(file).iter().any(passed), "{file}");
    }
}

#[test]
fn nothing_holds_of_a_node_on_which_every_question_fails() {
    let failed = GuestOutput {
        status: 1,
        stdout: Vec::new(),
        stderr: b"no such file".to_vec(),
    };
    assert_eq!(holds(&failed), [""; 0]);
}

/// Of these alone the exit status is the answer.
#[test]
fn of_a_node_that_answers_nothing_only_holds_what_is_told_by_an_exit_status() {
    let told = [
        "/kubernetes/spec/template/spec/files/0/content: containerd's configuration has the runtime custom",
        "/kubernetes/spec/template/spec/files/1/content: containerd's configuration has the runtime custom",
        "/operatingSystem/users/1/username: sudo works without a password",
    ];
    let mut holds = holds(&GuestOutput::default());
    holds.retain(|text| !text.contains("Commands[") && !told.contains(&text.as_str()));
    assert_eq!(holds, [""; 0]);
}
