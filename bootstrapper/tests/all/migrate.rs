//! `migrate` on a whole file of the raw-text format: the new file as it is, and what was said about the old one.

use crate::support::{boot_file, golden, here, read, run};
use cluster_bootstrapper::k3s::settings;
use cluster_bootstrapper::migrate::{MigrateError, migrate};
use std::os::unix::fs::MetadataExt as _;

const OLD: &str = include_str!("../migrate/config-file");

#[test]
fn a_whole_file_becomes_the_expected_one() {
    let migrated = migrate(OLD).expect("migrated");
    golden("migrate/config-file.yaml", &migrated.text);
    let remarks: String = migrated.remarks.iter().map(|r| format!("{r}\n")).collect();
    golden("migrate/remarks.txt", &remarks);
}

#[test]
fn the_result_is_valid_and_says_the_same() {
    let migrated = migrate(OLD).expect("migrated");
    let parsed = read(&migrated.text);
    let os = parsed.config.expect("valid").operating_system;
    assert_eq!(os.users[0].username.as_str(), "plant-user");
    assert_eq!(os.network[0].addresses[0].as_str(), "192.168.7.24/24");
    let files: Vec<_> = os
        .write_files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(
        files,
        ["/etc/sysctl.d/90-hugepages.conf", "/etc/plant/line.conf"]
    );
    let line = os.write_files[1].content.as_deref();
    assert_eq!(line, Some("line = 7\n  # indented\n"));
    let commands = users_commands(&migrated.text);
    assert_eq!(
        commands,
        [
            "echo \"on\" > /sys/class/leds/line/brightness",
            "sh -c 'echo it'\\''s $HOME'",
            "# a script\nmodprobe gpio\n",
        ]
    );
}

/// The commands after the installation but for the first, which the old installer ran itself.
fn users_commands(text: &str) -> Vec<String> {
    let config = read(text).config.expect("valid");
    let commands = config.k3s().post_k3s_commands.iter().skip(1);
    commands.map(ToString::to_string).collect()
}

#[test]
fn commands_run_after_k3s_as_they_did() {
    let migrated =
        migrate("runcmd:\n- kubectl apply -f /etc/app.yaml\n- 'cat > /etc/x <<E'\n- a\n- E\n");
    let text = migrated.expect("migrated").text;
    assert_eq!(
        users_commands(&text),
        [
            "kubectl apply -f /etc/app.yaml",
            "cat > /etc/x <<E",
            "a",
            "E"
        ]
    );
    assert!(
        read(&text)
            .config
            .expect("valid")
            .operating_system
            .run_commands
            .is_empty()
    );
}

#[test]
fn the_settings_of_the_old_installer_stay() {
    let migrated = migrate("http_proxy=http://proxy:911\n").expect("migrated");
    let config = read(&migrated.text).config.expect("valid");
    let set = settings(config.k3s());
    assert_eq!(set["disable"].values(), ["traefik", "servicelb"]);
    let kubelet = set["kubelet-arg"].values();
    assert!(kubelet.contains(&"max-pods=250".to_owned()));
    assert!(kubelet.contains(&"topology-manager-policy=best-effort".to_owned()));
    let boot = config.first_boot().expect("decoded");
    let drop_in = boot_file(&boot, "/config.yaml.d/10-migrated.yaml");
    assert_eq!(
        drop_in,
        "write-kubeconfig-mode: \"0644\"\nprotect-kernel-defaults: true\n"
    );
    // What the kubelet compares the kernel with under protect-kernel-defaults.
    assert!(boot_file(&boot, "kubelet.conf").contains("vm.overcommit_memory = 1\n"));
    assert!(
        boot.commands
            .iter()
            .any(|command| command.contains("node-role.kubernetes.io/worker=true"))
    );
}

#[test]
fn one_invalid_entry_of_no_proxy_costs_that_entry() {
    let no_proxy = |old: &str| {
        let migrated = migrate(&format!("http_proxy=http://proxy:911\n{old}\n")).expect("migrated");
        let os = read(&migrated.text).config.expect("valid").operating_system;
        let list = os.proxy.no_proxy.map(|list| list.to_string());
        let dropped = migrated
            .remarks
            .iter()
            .filter(|remark| remark.dropped)
            .count();
        (list.unwrap_or_default(), dropped)
    };
    for (old, list, dropped) in [
        (
            "no_proxy=a.example,*b,10.0.0.0/8",
            "a.example,10.0.0.0/8",
            1,
        ),
        ("no_proxy=*b\nNO_PROXY=a.example", "a.example", 1),
        (
            "no_proxy=a.example\nNO_PROXY=a.example,c.example",
            "a.example,c.example",
            0,
        ),
        (
            "NO_PROXY='a.example c.example, a.example'",
            "a.example,c.example",
            0,
        ),
        ("no_proxy=/run/x.sock", "", 1),
    ] {
        assert_eq!(no_proxy(old), (list.to_owned(), dropped), "{old}");
    }
}

