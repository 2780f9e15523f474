//! The default bridge, published ports, the other modes, and that nothing of it outlives its container.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::harness::{Bed, Case, Need};

const NFT: Need = Need::Program("nft", "nftables");

pub const CASES: &[Case] = &[
    Case { name: "network/bridge-has-address-route-and-names", needs: &[NFT], run: bridge },
    Case { name: "network/containers-reach-each-other", needs: &[NFT], run: neighbours },
    Case { name: "network/published-tcp", needs: &[NFT], run: published_tcp },
    Case { name: "network/published-udp", needs: &[NFT], run: published_udp },
    Case { name: "network/published-on-one-address", needs: &[NFT], run: bound_address },
    Case { name: "network/busy-port", needs: &[NFT], run: busy_port },
    Case { name: "network/nat-to-the-outside", needs: &[NFT], run: outside },
    Case { name: "network/none-and-host", needs: &[], run: none_and_host },
    Case { name: "network/hosts-and-resolv-conf", needs: &[NFT], run: names },
    Case { name: "network/everything-goes-with-the-container", needs: &[NFT], run: gone },
    Case { name: "network/ports-work-after-kill-9", needs: &[NFT], run: after_crash },
];

const SERVE: [&str; 7] = ["httpd", "-f", "-p", "80", "-h", "/www", "-v"];

fn serve(bed: &mut Bed, name: &str, publish: &[&str]) -> Result<()> {
    let flags: Vec<&str> = publish.iter().flat_map(|port| ["-p", *port]).collect();
    bed.ross(&[&["run", "-d", "--name", name][..], &flags, &["busybox"], &SERVE].concat())?.ok()?;
    Ok(())
}

fn remove(bed: &mut Bed, names: &[&str]) -> Result<()> {
    bed.ross(&[&["rm", "-f"], names].concat())?.ok()?;
    Ok(())
}

fn address_of(bed: &mut Bed, name: &str) -> Result<String> {
    let out = bed.ross(&["inspect", name])?.ok()?;
    let value: serde_json::Value = serde_json::from_str(&out.stdout)?;
    Ok(value[0]["network"]["ipv4_address"].as_str().unwrap_or_default().to_owned())
}

