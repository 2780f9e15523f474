//! A small world for one test: a "host" that is a network and mount namespace of the test's own thread, with an
//! uplink to an "outside" namespace. The machine's own network, mounts and firewall are never touched.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ross_network::{
    DnsOptions, Endpoint, EndpointRecord, EndpointRequest, NetworkConfig, NetworkMode, NetworkRecords,
    Networks, PortMapping, Protocol, RecordsError,
};
use ross_types::{ContainerId, ErrorKind};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::thread::UnshareFlags;

/// The host's address on the uplink.
pub const UPLINK: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The outside's address on it.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

const ANSWER: Duration = Duration::from_secs(5);
/// How long silence is waited for where packets must be dropped.
const SILENCE: Duration = Duration::from_millis(400);

/// Rows in memory, in their disk form.
#[derive(Debug, Default)]
pub struct Rows {
    rows: Mutex<BTreeMap<ContainerId, String>>,
    pub refuse: Mutex<bool>,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.rows.lock().unwrap().len()
    }
}

impl NetworkRecords for Rows {
    fn put_endpoint(&self, record: &EndpointRecord) -> Result<(), RecordsError> {
        if *self.refuse.lock().unwrap() {
            return Err(RecordsError::new(ErrorKind::ResourceExhausted, "disk full"));
        }
        let text = serde_json::to_string(record).unwrap();
        self.rows.lock().unwrap().insert(record.container.clone(), text);
        Ok(())
    }

    fn remove_endpoint(&self, container: &ContainerId) -> Result<(), RecordsError> {
        self.rows.lock().unwrap().remove(container);
        Ok(())
    }

    fn endpoints(&self) -> Result<Vec<EndpointRecord>, RecordsError> {
        Ok(self.rows.lock().unwrap().values().map(|text| serde_json::from_str(text).unwrap()).collect())
    }
}

pub struct World {
    pub state: tempfile::TempDir,
    pub rows: Arc<Rows>,
    pub outside: OwnedFd,
    runtime: tokio::runtime::Runtime,
}

/// Runs `test` in a world of its own.
pub fn in_own_world(test: impl FnOnce(&World) + Send + 'static) {
    assert!(rustix::process::geteuid().is_root(), "network and mount namespaces need root");
    for program in ["nft", "ip"] {
        assert!(Command::new(program).arg("-V").output().is_ok(), "the program {program} is not installed");
    }
    // A failed assertion panics the thread, and join hands it on; the namespaces go with the thread either way.
    let thread = thread::spawn(move || test(&World::make().unwrap()));
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

impl World {
    fn make() -> io::Result<Self> {
        ross_sys::ns::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS)?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), None)?;
        run("ip link set lo up");
        run("ip netns add outside");
        run("ip link add up0 type veth peer name out0 netns outside");
        run("ip addr add 203.0.113.1/24 dev up0");
        run("ip link set up0 up mtu 1400");
        run("ip -n outside link set lo up");
        run("ip -n outside link set out0 up mtu 1400");
        run("ip -n outside addr add 203.0.113.2/24 dev out0");
        run("ip route add default via 203.0.113.2");
        run("ip -n outside route add 172.16.0.0/12 via 203.0.113.1");
        Ok(Self {
            state: tempfile::Builder::new().prefix("ross-net").tempdir_in("/run")?,
            rows: Arc::default(),
            outside: File::open("/run/netns/outside")?.into(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        })
    }

    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub fn config(&self) -> NetworkConfig {
        NetworkConfig {
            state: self.state.path().to_owned(),
            records: self.rows.clone(),
            default_subnet: None,
            bridge: "ross0".into(),
        }
    }

    /// What a daemon has after it started.
    pub fn open(&self) -> Networks {
        self.wait(Networks::open(self.config())).unwrap()
    }

    pub fn acquire(&self, networks: &Networks, request: EndpointRequest) -> Endpoint {
        self.wait(networks.acquire(request)).unwrap()
    }

    pub fn release(&self, networks: &Networks, container: u8) {
        self.wait(networks.release(&id(container))).unwrap();
        self.wait(networks.settle()).unwrap();
    }

    /// Waits for `condition`, which work in the background brings about.
    pub fn until(&self, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + ANSWER;
        while !condition() {
            assert!(Instant::now() < deadline, "the background is too slow");
            // Lets the runtime's tasks run.
            self.wait(tokio::task::yield_now());
        }
    }

    pub fn pins(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.state.path().join("netns")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Fails when anything of a container is left.
    pub fn assert_no_containers(&self) {
        assert_eq!(self.pins(), Vec::<PathBuf>::new());
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let pinned = mounts.lines().filter(|line| line.contains(self.state.path().to_str().unwrap()));
        assert_eq!(pinned.collect::<Vec<_>>(), Vec::<&str>::new());
        assert_eq!(links("rv"), Vec::<String>::new());
        assert_eq!(elements(), Vec::<String>::new());
        assert_eq!(self.rows.len(), 0);
    }

    /// Fails when anything at all is left.
    pub fn assert_untouched(&self) {
        self.assert_no_containers();
        assert_eq!(links("ross"), Vec::<String>::new());
        assert_eq!(run("nft list ruleset"), "");
        assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim(), "0");
    }
}

