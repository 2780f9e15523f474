//! Which containers there are, and who holds which name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ross_types::{ContainerId, ContainerName, ErrorKind};

use super::Handle;
use crate::error::{EngineError, Result};

/// All containers of the engine.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: BTreeMap<String, Handle>,
    /// Also names of containers that are being made.
    names: HashMap<String, ContainerId>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each change is one call on a map: a panic cannot leave half of it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a name for a container, at once and for good.
    pub(crate) fn reserve_name(&self, name: &ContainerName, id: &ContainerId) -> Result<()> {
        let mut inner = self.lock();
        if let Some(holder) = inner.names.get(name.as_str()) {
            let text = format!(
                "container name \"{name}\" is already in use by container {holder}: remove or rename that container to use the name again"
            );
            return Err(EngineError::new(ErrorKind::AlreadyExists, name.as_str(), text));
        }
        inner.names.insert(name.to_string(), id.clone());
        Ok(())
    }

    /// Gives a name back that this container holds.
    pub(crate) fn release_name(&self, name: &ContainerName, id: &ContainerId) {
        let mut inner = self.lock();
        if inner.names.get(name.as_str()) == Some(id) {
            inner.names.remove(name.as_str());
        }
    }

    /// A container whose name is reserved has come to exist.
    pub(crate) fn insert(&self, handle: Handle) {
        self.lock().by_id.insert(handle.id.to_string(), handle);
    }

    /// A container is gone.
    pub(crate) fn remove(&self, id: &ContainerId) {
        let mut inner = self.lock();
        inner.by_id.remove(id.as_str());
        inner.names.retain(|_, holder| holder != id);
    }

    /// The container of this id, name or unambiguous id prefix.
    pub(crate) fn find(&self, text: &str) -> Result<Handle> {
        let inner = self.lock();
        if let Some(handle) = inner.by_id.get(text) {
            return Ok(handle.clone());
        }
        let name = text.strip_prefix('/').unwrap_or(text);
        if let Some(handle) = inner.names.get(name).and_then(|id| inner.by_id.get(id.as_str())) {
            return Ok(handle.clone());
        }
        let hex = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex {
            let mut found = inner.by_id.range(text.to_owned()..).take_while(|(id, _)| id.starts_with(text));
            match (found.next(), found.next()) {
                (Some((_, handle)), None) => return Ok(handle.clone()),
                (Some(_), Some(_)) => {
                    let reason =
                        format!("multiple containers have an id that begins with {text}: give more digits");
                    return Err(EngineError::invalid("container", reason));
                }
                _ => {}
            }
        }
        Err(EngineError::no_container(text))
    }

    /// Forgets all containers: their tasks end when they have done what they were told.
    pub(crate) fn clear(&self) -> Vec<Handle> {
        let mut inner = self.lock();
        inner.names.clear();
        std::mem::take(&mut inner.by_id).into_values().collect()
    }

    /// All containers, in the order of their ids.
    pub(crate) fn all(&self) -> Vec<Handle> {
        self.lock().by_id.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::container::View;
    use crate::model::{ContainerConfig, NetworkStatus, Run, Timestamp};

    fn handle(id: &ContainerId, name: &str) -> Handle {
        let view = View {
            id: id.clone(),
            name: name.parse().unwrap(),
            image: String::new(),
            image_id: ross_types::Digest::sha256([0; 32]),
            layers: Vec::new(),
            config: Arc::new(ContainerConfig::default()),
            created: Timestamp::default(),
            run: Run::default(),
            network: NetworkStatus::default(),
            ended: 0,
            removed: None,
            shim: None,
        };
        Handle { id: id.clone(), commands: mpsc::channel(1).0, views: watch::channel(Arc::new(view)).1 }
    }

    #[test]
    fn names_ids_and_prefixes() {
        let registry = Registry::default();
        let ids = ["ab01", "ab02", "cd00"].map(|start| format!("{start}{}", "0".repeat(60)).parse().unwrap());
        for (id, name) in ids.iter().zip(["one", "two", "ab01"]) {
            registry.reserve_name(&name.parse().unwrap(), id).unwrap();
            registry.insert(handle(id, name));
        }
        let check = |text: &str, found: Option<usize>| match (registry.find(text), found) {
            (Ok(handle), Some(index)) => assert_eq!(handle.id, ids[index], "{text}"),
            (Err(_), None) => {}
            (other, _) => panic!("{text}: {other:?}"),
        };
        check("one", Some(0));
        check("/two", Some(1));
        check(ids[1].as_str(), Some(1));
        check("ab01", Some(2));
        check("ab010", Some(0));
        check("ab", None);
        check("cd", Some(2));
        check("", None);
        check("zz", None);
        assert!(registry.find("ab").unwrap_err().to_string().contains("multiple"));
        assert_eq!(registry.find("zz").unwrap_err().to_string(), "No such container: zz");
    }

    #[test]
    fn a_name_has_one_holder() {
        let registry = Registry::default();
        let name: ContainerName = "web".parse().unwrap();
        let (one, two) = (ContainerId::from_random([1; 32]), ContainerId::from_random([2; 32]));
        registry.reserve_name(&name, &one).unwrap();
        let error = registry.reserve_name(&name, &two).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(
            error
                .to_string()
                .starts_with(&format!("container name \"web\" is already in use by container {one}"))
        );
        registry.release_name(&name, &two);
        assert!(registry.reserve_name(&name, &two).is_err(), "only the holder gives it back");
        assert!(registry.find("web").is_err(), "it is only being made");
        registry.release_name(&name, &one);
        registry.reserve_name(&name, &two).unwrap();
    }
}
