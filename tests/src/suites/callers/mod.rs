//! Real callers: podman, dockerd and containerd as Debian has them, with ross-runtime in runc's place.
//!
//! Each has a [`crate::harness::Corner`] of its own, which takes with it what these programs leave on a machine.

mod caller;
mod cases;
mod containerd;
mod docker;
mod life;
mod podman;

pub use cases::CASES;
