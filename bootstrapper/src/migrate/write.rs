//! Writes the new file, each value with the comments that it had.

use super::raw::Raw;
use super::{Item, Place, Remark};
use crate::emit::{quoted, scalar, text as value};
use std::fmt::Write as _;

/// K3s as the old installer set it up, of which the old format itself said nothing; the user's commands follow.
const KUBERNETES: &str = r#"
# K3s as the old installer set it up. Not taken over: its data directory below /opt, its registries, its list of TLS cipher
# suites, and the images and manifests of user-apps.
kubernetes:
  kind: KThreesControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta2
  spec:
    template:
      spec:
        files:
          # Every user may read the kubeconfig.
          - path: /etc/rancher/k3s/config.yaml.d/10-migrated.yaml
            content: |
              write-kubeconfig-mode: "0644"
              protect-kernel-defaults: true
          # What protect-kernel-defaults asks of the kernel.
          - path: /etc/sysctl.d/90-migrated-kubelet.conf
            content: |
              vm.overcommit_memory = 1
              vm.panic_on_oom = 0
              kernel.panic = 10
              kernel.panic_on_oops = 1
              kernel.keys.root_maxkeys = 1000000
              kernel.keys.root_maxbytes = 25000000
          - path: /etc/profile.d/migrated-k3s.sh
            content: |
              export KUBECONFIG=/etc/rancher/k3s/k3s.yaml KUBE_CONFIG_PATH=/etc/rancher/k3s/k3s.yaml
              alias k=kubectl
        preK3sCommands:
          - sysctl --load=/etc/sysctl.d/90-migrated-kubelet.conf
          # Where the OS image has a firewall, Kubernetes' API is reached from outside.
          - "! command -v iptables > /dev/null || iptables -I INPUT -p tcp --dport 6443 -j ACCEPT"
        agentConfig:
          kubeletArgs:
            - topology-manager-policy=best-effort
            - max-pods=250
            - volume-plugin-dir=/var/lib/kubelet/volumeplugins
        serverConfig:
          disableComponents:
            - traefik
            - servicelb
          kubeAPIServerArg:
            - feature-gates=PortForwardWebsockets=true
        postK3sCommands:
          # A kubelet may not give itself this label; the node is there some time after the API.
          - |
            (
              tries=60
              until k3s kubectl get nodes --output name | grep -q . || [ "$tries" -eq 0 ]; do
                tries=$((tries - 1))
                sleep 5
              done
              k3s kubectl label --overwrite nodes --all node-role.kubernetes.io/worker=true
            )
"#;
/// Commands of [`KUBERNETES`] that stand before the user's.
const OWN_COMMANDS: usize = 1;
const POST_COMMANDS: &str = "/kubernetes/spec/template/spec/postK3sCommands";

/// The text of a place of one kind.
type Choice = fn(&Place) -> Option<&String>;

const COMMAND: Choice = |place| match place {
    Place::Command(text) => Some(text),
    _ => None,
};

/// Pointer of the section of most items.
const OS: &str = "/operatingSystem";

/// The document under work, and where in it each item stands.
struct Document<'a> {
    items: &'a [Item],
    text: String,
    places: Vec<(String, usize)>,
}

/// The document and the pointers of the items in it.
pub(super) fn document(
    raw: &Raw,
    items: &[Item],
    remarks: &[Remark],
) -> (String, Vec<(String, usize)>) {
    let mut out = Document {
        items,
        text: String::new(),
        places: vec![],
    };
    for comment in &raw.head {
        out.line(0, comment);
    }
    out.line(0, "version: 1.0");
    out.operating_system(raw.container().is_some());
    if raw.container().is_none() {
        out.text.push_str(KUBERNETES);
        out.elements(10, POST_COMMANDS, OWN_COMMANDS, COMMAND);
    }
    out.left_over(raw, remarks);
    (out.text, out.places)
}

