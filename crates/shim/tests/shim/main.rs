//! Shims with real containers: busybox in namespaces, on the runtime as a library.
//!
//! Each test needs root, cgroup v2 somewhere and a static /bin/busybox, and fails without; it has mounts and a network of
//! its own (`harness`).

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod attach;
mod exec;
mod harness;
mod lifecycle;
mod memory;
mod robustness;
