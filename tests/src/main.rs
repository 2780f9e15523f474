//! The end-to-end and conformance suites, as one program: `ross-tests [--list] [--bin DIR] [--part N/M]
//! [FILTER]...`, or `ross-tests --conformance [--bin DIR] [--runtime PATH]... [--report FILE] [FILTER]...` for a table
//! of several runtimes.
//!
//! A case declares what it needs. One whose needs this machine lacks is counted as skipped, with the reason, in the
//! summary. After the cases the run looks for anything left behind and fails if it finds something.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a test program reports on stdout")]

mod harness;
mod suites;

use std::process::ExitCode;

use anyhow::Result;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ross-tests: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool> {
    if let [flag, port] = &std::env::args().skip(1).collect::<Vec<_>>()[..]
        && flag == "--udp-echo"
    {
        return udp_echo(port.parse()?);
    }
    let options = harness::Options::parse(std::env::args().skip(1))?;
    if options.conformance {
        return suites::compare(&options);
    }
    harness::run(&options, &suites::all())
}

/// Sends every datagram back: the server of a case about udp, run inside a container.
fn udp_echo(port: u16) -> Result<bool> {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", port))?;
    let mut buffer = [0; 2048];
    loop {
        let (read, sender) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..read], sender)?;
    }
}
