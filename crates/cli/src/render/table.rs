//! Aligned columns, as docker prints them: a header, three spaces between columns, nothing behind the last.

use std::fmt::Write as _;

const GAP: usize = 3;

/// The table of `rows` below `header`, with a newline at the end of each line.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell));
            cells.chain([width(header[column])]).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&header).chain(rows) {
        let mut line = String::new();
        for (cell, column) in row.iter().zip(&widths) {
            // Control characters of a container must not reach the terminal.
            let cell: String = cell.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            let _ = write!(line, "{cell:<width$}", width = column + GAP);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The first `length` characters, the last of them an ellipsis if something was cut off.
pub fn shorten(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    text.chars().take(length.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns() {
        let rows =
            [vec!["a".to_owned(), String::new(), "x".to_owned()], vec!["long".to_owned(), "é".to_owned()]];
        assert_eq!(table(&["ONE", "TWO", "THREE"], &rows), "ONE    TWO   THREE\na            x\nlong   é\n");
        assert_eq!(table(&["ONE"], &[]), "ONE\n");
        assert_eq!(table(&["A"], &[vec!["\x1b[31m".to_owned()]]), "A\n?[31m\n");
    }

    #[test]
    fn shortens() {
        assert_eq!(shorten("abcdef", 6), "abcdef");
        assert_eq!(shorten("abcdefg", 6), "abcde…");
        assert_eq!(shorten("äöüäöüä", 4), "äöü…");
    }
}