/// The status line of GET / at `address`, asked again until the server in the container listens.
fn get(address: SocketAddr) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let asked = TcpStream::connect_timeout(&address, Duration::from_secs(5)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        });
        match asked {
            Ok(text) => return Ok(text.lines().next().unwrap_or_default().to_owned()),
            Err(error) if Instant::now() > deadline => {
                return Err(error).context(format!("GET http://{address}/"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn bridge(bed: &mut Bed) -> Result<()> {
    let shown = bed
        .ross(&["run", "--rm", "busybox", "sh", "-c", "ip -4 addr show eth0; ip route; ip addr show lo"])?
        .ok()?;
    for part in ["inet ", "default via", "dev eth0", "127.0.0.1/8", "LOWER_UP"] {
        shown.clone().says(part)?;
    }
    bed.ross(&[
        "run",
        "--rm",
        "--cap-add",
        "NET_RAW",
        "busybox",
        "sh",
        "-c",
        "ping -c 1 -W 5 $(ip route | awk '/default/{print $3}')",
    ])?
    .ok()?;
    Ok(())
}

fn neighbours(bed: &mut Bed) -> Result<()> {
    let name = bed.name("server");
    serve(bed, &name, &[])?;
    let address = address_of(bed, &name)?;
    let fetch = format!(
        "for i in 1 2 3 4 5 6 7 8 9; do wget -q -O - http://{address}/ && exit 0; sleep 0.2; done; exit 1"
    );
    bed.ross(&["run", "--rm", "busybox", "sh", "-c", &fetch])?.ok()?;
    // A container that shares the other's network sees the server on loopback.
    let shared = format!("container:{name}");
    bed.ross(&[
        "run",
        "--rm",
        "--network",
        &shared,
        "busybox",
        "wget",
        "-q",
        "-O",
        "-",
        "http://127.0.0.1/",
    ])?
    .ok()?;
    remove(bed, &[&name])
}

fn published_tcp(bed: &mut Bed) -> Result<()> {
    let name = bed.name("tcp");
    serve(bed, &name, &["18080:80", "80"])?;
    ensure!(get(local(18080))?.contains("200"), "the published port does not answer");
    // The other one got a port of the kernel's choice, which ps shows.
    let out = bed.ross(&["ps", "--format", "json"])?.ok()?;
    let list: serde_json::Value = serde_json::from_str(&out.stdout)?;
    let ports = list[0]["ports"].as_array().cloned().unwrap_or_default();
    let numbers: Vec<u64> = ports.iter().filter_map(|port| port["host_port"].as_u64()).collect();
    let ephemeral =
        numbers.iter().find(|port| **port != 18080 && **port != 0).context("no ephemeral port")?;
    ensure!(get(local(u16::try_from(*ephemeral)?))?.contains("200"));
    bed.ross(&["ps"])?.ok()?.says("18080->80/tcp")?;
    // By hairpin: another container, through the bridge's own address.
    let hairpin = "wget -q -O - http://$(ip route | awk '/default/{print $3}'):18080/";
    bed.ross(&["run", "--rm", "busybox", "sh", "-c", hairpin])?.ok()?;
    remove(bed, &[&name])?;
    ensure!(
        TcpStream::connect_timeout(&local(18080), Duration::from_secs(2)).is_err(),
        "the port is still open"
    );
    Ok(())
}

fn published_udp(bed: &mut Bed) -> Result<()> {
    let name = bed.name("udp");
    // Debian's busybox has no server for udp; this program is one, run in the host's tree within the container.
    let own = std::env::current_exe()?.to_string_lossy().into_owned();
    let echo = [
        "-v",
        "/:/host:ro",
        "-p",
        "15353:5353/udp",
        "busybox",
        "chroot",
        "/host",
        &own,
        "--udp-echo",
        "5353",
    ];
    bed.ross(&[&["run", "-d", "--name", &name], &echo[..]].concat())?.ok()?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut buffer = [0; 16];
    loop {
        socket.send_to(b"ping", "127.0.0.1:15353")?;
        match socket.recv(&mut buffer) {
            Ok(read) if buffer[..read].starts_with(b"ping") => break,
            _ if Instant::now() > deadline => bail!("no answer over the published udp port"),
            _ => {}
        }
    }
    remove(bed, &[&name])
}

fn bound_address(bed: &mut Bed) -> Result<()> {
    let name = bed.name("bound");
    serve(bed, &name, &["127.0.0.2:18081:80"])?;
    ensure!(get(SocketAddr::from(([127, 0, 0, 2], 18081)))?.contains("200"));
    ensure!(
        TcpStream::connect_timeout(&local(18081), Duration::from_secs(2)).is_err(),
        "a port bound to one address answers on another"
    );
    remove(bed, &[&name])
}

fn busy_port(bed: &mut Bed) -> Result<()> {
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let port = listener.local_addr()?.port();
    let publish = format!("{port}:80");
    let name = bed.name("busy");
    let words = [&port.to_string()[..], "already"];
    bed.ross(&["run", "-d", "--name", &name, "-p", &publish, "busybox", "sleep", "1000"])?
        .exits(125)?
        .complains(&words)?;
    // It stays created, and starts once the port is free.
    bed.ross(&["ps", "-a", "--filter", &format!("name={name}")])?.ok()?.says("Created")?;
    drop(listener);
    bed.ross(&["start", &name])?.ok()?;
    let other = bed.name("busy-too");
    bed.ross(&["run", "-d", "--name", &other, "-p", &publish, "busybox", "true"])?
        .exits(125)?
        .complains(&words)?;
    remove(bed, &[&name, &other])
}

fn outside(bed: &mut Bed) -> Result<()> {
    // A network namespace of our own plays the outside: what arrives there comes from this host's address.
    let world = Uplink::new()?;
    let fetch = "for i in 1 2 3 4 5 6 7 8 9; do wget -q -O - http://203.0.113.2/nothing 2>&1 | grep 404 && exit; sleep 0.2; done; exit 1";
    bed.ross(&["run", "--rm", "busybox", "sh", "-c", fetch])?.ok()?.says("404")?;
    let log = world.server_log()?;
    ensure!(log.contains("203.0.113.1"), "the container's own address shows outside: `{log}`");
    Ok(())
}

/// A namespace behind a veth pair, as the world outside, with a web server that logs who asks.
#[derive(Debug)]
struct Uplink {
    server: std::process::Child,
    log: std::path::PathBuf,
}

impl Uplink {
    fn new() -> Result<Self> {
        let script = "set -e; ip netns add rt-world; ip link add rt-uplink type veth peer name eth0 netns rt-world
            ip addr add 203.0.113.1/24 dev rt-uplink; ip link set rt-uplink up
            ip -n rt-world addr add 203.0.113.2/24 dev eth0; ip -n rt-world link set eth0 up; ip -n rt-world link set lo up";
        sh(script)?;
        let log = std::env::temp_dir().join(format!("rt-world.{}", std::process::id()));
        let server = Command::new("ip")
            .args(["netns", "exec", "rt-world", "busybox", "httpd", "-f", "-vv", "-p", "80", "-h", "/mnt"])
            .stderr(std::fs::File::create(&log)?)
            .stdin(std::process::Stdio::null())
            .spawn()?;
        Ok(Self { server, log })
    }

    fn server_log(&self) -> Result<String> {
        std::fs::read_to_string(&self.log).context("the server's log")
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_file(&self.log);
        let _ = sh(
            "ip netns del rt-world; ip link del rt-uplink 2>/dev/null; umount /run/netns; rmdir /run/netns; true",
        );
    }
}

fn sh(script: &str) -> Result<()> {
    let output = Command::new("sh").args(["-c", script]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

fn none_and_host(bed: &mut Bed) -> Result<()> {
    bed.ross(&["run", "--rm", "--network", "none", "busybox", "sh", "-c", "ls /sys/class/net"])?
        .ok()?
        .prints("lo")?;
    bed.ross(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--cap-add",
        "NET_RAW",
        "busybox",
        "ping",
        "-c",
        "1",
        "127.0.0.1",
    ])?
    .ok()?;
    let host = std::fs::read_link("/proc/self/ns/net")?.to_string_lossy().into_owned();
    bed.ross(&["run", "--rm", "--network", "host", "busybox", "readlink", "/proc/self/ns/net"])?
        .ok()?
        .prints(&host)?;
    bed.ross(&["run", "--rm", "--network", "no-such-network", "busybox", "true"])?
        .exits(125)?
        .complains(&["no-such-network"])?;
    Ok(())
}

fn names(bed: &mut Bed) -> Result<()> {
    let args = [
        "--name",
        "named",
        "-h",
        "box",
        "--add-host",
        "db:10.1.2.3",
        "--dns",
        "192.0.2.53",
        "--dns-search",
        "example.test",
    ];
    let show = ["busybox", "cat", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"];
    let shown = bed.ross(&[&["run", "--rm"], &args[..], &show].concat())?.ok()?;
    for part in
        ["127.0.0.1", "localhost", "box", "10.1.2.3\tdb", "nameserver 192.0.2.53", "search example.test"]
    {
        shown.clone().says(part)?;
    }
    bed.ross(&[
        "run",
        "--rm",
        "-h",
        "box",
        "--cap-add",
        "NET_RAW",
        "busybox",
        "ping",
        "-c",
        "1",
        "-W",
        "5",
        "box",
    ])?
    .ok()?;
    Ok(())
}

fn gone(bed: &mut Bed) -> Result<()> {
    let count = |what: &str| -> Result<usize> {
        let output = Command::new("sh").args(["-c", what]).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().count())
    };
    let name = bed.name("first");
    bed.ross(&["run", "--rm", "busybox", "true"])?.ok()?;
    // The daemon keeps a few endpoints ready, and makes them when it likes.
    let links = "ls /sys/class/net | grep -v ^rv";
    let elements = "nft list ruleset | grep -o '18082\\|18083' || true";
    let mounts = "grep -v /state/netns/ /proc/self/mountinfo";
    let before = (count(links)?, count(mounts)?);
    serve(bed, &name, &["18082:80", "18083:80/udp"])?;
    ensure!(count(elements)? > 0, "no rule for the published port");
    remove(bed, &[&name])?;
    ensure!(count(elements)? == 0, "rules of a removed container stay");
    let after = (count(links)?, count(mounts)?);
    ensure!(before == after, "links and mounts before {before:?}, after {after:?}");
    Ok(())
}

fn after_crash(bed: &mut Bed) -> Result<()> {
    let name = bed.name("crash");
    serve(bed, &name, &["18084:80"])?;
    ensure!(get(local(18084))?.contains("200"));
    bed.daemon()?.crash_and_restart()?;
    ensure!(get(local(18084))?.contains("200"), "the published port is gone after kill -9");
    let other = bed.name("crash-too");
    bed.ross(&["run", "-d", "--name", &other, "-p", "18084:80", "busybox", "true"])?
        .exits(125)?
        .complains(&["18084"])?;
    // Addresses are not handed out twice.
    let again = bed.name("fresh");
    serve(bed, &again, &[])?;
    ensure!(address_of(bed, &name)? != address_of(bed, &again)?, "one address for two containers");
    remove(bed, &[&name, &other, &again])
}
