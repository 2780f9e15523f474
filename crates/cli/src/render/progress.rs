//! Progress of layers: a bar each on a terminal, a line for each change of state in a pipe.

use std::collections::HashMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use ross_api::v1::LayerProgress;
use ross_api::v1::layer_progress::State;

use crate::failure::Failure;
use crate::streams::Streams;

const SHORT_DIGEST: usize = 12;

/// Shows progress on standard error.
#[derive(Debug)]
pub enum Progress {
    /// Nothing is shown.
    Quiet,
    /// Lines, and the state each layer had last.
    Lines(HashMap<String, State>),
    /// Bars by layer.
    Bars { all: MultiProgress, layers: HashMap<String, ProgressBar> },
}

impl Progress {
    /// What fits the streams.
    pub fn new(quiet: bool, streams: &Streams) -> Self {
        if quiet {
            return Self::Quiet;
        }
        if !streams.terminal.stderr {
            return Self::Lines(HashMap::new());
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self::Bars { all, layers: HashMap::new() }
    }

    /// A step of the whole.
    pub fn status(&mut self, text: &str, streams: &Streams) -> Result<(), Failure> {
        match self {
            Self::Quiet => Ok(()),
            Self::Lines(_) => streams.stderr.line(text),
            Self::Bars { all, .. } => {
                all.println(text).map_err(|source| Failure::Stream { what: "cannot draw progress", source })
            }
        }
    }

    /// A step of one layer.
    pub fn layer(&mut self, layer: &LayerProgress, streams: &Streams) -> Result<(), Failure> {
        let name = short(&layer.digest);
        match self {
            Self::Quiet => Ok(()),
            Self::Lines(states) => {
                let state = layer.state();
                let known = states.insert(layer.digest.clone(), state);
                // One try after the other has reasons of its own.
                if known == Some(state) && state != State::Retrying {
                    return Ok(());
                }
                streams.stderr.line(format_args!("{name}: {}", words(layer)))
            }
            Self::Bars { all, layers } => {
                let bar = layers.entry(layer.digest.clone()).or_insert_with(|| {
                    let bar = all.add(ProgressBar::no_length());
                    bar.set_prefix(name);
                    bar
                });
                draw(bar, layer);
                Ok(())
            }
        }
    }
}

fn draw(bar: &ProgressBar, layer: &LayerProgress) {
    let moving = matches!(layer.state(), State::Downloading | State::Extracting | State::Pushing);
    let template = match (moving, layer.total_bytes > 0) {
        (true, true) => "{prefix}: {msg:<12} [{bar:40}] {bytes}/{total_bytes}",
        (true, false) => "{prefix}: {msg:<12} {bytes}",
        (false, _) => "{prefix}: {msg}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    if layer.total_bytes > 0 {
        bar.set_length(layer.total_bytes);
    }
    bar.set_position(layer.current_bytes);
    bar.set_message(words(layer));
    if is_last(layer.state()) && !bar.is_finished() {
        bar.finish();
    }
}

fn is_last(state: State) -> bool {
    matches!(
        state,
        State::Done | State::Exists | State::Pushed | State::AtRegistry | State::Mounted | State::Foreign
    )
}

fn words(layer: &LayerProgress) -> String {
    if layer.state() == State::Mounted {
        return format!("Mounted from {}", layer.message);
    }
    let words = match layer.state() {
        State::Unspecified => "Working",
        State::Waiting => "Waiting",
        State::Downloading => "Downloading",
        State::Verifying => "Verifying checksum",
        State::Extracting => "Extracting",
        State::Exists => "Already exists",
        State::Done => "Pull complete",
        State::Retrying => "Retrying",
        State::Pushing => "Pushing",
        State::Pushed => "Pushed",
        State::AtRegistry => "Layer already exists",
        State::Mounted => "Mounted",
        State::Foreign => "Skipped foreign layer",
    };
    if layer.message.is_empty() { words.to_owned() } else { format!("{words}: {}", layer.message) }
}

fn short(digest: &str) -> String {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    hex.get(..SHORT_DIGEST).unwrap_or(hex).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::testing::{captured, text};

    #[test]
    fn lines_for_changes_only() {
        let (streams, _, stderr) = captured();
        let mut progress = Progress::new(false, &streams);
        let layer = |state: State, message: &str| LayerProgress {
            digest: format!("sha256:{}", "cd".repeat(32)),
            state: state.into(),
            message: message.to_owned(),
            ..LayerProgress::default()
        };
        for state in [State::Waiting, State::Downloading, State::Downloading, State::Extracting, State::Done]
        {
            progress.layer(&layer(state, ""), &streams).unwrap();
        }
        progress.layer(&layer(State::Retrying, "503"), &streams).unwrap();
        let lines = text(&stderr);
        assert_eq!(
            lines,
            "cdcdcdcdcdcd: Waiting\ncdcdcdcdcdcd: Downloading\ncdcdcdcdcdcd: Extracting\n\
             cdcdcdcdcdcd: Pull complete\ncdcdcdcdcdcd: Retrying: 503\n"
        );
        assert_eq!(words(&layer(State::AtRegistry, "")), "Layer already exists");
        assert_eq!(words(&layer(State::Mounted, "team/app")), "Mounted from team/app");
    }
}
