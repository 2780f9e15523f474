//! Table `endpoints`: the address leases, for ross-network.
//!
//! Never synced for their own sake: after a power cut no container runs, and no lease is worth anything.

use ross_network::{EndpointRecord, NetworkRecords, RecordsError};
use ross_types::ContainerId;

use super::{Db, DbError, Durability, unreadable};

fn failed(error: DbError) -> RecordsError {
    RecordsError::new(error.kind(), crate::EngineError::from(error))
}

impl NetworkRecords for Db {
    fn put_endpoint(&self, record: &EndpointRecord) -> Result<(), RecordsError> {
        self.write("put an endpoint", Durability::Relaxed, |transaction| {
            let sql = "INSERT INTO endpoints (container, record) VALUES (?1, ?2) \
                 ON CONFLICT (container) DO UPDATE SET record = excluded.record";
            let json = serde_json::to_string(record).map_err(unreadable)?;
            transaction.prepare_cached(sql)?.execute([record.container.as_str(), &json])?;
            Ok(())
        })
        .map_err(failed)
    }

    fn remove_endpoint(&self, container: &ContainerId) -> Result<(), RecordsError> {
        self.write_removal("remove an endpoint", Durability::Relaxed, |transaction| {
            let sql = "DELETE FROM endpoints WHERE container = ?1";
            transaction.prepare_cached(sql)?.execute([container.as_str()])?;
            Ok(())
        })
        .map_err(failed)
    }

    fn endpoints(&self) -> Result<Vec<EndpointRecord>, RecordsError> {
        self.read("read the endpoints", |connection| {
            let mut statement = connection.prepare("SELECT record FROM endpoints")?;
            let mut rows = statement.query([])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                records.push(serde_json::from_str(&row.get::<_, String>(0)?).map_err(unreadable)?);
            }
            Ok(records)
        })
        .map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use ross_network::{Endpoint, NetworkMode};

    use super::*;

    #[test]
    fn one_row_for_each_container() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("ross.db")).unwrap();
        let mut record = EndpointRecord {
            container: ContainerId::from_random([1; 32]),
            mode: NetworkMode::None,
            endpoint: Endpoint {
                netns: None,
                address: None,
                gateway: None,
                mac: None,
                ports: Vec::new(),
                hosts_file: "127.0.0.1 localhost\n".into(),
                resolv_conf: String::new(),
                interface: None,
            },
            host_link: None,
        };
        db.put_endpoint(&record).unwrap();
        record.host_link = Some("rv0".into());
        db.put_endpoint(&record).unwrap();
        assert_eq!(db.endpoints().unwrap(), [record.clone()]);
        db.remove_endpoint(&record.container).unwrap();
        db.remove_endpoint(&record.container).unwrap();
        assert!(db.endpoints().unwrap().is_empty());
    }
}
