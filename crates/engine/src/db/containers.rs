//! Table `containers`: what was asked for as JSON, and the state of the present or last run in columns.

use ross_types::{ContainerId, ContainerName, Digest};
use rusqlite::{Row, params};

use super::{Db, DbError, Durability, SqlResult, unreadable};
use crate::model::{ContainerConfig, Exited, NetworkStatus, Run, Timestamp};

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContainerRow {
    pub(crate) id: ContainerId,
    pub(crate) name: ContainerName,
    /// As typed at create.
    pub(crate) image: String,
    pub(crate) image_id: Digest,
    /// Keys in the layer store, lowest first.
    pub(crate) layers: Vec<String>,
    pub(crate) config: ContainerConfig,
    pub(crate) created: Timestamp,
    pub(crate) run: Run,
    pub(crate) network: NetworkStatus,
}

const COLUMNS: &str = "id, name, image, image_id, layers, config, created_at, state, pid, exit_code, oom_killed, \
     error, started_at, finished_at, restart_count, stopped_by_hand, network";

fn read(row: &Row<'_>) -> SqlResult<ContainerRow> {
    let text = |index: usize| row.get::<_, String>(index);
    let time =
        |index: usize| row.get::<_, Option<i64>>(index).map(|nanos| nanos.map(Timestamp::from_unix_nanos));
    let json = |index: usize| -> SqlResult<serde_json::Value> {
        serde_json::from_str(&text(index)?).map_err(unreadable)
    };
    Ok(ContainerRow {
        id: text(0)?.parse().map_err(unreadable)?,
        name: text(1)?.parse().map_err(unreadable)?,
        image: text(2)?,
        image_id: text(3)?.parse().map_err(unreadable)?,
        layers: serde_json::from_value(json(4)?).map_err(unreadable)?,
        config: serde_json::from_value(json(5)?).map_err(unreadable)?,
        created: Timestamp::from_unix_nanos(row.get(6)?),
        run: Run {
            state: text(7)?.parse().map_err(unreadable)?,
            pid: row.get(8)?,
            exited: Exited { code: row.get(9)?, oom_killed: row.get(10)?, error: row.get(11)? },
            started_at: time(12)?,
            finished_at: time(13)?,
            restart_count: row.get(14)?,
            stopped_by_hand: row.get(15)?,
        },
        network: serde_json::from_value(json(16)?).map_err(unreadable)?,
    })
}

fn to_json(value: &impl serde::Serialize) -> SqlResult<String> {
    serde_json::to_string(value).map_err(unreadable)
}

impl Db {
    /// A container has come to exist. A name that is taken is `AlreadyExists`.
    pub(crate) fn insert_container(&self, row: &ContainerRow, durability: Durability) -> Result<(), DbError> {
        self.write("insert a container", durability, |transaction| {
            let sql = format!("INSERT INTO containers ({COLUMNS}) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)");
            transaction.prepare_cached(&sql)?.execute(params![
                row.id.as_str(),
                row.name.as_str(),
                row.image,
                row.image_id.to_string(),
                to_json(&row.layers)?,
                to_json(&row.config)?,
                row.created.unix_nanos(),
                row.run.state.as_str(),
                row.run.pid,
                row.run.exited.code,
                row.run.exited.oom_killed,
                row.run.exited.error,
                row.run.started_at.map(Timestamp::unix_nanos),
                row.run.finished_at.map(Timestamp::unix_nanos),
                row.run.restart_count,
                row.run.stopped_by_hand,
                to_json(&row.network)?,
            ])?;
            Ok(())
        })
    }

    /// Its run has changed.
    pub(crate) fn update_run(
        &self,
        id: &ContainerId,
        run: &Run,
        network: &NetworkStatus,
        durability: Durability,
    ) -> Result<(), DbError> {
        self.write("update a container", durability, |transaction| {
            let sql = "UPDATE containers SET state = ?2, pid = ?3, exit_code = ?4, oom_killed = ?5, error = ?6, \
                 started_at = ?7, finished_at = ?8, restart_count = ?9, stopped_by_hand = ?10, network = ?11 \
                 WHERE id = ?1";
            transaction.prepare_cached(sql)?.execute(params![
                id.as_str(),
                run.state.as_str(),
                run.pid,
                run.exited.code,
                run.exited.oom_killed,
                run.exited.error,
                run.started_at.map(Timestamp::unix_nanos),
                run.finished_at.map(Timestamp::unix_nanos),
                run.restart_count,
                run.stopped_by_hand,
                to_json(network)?,
            ])?;
            Ok(())
        })
    }

