//! Table `volumes`: directories that ross keeps, by name.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Db, DbError, Durability, unreadable};
use crate::model::Timestamp;

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeRow {
    pub(crate) name: String,
    /// Made for one container.
    pub(crate) anonymous: bool,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) created: Timestamp,
}

impl Db {
    /// Makes the row unless there is one of this name.
    pub(crate) fn ensure_volume(&self, volume: &VolumeRow) -> Result<(), DbError> {
        self.write("insert a volume", Durability::Relaxed, |transaction| {
            let labels = serde_json::to_string(&volume.labels).map_err(unreadable)?;
            transaction.execute(
                "INSERT INTO volumes (name, anonymous, labels, created_at) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (name) DO NOTHING",
                params![volume.name, volume.anonymous, labels, volume.created.unix_nanos()],
            )?;
            Ok(())
        })
    }

    /// All rows, by name.
    pub(crate) fn volumes(&self) -> Result<Vec<VolumeRow>, DbError> {
        self.read("read the volumes", |connection| {
            let sql = "SELECT name, anonymous, labels, created_at FROM volumes ORDER BY name";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut volumes = Vec::new();
            while let Some(row) = rows.next()? {
                volumes.push(VolumeRow {
                    name: row.get(0)?,
                    anonymous: row.get(1)?,
                    labels: serde_json::from_str(&row.get::<_, String>(2)?).map_err(unreadable)?,
                    created: Timestamp::from_unix_nanos(row.get(3)?),
                });
            }
            Ok(volumes)
        })
    }

    /// Removes the row; none is no error.
    pub(crate) fn delete_volume(&self, name: &str) -> Result<(), DbError> {
        self.write_removal("delete a volume", Durability::Relaxed, |transaction| {
            transaction.execute("DELETE FROM volumes WHERE name = ?1", [name])?;
            Ok(())
        })
    }
}
