//! The history of an image, newest step first, as docker shows it.

use jiff::Timestamp;
use ross_api::v1::{HistoryEntry, InspectImageResponse};

use super::image::id;
use super::table::{shorten, table as aligned};
use super::units::{ago, decimal_size, moment};

const MISSING: &str = "<missing>";
const COMMAND_LENGTH: usize = 45;

/// How a history is shown.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Ids and commands in full.
    pub whole: bool,
    /// Sizes and times in people's units.
    pub human: bool,
}

/// The steps, newest first, each with the id it is known by: only the newest is an image that can be named.
fn steps(image: &InspectImageResponse, whole: bool) -> impl Iterator<Item = (&str, &HistoryEntry)> {
    let own = image.summary.as_ref().map_or(MISSING, |summary| id(&summary.id, whole));
    let ids = std::iter::once(own).chain(std::iter::repeat(MISSING));
    ids.zip(image.history.iter().rev())
}

/// The ids, one a line.
pub fn ids(image: &InspectImageResponse, whole: bool) -> String {
    steps(image, whole).map(|(id, _)| format!("{id}\n")).collect()
}

/// The table of `history`.
pub fn table(image: &InspectImageResponse, style: Style, now: Timestamp) -> String {
    let when = if style.human { "CREATED" } else { "CREATED AT" };
    let rows: Vec<Vec<String>> = steps(image, style.whole)
        .map(|(id, step)| {
            let command = step.created_by.split_whitespace().collect::<Vec<_>>().join(" ");
            let created = if style.human {
                ago(step.created.as_ref(), now)
            } else {
                step.created.as_ref().and_then(moment).map(|time| time.to_string()).unwrap_or_default()
            };
            vec![
                id.to_owned(),
                if created.is_empty() { "N/A".to_owned() } else { created },
                if style.whole { command } else { shorten(&command, COMMAND_LENGTH) },
                if style.human { decimal_size(step.size_bytes) } else { step.size_bytes.to_string() },
                step.comment.clone(),
            ]
        })
        .collect();
    aligned(&["IMAGE", when, "CREATED BY", "SIZE", "COMMENT"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ross_api::v1::ImageSummary;

    #[test]
    fn newest_first() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let created = Some(prost_types::Timestamp { seconds: now.as_second() - 7200, nanos: 0 });
        let step = |command: &str, size: u64, comment: &str| HistoryEntry {
            created,
            created_by: command.to_owned(),
            comment: comment.to_owned(),
            size_bytes: size,
            empty_layer: size == 0,
        };
        let image = InspectImageResponse {
            summary: Some(ImageSummary {
                id: format!("sha256:{}", "ab".repeat(32)),
                ..ImageSummary::default()
            }),
            history: vec![step(&"long ".repeat(20), 1_500_000, ""), step("CMD\t[\"sh\"]", 0, "note")],
            ..InspectImageResponse::default()
        };
        let style = Style { whole: false, human: true };
        assert_eq!(
            table(&image, style, now),
            "IMAGE          CREATED       CREATED BY                                      SIZE    COMMENT\n\
             abababababab   2 hours ago   CMD [\"sh\"]                                      0B      note\n\
             <missing>      2 hours ago   long long long long long long long long long…   1.5MB\n"
        );
        let exact = table(&image, Style { whole: true, human: false }, now);
        assert!(exact.contains("2026-11-21T08:00:00Z") && exact.contains("1500000"), "{exact}");
        assert!(exact.contains(&"long ".repeat(20).trim_end().to_owned()), "{exact}");
        assert_eq!(ids(&image, false), "abababababab\n<missing>\n");
    }
}
