//! The list of containers.

use jiff::Timestamp;
use ross_api::v1::ContainerSummary;

use super::ports::ports;
use super::table::{shorten, table};
use super::units::{ago, decimal_size};

const COMMAND_LENGTH: usize = 20;
const SHORT_ID: usize = 12;

/// What a list of containers shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Columns {
    /// Ids and commands in full.
    pub whole: bool,
    /// Sizes of the files, too.
    pub size: bool,
}

/// The table of `ps`.
pub fn list(containers: &[ContainerSummary], columns: Columns, now: Timestamp) -> String {
    let mut header = vec!["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
    if columns.size {
        header.push("SIZE");
    }
    let rows: Vec<Vec<String>> = containers.iter().map(|container| row(container, columns, now)).collect();
    table(&header, &rows)
}

fn row(container: &ContainerSummary, columns: Columns, now: Timestamp) -> Vec<String> {
    let mut row = vec![
        id(&container.id, columns.whole).to_owned(),
        container.image.clone(),
        command(&container.command, columns.whole),
        ago(container.created.as_ref(), now),
        container.status.clone(),
        ports(&container.ports),
        container.name.clone(),
    ];
    if columns.size {
        row.push(format!(
            "{} (virtual {})",
            decimal_size(container.size_rw_bytes),
            decimal_size(container.size_root_bytes)
        ));
    }
    row
}

/// An id, in full or as people know it.
pub fn id(id: &str, whole: bool) -> &str {
    if whole { id } else { id.get(..SHORT_ID).unwrap_or(id) }
}

fn command(words: &[String], whole: bool) -> String {
    let line = words.join(" ");
    let line = if whole { line } else { shorten(&line, COMMAND_LENGTH) };
    format!("\"{line}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let container = ContainerSummary {
            id: "ab".repeat(32),
            name: "web".to_owned(),
            image: "busybox".to_owned(),
            command: vec!["sleep".to_owned(), "1000000000000000".to_owned()],
            created: Some(prost_types::Timestamp { seconds: now.as_second() - 7200, nanos: 0 }),
            status: "Up 2 hours".to_owned(),
            size_rw_bytes: 5,
            size_root_bytes: 4_200_000,
            ..ContainerSummary::default()
        };
        let short = list(std::slice::from_ref(&container), Columns::default(), now);
        assert_eq!(
            short,
            "CONTAINER ID   IMAGE     COMMAND                  CREATED       STATUS       PORTS   NAMES\n\
             abababababab   busybox   \"sleep 1000000000000…\"   2 hours ago   Up 2 hours           web\n"
        );
        let whole = list(&[container], Columns { whole: true, size: true }, now);
        assert!(whole.contains(&"ab".repeat(32)) && whole.contains("1000000000000000\""), "{whole}");
        assert!(whole.contains("5B (virtual 4.2MB)"), "{whole}");
    }
}
