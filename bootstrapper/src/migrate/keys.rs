//! What becomes of each key of the raw-text format.

use super::arithmetic::evaluate;
use super::raw::{Element, Origin, Raw, Setting, YamlPart};
use super::{Item, Place, Remark};
use crate::values::{NoProxy, ProxyUrl, TextValue as _};
use base64::Engine as _;
use std::net::Ipv4Addr;

/// What the old format's settings say about one key.
struct Settings<'a> {
    list: Vec<&'a Setting>,
    items: Vec<Item>,
    remarks: &'a mut Vec<Remark>,
}

/// The values of the file in their new places; what has none is remarked on.
pub(super) fn items(raw: &Raw, remarks: &mut Vec<Remark>) -> Vec<Item> {
    let mut settings = Settings {
        list: vec![],
        items: vec![],
        remarks,
    };
    settings.list = settings.last_of_each(&raw.settings);
    settings.all();
    if let Some(part) = &raw.yaml {
        settings.yaml(part);
    }
    settings.replaced_files();
    settings.items
}

impl<'a> Settings<'a> {
    /// The old installer's readers took the last of several lines of a key.
    fn last_of_each(&mut self, all: &'a [Setting]) -> Vec<&'a Setting> {
        let mut found: Vec<&Setting> = vec![];
        for setting in all {
            let key = &setting.origin.key;
            if let Some(at) = found.iter().position(|other| other.origin.key == *key) {
                let line = found.remove(at).origin.line;
                let message = format!("line {} has the key again, which wins", setting.origin.line);
                self.remarks.push(Remark::dropped(line, key, message));
            }
            found.push(setting);
        }
        found
    }

    fn get(&self, key: &str) -> Option<&'a Setting> {
        let mut set = self
            .list
            .iter()
            .filter(|setting| !setting.value.trim().is_empty());
        set.find(|setting| setting.origin.key == key).copied()
    }

    fn all(&mut self) {
        for setting in self.list.clone() {
            if !setting.value.trim().is_empty() {
                self.one(setting);
            }
        }
    }

    fn one(&mut self, setting: &Setting) {
        let value = setting.value.trim().to_owned();
        match setting.origin.key.as_str() {
            "user_name" => self.user(setting, value),
            "passwd" => self.password(setting),
            "ssh_key" => self.put(setting, Place::SshKey(value)),
            "http_proxy" => self.proxy(setting, Place::HttpProxy),
            "https_proxy" => self.proxy(setting, Place::HttpsProxy),
            "no_proxy" => self.no_proxy(setting, &[]),
            "HTTP_PROXY" => self.upper_case(setting, "http_proxy", Place::HttpProxy(value)),
            "HTTPS_PROXY" => self.upper_case(setting, "https_proxy", Place::HttpsProxy(value)),
            "NO_PROXY" => self.upper_case_no_proxy(setting),
            "static_ip" => self.address(setting, &value),
            // With static_ip.
            "subnet_mask" if self.get("static_ip").is_some() => {}
            "subnet_mask" => self.leave_out(setting, "there is no static_ip that it is for"),
            "default_gate_way" | "defualt_gate_way" => self.put(setting, Place::Gateway(value)),
            "dns_name_server" => self.each(setting, Place::Dns),
            "USER_CUSTOM_NTP_SERVERS" => self.each(setting, Place::NtpServer),
            "enable_services" => self.each(setting, Place::Enable),
            "disable_services" => self.each(setting, Place::Disable),
            "huge_page_config" => self.huge_pages(setting, &value),
            "custom_file_path" => self.custom_file(setting, value),
            "custom_file_permissions" | "custom_file_content"
                if self.get("custom_file_path").is_some() => {}
            "host_type" if ["kubernetes", "container"].contains(&value.as_str()) => {}
            "lvm_size_ingb" if value == "0" => {}
            key => self.leave_out(setting, no_counterpart(key)),
        }
    }

    fn put(&mut self, setting: &Setting, place: Place) {
        self.items.push(item(setting.origin.clone(), place));
    }

    fn leave_out(&mut self, setting: &Setting, reason: &str) {
        let origin = &setting.origin;
        self.remarks
            .push(Remark::dropped(origin.line, &origin.key, reason));
    }

    fn note(&mut self, origin: &Origin, message: &str) {
        self.remarks
            .push(Remark::changed(origin.line, &origin.key, message));
    }

