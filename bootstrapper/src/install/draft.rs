//! A plan in the making: a root tree seen as if what is planned were there already.

use super::InstallError;
use super::access::Access;
use super::plan::{Action, Plan};
use super::root::Root;
use super::target::Program;
use crate::path_rule::PathRule;
use rustix::fs::FileType;
use std::collections::{BTreeMap, BTreeSet};

/// The lines of a file, without their ends.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n');
    lines.take_while(move |_| !text.is_empty())
}

pub(super) struct Draft<'a> {
    root: &'a Root,
    plan: Plan,
    /// The last action that each path has.
    last: BTreeMap<String, usize>,
    /// Where the actions of the step that plans now begin.
    step: usize,
    claims: Vec<PathRule>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(root: &'a Root) -> Self {
        Self {
            root,
            plan: Plan::default(),
            last: BTreeMap::new(),
            step: 0,
            claims: vec![],
        }
    }

    pub(super) fn done(self) -> Plan {
        self.plan
    }

    /// The next step plans, which keeps these paths for itself.
    pub(super) fn begin(&mut self, claims: Vec<PathRule>) {
        self.step = self.plan.actions.len();
        self.claims = claims;
    }

    pub(super) fn plan(&mut self) -> &mut Plan {
        &mut self.plan
    }

    fn planned(&self, path: &str) -> Option<&Action> {
        self.last.get(path).map(|at| &self.plan.actions[*at])
    }

    /// Whether there is a file or directory, of the tree's or planned.
    pub(super) fn exists(&self, path: &str) -> Result<bool, InstallError> {
        match self.planned(path) {
            Some(action) => Ok(!matches!(action, Action::Remove { .. })),
            None => Ok(self.root.exists(path)?),
        }
    }

    /// Whether a step before has planned the path.
    pub(super) fn is_planned(&self, path: &str) -> bool {
        self.last.contains_key(path)
    }

    /// A file's content, in whatever encoding it is, and access.
    pub(super) fn read(&self, path: &str) -> Result<Option<(Vec<u8>, Access)>, InstallError> {
        match self.planned(path) {
            Some(Action::Write {
                access, content, ..
            }) => Ok(Some((content.clone(), *access))),
            Some(Action::Link { target, .. }) => self.read(target),
            Some(Action::Remove { .. }) => Ok(None),
            _ => Ok(self.root.read(path)?),
        }
    }

    /// What a symbolic link says; `None` for anything else, and for nothing.
    pub(super) fn target_of(&self, path: &str) -> Result<Option<String>, InstallError> {
        match self.planned(path) {
            Some(Action::Link { target, .. }) => Ok(Some(target.clone())),
            Some(_) => Ok(None),
            None => Ok(self.root.target_of(path)?),
        }
    }

    /// Names of the directories in a directory.
    pub(super) fn directories_in(&self, path: &str) -> Result<BTreeSet<String>, InstallError> {
        let entries = self.root.entries(path)?.into_iter();
        let directories = entries.filter(|(_, kind)| *kind == FileType::Directory);
        let mut names: BTreeSet<String> = directories.map(|(name, _)| name).collect();
        let below = self.planned_below(path);
        names.extend(below.filter_map(|rest| Some(rest.split_once('/')?.0.to_owned())));
        Ok(names)
    }

    /// The planned paths below a directory, relative to it.
    fn planned_below<'p>(&'p self, path: &str) -> impl Iterator<Item = &'p str> {
        let start = format!("{path}/");
        let paths = self.last.keys();
        paths.filter_map(move |path| path.strip_prefix(&start))
    }

    /// What the tree has in a directory.
    fn names_in(&self, path: &str) -> Result<BTreeSet<String>, InstallError> {
        let entries = self.root.entries(path)?.into_iter();
        Ok(entries.map(|(name, _)| name).collect())
    }

    /// Names and targets of the symbolic links in a directory.
    pub(super) fn links_in(&self, path: &str) -> Result<Vec<(String, String)>, InstallError> {
        let mut names = self.names_in(path)?;
        let below = self.planned_below(path);
        names.extend(below.filter(|rest| !rest.contains('/')).map(str::to_owned));
        let mut links = vec![];
        for name in names {
            if let Some(target) = self.target_of(&format!("{path}/{name}"))? {
                links.push((name, target));
            }
        }
        Ok(links)
    }

    /// Plans a file at a path that the step claims.
    pub(super) fn write(
        &mut self,
        path: &str,
        content: impl Into<Vec<u8>>,
        access: Access,
    ) -> Result<(), InstallError> {
        debug_assert!(
            self.claims.iter().any(|claim| claim.covers(path)),
            "{path} is claimed by no step"
        );
        self.write_found(path, content, access)
    }

    /// Plans a file at a path that only the tree or the user names.
    pub(super) fn write_found(
        &mut self,
        path: &str,
        content: impl Into<Vec<u8>>,
        access: Access,
    ) -> Result<(), InstallError> {
        self.is_free(path)?;
        let (path, content) = (path.to_owned(), content.into());
        self.push(Action::Write {
            path,
            access,
            content,
        });
        Ok(())
    }

    /// Plans a link of root's, unless it is there.
    pub(super) fn link(&mut self, path: &str, target: &str) -> Result<(), InstallError> {
        if self.target_of(path)?.as_deref() == Some(target) {
            return Ok(());
        }
        self.is_free(path)?;
        self.push(Action::Link {
            path: path.to_owned(),
            target: target.to_owned(),
            owner: (0, 0),
        });
        Ok(())
    }

    /// Plans that a file or a link goes, if there is one.
    pub(super) fn remove(&mut self, path: &str) -> Result<(), InstallError> {
        let there = match self.planned(path) {
            Some(action) => !matches!(action, Action::Remove { .. }),
            None => self.root.is_there(path)?,
        };
        if there {
            self.push(Action::Remove {
                path: path.to_owned(),
            });
        }
        Ok(())
    }

    /// Plans that all files that fit the last step of a rule go.
    pub(super) fn remove_all(&mut self, rule: &PathRule) -> Result<(), InstallError> {
        let rule_text = rule.to_string();
        let (directory, _) = rule_text.rsplit_once('/').unwrap_or_default();
        for name in self.names_in(directory)? {
            let path = format!("{directory}/{name}");
            if rule.covers(&path) {
                self.remove(&path)?;
            }
        }
        Ok(())
    }

    pub(super) fn directory(&mut self, path: &str, access: Access) {
        self.push(Action::Directory {
            path: path.to_owned(),
            access,
        });
    }

    pub(super) fn make(&mut self, path: &str, program: Program) {
        self.push(Action::Make {
            path: path.to_owned(),
            program,
        });
    }

    /// Plans a copy of a directory of the tree (files, directories, links) for one owner.
    pub(super) fn copy_directory(
        &mut self,
        from: &str,
        to: &str,
        owner: Access,
    ) -> Result<(), InstallError> {
        self.directory(to, owner);
        for (name, kind) in self.root.entries(from)? {
            let (source, target) = (format!("{from}/{name}"), format!("{to}/{name}"));
            match kind {
                FileType::Directory => {
                    let mode = self.root.mode_of(&source)?;
                    self.copy_directory(&source, &target, Access { mode, ..owner })?;
                }
                FileType::RegularFile => {
                    if let Some((content, Access { mode, .. })) = self.root.read(&source)? {
                        self.write_found(&target, content, Access { mode, ..owner })?;
                    }
                }
                FileType::Symlink => {
                    if let Some(link) = self.root.target_of(&source)? {
                        self.push(Action::Link {
                            path: target,
                            target: link,
                            owner: (owner.uid, owner.gid),
                        });
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Two steps must not write the same: the later one would undo the earlier one.
    fn is_free(&self, path: &str) -> Result<(), InstallError> {
        match self.last.get(path) {
            Some(at)
                if *at < self.step && !matches!(self.plan.actions[*at], Action::Remove { .. }) =>
            {
                Err(InstallError::Taken {
                    path: path.to_owned(),
                })
            }
            _ => Ok(()),
        }
    }

    fn push(&mut self, action: Action) {
        let path = action.path().to_owned();
        self.last.insert(path, self.plan.actions.len());
        self.plan.actions.push(action);
    }
}
