//! Containers: their merged fields, checked, become config.json and runtime.json.

use std::collections::BTreeMap;

use crate::oci::Image;

use super::decode::Fields;
use super::definition::{ContainerSection, VolumeSection};
use super::diagnostic::{Diagnostic, Diagnostics, Position};
use super::fields::ImageFields;
use super::files::Ids;
use super::merge::{LABEL, Merged, merge};
use super::node;
use super::runtime::{self, Place};
use super::spec;

/// Where PID 1 of LinuxKit mounts tmpfs, so that a folder can be made at boot.
const WRITABLE: [&str; 4] = ["/var", "/run", "/tmp", "/dev"];

/// What containers of one definition share.
pub struct Context<'a> {
    pub volumes: BTreeMap<&'a str, &'a VolumeSection>,
    pub ids: Ids,
}

/// The two documents of a container.
pub struct Documents {
    pub config: Vec<u8>,
    pub runtime: Vec<u8>,
}

/// The fields of a container after the merge with its image's label.
pub fn merged(section: &ContainerSection, image: &Image, diagnostics: &mut Diagnostics) -> Merged {
    let label = label_fields(section, image, diagnostics);
    merge(&section.fields, &label)
}

/// The fields in the image's label; none if there is no label or it is wrong.
fn label_fields(
    section: &ContainerSection,
    image: &Image,
    diagnostics: &mut Diagnostics,
) -> ImageFields {
    let labels = image.config.labels();
    let Some(text) = labels
        .and_then(|labels| labels.get(LABEL))
        .filter(|text| !text.trim().is_empty())
    else {
        return ImageFields::default();
    };
    let what = format!("label {LABEL} of {}", image.reference);
    let mut inner = Diagnostics::default();
    let fields = match node::parse(text) {
        Err(Diagnostic { message, .. }) => {
            inner.error(Position::default(), format!("{what}: {message}"));
            ImageFields::default()
        }
        Ok(root) => {
            Fields::new(&root, &what, &mut inner).map_or_else(ImageFields::default, |mut f| {
                let fields = ImageFields::decode(&mut f);
                f.finish();
                fields
            })
        }
    };
    // Their places are in the label; the reader needs the place that names the image.
    for error in inner.errors {
        diagnostics.error(section.position, error.message);
    }
    for warning in inner.warnings {
        diagnostics.warn(section.position, warning.message);
    }
    fields
}

