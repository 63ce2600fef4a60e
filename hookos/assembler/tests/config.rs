//! config.json and runtime.json by value: defaults, label merge, and every field.

mod common;

use std::collections::BTreeMap;

use common::{Bench, unpack};
use hookos::oci::{Entry, ImageConfig};
use serde_json::{Value, json};

fn bench(label: &str) -> Bench {
    let bench = Bench::new();
    let mut labels = BTreeMap::new();
    if !label.is_empty() {
        labels.insert("org.mobyproject.config".to_owned(), label.to_owned());
    }
    let config = ImageConfig {
        entrypoint: vec!["/entry".into()],
        cmd: vec!["word".into()],
        env: vec!["FROM=image".into()],
        working_dir: "/work".into(),
        labels,
    };
    bench.image_with("i:1", config, vec![vec![Entry::file("entry", 0o755, "x")]]);
    bench
}

/// The config.json of a service with these fields (YAML in flow style) and this label.
fn config(label: &str, fields: &str) -> Value {
    bench(label).config(&yaml(fields), "services/s")
}

fn yaml(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(
        "volumes: [{{name: v}}, {{name: r, readonly: true}}]\nservices:\n  - {{name: s, image: \"i:1\"{comma}{fields}}}\n"
    )
}

fn runtime(label: &str, fields: &str) -> Value {
    let files = unpack(&bench(label).build(&yaml(fields)).initrd);
    serde_json::from_slice(&files["containers/services/s/runtime.json"]).unwrap()
}

fn mount(config: &Value, destination: &str) -> Value {
    let mounts = config["mounts"].as_array().unwrap();
    mounts
        .iter()
        .find(|mount| mount["destination"] == destination)
        .cloned()
        .unwrap_or_default()
}

#[test]
fn a_service_without_fields_has_linuxkits_defaults() {
    let wanted = json!({
        "ociVersion": "1.2.1",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/entry", "word"],
            "env": ["FROM=image"],
            "cwd": "/work",
            "capabilities": {},
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/proc", "type": "proc", "source": "proc",
             "options": ["nosuid", "nodev", "noexec", "relatime"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
        ],
        "linux": {"resources": {}, "namespaces": [{"type": "pid"}, {"type": "mount"}]},
    });
    assert_eq!(config("", ""), wanted);
}

#[test]
fn a_writable_container_has_an_overlay() {
    let place = "/containers/services/s";
    let wanted = json!({
        "cgroups": [],
        "mounts": [
            {"destination": format!("{place}/tmp"), "type": "tmpfs", "source": "tmpfs"},
            {"destination": format!("{place}/tmp"), "options": ["remount", "private"]},
            {"destination": format!("{place}/rootfs"), "type": "overlay", "source": "overlay",
             "options": [format!("lowerdir={place}/lower"), format!("upperdir={place}/tmp/upper"),
                         format!("workdir={place}/tmp/work")]},
        ],
        "mkdir": [],
        "interfaces": [],
        "bindNS": {"cgroup": "", "ipc": "", "mnt": "", "net": "", "pid": "", "user": "", "uts": ""},
        "namespace": "",
    });
    assert_eq!(runtime("", ""), wanted);
}

#[test]
fn a_readonly_container_is_bound_to_itself() {
    let rootfs = "/containers/services/s/rootfs";
    let wanted = json!([{"destination": rootfs, "source": rootfs, "options": ["bind"]}]);
    assert_eq!(runtime("", "readonly: true")["mounts"], wanted);
    let config = config("", "readonly: true");
    assert_eq!(config["root"], json!({"path": "rootfs", "readonly": true}));
    for destination in ["/dev", "/sys"] {
        let options = mount(&config, destination)["options"].clone();
        assert_eq!(options.as_array().unwrap().last().unwrap(), "ro");
    }
}

#[test]
fn yaml_replaces_what_the_label_says() {
    let label = r#"{"command": ["/label"], "env": ["A=label"], "net": "new", "readonly": true,
                    "binds": ["/l:/l"], "capabilities": ["CAP_KILL"], "cwd": "/label"}"#;
    let from_label = config(label, "");
    assert_eq!(from_label["process"]["args"], json!(["/label"]));
    assert_eq!(from_label["process"]["env"], json!(["A=label"]));
    assert_eq!(from_label["process"]["cwd"], "/label");
    assert_eq!(from_label["root"]["readonly"], true);
    let fields = "command: [/yaml], env: [], net: host, readonly: false, binds: ['/y:/y'], \
                  capabilities: [], cwd: /yaml";
    let replaced = config(label, fields);
    assert_eq!(replaced["process"]["args"], json!(["/yaml"]));
    assert_eq!(replaced["process"].get("env"), None);
    assert_eq!(replaced["process"]["cwd"], "/yaml");
    assert_eq!(replaced["process"]["capabilities"], json!({}));
    assert_eq!(replaced["root"].get("readonly"), None);
    assert_eq!(mount(&replaced, "/l"), Value::Null);
    assert_eq!(
        replaced["linux"]["namespaces"],
        json!([{"type": "pid"}, {"type": "mount"}])
    );
}

