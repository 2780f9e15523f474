//! `ross`: the command line. It talks gRPC to rossd and shows what comes back; it knows nothing of how containers run.
//!
//! Two stages: `args` and `value` say what was typed, `request` what to ask for; `commands` ask and `render` shows.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod connect;
mod credentials;
mod failure;
mod render;
mod request;
mod session;
mod streams;
mod value;

use std::process::ExitCode;

fn main() -> ExitCode {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        session::restore_terminal();
        report(info);
    }));
    commands::main(std::env::args_os())
}
