//! Until K3s on the node is ready: its API is reached from the host, its objects are watched, pods are started.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::service::{self, Service};
use super::session::{NodeApi, Session};
use crate::expectation::{Image, TEST_IMAGE, Workload};
use crate::kube::{Boot, Client, Cluster, Credentials, KUBECONFIG};
use crate::node::{Probe, gather};
use crate::ssh::Ssh;

/// How long the guest may be silent while it answers a script.
const SILENCE: Duration = Duration::from_secs(120);
/// How often systemd is asked about a K3s whose API does not answer.
const ASK_SERVICE: Duration = Duration::from_secs(5);
/// How often an API with ready objects is asked whether it is ready itself, which cannot be watched.
const ASK_READYZ: Duration = Duration::from_secs(2);
/// The archive's name on the node; K3s knows archives by the ends of their names and takes hidden ones, too.
const ARCHIVE: &str = "emts-test-workload.tar";
/// Prints the line of containerd's configuration that names the image which every pod is built on.
const PAUSE_IMAGE: &str = "grep -hE '^ *sandbox(_image)? = '";

impl Session<'_> {
    /// The API, reached now if it was not in this boot of the node.
    pub async fn api(&mut self) -> Result<NodeApi> {
        if let Some(api) = &self.api {
            return Ok(api.clone());
        }
        let ssh = self.ssh()?;
        let doing = "waiting for the node's kubeconfig";
        self.output.doing(doing);
        let asking = self.ask_until(|| credentials(self.service(&ssh)));
        let budget = self.budgets().ready;
        let (credentials, boot) = self.guard.race(doing, budget, asking).await?;
        let port = self.guard.vm().forward(credentials.port).await?;
        let client = Client::new(port, &credentials, self.kube_log.clone())?;
        let api = NodeApi { client, boot };
        self.api = Some(api.clone());
        Ok(api)
    }

    /// Until the node is ready with its workloads.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        if !self.has_kubernetes() {
            return Ok(());
        }
        let api = self.api().await?;
        self.output.doing("waiting for a ready node");
        let ssh = self.ssh()?;
        let ready = until_ready(self, &api, &ssh);
        let budget = self.budgets().ready;
        let doing = "waiting for a ready node";
        Ok(self.guard.race(doing, budget, ready).await?)
    }

    /// Brings the image of the harness's pods to the node.
    ///
    /// K3s imports what lies in this folder: a version with a watcher (1.33) within seconds, each at its start, which
    /// mostly is still to come now. So nothing starts in the guest for it, as `k3s ctr images import` would: a program
    /// of 200 MB, which an emulated processor is busy with for seconds. A K3s that has not imported it tells so by its
    /// pods (`ErrImageNeverPull`), which the kubelet tries again.
    pub async fn bring_workload(&self) -> Result<()> {
        let Some(archive) = self
            .options
            .request
            .workload
            .as_ref()
            .filter(|_| self.has_kubernetes())
        else {
            return Ok(());
        };
        let bytes = fs_err::read(archive)?;
        let path = format!("{}/agent/images/{ARCHIVE}", self.data);
        let ssh = self.ssh()?;
        ssh.put("workload", &path, bytes, SILENCE).await?;
        Ok(())
    }

    /// Makes the pods whose running is checked.
    pub async fn start_workloads(&mut self) -> Result<()> {
        let api = self.api().await?;
        self.output.doing("starting pods");
        let ssh = self.ssh()?;
        let command = format!(
            "{PAUSE_IMAGE} {}/agent/etc/containerd/config.toml | head -n 1",
            self.data
        );
        let line = ssh.run("pause-image?", &command, SILENCE).await?.text();
        let pause = quoted(&line).with_context(|| {
            format!("containerd's configuration names no pause image; `{command}` prints `{line}`")
        })?;
        let config = self.parsed.config.as_ref();
        let config = config.context("the config-file has errors")?;
        for workload in Workload::of(config.k3s()) {
            let image = match workload.image {
                Image::Pause => pause,
                Image::Test => TEST_IMAGE,
            };
            for (path, object) in workload.objects(image) {
                api.client.create(path, &object).await?;
            }
        }
        Ok(())
    }
}

/// The text between the first quotes of a line of TOML.
fn quoted(line: &str) -> Option<&str> {
    let quote = line.find(['"', '\''])?;
    let rest = &line[quote + 1..];
    rest.split(['"', '\''])
        .next()
        .filter(|text| !text.is_empty())
}

/// The kubeconfig and the boot that the node is in; or what there is instead.
async fn credentials(service: Service<'_>) -> Result<Result<(Credentials, Boot), String>> {
    let kubeconfig = format!("cat {KUBECONFIG}");
    let probes = [service::STATE, Boot::COMMAND, &kubeconfig].map(Probe::shell);
    let facts = gather(service.ssh, None, "kubeconfig?", &probes, SILENCE).await?;
    let text = |at: usize| facts.get(&probes[at]).map(|answer| answer.text());
    let state = text(0).unwrap_or_default();
    service.judge(state.trim()).await?;
    let boot = Boot::parse(&text(1).unwrap_or_default());
    let boot = boot.context("the node does not tell its boot")?;
    let found = Credentials::parse(&text(2).unwrap_or_default());
    Ok(found
        .map(|credentials| (credentials, boot))
        .map_err(|error| format!("{error} (k3s.service: {})", state.trim())))
}

/// Follows the cluster's objects until nothing keeps the node from being ready. systemd is asked at the end, and while
/// the API does not answer: then K3s may have ended.
async fn until_ready(session: &Session<'_>, api: &NodeApi, ssh: &Ssh) -> Result<()> {
    let mut cluster = Cluster::follow(&api.client);
    let mut asked: Option<Instant> = None;
    loop {
        let mut retry = Duration::MAX;
        match cluster.objects().map(|objects| objects.unready(&api.boot)) {
            Err(trouble) => {
                retry = ASK_SERVICE;
                if asked.is_none_or(|asked| asked.elapsed() >= ASK_SERVICE) {
                    let state = session.service(ssh).state().await?;
                    asked = Some(Instant::now());
                    session
                        .guard
                        .note(format!("{trouble} (k3s.service: {state})"));
                }
            }
            Ok(reasons) if !reasons.is_empty() => session.guard.note(reasons.join("; ")),
            Ok(_) => match api.client.get("/readyz").await {
                Ok(_) => break,
                Err(error) => {
                    retry = ASK_READYZ;
                    session.guard.note(error.to_string());
                }
            },
        }
        let _ = tokio::time::timeout(retry, cluster.changed()).await;
    }
    let state = session.service(ssh).state().await?;
    if !state.contains("ActiveState=active") {
        bail!("the API is ready, but k3s.service is not active: {state}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn finds_the_pause_image_in_either_version_of_the_configuration() {
        let line = "  sandbox = \"rancher/mirrored-pause:3.6\"\n";
        assert_eq!(quoted(line), Some("rancher/mirrored-pause:3.6"));
        assert_eq!(quoted("sandbox_image = 'a/pause:3'"), Some("a/pause:3"));
        assert_eq!(quoted(""), None);
        assert_eq!(quoted("sandbox = \"\""), None);
    }
}