    /// One item for each part of a list with commas or blanks between.
    fn each(&mut self, setting: &Setting, place: fn(String) -> Place) {
        let mut origin = setting.origin.clone();
        let parts = setting.value.split([',', ' ', '\t']);
        for part in parts.filter(|part| !part.is_empty()) {
            self.items
                .push(item(origin.clone(), place(part.to_owned())));
            origin.comments.clear();
        }
    }

    fn user(&mut self, setting: &Setting, name: String) {
        if self.get("passwd").is_none() {
            let message = "the old tool asked for a password; without `password` the user logs in with an SSH key only";
            self.note(&setting.origin, message);
        }
        self.put(setting, Place::User(name));
    }

    fn password(&mut self, setting: &Setting) {
        if setting.value.contains(['$', '`', '\\']) {
            let message = "the old installer's shell changed `$`, backticks and backslashes; here they are part of the password";
            self.note(&setting.origin, message);
        }
        let message = "base64 hides nothing: a hash, made by mkpasswd -m sha-512, is better";
        self.note(&setting.origin, message);
        let encoded = base64::engine::general_purpose::STANDARD.encode(&setting.value);
        self.put(setting, Place::Password(encoded));
    }

    fn proxy(&mut self, setting: &Setting, place: fn(String) -> Place) {
        let value = setting.value.trim();
        let refused = ProxyUrl::parse(value).err();
        let mut item = item(setting.origin.clone(), place(value.to_owned()));
        item.dropped = refused.map(|refused| refused.message);
        self.items.push(item);
    }

    /// Both cases of a proxy variable are set from one key here: from the lower-case one where that is a proxy.
    fn upper_case(&mut self, setting: &Setting, lower: &str, place: Place) {
        let other = self.get(lower).map(|other| other.value.trim());
        match other {
            Some(other) if other == setting.value.trim() => {}
            Some(other) if ProxyUrl::parse(other).is_ok() => {
                let message = format!("it differs from {lower}, whose value both now have");
                self.leave_out(setting, &message);
            }
            _ => self.put(setting, place),
        }
    }

    /// One item an entry, but for those that are known.
    fn no_proxy(&mut self, setting: &Setting, known: &[String]) {
        let mut origin = setting.origin.clone();
        for entry in no_proxy_entries(setting) {
            if known.contains(&entry) {
                continue;
            }
            let refused = NoProxy::parse(&entry).err();
            let mut item = item(origin.clone(), Place::NoProxy(entry));
            item.dropped = refused.map(|refused| refused.message);
            self.items.push(item);
            origin.comments.clear();
        }
    }

    /// Both cases become one list, with what either of them had.
    fn upper_case_no_proxy(&mut self, setting: &Setting) {
        let lower = self.get("no_proxy").map(no_proxy_entries);
        let lower = lower.unwrap_or_default();
        let before = self.items.len();
        self.no_proxy(setting, &lower);
        let mut added = self.items[before..].iter();
        if !lower.is_empty() && added.any(|item| item.dropped.is_none()) {
            let message = "it had entries that no_proxy had not; noProxy has those of both";
            self.note(&setting.origin, message);
        }
    }

    fn address(&mut self, setting: &Setting, address: &str) {
        let mask = self.get("subnet_mask");
        let Some(length) = mask.and_then(|mask| prefix_length(mask.value.trim())) else {
            self.leave_out(
                setting,
                "there is no subnet_mask that is a prefix length or a mask",
            );
            return;
        };
        let message = "the old installer used it only where DHCP gave no address; here the interface always has it";
        self.note(&setting.origin, message);
        let mut origin = setting.origin.clone();
        origin.comments.extend(
            mask.into_iter()
                .flat_map(|mask| mask.origin.comments.clone()),
        );
        let place = Place::Address(format!("{address}/{length}"));
        self.items.push(item(origin, place));
    }

    fn huge_pages(&mut self, setting: &Setting, expression: &str) {
        let Some(pages) = evaluate(expression).filter(|pages| *pages >= 0) else {
            self.leave_out(setting, "it is not a sum or product of numbers");
            return;
        };
        self.note(
            &setting.origin,
            "set by sysctl.d at every boot, before K3s starts",
        );
        let place = Place::WriteFile {
            path: "/etc/sysctl.d/90-hugepages.conf".to_owned(),
            permissions: None,
            content: format!("vm.nr_hugepages = {pages}\n"),
        };
        self.put(setting, place);
    }

    fn custom_file(&mut self, setting: &Setting, path: String) {
        let text = |key: &str| self.get(key).map(|setting| setting.value.clone());
        let place = Place::WriteFile {
            path,
            permissions: text("custom_file_permissions"),
            content: text("custom_file_content").unwrap_or_default() + "\n",
        };
        self.put(setting, place);
    }