/// Makes the documents; what is wrong goes to `diagnostics`.
pub fn documents(
    section: &ContainerSection,
    merged: &Merged,
    image: &Image,
    place: &Place,
    context: &Context<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Documents> {
    let fields = &merged.fields;
    let binds: Vec<String> = (merged.binds.iter())
        .filter_map(|(bind, at)| resolve_bind(bind, *at, context, diagnostics))
        .collect();
    check_mounts(&section.fields, context, diagnostics);
    warn_of_traps(section, fields, &binds, diagnostics);
    let mut id = |id: &Option<_>| {
        id.as_ref()
            .map_or(0, |id| context.ids.resolve(id, diagnostics))
    };
    let (uid, gid) = (id(&fields.uid), id(&fields.gid));
    let additional = fields.additional_gids.iter().flatten();
    let additional = additional
        .map(|id| context.ids.resolve(id, diagnostics))
        .collect();
    let ids = spec::Ids {
        uid,
        gid,
        additional,
    };
    let at = section.position;
    let what = &section.name;
    let config = spec::document(fields, &binds, &ids, &defaults(image));
    let runtime = runtime::document(place, &fields.runtime);
    let config = config.map_err(|messages| {
        for message in messages {
            diagnostics.error(at, format!("`{what}`: {message}"));
        }
    });
    let runtime = runtime.map_err(|message| {
        diagnostics.error(at, format!("`{what}`, runtime: {message}"));
    });
    Some(Documents {
        config: runtime::to_text(&config.ok()?),
        runtime: runtime::to_text(&runtime.ok()?),
    })
}

fn defaults(image: &Image) -> spec::ImageDefaults {
    let Some(config) = &image.config.config else {
        return spec::ImageDefaults::default();
    };
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let mut command = list(&config.entrypoint);
    command.extend(list(&config.cmd));
    spec::ImageDefaults {
        command,
        env: list(&config.env),
        cwd: config.working_dir.clone().unwrap_or_default(),
    }
}

/// Puts a volume's path in place of its name.
fn resolve_bind(
    bind: &str,
    position: Option<Position>,
    context: &Context<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let (source, rest) = bind.split_once(':').unwrap_or((bind, ""));
    // A label may not name volumes; the name stays as it is.
    let Some(position) = position.filter(|_| !source.starts_with('/')) else {
        return Some(bind.to_owned());
    };
    let Some(volume) = context.volumes.get(source) else {
        diagnostics.error(
            position,
            format!(
                "bind `{bind}`: there is no volume `{source}` in the file (of several, in the last); a path of the host begins with `/`"
            ),
        );
        return None;
    };
    if volume.readonly && bind.split(':').nth(2) != Some("ro") {
        diagnostics.error(
            position,
            format!("bind `{bind}`: the volume `{source}` is read-only, so the bind must end in exactly `:ro`"),
        );
        return None;
    }
    Some(format!("/containers/volumes/{source}/merged:{rest}"))
}

/// A read-only volume in `mounts` must be mounted `ro`; LinuxKit leaves its name unresolved there.
fn check_mounts(yaml: &ImageFields, context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for mount in yaml
        .mounts
        .iter()
        .flatten()
        .filter(|mount| mount.kind == "bind")
    {
        let Some(volume) = context.volumes.get(mount.source.as_str()) else {
            if !mount.source.starts_with('/') {
                let source = &mount.source;
                let message = format!("there is no volume `{source}` to mount");
                diagnostics.error(mount.position, message);
            }
            continue;
        };
        let first = mount
            .options
            .iter()
            .find(|option| matches!(option.as_str(), "rw" | "ro"));
        if volume.readonly && first.map(String::as_str) != Some("ro") {
            diagnostics.error(
                mount.position,
                format!(
                    "the volume `{}` is read-only, so its mount needs the option `ro`",
                    mount.source
                ),
            );
        } else {
            diagnostics.warn(
                mount.position,
                format!("`mounts` does not resolve the volume `{}`, and the container will not start; use `binds`", mount.source),
            );
        }
    }
}

fn warn_of_traps(
    section: &ContainerSection,
    fields: &ImageFields,
    binds: &[String],
    diagnostics: &mut Diagnostics,
) {
    let name = &section.name;
    // A list of the image's label has no place in this file: the section that takes it is told.
    let own = section.fields.runtime.mkdir.is_some();
    for (path, position) in fields.runtime.mkdir.iter().flatten() {
        let below = |root: &str| {
            path.strip_prefix(root)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        if path.starts_with('/') && !WRITABLE.into_iter().any(below) {
            diagnostics.warn(
                if own { *position } else { section.position },
                format!("`{name}`: runtime.mkdir {path} works at boot only under /var, /run, /tmp or /dev: the root is read-only then"),
            );
        }
    }
    let all_devices = fields
        .devices
        .iter()
        .flatten()
        .any(|device| device.path == "all");
    let has_dev = binds.iter().any(|bind| {
        bind.split(':')
            .nth(1)
            .is_some_and(|to| to.trim_end_matches('/') == "/dev")
    });
    if has_dev && !all_devices {
        diagnostics.warn(
            section.position,
            format!("`{name}` binds /dev but has no device rules, so opening most devices is denied; add {{path: all, type: b}} and {{path: all, type: c}} to `devices`"),
        );
    }
    let set = |field: &Option<String>| field.as_deref().is_some_and(|text| !text.is_empty());
    if set(&fields.hostname) && fields.uts.as_deref() != Some("new") {
        diagnostics.warn(
            section.position,
            format!("`{name}` has a hostname, which needs `uts: new`"),
        );
    }
}
