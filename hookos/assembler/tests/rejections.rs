//! What is refused, with its place and reason, and what is warned of.

mod common;

use common::{Bench, raw_tar};
use hookos::oci::{Entry, ImageConfig};
use std::collections::BTreeMap;
use tar::EntryType::{Directory, Link, Regular, Symlink};

fn bench() -> Bench {
    let bench = Bench::new();
    bench.image("i:1", vec![Entry::file("a", 0o644, "x")]);
    bench
}

/// Each YAML is refused with a message that has all of the words.
fn refuses(cases: &[(&str, &[&str])]) {
    let bench = bench();
    for (yaml, words) in cases {
        let message = bench.refuse(yaml);
        for word in *words {
            assert!(
                message.contains(word),
                "`{word}` is not in: {message}\nof:\n{yaml}"
            );
        }
    }
}

fn warnings(yaml: &str) -> Vec<String> {
    let report = bench().build(yaml);
    report.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn unknown_keys_at_every_level() {
    refuses(&[
        (
            "kernal: {}\n",
            &["hook-os.yaml:1:1:", "unknown key `kernal`"],
        ),
        (
            "kernel:\n  image: i:1\n  binry: x\n",
            &[":3:3:", "kernel", "`binry`"],
        ),
        (
            "services:\n  - name: s\n    image: i:1\n    runtime:\n      mkdri: []\n",
            &[":5:7:", "`mkdri`"],
        ),
        (
            "services:\n  - {name: s, image: 'i:1', resources: {memory: {limits: 1}}}\n",
            &["`limits`"],
        ),
        ("files:\n  - {path: a, content: x}\n", &["`content`"]),
        ("volumes:\n  - {name: a, read: true}\n", &["`read`"]),
    ]);
}

#[test]
fn a_mistyped_key_is_shown_in_its_line_and_is_not_missing_as_well() {
    let message = bench().refuse("services:\n  - name: s\n    imgae: i:1\n");
    let shown = "service: unknown key `imgae`\n  |\n3 |     imgae: i:1\n  |     ^^^^^\n  = help: did you mean `image`?";
    assert!(message.ends_with(shown), "{message}");
}

#[test]
fn a_file_that_is_no_yaml_is_told_where_that_began() {
    let message = bench().refuse("services:\n  - name: \"s\n    image: i:1\nfiles: []\n");
    assert!(message.contains(":2:11: the quote"), "{message}");
}

#[test]
fn values_of_the_wrong_type() {
    refuses(&[
        (
            "files:\n  - path: a\n    contents: x\n    mode: 0644\n",
            &[":4:11:", "file.mode", "quotes"],
        ),
        (
            "volumes:\n  - {name: v, readonly: yes}\n",
            &["volume.readonly", "true or false"],
        ),
        ("init: i:1\n", &["a list is wanted"]),
        ("services:\n", &["null"]),
        (
            "services:\n  - {name: s, image: 'i:1', sysctl: {a: 1}}\n",
            &["a text is wanted"],
        ),
        ("- a\n", &["a mapping is wanted"]),
        ("\n\tinit: []\n", &[":2:1:", "a tab"]),
        (
            "files:\n  - {path: a/, contents: x}\n",
            &["no path of a file"],
        ),
        (
            "services:\n  - {name: s, image: 'i:1', mounts: [{type: bind, source: zz, destination: /x}]}\n",
            &[":2:38:", "no volume `zz`"],
        ),
        (
            "volumes:\n  - {name: v, image: 'i:1', format: oci, platforms: [linux/arm64]}\n",
            &["linux/arm64", "its index has: linux/amd64"],
        ),
        ("", &["empty"]),
    ]);
}

#[test]
fn all_errors_come_in_one_run() {
    let message = bench().refuse("a: 1\nb: 2\nservices:\n  - {name: s, image: 'none:1'}\n");
    assert_eq!(message.matches("unknown key").count(), 2, "{message}");
}

#[test]
fn missing_images_are_named_with_what_there_is() {
    refuses(&[(
        "init:\n  - none:1\nservices:\n  - {name: s, image: 'other:2'}\n",
        &[
            ":2:5:",
            "docker.io/library/none:1",
            ":4:5:",
            "other:2",
            "they have: docker.io/library/i:1",
        ],
    )]);
}

#[test]
fn names_and_required_keys() {
    refuses(&[
        (
            "services:\n  - {image: 'i:1'}\n",
            &["service: the key `name` is missing"],
        ),
        (
            "services:\n  - {name: s}\n",
            &["service: the key `image` is missing"],
        ),
        (
            "services:\n  - {name: s, image: 'i:1'}\n  - {name: s, image: 'i:1'}\n",
            &[":3:5:", "used twice"],
        ),
        ("volumes:\n  - {name: A}\n", &["a-z"]),
        ("volumes:\n  - {name: v}\n  - {name: v}\n", &["used twice"]),
        ("volumes:\n  - {name: v, format: ''}\n", &["filesystem"]),
        (
            "services:\n  - {name: a/b, image: 'i:1'}\n",
            &["cannot be a container's name"],
        ),
        ("services: []\nservices: []\n", &[":2:"]),
    ]);
}

#[test]
fn a_readonly_volume_bound_without_ro() {
    for bind in ["v:/v", "v:/v:rw", "v:/v:ro,rshared"] {
        for key in ["binds", "binds.add"] {
            let yaml = format!(
                "volumes: [{{name: v, readonly: true}}]\nservices:\n  - name: s\n    image: i:1\n    {key}:\n      - {bind}\n"
            );
            let message = bench().refuse(&yaml);
            assert!(
                message.contains(":6:9:") && message.contains("exactly `:ro`"),
                "{message}"
            );
        }
    }
}

#[test]
fn binds_mounts_and_other_values() {
    let service = |fields: &str| format!("services:\n  - {{name: s, image: 'i:1', {fields}}}\n");
    for (fields, words) in [
        ("binds: ['none:/v']", "no volume `none`"),
        ("binds: ['/a']", "1 parts"),
        ("binds: ['/a:/b:c:d']", "4 parts"),
        ("tmpfs: ['/a:b:c']", "more than one"),
        ("mounts: [{destination: /x}]", "no type"),
        ("mounts: [{type: bind, source: /x}]", "no destination"),
        ("devices: [{path: /dev/x}]", "octal"),
        ("rlimits: ['nofile,1']", "2 parts"),
        ("rlimits: ['files,1,1']", "no limit `files`"),
        ("rlimits: ['nofile,-1,1']", "`unlimited`"),
        ("capabilities: [cap_chown]", "upper case"),
        ("capabilities: [all, CAP_CHOWN]", "stand alone"),
        ("uid: nobody", "`nobody` is no id"),
    ] {
        let message = bench().refuse(&service(fields));
        assert!(message.contains(words), "`{words}` is not in: {message}");
    }
}

#[test]
fn files_that_say_too_much_or_too_little() {
    let file = |fields: &str| format!("files:\n  - {{path: a, {fields}}}\n");
    for (fields, words) in [
        ("mode: '0644'", "none of"),
        ("directory: true, contents: x", "folder and has `contents`"),
        ("contents: x, source: y", "beside"),
        ("source: y, metadata: yaml", "both"),
        ("source: none", "none"),
        ("metadata: toml", "yaml and json"),
        ("contents: x, mode: '0o644'", "octal"),
        ("contents: x, uid: '100'", "no id"),
    ] {
        let message = bench().refuse(&file(fields));
        assert!(message.contains(words), "`{words}` is not in: {message}");
    }
    refuses(&[(
        "files:\n  - {path: ../a, contents: x}\n",
        &["below the root"],
    )]);
}

#[test]
fn a_kernel_image_without_the_files() {
    refuses(&[
        (
            "kernel: {image: 'i:1'}\n",
            &["no regular file `kernel`", "kernel.binary"],
        ),
        (
            "kernel: {image: 'i:1', binary: a}\n",
            &["no regular file `kernel.tar`", "kernel.tar;"],
        ),
    ]);
    assert!(
        bench()
            .build("kernel: {image: 'i:1', binary: a, tar: none}\n")
            .kernel
            .is_some()
    );
}

#[test]
fn a_wrong_label() {
    for (label, words) in [
        ("[]", "a mapping is wanted"),
        ("name: x", "`name`"),
        ("image: x", "`image`"),
        ("{", "org.mobyproject.config"),
        ("capabilities: [CAP_X]", "CAP_X"),
    ] {
        let bench = Bench::new();
        let labels = BTreeMap::from([("org.mobyproject.config".to_owned(), label.to_owned())]);
        let config = ImageConfig {
            labels,
            ..ImageConfig::default()
        };
        bench.image_with("l:1", config, vec![vec![]]);
        let message = bench.refuse("services:\n  - {name: s, image: 'l:1'}\n");
        assert!(
            message.contains(words) && message.contains(":2:5:"),
            "{message}"
        );
    }
}

#[test]
fn layers_that_try_to_leave_the_root() {
    for (what, entries) in [
        ("absolute", vec![("/etc/passwd", Regular, "x")]),
        ("dots", vec![("../../etc/passwd", Regular, "x")]),
        ("inner dots", vec![("a/../../etc/passwd", Regular, "x")]),
        (
            "absolute link",
            vec![("a", Symlink, "/etc"), ("a/passwd", Regular, "x")],
        ),
        (
            "climbing link",
            vec![("a", Symlink, "../.."), ("a/passwd", Regular, "x")],
        ),
        (
            "link to a link",
            vec![
                ("a", Symlink, "b"),
                ("b", Symlink, "/"),
                ("a/passwd", Regular, "x"),
            ],
        ),
        (
            "circle",
            vec![
                ("a", Symlink, "b"),
                ("b", Symlink, "a"),
                ("a/x", Regular, "x"),
            ],
        ),
        ("hard link out", vec![("a", Link, "../../etc/passwd")]),
        ("absolute hard link", vec![("a", Link, "/etc/passwd")]),
        ("hard link to nothing", vec![("a", Link, "b")]),
        (
            "below a file",
            vec![("a", Regular, "x"), ("a/b", Regular, "x")],
        ),
        ("root is a file", vec![("./", Regular, "x")]),
    ] {
        for (reference, layers) in [
            ("one:1", vec![raw_tar(&entries)]),
            (
                "many:1",
                entries.iter().map(|entry| raw_tar(&[*entry])).collect(),
            ),
        ] {
            let bench = Bench::new();
            bench.image_of_tars(reference, layers);
            let message = bench.refuse(&format!("init: ['{reference}']\n"));
            assert!(
                message.contains("is refused") && message.contains("sha256:"),
                "{what}: {message}"
            );
            assert!(!bench.path("out/initrd.img").exists());
        }
    }
}

#[test]
fn a_link_inside_the_root_is_followed() {
    let bench = Bench::new();
    let lower = raw_tar(&[("usr/lib", Directory, ""), ("lib", Symlink, "usr/lib")]);
    bench.image_of_tars("i:1", vec![lower, raw_tar(&[("lib/a", Regular, "x")])]);
    let files = common::unpack(&bench.build("init: ['i:1']").initrd);
    assert_eq!(files["usr/lib/a"], b"x");
}

#[test]
fn traps_are_warned_of_with_their_line() {
    for (yaml, place, words) in [
        (
            "files:\n  - {path: etc/a, contents: x}\n",
            "2:5",
            "/etc gets the mode 0700",
        ),
        (
            "files:\n  - {path: a, contents: '@x'}\n",
            "2:25",
            "begins with `@`",
        ),
        (
            "files:\n  - {path: /var/a, contents: x}\n",
            "2:5",
            "hidden at boot",
        ),
        (
            "services:\n  - {name: s, image: 'i:1', binds: ['/dev:/dev']}\n",
            "2:5",
            "no device rules",
        ),
        (
            "services:\n  - {name: s, image: 'i:1', runtime: {mkdir: [/opt/a]}}\n",
            "2:47",
            "read-only",
        ),
        (
            "services:\n  - {name: s, image: 'i:1', hostname: h}\n",
            "2:5",
            "uts: new",
        ),
        (
            "services:\n  - {name: 's s', image: 'i:1'}\n",
            "2:5",
            "refused at boot",
        ),
    ] {
        let warnings = warnings(yaml);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with(&format!("{place}:")),
            "{warnings:?}"
        );
        assert!(warnings[0].contains(words), "{warnings:?}");
    }
}

