//! Accounts of the root tree: passwd, shadow, group, gshadow, subuid and subgid, homes, SSH keys, sudo.

use super::InstallError;
use super::access::Access;
use super::draft::{Draft, lines};
use crate::model::{OperatingSystem, User};
use crate::password::shadow_hash;
use crate::path_rule::PathRule;
use crate::values::{SshKey, UserName};

const PASSWD: &str = "/etc/passwd";
const SHADOW: &str = "/etc/shadow";
const GROUP: &str = "/etc/group";
const GSHADOW: &str = "/etc/gshadow";
const SUBUID: &str = "/etc/subuid";
const SUBGID: &str = "/etc/subgid";
/// sudo skips files whose name has a dot; user names have none.
const SUDOERS: PathRule = PathRule::new("/etc/sudoers.d/90-emts-*");
/// First user id that is not the system's (login.defs UID_MIN), and the one after the last.
const LOGIN_UIDS: std::ops::Range<u32> = 1000..60000;
/// Subordinate ids a user gets (login.defs SUB_UID_COUNT) and the first of them (SUB_UID_MIN).
const SUB_IDS: u32 = 65536;
const FIRST_SUB_ID: u32 = 100_000;

pub(super) fn claims() -> Vec<PathRule> {
    let tables = [PASSWD, SHADOW, GROUP, GSHADOW, SUBUID, SUBGID];
    let tables = tables.into_iter().map(PathRule::new);
    tables.chain([SUDOERS]).collect()
}

pub(super) fn plan(os: &OperatingSystem, draft: &mut Draft<'_>) -> Result<(), InstallError> {
    let mut table = Accounts::read(draft)?;
    if table.passwd.missing {
        return Err(InstallError::NoImage { file: PASSWD });
    }
    let mut people = vec![];
    for user in &os.users {
        people.push(table.user(user, draft)?);
    }
    table.write(draft)?;
    let keys = os.ssh_keys();
    if people.is_empty() && !keys.is_empty() {
        people.push(table.person("root")?);
    }
    for person in &people {
        home(person, draft)?;
        authorized_keys(person, &keys, draft)?;
        sudo(person, draft)?;
    }
    Ok(())
}

/// What is needed of an account after it is in the tables.
struct Person {
    name: String,
    home: String,
    access: Access,
}

/// A field of a table's line, in whatever encoding the image has it.
type Field = Vec<u8>;

/// A table of lines with `:` between the fields, the first of which is the name.
struct Table {
    path: &'static str,
    lines: Vec<Vec<u8>>,
    access: Access,
    changed: bool,
    missing: bool,
}

impl Table {
    fn read(draft: &Draft<'_>, path: &'static str, mode: u32) -> Result<Self, InstallError> {
        let found = draft.read(path)?;
        let missing = found.is_none();
        let (text, access) = found.unwrap_or((vec![], Access::root(mode)));
        Ok(Self {
            path,
            lines: lines(&text).map(<[u8]>::to_vec).collect(),
            access,
            changed: false,
            missing,
        })
    }

    fn find(&self, name: &str) -> Option<Vec<Field>> {
        let mut lines = self.lines.iter();
        let line = lines.find(|line| name_of(line) == name.as_bytes())?;
        Some(fields_of(line).map(<[u8]>::to_vec).collect())
    }

    fn set(&mut self, fields: &[Field]) {
        let line = fields.join(&b':');
        let name = name_of(&line).to_owned();
        match self.lines.iter_mut().find(|line| name_of(line) == name) {
            Some(old) if *old == line => return,
            Some(old) => *old = line,
            None => self.lines.push(line),
        }
        self.changed = true;
    }

    fn ids(&self, field: usize) -> Vec<u32> {
        let id = |line: &Vec<u8>| number_in(fields_of(line).nth(field)?);
        self.lines.iter().filter_map(id).collect()
    }

    fn write(&self, draft: &mut Draft<'_>) -> Result<(), InstallError> {
        if !self.changed {
            return Ok(());
        }
        let text: Vec<u8> = self
            .lines
            .iter()
            .flat_map(|line| [line, &b"\n"[..]].concat())
            .collect();
        draft.write(self.path, text, self.access)
    }
}

fn fields_of(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b':')
}

fn name_of(line: &[u8]) -> &[u8] {
    fields_of(line).next().unwrap_or_default()
}

