//! `install` on a small root tree: accounts, keys, sudo, proxy; twice the same; never outside the root.

use crate::support::{install_into as run, owners, text_in as text};
use cluster_bootstrapper::install::Owners;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a@b";

pub fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary directory");
    let root = folder.path();
    for path in ["etc/skel", "etc/sudoers.d", "root", "home", "bin"] {
        fs::create_dir_all(root.join(path)).expect("directory");
    }
    let files = [
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nsvc:x:200:200::/srv:/bin/false\n",
        ),
        (
            "etc/shadow",
            "root:*:20000:0:99999:7:::\nsvc:!:20000::::::\n",
        ),
        ("etc/group", "root:x:0:\nsvc:x:200:\n"),
        ("etc/gshadow", "root:*::\n"),
        ("etc/subuid", ""),
        ("etc/skel/.profile", "# profile\n"),
        ("etc/environment", "EDITOR=vi\nhttp_proxy=old\n"),
        ("bin/bash", ""),
    ];
    for (path, text) in files {
        let path = root.join(path);
        fs::write(&path, text).expect("file");
        // Ubuntu's users have a umask of 002.
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("mode");
    }
    fs::set_permissions(root.join("etc/shadow"), fs::Permissions::from_mode(0o640)).expect("mode");
    folder
}

fn user_with_key() -> String {
    format!("  sshKey: {KEY}\n  users: [{{username: root}}, {{username: op, password: b3A=}}]\n")
}

fn mode(root: &Path, path: &str) -> u32 {
    fs::metadata(root.join(path)).expect("there").mode() & 0o7777
}

#[test]
fn makes_a_user_with_home_key_and_sudo() {
    let tree = tree();
    run(tree.path(), &user_with_key()).expect("installed");
    let root = tree.path();
    assert!(text(root, "etc/passwd").contains("op:x:1000:1000::/home/op:/bin/bash\n"));
    assert!(text(root, "etc/group").contains("op:x:1000:\n"));
    assert!(text(root, "etc/shadow").contains("op:$6$"));
    assert_eq!(text(root, "etc/gshadow"), "root:*::\nop:!::\n");
    assert_eq!(text(root, "etc/subuid"), "op:100000:65536\n");
    assert!(!root.join("etc/subgid").exists(), "it was not there before");
    assert_eq!(text(root, "home/op/.profile"), "# profile\n");
    assert_eq!(
        text(root, "home/op/.ssh/authorized_keys"),
        format!("{KEY}\n")
    );
    assert_eq!(text(root, "root/.ssh/authorized_keys"), format!("{KEY}\n"));
    assert_eq!(mode(root, "home/op/.ssh"), 0o700);
    assert_eq!(mode(root, "home/op/.ssh/authorized_keys"), 0o600);
    assert_eq!(mode(root, "etc/sudoers.d/90-emts-op"), 0o440);
    assert_eq!(mode(root, "etc/shadow"), 0o640);
    assert!(!root.join("etc/sudoers.d/90-emts-root").exists());
    if owners() == Owners::Set {
        let owner = |path: &str| fs::metadata(root.join(path)).expect("there").uid();
        assert_eq!(
            (owner("home/op/.ssh/authorized_keys"), owner("root/.ssh")),
            (1000, 0)
        );
    }
}

#[test]
fn changes_nothing_when_run_twice() {
    let tree = tree();
    let os =
        user_with_key() + "  proxy: {httpProxy: \"http://p.example.com:1\"}\n  hostname: edge-7\n";
    run(tree.path(), &os).expect("installed");
    let files = [
        "etc/passwd",
        "etc/shadow",
        "etc/group",
        "etc/environment",
        "etc/hosts",
    ];
    let before: Vec<_> = files.iter().map(|path| text(tree.path(), path)).collect();
    run(tree.path(), &os).expect("installed again");
    let after: Vec<_> = files.iter().map(|path| text(tree.path(), path)).collect();
    assert_eq!(before, after);
}

#[test]
fn a_table_without_a_change_is_not_even_written() {
    let tree = tree();
    run(tree.path(), &user_with_key()).expect("installed");
    let tables = ["passwd", "shadow", "group", "gshadow", "subuid"];
    let inodes = || {
        let stat = |name| fs::metadata(tree.path().join("etc").join(name)).expect("there");
        tables.map(|name| stat(name).ino())
    };
    let before = inodes();
    run(tree.path(), &user_with_key()).expect("installed again");
    assert_eq!(inodes(), before);
}

