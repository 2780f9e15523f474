//! The image store against registries and archives, good and bad.
//!
//! Unpacking makes files of any owner: these tests run as root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archives;
mod certificates;
mod faults;
mod fixture;
mod good;
mod login;
mod making;
mod mirrors;
mod peer;
mod power;
mod proxy;
mod push;
mod push_faults;
mod records;
mod registry;
mod removal;
mod saves;
mod search;
mod sharing;
mod sweep;
mod taker;
mod tls;
mod together;
mod tokens;
mod verify;
