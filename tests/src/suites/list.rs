//! All suites, in the order they run.

use super::{api, bad_input, callers, images, lifecycle, limits, network, run, runtime, terminal};
use crate::harness::Case;

/// Every case of every suite.
pub fn all() -> Vec<Case> {
    [
        runtime::CASES,
        run::CASES,
        lifecycle::CASES,
        limits::CASES,
        network::CASES,
        terminal::CASES,
        images::CASES,
        api::CASES,
        bad_input::CASES,
        callers::CASES,
    ]
    .concat()
}
