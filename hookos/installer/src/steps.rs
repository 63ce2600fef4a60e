//! The installation's steps: one row for each, in their order. `install-os.sh` has a function for each.

/// What a step does to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing on the machine's disks or in its firmware is another afterwards.
    Reads,
    /// What the target disk had is lost.
    Destroys,
    /// What this installation has made is changed, or what a later one makes again.
    Changes,
}

impl Effect {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Destroys => "destroys",
            Self::Changes => "changes",
        }
    }
}

/// A step.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name in markers, summaries and scenarios.
    pub name: &'static str,
    /// What it does, for whoever stands before the machine.
    pub does: &'static str,
    /// What it does to the machine.
    pub effect: Effect,
    /// What there is after it failed. `DISK` stands for the target disk.
    pub leaves: &'static str,
    /// What a person can do after it failed.
    pub advice: &'static str,
}

const UNTOUCHED: &str = "No disk of this machine has been changed.";
const INCOMPLETE: &str =
    "DISK is incomplete. The machine starts from the stick until an installation succeeds.";
const REPEAT: &str = "Start again from the stick. If this repeats, report it with the logs.";
const FAILING: &str =
    "The disk or the stick may be failing. Start again; replace them if this repeats.";

/// All steps in their order.
pub const STEPS: [Step; 11] = [
    Step {
        name: "find-media",
        does: "Find the stick and read its manifest",
        effect: Effect::Reads,
        leaves: UNTOUCHED,
        advice: "Check that exactly one EMTS stick, made by bootable-usb-prepare.sh, is attached; try another port.",
    },
    Step {
        name: "validate-config",
        does: "Check the config-file",
        effect: Effect::Reads,
        leaves: UNTOUCHED,
        advice: "Correct the config-file with the help of the lines above and make the stick again.",
    },
    Step {
        name: "verify-image",
        does: "Check the OS image",
        effect: Effect::Reads,
        leaves: UNTOUCHED,
        advice: "The stick is damaged or incomplete. Make it again, on another stick if this repeats.",
    },
    Step {
        name: "choose-disk",
        does: "Choose the disk",
        effect: Effect::Reads,
        leaves: UNTOUCHED,
        advice: "The list of disks above says why each one was not taken.",
    },
    Step {
        name: "write-image",
        does: "Write the OS image to the disk and read it back",
        effect: Effect::Destroys,
        leaves: INCOMPLETE,
        advice: FAILING,
    },
    Step {
        name: "grow-root",
        does: "Give the last partition the rest of the disk",
        effect: Effect::Changes,
        leaves: INCOMPLETE,
        advice: FAILING,
    },
    Step {
        name: "configure-os",
        does: "Set up users, network and files",
        effect: Effect::Changes,
        leaves: INCOMPLETE,
        advice: REPEAT,
    },
    Step {
        name: "configure-kubernetes",
        does: "Set up Kubernetes' first start",
        effect: Effect::Changes,
        leaves: INCOMPLETE,
        advice: REPEAT,
    },
    Step {
        name: "set-boot-order",
        does: "Have the firmware start the disk",
        effect: Effect::Changes,
        leaves: INCOMPLETE,
        advice: REPEAT,
    },
    Step {
        name: "save-logs",
        does: "Save the logs on the stick",
        effect: Effect::Changes,
        leaves: "DISK is complete and the first in the boot order.",
        advice: REPEAT,
    },
    Step {
        name: "reboot",
        does: "Restart from the disk",
        effect: Effect::Changes,
        leaves: "DISK is complete and the first in the boot order.",
        advice: "The system is installed. Switch the machine off and on.",
    },
];

/// The step of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Step> {
    STEPS.iter().find(|step| step.name == name)
}

/// One line for each step, its columns with a tab between: name, effect, what a failure leaves, advice.
#[must_use]
pub fn table() -> String {
    let line = |step: &Step| {
        let columns = [step.name, step.effect.word(), step.leaves, step.advice];
        columns.join("\t") + "\n"
    };
    STEPS.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_changed_before_the_disk_is_chosen_and_nothing_is_only_read_afterwards() {
        let at = STEPS.iter().position(|step| step.name == "choose-disk");
        let (before, after) = STEPS.split_at(at.expect("it is a step") + 1);
        assert!(before.iter().all(|step| step.effect == Effect::Reads));
        assert!(after.iter().all(|step| step.effect != Effect::Reads));
        let untouched = |step: &&Step| step.leaves.starts_with("No disk");
        assert_eq!(STEPS.iter().filter(untouched).count(), before.len());
    }

    #[test]
    fn the_table_has_a_line_of_four_columns_for_each_step() {
        let table = table();
        let first = table.lines().next();
        assert_eq!(
            first,
            Some(
                "find-media\treads\tNo disk of this machine has been changed.\tCheck that exactly one EMTS stick, made by \
                 bootable-usb-prepare.sh, is attached; try another port."
            )
        );
        assert_eq!(table.lines().count(), STEPS.len());
        assert!(table.lines().all(|line| line.split('\t').count() == 4));
    }

    #[test]
    fn the_documentation_has_the_same_table() {
        let page = include_str!("../../../docs/architecture.md");
        for step in &STEPS {
            let row = format!(
                "| `{}` | {} | {} |",
                step.name,
                step.effect.word(),
                step.leaves
            );
            assert!(page.contains(&row), "docs/architecture.md lacks {row}");
        }
    }

    #[test]
    fn a_step_is_found_by_its_name() {
        assert_eq!(named("grow-root"), Some(&STEPS[5]));
        assert_eq!(named("grow"), None);
    }
}
