//! Scenario files, `configs/scenarios/*.yaml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use diagnostics::decode::{decode, merge};
use run_request::Need;
use schemars::JsonSchema;
use serde::Deserialize;
use thiserror::Error;

use super::budgets::Budgets;
use super::machine_definition::{MachineDefinition, Workstation};
use super::one_machine::Scenario;
use super::step::Step;

/// Why a scenario file cannot be used.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// It is not a scenario.
    #[error("{path} is no scenario\n{message}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        message: String,
    },
}

/// An alteration with which the scenario has to fail: so it is known not to pass whatever happens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MustFail {
    /// What of the scenario is altered: its keys with other values, null for a key that is left out.
    pub with: serde_json::Value,
    /// What the failure, or a check that does not hold, says then.
    pub says: String,
}

/// A scenario file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScenarioFile {
    /// Its name, also in reports and folder names.
    pub name: String,
    /// What it proves, for people.
    pub description: String,
    /// The sets that it belongs to, such as `quick`, by which it can be asked for.
    #[serde(default)]
    pub sets: Vec<String>,
    /// What it needs that not every stick has.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// Where the machine's stick is made first; without it the stick is made on the host.
    #[serde(default)]
    pub workstation: Option<Workstation>,
    /// The machine.
    #[serde(default)]
    pub machine: Option<MachineDefinition>,
    /// Several machines in place of `machine`, by name. Each is switched on when its first step comes.
    #[serde(default)]
    pub machines: BTreeMap<String, MachineDefinition>,
    /// What is done, in order. With several machines each is an `on`.
    pub steps: Vec<Step>,
    /// How long it may take.
    #[serde(default)]
    pub budgets: Budgets,
    /// Alterations with which it has to fail, for `--must-fail`.
    #[serde(default)]
    pub must_fail: Vec<MustFail>,
    /// The folder of the file, which paths in it are relative to.
    #[serde(skip)]
    folder: PathBuf,
}

/// The JSON Schema of scenario files, by which editors complete and check them.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(ScenarioFile);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}