#[test]
fn an_empty_text_does_not_replace_the_labels() {
    let merged = config("net: new\ncwd: /label\n", "net: '', cwd: ''");
    assert_eq!(merged["process"]["cwd"], "/label");
    assert_eq!(merged["linux"]["namespaces"][0]["type"], "network");
}

#[test]
fn add_appends_to_the_label_and_yields_to_the_plain_key() {
    let label =
        r#"{"binds": ["/l:/l"], "capabilities": ["CAP_KILL"], "capabilities.add": ["CAP_CHOWN"]}"#;
    let added = config(
        label,
        "binds.add: ['/a:/a'], capabilities.add: [CAP_SYS_ADMIN, CAP_KILL]",
    );
    assert_eq!(mount(&added, "/l")["source"], "/l");
    assert_eq!(mount(&added, "/a")["source"], "/a");
    let capabilities = &added["process"]["capabilities"];
    assert_eq!(
        capabilities["effective"],
        json!(["CAP_KILL", "CAP_SYS_ADMIN", "CAP_KILL"])
    );
    assert_eq!(
        capabilities["bounding"],
        json!(["CAP_KILL", "CAP_SYS_ADMIN"])
    );
    let plain = config(
        label,
        "binds: ['/b:/b'], binds.add: ['/a:/a'], capabilities: [CAP_MKNOD], capabilities.add: [CAP_BPF]",
    );
    assert_eq!(mount(&plain, "/a"), Value::Null);
    assert_eq!(
        plain["process"]["capabilities"]["effective"],
        json!(["CAP_MKNOD"])
    );
}

#[test]
fn all_capabilities_and_ambient_ones() {
    let all = config("", "capabilities: [all]");
    let capabilities = &all["process"]["capabilities"];
    assert_eq!(capabilities["effective"].as_array().unwrap().len(), 41);
    assert_eq!(capabilities["effective"][0], "CAP_CHOWN");
    assert_eq!(capabilities["bounding"][0], "CAP_AUDIT_CONTROL");
    assert_eq!(capabilities.get("ambient"), None);
    let ambient = config("", "ambient: [CAP_NET_RAW]");
    let capabilities = &ambient["process"]["capabilities"];
    assert_eq!(capabilities["ambient"], json!(["CAP_NET_RAW"]));
    assert_eq!(capabilities["permitted"], json!(["CAP_NET_RAW"]));
    assert_eq!(capabilities.get("effective"), None);
}

#[test]
fn binds_have_linuxkits_options() {
    let config = config("", "binds: ['/a:/a', '/b:/b:ro,nosuid', 'v:/v', 'r:/r:ro']");
    assert_eq!(
        mount(&config, "/a"),
        json!({"destination": "/a", "type": "bind", "source": "/a", "options": ["rw", "rbind", "rshared"]})
    );
    assert_eq!(
        mount(&config, "/b")["options"],
        json!(["ro", "nosuid", "rbind"])
    );
    assert_eq!(
        mount(&config, "/v")["source"],
        "/containers/volumes/v/merged"
    );
    assert_eq!(
        mount(&config, "/r")["source"],
        "/containers/volumes/r/merged"
    );
}

#[test]
fn a_labels_bind_names_no_volume() {
    assert_eq!(mount(&config("binds: ['v:/v']", ""), "/v")["source"], "v");
}

#[test]
fn mounts_replace_earlier_ones_of_the_same_destination() {
    let config = config(
        "",
        "tmpfs: ['/t:size=1m,mode=700', '/dev'], \
         mounts: [{type: proc, options: [ro]}, {source: mqueue}, {destination: /dev}]",
    );
    assert_eq!(
        mount(&config, "/t")["options"],
        json!(["size=1m", "mode=700"])
    );
    assert_eq!(
        mount(&config, "/proc"),
        json!({"destination": "/proc", "type": "proc", "source": "proc", "options": ["ro"]})
    );
    assert_eq!(mount(&config, "/dev/mqueue")["type"], "mqueue");
    assert_eq!(
        mount(&config, "/dev"),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs"})
    );
}

#[test]
fn namespaces_by_their_words() {
    let namespaces = |fields: &str| config("", fields)["linux"]["namespaces"].clone();
    assert_eq!(
        namespaces("net: none, ipc: new, uts: /p, pid: host, userns: new"),
        json!([{"type": "network"}, {"type": "ipc"}, {"type": "uts", "path": "/p"}, {"type": "user"}, {"type": "mount"}])
    );
    assert_eq!(
        namespaces("ipc: none")[0],
        json!({"type": "ipc", "path": "none"})
    );
    assert_eq!(
        namespaces("net: /run/netns/a")[0],
        json!({"type": "network", "path": "/run/netns/a"})
    );
}

