//! Writes the new file, each value with the comments that it had.

use super::raw::Raw;
use super::{Item, Place, Remark};
use crate::emit::{block, fits_block, quoted};
use std::fmt::Write as _;

/// The Kubernetes section, of which the old format says nothing.
const KUBERNETES: &str = "
# K3s with its own defaults; the old format had no settings of it.
kubernetes:
  kind: KThreesControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta2
  spec:
    template:
      spec: {}
";

/// The text of a place of one kind.
type Choice = fn(&Place) -> Option<&String>;

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
    out.operating_system();
    out.text.push_str(KUBERNETES);
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
        self.places
            .push((format!("/operatingSystem{pointer}"), index));
    }

    /// `key: value` for the only item of its kind.
    fn single(&mut self, indent: usize, key: &str, above: &str, choose: Choice) {
        for (index, text) in self.kept(choose) {
            self.place(index, indent, &format!("{above}/{key}"));
            self.line(indent, &format!("{key}: {}", scalar(&text)));
        }
    }

    /// `key:` and a list of texts.
    fn list(&mut self, indent: usize, key: &str, above: &str, choose: Choice) {
        let kept = self.kept(choose);
        if kept.is_empty() {
            return;
        }
        self.line(indent, &format!("{key}:"));
        let inner = indent + 2;
        for (position, (index, text)) in kept.into_iter().enumerate() {
            self.place(index, inner, &format!("{above}/{key}/{position}"));
            let _ = write!(self.text, "{:inner$}- {}", "", value(&text, inner));
        }
    }

    fn operating_system(&mut self) {
        if self.items.iter().all(|item| item.dropped.is_some()) {
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
        self.list(2, "runCommands", "", |place| match place {
            Place::RunCommand(text) => Some(text),
            _ => None,
        });
    }

    fn users(&mut self) {
        for (index, name) in self.kept(|place| match place {
            Place::User(text) => Some(text),
            _ => None,
        }) {
            self.line(2, "users:");
            self.place(index, 4, "/users/0/username");
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
        for (key, choose) in choices {
            self.single(4, key, "/proxy", choose);
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
            self.place(index, 4, &format!("/writeFiles/{position}"));
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

/// A list element or the value of a key, with its line break: a literal block where it has lines.
fn value(text: &str, indent: usize) -> String {
    if text.contains('\n') && fits_block(text) {
        let block = block(text, indent).to_string();
        // Where the first line shows the indentation, it need not be said.
        match text.starts_with([' ', '\t', '\n']) {
            true => block,
            false => block.replacen("|2", "|", 1),
        }
    } else {
        format!("{}\n", scalar(text))
    }
}

/// A scalar: plain where no parser could read it as anything else, else quoted.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " _./@+=-".contains(c);
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    let fine = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !text.ends_with(' ')
        && text.chars().all(plain)
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if fine { text.to_owned() } else { quoted(text) }
}
