//! Lines of `strace -f -ttt` as events.

use anyhow::{Context, Result};

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub pid: u32,
    /// Seconds since 1970.
    pub time: f64,
    pub kind: Kind,
    /// The line without process and time.
    pub text: String,
}

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A call begins.
    Call,
    /// A call whose begin was told before returns.
    Return,
    /// The process has ended.
    End,
    /// A signal.
    Signal,
}

/// All lines, in order. Fails on a line that is not one of strace's.
pub fn parse(text: &str) -> Result<Vec<Event>> {
    text.lines().map(|line| event(line).with_context(|| format!("`{line}`"))).collect()
}

fn event(line: &str) -> Option<Event> {
    let (pid, rest) = line.split_once(' ')?;
    let (time, text) = rest.trim_start().split_once(' ')?;
    let kind = match text {
        _ if text.starts_with("<... ") => Kind::Return,
        _ if text.starts_with("+++ ") => Kind::End,
        _ if text.starts_with("--- ") => Kind::Signal,
        _ => Kind::Call,
    };
    Some(Event { pid: pid.parse().ok()?, time: time.parse().ok()?, kind, text: text.to_owned() })
}
