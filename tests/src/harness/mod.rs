//! What every case stands on: needs, the bed with a daemon of its own, assertions, the search for leftovers.

mod bed;
mod bundle;
mod call;
mod corner;
mod leftovers;
mod liar;
mod needs;
mod outcome;
mod runner;
mod terminal;
mod tree;

pub use bed::{Bed, Daemon};
pub use bundle::Bundle;
pub use call::{PATIENCE, call};
pub use corner::Corner;
pub use leftovers::Leftovers;
pub use liar::{Liar, Lie};
pub use needs::Need;
pub use outcome::Output;
pub use runner::{Case, Options, Test, run};
pub use terminal::Terminal;
pub use tree::Tree;