    /// It goes by another name. A name that is taken is `AlreadyExists`.
    pub(crate) fn rename_container(&self, id: &ContainerId, name: &ContainerName) -> Result<(), DbError> {
        self.write("rename a container", Durability::Full, |transaction| {
            let sql = "UPDATE containers SET name = ?2 WHERE id = ?1";
            transaction.execute(sql, [id.as_str(), name.as_str()])?;
            Ok(())
        })
    }

    /// It is gone, and its endpoint with it; no such row is no error.
    pub(crate) fn delete_container(&self, id: &ContainerId, durability: Durability) -> Result<(), DbError> {
        self.write_removal("delete a container", durability, |transaction| {
            transaction.prepare_cached("DELETE FROM containers WHERE id = ?1")?.execute([id.as_str()])?;
            Ok(())
        })
    }

    /// All rows, oldest first.
    pub(crate) fn containers(&self) -> Result<Vec<ContainerRow>, DbError> {
        self.read("read the containers", |connection| {
            let sql = format!("SELECT {COLUMNS} FROM containers ORDER BY created_at, id");
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            let mut containers = Vec::new();
            while let Some(row) = rows.next()? {
                containers.push(read(row)?);
            }
            Ok(containers)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ContainerState;

    fn row(name: &str, id: u8) -> ContainerRow {
        ContainerRow {
            id: ContainerId::from_random([id; 32]),
            name: name.parse().unwrap(),
            image: "busybox".into(),
            image_id: Digest::sha256([9; 32]),
            layers: vec!["aa".into(), "bb".into()],
            config: ContainerConfig { cmd: vec!["sh".into()], ..ContainerConfig::default() },
            created: Timestamp::from_unix_nanos(i64::from(id)),
            run: Run::default(),
            network: NetworkStatus::default(),
        }
    }

    #[test]
    fn rows_are_read_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ross.db");
        let db = Db::open(&path).unwrap();
        let (mut first, second) = (row("first", 1), row("second", 2));
        db.insert_container(&first, Durability::Full).unwrap();
        db.insert_container(&second, Durability::Relaxed).unwrap();
        first.run = Run {
            state: ContainerState::Exited,
            pid: 7,
            exited: Exited { code: 137, oom_killed: true, error: Some("why".into()) },
            started_at: Some(Timestamp::from_unix_nanos(5)),
            finished_at: Some(Timestamp::from_unix_nanos(6)),
            restart_count: 3,
            stopped_by_hand: true,
        };
        first.network.ipv4_prefix_len = 16;
        db.update_run(&first.id, &first.run, &first.network, Durability::Relaxed).unwrap();
        drop(db);
        let db = Db::open(&path).unwrap();
        assert_eq!(db.containers().unwrap(), [first.clone(), second.clone()]);
        db.delete_container(&first.id, Durability::Full).unwrap();
        db.delete_container(&first.id, Durability::Full).unwrap();
        assert_eq!(db.containers().unwrap(), [second]);
    }

    #[test]
    fn a_name_is_given_once() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("ross.db")).unwrap();
        db.insert_container(&row("web", 1), Durability::Relaxed).unwrap();
        let error = db.insert_container(&row("web", 2), Durability::Full).unwrap_err();
        assert_eq!(error.kind(), ross_types::ErrorKind::AlreadyExists);
        db.insert_container(&row("db1", 2), Durability::Full).unwrap();
        let taken = db.rename_container(&ContainerId::from_random([2; 32]), &"web".parse().unwrap());
        assert_eq!(taken.unwrap_err().kind(), ross_types::ErrorKind::AlreadyExists);
    }

    #[test]
    fn settings_are_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("ross.db")).unwrap();
        assert_eq!(db.meta("id", || "a".into()).unwrap(), "a");
        assert_eq!(db.meta("id", || "b".into()).unwrap(), "a");
        db.check().unwrap();
        db.check().unwrap();
    }
}
