//! The shell commands of the first boot: each list is a whole program, and nothing in it restarts the machine.

use crate::codes;
use crate::distribution::Distribution;
use crate::report::Report;
use crate::shell::{self, Fault, Found, What};
use crate::yaml::{Kind, NodeId, Pointer};

impl Report<'_> {
    /// Checks all lists of commands.
    pub(super) fn commands(&mut self, distribution: Option<&dyn Distribution>) {
        let own = distribution
            .map(Distribution::commands)
            .into_iter()
            .flatten();
        let own = own.map(|(key, _)| self.spec.join(key));
        let mut lists = vec![Pointer::from("/operatingSystem/runCommands")];
        lists.extend(own);
        let tree = self.tree;
        for list in lists {
            if let Some(Kind::Sequence(items)) = tree.find(&list).map(|id| &tree.node(id).kind) {
                // Of what was refused no program is left.
                if !self.found.has_errors_below(&list) {
                    self.program(&list, items);
                }
                self.folded_commands(&list, items);
            }
        }
    }

    fn program(&mut self, list: &Pointer, items: &[NodeId]) {
        let texts = items.iter().map(|item| match &self.tree.node(*item).kind {
            Kind::Scalar { text, .. } => text.as_str(),
            _ => "",
        });
        let texts: Vec<&str> = texts.collect();
        let mut program = shell::read(&texts);
        if let Some(fault) = program.fault {
            let returns = texts[fault.piece].contains('\r');
            self.incomplete(&list.join(fault.piece), &fault, returns);
        }
        program.found.dedup();
        for found in program.found {
            self.told(list, &found);
        }
    }

    fn incomplete(&mut self, at: &Pointer, fault: &Fault, returns: bool) {
        let place = match fault.line {
            1 => String::new(),
            line => format!("line {line}: "),
        };
        let message = format!(
            "the commands are not a complete shell program: {place}{}",
            fault.message
        );
        let help = match returns {
            true => {
                "the command has carriage returns (\\r), which a shell takes for a part of its words"
            }
            false => {
                "all commands of the list are run as one shell program, a line break after each; what starts in the list \
                 has to end in it"
            }
        };
        self.error(codes::ShellSyntax, at, message).help(help);
    }

    fn told(&mut self, list: &Pointer, found: &Found) {
        let at = list.join(found.piece);
        match found.what {
            What::Restart(name) => self
                .error(
                    codes::RestartInCommand,
                    &at,
                    format!("`{name}` in a command of the first boot restarts the machine for ever"),
                )
                .help(
                    "a first boot that was not completed starts again at the next boot, up to the same command; leave it \
                     out: writeFiles, services and network hold from the first boot on without a restart",
                ),
            What::Ends(name) => self
                .warning(
                    codes::EndsShell,
                    &at,
                    format!("`{name}` ends the shell that runs all commands: nothing that follows is run, the installation of Kubernetes included"),
                )
                .help("a subshell, `( … )`, ends without the commands after it"),
            What::Bash(name) => self
                .warning(
                    codes::BashSyntax,
                    &at,
                    format!("`{name}` is syntax of bash; where /bin/sh is another shell, as on Debian, it fails"),
                )
                .help("write it for the POSIX shell, or call bash: `bash -c '…'`"),
        };
    }

    /// Notes a line break inside the quotes of a command, which YAML reads as a space. Where a `\\` ends the line, that is
    /// what was meant.
    fn folded_commands(&mut self, list: &Pointer, items: &[NodeId]) {
        for (index, item) in items.iter().enumerate() {
            let text = &self.tree.source()[self.tree.node(*item).span.clone()];
            let lines: Vec<&str> = text.lines().collect();
            let folded = lines.windows(2).any(|pair| {
                let blank = pair.iter().any(|line| line.trim().is_empty());
                !blank && !pair[0].ends_with('\\')
            });
            if text.starts_with(['"', '\'']) && folded {
                self.note(
                    codes::FoldedLines,
                    &list.join(index),
                    "a line break inside quotes is a space for YAML, not a line break of the command",
                )
                .help("write a block, `- |` and the lines below it; or `\\n` inside double quotes");
            }
        }
    }
}
