//! Which keys a metadata file has, in which order, and when.

use serde_json::{Value as Json, json};

use super::Format;

/// What a value is.
#[derive(Debug)]
pub enum Shape {
    /// Written as it is.
    Plain,
    /// An image reference, written in canonical form.
    Reference,
    /// A mapping with these keys.
    Object(&'static [Field]),
    /// A list of such mappings.
    Objects(&'static [Field]),
}

/// When a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// When the definition has it.
    Given,
    /// When its value is not empty, zero or false.
    Filled,
    /// Always; this is its value when the definition lacks it.
    Always(Default),
    /// Not in this format.
    Never,
}

/// Go's zero values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    Text,
    Zero,
    False,
    List,
    Map,
    Null,
}

impl Default {
    pub fn json(self) -> Json {
        match self {
            Self::Text => json!(""),
            Self::Zero => json!(0),
            Self::False => json!(false),
            Self::List => json!([]),
            Self::Map => json!({}),
            Self::Null => Json::Null,
        }
    }
}

/// A key of a mapping.
#[derive(Debug)]
pub struct Field {
    /// In the definition. Keys that LinuxKit's decoder loses are spelled so that none matches.
    pub key: &'static str,
    yaml: (&'static str, Rule),
    json: (&'static str, Rule),
    pub shape: Shape,
}

impl Field {
    pub fn name(&self, format: Format) -> &'static str {
        match format {
            Format::Yaml => self.yaml.0,
            Format::Json => self.json.0,
        }
    }

    pub fn rule(&self, format: Format) -> Rule {
        match format {
            Format::Yaml => self.yaml.1,
            Format::Json => self.json.1,
        }
    }

    const fn of(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }
}

/// The same in both formats.
const fn same(key: &'static str, rule: Rule) -> Field {
    Field {
        key,
        yaml: (key, rule),
        json: (key, rule),
        shape: Shape::Plain,
    }
}

const fn given(key: &'static str) -> Field {
    same(key, Rule::Given)
}

const fn filled(key: &'static str) -> Field {
    same(key, Rule::Filled)
}

const fn always(key: &'static str, default: Default) -> Field {
    same(key, Rule::Always(default))
}

/// Of the runtime specification: always in YAML, in JSON only when filled.
const fn runtime(key: &'static str, default: Default) -> Field {
    Field {
        key,
        yaml: (key, Rule::Always(default)),
        json: (key, Rule::Filled),
        shape: Shape::Plain,
    }
}

/// Of the runtime specification and a pointer: always in YAML, in JSON when given.
const fn pointer(key: &'static str) -> Field {
    Field {
        key,
        yaml: (key, Rule::Always(Default::Null)),
        json: (key, Rule::Given),
        shape: Shape::Plain,
    }
}

/// A key that never has a value: LinuxKit's decoder does not find it in a definition.
const fn lost(yaml: &'static str, default: Default) -> Field {
    Field {
        key: "",
        yaml: (yaml, Rule::Always(default)),
        json: ("", Rule::Never),
        shape: Shape::Plain,
    }
}

pub const KERNEL: &[Field] = &[
    always("image", Default::Text).of(Shape::Reference),
    filled("cmdline"),
    filled("binary"),
    given("tar"),
    given("ucode"),
];

pub const IMAGE: &[Field] = &[
    always("name", Default::Text),
    always("image", Default::Text).of(Shape::Reference),
    given("capabilities"),
    given("capabilities.add"),
    given("ambient"),
    given("mounts").of(Shape::Objects(MOUNT)),
    given("binds"),
    given("binds.add"),
    given("devices").of(Shape::Objects(DEVICE)),
    given("tmpfs"),
    given("command"),
    given("env"),
    filled("cwd"),
    filled("net"),
    filled("pid"),
    filled("ipc"),
    filled("uts"),
    filled("userns"),
    filled("hostname"),
    given("readonly"),
    given("maskedPaths"),
    given("readonlyPaths"),
    given("uid"),
    given("gid"),
    given("additionalGids"),
    given("noNewPrivileges"),
    given("oomScoreAdj"),
    given("rootfsPropagation"),
    given("cgroupsPath"),
    given("resources").of(Shape::Object(RESOURCES)),
    given("sysctl"),
    given("rlimits"),
    given("uidMappings").of(Shape::Objects(ID_MAPPING)),
    given("gidMappings").of(Shape::Objects(ID_MAPPING)),
    given("annotations"),
    given("runtime").of(Shape::Object(RUNTIME)),
];

pub const FILE: &[Field] = &[
    always("path", Default::Text),
    always("directory", Default::False),
    filled("symlink"),
    given("contents"),
    filled("source"),
    filled("metadata"),
    always("optional", Default::False),
    filled("mode"),
    given("uid"),
    given("gid"),
];

pub const VOLUME: &[Field] = &[
    always("name", Default::Text),
    filled("image"),
    filled("readonly"),
    filled("format"),
    filled("platforms"),
];

const MOUNT: &[Field] = &[
    always("destination", Default::Text),
    runtime("type", Default::Text),
    runtime("source", Default::Text),
    runtime("options", Default::List),
    lost("uidmappings", Default::List),
    lost("gidmappings", Default::List),
];

const DEVICE: &[Field] = &[
    always("path", Default::Text),
    always("type", Default::Text),
    always("major", Default::Zero),
    always("minor", Default::Zero),
    filled("mode"),
];

/// The ids of the host and the container are lost.
const ID_MAPPING: &[Field] = &[
    Field {
        key: "",
        yaml: ("containerid", Rule::Always(Default::Zero)),
        json: ("containerID", Rule::Always(Default::Zero)),
        shape: Shape::Plain,
    },
    Field {
        key: "",
        yaml: ("hostid", Rule::Always(Default::Zero)),
        json: ("hostID", Rule::Always(Default::Zero)),
        shape: Shape::Plain,
    },
    always("size", Default::Zero),
];

const RUNTIME: &[Field] = &[
    given("cgroups"),
    given("mounts").of(Shape::Objects(MOUNT)),
    given("mkdir"),
    given("interfaces").of(Shape::Objects(INTERFACE)),
    Field {
        key: "bindNS",
        yaml: ("bindNS", Rule::Filled),
        json: ("bindNS", Rule::Always(Default::Map)),
        shape: Shape::Object(NAMESPACES),
    },
    given("namespace"),
];

const INTERFACE: &[Field] = &[
    filled("name"),
    filled("add"),
    filled("peer"),
    always("createInRoot", Default::False),
];

const NAMESPACES: &[Field] = &[
    given("cgroup"),
    given("ipc"),
    given("mnt"),
    given("net"),
    given("pid"),
    given("user"),
    given("uts"),
];

const RESOURCES: &[Field] = &[
    runtime("devices", Default::List).of(Shape::Objects(DEVICE_RULE)),
    pointer("memory").of(Shape::Object(MEMORY)),
    pointer("cpu").of(Shape::Object(CPU)),
    pointer("pids").of(Shape::Object(PIDS)),
    Field {
        key: "blockio",
        yaml: ("blockio", Rule::Always(Default::Null)),
        json: ("blockIO", Rule::Given),
        shape: Shape::Object(BLOCK_IO),
    },
    lost("hugepagelimits", Default::List),
    pointer("network").of(Shape::Object(NETWORK)),
    lost("rdma", Default::Map),
    lost("unified", Default::Map),
];

const DEVICE_RULE: &[Field] = &[
    always("allow", Default::False),
    runtime("type", Default::Text),
    pointer("major"),
    pointer("minor"),
    runtime("access", Default::Text),
];

const MEMORY: &[Field] = &[
    pointer("limit"),
    pointer("reservation"),
    pointer("swap"),
    pointer("kernel"),
    lost("kerneltcp", Default::Null),
    pointer("swappiness"),
    lost("disableoomkiller", Default::Null),
    lost("usehierarchy", Default::Null),
    lost("checkbeforeupdate", Default::Null),
];

const CPU: &[Field] = &[
    pointer("shares"),
    pointer("quota"),
    lost("burst", Default::Null),
    pointer("period"),
    lost("realtimeruntime", Default::Null),
    lost("realtimeperiod", Default::Null),
    runtime("cpus", Default::Text),
    runtime("mems", Default::Text),
    lost("idle", Default::Null),
];

const PIDS: &[Field] = &[always("limit", Default::Zero)];

const BLOCK_IO: &[Field] = &[
    pointer("weight"),
    lost("leafweight", Default::Null),
    lost("weightdevice", Default::List),
    lost("throttlereadbpsdevice", Default::List),
    lost("throttlewritebpsdevice", Default::List),
    lost("throttlereadiopsdevice", Default::List),
    lost("throttlewriteiopsdevice", Default::List),
];

const NETWORK: &[Field] = &[
    lost("classid", Default::Null),
    runtime("priorities", Default::List).of(Shape::Objects(PRIORITY)),
];

const PRIORITY: &[Field] = &[
    always("name", Default::Text),
    always("priority", Default::Zero),
];
