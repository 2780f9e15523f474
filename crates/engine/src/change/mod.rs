//! Changes to what an image says of its containers, as instructions of a Dockerfile: those of `commit` and `import`.
//!
//! Source: the Dockerfile reference of Docker. What is said here of quoting and of forms holds for the eleven
//! instructions that change a configuration; the others make layers, and are refused.

mod apply;
mod health;
mod words;

pub(crate) use apply::apply;
