//! From a definition and its images to the list of what the tree consists of, in LinuxKit's order.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::Path;

use crate::oci::{Entry, Image, ImageSource, Layout};

use super::container::{Context, documents, merged};
use super::definition::{ContainerSection, Definition, VolumeSection};
use super::diagnostic::{Diagnostics, Position};
use super::files::{self, Ids};
use super::oci_volume;
use super::runtime::Place;

/// What an image is unpacked for; its etc/resolv.conf differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Part of the root.
    Init,
    /// A volume's content.
    Volume,
    /// A container's root.
    Container,
}

/// The kernel image and what is taken from it.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub image: Image,
    pub position: Position,
    /// Path of the kernel in the image.
    pub binary: String,
    /// Path of the tar with modules.
    pub tar: Option<String>,
    /// Path of the microcode archive.
    pub ucode: Option<String>,
}

/// A part of the tree.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Entries that cost nothing to make.
    Small(Vec<Entry>),
    /// The kernel's files.
    Kernel(Kernel),
    /// An image's files below a prefix.
    Tree {
        image: Image,
        prefix: String,
        role: Role,
        position: Position,
    },
    /// One package database in place of those of several init images; nothing if fewer than two
    /// have one.
    ApkDatabase(Vec<Image>),
}

/// The whole tree. Later entries win over earlier ones of the same path.
#[derive(Debug, Default)]
pub struct Plan {
    pub pieces: Vec<Piece>,
}

/// Makes the plan; with errors among the diagnostics it is incomplete.
pub fn plan(definition: &Definition, images: &ImageSource, base: &Path) -> (Plan, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let all = || {
        definition
            .onboot
            .iter()
            .chain(&definition.onshutdown)
            .chain(&definition.services)
    };
    let context = Context {
        volumes: definition
            .bindable_volumes()
            .iter()
            .map(|volume| (volume.name.as_str(), volume))
            .collect(),
        ids: Ids::new(all()),
    };
    let mut planner = Planner {
        images,
        context,
        diagnostics: &mut diagnostics,
        pieces: Vec::new(),
        first_use: BTreeMap::new(),
    };
    planner.kernel(definition);
    planner.init(definition);
    definition
        .volumes
        .iter()
        .for_each(|volume| planner.volume(volume));
    planner.section("onboot", &definition.onboot, true);
    planner.section("onshutdown", &definition.onshutdown, true);
    planner.section("services", &definition.services, false);
    let entries = files::entries(definition, &planner.context.ids, base, planner.diagnostics);
    planner.small(entries);
    let pieces = planner.pieces;
    (Plan { pieces }, diagnostics)
}

struct Planner<'a> {
    images: &'a ImageSource,
    context: Context<'a>,
    diagnostics: &'a mut Diagnostics,
    pieces: Vec<Piece>,
    /// Canonical reference to the folder that a container's image was unpacked to first.
    first_use: BTreeMap<String, String>,
}

impl<'a> Planner<'a> {
    fn image(&mut self, reference: &str, position: Position) -> Option<(Image, &'a Layout)> {
        match self.images.find(reference) {
            Ok(found) => Some(found),
            Err(error) => {
                let cause = error
                    .source()
                    .map(|cause| format!(": {cause}"))
                    .unwrap_or_default();
                self.diagnostics.error(position, format!("{error}{cause}"));
                None
            }
        }
    }

    /// Adds small entries to the last piece if it is of that kind.
    fn small(&mut self, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(Piece::Small(last)) => last.extend(entries),
            _ => self.pieces.push(Piece::Small(entries)),
        }
    }

    fn folders(&mut self, path: &str) {
        let ends = path
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([path.len()]);
        let folders = ends
            .map(|end| Entry::directory(&path[..end], 0o755))
            .collect();
        self.small(folders);
    }

    fn tree(&mut self, image: Image, prefix: &str, role: Role, position: Position) {
        self.pieces.push(Piece::Tree {
            image,
            prefix: prefix.into(),
            role,
            position,
        });
    }

    fn kernel(&mut self, definition: &Definition) {
        // Without an image LinuxKit ignores the section, cmdline included.
        let Some(kernel) = definition.kernel.as_ref().filter(|it| !it.image.is_empty()) else {
            return;
        };
        let Some((image, _)) = self.image(&kernel.image, kernel.position) else {
            return;
        };
        self.folders("boot");
        self.small(vec![Entry::file(
            "boot/cmdline",
            0o644,
            kernel.cmdline.as_bytes(),
        )]);
        self.pieces.push(Piece::Kernel(Kernel {
            image,
            position: kernel.position,
            binary: kernel.binary(),
            tar: kernel.tar(),
            ucode: kernel.ucode(),
        }));
    }

    fn init(&mut self, definition: &Definition) {
        let mut images = Vec::new();
        for (reference, position) in &definition.init {
            if let Some((image, _)) = self.image(reference, *position) {
                images.push(image.clone());
                self.tree(image, "", Role::Init, *position);
            }
        }
        if images.len() > 1 {
            self.pieces.push(Piece::ApkDatabase(images));
        }
    }

    fn volume(&mut self, volume: &VolumeSection) {
        let path = format!("containers/volumes/{}", volume.name);
        let path = path.trim_end_matches('/').to_owned();
        let lower = format!("{path}/lower");
        self.folders(&lower);
        if let Some(reference) = &volume.image
            && let Some((image, layout)) = self.image(reference, volume.position)
        {
            if volume.oci {
                match oci_volume::entries(&lower, &image, layout, &volume.platforms) {
                    Ok(entries) => self.small(entries),
                    Err(error) => self.diagnostics.error(volume.position, error.to_string()),
                }
            } else {
                self.tree(image, &lower, Role::Volume, volume.position);
            }
        }
        self.small(vec![
            Entry::directory(format!("{path}/tmp"), 0o755),
            Entry::directory(format!("{path}/merged"), 0o755),
        ]);
    }

    fn section(&mut self, section: &str, containers: &[ContainerSection], numbered: bool) {
        for (index, container) in containers.iter().enumerate() {
            let name = match numbered {
                true => format!("{index:03}-{}", container.name),
                false => container.name.clone(),
            };
            self.container(&format!("containers/{section}/{name}"), container);
        }
    }

    fn container(&mut self, path: &str, section: &ContainerSection) {
        let Some((image, _)) = self.image(&section.image, section.position) else {
            return;
        };
        let merged = merged(section, &image, self.diagnostics);
        let readonly = merged.fields.readonly.unwrap_or(false);
        let own = format!("{path}/{}", if readonly { "rootfs" } else { "lower" });
        let first = !self.first_use.contains_key(&image.reference);
        let content = self
            .first_use
            .entry(image.reference.clone())
            .or_insert(own.clone())
            .clone();
        let place = Place {
            container: format!("/{path}"),
            lower: format!("/{content}"),
            readonly,
        };
        let Some(documents) = documents(
            section,
            &merged,
            &image,
            &place,
            &self.context,
            self.diagnostics,
        ) else {
            return;
        };
        self.folders(path);
        if first {
            self.folders(&own);
            self.tree(image, &own, Role::Container, section.position);
        }
        let mut rest = vec![Entry::file(
            format!("{path}/config.json"),
            0o644,
            documents.config,
        )];
        if !readonly {
            rest.push(Entry::directory(format!("{path}/tmp"), 0o755));
        }
        if !(readonly && first) {
            rest.push(Entry::directory(format!("{path}/rootfs"), 0o755));
        }
        rest.push(Entry::file(
            format!("{path}/runtime.json"),
            0o644,
            documents.runtime,
        ));
        self.small(rest);
    }
}