impl ScenarioFile {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// The file cannot be read or is no scenario.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = fs_err::read_to_string(path)?;
        let file = decode(&text).map_err(|error| error.to_string());
        Self::checked(file, path)
    }

    /// Reads a scenario file and alters it by its `must_fail` number `number`, from 0; also gives what has to be said
    /// then.
    ///
    /// # Errors
    /// The file cannot be read, has no such alteration, or is no scenario with it.
    pub fn load_altered(path: &Path, number: usize) -> Result<(Self, String), ScenarioError> {
        let original = Self::load(path)?;
        let text = fs_err::read_to_string(path)?;
        let altered = || {
            let alterations = &original.must_fail;
            let alteration = alterations.get(number).ok_or_else(|| {
                format!("it has {} alterations under `mustFail`", alterations.len())
            })?;
            let mut value = decode(&text).map_err(|error| error.to_string())?;
            merge(&mut value, &alteration.with);
            let file = serde_json::from_value(value)
                .map_err(|error| format!("altered by `mustFail`: {error}"))?;
            Ok((file, alteration.says.clone()))
        };
        let (file, says) = match altered() {
            Ok((file, says)) => (Ok(file), says),
            Err(message) => (Err(message), String::new()),
        };
        Ok((Self::checked(file, path)?, says))
    }

    /// Reads a scenario file as it is and with each of its `must_fail`.
    ///
    /// # Errors
    /// As for [`ScenarioFile::load`].
    pub fn check_with_alterations(path: &Path) -> Result<(), ScenarioError> {
        let file = Self::load(path)?;
        (0..file.must_fail.len()).try_for_each(|number| Self::load_altered(path, number).map(drop))
    }

    fn checked(file: Result<Self, String>, path: &Path) -> Result<Self, ScenarioError> {
        let format = |message| ScenarioError::Format {
            path: path.to_owned(),
            message,
        };
        let mut file = file.map_err(format)?;
        file.check().map_err(format)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        file.folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        Ok(file)
    }

    /// The scenario as each of its machines goes through it; at least one.
    #[must_use]
    pub fn machines(&self) -> Vec<Scenario> {
        let one = |name: Option<&str>, machine: &MachineDefinition, own: Vec<(usize, Step)>| {
            let (turns, steps) = own.into_iter().unzip();
            Scenario {
                name: self.name.clone(),
                on: name.map(str::to_owned),
                workstation: self.workstation.clone(),
                machine: machine.clone(),
                steps,
                turns,
                budgets: self.budgets.clone(),
                folder: self.folder.clone(),
            }
        };
        let all = in_turn(&self.steps);
        let of = |name: &str| {
            let own = all
                .iter()
                .enumerate()
                .filter(|(_, (on, _))| *on == Some(name));
            own.map(|(turn, (_, step))| (turn, (*step).clone()))
                .collect()
        };
        match &self.machine {
            Some(machine) => {
                let own = self.steps.iter().cloned().enumerate().collect();
                vec![one(None, machine, own)]
            }
            None => {
                let machines = self.machines.iter();
                machines
                    .map(|(name, machine)| one(Some(name), machine, of(name)))
                    .collect()
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        check_name(&self.name)?;
        if self.machine.is_some() != self.machines.is_empty() {
            return Err("a scenario has `machine`, or several in `machines`".to_owned());
        }
        if self.machine.is_some() {
            if let Some(step) = self.steps.iter().find(|step| matches!(step, Step::On(_))) {
                return Err(format!("`{step}` is for several `machines`"));
            }
        } else {
            self.check_several()?;
        }
        for scenario in self.machines() {
            let named = |error| match &scenario.on {
                Some(name) => format!("machine `{name}`: {error}"),
                None => error,
            };
            scenario.check().map_err(named)?;
        }
        Ok(())
    }

    fn check_several(&self) -> Result<(), String> {
        if self.workstation.is_some() {
            return Err("`workstation` is for one `machine`".to_owned());
        }
        for (on, step) in in_turn(&self.steps) {
            let Some(name) = on else {
                return Err(format!(
                    "`{step}` needs to say which of the `machines` it is for: put it under `on`"
                ));
            };
            if !self.machines.contains_key(name) {
                return Err(format!("`on` names no machine of the scenario: {name}"));
            }
            if step.ends_cycle() || matches!(step, Step::PowerCuts(_) | Step::On(_)) {
                return Err(format!("`{step}` is for one `machine`"));
            }
        }
        let mut numbers = BTreeSet::new();
        for (name, machine) in &self.machines {
            check_name(name)?;
            if let Some(number) = machine.lan
                && !numbers.insert(number)
            {
                return Err(format!("two machines have the number {number} as `lan`"));
            }
        }
        Ok(())
    }
}

/// Every step with the machine that does it, in order.
fn in_turn(steps: &[Step]) -> Vec<(Option<&str>, &Step)> {
    let mut all = Vec::new();
    for step in steps {
        match step {
            Step::On(part) => {
                let name = Some(part.machine.as_str());
                all.extend(part.steps.iter().map(|step| (name, step)));
            }
            step => all.push((None, step)),
        }
    }
    all
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!(
            "`{name}` is no name: lower-case letters, digits and `-`"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use vm::machine::Network;

    use super::*;

    fn load(text: &str) -> Result<ScenarioFile, ScenarioError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.yaml");
        fs_err::write(&path, text).unwrap();
        ScenarioFile::load(&path)
    }

    fn sample() -> String {
        fs_err::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../configs/scenarios/sample.yaml"
        ))
        .unwrap()
    }

    #[test]
    fn the_sample_is_a_scenario() {
        let [scenario] = load(&sample()).unwrap().machines().try_into().unwrap();
        assert_eq!(
            (scenario.name.as_str(), scenario.machine.cpus),
            ("sample", 2)
        );
        assert_eq!(scenario.machine.network, Network::Restricted);
        assert_eq!(scenario.turns, [0, 1, 2, 3, 4]);
    }

    /// Two machines of one shape, and steps.
    fn two(steps: &str) -> String {
        let text = sample();
        let (head, rest) = text.split_once("\nmachine:\n").unwrap();
        let (machine, _) = rest.split_once("\nsteps:\n").unwrap();
        let machine = machine.replace('\n', "\n  ").replace("sample", "x");
        format!("{head}\nmachines:\n  b:\n  {machine}\n  a:\n  {machine}\nsteps:\n{steps}")
    }

    #[test]
    fn several_machines_take_turns() {
        let steps = "  - on: {machine: b, steps: [install]}\n  - on: {machine: a, steps: [install, start-disk]}\n  - on: {machine: b, steps: [start-disk]}\n";
        let machines = load(&two(steps)).unwrap().machines();
        let seen: Vec<_> = machines
            .iter()
            .map(|machine| (machine.on.as_deref().unwrap(), machine.turns.as_slice()))
            .collect();
        assert_eq!(seen, [("a", [1, 2].as_slice()), ("b", &[0, 3])]);
        assert_eq!(machines[0].steps, [Step::Install, Step::StartDisk]);
    }

    #[test]
    fn a_step_of_several_machines_says_whose_it_is() {
        let install =
            "  - on: {machine: b, steps: [install]}\n  - on: {machine: a, steps: [install]}\n";
        for (steps, wanted) in [
            ("  - reboot\n", "`reboot` needs to say which"),
            (
                "  - on: {machine: c, steps: [reboot]}\n",
                "no machine of the scenario: c",
            ),
            (
                "  - on: {machine: a, steps: [power-cycle]}\n",
                "is for one `machine`",
            ),
            (
                "  - on: {machine: a, steps: [serve-images]}\n",
                "machine `a`: `serve-images` is for",
            ),
            (
                "  - on: {machine: a, steps: [while: {step: reboot, actions: [{after: 1s, do: verify}]}]}\n",
                "does not do `verify`",
            ),
        ] {
            let error = load(&two(&format!("{install}{steps}"))).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
        }
        let error = load(&sample().replace("\nmachine:\n", "\nmachine:\n  lan: 100\n"));
        assert!(error.unwrap_err().to_string().contains("from 1 to 99"));
        let error = load(&sample().replace("  - reboot", "  - on: {machine: a, steps: [reboot]}"));
        assert!(error.unwrap_err().to_string().contains("is for several"));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = load(&format!("{}\npowerCut: true\n", sample()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("powerCut"), "{error}");
    }

    #[test]
    fn a_duration_without_a_unit_is_refused() {
        let error = load(&format!("{}\nbudgets:\n  boot: 3\n", sample()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no duration"), "{error}");
    }

    #[test]
    fn steps_without_installation_are_refused() {
        let error = load(&sample().replace("  - install\n", ""))
            .unwrap_err()
            .to_string();
        assert!(error.contains("`install`"), "{error}");
    }

    #[test]
    fn every_scenario_of_the_project_can_be_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/scenarios");
        let mut count = 0;
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "yaml") {
                let file = ScenarioFile::load(&path).unwrap();
                for number in 0..file.must_fail.len() {
                    let (altered, says) = ScenarioFile::load_altered(&path, number).unwrap();
                    assert!(altered != file && !says.is_empty(), "{}", path.display());
                }
                count += 1;
            }
        }
        assert!(count > 0);
    }

    #[test]
    fn a_power_cycle_parts_the_steps() {
        let text = sample().replace(
            "  - first-boot\n",
            "  - power-cycle\n  - refuse:\n      step: find-media\n      reason: no disk\n",
        );
        let text = text.replace("  - ready\n  - verify\n  - reboot\n", "");
        let scenario = load(&text).unwrap().machines().remove(0);
        let cycles = scenario.cycles();
        assert_eq!(cycles.len(), 2);
        assert_eq!(cycles[0], (None, [Step::Install].as_slice()));
        assert_eq!(cycles[1].0, Some(&Step::PowerCycle));
        assert_eq!(scenario.target(), Some("target"));
    }

    #[test]
    fn a_refusal_before_the_disk_is_chosen_has_no_target() {
        let text = sample();
        let (head, rest) = text.split_once("  - install\n").unwrap();
        let (_, tail) = rest.split_once("  - reboot\n").unwrap();
        for steps in [
            "  - refuse:\n      step: verify-image\n      reason: sha256\n",
            "  - firmware-refuses\n",
        ] {
            let file = load(&format!("{head}{steps}{tail}")).unwrap();
            let scenario = file.machines().remove(0);
            assert_eq!(scenario.target(), None);
        }
    }
}
