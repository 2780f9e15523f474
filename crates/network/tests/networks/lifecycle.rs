//! Endpoints come and go: nothing is left, nothing is shared by mistake, everything is found again.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;

use crate::world::{
    OUTSIDE, Place, UPLINK, address, elements, hide, id, in_own_world, links, port, request, run, with_ports,
};
use ross_network::{EndpointRequest, HostAddress, NetworkConfig, NetworkMode, Networks, Protocol};
use ross_types::ErrorKind;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn nothing_is_left() {
    in_own_world(|world| {
        let networks = world.open();
        let ports = vec![
            port(None, 8080, 80, Protocol::Tcp),
            port(Some(UPLINK), 8081, 81, Protocol::Tcp),
            port(None, 8082, 82, Protocol::Udp),
        ];
        world.acquire(&networks, with_ports(1, ports));
        world.acquire(&networks, request(2, NetworkMode::None));
        world.acquire(&networks, request(3, NetworkMode::Host));
        assert_eq!(world.pins().len(), 2);
        assert_eq!(links("rv").len(), 1);
        assert_eq!(elements().len(), 3);
        assert_eq!(world.rows.len(), 3);
        for container in [1, 2, 3, 1, 99] {
            world.release(&networks, container);
        }
        world.assert_no_containers();
        world.wait(networks.close()).unwrap();
        world.assert_untouched();
        // And again from nothing.
        world.acquire(&networks, request(1, NetworkMode::Bridge));
        world.wait(networks.close()).unwrap();
        assert_eq!(links("ross"), ["ross0"], "close spares what is used");
        world.release(&networks, 1);
    });
}

#[test]
fn a_failure_leaves_nothing() {
    in_own_world(|world| {
        let networks = world.open();
        let fails = |request: EndpointRequest| world.wait(networks.acquire(request)).unwrap_err();
        world.acquire(&networks, with_ports(1, vec![port(None, 8080, 80, Protocol::Tcp)]));
        let held = TcpListener::bind((UPLINK, 9000)).unwrap();

        let both = |second| {
            with_ports(2, vec![port(None, 8081, 80, Protocol::Tcp), port(None, second, 80, Protocol::Tcp)])
        };
        let error = fails(both(8080));
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(error.to_string(), "port 0.0.0.0:8080/tcp is already allocated to container 010101010101");
        let error = fails(both(9000));
        assert_eq!(
            error.to_string(),
            "port 0.0.0.0:9000/tcp is already allocated by another program of this host"
        );
        drop(held);
        *world.rows.refuse.lock().unwrap() = true;
        assert_eq!(fails(both(8082)).kind(), ErrorKind::ResourceExhausted);
        *world.rows.refuse.lock().unwrap() = false;

        let fixed = |ip: [u8; 4]| EndpointRequest { ip: Some(ip.into()), ..request(3, NetworkMode::Bridge) };
        assert_eq!(fails(fixed([172, 30, 0, 2])).to_string(), "address 172.30.0.2 is already in use");
        assert_eq!(fails(fixed([10, 0, 0, 2])).kind(), ErrorKind::InvalidArgument);
        let again = fails(request(1, NetworkMode::Bridge));
        assert_eq!(again.to_string(), "container 010101010101 has a network endpoint already");
        assert_eq!(fails(request(4, NetworkMode::Container(id(5)))).kind(), ErrorKind::FailedPrecondition);

        // The pin's place is taken: the last but one step fails.
        let blocked = world.state.path().join("netns").join(id(6).as_str());
        fs::create_dir(&blocked).unwrap();
        assert_eq!(fails(request(6, NetworkMode::Bridge)).kind(), ErrorKind::Internal);
        fs::remove_dir(&blocked).unwrap();

        // The address and the first port of each failed attempt are free.
        let second = world.acquire(&networks, with_ports(2, vec![port(None, 8081, 80, Protocol::Tcp)]));
        assert_eq!(second.ports[0].host_port, 8081);
        assert_eq!(links("rv").len(), 2);
        assert_eq!(world.pins().len(), 2);
        for container in [1, 2] {
            world.release(&networks, container);
        }
        world.assert_no_containers();
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap();
    });
}

/// The step after the rules fails: they are gone again, too.
#[test]
fn a_host_that_cannot_forward_is_left_as_it_was() {
    in_own_world(|world| {
        let off = world.state.path().join("off");
        fs::write(&off, "0\n").unwrap();
        let switch = "/proc/sys/net/ipv4/ip_forward";
        run(&format!("mount --bind {} {switch}", off.display()));
        run(&format!("mount -o remount,bind,ro {switch}"));
        let networks = world.open();
        let error = world.wait(networks.acquire(request(1, NetworkMode::Bridge))).unwrap_err();
        assert!(error.to_string().contains("ip_forward"), "{error}");
        world.assert_untouched();
        assert!(!world.state.path().join("forwarding").exists());
        run(&format!("umount {switch}"));
        world.acquire(&networks, request(1, NetworkMode::Bridge));
        world.release(&networks, 1);
        world.wait(networks.close()).unwrap();
        world.assert_untouched();
    });
}

