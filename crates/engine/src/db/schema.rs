//! The tables, and the way from each version of them to the next.
//!
//! `user_version` is the number of migrations that were applied. A migration that was released never changes; each
//! runs in one transaction with the new number, so that a crash leaves one version or the other.

use rusqlite::Connection;

use super::{Cause, DbError};

/// Migration `n` leads from version `n` to `n + 1`.
const MIGRATIONS: [&str; 1] = ["
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE images (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE image_tags (
    reference TEXT PRIMARY KEY,
    image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    manifest TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX image_tags_of_image ON image_tags (image);

CREATE TABLE containers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    image TEXT NOT NULL,
    image_id TEXT NOT NULL,
    layers TEXT NOT NULL,
    config TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    pid INTEGER NOT NULL,
    exit_code INTEGER NOT NULL,
    oom_killed INTEGER NOT NULL,
    error TEXT,
    started_at INTEGER,
    finished_at INTEGER,
    restart_count INTEGER NOT NULL,
    stopped_by_hand INTEGER NOT NULL,
    network TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoints (
    container TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE volumes (
    name TEXT PRIMARY KEY,
    anonymous INTEGER NOT NULL,
    labels TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"];

/// Brings the database to the newest version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), DbError> {
    migrate_with(connection, &MIGRATIONS)
}

fn migrate_with(connection: &mut Connection, migrations: &[&str]) -> Result<(), DbError> {
    let failed = |source: Cause| DbError { operation: "migrate", source };
    let known = i64::try_from(migrations.len()).expect("there are few migrations");
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| failed(error.into()))?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    if done > migrations.len() {
        return Err(failed(Cause::Newer { found, known }));
    }
    for (version, migration) in migrations.iter().enumerate().skip(done) {
        let next = i64::try_from(version + 1).expect("there are few migrations");
        let step = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", next)?;
            transaction.commit()
        };
        step(connection).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_version_leads_to_the_newest() {
        let two = [MIGRATIONS[0], "ALTER TABLE meta ADD COLUMN note TEXT;"];
        for from in 0..=two.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            migrate_with(&mut connection, &two[..from]).unwrap();
            migrate_with(&mut connection, &two).unwrap();
            assert_eq!(version(&connection), 2);
            connection.execute("INSERT INTO meta VALUES ('a', 'b', 'c')", []).unwrap();
        }
    }

    #[test]
    fn a_newer_database_is_refused_untouched() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut connection).unwrap_err();
        assert_eq!(error.kind(), ross_types::ErrorKind::FailedPrecondition);
        assert!(crate::EngineError::from(error).sentence().contains("99 is newer than"));
        assert_eq!(version(&connection), 99);
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let before = version(&connection);
        let broken = [MIGRATIONS[0], "CREATE TABLE other (x) STRICT; nonsense"];
        assert!(migrate_with(&mut connection, &broken).is_err());
        assert_eq!(version(&connection), before);
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_master WHERE name = 'other'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(tables, 0);
    }
}
