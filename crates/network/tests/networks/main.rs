//! Endpoints in small worlds of their own: what gets through, what must not, and what is left.
#![expect(clippy::unwrap_used, reason = "clippy knows only the test functions as tests, not what they call")]

mod lifecycle;
mod traffic;
mod world;