#[test]
fn modes() {
    in_own_world(|world| {
        let networks = world.open();
        let gateway = vec![("host".to_owned(), HostAddress::HostGateway)];
        let none = world.acquire(&networks, request(1, NetworkMode::None));
        assert_eq!((none.address, none.gateway, none.interface), (None, None, None));
        assert_eq!(links("ross"), Vec::<String>::new(), "mode none needs no bridge");
        let in_none = ross_network::Endpoint { address: None, gateway: None, interface: None, ..none };
        Place::Container(&in_none).serve(80);
        assert_eq!(
            Place::Container(&in_none).seen_as((Ipv4Addr::LOCALHOST, 80)).unwrap(),
            Ipv4Addr::LOCALHOST
        );

        let host = EndpointRequest { extra_hosts: gateway.clone(), ..request(2, NetworkMode::Host) };
        let host = world.acquire(&networks, host);
        assert_eq!(host.netns, None);
        assert!(host.hosts_file.ends_with("127.0.0.1\thost\n"));

        let bridged = EndpointRequest {
            extra_hosts: gateway,
            ip: Some(Ipv4Addr::new(172, 30, 7, 7)),
            mac: Some([2, 0, 0, 0, 0, 9]),
            ..request(3, NetworkMode::Bridge)
        };
        let bridged = world.acquire(&networks, bridged);
        assert_eq!(address(&bridged), Ipv4Addr::new(172, 30, 7, 7));
        assert!(bridged.hosts_file.contains("172.30.0.1\thost\n"));
        let shown = Place::Container(&bridged).enter(|| run("ip -o link show dev eth0"));
        assert!(shown.contains("02:00:00:00:00:09"), "{shown}");

        let sharing = world.acquire(&networks, request(4, NetworkMode::Container(id(3))));
        assert_eq!(sharing.netns, bridged.netns);
        assert_eq!(sharing.hosts_file, bridged.hosts_file);
        world.release(&networks, 4);
        assert!(bridged.netns.as_ref().unwrap().exists(), "it was not the sharer's to remove");
        let sharing = world.acquire(&networks, request(4, NetworkMode::Container(id(2))));
        assert_eq!(sharing.netns, None);
    });
}

