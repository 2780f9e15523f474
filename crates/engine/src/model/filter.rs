//! Filters of `list`: words as typed on one side, conditions on the other.

use ross_types::ContainerId;

use super::{ContainerState, PortSpec};
use crate::EngineError;

/// One filter as typed; several values of one key are alternatives, save labels, which must all hold, as several
/// keys must.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Such as `label`.
    pub key: String,
    /// Alternatives.
    pub values: Vec<String>,
}

/// Filters of containers, checked. Alternatives in each list; a list that is empty says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerFilters {
    pub(crate) ids: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) labels: Vec<(String, Option<String>)>,
    pub(crate) states: Vec<ContainerState>,
    pub(crate) ancestors: Vec<String>,
    pub(crate) exited: Vec<i32>,
    pub(crate) before: Vec<String>,
    pub(crate) since: Vec<String>,
    pub(crate) networks: Vec<String>,
    pub(crate) volumes: Vec<String>,
    pub(crate) health: Vec<String>,
    pub(crate) publish: Vec<PortSpec>,
    pub(crate) expose: Vec<PortSpec>,
}

impl ContainerFilters {
    /// Reads filters as typed.
    ///
    /// # Errors
    /// For a key or value that means nothing, naming it.
    pub fn parse(filters: &[Filter]) -> Result<Self, EngineError> {
        let mut parsed = Self::default();
        for Filter { key, values } in filters {
            for value in values {
                parsed.add(key, value)?;
            }
        }
        Ok(parsed)
    }

    fn add(&mut self, key: &str, value: &str) -> Result<(), EngineError> {
        let invalid =
            |reason: &str| EngineError::invalid(&format!("filter `{key}`"), format!("`{value}` {reason}"));
        match key {
            "id" => self.ids.push(value.to_owned()),
            "name" => self.names.push(value.strip_prefix('/').unwrap_or(value).to_owned()),
            "label" => self.labels.push(match value.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (value.to_owned(), None),
            }),
            "status" => self.states.push(value.parse()?),
            "ancestor" => self.ancestors.push(value.to_owned()),
            "exited" => self.exited.push(value.parse().map_err(|_| invalid("is no exit code"))?),
            "before" => self.before.push(value.to_owned()),
            "since" => self.since.push(value.to_owned()),
            "network" => self.networks.push(value.to_owned()),
            "volume" => self.volumes.push(value.to_owned()),
            "health" => match value {
                "starting" | "healthy" | "unhealthy" | "none" => self.health.push(value.to_owned()),
                _ => return Err(invalid("is none of starting, healthy, unhealthy, none")),
            },
            "publish" => self.publish.push(value.parse()?),
            "expose" => self.expose.push(value.parse()?),
            _ => {
                let known = "ancestor, before, exited, expose, health, id, label, name, network, publish, since, status, volume";
                return Err(EngineError::invalid("filter", format!("`{key}` is none of {known}")));
            }
        }
        Ok(())
    }

    /// Whether they speak of containers that may not run.
    pub(crate) fn imply_all(&self) -> bool {
        !self.states.is_empty() || !self.exited.is_empty()
    }

    /// Whether a container with this id goes by one of the `id` filters.
    pub(crate) fn id_matches(&self, id: &ContainerId) -> bool {
        self.ids.is_empty() || self.ids.iter().any(|prefix| id.as_str().starts_with(prefix.as_str()))
    }
}
