//! Messages to the engine's model and back. Pure but for those that carry streams across: [`pull`], [`push`],
//! [`verify`], [`archive`], [`export`] and [`save`], over [`progress`].

pub mod archive;
pub mod container;
pub mod create;
pub mod exec;
pub mod export;
pub mod filter;
pub mod image;
pub mod logs;
pub mod network;
pub mod progress;
pub mod pull;
pub mod push;
pub mod save;
pub mod search;
pub mod shape;
pub mod stats;
pub mod time;
pub mod usage;
pub mod verify;