#[test]
fn many_at_once() {
    in_own_world(|world| {
        let networks = world.open();
        let endpoints = world.wait(async {
            let tasks: Vec<_> = (1..=20)
                .map(|container| {
                    let networks = networks.clone();
                    let mut ports = vec![port(None, 8000 + u16::from(container), 80, Protocol::Tcp)];
                    ports.push(ross_network::PortMapping { host_port: None, ..ports[0].clone() });
                    tokio::spawn(async move { networks.acquire(with_ports(container, ports)).await.unwrap() })
                })
                .collect();
            let mut endpoints = Vec::new();
            for task in tasks {
                endpoints.push(task.await.unwrap());
            }
            endpoints
        });
        let addresses: BTreeSet<_> = endpoints.iter().map(address).collect();
        assert_eq!(addresses.len(), 20);
        let ephemeral: BTreeSet<_> = endpoints.iter().map(|endpoint| endpoint.ports[1].host_port).collect();
        assert_eq!(ephemeral.len(), 20);
        assert_eq!(elements().len(), 40);
        world.wait(async {
            let tasks: Vec<_> = (1..=20)
                .map(|container| {
                    let networks = networks.clone();
                    tokio::spawn(async move { networks.release(&id(container)).await.unwrap() })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            networks.settle().await.unwrap();
        });
        world.assert_no_containers();
    });
}

#[test]
fn a_new_daemon_finds_the_living_and_buries_the_dead() {
    in_own_world(|world| {
        let before = world.open();
        let one = world.acquire(&before, with_ports(1, vec![port(None, 8080, 80, Protocol::Tcp)]));
        world.acquire(&before, with_ports(2, vec![port(None, 8081, 80, Protocol::Tcp)]));
        let namesake = world.acquire(&before, request(3, NetworkMode::None));
        Place::Container(&one).serve(80);
        drop(before);
        // Left by a crash between two steps.
        fs::write(world.state.path().join("netns").join("stray"), "").unwrap();
        run("ip link add rv0123456789ab type veth peer name rvpeer");
        run("ip link set rv0123456789ab master ross0");
        run("nft flush ruleset");
        let outside = Place::Namespace(&world.outside);
        assert!(outside.is_refused((UPLINK, 8080)));
        TcpListener::bind((UPLINK, 8080)).expect("the port is held by nobody");

        let after = world.open();
        world.wait(after.reconcile(&[id(1), id(3)])).unwrap();
        assert_eq!(outside.seen_as((UPLINK, 8080)).unwrap(), OUTSIDE);
        assert!(outside.is_refused((UPLINK, 8081)));
        TcpListener::bind((UPLINK, 8080)).expect_err("the port is held again");
        assert_eq!(elements().len(), 1);
        assert_eq!(links("rv").len(), 1);
        let mut pins = [one.netns.clone().unwrap(), namesake.netns.unwrap()];
        let mut found = world.pins();
        pins.sort();
        found.sort();
        assert_eq!(found, pins);
        let next = world.acquire(&after, request(4, NetworkMode::Bridge));
        assert_eq!(address(&next), Ipv4Addr::new(172, 30, 0, 4), "goes on after the leases it found");

        // Nothing alive: nothing at all is left. (A daemon that lived on would put its rules back.)
        drop(after);
        let last = world.open();
        world.wait(last.reconcile(&[])).unwrap();
        world.assert_untouched();
    });
}

#[test]
fn repairs_what_others_removed() {
    in_own_world(|world| {
        let networks = world.open();
        let publish =
            |container, host_port| with_ports(container, vec![port(None, host_port, 80, Protocol::Tcp)]);
        let one = world.acquire(&networks, publish(1, 8080));
        Place::Container(&one).serve(80);
        let works = || Place::Namespace(&world.outside).seen_as((UPLINK, 8080)).unwrap() == OUTSIDE;
        assert!(works());

        run("nft flush ruleset");
        world.acquire(&networks, publish(2, 8081));
        assert!(works(), "the next container brings the whole table back");
        assert_eq!(elements().len(), 2);

        run("ip link del ross0");
        world.acquire(&networks, publish(3, 8082));
        assert!(works(), "and the bridge, with the others on it");

        run("nft flush ruleset");
        run("ip link del ross0");
        world.wait(networks.reconcile(&[id(1), id(2), id(3)])).unwrap();
        assert!(works());
        for container in [1, 2, 3] {
            world.release(&networks, container);
        }
        world.assert_no_containers();
    });
}

/// What a reload of the host's firewall does: nothing else brings the rules back for containers without ports.
#[test]
fn a_flushed_ruleset_comes_back() {
    in_own_world(|world| {
        let networks = world.open();
        world.acquire(&networks, with_ports(1, vec![port(None, 8080, 80, Protocol::Tcp)]));
        let before = run("nft list ruleset");
        for removal in ["nft flush ruleset", "nft delete table inet ross", "nft flush table inet ross"] {
            run(removal);
            world.until(|| run("nft list ruleset") == before);
        }
        run("nft add table inet other");
        run("nft delete table inet other");
        world.release(&networks, 1);
        world.wait(networks.close()).unwrap();
        world.assert_untouched();
    });
}

#[test]
fn clear_of_others() {
    in_own_world(|world| {
        run("ip addr add 172.30.99.1/24 dev up0");
        let networks = world.open();
        let one = world.acquire(&networks, request(1, NetworkMode::Bridge));
        assert_eq!(one.address.unwrap().to_string(), "172.29.0.2/16", "the next subnet that is free");

        // Another daemon with the same bridge name is refused; with its own it lives beside this one.
        let elsewhere = tempfile::tempdir_in("/run").unwrap();
        let config = NetworkConfig {
            state: elsewhere.path().to_owned(),
            records: std::sync::Arc::new(crate::world::Rows::default()),
            ..world.config()
        };
        let rival = world.wait(Networks::open(config.clone())).unwrap();
        let error = world.wait(rival.acquire(request(2, NetworkMode::Bridge))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
        assert!(error.to_string().starts_with("bridge ross0 belongs to `ross /run/ross-net"), "{error}");

        let bridge = NetworkConfig::bridge_for(elsewhere.path());
        let beside = world.wait(Networks::open(NetworkConfig { bridge: bridge.clone(), ..config })).unwrap();
        let two = world.acquire(&beside, with_ports(2, vec![port(None, 8080, 80, Protocol::Tcp)]));
        assert_eq!(two.address.unwrap().to_string(), "172.28.0.2/16");
        Place::Container(&two).serve(80);
        assert!(Place::Container(&one).is_ignored((address(&two), 80)), "networks are closed to each other");
        assert_eq!(Place::Namespace(&world.outside).seen_as((UPLINK, 8080)).unwrap(), OUTSIDE);
        world.wait(networks.reconcile(&[id(1)])).unwrap();
        assert_eq!(links("rv").len(), 2, "each daemon cleans up its own only");
        world.release(&beside, 2);
        world.wait(beside.close()).unwrap();
        assert_eq!(links("ross"), ["ross0"]);
        world.release(&networks, 1);
        world.wait(networks.close()).unwrap();
        run("ip addr del 172.30.99.1/24 dev up0");
        world.assert_untouched();
    });
}

#[test]
fn ports_of_other_programs_are_respected_and_ours_held() {
    in_own_world(|world| {
        let networks = world.open();
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 5353)).unwrap();
        let udp = || with_ports(1, vec![port(None, 5353, 53, Protocol::Udp)]);
        let error = world.wait(networks.acquire(udp())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "port 0.0.0.0:5353/udp is already allocated by another program of this host"
        );
        drop(taken);
        world.acquire(&networks, udp());
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 5353)).expect_err("held for the container");
        world.release(&networks, 1);
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 5353)).unwrap();
    });
}

