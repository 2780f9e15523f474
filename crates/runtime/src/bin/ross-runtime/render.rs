//! Text for people and callers: tables, times, names of signals.

use std::time::{SystemTime, UNIX_EPOCH};

use ross_runtime::State;

/// Signal names by number, from 1.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The number of a signal given by number or name, with or without `SIG`, in any case.
pub(crate) fn signal(text: &str) -> Option<i32> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|number| (0..=64).contains(number));
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |name: &str, prefix: &str, base: i32, sign: i32| {
        let rest = name.strip_prefix(prefix)?;
        let offset = if rest.is_empty() { Some(0) } else { rest.get(1..)?.parse::<i32>().ok() };
        offset.map(|offset| base + sign * offset).filter(|number| (34..=64).contains(number))
    };
    SIGNALS
        .iter()
        .position(|known| *known == name)
        .and_then(|index| i32::try_from(index + 1).ok())
        .or_else(|| real_time(name, "RTMIN", 34, 1))
        .or_else(|| real_time(name, "RTMAX", 64, -1))
}

/// The time for log lines: seconds since the epoch as RFC 3339.
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    ross_runtime::rfc3339(since)
}

/// The name of a user, or `#` and the number of one without a name.
pub(crate) fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("#{uid}"))
}

/// Containers as runc's table.
pub(crate) fn table(states: &[State]) -> String {
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
    for state in states {
        rows.push([
            state.id.clone(),
            state.pid.to_string(),
            state.status.to_string(),
            state.bundle.display().to_string(),
            state.created.clone(),
            state.owner.clone(),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}   "));
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn users() {
        assert_eq!(super::user_name(0), "root");
        assert_eq!(super::user_name(4_000_000_000), "#4000000000");
    }

    #[test]
    fn signals() {
        let check = |text, number| assert_eq!(super::signal(text), number, "{text}");
        check("9", Some(9));
        check("KILL", Some(9));
        check("sigterm", Some(15));
        check("SIGRTMIN+3", Some(37));
        check("RTMAX-1", Some(63));
        check("SYS", Some(31));
        check("65", None);
        check("-1", None);
        check("RTMIN+99", None);
        check("", None);
    }
}
