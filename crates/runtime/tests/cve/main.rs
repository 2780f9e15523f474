//! Known ways out of a container, and wrong turns that other runtimes have taken: each is staged as it was found, by
//! its number, and what it was after must be as before. docs/security.md says what stops it.
//!
//! Races are bounded loops: they show that no order of events lets the attack through, or show nothing at all.

#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "../bundle/mod.rs"]
mod bundle;

mod capabilities;
mod cgroups;
mod descriptors;
mod executable;
mod hooks;
mod masks;
mod names;
mod proc;
mod swap;
mod targets;