#[test]
fn says_what_to_install() {
    in_own_world(|world| {
        for folder in ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin"] {
            let program = Path::new(folder).join("nft");
            if program.is_file() {
                hide(&program);
            }
        }
        let networks = world.open();
        let error = world.wait(networks.acquire(request(1, NetworkMode::Bridge))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
        assert!(error.to_string().contains("install the package nftables"), "{error}");
        assert_eq!(world.rows.len(), 0);
        assert_eq!(links("ross"), Vec::<String>::new(), "no bridge without rules");
        assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim(), "0");
        world.acquire(&networks, request(1, NetworkMode::None));
    });
}

/// More ports than one netlink message holds, and more sockets than a process may open at first.
#[test]
fn a_range_of_ports() {
    in_own_world(|world| {
        let ours = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: ours.maximum, ..ours }).unwrap();
        let networks = world.open();
        let range = 10_000..11_500;
        let ports: Vec<_> = range.map(|number| port(None, number, number, Protocol::Udp)).collect();
        let one = world.acquire(&networks, with_ports(1, ports));
        assert_eq!(one.ports.len(), 1_500);
        assert_eq!(elements().len(), 1_500);
        Place::Container(&one).serve(11_499);
        let outside = Place::Namespace(&world.outside);
        assert_eq!(outside.seen_as_udp((UPLINK, 11_499)).unwrap(), OUTSIDE);
        // Some are gone already: the rest still goes.
        run("nft delete element inet ross published4 { udp . 10500 }");
        world.release(&networks, 1);
        world.assert_no_containers();
    });
}

#[test]
fn a_stock_is_used_refilled_and_drained() {
    in_own_world(|world| {
        let networks = world.open();
        networks.keep_ready(2);
        assert_eq!(links("rv"), Vec::<String>::new(), "nothing before the first");
        let one = world.acquire(&networks, request(1, NetworkMode::Bridge));
        assert_eq!(address(&one), Ipv4Addr::new(172, 30, 0, 2));
        let stocked = |count| world.until(|| links("rv").len() == count);
        stocked(3);
        assert_eq!(world.rows.len(), 1, "the stock has no rows");
        assert_eq!(world.pins().len(), 1, "and no pins");

        let ports = vec![port(None, 8080, 80, Protocol::Tcp)];
        let two = world.acquire(&networks, with_ports(2, ports));
        assert!([3, 4].contains(&address(&two).octets()[3]), "{two:?}");
        assert_eq!(two.mac.unwrap(), [2, 0x52, 172, 30, 0, address(&two).octets()[3]]);
        Place::Container(&two).serve(80);
        assert_eq!(Place::Namespace(&world.outside).seen_as((UPLINK, 8080)).unwrap(), OUTSIDE);
        assert_eq!(Place::Container(&one).seen_as((address(&two), 80)).unwrap(), address(&one));
        stocked(4);

        // An address that is in stock is nobody's yet.
        for last in 5..=7 {
            let fixed = EndpointRequest {
                ip: Some(Ipv4Addr::new(172, 30, 0, last)),
                ..request(last, NetworkMode::Bridge)
            };
            assert_eq!(address(&world.acquire(&networks, fixed)).octets()[3], last);
        }
        // A stock on a bridge that is gone is of no use.
        stocked(7);
        run("ip link del ross0");
        let eight = world.acquire(&networks, request(8, NetworkMode::Bridge));
        assert_eq!(Place::Container(&two).seen_as((address(&two), 80)).unwrap(), address(&two));
        assert_eq!(Place::Container(&eight).seen_as((address(&two), 80)).unwrap(), address(&eight));

        for container in [1, 2, 5, 6, 7, 8] {
            world.release(&networks, container);
        }
        world.wait(networks.close()).unwrap();
        world.assert_untouched();
    });
}
