//! Logs, and which stream output came from.

use ross_api::v1::{GetLogsRequest, LogEntry, OutputStream};
use ross_engine::model;
use tonic::Status;

use super::time;

/// What a request wants to read.
pub fn query(request: &GetLogsRequest) -> Result<model::LogQuery, Status> {
    Ok(model::LogQuery {
        follow: request.follow,
        stdout: request.stdout,
        stderr: request.stderr,
        since: time::moment("since", request.since.as_ref())?,
        until: time::moment("until", request.until.as_ref())?,
        tail: request.tail,
    })
}

/// One entry.
pub fn entry(entry: model::LogEntry) -> LogEntry {
    LogEntry {
        stream: stream(entry.stream).into(),
        time: Some(time::message(entry.time)),
        line: entry.line.into(),
        partial: entry.partial,
    }
}

/// Where output came from.
pub fn stream(stream: model::Stream) -> OutputStream {
    match stream {
        model::Stream::Stdout => OutputStream::Stdout,
        model::Stream::Stderr => OutputStream::Stderr,
    }
}