    fn yaml(&mut self, part: &YamlPart) {
        let first = self.items.len();
        for (key, line) in part.keys() {
            if !["services", "write_files", "runcmd"].contains(&key.as_str()) {
                self.remarks
                    .push(Remark::dropped(line, &key, "an unknown key"));
            }
        }
        let enable = part.list("/services/enable", "services");
        self.texts(enable, Place::Enable);
        let disable = part.list("/services/disable", "services");
        self.texts(disable, Place::Disable);
        for element in part.list("/write_files", "write_files") {
            self.write_file(&element);
        }
        let commands = part.list("/runcmd", "runcmd");
        self.texts(commands, Place::Command);
        if let Some(item) = self.items.get_mut(first) {
            item.origin.comments.splice(0..0, part.above.clone());
        }
    }

    fn texts(&mut self, elements: Vec<Element<'_>>, place: fn(String) -> Place) {
        for element in elements {
            let words = element.words();
            let text = match (element.text(), words) {
                (Some(text), _) => text.to_owned(),
                (None, Some(words)) => words.into_iter().map(quote).collect::<Vec<_>>().join(" "),
                (None, None) => {
                    let origin = &element.origin;
                    self.remarks.push(Remark::dropped(
                        origin.line,
                        &origin.key,
                        "an element that is not a string",
                    ));
                    continue;
                }
            };
            self.items.push(item(element.origin, place(text)));
        }
    }

    fn write_file(&mut self, element: &Element<'_>) {
        let origin = &element.origin;
        let Some(path) = element.field("path") else {
            self.remarks.push(Remark::dropped(
                origin.line,
                &origin.key,
                "a file without a path",
            ));
            return;
        };
        for field in element.fields() {
            if !["path", "permissions", "content"].contains(&field) {
                let message = format!("`{field}` of {path} had no effect and is left out");
                self.note(origin, &message);
            }
        }
        let place = Place::WriteFile {
            path: path.to_owned(),
            permissions: element.field("permissions").map(str::to_owned),
            content: element.field("content").unwrap_or_default().to_owned(),
        };
        self.items.push(item(origin.clone(), place));
    }

    /// Of two files with one path the later one stayed.
    fn replaced_files(&mut self) {
        let path_of = |item: &Item| match &item.place {
            Place::WriteFile { path, .. } => Some(path.clone()),
            _ => None,
        };
        for index in 0..self.items.len() {
            let Some(path) = path_of(&self.items[index]) else {
                continue;
            };
            let mut later = self.items[index + 1..].iter();
            let again = later.rfind(|other| path_of(other).as_ref() == Some(&path));
            if let Some(line) = again.map(|other| other.origin.line) {
                let message = format!("{path} is written again by line {line}, which wins");
                self.items[index].dropped = Some(message);
            }
        }
    }
}

fn item(origin: Origin, place: Place) -> Item {
    Item {
        place,
        origin,
        dropped: None,
    }
}

/// The entries of a list of hosts, each once.
fn no_proxy_entries(setting: &Setting) -> Vec<String> {
    let mut found: Vec<String> = vec![];
    for part in setting.value.split([',', ' ', '\t']) {
        if !part.is_empty() && !found.iter().any(|known| known == part) {
            found.push(part.to_owned());
        }
    }
    found
}

fn no_counterpart(key: &str) -> &'static str {
    match key {
        "host_type" => "it is neither `kubernetes` nor `container`",
        "lvm_size_ingb" => {
            "no volume group is made: the last partition of the OS image takes the rest of the disk"
        }
        "deploy_envmt" => "virtual machines are installed as other machines are",
        "reporting_group_id"
        | "reporting_partner_id"
        | "reporting_endpoint"
        | "reporting_token"
        | "reporting_disabled" => "there is no reporting agent",
        "custom_file_permissions" | "custom_file_content" => "there is no custom_file_path",
        _ => "an unknown key",
    }
}

/// Length of a prefix from digits (`24`) or a mask (`255.255.255.0`).
fn prefix_length(mask: &str) -> Option<u8> {
    match mask.parse::<u8>() {
        Ok(length) => Some(length),
        Err(_) => {
            let mask: Ipv4Addr = mask.parse().ok()?;
            ipnet::ip_mask_to_prefix(mask.into()).ok()
        }
    }
}

/// A word as the shell takes it literally.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_two_forms() {
        assert_eq!(prefix_length("24"), Some(24));
        assert_eq!(prefix_length("255.255.255.0"), Some(24));
        assert_eq!(prefix_length("255.0.255.0"), None);
    }
}
