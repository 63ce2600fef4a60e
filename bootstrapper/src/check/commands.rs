//! Checks of the commands of the first boot.

use crate::distribution::Distribution;
use crate::report::Report;
use crate::yaml::{Kind, Pointer};

impl Report<'_> {
    /// Notes a line break inside the quotes of a command, which YAML reads as a space. Where a `\\` ends the line, that is
    /// what was meant.
    pub(super) fn commands(&mut self, distribution: &dyn Distribution) {
        let [before, after] = distribution.commands().map(|(key, _)| self.spec.join(key));
        let first = Pointer::from("/operatingSystem/runCommands");
        for list in [first, before, after] {
            let Some(Kind::Sequence(items)) =
                self.tree.find(&list).map(|id| &self.tree.node(id).kind)
            else {
                continue;
            };
            for (index, item) in items.iter().enumerate() {
                let text = &self.tree.source()[self.tree.node(*item).span.clone()];
                let lines: Vec<&str> = text.lines().collect();
                let folded = lines.windows(2).any(|pair| {
                    let blank = pair.iter().any(|line| line.trim().is_empty());
                    !blank && !pair[0].ends_with('\\')
                });
                if text.starts_with(['"', '\'']) && folded {
                    self.note(
                        "folded-lines",
                        &list.join(index),
                        "a line break inside quotes is a space for YAML, not a line break of the command",
                    )
                    .help("write a block, `- |` and the lines below it; or `\\n` inside double quotes");
                }
            }
        }
    }
}
