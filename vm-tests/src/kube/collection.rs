//! The objects of one kind: a list, and what a watch has told since.

use std::collections::BTreeMap;

use serde_json::Value;

use super::event::Event;

/// A kind of object: its name, and the path of its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// As objects call it.
    pub name: &'static str,
    /// The list's path and selector.
    pub path: &'static str,
}

/// Objects of one kind by namespace and name.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    kind: Kind,
    objects: BTreeMap<(String, String), Value>,
    /// The version of the list, from which a watch goes on.
    version: String,
}

/// Why a watch cannot go on from where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The list is too old: the next one is asked for at once.
    Expired,
    /// The API server says so.
    Failed(String),
}

impl Collection {
    /// Reads a list.
    ///
    /// # Errors
    /// The text is no list of the API.
    pub fn from_list(kind: Kind, text: &[u8]) -> Result<Self, String> {
        let mut list: Value = serde_json::from_slice(text)
            .map_err(|error| format!("the list of {} is no JSON: {error}", kind.name))?;
        let Value::Array(items) = list["items"].take() else {
            return Err(format!("the list of {} has no items", kind.name));
        };
        let version = list["metadata"]["resourceVersion"].as_str();
        let mut collection = Self {
            kind,
            objects: BTreeMap::new(),
            version: version.unwrap_or_default().to_owned(),
        };
        for item in items {
            collection.set(item);
        }
        Ok(collection)
    }

    /// The version of the list.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The objects, in the order of their namespaces and names.
    pub fn objects(&self) -> impl Iterator<Item = &Value> {
        self.objects.values()
    }

    /// Takes in what a watch tells. True when an object has changed.
    ///
    /// # Errors
    /// The watch has ended.
    pub fn apply(&mut self, event: Event) -> Result<bool, Ended> {
        match event {
            Event::Set(object) => self.set(object),
            Event::Removed(object) => {
                self.objects.remove(&key(&object));
            }
            Event::Bookmark => return Ok(false),
            Event::Expired => return Err(Ended::Expired),
            Event::Failed(reason) => return Err(Ended::Failed(reason)),
        }
        Ok(true)
    }

    fn set(&mut self, mut object: Value) {
        // In a list only the list has it.
        object["kind"] = self.kind.name.into();
        self.objects.insert(key(&object), object);
    }
}

fn key(object: &Value) -> (String, String) {
    let part = |name: &str| {
        let text = object["metadata"][name].as_str();
        text.unwrap_or_default().to_owned()
    };
    (part("namespace"), part("name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PODS: Kind = Kind {
        name: "Pod",
        path: "/api/v1/pods",
    };

    fn list() -> Collection {
        let text = json!({
            "kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"},
            "items": [{"metadata": {"namespace": "default", "name": "a"}, "status": {"phase": "Pending"}}]
        });
        Collection::from_list(PODS, text.to_string().as_bytes()).unwrap()
    }

    fn pod(name: &str, phase: &str) -> Value {
        json!({"kind": "Pod", "metadata": {"namespace": "default", "name": name}, "status": {"phase": phase}})
    }

    fn names(collection: &Collection) -> Vec<&str> {
        let names = collection
            .objects()
            .map(|object| &object["metadata"]["name"]);
        names.filter_map(Value::as_str).collect()
    }

    #[test]
    fn the_items_of_a_list_get_their_kind() {
        let list = list();
        assert_eq!(list.version(), "7");
        assert!(list.objects().all(|object| object["kind"] == "Pod"));
    }

    #[test]
    fn a_change_replaces_the_object() {
        let mut list = list();
        assert_eq!(list.apply(Event::Set(pod("a", "Running"))), Ok(true));
        assert_eq!(names(&list), ["a"]);
        assert_eq!(list.objects().next().unwrap()["status"]["phase"], "Running");
    }

    #[test]
    fn objects_come_and_go() {
        let mut list = list();
        list.apply(Event::Set(pod("b", "Pending"))).unwrap();
        list.apply(Event::Removed(pod("a", "Pending"))).unwrap();
        assert_eq!(names(&list), ["b"]);
    }

    #[test]
    fn a_bookmark_is_no_change() {
        let mut collection = list();
        assert_eq!(collection.apply(Event::Bookmark), Ok(false));
        assert_eq!(collection, list());
    }

    #[test]
    fn an_expired_version_and_an_error_end_the_watch() {
        let mut list = list();
        assert_eq!(list.apply(Event::Expired), Err(Ended::Expired));
        let failed = list.apply(Event::Failed("x".into()));
        assert_eq!(failed, Err(Ended::Failed("x".into())));
    }

    #[test]
    fn an_answer_without_items_is_no_list() {
        let error = Collection::from_list(PODS, br#"{"kind":"Status"}"#).unwrap_err();
        assert_eq!(error, "the list of Pod has no items");
    }
}
