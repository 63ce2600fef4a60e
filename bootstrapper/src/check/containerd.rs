//! Checks of containerd templates: the escaped quotes of the proposal's example, and plugin names that fit the file.

use super::Meaning;
use super::go_template::check_template;
use crate::model::File;
use crate::yaml::Pointer;

const FOLDER: &str = "/var/lib/rancher/k3s/agent/etc/containerd";
/// Name of a template over containerd's configuration version 2.
const V2_NAME: &str = "config.toml.tmpl";
/// Name of a template over version 3, which K3s with containerd 2 prefers.
const V3_NAME: &str = "config-v3.toml.tmpl";
const V3_PLUGINS: &[&str] = &[
    "io.containerd.cri.v1.runtime",
    "io.containerd.cri.v1.images",
];
const V2_PLUGIN: &str = "io.containerd.grpc.v1.cri";
/// Sections of the version-2 plugin that moved elsewhere in version 3.
const V2_MOVED: &[&str] = &[".containerd", ".registry", ".cni"];

impl Meaning<'_> {
    pub(super) fn containerd_template(&mut self, file: &mut File, at: &Pointer) {
        let name = file.path.file_name().to_owned();
        if file.path.parent() != FOLDER || (name != V2_NAME && name != V3_NAME) {
            return;
        }
        let content_at = at.join("content");
        if file.encoding.is_none()
            && let Some(content) = &mut file.content
            && let Some(mended) = unescape_actions(content)
        {
            *content = mended;
            self.note(
                "escaped-quotes",
                &content_at,
                "escaped quotes in a template action (`{{ template \\\"base\\\" . }}`) are unescaped",
            )
            .help("write {{ template \"base\" . }}: a block text needs no escapes");
        }
        let Ok(bytes) = file.bytes() else {
            return; // Reported with the file's content.
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Err(reason) = check_template(&text) {
            self.error(
                "template-syntax",
                &content_at,
                format!(
                    "Go's text/template would refuse the template, and K3s would crash: {reason}"
                ),
            )
            .help("the base is included by {{ template \"base\" . }}");
            return;
        }
        self.containerd_tables(&text, &content_at);
        let has_v3 = V3_PLUGINS.iter().any(|plugin| text.contains(plugin));
        let has_v2 = opens_v2_table(&text);
        if has_v3 && has_v2 {
            self.error(
                "containerd-plugins",
                &content_at,
                "the template has plugin names of version 2 and of version 3",
            )
            .help("use the names of one version; K3s of this OS image has containerd 2, version 3");
        } else if name == V2_NAME && has_v3 {
            file.path = file.path.with_file_name(V3_NAME);
            self.note(
                "containerd-template-name",
                &at.join("path"),
                format!("plugin names of version 3 in {V2_NAME}: the file is written as {V3_NAME}"),
            )
            .help(format!("name it {FOLDER}/{V3_NAME}"));
        } else if name == V3_NAME && has_v2 {
            self.error(
                "containerd-plugins",
                &content_at,
                format!("plugin names of version 2 in {V3_NAME}: containerd would not read them"),
            )
            .help("runtimes are below plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes");
        }
    }
}

impl Meaning<'_> {
    /// TOML allows a table once; containerd exits on the second, which K3s' base may have already.
    fn containerd_tables(&mut self, text: &str, at: &Pointer) {
        let has_base = text.contains("{{") && text.contains("base");
        let mut seen = vec![];
        for line in text.lines().map(str::trim) {
            let Some(table) = table_name(line) else {
                continue;
            };
            if has_base && BASE_TABLES.contains(&table.as_str()) {
                let message = format!("the table [{table}] is in K3s' base template already");
                self.error("containerd-table", at, message).help(
                    "TOML allows a table once: put such settings into a drop-in file below \
                     config-v3.toml.d, or write a template without the base",
                );
            } else if seen.contains(&table) {
                let message = format!("the table [{table}] occurs twice in the template");
                self.error("containerd-table", at, message)
                    .help("TOML allows a table once: join the two");
            }
            seen.push(table);
        }
    }
}

/// Name of a TOML table header with its quotes made alike; `None` for other lines and for arrays of tables.
fn table_name(line: &str) -> Option<String> {
    let inner = line.strip_prefix('[')?;
    if inner.starts_with('[') {
        return None;
    }
    let end = inner.rfind(']')?;
    Some(inner[..end].replace('\'', "\"").replace(' ', ""))
}

/// Tables of K3s' base templates (version 3, then version 2), without those that depend on the node.
const BASE_TABLES: &[&str] = &[
    "plugins.\"io.containerd.internal.v1.opt\"",
    "plugins.\"io.containerd.grpc.v1.cri\"",
    "plugins.\"io.containerd.cri.v1.runtime\"",
    "plugins.\"io.containerd.cri.v1.images\"",
    "plugins.\"io.containerd.cri.v1.images\".pinned_images",
    "plugins.\"io.containerd.cri.v1.images\".registry",
    "plugins.\"io.containerd.cri.v1.runtime\".cni",
    "plugins.\"io.containerd.cri.v1.runtime\".containerd",
    "plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes.runc",
    "plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes.\"runc\"",
    "plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes.runc.options",
    "plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes.\"runc\".options",
    "plugins.\"io.containerd.grpc.v1.cri\".cni",
    "plugins.\"io.containerd.grpc.v1.cri\".containerd",
    "plugins.\"io.containerd.grpc.v1.cri\".registry",
    "plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc",
    "plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.\"runc\"",
    "plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options",
    "plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.\"runc\".options",
];

/// Whether a table header opens a part of the version-2 CRI plugin that version 3 has elsewhere.
fn opens_v2_table(text: &str) -> bool {
    text.lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('['))
        .filter_map(|line| line.split_once(V2_PLUGIN))
        .any(|(_, rest)| {
            let rest = rest.trim_start_matches(['"', '\'']);
            V2_MOVED.iter().any(|section| rest.starts_with(section))
        })
}

/// The text with `\"` unescaped inside `{{ }}`, or everywhere when no quote is unescaped; `None` when nothing changes.
fn unescape_actions(text: &str) -> Option<String> {
    let actions: Vec<&str> = text
        .split("{{")
        .skip(1)
        .filter_map(|rest| rest.split_once("}}"))
        .map(|(action, _)| action)
        .collect();
    if !actions.iter().any(|action| action.contains("\\\"")) {
        return None;
    }
    let all_escaped = text.matches('"').count() == text.matches("\\\"").count();
    if all_escaped {
        return Some(text.replace("\\\"", "\""));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        out.push_str("{{");
        let (action, tail) = after.split_once("}}").unwrap_or((after, ""));
        out.push_str(&action.replace("\\\"", "\""));
        if after.len() > action.len() {
            out.push_str("}}");
        }
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}
