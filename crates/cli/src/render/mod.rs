//! Answers as people and programs read them: tables, units, JSON, progress.
//!
//! Nothing here talks to the daemon or writes to a stream, but for progress bars, which own the terminal while they last.

pub mod container;
pub mod history;
pub mod image;
pub mod json;
pub mod json_image;
pub mod json_stats;
pub mod ports;
pub mod progress;
pub mod stats;
pub mod table;
pub mod units;
pub mod usage;
pub mod verify;
