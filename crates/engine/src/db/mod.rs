//! `ross.db`: what must outlive the daemon.
//!
//! One connection in WAL mode. A [`Durability::Full`] transaction is on the disk when it returns; a
//! [`Durability::Relaxed`] one survives the end of this process, and a power cut only together with the next full
//! one. What each table means is told in docs/state.md. Calls block: async code goes through [`Db::call`].

mod connection;
mod containers;
mod endpoints;
mod images;
mod reserve;
mod schema;
mod volumes;

use connection::{Cause, SqlResult, unreadable};
pub(crate) use connection::{Db, DbError, Durability};
pub(crate) use containers::ContainerRow;
pub(crate) use volumes::VolumeRow;