pub fn id(container: u8) -> ContainerId {
    ContainerId::from_random([container; 32])
}

pub fn request(container: u8, mode: NetworkMode) -> EndpointRequest {
    EndpointRequest {
        container: id(container),
        name: format!("c{container}"),
        hostname: format!("h{container}"),
        mode,
        ports: Vec::new(),
        ip: None,
        mac: None,
        dns: DnsOptions::default(),
        extra_hosts: Vec::new(),
    }
}

pub fn with_ports(container: u8, ports: Vec<PortMapping>) -> EndpointRequest {
    EndpointRequest { ports, ..request(container, NetworkMode::Bridge) }
}

pub fn port(
    host_ip: Option<Ipv4Addr>,
    host_port: u16,
    container_port: u16,
    protocol: Protocol,
) -> PortMapping {
    PortMapping { host_ip: host_ip.map(IpAddr::V4), host_port: Some(host_port), container_port, protocol }
}

pub fn run(command: &str) -> String {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Names of links that begin with `prefix`.
pub fn links(prefix: &str) -> Vec<String> {
    let text = run("ip -o link show");
    let names = text.lines().filter_map(|line| line.split([':', '@']).nth(1)).map(str::trim);
    names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
}

/// Elements of the published maps, as nft prints them.
pub fn elements() -> Vec<String> {
    let text = run("nft list ruleset");
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let maps = words.split("map ").skip(1).filter_map(|map| map.split_once("elements = {"));
    let lists = maps.map(|(_, list)| list.split('}').next().unwrap().to_owned());
    lists
        .flat_map(|list| list.split(',').map(|element| element.trim().to_owned()).collect::<Vec<_>>())
        .collect()
}

/// Where a test stands when it opens a socket.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    Host,
    Container(&'a Endpoint),
    Namespace(&'a OwnedFd),
}

impl Place<'_> {
    pub fn enter<T: Send>(self, work: impl FnOnce() -> T + Send) -> T {
        match self {
            Self::Host => work(),
            Self::Namespace(fd) => ross_sys::netns::within(fd.as_fd(), work).unwrap(),
            Self::Container(endpoint) => {
                let pin = File::open(endpoint.netns.as_ref().unwrap()).unwrap();
                ross_sys::netns::within(pin.as_fd(), work).unwrap()
            }
        }
    }

    /// Serves TCP and UDP on `port` for as long as the process lives: answers with the peer's address.
    pub fn serve(self, port: u16) {
        let (listener, socket) = self.enter(|| {
            let any = (Ipv4Addr::UNSPECIFIED, port);
            (TcpListener::bind(any).unwrap(), UdpSocket::bind(any).unwrap())
        });
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let peer = stream.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
                let _ = stream.write_all(peer.as_bytes());
            }
        });
        thread::spawn(move || {
            let mut buffer = [0; 16];
            while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(peer.ip().to_string().as_bytes(), peer);
            }
        });
    }

    /// Whom the server at `address` sees when it is called from here over TCP.
    pub fn seen_as(self, address: impl Into<SocketAddr>) -> io::Result<Ipv4Addr> {
        self.call(address.into(), ANSWER)
    }

    /// Whether a TCP connection to `address` gets no answer at all.
    pub fn is_ignored(self, address: impl Into<SocketAddr>) -> bool {
        match self.call(address.into(), SILENCE) {
            Err(error) => matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock),
            Ok(_) => false,
        }
    }

    /// Whether a TCP connection to `address` is refused.
    pub fn is_refused(self, address: impl Into<SocketAddr>) -> bool {
        self.call(address.into(), ANSWER).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    fn call(self, address: SocketAddr, patience: Duration) -> io::Result<Ipv4Addr> {
        let mut stream = self.enter(|| TcpStream::connect_timeout(&address, patience))?;
        stream.set_read_timeout(Some(patience))?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        text.parse().map_err(io::Error::other)
    }

    /// Whom the server at `address` sees over UDP.
    pub fn seen_as_udp(self, address: impl Into<SocketAddr>) -> io::Result<Ipv4Addr> {
        let socket = self.udp();
        ask(&socket, address.into())
    }

    pub fn udp(self) -> UdpSocket {
        let socket = self.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket
    }
}

pub fn ask(socket: &UdpSocket, address: SocketAddr) -> io::Result<Ipv4Addr> {
    socket.send_to(b"?", address)?;
    let mut buffer = [0; 64];
    let (length, _) = socket.recv_from(&mut buffer)?;
    String::from_utf8_lossy(&buffer[..length]).parse().map_err(io::Error::other)
}

pub fn address(endpoint: &Endpoint) -> Ipv4Addr {
    match endpoint.address.unwrap().addr() {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => panic!("{address} is no IPv4 address"),
    }
}

/// Hides `program` in this world.
pub fn hide(program: &Path) {
    mount_bind("/dev/null", program).unwrap();
}
