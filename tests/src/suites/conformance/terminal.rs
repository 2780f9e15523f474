//! `process.terminal` and `process.consoleSize`, over a console socket as shims use it.

use std::fs::File;
use std::io::{IoSliceMut, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};

use super::case::{Case, case};
use super::stage::Stage;

/// Seconds.
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

pub fn cases() -> Vec<Case> {
    vec![
        case("terminal/is-one", "config.md#process").steps(is_one),
        case("terminal/console-device", "config-linux.md#default-devices").steps(console),
        case("terminal/size", "config.md#process").steps(size),
        case("terminal/console-socket-missing", "runc: --console-socket").steps(no_socket),
    ]
}

/// What the probe says on a terminal whose master comes over the socket.
fn said(stage: &mut Stage) -> Result<Value> {
    let path = stage.bundle.dir.join("console");
    let listener = UnixListener::bind(&path).context("bind the console socket")?;
    stage.bundle.set("/process/terminal", json!(true));
    stage.words(&["wait"]);
    stage.call(&["create", "--console-socket", &path.to_string_lossy(), "ID"])?.ok()?;
    listener.set_nonblocking(true)?;
    let (connection, _) = listener.accept().context("the runtime has not come to the console socket")?;
    let mut name = [0; 4096];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&connection, &mut [IoSliceMut::new(&mut name)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let master = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let master = master.context("no descriptor came over the console socket")?;
    stage.start()?.ok()?;
    Stage::report(&line(master)?)
}

fn line(master: OwnedFd) -> Result<String> {
    let mut master = File::from(master);
    let mut text = Vec::new();
    while !text.contains(&b'\n') {
        let ready = poll(&mut [PollFd::new(&master, PollFlags::IN)], Some(&PATIENCE))?;
        ensure!(ready > 0, "nothing more came from the terminal after {}", String::from_utf8_lossy(&text));
        let mut buffer = [0; 4096];
        let read = master.read(&mut buffer).context("read from the terminal")?;
        text.extend_from_slice(&buffer[..read]);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn is_one(stage: &mut Stage) -> Result<()> {
    let terminal = said(stage)?["terminal"].clone();
    for what in ["controls", "stdout", "stderr"] {
        ensure!(terminal[what] == true, "{what}: {terminal}");
    }
    let name = terminal["name"].as_str().unwrap_or_default();
    ensure!(name.starts_with("/dev/pts/") || name == "/dev/console", "it is {name}");
    Ok(())
}

fn console(stage: &mut Stage) -> Result<()> {
    let report = said(stage)?;
    let device = &report["devices"]["console"];
    ensure!(device["type"] == "c", "/dev/console is {device}");
    let mount = &report["mounts"]["/dev/console"]["type"];
    ensure!(mount == "devpts", "/dev/console is mounted from {mount}");
    Ok(())
}

fn size(stage: &mut Stage) -> Result<()> {
    stage.bundle.set("/process/consoleSize", json!({"height": 31, "width": 97}));
    let terminal = said(stage)?["terminal"].clone();
    ensure!(terminal["rows"] == 31 && terminal["columns"] == 97, "{terminal}");
    Ok(())
}

/// Detached, a terminal has to go somewhere.
fn no_socket(stage: &mut Stage) -> Result<()> {
    stage.bundle.set("/process/terminal", json!(true));
    stage.words(&[]);
    stage.create()?.complains(&[])?;
    stage.is_gone()
}
