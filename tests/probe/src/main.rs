//! The program that conformance cases run inside a container, or as a hook: `ross-probe [WORD]...`. It reports as one
//! line of JSON what it sees, and what came of the questions among its words (see [`ask`]).
//!
//! It changes nothing it is not asked to, and knows nothing of what a case expects. Words that end it:
//! - `append=PATH`: the report goes to the end of this file instead of stdout;
//! - `wait`: after the report, wait for a signal that kills;
//! - `exit=N`: end with this code.
//!
//! Any other word is there to be seen in `argv`.
#![forbid(unsafe_code)]

mod ask;
mod devices;
mod process;
mod status;
mod surroundings;

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Map, Value};

fn main() -> ExitCode {
    // First of all, before this program has opened anything.
    let descriptors = surroundings::descriptors();
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut report = Map::new();
    report.insert("descriptors".to_owned(), descriptors);
    report.insert("argv".to_owned(), words.clone().into());
    report.extend(process::report());
    report.extend(surroundings::report());
    report.insert("devices".to_owned(), devices::report());
    let mut asked = Map::new();
    for word in words.iter().skip(1) {
        if let Some(answer) = ask::answer(word) {
            asked.insert(word.clone(), answer);
        }
    }
    report.insert("asked".to_owned(), asked.into());
    if let Err(error) = hand_over(&words, &Value::from(report)) {
        eprintln!("ross-probe: {error}");
        return ExitCode::from(99);
    }
    if words.iter().any(|word| word == "wait") {
        rustix::event::pause();
    }
    let code = words.iter().find_map(|word| word.strip_prefix("exit=")?.parse().ok());
    ExitCode::from(code.unwrap_or(0))
}

fn hand_over(words: &[String], report: &Value) -> std::io::Result<()> {
    let line = format!("{report}\n");
    match words.iter().find_map(|word| word.strip_prefix("append=")) {
        Some(path) => {
            std::fs::File::options().append(true).create(true).open(path)?.write_all(line.as_bytes())
        }
        None => std::io::stdout().write_all(line.as_bytes()),
    }
}