fn number_in(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

struct Accounts {
    passwd: Table,
    shadow: Table,
    group: Table,
    gshadow: Table,
    subuid: Table,
    subgid: Table,
}

impl Accounts {
    fn read(draft: &Draft<'_>) -> Result<Self, InstallError> {
        Ok(Self {
            passwd: Table::read(draft, PASSWD, 0o644)?,
            shadow: Table::read(draft, SHADOW, 0o640)?,
            group: Table::read(draft, GROUP, 0o644)?,
            gshadow: Table::read(draft, GSHADOW, 0o640)?,
            subuid: Table::read(draft, SUBUID, 0o644)?,
            subgid: Table::read(draft, SUBGID, 0o644)?,
        })
    }

    fn write(&self, draft: &mut Draft<'_>) -> Result<(), InstallError> {
        let tables = [
            &self.group,
            &self.gshadow,
            &self.shadow,
            &self.subuid,
            &self.subgid,
            &self.passwd,
        ];
        tables.iter().try_for_each(|table| table.write(draft))
    }

    /// Puts a user into the tables.
    fn user(&mut self, user: &User, draft: &Draft<'_>) -> Result<Person, InstallError> {
        let name = &user.username;
        if self.passwd.find(name.as_str()).is_none() {
            self.create(name, draft)?;
        }
        let person = self.person(name.as_str())?;
        if !name.is_root() && !LOGIN_UIDS.contains(&person.access.uid) {
            return Err(InstallError::SystemAccount {
                name: name.to_string(),
                uid: person.access.uid,
            });
        }
        self.password(user)?;
        Ok(person)
    }

    fn create(&mut self, name: &UserName, draft: &Draft<'_>) -> Result<(), InstallError> {
        let (id, group) = self.free_ids(name);
        let shell = if draft.exists("/bin/bash")? {
            "/bin/bash"
        } else {
            "/bin/sh"
        };
        let fields = |texts: &[&str]| texts.iter().map(|t| Field::from(*t)).collect::<Vec<_>>();
        let (uid, gid) = (id.to_string(), group.to_string());
        if self.group.find(name.as_str()).is_none() {
            self.group.set(&fields(&[name.as_str(), "x", &gid, ""]));
        }
        if !self.gshadow.missing && self.gshadow.find(name.as_str()).is_none() {
            self.gshadow.set(&fields(&[name.as_str(), "!", "", ""]));
        }
        let (home, name) = (format!("/home/{name}"), name.as_str());
        self.passwd
            .set(&fields(&[name, "x", &uid, &gid, "", &home, shell]));
        for table in [&mut self.subuid, &mut self.subgid] {
            if !table.missing && table.find(name).is_none() {
                let start = next_sub_id(table);
                table.set(&fields(&[name, &start.to_string(), &SUB_IDS.to_string()]));
            }
        }
        Ok(())
    }

    /// A user id that is free as user and as group, and the group: one of the user's name when it is there.
    fn free_ids(&self, name: &UserName) -> (u32, u32) {
        let existing = self.group.find(name.as_str());
        let existing = existing.and_then(|fields| number_in(fields.get(2)?));
        let (uids, gids) = (self.passwd.ids(2), self.group.ids(2));
        let free = LOGIN_UIDS
            .into_iter()
            .find(|id| !uids.contains(id) && !gids.contains(id))
            .unwrap_or(LOGIN_UIDS.end);
        (free, existing.unwrap_or(free))
    }

    fn password(&mut self, user: &User) -> Result<(), InstallError> {
        let name = user.username.as_str();
        let existing = self.shadow.find(name);
        let old = existing.as_ref().and_then(|fields| fields.get(1)).cloned();
        let hash = match &user.password {
            Some(password) => {
                let old = old.and_then(|hash| String::from_utf8(hash).ok());
                shadow_hash(password, old.as_deref())?.into_bytes()
            }
            // `*` is no hash of any password, and sshd does not take it for a locked account as it does `!`.
            None => old.unwrap_or_else(|| b"*".to_vec()),
        };
        let mut fields = existing.unwrap_or_else(|| {
            ["", "", "", "0", "99999", "7", "", "", ""]
                .map(Field::from)
                .to_vec()
        });
        fields.resize(9, vec![]);
        fields[0] = name.into();
        fields[1] = hash;
        self.shadow.set(&fields);
        Ok(())
    }

    fn person(&self, name: &str) -> Result<Person, InstallError> {
        let bad = |field| InstallError::Line {
            file: PASSWD,
            name: name.to_owned(),
            field,
        };
        let fields = self.passwd.find(name).ok_or_else(|| bad("entry"))?;
        let number = |at: usize| fields.get(at).and_then(|id| number_in(id));
        let home = fields
            .get(5)
            .and_then(|home| std::str::from_utf8(home).ok());
        let home = home.filter(|home| home.starts_with('/'));
        Ok(Person {
            name: name.to_owned(),
            home: home
                .ok_or_else(|| bad("home directory"))?
                .trim_end_matches('/')
                .to_owned(),
            access: Access {
                uid: number(2).ok_or_else(|| bad("user id"))?,
                gid: number(3).ok_or_else(|| bad("group id"))?,
                mode: 0o700,
            },
        })
    }
}

fn next_sub_id(table: &Table) -> u32 {
    let end = |line: &Vec<u8>| {
        let mut fields = fields_of(line).skip(1);
        let start = number_in(fields.next()?)?;
        start.checked_add(number_in(fields.next()?)?)
    };
    let last = table.lines.iter().filter_map(end).max();
    last.unwrap_or(FIRST_SUB_ID).max(FIRST_SUB_ID)
}

fn home(person: &Person, draft: &mut Draft<'_>) -> Result<(), InstallError> {
    // Of a home of `/` nothing is left.
    if !person.home.is_empty() && !draft.exists(&person.home)? {
        draft.copy_directory("/etc/skel", &person.home, person.access)?;
    }
    Ok(())
}

fn authorized_keys(
    person: &Person,
    keys: &[&SshKey],
    draft: &mut Draft<'_>,
) -> Result<(), InstallError> {
    if keys.is_empty() {
        return Ok(());
    }
    let directory = format!("{}/.ssh", person.home);
    let path = format!("{directory}/authorized_keys");
    draft.directory(&directory, person.access);
    let mut text = draft.read(&path)?.map(|(text, _)| text).unwrap_or_default();
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    for key in keys {
        if !lines(&text).any(|line| line.trim_ascii() == key.as_str().as_bytes()) {
            text.extend(format!("{key}\n").into_bytes());
        }
    }
    let access = Access {
        mode: 0o600,
        ..person.access
    };
    draft.write_found(&path, text, access)
}

/// Passwordless sudo.
fn sudo(person: &Person, draft: &mut Draft<'_>) -> Result<(), InstallError> {
    if person.access.uid == 0 {
        return Ok(());
    }
    let name = &person.name;
    let text = format!("{name} ALL=(ALL:ALL) NOPASSWD: ALL\n");
    draft.write(&SUDOERS.with(name), text, Access::root(0o440))
}
