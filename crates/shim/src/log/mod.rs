//! A container's log: Docker's json-file format in bounded, rotated files.
//!
//! Output goes in as it was read; out come lines of JSON, one write for each batch. A log that cannot be
//! written (a full disk) loses entries and says so in the end; it never stops the container.

mod entry;
mod writer;

pub use entry::{append_entry, append_time};
pub use writer::LogWriter;