#[test]
fn devices_become_nodes_and_rules() {
    let config = config(
        "",
        "devices: [{path: all, type: b, major: 7}, {path: /dev/x, type: c, major: 1, minor: 2, mode: '0660'}], \
         resources: {devices: [{allow: false, access: rwm}], pids: {limit: 5}}",
    );
    assert_eq!(
        config["linux"]["devices"],
        json!([{"path": "/dev/x", "type": "c", "major": 1, "minor": 2, "fileMode": 432}])
    );
    assert_eq!(
        config["linux"]["resources"],
        json!({
            "devices": [
                {"allow": false, "access": "rwm"},
                {"allow": true, "type": "b", "access": "rwm"},
                {"allow": true, "type": "c", "major": 1, "minor": 2, "access": "rwm"},
            ],
            "pids": {"limit": 5},
        })
    );
}

#[test]
fn ids_are_numbers_or_names_of_containers() {
    let bench = bench("");
    let yaml = "onboot: [{name: a, image: 'i:1'}, {name: a, image: 'i:1'}]\n\
                services: [{name: s, image: 'i:1', uid: a, gid: s, additionalGids: [root, 7, a]}]";
    let user = bench.config(yaml, "services/s")["process"]["user"].clone();
    assert_eq!(
        user,
        json!({"uid": 101, "gid": 102, "additionalGids": [0, 7, 101]})
    );
}

#[test]
fn the_other_fields_arrive_where_runc_looks_for_them() {
    let config = config(
        "",
        "hostname: h, uts: new, noNewPrivileges: true, oomScoreAdj: -5, rlimits: ['nofile,1,unlimited', 'RLIMIT_CORE,0,0'], \
         sysctl: {net.b: '1', net.a: '2'}, annotations: {k: v}, maskedPaths: [/m], readonlyPaths: [/r], \
         rootfsPropagation: shared, cgroupsPath: /cg, uidMappings: [{hostID: 5, containerID: 6, size: 7}], \
         resources: {memory: {limit: 9, kernelTCP: 1}, cpu: {cpus: '0-1'}, blockio: {weight: 10}}",
    );
    assert_eq!(config["hostname"], "h");
    assert_eq!(config["process"]["noNewPrivileges"], true);
    assert_eq!(config["process"]["oomScoreAdj"], -5);
    assert_eq!(
        config["process"]["rlimits"],
        json!([{"type": "RLIMIT_NOFILE", "hard": u64::MAX, "soft": 1}, {"type": "RLIMIT_CORE", "hard": 0, "soft": 0}])
    );
    assert_eq!(config["annotations"], json!({"k": "v"}));
    let linux = &config["linux"];
    assert_eq!(linux["sysctl"], json!({"net.a": "2", "net.b": "1"}));
    assert_eq!(linux["maskedPaths"], json!(["/m"]));
    assert_eq!(linux["readonlyPaths"], json!(["/r"]));
    assert_eq!(linux["rootfsPropagation"], "shared");
    assert_eq!(linux["cgroupsPath"], "/cg");
    assert_eq!(
        linux["uidMappings"],
        json!([{"containerID": 0, "hostID": 0, "size": 7}])
    );
    assert_eq!(
        linux["resources"],
        json!({"memory": {"limit": 9}, "cpu": {"cpus": "0-1"}, "blockIO": {"weight": 10}})
    );
}

#[test]
fn the_runtime_section_is_merged_key_by_key() {
    let label = "runtime: {mkdir: [/var/l], cgroups: [l], bindNS: {net: /run/l, pid: /run/p}, namespace: l}";
    let merged = runtime(
        label,
        "runtime: {mkdir: [], bindNS: {net: /run/y}, interfaces: [{name: e, add: veth, peer: p, createInRoot: true}, {name: f}], \
         mounts: [{type: bind, source: /s, destination: d, options: [bind]}]}",
    );
    assert_eq!(merged["mkdir"], json!([]));
    assert_eq!(merged["cgroups"], json!(["l"]));
    assert_eq!(merged["bindNS"]["net"], "/run/y");
    assert_eq!(merged["bindNS"]["pid"], "/run/p");
    assert_eq!(merged["namespace"], "l");
    assert_eq!(
        merged["interfaces"],
        json!([{"name": "e", "add": "veth", "peer": "p", "createInRoot": true}, {"name": "f", "createInRoot": false}])
    );
    assert_eq!(
        merged["mounts"][3],
        json!({"destination": "d", "type": "bind", "source": "/s", "options": ["bind"]})
    );
}

#[test]
fn the_documents_are_written_as_go_writes_them() {
    let files = unpack(&bench("").build(&yaml("command: ['<&>']")).initrd);
    let text = String::from_utf8(files["containers/services/s/config.json"].clone()).unwrap();
    assert!(
        text.starts_with("{\n    \"ociVersion\": \"1.2.1\",\n"),
        "{text}"
    );
    assert!(text.contains(r#""\u003c\u0026\u003e""#), "{text}");
    assert!(!text.ends_with('\n'));
}

#[test]
fn mounts_of_the_runtime_section_get_no_defaults() {
    let mounts = &runtime(
        "",
        "runtime: {mounts: [{type: tmpfs, destination: /q}, {source: sysfs, destination: /s}]}",
    )["mounts"];
    let all = mounts.as_array().unwrap();
    let wanted = [
        json!({"destination": "/q", "type": "tmpfs"}),
        json!({"destination": "/s", "source": "sysfs"}),
    ];
    assert_eq!(all[all.len() - 2..], wanted);
}
