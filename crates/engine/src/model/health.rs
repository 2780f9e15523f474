//! How to see that a container is well.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A probe and its pace. Zero and empty take the image's value, then the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", args…]`, `["CMD-SHELL", line]`.
    pub test: Vec<String>,
    /// Between probes; 30 s.
    pub interval: Duration,
    /// Of one probe; 30 s.
    pub timeout: Duration,
    /// In which failures do not count; 0.
    pub start_period: Duration,
    /// Between probes in the start period; 5 s.
    pub start_interval: Duration,
    /// Failures in a row before it is unhealthy; 3.
    pub retries: u32,
}
