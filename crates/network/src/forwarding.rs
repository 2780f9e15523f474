//! Making the host forward, without making it a router for others.
//!
//! `ip_forward` is one switch for all interfaces. When ross turns it on, the interfaces there are by then are
//! written to a file in the state directory, and the table drops what would newly pass between them. A host that
//! forwarded before is left as it is.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::netlink::route::RouteSocket;
use crate::{Error, bridge, veth};

const SWITCH: &str = "net/ipv4/ip_forward";

fn note(state: &Path) -> PathBuf {
    state.join("forwarding")
}

fn is_on() -> Result<bool, Error> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_forward");
    text.map(|text| text.trim() != "0").map_err(|error| Error::io("read net.ipv4.ip_forward", error))
}

/// The interfaces between which ross must not let the host forward; to be called, and heeded, before [`enable`].
pub(crate) fn guarded(state: &Path, host: &mut RouteSocket, bridge: &str) -> Result<Vec<String>, Error> {
    let note = note(state);
    if is_on()? {
        return match fs::read_to_string(&note) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io(format!("read {}", note.display()), error)),
        };
    }
    let failed = |error| Error::io(format!("write {}", note.display()), error);
    let guarded: Vec<String> = other_links(host, bridge)?.into_iter().collect();
    let staged = note.with_extension("new");
    fs::write(&staged, guarded.join("\n")).map_err(failed)?;
    fs::rename(&staged, &note).map_err(failed)?;
    Ok(guarded)
}

/// Turns forwarding on where it is off.
pub(crate) fn enable() -> Result<(), Error> {
    bridge::set(SWITCH, "1")
}

/// Turns forwarding off again if ross turned it on and no interface came since that may need it.
pub(crate) fn restore(state: &Path, host: &mut RouteSocket, bridge: &str) -> Result<(), Error> {
    let note = note(state);
    let Ok(text) = fs::read_to_string(&note) else { return Ok(()) };
    let guarded: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    if other_links(host, bridge)?.is_subset(&guarded) {
        bridge::set(SWITCH, "0")?;
    }
    fs::remove_file(&note).map_err(|error| Error::io(format!("remove {}", note.display()), error))
}

fn other_links(host: &mut RouteSocket, bridge: &str) -> Result<BTreeSet<String>, Error> {
    let links = host.links().map_err(|error| Error::io("list links", error))?;
    let ours = |name: &str| name == "lo" || name == bridge || name.starts_with(veth::PREFIX);
    Ok(links.into_iter().map(|link| link.name).filter(|name| !ours(name)).collect())
}
