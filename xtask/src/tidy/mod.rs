//! `cargo xtask tidy`: the rules of the house that rustc and clippy cannot check.
//!
//! Each rule is a function from the workspace to a list of complaints; a complaint names the file and what to do.

mod dependencies;
mod floors;
mod sources;

use std::process::ExitCode;

use anyhow::Result;

pub fn run() -> Result<ExitCode> {
    let mut complaints = floors::check()?;
    complaints.extend(sources::check()?);
    complaints.extend(dependencies::check()?);
    for complaint in &complaints {
        println!("tidy: {complaint}");
    }
    println!("tidy: {} complaints", complaints.len());
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
