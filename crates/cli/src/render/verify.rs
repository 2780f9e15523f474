//! What a verification finds, as lines and as JSON.

use indicatif::{ProgressBar, ProgressDrawTarget};
use ross_api::v1::{ImagePart, VerifyFinding, VerifyProgress, VerifySummary};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::streams::Streams;

/// What is being checked, on standard error where that is a terminal.
#[derive(Debug)]
pub struct Checking(Option<ProgressBar>);

impl Checking {
    /// What fits the streams.
    pub fn new(quiet: bool, streams: &Streams) -> Self {
        let shown = !quiet && streams.terminal.stderr;
        Self(shown.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())))
    }

    /// Shows that this is being checked.
    pub fn show(&self, progress: &VerifyProgress) {
        if let Some(bar) = &self.0 {
            bar.set_message(format!("{}: {} {}", progress.image, part(progress.part()), progress.digest));
            bar.tick();
        }
    }

    /// Prints something without the two getting into each other's way.
    pub fn aside(&self, print: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes it off the terminal.
    pub fn end(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}

fn part(part: ImagePart) -> &'static str {
    match part {
        ImagePart::Unspecified => "part",
        ImagePart::Manifest => "manifest",
        ImagePart::Config => "config",
        ImagePart::Blob => "blob",
        ImagePart::Layer => "layer",
    }
}

/// One finding as a line.
pub fn line(finding: &VerifyFinding) -> String {
    let path = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
    let end = match (finding.repaired, finding.not_repaired_because.as_str()) {
        (true, _) => " (repaired)".to_owned(),
        (false, "") => String::new(),
        (false, reason) => format!(" (not repaired: {reason})"),
    };
    let (image, digest, what) = (&finding.image, &finding.digest, &finding.what);
    format!("{image}: {} {digest}: {path}{what}{end}", part(finding.part()))
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// What it all came to.
pub fn outcome(summary: &VerifySummary) -> String {
    let checked = format!(
        "{}, {}, {} checked",
        count(summary.images, "image", "images"),
        count(summary.blobs, "blob", "blobs"),
        count(summary.layers, "layer", "layers")
    );
    match (summary.wrong, summary.repaired) {
        (0, _) => format!("{checked}: all as they should be"),
        (wrong, 0) => format!("{checked}: {wrong} wrong"),
        (wrong, repaired) => format!("{checked}: {wrong} wrong, {repaired} repaired"),
    }
}

/// All of it as one object.
pub fn as_json(findings: &[VerifyFinding], summary: &VerifySummary) -> Value {
    let one = |finding: &VerifyFinding| {
        json!({
            "image": finding.image,
            "id": finding.id,
            "part": part(finding.part()),
            "digest": finding.digest,
            "path": finding.path,
            "what": finding.what,
            "repaired": finding.repaired,
            "not_repaired_because": finding.not_repaired_because,
        })
    };
    json!({
        "images": summary.images,
        "blobs": summary.blobs,
        "layers": summary.layers,
        "wrong": summary.wrong,
        "repaired": summary.repaired,
        "findings": findings.iter().map(one).collect::<Value>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let finding = |path: &str, repaired, reason: &str| VerifyFinding {
            image: "alpine:3".to_owned(),
            part: ImagePart::Layer.into(),
            digest: "sha256:ab".to_owned(),
            path: path.to_owned(),
            what: "is missing".to_owned(),
            repaired,
            not_repaired_because: reason.to_owned(),
            ..VerifyFinding::default()
        };
        let check = |finding, expected: &str| assert_eq!(line(&finding), expected);
        check(finding("etc/x", false, ""), "alpine:3: layer sha256:ab: etc/x: is missing");
        check(finding("", true, ""), "alpine:3: layer sha256:ab: is missing (repaired)");
        check(finding("", false, "gone"), "alpine:3: layer sha256:ab: is missing (not repaired: gone)");
    }

    #[test]
    fn summaries() {
        let check = |wrong, repaired, expected: &str| {
            let summary = VerifySummary { images: 1, blobs: 4, layers: 2, wrong, repaired };
            assert_eq!(outcome(&summary), format!("1 image, 4 blobs, 2 layers checked: {expected}"));
        };
        check(0, 0, "all as they should be");
        check(2, 0, "2 wrong");
        check(2, 1, "2 wrong, 1 repaired");
        let json = as_json(&[VerifyFinding::default()], &VerifySummary { wrong: 1, ..Default::default() });
        assert_eq!((json["wrong"].as_u64(), json["findings"].as_array().map(Vec::len)), (Some(1), Some(1)));
    }
}