#[test]
fn that_two_lists_of_no_proxy_became_one_is_told() {
    let told = |old: &str| {
        let migrated = migrate(&format!("http_proxy=http://proxy:911\n{old}\n")).expect("migrated");
        let mut remarks = migrated.remarks.iter();
        remarks.any(|remark| remark.message.contains("those of both"))
    };
    assert!(told("no_proxy=a.example\nNO_PROXY=b.example"));
    assert!(!told("no_proxy=a.example\nNO_PROXY=a.example"));
    assert!(!told("NO_PROXY=a.example"));
}

#[test]
fn the_upper_case_proxy_stands_in_for_an_invalid_lower_case_one() {
    let migrated =
        migrate("http_proxy=ftp://x y\nHTTP_PROXY=http://proxy:911\n").expect("migrated");
    let os = read(&migrated.text).config.expect("valid").operating_system;
    assert_eq!(
        os.proxy.http_proxy.expect("kept").as_str(),
        "http://proxy:911"
    );
}

#[test]
fn a_machine_with_docker_becomes_a_node_without_kubernetes() {
    let old = "# the gate\nhost_type=container\nhttp_proxy=http://proxy:911\nuser_name=gate\npasswd=not-the-usual-one\n\
               services:\n  enable: [docker.service]\nruncmd:\n- docker run --detach meter\n";
    let migrated = migrate(old).expect("migrated");
    let parsed = read(&migrated.text);
    let config = parsed.config.expect("valid");
    assert!(config.kubernetes.is_none(), "{}", migrated.text);
    let os = config.operating_system;
    assert_eq!(os.users[0].username.as_str(), "gate");
    assert_eq!(os.services.enable[0].as_str(), "docker.service");
    assert_eq!(os.run_commands[0].as_str(), "docker run --detach meter");
    assert!(os.proxy.http_proxy.is_some());
    assert!(
        migrated.remarks.iter().all(|r| !r.dropped),
        "{:?}",
        migrated.remarks
    );
}

#[test]
fn what_would_become_another_machine_is_an_error() {
    let refused = |text: &str| migrate(text).expect_err("refused");
    assert!(matches!(
        refused("host_type=kubernetes\nuser_name='a b'\n"),
        MigrateError::User { line: 2, .. }
    ));
    assert!(matches!(
        refused("runcmd:\n- a\n- if b\n"),
        MigrateError::Commands { line: 3, .. }
    ));
}

#[test]
fn every_comment_of_the_old_file_is_in_the_new_one() {
    let migrated = migrate(OLD).expect("migrated");
    for comment in OLD
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("# "))
    {
        assert!(
            migrated.text.contains(comment),
            "{comment}\n{}",
            migrated.text
        );
    }
}

#[test]
fn every_key_of_the_old_file_is_placed_or_remarked_on() {
    let keys = [
        "static_ip",
        "subnet_mask",
        "default_gate_way",
        "defualt_gate_way",
        "dns_name_server",
        "passwd",
        "ssh_key",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "host_type",
        "lvm_size_ingb",
        "huge_page_config",
        "USER_CUSTOM_NTP_SERVERS",
        "deploy_envmt",
        "reporting_group_id",
        "reporting_partner_id",
        "reporting_endpoint",
        "reporting_token",
        "reporting_disabled",
        "enable_services",
        "disable_services",
        "custom_file_path",
        "custom_file_permissions",
        "custom_file_content",
    ];
    for key in keys {
        let migrated = migrate(&format!("{key}=\"bad value?\"\n")).expect("migrated");
        let said = migrated
            .remarks
            .iter()
            .any(|remark| remark.key == key && remark.line == 1);
        assert!(
            said || migrated.text.contains("bad value?"),
            "{key}: {}",
            migrated.text
        );
    }
}

#[test]
fn what_stays_empty_makes_no_key() {
    let migrated =
        migrate("http_proxy=\"\"\nssh_key=\"\"\nlvm_size_ingb=\"0\"\nhost_type=\"kubernetes\"\n");
    let migrated = migrated.expect("migrated");
    assert!(migrated.remarks.is_empty(), "{:?}", migrated.remarks);
    assert!(
        !migrated.text.contains("operatingSystem"),
        "{}",
        migrated.text
    );
}

#[test]
fn settings_of_the_side_branches_are_taken() {
    let old = "export user_name=a\n  enable_services=\"ssh,docker\"\ncustom_file_path=/etc/x\ncustom_file_permissions=0600\ncustom_file_content=\"a b\"\n";
    let migrated = migrate(old).expect("migrated");
    let dropped = migrated.remarks.iter().find(|remark| remark.dropped);
    assert_eq!(dropped, None);
    let parsed = read(&migrated.text);
    let os = parsed.config.expect("valid").operating_system;
    assert_eq!(os.users[0].username.as_str(), "a");
    assert_eq!(os.services.enable.len(), 2);
    let file = &os.write_files[0];
    assert_eq!(file.content.as_deref(), Some("a b\n"));
    assert_eq!(
        file.permissions.as_ref().map(|mode| mode.bits()),
        Some(0o600)
    );
}

