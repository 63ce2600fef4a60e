//! Files that arguments and settings name, and that nobody writes.

use super::list::{Arguments, Findings, shown};
use crate::check::context::Context;
use crate::diagnostic::Severity;
use crate::distribution::joined::Origin;
use crate::distribution::known::{self, Kind};
use std::collections::HashSet;

/// Flags that name a file, or a directory of files, that is read at start.
const FILES: &[&str] = &[];

/// What is there on every node.
const OF_THE_SYSTEM: &[&str] = &["/dev/", "/proc/", "/run/", "/sys/", "/etc/resolv.conf"];
/// What K3s writes below its data directory before it starts a component.
const OF_K3S: &[&str] = &["/server/cred/", "/server/tls/", "/server/token"];

/// What the config-file brings.
struct Written<'a> {
    files: HashSet<&'a str>,
    commands: Vec<&'a str>,
    data_dir: String,
}

impl<'a> Written<'a> {
    fn of(context: &'a Context<'_>) -> Self {
        let files = context.files().map(|file| file.path.as_str()).collect();
        let run = context.config.operating_system.run_commands.iter();
        let lists = context.distribution.commands().into_iter();
        let own = lists.flat_map(|(_, commands)| commands.iter());
        let given = context.joined.last("data-dir");
        Self {
            files,
            commands: run.chain(own).map(|command| command.as_str()).collect(),
            data_dir: given.map_or(context.facts.data_dir.to_owned(), |dir| dir.text.clone()),
        }
    }

    /// Whether a path is there when K3s starts, as far as it can be known.
    fn has(&self, path: &str) -> bool {
        let of_k3s = path.strip_prefix(self.data_dir.as_str());
        let of_agent = [".crt", ".key", ".kubeconfig"].iter().any(|end| path.ends_with(end));
        self.files.contains(path)
            || OF_THE_SYSTEM.iter().any(|start| path.starts_with(start))
            || of_k3s.is_some_and(|rest| {
                let known = OF_K3S.iter().any(|start| rest.starts_with(start));
                known || rest.starts_with("/agent/") && of_agent
            })
            || self.files.iter().any(|file| {
                file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
            })
            || self.commands.iter().any(|command| command.contains(path))
    }
}

pub(super) fn check<'a>(
    context: &'a Context<'_>,
    components: &[Arguments<'a>],
    out: &mut Findings<'a>,
) {
    let written = Written::of(context);
    for arguments in components {
        for argument in &arguments.list {
            if FILES.contains(&argument.name.as_str()) && !argument.is_template() {
                let who = arguments.component.shown;
                file(&written, &argument.name, argument.value(), who, argument.origin, out);
            }
        }
    }
    for (name, values) in context.joined.all() {
        let known = known::find(context.facts.settings, name);
        if known.is_some_and(|known| known.kind == Kind::File) {
            for value in values {
                file(&written, name, &value.text, context.facts.name, &value.origin, out);
            }
        }
    }
}

fn file<'a>(
    written: &Written<'_>,
    name: &str,
    path: &str,
    who: &str,
    origin: &'a Origin,
    out: &mut Findings<'a>,
) {
    if !path.starts_with('/') || out.is_full(Severity::Warning) || written.has(path) {
        return;
    }
    out.add(Severity::Warning, "argument-file", origin, || {
        let shown = shown(path);
        let message = format!("`{name}` names {shown}, which nothing in the config-file writes: without it {who} does not start");
        let help = "add it to `files`, or make sure that the OS image has it";
        (message, Some(help.to_owned()))
    });
}
