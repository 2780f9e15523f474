//! ps: the processes of a container, as numbers or by ps(1) of the host.

use std::ffi::OsString;
use std::process::Command;

/// Runs ps with these options (`-ef` when there are none), and keeps the lines of these processes and the first.
pub(crate) fn table(pids: &[i32], options: &[OsString]) -> Result<String, String> {
    let mut ps = Command::new("ps");
    if options.is_empty() {
        ps.arg("-ef");
    }
    let output = ps.args(options).output().map_err(|error| format!("run ps: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("ps: {}: {}", output.status, said.trim()));
    }
    select(&String::from_utf8_lossy(&output.stdout), pids)
}

/// The lines of a table whose column `PID` has one of these numbers. Only the columns before it may not be empty.
fn select(table: &str, pids: &[i32]) -> Result<String, String> {
    let mut lines = table.lines();
    let title = lines.next().unwrap_or_default();
    let column = title.split_ascii_whitespace().position(|name| name == "PID");
    let column = column.ok_or("couldn't find PID field in ps output")?;
    let pid = |line: &str| line.split_ascii_whitespace().nth(column)?.parse().ok();
    let mut selected = format!("{title}\n");
    for line in lines.filter(|line| pid(line).is_some_and(|pid| pids.contains(&pid))) {
        selected.push_str(line);
        selected.push('\n');
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::select;

    #[test]
    fn lines_of_a_container() {
        let table = "UID   PID  PPID CMD\nroot    1     0 init\nroot   12     1 sh -c 1\nroot  120     1 x\n";
        assert_eq!(select(table, &[12]).unwrap(), "UID   PID  PPID CMD\nroot   12     1 sh -c 1\n");
        assert_eq!(select(table, &[]).unwrap(), "UID   PID  PPID CMD\n");
        assert!(select("UID CMD\nroot x\n", &[1]).unwrap_err().contains("PID"));
        assert!(select("", &[1]).is_err());
    }
}