#[test]
fn ids_that_a_user_or_a_group_has_are_not_given_again() {
    let tree = tree();
    let add = |path: &str, line: &str| {
        let before = text(tree.path(), path);
        fs::write(tree.path().join(path), before + line).expect("file");
    };
    add("etc/passwd", "a:x:1000:100::/home/a:/bin/sh\n");
    add("etc/group", "meters:x:1001:\n");
    add("etc/subuid", "a:100000:65536\nb:5:7\n");
    run(tree.path(), "  users: [{username: op, password: b3A=}]\n").expect("installed");
    let passwd = text(tree.path(), "etc/passwd");
    assert!(passwd.contains("op:x:1002:1002::/home/op:"), "{passwd}");
    let subuid = text(tree.path(), "etc/subuid");
    assert!(subuid.ends_with("\nop:165536:65536\n"), "{subuid}");
}

#[test]
fn what_the_image_has_of_a_user_is_kept() {
    let tree = tree();
    fs::remove_file(tree.path().join("bin/bash")).expect("removed");
    fs::remove_file(tree.path().join("etc/gshadow")).expect("removed");
    let files = [
        ("etc/group", "op:x:1234:\n"),
        ("etc/subuid", "op:7:8\n"),
        ("etc/subgid", "op:9:10\n"),
        ("home/op/.ssh/authorized_keys", "an old key"),
    ];
    fs::create_dir_all(tree.path().join("home/op/.ssh")).expect("directory");
    for (path, content) in files {
        fs::write(tree.path().join(path), content).expect("file");
    }
    run(
        tree.path(),
        &format!("  sshKey: {KEY}\n  users: [{{username: op, password: b3A=}}]\n"),
    )
    .expect("installed");
    for (path, content) in &files[..3] {
        assert_eq!(text(tree.path(), path), *content);
    }
    let passwd = text(tree.path(), "etc/passwd");
    assert!(
        passwd.contains("op:x:1000:1234::/home/op:/bin/sh\n"),
        "{passwd}"
    );
    assert_eq!(
        text(tree.path(), "home/op/.ssh/authorized_keys"),
        format!("an old key\n{KEY}\n")
    );
    assert!(!tree.path().join("etc/gshadow").exists());
    assert!(!tree.path().join("home/op/.profile").exists());
    assert!(!tree.path().join("root/.ssh").exists(), "not root's key");
}

#[test]
fn a_key_that_is_there_is_not_added_again() {
    let tree = tree();
    for _ in 0..2 {
        run(tree.path(), &format!("  sshKey: {KEY}\n")).expect("installed");
    }
    let keys = text(tree.path(), "root/.ssh/authorized_keys");
    assert_eq!(keys, format!("{KEY}\n"));
}

#[test]
fn a_password_changes_the_hash_alone() {
    let tree = tree();
    run(tree.path(), "  users: [{username: root, password: b3A=}]\n").expect("installed");
    let shadow = text(tree.path(), "etc/shadow");
    let root: Vec<&str> = shadow.lines().next().expect("a line").split(':').collect();
    assert!(root[1].starts_with("$6$"), "{shadow}");
    assert_eq!(
        (root[0], &root[2..]),
        ("root", &["20000", "0", "99999", "7", "", "", ""][..])
    );
    assert!(shadow.contains("\nsvc:!:20000::::::\n"), "{shadow}");
    run(
        tree.path(),
        &format!("  sshKey: {KEY}\n  users: [{{username: root}}]\n"),
    )
    .expect("installed");
    assert_eq!(text(tree.path(), "etc/shadow"), shadow);
}

#[test]
fn an_account_without_a_home_or_an_id_is_refused() {
    for (line, field) in [
        ("op:x:1000:1000::home:/bin/sh", "home directory"),
        ("op:x:1000:1000", "home directory"),
        ("op:x::1000::/home/op:/bin/sh", "user id"),
        ("op:x:1000:x::/home/op:/bin/sh", "group id"),
    ] {
        let tree = tree();
        let before = text(tree.path(), "etc/passwd");
        fs::write(tree.path().join("etc/passwd"), format!("{before}{line}\n")).expect("file");
        let error =
            run(tree.path(), "  users: [{username: op, password: b3A=}]\n").expect_err(line);
        assert!(
            error.contains("/etc/passwd: the line of `op`") && error.contains(field),
            "{line}: {error}"
        );
    }
    let tree = tree();
    fs::write(tree.path().join("etc/passwd"), "a:x:1:1::/:\n").expect("file");
    let error = run(tree.path(), &format!("  sshKey: {KEY}\n")).expect_err("refused");
    assert!(error.contains("`root` has no valid entry"), "{error}");
}

