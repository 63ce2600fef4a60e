//! containerd templates: what Go and TOML make of them, and plugin names that fit the file.

use super::go_template::check_template;
use crate::model::File;
use crate::report::Report;
use crate::yaml::Pointer;
use std::collections::HashSet;

const FOLDER: &str = "/var/lib/rancher/k3s/agent/etc/containerd";
/// Name of a template over containerd's configuration version 2.
const V2_NAME: &str = "config.toml.tmpl";
/// Name of a template over version 3, which K3s with containerd 2 prefers.
pub(super) const V3_NAME: &str = "config-v3.toml.tmpl";

/// Whether K3s takes the file for a template of containerd's configuration.
pub(super) fn is_template(file: &File) -> bool {
    file.path.parent() == FOLDER && [V2_NAME, V3_NAME].contains(&file.path.file_name())
}

/// The content with escaped quotes unescaped, where that makes a template of what is none.
pub(super) fn unescaped(file: &File) -> Option<String> {
    let content = file.content.as_ref().filter(|_| file.encoding.is_none())?;
    let is_broken = check_template(content).is_err();
    is_broken.then(|| unescape_actions(content)).flatten()
}

/// Whether it has plugin names of version 3, and of no other, under the name of a template over version 2.
pub(super) fn is_version_3_by_wrong_name(file: &File) -> bool {
    let Ok(bytes) = file.bytes() else {
        return false;
    };
    let text = String::from_utf8_lossy(&bytes);
    let versions = Versions::of(&tables_of(&text));
    check_template(&text).is_ok()
        && file.path.file_name() == V2_NAME
        && versions
            == (Versions {
                v2: false,
                v3: true,
            })
}

/// The tables that the lines of a template open.
fn tables_of(text: &str) -> Vec<String> {
    text.lines().filter_map(table_name).collect()
}

/// Of which versions of containerd's configuration a template has plugin names.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Versions {
    v2: bool,
    v3: bool,
}

impl Versions {
    fn of(tables: &[String]) -> Self {
        let opens = |starts: &[&str]| {
            let mut open = tables.iter();
            open.any(|table| starts.iter().any(|start| table.starts_with(start)))
        };
        Self {
            v2: opens(V2_TABLES),
            v3: opens(V3_TABLES),
        }
    }
}

impl Report<'_> {
    pub(super) fn containerd_template(&mut self, file: &File, at: &Pointer) {
        if !is_template(file) {
            return;
        }
        let content_at = at.join("content");
        let Ok(bytes) = file.bytes() else {
            return; // Reported with the file's content.
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let includes = match check_template(&text) {
            Ok(includes) => includes,
            Err(reason) => {
                let message = format!(
                    "Go's text/template would refuse the template, and K3s would crash: {reason}"
                );
                self.error("template-syntax", &content_at, message)
                    .help("the base is included by {{ template \"base\" . }}");
                return;
            }
        };
        let tables = tables_of(&text);
        let has_base = includes.iter().any(|name| name == "base");
        self.containerd_tables(&tables, has_base, &content_at);
        let versions = Versions::of(&tables);
        if versions.v3 && versions.v2 {
            self.error(
                "containerd-plugins",
                &content_at,
                "the template has plugin names of version 2 and of version 3",
            )
            .help("use the names of one version; K3s of this OS image has containerd 2, version 3");
        } else if file.path.file_name() == V3_NAME && versions.v2 {
            self.error(
                "containerd-plugins",
                &content_at,
                format!("plugin names of version 2 in {V3_NAME}: containerd would not read them"),
            )
            .help("runtimes are below plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes");
        }
    }
}

impl Report<'_> {
    /// TOML allows a table once; containerd exits on the second, which K3s' base may have already.
    fn containerd_tables(&mut self, tables: &[String], has_base: bool, at: &Pointer) {
        let mut seen = HashSet::new();
        for table in tables {
            let is_new = seen.insert(table);
            if has_base && BASE_TABLES.contains(&table.as_str()) {
                let message = format!("the table [{table}] is in K3s' base template already");
                self.error("containerd-table", at, message).help(
                    "TOML allows a table once: put such settings into a drop-in file below \
                     config-v3.toml.d, which K3s reads since v1.33.10, or write a template without the base",
                );
            } else if !is_new {
                let message = format!("the table [{table}] occurs twice in the template");
                self.error("containerd-table", at, message)
                    .help("TOML allows a table once: join the two");
            }
        }
    }
}

/// Name of the TOML table that a line opens, its parts in double quotes; `None` for other lines and for arrays of tables.
fn table_name(line: &str) -> Option<String> {
    let mut rest = line.trim_start().strip_prefix('[')?.trim_start();
    let mut parts = vec![];
    loop {
        let (part, after) = match rest.chars().next()? {
            quote @ ('"' | '\'') => rest[1..].split_once(quote)?,
            _ => {
                let bare = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
                let end = rest.find(|c| !bare(c)).filter(|end| *end > 0)?;
                rest.split_at(end)
            }
        };
        parts.push(format!("\"{part}\""));
        let after = after.trim_start();
        if let Some(next) = after.strip_prefix('.') {
            rest = next.trim_start();
            continue;
        }
        let end = after.strip_prefix(']')?.trim_start();
        let is_header = end.is_empty() || end.starts_with('#');
        return is_header.then(|| parts.join("."));
    }
}

/// Tables of K3s' base templates (version 3, then version 2), without those that depend on the node or, as that of the
/// default runtime in version 3, on a setting.
const BASE_TABLES: &[&str] = &[
    r#""grpc""#,
    r#""plugins"."io.containerd.internal.v1.opt""#,
    r#""plugins"."io.containerd.grpc.v1.cri""#,
    r#""plugins"."io.containerd.cri.v1.runtime""#,
    r#""plugins"."io.containerd.cri.v1.images""#,
    r#""plugins"."io.containerd.cri.v1.images"."pinned_images""#,
    r#""plugins"."io.containerd.cri.v1.images"."registry""#,
    r#""plugins"."io.containerd.cri.v1.runtime"."cni""#,
    r#""plugins"."io.containerd.cri.v1.runtime"."containerd"."runtimes"."runc""#,
    r#""plugins"."io.containerd.cri.v1.runtime"."containerd"."runtimes"."runc"."options""#,
    r#""plugins"."io.containerd.cri.v1.runtime"."containerd"."runtimes"."runhcs-wcow-process""#,
    r#""plugins"."io.containerd.grpc.v1.cri"."cni""#,
    r#""plugins"."io.containerd.grpc.v1.cri"."containerd""#,
    r#""plugins"."io.containerd.grpc.v1.cri"."registry""#,
    r#""plugins"."io.containerd.grpc.v1.cri"."containerd"."runtimes"."runc""#,
    r#""plugins"."io.containerd.grpc.v1.cri"."containerd"."runtimes"."runc"."options""#,
    r#""plugins"."io.containerd.grpc.v1.cri"."containerd"."runtimes"."runhcs-wcow-process""#,
];

/// How the names of tables of version 3 begin.
const V3_TABLES: &[&str] = &[
    r#""plugins"."io.containerd.cri.v1.runtime""#,
    r#""plugins"."io.containerd.cri.v1.images""#,
];
/// Those of the parts of the version-2 CRI plugin that version 3 has elsewhere.
const V2_TABLES: &[&str] = &[
    r#""plugins"."io.containerd.grpc.v1.cri"."containerd""#,
    r#""plugins"."io.containerd.grpc.v1.cri"."registry""#,
    r#""plugins"."io.containerd.grpc.v1.cri"."cni""#,
];

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
