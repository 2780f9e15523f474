//! A pull that finds everything, beside the one request it cannot do without.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Result, ensure};
use rootfs_fixtures::Registry;

use super::super::engines::Engine;
use super::super::sample::{Contender, compare};
use super::super::{Place, report};

pub fn measure(place: &Place, registry: &Registry, engines: &[Engine], reference: &str) -> Result<String> {
    let address = registry.address();
    let mut contenders: Vec<Contender<'_>> =
        engines.iter().map(|engine| Contender::plain(engine.name, || engine.pull(reference))).collect();
    contenders.push(Contender::plain("the manifest alone", || manifest(&address)));
    let measured = compare(contenders, place.samples);
    for engine in engines {
        engine.remove(reference).ok();
    }
    Ok(report::table("pull of what is there", &measured, "ross") + "\n")
}

/// Asks for the manifest as a pull does, over a connection of its own.
fn manifest(address: &str) -> Result<()> {
    let mut connection = TcpStream::connect(address)?;
    write!(
        connection,
        "GET /v2/bench/debian/manifests/1 HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Accept: application/vnd.oci.image.manifest.v1+json\r\n\r\n"
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "the registry answers {answer}");
    Ok(())
}