#[test]
fn a_folder_of_the_images_label_outside_memory_is_warned_of() {
    let bench = Bench::new();
    let label = r#"{"runtime": {"mkdir": ["/opt/a", "/run/b"]}}"#;
    let labels = BTreeMap::from([("org.mobyproject.config".to_owned(), label.to_owned())]);
    let config = ImageConfig {
        labels,
        ..ImageConfig::default()
    };
    bench.image_with("i:1", config, vec![vec![Entry::file("a", 0o644, "x")]]);
    let warnings = |yaml| -> Vec<String> {
        let report = bench.build(yaml);
        report.warnings.iter().map(ToString::to_string).collect()
    };
    let [warning] = &warnings("services:\n  - {name: s, image: 'i:1'}\n")[..] else {
        panic!("not one warning");
    };
    assert!(warning.starts_with("2:5:"), "{warning}");
    assert!(warning.contains("runtime.mkdir /opt/a"), "{warning}");
    let own = "services:\n  - {name: s, image: 'i:1', runtime: {mkdir: [/var/c]}}\n";
    assert_eq!(warnings(own), [""; 0]);
}

#[test]
fn a_definition_without_traps_has_no_warnings() {
    let yaml = "services:\n  - {name: s, image: 'i:1', binds: ['/dev:/dev'], devices: [{path: all}], \
                runtime: {mkdir: [/var/lib/a]}}\nfiles:\n  - {path: etc/a, contents: x, mode: '0644'}\n";
    assert_eq!(warnings(yaml), [""; 0]);
}
