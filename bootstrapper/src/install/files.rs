//! `operatingSystem.writeFiles`: files that are part of the system before its first boot.

use super::InstallError;
use super::access::Access;
use super::draft::Draft;
use crate::model::File;

pub(super) fn plan(files: &[File], draft: &mut Draft<'_>) -> Result<(), InstallError> {
    for file in files {
        let bytes = file.bytes().map_err(|error| InstallError::Content {
            path: file.path.to_string(),
            error,
        })?;
        let mode = file.mode();
        let access = match &file.owner {
            Some(owner) => owned(owner.as_str(), file.path.as_str(), mode, draft)?,
            None => Access::root(mode),
        };
        draft.write_found(file.path.as_str(), bytes, access)?;
    }
    Ok(())
}

/// The ids of `user` or `user:group`. A user alone leaves the group root, as cloud-init does with such a file.
fn owned(owner: &str, path: &str, mode: u32, draft: &Draft<'_>) -> Result<Access, InstallError> {
    let unknown = |what: &'static str, name: &str| InstallError::Owner {
        path: path.to_owned(),
        what,
        name: name.to_owned(),
    };
    let (user, group) = owner.split_once(':').unwrap_or((owner, ""));
    let uid = id_of("/etc/passwd", user, 2, draft)?.ok_or_else(|| unknown("user", user))?;
    let gid = match group {
        "" => 0,
        group => id_of("/etc/group", group, 2, draft)?.ok_or_else(|| unknown("group", group))?,
    };
    Ok(Access { uid, gid, mode })
}

/// A number in the line of a name; a name that is a number stands for itself.
fn id_of(
    table: &str,
    name: &str,
    field: usize,
    draft: &Draft<'_>,
) -> Result<Option<u32>, InstallError> {
    if let Ok(id) = name.parse() {
        return Ok(Some(id));
    }
    let text = draft.read(table)?.map(|(text, _)| text).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text
        .lines()
        .find(|line| line.split(':').next() == Some(name));
    Ok(line.and_then(|line| line.split(':').nth(field)?.parse().ok()))
}