impl Document<'_> {
    fn line(&mut self, indent: usize, text: &str) {
        let _ = writeln!(self.text, "{:indent$}{text}", "");
    }

    /// The items that stay and that a choice takes, with their indexes.
    fn kept(&self, choose: Choice) -> Vec<(usize, String)> {
        let items = self.items.iter().enumerate();
        let kept = items.filter(|(_, item)| item.dropped.is_none());
        kept.filter_map(|(index, item)| Some((index, choose(&item.place)?.clone())))
            .collect()
    }

    /// Writes an item's comments and notes where it stands.
    fn place(&mut self, index: usize, indent: usize, pointer: &str) {
        for comment in &self.items[index].origin.comments {
            let _ = writeln!(self.text, "{:indent$}{comment}", "");
        }
        self.places.push((pointer.to_owned(), index));
    }

    /// `key: value` for the only item of its kind.
    fn single(&mut self, indent: usize, key: &str, above: &str, choose: Choice) {
        for (index, text) in self.kept(choose) {
            self.place(index, indent, &format!("{OS}{above}/{key}"));
            self.line(indent, &format!("{key}: {}", scalar(&text)));
        }
    }

    /// `key:` and a list of texts.
    fn list(&mut self, indent: usize, key: &str, above: &str, choose: Choice) {
        if self.kept(choose).is_empty() {
            return;
        }
        self.line(indent, &format!("{key}:"));
        self.elements(indent + 2, &format!("{OS}{above}/{key}"), 0, choose);
    }

    /// The elements of a list, counted from the first position on.
    fn elements(&mut self, indent: usize, list: &str, first: usize, choose: Choice) {
        for (position, (index, text)) in self.kept(choose).into_iter().enumerate() {
            self.place(index, indent, &format!("{list}/{}", first + position));
            let _ = write!(self.text, "{:indent$}- {}", "", value(&text, indent));
        }
    }

    fn operating_system(&mut self, container: bool) {
        let is_here = |item: &Item| {
            let command = matches!(item.place, Place::Command(_));
            item.dropped.is_none() && (container || !command)
        };
        if !self.items.iter().any(is_here) {
            return;
        }
        self.line(0, "operatingSystem:");
        self.users();
        self.proxy();
        self.single(2, "sshKey", "", |place| match place {
            Place::SshKey(text) => Some(text),
            _ => None,
        });
        self.network();
        self.list(2, "ntpServers", "", |place| match place {
            Place::NtpServer(text) => Some(text),
            _ => None,
        });
        self.services();
        self.files();
        if container {
            self.list(2, "runCommands", "", COMMAND);
        }
    }

    fn users(&mut self) {
        for (index, name) in self.kept(|place| match place {
            Place::User(text) => Some(text),
            _ => None,
        }) {
            self.line(2, "users:");
            self.place(index, 4, &format!("{OS}/users/0/username"));
            self.line(4, &format!("- username: {}", scalar(&name)));
        }
        self.single(6, "password", "/users/0", |place| match place {
            Place::Password(text) => Some(text),
            _ => None,
        });
    }

    fn proxy(&mut self) {
        let choices: [(&str, Choice); 3] = [
            ("httpProxy", |place| match place {
                Place::HttpProxy(text) => Some(text),
                _ => None,
            }),
            ("httpsProxy", |place| match place {
                Place::HttpsProxy(text) => Some(text),
                _ => None,
            }),
            ("noProxy", |place| match place {
                Place::NoProxy(text) => Some(text),
                _ => None,
            }),
        ];
        if choices
            .iter()
            .any(|(_, choose)| !self.kept(*choose).is_empty())
        {
            self.line(2, "proxy:");
        }
        let [http, https, _] = choices;
        for (key, choose) in [http, https] {
            self.single(4, key, "/proxy", choose);
        }
        self.no_proxy();
    }

    /// All entries in one line, below the comments of all.
    fn no_proxy(&mut self) {
        let entries = self.kept(|place| match place {
            Place::NoProxy(text) => Some(text),
            _ => None,
        });
        for (index, _) in &entries {
            self.place(*index, 4, &format!("{OS}/proxy/noProxy"));
        }
        let entries: Vec<String> = entries.into_iter().map(|(_, text)| text).collect();
        if !entries.is_empty() {
            self.line(4, &format!("noProxy: {}", scalar(&entries.join(","))));
        }
    }

    /// The old installer chose the interface by itself: any Ethernet interface stands for it here.
    fn network(&mut self) {
        let address: Choice = |place| match place {
            Place::Address(text) => Some(text),
            _ => None,
        };
        if self.kept(address).is_empty() {
            return;
        }
        self.line(2, "network:");
        self.line(
            4,
            "# Name the interface, or give its macAddress, on a machine with several.",
        );
        self.line(4, "- interface: \"e*\"");
        self.list(6, "addresses", "/network/0", address);
        self.single(6, "gateway", "/network/0", |place| match place {
            Place::Gateway(text) => Some(text),
            _ => None,
        });
        self.list(6, "dns", "/network/0", |place| match place {
            Place::Dns(text) => Some(text),
            _ => None,
        });
    }

    fn services(&mut self) {
        let enable: Choice = |place| match place {
            Place::Enable(text) => Some(text),
            _ => None,
        };
        let disable: Choice = |place| match place {
            Place::Disable(text) => Some(text),
            _ => None,
        };
        if self.kept(enable).is_empty() && self.kept(disable).is_empty() {
            return;
        }
        self.line(2, "services:");
        self.list(4, "enable", "/services", enable);
        self.list(4, "disable", "/services", disable);
    }

    fn files(&mut self) {
        let paths = self.kept(|place| match place {
            Place::WriteFile { path, .. } => Some(path),
            _ => None,
        });
        if paths.is_empty() {
            return;
        }
        self.line(2, "writeFiles:");
        for (position, (index, path)) in paths.into_iter().enumerate() {
            self.place(index, 4, &format!("{OS}/writeFiles/{position}"));
            self.line(4, &format!("- path: {}", scalar(&path)));
            let Place::WriteFile {
                permissions,
                content,
                ..
            } = &self.items[index].place
            else {
                continue;
            };
            if let Some(permissions) = permissions {
                let _ = writeln!(self.text, "      permissions: {}", quoted(permissions));
            }
            let _ = write!(self.text, "      content: {}", value(content, 6));
        }
    }

    /// What was left out, with the comments that it had.
    fn left_over(&mut self, raw: &Raw, remarks: &[Remark]) {
        let dropped: Vec<&Remark> = remarks.iter().filter(|remark| remark.dropped).collect();
        if !dropped.is_empty() {
            self.line(0, "");
            self.line(0, "# Left out of the old file:");
        }
        for remark in dropped {
            // A message is one line, or this would be no comment.
            let message = remark.message.replace('\n', " ");
            self.line(
                0,
                &format!("#   line {}, {}: {message}", remark.line, remark.key),
            );
        }
        let comments = self.lost_comments(raw);
        if !comments.is_empty() {
            self.line(0, "");
            self.line(
                0,
                "# Comments of the old file that belong to nothing above:",
            );
        }
        for comment in comments {
            self.line(0, &comment);
        }
    }

    /// The comments of what was left out, and of keys whose value needs no place.
    fn lost_comments(&self, raw: &Raw) -> Vec<String> {
        let has_item = |line: usize| self.items.iter().any(|item| item.origin.line == line);
        let settings = raw.settings.iter().map(|setting| &setting.origin);
        let without = settings.filter(|origin| !has_item(origin.line) && !is_joined(&origin.key));
        let dropped = self.items.iter().filter(|item| item.dropped.is_some());
        let lost = without.chain(dropped.map(|item| &item.origin));
        let mut comments: Vec<String> = lost.flat_map(|origin| origin.comments.clone()).collect();
        comments.extend(raw.foot.clone());
        comments
    }
}

/// Keys whose comments stand with those of another key's value.
fn is_joined(key: &str) -> bool {
    key == "subnet_mask"
}
