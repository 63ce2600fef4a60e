//! containerd templates: what Go and TOML make of them, and plugin names that fit the file.

use super::go_template::check_template;
use crate::codes;
use crate::model::File;
use crate::report::Report;
use crate::yaml::Pointer;
use std::collections::{BTreeSet, HashSet};

const FOLDER: &str = "/var/lib/rancher/k3s/agent/etc/containerd";
/// Name of a template over containerd's configuration version 2.
const V2_NAME: &str = "config.toml.tmpl";
/// Name of a template over version 3, which K3s with containerd 2 prefers.
pub(super) const V3_NAME: &str = "config-v3.toml.tmpl";

/// Whether K3s takes the file for a template of containerd's configuration.
pub(super) fn is_template(file: &File) -> bool {
    file.path.parent() == FOLDER && [V2_NAME, V3_NAME].contains(&file.path.file_name())
}

/// Whether containerd reads the file beside its configuration.
fn is_drop_in(file: &File) -> bool {
    let directory = file.path.parent().strip_prefix(FOLDER);
    let is_read = ["/config.toml.d", "/config-v3.toml.d"]
        .map(Some)
        .contains(&directory);
    is_read && file.path.as_str().ends_with(".toml")
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
        if is_drop_in(file) {
            return self.containerd_drop_in(file, at);
        }
        if !is_template(file) {
            return;
        }
        let content_at = at.join("content");
        let Ok(bytes) = file.bytes() else {
            return; // Reported with the file's content.
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let template = match check_template(&text) {
            Ok(template) => template,
            Err(reason) => {
                let message = format!(
                    "Go's text/template would refuse the template, and K3s would crash: {reason}"
                );
                self.error(codes::TemplateSyntax, &content_at, message)
                    .help("the base is included by {{ template \"base\" . }}");
                return;
            }
        };
        if let Some((path, name, near)) = template.unknown_field() {
            let message = format!("K3s 1.33 has no `{name}` for `{path}`, and would not start");
            self.warning(codes::TemplateField, &content_at, message)
                .help = near.map(|near| format!("did you mean `{near}`?"));
        }
        let includes = template.includes;
        let tables = tables_of(&text);
        let has_base = includes.iter().any(|name| name == "base");
        self.containerd_tables(&tables, has_base, &content_at);
        self.containerd_toml(&text, &content_at);
        if includes.iter().filter(|name| *name == "base").count() > 1 {
            let message = "the base is included twice, and each of its tables is there twice";
            self.error(codes::ContainerdTable, &content_at, message)
                .help("include the base once");
        }
        if has_base {
            self.over_the_base(&tables, &content_at);
        }
        if let Some(table) = tables.iter().find(|table| is_version_1(table)) {
            let message = format!(
                "the table [{}] has a plugin name of version 1, which containerd 2 does not read",
                plain(table)
            );
            self.error(codes::ContainerdPlugins, &content_at, message)
                .help(
                    "runtimes are below plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes",
                );
        }
        let versions = Versions::of(&tables);
        if versions.v3 && versions.v2 {
            self.error(
                codes::ContainerdPlugins,
                &content_at,
                "the template has plugin names of version 2 and of version 3",
            )
            .help("use the names of one version; K3s of this OS image has containerd 2, version 3");
        } else if file.path.file_name() == V3_NAME && versions.v2 {
            self.error(
                codes::ContainerdPlugins,
                &content_at,
                format!("plugin names of version 2 in {V3_NAME}: containerd would not read them"),
            )
            .help("runtimes are below plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes");
        }
    }
}

