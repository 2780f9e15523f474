//! Signals by name or number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::EngineError;

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const REALTIME_MIN: i32 = 34;
const REALTIME_MAX: i32 = 64;

/// A signal of Linux on the architectures ross runs on (x86 and ARM number them alike), 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Signal(i32);

impl Signal {
    /// Terminate at once.
    pub const KILL: Self = Self(9);
    /// Terminate.
    pub const TERM: Self = Self(15);

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    /// Whether sending it is meant to end a process: what counts as a stop by hand.
    #[must_use]
    pub fn is_fatal(self) -> bool {
        !matches!(self.name(), Some("CHLD" | "CONT" | "STOP" | "TSTP" | "TTIN" | "TTOU" | "URG" | "WINCH"))
            && !matches!(self.name(), Some("HUP" | "USR1" | "USR2"))
            && self.0 < REALTIME_MIN
    }

    fn name(self) -> Option<&'static str> {
        usize::try_from(self.0 - 1).ok().and_then(|index| NAMES.get(index)).copied()
    }
}

impl TryFrom<i32> for Signal {
    type Error = EngineError;

    fn try_from(number: i32) -> Result<Self, EngineError> {
        if (1..=REALTIME_MAX).contains(&number) {
            return Ok(Self(number));
        }
        Err(EngineError::invalid("signal", format!("{number} is not in 1 to {REALTIME_MAX}")))
    }
}

impl From<Signal> for i32 {
    fn from(signal: Signal) -> Self {
        signal.0
    }
}

impl FromStr for Signal {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        if let Ok(number) = text.parse::<i32>() {
            return number.try_into();
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let unknown = || EngineError::invalid("signal", format!("`{text}` is no signal's name or number"));
        let offset = |text: &str| text.parse::<i32>().map_err(|_| unknown());
        let number = match name {
            "IOT" => 6,
            "CLD" => 17,
            "POLL" => 29,
            "RTMIN" => REALTIME_MIN,
            "RTMAX" => REALTIME_MAX,
            _ if name.starts_with("RTMIN+") => REALTIME_MIN.saturating_add(offset(&name[6..])?),
            _ if name.starts_with("RTMAX-") => REALTIME_MAX.saturating_sub(offset(&name[6..])?),
            _ => {
                let index = NAMES.iter().position(|known| *known == name).ok_or_else(unknown)?;
                i32::try_from(index).map_err(|_| unknown())? + 1
            }
        };
        let realtime = name.starts_with("RT");
        if realtime && !(REALTIME_MIN..=REALTIME_MAX).contains(&number) {
            return Err(unknown());
        }
        Ok(Self(number))
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(out, "SIG{name}"),
            None => write!(out, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let check =
            |text: &str, number: i32| assert_eq!(text.parse::<Signal>().unwrap().number(), number, "{text}");
        check("TERM", 15);
        check("SIGTERM", 15);
        check("sigkill", 9);
        check("9", 9);
        check("SYS", 31);
        check("WINCH", 28);
        check("CHLD", 17);
        check("RTMIN+3", 37);
        check("SIGRTMAX-1", 63);
        for bad in ["", "0", "65", "-1", "SIG", "NOPE", "RTMIN+31", "RTMAX-31", "RTMIN+-1"] {
            assert!(bad.parse::<Signal>().is_err(), "{bad}");
        }
        assert_eq!(Signal::TERM.to_string(), "SIGTERM");
        assert!(Signal::KILL.is_fatal() && !"WINCH".parse::<Signal>().unwrap().is_fatal());
    }
}
