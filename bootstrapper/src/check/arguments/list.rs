//! The arguments of one component in the joined configuration, and what is found in them.

use crate::diagnostic::{MAX_FINDINGS, Severity};
use crate::distribution::joined::{Joined, Origin};
use crate::values::{ComponentArg, TextValue as _};
use diagnostics::code::Code;
use std::collections::HashMap;

/// A component and the setting that its arguments are given in.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) setting: &'static str,
    /// Its program's name.
    pub(super) name: &'static str,
    /// Its name in messages.
    pub(super) shown: &'static str,
}

/// An argument as K3s reads it.
#[derive(Debug)]
pub(super) struct Argument<'a> {
    arg: ComponentArg,
    /// As Kubernetes reads flags, with `-` for `_`.
    pub(super) name: String,
    pub(super) origin: &'a Origin,
    /// The one after it, if there is one.
    pub(super) next: Option<&'a str>,
}

impl Argument<'_> {
    pub(super) fn value(&self) -> &str {
        self.arg.key_value().1
    }

    pub(super) fn has_value(&self) -> bool {
        self.arg.has_value()
    }

    /// Whether it adds to what K3s gives by itself, with `+=` or `-=`.
    pub(super) fn adds(&self) -> bool {
        self.arg.key_value().0.ends_with(['+', '-'])
    }

    pub(super) fn text(&self) -> &str {
        self.arg.as_str()
    }

    /// Whether it has a template of cloud-init, which nothing renders here.
    pub(super) fn is_template(&self) -> bool {
        ["{{", "{%"].iter().any(|open| self.text().contains(open))
    }
}

/// The arguments of a component.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    pub(super) component: &'static Component,
    pub(super) list: Vec<Argument<'a>>,
    /// Index of the last argument of each name: there may be many.
    last: HashMap<String, usize>,
}

impl<'a> Arguments<'a> {
    /// What the joined configuration gives a component. What is no argument is left out; it is reported by its form.
    pub(super) fn of(component: &'static Component, joined: &'a Joined) -> Self {
        let values = joined.list(component.setting);
        let argument = |(index, value): (usize, &'a crate::distribution::joined::Value)| {
            let arg = ComponentArg::parse(&value.text).ok()?;
            let name = arg.key_value().0.trim_end_matches(['+', '-']);
            Some(Argument {
                name: name.replace('_', "-"),
                arg,
                origin: &value.origin,
                next: values.get(index + 1).map(|next| next.text.as_str()),
            })
        };
        let list: Vec<Argument<'a>> = values.iter().enumerate().filter_map(argument).collect();
        let names = list.iter().enumerate();
        let last = names.map(|(index, argument)| (argument.name.clone(), index));
        Self {
            component,
            last: last.collect(),
            list,
        }
    }

    /// All arguments of a flag.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &Argument<'a>> {
        let named = move |argument: &&Argument<'a>| argument.name == name;
        self.list.iter().filter(named)
    }

    /// The argument that decides, of a flag that takes one value.
    pub(super) fn last(&self, name: &str) -> Option<&Argument<'a>> {
        self.list.get(*self.last.get(name)?)
    }

    /// The values of all arguments of a flag, split at commas.
    pub(super) fn parts(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.all(name).map(Argument::value);
        let parts = values.flat_map(|value| value.split(',').map(str::trim));
        parts.filter(|part| !part.is_empty())
    }
}

/// What is wrong with an argument or a setting, and where that was written.
#[derive(Debug)]
pub(super) struct Finding<'a> {
    pub(super) severity: Severity,
    pub(super) code: Code,
    pub(super) origin: &'a Origin,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Collected before they are reported: the place of each costs time.
#[derive(Debug, Default)]
pub(super) struct Findings<'a> {
    pub(super) list: Vec<Finding<'a>>,
    counts: [usize; 3],
}

impl<'a> Findings<'a> {
    pub(super) fn is_full(&self, severity: Severity) -> bool {
        self.counts[severity as usize] >= MAX_FINDINGS
    }

    /// Adds a finding, which is made only where there is room for it.
    pub(super) fn add(
        &mut self,
        severity: Severity,
        code: impl Into<Code>,
        origin: &'a Origin,
        made: impl FnOnce() -> (String, Option<String>),
    ) {
        if self.is_full(severity) {
            return;
        }
        self.counts[severity as usize] += 1;
        let (message, help) = made();
        self.list.push(Finding {
            severity,
            code: code.into(),
            origin,
            message,
            help,
        });
    }
}
