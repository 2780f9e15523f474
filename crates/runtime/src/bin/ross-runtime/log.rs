//! The log file callers parse: runc's JSON or text lines. Errors also go to standard error.

use std::fs::{File, OpenOptions};
use std::io::Write;

use crate::arguments::{Global, LogFormat};
use crate::render::now;

/// Where messages go.
#[derive(Debug)]
pub(crate) struct Log {
    file: Option<File>,
    format: LogFormat,
    debug: bool,
}

impl Log {
    pub(crate) fn open(global: &Global) -> Result<Self, String> {
        let open = |path: &std::path::PathBuf| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|error| format!("open log file {}: {error}", path.display()))
        };
        let file = global.log.as_ref().map(open).transpose()?;
        Ok(Self { file, format: global.log_format, debug: global.debug })
    }

    pub(crate) fn stderr_only() -> Self {
        Self { file: None, format: LogFormat::Text, debug: false }
    }

    pub(crate) fn warn(&self, message: &str) {
        self.write("warning", message);
    }

    pub(crate) fn debug(&self, message: &str) {
        if self.debug {
            self.write("debug", message);
        }
    }

    /// Logs the failure of the command and says it; returns the exit code.
    pub(crate) fn fail(&self, message: &str, code: u8) -> u8 {
        if self.file.is_some() || self.format == LogFormat::Json {
            self.write("error", message);
        }
        if self.file.is_some() || self.format == LogFormat::Text {
            let _ = writeln!(std::io::stderr(), "ross-runtime: {message}");
        }
        code
    }

    fn write(&self, level: &str, message: &str) {
        let line = match self.format {
            LogFormat::Json => {
                let message = serde_json::to_string(message).unwrap_or_default();
                format!("{{\"level\":\"{level}\",\"msg\":{message},\"time\":\"{}\"}}\n", now())
            }
            LogFormat::Text => format!("time=\"{}\" level={level} msg={message:?}\n", now()),
        };
        // A log that cannot be written must not stop a container.
        let _ = match &self.file {
            Some(file) => {
                let mut file = file;
                file.write_all(line.as_bytes())
            }
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}