#[test]
fn a_new_home_is_the_skeleton_with_its_folders_links_and_modes() {
    let tree = tree();
    let skeleton = tree.path().join("etc/skel");
    fs::create_dir_all(skeleton.join(".config/meter")).expect("directory");
    fs::write(skeleton.join(".config/meter/secret"), "s").expect("file");
    symlink("/etc/motd", skeleton.join("motd")).expect("link");
    let set = |path: &str, mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(skeleton.join(path), mode).expect("mode");
    };
    set(".config", 0o750);
    set(".config/meter/secret", 0o600);
    set(".profile", 0o644);
    run(tree.path(), &user_with_key()).expect("installed");
    let home = tree.path().join("home/op");
    assert_eq!(text(&home, ".config/meter/secret"), "s");
    assert_eq!(
        fs::read_link(home.join("motd")).expect("a link"),
        Path::new("/etc/motd")
    );
    let modes = ["", ".config", ".config/meter/secret", ".profile"].map(|path| mode(&home, path));
    assert_eq!(modes, [0o700, 0o750, 0o600, 0o644]);
    if owners() == Owners::Set {
        for path in [
            "",
            ".config/meter",
            ".config/meter/secret",
            "motd",
            ".profile",
        ] {
            let stat = fs::symlink_metadata(home.join(path)).expect("there");
            assert_eq!((stat.uid(), stat.gid()), (1000, 1000), "{path}");
        }
    }
}

#[test]
fn the_host_has_its_name_in_every_file_that_says_it() {
    for (name, hosts) in [
        ("edge-7", "edge-7"),
        ("edge-7.example.com", "edge-7.example.com edge-7"),
    ] {
        let tree = tree();
        let old = "127.0.0.1 localhost\n127.0.1.1 old\n::1 localhost\n";
        fs::write(tree.path().join("etc/hosts"), old).expect("file");
        let os = format!("  users: [{{username: root, password: b3A=}}]\n  hostname: {name}\n");
        run(tree.path(), &os).expect("installed");
        assert_eq!(text(tree.path(), "etc/hostname"), format!("{name}\n"));
        assert_eq!(
            text(tree.path(), "etc/hosts"),
            format!("127.0.0.1 localhost\n::1 localhost\n127.0.1.1\t{hosts}\n")
        );
        let keep = text(tree.path(), "etc/cloud/cloud.cfg.d/10-emts-hostname.cfg");
        assert_eq!(keep, "preserve_hostname: true\n");
    }
}

#[test]
fn sets_the_proxy_in_both_cases_and_adds_the_cluster_to_no_proxy() {
    let tree = tree();
    let os = "  users: [{username: root, password: b3A=}]\n  proxy: {httpProxy: \"http://p.example.com:1\", noProxy: \"localhost, .example.com\"}\n";
    run(tree.path(), os).expect("installed");
    let environment = text(tree.path(), "etc/environment");
    let list = "localhost,.example.com,10.42.0.0/16,10.43.0.0/16,.svc,.cluster.local";
    let expected = format!(
        "EDITOR=vi\nhttp_proxy=http://p.example.com:1\nHTTP_PROXY=http://p.example.com:1\n\
         no_proxy={list}\nNO_PROXY={list}\n"
    );
    assert_eq!(environment, expected);
}

#[test]
fn makes_the_environment_file_that_units_name() {
    let tree = tree();
    fs::remove_file(tree.path().join("etc/environment")).expect("removed");
    run(tree.path(), "  users: [{username: root, password: b3A=}]\n").expect("installed");
    assert_eq!(text(tree.path(), "etc/environment"), "");
}

#[test]
fn gives_the_key_to_root_when_there_are_no_users() {
    let tree = tree();
    run(tree.path(), &format!("  sshKey: {KEY}\n")).expect("installed");
    assert_eq!(
        text(tree.path(), "root/.ssh/authorized_keys"),
        format!("{KEY}\n")
    );
}

#[test]
fn never_writes_a_plain_password() {
    let tree = tree();
    run(
        tree.path(),
        "  users: [{username: op, password: c2VjcmV0LXdvcmQ=}]\n",
    )
    .expect("installed");
    let shadow = text(tree.path(), "etc/shadow");
    assert!(!shadow.contains("secret-word") && !shadow.contains("c2VjcmV0LXdvcmQ="));
}

#[test]
fn refuses_an_account_of_the_system() {
    let tree = tree();
    let error =
        run(tree.path(), "  users: [{username: svc, password: b3A=}]\n").expect_err("refused");
    assert!(error.contains("uid 200"), "{error}");
    assert!(!text(tree.path(), "etc/shadow").contains("$6$"));
}

#[test]
fn a_folder_that_is_no_image_is_left_as_it_is() {
    let empty = tempfile::tempdir().expect("temporary directory");
    let error = run(empty.path(), &user_with_key()).expect_err("refused");
    assert!(error.contains("no /etc/passwd"), "{error}");
    assert_eq!(fs::read_dir(empty.path()).expect("readable").count(), 0);
}

