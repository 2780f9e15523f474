//! The one connection to the database, its transactions, and what goes wrong with them.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ross_types::ErrorKind;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::reserve::Reserve;
use super::schema;
use crate::error::EngineError;

/// When a transaction must be safe from a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Before it returns.
    Full,
    /// Some time; the end of this process does it no harm.
    Relaxed,
}

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Db {
    inner: Arc<Mutex<Inner>>,
    reserve: Arc<Reserve>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    durability: Durability,
}

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
#[error("database: {operation}")]
pub(crate) struct DbError {
    pub(super) operation: &'static str,
    pub(super) source: Cause,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error("a row cannot be read: {0}")]
    Row(String),
    #[error(
        "its version {found} is newer than {known}, the newest this ross knows; use the newer ross again"
    )]
    Newer { found: i64, known: i64 },
    #[error("a task ended early")]
    TaskLost,
}

impl DbError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match &self.source {
            Cause::Sql(rusqlite::Error::SqliteFailure(code, _)) => match code.code {
                rusqlite::ErrorCode::DiskFull => ErrorKind::ResourceExhausted,
                rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase => {
                    ErrorKind::DataLoss
                }
                rusqlite::ErrorCode::ConstraintViolation => ErrorKind::AlreadyExists,
                _ => ErrorKind::Internal,
            },
            Cause::Newer { .. } => ErrorKind::FailedPrecondition,
            Cause::Row(_) => ErrorKind::DataLoss,
            _ => ErrorKind::Internal,
        }
    }
}

impl DbError {
    /// Whether room on the disk may be what it lacks. Some files (the index of the write-ahead log) fail on a full disk
    /// with an error that does not say so.
    fn is_for_want_of_room(&self) -> bool {
        use rusqlite::ErrorCode::{CannotOpen, DiskFull, SystemIoFailure};
        let Cause::Sql(rusqlite::Error::SqliteFailure(code, _)) = &self.source else { return false };
        matches!(code.code, DiskFull | SystemIoFailure | CannotOpen)
    }
}

impl From<DbError> for EngineError {
    fn from(error: DbError) -> Self {
        EngineError::new(error.kind(), "ross.db", error.to_string()).caused_by(error.source)
    }
}

/// What goes on inside a transaction.
pub(super) type SqlResult<T> = std::result::Result<T, CauseOf>;

/// An error inside a transaction.
#[derive(Debug)]
pub(super) struct CauseOf(Cause);

impl From<rusqlite::Error> for CauseOf {
    fn from(error: rusqlite::Error) -> Self {
        Self(Cause::Sql(error))
    }
}

/// JSON or an id in a row that is not what this build writes.
pub(super) fn unreadable(error: impl std::fmt::Display) -> CauseOf {
    CauseOf(Cause::Row(error.to_string()))
}

impl Db {
    /// Opens or makes the database at `path` and brings it to the newest version.
    pub(crate) fn open(path: &Path) -> Result<Self, DbError> {
        let reserve = Reserve::new(path);
        let inner = match Inner::open(path) {
            // The write-ahead log and its index need room, too.
            Err(error) if error.is_for_want_of_room() && reserve.give_back() => Inner::open(path)?,
            opened => opened?,
        };
        Ok(Self { inner: Arc::new(Mutex::new(inner)), reserve: Arc::new(reserve) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic inside a transaction rolled it back: the connection is as good as before.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, or changes nothing at all. Blocks.
    pub(super) fn write<T>(
        &self,
        operation: &'static str,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> SqlResult<T>,
    ) -> Result<T, DbError> {
        let mut inner = self.lock();
        // Under the lock: what a removal has just given back is not for others.
        self.reserve.keep();
        inner.write(operation, durability, work)
    }

    /// As [`write`](Self::write), for what gives room back: a full disk does not hinder it.
    pub(super) fn write_removal<T>(
        &self,
        operation: &'static str,
        durability: Durability,
        work: impl Fn(&Transaction<'_>) -> SqlResult<T>,
    ) -> Result<T, DbError> {
        let mut inner = self.lock();
        self.reserve.keep();
        match inner.write(operation, durability, &work) {
            Err(error) if error.is_for_want_of_room() && self.reserve.give_back() => {
                inner.write(operation, durability, &work)
            }
            done => done,
        }
    }

    /// To be called when a removal has given room back: what it took to be written is kept for the next one.
    pub(crate) fn keep_reserve(&self) {
        let _alone = self.lock();
        self.reserve.keep();
    }

    /// Reads something. Blocks.
    pub(super) fn read<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> SqlResult<T>,
    ) -> Result<T, DbError> {
        work(&self.lock().connection).map_err(|CauseOf(source)| DbError { operation, source })
    }

    /// Runs `work` on a thread that may block.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let db = self.clone();
        let task = tokio::task::spawn_blocking(move || work(&db));
        task.await.unwrap_or(Err(DbError { operation: "call", source: Cause::TaskLost }))
    }

    /// The value of a key of table `meta`; made by `initial` and kept when there is none.
    pub(crate) fn meta(&self, key: &str, initial: impl FnOnce() -> String) -> Result<String, DbError> {
        self.write("read a setting", Durability::Full, |transaction| {
            use rusqlite::OptionalExtension as _;
            let found = transaction
                .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
                .optional()?;
            if let Some(value) = found {
                return Ok(value);
            }
            let value = initial();
            transaction.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", [key, &value])?;
            Ok(value)
        })
    }

    /// Whether it can be written to.
    pub(crate) fn check(&self) -> Result<(), DbError> {
        self.write("check", Durability::Relaxed, |transaction| {
            transaction.execute(
                "INSERT INTO meta (key, value) VALUES ('checked', '') ON CONFLICT (key) DO UPDATE SET value = ''",
                [],
            )?;
            Ok(())
        })
    }
}

impl Inner {
    fn open(path: &Path) -> Result<Self, DbError> {
        let failed = |error: rusqlite::Error| DbError { operation: "open", source: error.into() };
        let mut connection = Connection::open(path).map_err(failed)?;
        // WAL: readers never wait, and one fsync makes a transaction durable.
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(64);
        schema::migrate(&mut connection)?;
        Ok(Self { connection, durability: Durability::Full })
    }

    fn write<T>(
        &mut self,
        operation: &'static str,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> SqlResult<T>,
    ) -> Result<T, DbError> {
        let failed = |source: Cause| DbError { operation, source };
        if self.durability != durability {
            let level = if durability == Durability::Full { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level).map_err(|e| failed(e.into()))?;
            self.durability = durability;
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|e| failed(e.into()))?;
        let value = work(&transaction).map_err(|CauseOf(cause)| failed(cause))?;
        transaction.commit().map_err(|e| failed(e.into()))?;
        Ok(value)
    }
}
