//! `ross-runtime`: runc's command line over the library.
//!
//! Arguments become a typed command in `arguments`; `commands` carries it out; `foreground` waits for a program and
//! passes signals and terminal on; `protect` keeps containers from this executable. Nothing here knows namespaces.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_main)]

mod arguments;
mod commands;
mod events;
mod exec_process;
mod foreground;
mod inherited;
mod log;
mod notify;
mod processes;
mod protect;
mod render;
mod socket;

#[cfg(not(test))]
ross_sys::entry!(run);

/// The tests have a beginning of their own.
#[cfg(test)]
fn main() {
    run();
}

/// Returns the exit code.
fn run() -> u8 {
    protect::protect_executable();
    if ross_sys::entry::prepare().is_err() {
        return 1;
    }
    let (global, command) = arguments::parse(std::env::args_os().skip(1));
    let command = command.and_then(|command| match inherited::check(&command) {
        Ok(()) => Ok(command),
        Err(error) => Err((error, command.code_of_failure())),
    });
    let log = match log::Log::open(&global) {
        Ok(log) => log,
        Err(error) => return log::Log::stderr_only().fail(&error, 1),
    };
    let command = match command {
        Ok(command) => command,
        Err((error, code)) => return log.fail(&error, code),
    };
    let code_of_failure = command.code_of_failure();
    match commands::run(&global, command, &log) {
        Ok(code) => code,
        Err(error) => log.fail(&error, code_of_failure),
    }
}