#[test]
fn does_not_follow_a_link_out_of_the_root() {
    let tree = tree();
    let outside = tempfile::tempdir().expect("temporary directory");
    fs::remove_dir(tree.path().join("etc/sudoers.d")).expect("removed");
    symlink(outside.path(), tree.path().join("etc/sudoers.d")).expect("link");
    let error = run(tree.path(), &user_with_key()).expect_err("refused");
    assert!(error.contains("/etc/sudoers.d"), "{error}");
    let left = fs::read_dir(outside.path()).expect("readable").count();
    assert_eq!(left, 0, "a file was written outside the root");
}

#[test]
fn follows_a_link_that_stays_in_the_root() {
    let tree = tree();
    fs::remove_dir(tree.path().join("home")).expect("removed");
    fs::create_dir_all(tree.path().join("var/home")).expect("directory");
    symlink("/var/home", tree.path().join("home")).expect("link");
    run(tree.path(), &user_with_key()).expect("installed");
    assert_eq!(
        text(tree.path(), "var/home/op/.ssh/authorized_keys"),
        format!("{KEY}\n")
    );
}

/// "J\xe9r\xf4me" in ISO 8859-1.
const LATIN1: &[u8] = b"J\xe9r\xf4me";

#[test]
fn what_is_not_utf_8_keeps_its_bytes() {
    let tree = tree();
    let root = tree.path();
    let with = |before: &str, after: &str| [before.as_bytes(), LATIN1, after.as_bytes()].concat();
    let passwd = with(
        "root:x:0:0:root:/root:/bin/sh\nj:x:1001:1001:",
        ":/home/j:/bin/sh\n",
    );
    fs::write(root.join("etc/passwd"), &passwd).expect("file");
    fs::write(root.join("etc/hosts"), with("# ", "\n127.0.1.1 old\n")).expect("file");
    fs::write(root.join("etc/environment"), with("NAME=", "\n")).expect("file");
    fs::write(root.join("etc/skel/.profile"), LATIN1).expect("file");
    let proxy = "  proxy: {httpProxy: \"http://proxy:80\"}\n";
    run(root, &format!("{}{proxy}", user_with_key())).expect("installed");
    let read = |path: &str| fs::read(root.join(path)).expect("file");
    let op = b"op:x:1000:1000::/home/op:/bin/bash\n";
    assert_eq!(read("etc/passwd"), [&passwd[..], op].concat());
    assert!(read("etc/hosts").starts_with(&with("# ", "\n127.0.1.1\tnode-")));
    assert!(read("etc/environment").starts_with(&with("NAME=", "\nhttp_proxy=")));
    assert_eq!(read("home/op/.profile"), LATIN1);
}

#[test]
fn a_fifo_is_replaced_and_never_opened() {
    let tree = tree();
    for path in ["etc/hosts", "etc/environment", "etc/skel/fifo"] {
        let path = tree.path().join(path);
        let _ = fs::remove_file(&path);
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).expect("fifo");
    }
    let proxy = "  proxy: {httpProxy: \"http://proxy:80\"}\n";
    run(tree.path(), &format!("{}{proxy}", user_with_key())).expect("installed");
    assert!(text(tree.path(), "etc/hosts").starts_with("127.0.0.1\tlocalhost\n127.0.1.1\t"));
    assert!(text(tree.path(), "etc/environment").starts_with("http_proxy="));
    assert!(!tree.path().join("home/op/fifo").exists());
}

#[test]
fn a_home_directory_that_the_first_boot_was_to_make_is_made() {
    let tree = tree();
    fs::remove_dir(tree.path().join("home")).expect("removed");
    symlink("var/home", tree.path().join("home")).expect("link");
    run(tree.path(), &user_with_key()).expect("installed");
    assert_eq!(
        text(tree.path(), "var/home/op/.ssh/authorized_keys"),
        format!("{KEY}\n")
    );
    assert_eq!(mode(tree.path(), "var/home"), 0o755);
}

#[test]
fn links_to_nothing_that_follow_each_other_end() {
    let tree = tree();
    fs::remove_dir(tree.path().join("home")).expect("removed");
    symlink("home", tree.path().join("home")).expect("link");
    let error = run(tree.path(), &user_with_key()).expect_err("refused");
    assert!(error.contains("/home"), "{error}");
}

#[test]
fn a_home_may_be_the_root_itself() {
    let tree = tree();
    let passwd = "root:x:0:0::/:/bin/sh\n";
    fs::write(tree.path().join("etc/passwd"), passwd).expect("file");
    run(tree.path(), &format!("  sshKey: {KEY}\n")).expect("installed");
    assert_eq!(
        text(tree.path(), ".ssh/authorized_keys"),
        format!("{KEY}\n")
    );
    assert!(!tree.path().join(".profile").exists());
}