impl Report<'_> {
    /// containerd reads it at start (K3s, pkg/agent/templates, `imports`).
    fn containerd_drop_in(&mut self, file: &File, at: &Pointer) {
        let bytes = file.bytes().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let Err(error) = text.parse::<toml::Table>() else {
            return;
        };
        let first = error.message().lines().next().unwrap_or_default();
        let message = format!("containerd would not start, the file is not TOML: {first}");
        let part = error.span().unwrap_or(0..0);
        self.error_inside(
            codes::ContainerdToml,
            &at.join("content"),
            &text,
            &part,
            message,
        )
        .help("close every quote and bracket on its line");
    }

    /// Where the base is all that is filled in, the rest must be TOML as it stands.
    fn containerd_toml(&mut self, text: &str, at: &Pointer) {
        let Some(rest) = without_base(text) else {
            return;
        };
        let Err(error) = rest.parse::<toml::Table>() else {
            return;
        };
        let reason = error.message();
        if reason.contains("duplicate") {
            return; // Reported as a table that occurs twice.
        }
        let part = error.span().unwrap_or(0..0);
        let first = reason.lines().next().unwrap_or_default();
        let message = format!("containerd would not start, the template is not TOML: {first}");
        self.error_inside(codes::ContainerdToml, at, text, &part, message)
            .help("close every quote and bracket on its line");
    }

    /// What collides with K3s' base, or may.
    fn over_the_base(&mut self, tables: &[String], at: &Pointer) {
        if let Some(table) = tables.iter().find(|table| is_registry(table)) {
            let message = format!(
                "[{}] beside the base's config_path keeps containerd's CRI plugin from loading",
                plain(table)
            );
            self.error(codes::ContainerdRegistry, at, message)
                .help("give mirrors and credentials under kubernetes.registries");
        }
        let names = tables.iter().filter_map(|table| runtime_of(table));
        let found: BTreeSet<&str> = names.filter(|name| FOUND_RUNTIMES.contains(name)).collect();
        for name in found {
            let message = format!(
                "K3s adds the runtime `{name}` itself where its program is in PATH; then its table is there twice, \
                 and containerd does not start"
            );
            self.warning(codes::ContainerdRuntime, at, message)
                .help("leave the runtime out, or give it another name");
        }
    }

    /// TOML allows a table once; containerd exits on the second, which K3s' base may have already.
    fn containerd_tables(&mut self, tables: &[String], has_base: bool, at: &Pointer) {
        let mut seen = HashSet::new();
        for table in tables {
            let is_new = seen.insert(table);
            if has_base && BASE_TABLES.contains(&table.as_str()) {
                let message = format!("the table [{table}] is in K3s' base template already");
                self.error(codes::ContainerdTable, at, message).help(
                    "TOML allows a table once: put such settings into a drop-in file below \
                     config-v3.toml.d, which K3s reads since v1.33.10, or write a template without the base",
                );
            } else if !is_new {
                let message = format!("the table [{table}] occurs twice in the template");
                self.error(codes::ContainerdTable, at, message)
                    .help("TOML allows a table once: join the two");
            }
        }
    }
}

/// The template without the line that includes the base, of equal length; `None` when it has another action.
fn without_base(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (action, tail) = after.split_once("}}")?;
        let bare = action.trim_matches('-').trim();
        let is_base = bare.starts_with("template") && bare.contains("\"base\"");
        if !is_base && !bare.starts_with("/*") {
            return None;
        }
        out.push_str(before);
        out.extend(std::iter::repeat_n(' ', action.len() + 4));
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}

/// Runtimes that K3s looks for in PATH (K3s, pkg/agent/containerd/runtimes.go).
const FOUND_RUNTIMES: &[&str] = &[
    "crun",
    "lunatic",
    "nvidia",
    "nvidia-cdi",
    "nvidia-experimental",
    "slight",
    "spin",
    "wasmedge",
    "wasmer",
    "wasmtime",
    "wws",
];

/// The runtime that a table is of.
fn runtime_of(table: &str) -> Option<&str> {
    let (_, rest) = table.split_once(r#""containerd"."runtimes"."#)?;
    let name = rest.split(r#"".""#).next()?;
    Some(name.trim_matches('"'))
}

/// Whether a table sets what config_path rules out (containerd, internal/cri/config, ValidatePluginConfig).
fn is_registry(table: &str) -> bool {
    let inside = V2_TABLES
        .iter()
        .chain(V3_TABLES)
        .find_map(|start| table.strip_prefix(start));
    let inside = inside
        .unwrap_or_default()
        .trim_start_matches(r#"."registry""#);
    let of = |name: &str| {
        inside == format!(r#"."{name}""#) || inside.starts_with(&format!(r#"."{name}"."#))
    };
    of("mirrors") || (of("configs") && table.contains(r#""tls""#))
}

/// Plugins of version 1 have names without dots: `plugins.cri`.
fn is_version_1(table: &str) -> bool {
    let second = table.strip_prefix(r#""plugins".""#);
    let name = second.and_then(|rest| rest.split('"').next());
    name.is_some_and(|name| !name.contains('.'))
}

/// A table's name as it is commonly written.
fn plain(table: &str) -> String {
    table.replace('"', "'").replace("'plugins'", "plugins")
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
