//! A machine for the tests of the aspects: that of the sample's scenario, made and never switched on.

use std::path::{Path, PathBuf};

use vm::firmware::Kind;
use vm::machine::{Bus, Mebibytes, create_overlay};

use super::hooks::{Aspect, Subject, When};
use crate::evidence::{Check, Evidence};
use crate::node::{Facts, Probe};
use crate::scenario::ScenarioFile;
use crate::scenario::machine::Hardware;
use crate::scenario::machine_definition::{DiskContent, DiskDefinition};
use crate::scenario::one_machine::Scenario;
use crate::scenario::stick::{CONFIG_PARTITION, mtool, place_of};
use crate::ssh::{GuestOutput, Secrets};
use crate::tool::{run, tool};

pub(super) struct Made {
    pub scenario: Scenario,
    pub hardware: Hardware,
    pub evidence: Evidence,
    directory: tempfile::TempDir,
}

impl Made {
    /// With the disks `target` and `data`, of 8 MiB each, and what `alter` makes of the scenario.
    pub fn new(alter: impl FnOnce(&mut Scenario)) -> Self {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../configs/scenarios/sample.yaml"
        );
        let mut scenario = ScenarioFile::load(Path::new(file))
            .unwrap()
            .machines()
            .remove(0);
        scenario.machine.disks = ["target", "data"].map(disk).into();
        scenario.machine.installs_to = Some("target".to_owned());
        alter(&mut scenario);
        let directory = tempfile::tempdir().unwrap();
        let kind = match scenario.machine.secure_boot {
            true => Kind::SecureBoot,
            false => Kind::Plain,
        };
        let hardware = Hardware::of_disks(
            directory.path(),
            directory.path().join("stick.img"),
            Vec::new(),
            &scenario.machine.disks,
            kind,
        )
        .unwrap();
        let evidence =
            Evidence::create(&directory.path().join("evidence"), Secrets::default()).unwrap();
        Self {
            scenario,
            hardware,
            evidence,
            directory,
        }
    }

    pub fn subject(&self) -> Subject<'_> {
        Subject {
            scenario: &self.scenario,
            hardware: &self.hardware,
            evidence: &self.evidence,
            label: "",
        }
    }

    /// A file beside the machine's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes the stick, with a file or directory on its partition EMTS-CONF.
    pub fn stick_with(&self, content: &Path) {
        let image = self.path("usb.img");
        fat_partition(&image, CONFIG_PARTITION);
        let place = place_of(&image, CONFIG_PARTITION).unwrap();
        let arguments = ["-s".into(), content.into(), "::".into()];
        mtool("mcopy", &image, place, &arguments).unwrap();
        create_overlay(&image, &self.hardware.stick).unwrap();
    }

    /// What an aspect makes of a node's answers.
    pub fn answered(
        &self,
        aspect: &dyn Aspect,
        when: When,
        answers: &[(Probe, &str)],
    ) -> Vec<Check> {
        let mut facts = Facts::default();
        for (probe, text) in answers {
            let output = GuestOutput {
                stdout: text.as_bytes().to_vec(),
                ..GuestOutput::default()
            };
            facts.insert(probe.clone(), output);
        }
        aspect.answered(&self.subject(), when, &facts).unwrap()
    }

    /// What an aspect finds on the machine that is off.
    pub fn off(&self, aspect: &dyn Aspect, finished: bool) -> Vec<Check> {
        aspect.powered_off(&self.subject(), finished).unwrap()
    }
}

/// Makes an image with one partition, which has a FAT file system.
pub(super) fn fat_partition(image: &Path, name: &str) {
    fs_err::File::create(image)
        .unwrap()
        .set_len(16 << 20)
        .unwrap();
    partition(image, name);
    let place = place_of(image, name).unwrap();
    let mut format = tool("mkfs.vfat");
    format.args(["--offset", &(place.start / 512).to_string()]);
    format.arg(image).arg((place.length >> 10).to_string());
    run(format).unwrap();
}

/// Makes a GPT with one partition of the whole disk.
pub(super) fn partition(disk: &Path, name: &str) {
    let mut table = tool("sgdisk");
    table.args(["-n1:2048:0", &format!("-c1:{name}")]).arg(disk);
    run(table).unwrap();
}

fn disk(name: &str) -> DiskDefinition {
    DiskDefinition {
        name: name.to_owned(),
        bus: Bus::Virtio,
        size: Mebibytes(8),
        serial: name.to_owned(),
        sector_size: 512,
        discard: true,
        late: false,
        content: DiskContent::Empty,
        fault: None,
    }
}

/// Keys of the checks that were made, and whether each holds.
pub(super) fn results(checks: &[Check]) -> Vec<(&str, bool)> {
    checks
        .iter()
        .map(|check| (check.key.as_str(), check.passed))
        .collect()
}
