//! The table of `stats`.

use ross_api::v1::ContainerStats;

use super::container::id;
use super::table::table;
use super::units::{binary_size, decimal_size};

const HEADER: [&str; 8] =
    ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"];

/// In place of what this host does not account for.
const UNKNOWN: &str = "--";

/// One row a container, as of its last sample.
pub fn list<'a>(samples: impl IntoIterator<Item = &'a ContainerStats>, whole: bool) -> String {
    let rows: Vec<Vec<String>> = samples.into_iter().map(|sample| row(sample, whole)).collect();
    table(&HEADER, &rows)
}

fn row(sample: &ContainerStats, whole: bool) -> Vec<String> {
    let pair = |pair: Option<(String, String)>| {
        let (one, other) = pair.unwrap_or_else(|| (UNKNOWN.to_owned(), UNKNOWN.to_owned()));
        format!("{one} / {other}")
    };
    let memory = sample
        .memory
        .map(|memory| (memory.usage_bytes.saturating_sub(memory.inactive_file_bytes), memory.limit_bytes));
    let block = sample.block_io;
    let received = sample.networks.iter().map(|interface| interface.received_bytes).sum();
    let sent = sample.networks.iter().map(|interface| interface.sent_bytes).sum();
    vec![
        id(&sample.container_id, whole).to_owned(),
        sample.name.clone(),
        format!("{:.2}%", sample.cpu.unwrap_or_default().percent),
        pair(memory.map(|(used, limit)| (binary_size(used), binary_size(limit)))),
        memory.map_or_else(|| UNKNOWN.to_owned(), |(used, limit)| format!("{:.2}%", share(used, limit))),
        format!("{} / {}", decimal_size(received), decimal_size(sent)),
        pair(block.map(|block| (decimal_size(block.read_bytes), decimal_size(block.written_bytes)))),
        sample.pids.map_or_else(|| UNKNOWN.to_owned(), |pids| pids.current.to_string()),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

#[cfg(test)]
mod tests {
    use ross_api::v1::{CpuStats, InterfaceStats, MemoryStats, PidsStats};

    use super::*;

    #[test]
    fn lists() {
        let sample = ContainerStats {
            container_id: "ab".repeat(32),
            name: "web".to_owned(),
            cpu: Some(CpuStats { percent: 12.345, ..CpuStats::default() }),
            memory: Some(MemoryStats {
                usage_bytes: 3 << 20,
                inactive_file_bytes: 1 << 20,
                limit_bytes: 8 << 20,
                ..MemoryStats::default()
            }),
            networks: vec![InterfaceStats {
                received_bytes: 1500,
                sent_bytes: 700,
                ..InterfaceStats::default()
            }],
            pids: Some(PidsStats { current: 3, limit: 0 }),
            ..ContainerStats::default()
        };
        let text = list([&sample], false);
        let row = text.lines().nth(1).unwrap();
        let cells: Vec<&str> = row.split("   ").filter(|cell| !cell.is_empty()).map(str::trim).collect();
        let expected =
            ["abababababab", "web", "12.35%", "2MiB / 8MiB", "25.00%", "1.5kB / 700B", "0B / 0B", "3"];
        // The bounds of a float: 12.345 may round either way.
        assert_eq!(cells.len(), expected.len(), "{cells:?}");
        assert_eq!(
            (cells[0], cells[3], cells[4], cells[7]),
            (expected[0], expected[3], expected[4], expected[7])
        );
        assert_eq!(list([], false).lines().count(), 1);
        let bare = list([&ContainerStats::default()], false);
        assert_eq!(bare.lines().nth(1).unwrap().matches("--").count(), 6, "{bare}");
    }
}
