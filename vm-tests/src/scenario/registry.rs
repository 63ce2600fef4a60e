//! A container registry on a machine of its own, and nodes that pull from it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::session::Session;
use crate::evidence::Check;
use crate::expectation::PODS;
use crate::kube::Objects;

/// How long the guest may be silent while it answers a script.
const SILENCE: Duration = Duration::from_secs(180);
/// Where the archive with the harness's image comes.
const ARCHIVE: &str = "/run/emts-test-workload.tar";
/// Gives the image of the archive to the registry, as soon as that answers. The machine's image has the program.
const PUBLISH: &str = "/usr/local/lib/emts/publish.sh";
/// How that ends while the registry does not answer (EX_TEMPFAIL).
const NOT_YET: i32 = 75;
/// The pod that runs what was pulled.
const POD: &str = "emts-pulled";

impl Session<'_> {
    /// Until the registry has the image of the harness's pods.
    pub async fn serve_images(&mut self) -> Result<()> {
        self.login().await?;
        let archive = self.options.request.workload.as_ref();
        let archive = archive.context("the registry needs an image: give it with --workload")?;
        let bytes = fs_err::read(archive)?;
        let ssh = self.ssh()?;
        let put = ssh.put("image", ARCHIVE, bytes, SILENCE);
        let doing = "bringing an image to the registry";
        self.guard.race(doing, self.budgets().checks, put).await?;
        let publish = self.ask_until(async || {
            let command = format!("{PUBLISH} {ARCHIVE}");
            let answer = ssh.run("publish", &command, SILENCE).await?;
            let said = String::from_utf8_lossy(&answer.stderr);
            match answer.status {
                0 => Ok(Ok(())),
                NOT_YET => Ok(Err(said.trim().to_owned())),
                _ => bail!("{}", said.trim()),
            }
        });
        let doing = "giving an image to the registry";
        self.output.doing(doing);
        self.guard
            .race(doing, self.budgets().checks, publish)
            .await?;
        Ok(())
    }

    /// Until a pod of `image`, which the node does not have, is ready.
    pub async fn run_image(&mut self, image: &str) -> Result<()> {
        let api = self.api().await?;
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "namespace": "default"},
            "spec": {
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 1,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "main", "image": image, "imagePullPolicy": "Always"}]
            }
        });
        api.client.create(PODS, &pod).await?;
        self.wait_until_ready().await?;
        let objects = Objects::list(&api.client).await?;
        let pod = objects.find("Pod", "default", POD);
        let id = pod.and_then(|pod| pod["status"]["containerStatuses"][0]["imageID"].as_str());
        let id = id.unwrap_or("no pod");
        self.checks.push(Check::new(
            "registry/pulled",
            format!("a pod of {image} runs what the node pulled"),
            "an image by its digest in a repository",
            id,
            id.contains("@sha256:"),
        ));
        Ok(())
    }
}
