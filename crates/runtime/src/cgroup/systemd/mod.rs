//! The systemd cgroup driver: the cgroup of a container is a transient scope, which systemd makes and knows the limits of
//! (systemd.io/CGROUP_DELEGATION). Below and inside it everything goes by the files of the cgroup, as without systemd.
//!
//! `wire` makes and reads D-Bus messages, `bus` is the conversation with systemd, `property` turns limits and annotations
//! into properties of a unit, `scope` is the unit, `driver` its cgroup. Blocking, on one socket, without a thread.

mod bus;
mod driver;
mod property;
mod scope;
mod wire;

pub(super) use scope::change;
pub(crate) use scope::{Scope, stop};
