//! Metadata files: what linuxkit v1.8.2 writes for the same definition.

mod common;

use common::{Bench, unpack};
use hookos::oci::Entry;

const DEFINITION: &str = r#"
kernel:
  image: kernel:1
  cmdline: "console=ttyS0 x=\"y\""
onboot:
  - name: two
    image: tool:1
    mounts:
      - {type: mqueue}
    devices:
      - {path: all, type: b}
    command: [/bin/x, "<a&b>"]
    readonly: false
    uid: 0
    resources: {pids: {limit: 9}}
    sysctl: {net.b: "1", net.a: "0"}
    runtime: {mkdir: []}
files:
  - {path: etc/os.yaml, metadata: yaml, mode: "0644"}
  - {path: etc/os.json, metadata: json}
  - {path: etc/text, contents: "a\n"}
"#;

const YAML: &str = r#"kernel:
  image: docker.io/library/kernel:1
  cmdline: console=ttyS0 x="y"
init: []
onboot:
- name: two
  image: docker.io/library/tool:1
  mounts:
  - destination: ""
    type: mqueue
    source: ""
    options: []
    uidmappings: []
    gidmappings: []
  devices:
  - path: all
    type: b
    major: 0
    minor: 0
  command:
  - /bin/x
  - <a&b>
  readonly: false
  uid: 0
  resources:
    devices: []
    memory: null
    cpu: null
    pids:
      limit: 9
    blockio: null
    hugepagelimits: []
    network: null
    rdma: {}
    unified: {}
  sysctl:
    net.a: "0"
    net.b: "1"
  runtime:
    mkdir: []
onshutdown: []
services: []
files:
- path: etc/os.yaml
  directory: false
  metadata: yaml
  optional: false
  mode: "0644"
- path: etc/os.json
  directory: false
  metadata: json
  optional: false
- path: etc/text
  directory: false
  contents: |
    a
  optional: false
volumes: []
"#;

#[test]
fn the_merged_definition_is_written_as_yaml_and_json() {
    let bench = Bench::new();
    let files = |names: [&str; 2]| names.map(|name| Entry::file(name, 0o644, "x")).to_vec();
    bench.image("docker.io/library/kernel:1", files(["kernel", "other"]));
    bench.image("docker.io/library/tool:1", files(["bin/x", "bin/y"]));
    let definition = DEFINITION.replace("image: kernel:1", "image: kernel:1\n  tar: none");
    let tree = unpack(&bench.build(&definition).initrd);
    let yaml = String::from_utf8_lossy(&tree["etc/os.yaml"]).into_owned();
    assert_eq!(yaml, YAML.replace("x=\"y\"\n", "x=\"y\"\n  tar: none\n"));
    let json: serde_json::Value = serde_json::from_slice(&tree["etc/os.json"]).unwrap();
    assert_eq!(
        json["onboot"][0]["mounts"][0],
        serde_json::json!({"destination": "", "type": "mqueue"})
    );
    assert_eq!(
        json["onboot"][0]["runtime"],
        serde_json::json!({"mkdir": [], "bindNS": {}})
    );
    assert_eq!(json["services"], serde_json::Value::Null);
    let text = String::from_utf8_lossy(&tree["etc/os.json"]).into_owned();
    assert!(text.starts_with("{\n    \"kernel\"") && text.contains("\\u003ca\\u0026b\\u003e"));
}
