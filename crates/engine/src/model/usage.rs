//! What takes the disk, and what is to give it back.

use std::collections::{BTreeMap, HashMap};

use ross_image::{DiskUse, Removed};
use ross_types::{ContainerId, Digest};

use super::{ContainerSummary, Filter, Timestamp};
use crate::EngineError;

/// All that takes the disk.
#[derive(Debug, Clone)]
pub struct DiskUsage {
    /// Images and their layers.
    pub images: DiskUse,
    /// How many containers use each image.
    pub image_uses: HashMap<Digest, u32>,
    /// All containers, measured.
    pub containers: Vec<ContainerSummary>,
    /// All volumes, measured.
    pub volumes: Vec<VolumeUse>,
}

/// What a volume takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeUse {
    /// Its name.
    pub name: String,
    /// Containers that mount it.
    pub links: u32,
    /// Bytes allocated on the disk.
    pub bytes: u64,
}

/// What went, and what it gave back.
#[derive(Debug, Clone)]
pub struct PrunedObjects<T> {
    /// In the order they went.
    pub removed: Vec<T>,
    /// Bytes.
    pub bytes: u64,
    /// What should have gone and is still there, a sentence each.
    pub failed: Vec<String>,
}

impl<T> Default for PrunedObjects<T> {
    fn default() -> Self {
        Self { removed: Vec::new(), bytes: 0, failed: Vec::new() }
    }
}

/// Containers that were pruned.
pub type PrunedContainers = PrunedObjects<ContainerId>;

/// Names and images that were pruned.
pub type PrunedImages = PrunedObjects<Removed>;

/// Volumes that were pruned.
pub type PrunedVolumes = PrunedObjects<String>;

/// Filters of a prune, checked; all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneFilters {
    /// Only what was made before.
    pub(crate) until: Option<Timestamp>,
    pub(crate) labels: Vec<(String, Option<String>)>,
    pub(crate) not_labels: Vec<(String, Option<String>)>,
    /// Whether only what has no name goes, if that was said.
    pub(crate) dangling: Option<bool>,
}

impl PruneFilters {
    /// Reads filters as typed; `now` is what spans count back from.
    ///
    /// # Errors
    /// For a key or value that means nothing, naming it.
    pub fn parse(filters: &[Filter], now: Timestamp) -> Result<Self, EngineError> {
        let mut parsed = Self::default();
        for (key, value) in
            filters.iter().flat_map(|filter| filter.values.iter().map(|value| (&filter.key, value)))
        {
            let invalid = |reason: &str| {
                EngineError::invalid(&format!("filter `{key}`"), format!("`{value}` {reason}"))
            };
            let label = || match value.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (value.clone(), None),
            };
            match key.as_str() {
                "until" => {
                    let until =
                        moment(value, now).ok_or_else(|| invalid("is no time and no span such as 24h"))?;
                    if parsed.until.replace(until).is_some() {
                        return Err(invalid("is a second one"));
                    }
                }
                "label" => parsed.labels.push(label()),
                "label!" => parsed.not_labels.push(label()),
                "dangling" => {
                    let said = match value.as_str() {
                        "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err(invalid("is neither true nor false")),
                    };
                    if parsed.dangling.replace(said).is_some_and(|before| before != said) {
                        return Err(invalid("says the opposite of another one"));
                    }
                }
                _ => {
                    let reason = format!("`{key}` is none of dangling, label, label!, until");
                    return Err(EngineError::invalid("filter", reason));
                }
            }
        }
        Ok(parsed)
    }

    /// Whether a time was given, which not everything has.
    #[must_use]
    pub fn has_until(&self) -> bool {
        self.until.is_some()
    }

    /// Whether it was said that only images without a name go, or others, too.
    #[must_use]
    pub fn dangling(&self) -> Option<bool> {
        self.dangling
    }

    /// Whether they hold for an object made then, with these labels. One that does not say when is not older.
    pub(crate) fn accept(&self, made: Option<Timestamp>, labels: &BTreeMap<String, String>) -> bool {
        let has = |(name, value): &(String, Option<String>)| {
            labels.get(name).is_some_and(|have| value.as_ref().is_none_or(|want| want == have))
        };
        self.until.is_none_or(|until| made.is_some_and(|made| made < until))
            && self.labels.iter().all(has)
            && !self.not_labels.iter().any(has)
    }
}

/// RFC 3339, a day, seconds since 1970, or a span before `now`.
fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(time) = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z"))) {
        return Some(time);
    }
    if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
        return Timestamp::parse(&format!("{time}Z"));
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1_000_000_000).map(Timestamp::from_unix_nanos);
    }
    let span: jiff::SignedDuration = text.parse().ok()?;
    let nanos = i64::try_from(span.as_nanos()).ok().filter(|nanos| *nanos >= 0)?;
    now.unix_nanos().checked_sub(nanos).map(Timestamp::from_unix_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(all: &[(&str, &str)]) -> Result<PruneFilters, EngineError> {
        let filter =
            |(key, value): &(&str, &str)| Filter { key: (*key).into(), values: vec![(*value).into()] };
        let all: Vec<Filter> = all.iter().map(filter).collect();
        PruneFilters::parse(&all, Timestamp::from_unix_nanos(100_000_000_000_000))
    }

    #[test]
    fn times() {
        let check = |text: &str, seconds: Option<i64>| {
            let found = filters(&[("until", text)]).ok().and_then(|filters| filters.until);
            assert_eq!(found, seconds.map(|s| Timestamp::from_unix_nanos(s * 1_000_000_000)), "{text}");
        };
        check("24h", Some(100_000 - 86_400));
        check("1h30m", Some(100_000 - 5400));
        check("0", Some(0));
        check("99", Some(99));
        check("1970-01-01T00:01:00Z", Some(60));
        check("1970-01-01T01:00:00+01:00", Some(0));
        check("1970-01-02", Some(86_400));
        check("1970-01-01T00:02:00", Some(120));
        for bad in ["", "yesterday", "-1h", "1x", "99999999999999999999"] {
            check(bad, None);
        }
        assert!(filters(&[("until", "1h"), ("until", "2h")]).is_err());
    }

    #[test]
    fn what_they_accept() {
        let labels: BTreeMap<String, String> = [("a".to_owned(), "1".to_owned())].into();
        let made = Timestamp::from_unix_nanos(50_000_000_000_000);
        let check = |all: &[(&str, &str)], accepted: bool| {
            assert_eq!(filters(all).unwrap().accept(Some(made), &labels), accepted, "{all:?}");
        };
        check(&[], true);
        check(&[("label", "a")], true);
        check(&[("label", "a=1")], true);
        check(&[("label", "a=2")], false);
        check(&[("label", "a"), ("label", "b")], false);
        check(&[("label!", "a")], false);
        check(&[("label!", "a=2")], true);
        check(&[("label!", "b")], true);
        check(&[("until", "50001")], true);
        check(&[("until", "50000")], false);
        check(&[("until", "1h")], true);
        assert!(!filters(&[("until", "1h")]).unwrap().accept(None, &labels), "it may be new");
        assert!(filters(&[("colour", "red")]).is_err());
        assert!(filters(&[("dangling", "maybe")]).is_err());
        assert!(filters(&[("dangling", "true"), ("dangling", "0")]).is_err());
    }
}
