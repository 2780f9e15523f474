//! All suites, in the order they run.

use super::{bad_input, images, lifecycle, limits, network, run};
use crate::harness::Case;

/// Every case of every suite.
pub fn all() -> Vec<Case> {
    [run::CASES, lifecycle::CASES, limits::CASES, network::CASES, images::CASES, bad_input::CASES].concat()
}
