//! Pulling: resolve, then all layers in parallel, then the record.
//!
//! Invariants: no lock of another thread is waited for on an async worker; every byte taken from a registry is bounded
//! and hashed; what a failed or abandoned pull leaves is in staging. Two pulls of one layer make it once.

mod again;
mod assemble;
mod layer;
mod onlookers;
mod pipeline;
mod request;
mod resolve;
mod stream;
mod write;

pub(crate) use again::{Begun, bring_back, fetch};
pub(crate) use assemble::{Order, Resolved, assemble};
pub(crate) use onlookers::Onlookers;
pub(crate) use request::pull;
pub(crate) use stream::{Packing, Proportionate, unpacked};
