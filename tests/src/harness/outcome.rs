//! What a command answered, and what was expected of it.

use anyhow::{Result, bail, ensure};

/// Exit code and output of a finished command.
#[derive(Debug, Clone)]
pub struct Output {
    pub command: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Fails unless the exit code was 0.
    pub fn ok(self) -> Result<Self> {
        self.exits(0)
    }

    /// Fails unless the exit code was `code`.
    pub fn exits(self, code: i32) -> Result<Self> {
        if self.code != code {
            bail!(
                "`{}` exited {} where {code} was expected\nstdout: {}\nstderr: {}",
                self.command,
                self.code,
                self.stdout.trim(),
                self.stderr.trim()
            );
        }
        Ok(self)
    }

    /// Fails unless the command failed with a message that has all of `words`.
    pub fn complains(self, words: &[&str]) -> Result<Self> {
        ensure!(
            self.code != 0,
            "`{}` succeeded where it had to fail\nstdout: {}",
            self.command,
            self.stdout.trim()
        );
        for word in words {
            ensure!(
                self.stderr.contains(word),
                "`{}`: the message does not say `{word}`: {}",
                self.command,
                self.stderr.trim()
            );
        }
        Ok(self)
    }

    /// Fails unless stdout, trimmed, is `text`.
    pub fn prints(self, text: &str) -> Result<Self> {
        ensure!(
            self.stdout.trim() == text,
            "`{}` printed `{}` where `{text}` was expected\nstderr: {}",
            self.command,
            self.stdout.trim(),
            self.stderr.trim()
        );
        Ok(self)
    }

    /// Fails unless stdout has `text`.
    pub fn says(self, text: &str) -> Result<Self> {
        ensure!(
            self.stdout.contains(text),
            "`{}` printed `{}` where `{text}` had to be in it\nstderr: {}",
            self.command,
            self.stdout.trim(),
            self.stderr.trim()
        );
        Ok(self)
    }

    /// stdout, trimmed.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }
}
