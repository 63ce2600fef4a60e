//! Where in the schema a key belongs: for keys that stand one level too deep or too high, or somewhere else.

use crate::schema::{alternatives, kind_of};
use serde_json::Value;
use std::collections::BTreeMap;

/// Deepest level of the schema that is gone through.
const MAX_DEPTH: usize = 16;
/// What stands for an element of a list in a path.
const ELEMENT: &str = "[]";

/// All places of all keys that have a fixed name.
#[derive(Debug, Default)]
pub struct Homes {
    places: BTreeMap<String, Vec<Vec<String>>>,
}

impl Homes {
    /// The places in a document whose template is of a `kind`.
    pub fn new(root: &Value, kind: &str) -> Self {
        let mut homes = Self::default();
        homes.collect(root, root, kind, &mut vec![]);
        homes
    }

    /// The mapping nearest to `here` that knows a key, as the steps to it.
    pub fn nearest(&self, key: &str, here: &[String]) -> Option<&[String]> {
        let same = |name: &String| name.eq_ignore_ascii_case(key);
        let places = self.places.get(key);
        let places = places.or_else(|| {
            self.places
                .iter()
                .find(|(name, _)| same(name))
                .map(|found| found.1)
        });
        let common = |place: &[String]| place.iter().zip(here).take_while(|(a, b)| a == b).count();
        let far = |place: &&Vec<String>| place.len() + here.len() - 2 * common(place);
        let places = places?;
        let nearest = places.iter().min_by_key(far)?;
        // A key of many places is meant for one above or below.
        let is_meant = places.len() == 1 || here.starts_with(nearest) || nearest.starts_with(here);
        is_meant.then_some(nearest)
    }

    fn collect(&mut self, root: &Value, schema: &Value, kind: &str, path: &mut Vec<String>) {
        if path.len() > MAX_DEPTH {
            return;
        }
        for choice in alternatives(root, schema) {
            if kind_of(root, choice).is_some_and(|of| of != kind) {
                continue;
            }
            if let Some(items) = choice.get("items") {
                self.inside(root, items, kind, path, ELEMENT);
            }
            let properties = choice.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                let places = self.places.entry(name.clone()).or_default();
                if !places.contains(path) {
                    places.push(path.clone());
                }
                // The other place of the same keys, which the proposal does not use.
                if name != "kthreesConfigSpec" {
                    self.inside(root, property, kind, path, name);
                }
            }
        }
    }

    fn inside(
        &mut self,
        root: &Value,
        schema: &Value,
        kind: &str,
        path: &mut Vec<String>,
        step: &str,
    ) {
        path.push(step.to_owned());
        self.collect(root, schema, kind, path);
        path.pop();
    }
}

/// The steps of a JSON pointer with its indexes as elements.
pub fn steps(pointer: &str) -> Vec<String> {
    let steps = pointer.split('/').skip(1);
    let is_index = |step: &str| !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit());
    steps
        .map(|step| if is_index(step) { ELEMENT } else { step }.to_owned())
        .collect()
}

/// A place as it is written in messages.
pub fn shown(place: &[String]) -> String {
    match place.is_empty() {
        true => "at the top level".to_owned(),
        false => format!("under `{}`", place.join(".").replace(".[]", "[]")),
    }
}

#[cfg(test)]
mod tests {
    use super::steps;

    #[test]
    fn an_index_is_any_element() {
        assert_eq!(steps("/users/12/uid"), ["users", "[]", "uid"]);
        assert_eq!(steps("/a1//b"), ["a1", "", "b"]);
    }
}
