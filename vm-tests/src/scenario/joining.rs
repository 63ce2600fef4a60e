//! Another machine becomes a node of this one's cluster.

use anyhow::Result;

use super::session::Session;
use crate::evidence::Check;
use crate::kube::Cluster;

impl Session<'_> {
    /// Until the cluster has a ready node called `name`.
    pub async fn node_joins(&mut self, name: &str) -> Result<()> {
        let api = self.api().await?;
        let doing = format!("waiting for the node {name} to join");
        self.output.doing(&doing);
        let joined = async {
            let mut cluster = Cluster::follow(&api.client);
            loop {
                match cluster.objects().map(|objects| objects.joined(name)) {
                    Ok(Ok(kubelet)) => return Ok::<_, std::convert::Infallible>(kubelet),
                    Ok(Err(reason)) | Err(reason) => self.guard.note(reason),
                }
                cluster.changed().await;
            }
        };
        let budget = self.budgets().ready;
        let kubelet = self.guard.race(&doing, budget, joined).await?;
        self.checks.push(Check::new(
            "cluster/joined",
            format!("the node {name} is a ready node of the cluster"),
            "the version of its kubelet",
            &kubelet,
            kubelet.starts_with('v'),
        ));
        Ok(())
    }
}