#[test]
fn what_has_no_new_place_is_left_out_with_the_reason() {
    for (line, key, reason) in [
        (
            "host_type=docker",
            "host_type",
            "it is neither `kubernetes` nor `container`",
        ),
        (
            "lvm_size_ingb=1",
            "lvm_size_ingb",
            "no volume group is made: the last partition of the OS image takes the rest of the disk",
        ),
        (
            "deploy_envmt=ven",
            "deploy_envmt",
            "virtual machines are installed as other machines are",
        ),
        (
            "reporting_disabled=true",
            "reporting_disabled",
            "there is no reporting agent",
        ),
        (
            "custom_file_content=a",
            "custom_file_content",
            "there is no custom_file_path",
        ),
        (
            "custom_file_permissions=0600",
            "custom_file_permissions",
            "there is no custom_file_path",
        ),
        (
            "subnet_mask=24",
            "subnet_mask",
            "there is no static_ip that it is for",
        ),
        (
            "huge_page_config=1-2",
            "huge_page_config",
            "it is not a sum or product of numbers",
        ),
        (
            "a b=c",
            "this line",
            "it is neither an assignment nor a comment",
        ),
        (
            "=c",
            "this line",
            "it is neither an assignment nor a comment",
        ),
    ] {
        // A key that has its place stands beside it, so that there is something to migrate.
        let old = format!("http_proxy=http://proxy:911\n{line}\n");
        let migrated = migrate(&old).expect("migrated");
        let found: Vec<_> = migrated.remarks.iter().collect();
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        let remark = found[0];
        assert_eq!(
            (remark.line, remark.key.as_str(), remark.message.as_str()),
            (2, key, reason)
        );
        assert!(remark.dropped, "{line}");
        let said = format!("#   line 2, {key}: {reason}\n");
        assert!(migrated.text.ends_with(&said), "{}", migrated.text);
    }
}

#[test]
fn what_follows_a_closing_quote_is_noted() {
    let migrated = migrate("http_proxy='http://proxy:911' x\n").expect("migrated");
    let remarks: String = migrated.remarks.iter().map(|r| format!("{r}\n")).collect();
    assert_eq!(
        remarks,
        "line 1, http_proxy: note: what follows the closing quote is left out\n"
    );
}

#[test]
fn commands_arrive_as_the_shell_had_them() {
    let old = "runcmd:\n- [echo, '', a b, \"it's\"]\n- 'true'\n- 'Yes'\n- 'null'\n- 'a '\n- /bin/true\n- 1\n- 'a: b'\n- \"a\\nb\"\n- ' a\n\n  b'\n";
    let migrated = migrate(old).expect("migrated");
    let found = users_commands(&migrated.text);
    assert_eq!(
        found,
        [
            "echo '' 'a b' 'it'\\''s'",
            "true",
            "Yes",
            "null",
            "a ",
            "/bin/true",
            "1",
            "a: b",
            "a\nb",
            " a\nb",
        ]
    );
    let quoted = [
        "\"true\"", "\"Yes\"", "\"null\"", "\"a \"", "\"1\"", "\"a: b\"",
    ];
    for text in quoted.into_iter().chain(["/bin/true"]) {
        let line = format!("\n          - {text}\n");
        assert!(migrated.text.contains(&line), "{text}: {}", migrated.text);
    }
}

#[test]
fn what_is_not_of_the_raw_format_is_refused() {
    let refused = |text: &str| migrate(text).expect_err("refused");
    assert!(matches!(
        refused("version: 1.0\noperatingSystem:\n"),
        MigrateError::AlreadyYaml { line: 2 }
    ));
    assert!(matches!(refused("# only a comment\n"), MigrateError::Empty));
    assert!(matches!(
        refused("user_name=a\nruncmd: [\n"),
        MigrateError::Yaml { .. }
    ));
    assert!(matches!(
        refused("runcmd: [a]\nruncmd: [b]\n"),
        MigrateError::Yaml { line: 2, .. }
    ));
}

#[test]
fn no_old_file_is_a_panic_and_every_result_is_valid() {
    let lines: Vec<&str> = OLD.lines().collect();
    for from in 0..lines.len() {
        for to in [from + 1, from + 5, lines.len()] {
            let part = lines[from..to.min(lines.len())].join("\r\n");
            if let Ok(migrated) = migrate(&part) {
                let parsed = read(&migrated.text);
                assert!(parsed.config.is_some(), "{part}\n{}", migrated.text);
            }
        }
    }
}

#[test]
fn the_command_writes_for_the_owner_alone_and_says_what_is_left_out() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let new = folder.path().join("config-file");
    let old = here("tests/migrate/config-file").display().to_string();
    let done = run(&[
        "migrate",
        "--input",
        &old,
        "--out",
        &new.display().to_string(),
    ]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert_eq!(
        std::fs::metadata(&new).expect("there").mode() & 0o7777,
        0o600
    );
    assert!(said.contains("lvm_size_ingb: left out:"), "{said}");
    assert!(
        !said.contains("p=ss$1") && !said.contains("t-123"),
        "{said}"
    );
    assert_eq!(
        run(&["validate", "--config-file", &new.display().to_string()])
            .status
            .code(),
        Some(0)
    );
    let again = run(&["migrate", "--input", &new.display().to_string()]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("YAML already"));
}
