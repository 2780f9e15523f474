//! The three standard streams of this process, behind one type so that tests can stand in for them.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::Failure;

/// A stream to write to; clones write to the same place.
#[derive(Clone)]
pub struct Output(Arc<Mutex<Box<dyn Write + Send>>>);

impl std::fmt::Debug for Output {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Output")
    }
}

impl Output {
    /// A stream that ends in `writer`.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(writer))))
    }

    /// Writes all of `bytes` and flushes them.
    pub fn write(&self, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(bytes.as_ref()).and_then(|()| writer.flush()).map_err(Failure::output)
    }

    /// Writes `line` and a newline.
    pub fn line(&self, line: impl std::fmt::Display) -> Result<(), Failure> {
        self.write(format!("{line}\n"))
    }

    /// Says `sentence` in the program's name.
    pub fn say(&self, sentence: impl std::fmt::Display) {
        // When standard error is gone, too, nobody is left to be told.
        let _ = self.line(format_args!("ross: {sentence}"));
    }
}

/// Standard input, output and error, and which of them are terminals.
pub struct Streams {
    /// Taken by the thread that reads it.
    pub stdin: Option<Box<dyn Read + Send>>,
    /// Answers.
    pub stdout: Output,
    /// Progress, warnings, errors.
    pub stderr: Output,
    /// Which are terminals.
    pub terminal: Terminals,
}

/// Which of the standard streams are terminals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminals {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Streams").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

impl Streams {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self {
            stdin: Some(Box::new(Stdin)),
            stdout: Output::new(io::stdout()),
            stderr: Output::new(io::stderr()),
            terminal: Terminals {
                stdin: io::stdin().is_terminal(),
                stdout: io::stdout().is_terminal(),
                stderr: io::stderr().is_terminal(),
            },
        }
    }
}

/// Standard input without a buffer: what was typed goes on at once, and nothing is read ahead.
struct Stdin;

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(rustix::stdio::stdin(), buffer)?)
    }
}

#[cfg(test)]
pub mod testing {
    //! Streams in memory.

    use super::*;

    /// What was written to a stream.
    pub type Captured = Arc<Mutex<Vec<u8>>>;

    struct Memory(Captured);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Streams that are no terminals: nothing to read, and what is written is kept.
    pub fn captured() -> (Streams, Captured, Captured) {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let streams = Streams {
            stdin: Some(Box::new(io::empty())),
            stdout: Output::new(Memory(stdout.clone())),
            stderr: Output::new(Memory(stderr.clone())),
            terminal: Terminals::default(),
        };
        (streams, stdout, stderr)
    }

    /// What was written so far, as text.
    pub fn text(captured: &Captured) -> String {
        String::from_utf8(captured.lock().unwrap().clone()).unwrap()
    }
}
