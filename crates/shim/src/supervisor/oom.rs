//! The shim's standing with the OOM killer: nearly never chosen, without its children inheriting that.

use std::fs;

const OOM_SCORE_ADJ: &str = "/proc/self/oom_score_adj";

/// Nearly never: -1000 would be never.
const PROTECTED: &[u8] = b"-999";

/// The shim's protection from the OOM killer.
#[derive(Debug)]
pub(super) struct OomScore {
    ordinary: Vec<u8>,
    protected: bool,
}

/// While this lives, the shim's children are ordinary processes in the eyes of the OOM killer.
#[derive(Debug)]
pub(super) struct Ordinary<'a>(&'a OomScore);

impl OomScore {
    /// Protects the shim, where that is allowed (it takes `CAP_SYS_RESOURCE`).
    pub(super) fn protect() -> Self {
        let ordinary = fs::read(OOM_SCORE_ADJ).unwrap_or_else(|_| b"0".to_vec());
        let protected = write(PROTECTED);
        Self { ordinary, protected }
    }

    /// Lifts the protection until the guard is dropped, for a fork to inherit.
    pub(super) fn lift(&self) -> Ordinary<'_> {
        if self.protected {
            write(&self.ordinary);
        }
        Ordinary(self)
    }
}

impl Drop for Ordinary<'_> {
    fn drop(&mut self) {
        if self.0.protected {
            write(PROTECTED);
        }
    }
}

fn write(score: &[u8]) -> bool {
    fs::write(OOM_SCORE_ADJ, score).is_ok()
}
