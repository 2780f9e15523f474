//! Messages to the engine's model and back. Pure but for [`pull`], [`archive`] and [`export`], which carry streams across.

pub mod archive;
pub mod container;
pub mod create;
pub mod exec;
pub mod export;
pub mod filter;
pub mod image;
pub mod logs;
pub mod network;
pub mod pull;
pub mod shape;
pub mod stats;
pub mod time;
pub mod usage;
