//! What a request asks for, machine by machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use run_request::{Medium, RunRequest};

use super::context::RunOptions;
use super::definition::ScenarioFile;
use super::one_machine::Scenario;
use crate::evidence::new_run_folder;
use run_request::Role;

/// What each machine of a request's scenario needs, at least one machine, and what the run has to say when it fails, where
/// it has to. The run's directory is made when all that is asked for is there.
///
/// # Errors
/// The scenario file cannot be used, or the request lacks something that the scenario needs.
pub fn machines_of(request: RunRequest) -> Result<(Vec<RunOptions>, Option<String>)> {
    let (file, says) = match request.must_fail {
        None => (ScenarioFile::load(&request.scenario)?, None),
        Some(number) => {
            let (file, says) = ScenarioFile::load_altered(&request.scenario, number)?;
            (file, Some(says))
        }
    };
    let scenarios = file.machines();
    let lacking = |what: &str| format!("the request for the scenario {} has no {what}", file.name);
    ensure!(
        request.workload.is_some() || !scenarios.iter().any(Scenario::needs_image),
        lacking("`workload`, the image of its pods")
    );
    ensure!(
        request.workstation.is_some() || file.workstation.is_none(),
        lacking("`workstation`")
    );
    let media = scenarios.iter().map(|scenario| {
        let (config_file, image) = medium(&request, scenario).with_context(|| {
            let name = scenario.on.as_deref().unwrap_or("the machine");
            lacking(&format!("file that {name} is started from"))
        })?;
        ensure!(image.exists(), "there is no image {}", image.display());
        Ok((config_file.map(Path::to_owned), image.to_owned()))
    });
    let media = media.collect::<Result<Vec<(Option<PathBuf>, PathBuf)>>>()?;
    let evidence = new_run_folder(&request.evidence, &file.name)?;
    let request = Arc::new(request);
    let machines = scenarios.into_iter().zip(media);
    let machines = machines.map(|(scenario, (config_file, usb))| RunOptions {
        scenario,
        config_file,
        usb,
        evidence: evidence.clone(),
        request: Arc::clone(&request),
    });
    Ok((machines.collect(), says))
}

/// The config-file, but of a registry, and what a machine is started from.
fn medium<'a>(
    request: &'a RunRequest,
    scenario: &Scenario,
) -> Option<(Option<&'a Path>, &'a Path)> {
    if scenario.machine.role == Role::Registry {
        return request.registry.as_deref().map(|disk| (None, disk));
    }
    let Medium { config_file, usb } = request.media.get(scenario.on.as_deref().unwrap_or(""))?;
    Some((Some(config_file), usb))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU8;

    use run_request::ListedChecks;

    use super::*;

    /// A request for a scenario of the project, with images for `machines`, and the directory of its files.
    fn request(scenario: &str, machines: &[&str]) -> (RunRequest, tempfile::TempDir) {
        let files = tempfile::tempdir().unwrap();
        let usb = files.path().join("usb.img");
        fs_err::write(&usb, "").unwrap();
        let medium = |name: &&str| {
            let config_file = files.path().join("config-file");
            let usb = usb.clone();
            ((*name).to_owned(), Medium { config_file, usb })
        };
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/scenarios");
        let request = RunRequest {
            scenario: scenarios.join(scenario).with_extension("yaml"),
            must_fail: None,
            media: machines.iter().map(medium).collect::<BTreeMap<_, _>>(),
            registry: None,
            workstation: None,
            workload: Some(files.path().join("workload")),
            evidence: files.path().join("evidence"),
            cache: files.path().join("cache"),
            profile: "reference".into(),
            replaced: Vec::new(),
            accelerator: None,
            emulated_cpus: NonZeroU8::MIN,
            leases: None,
            checks: ListedChecks::Ignored,
            stages: Vec::new(),
            keep: false,
        };
        (request, files)
    }

    fn error(request: RunRequest) -> String {
        let evidence = request.evidence.clone();
        let error = machines_of(request).unwrap_err();
        assert!(!evidence.exists(), "nothing was run");
        format!("{error:#}")
    }

    #[test]
    fn a_machine_gets_its_own_stick() {
        let (request, _files) = request("sample", &[""]);
        let usb = request.media[""].usb.clone();
        let (machines, says) = machines_of(request).unwrap();
        assert_eq!((machines.len(), &machines[0].usb, says), (1, &usb, None));
        assert!(machines[0].evidence.is_dir() && machines[0].config_file.is_some());
    }

    #[test]
    fn what_a_scenario_needs_has_to_be_in_the_request() {
        let (other, _files) = request("sample", &["other"]);
        assert!(error(other).contains("has no file that the machine is started from"));
        let (no_registry, _files) = request("registry-mirror", &["node"]);
        assert!(error(no_registry).contains("has no file that registry is started from"));
        let (mut no_pods, _files) = request("sample", &[""]);
        no_pods.workload = None;
        assert!(error(no_pods).contains("has no `workload`"));
        let (no_workstation, _files) = request("usb-prepare-devices", &[""]);
        assert!(error(no_workstation).contains("has no `workstation`"));
        let (gone, files) = request("sample", &[""]);
        fs_err::remove_file(files.path().join("usb.img")).unwrap();
        assert!(error(gone).contains("there is no image"));
    }

    #[test]
    fn an_altered_scenario_says_how_it_has_to_fail() {
        let (mut altered, _files) = request("sample", &[""]);
        altered.must_fail = Some(0);
        let (_, says) = machines_of(altered).unwrap();
        assert!(says.is_some_and(|says| !says.is_empty()));
    }
}
