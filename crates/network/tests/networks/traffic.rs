//! What gets through, and what must not: real sockets in real namespaces.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::world::{
    OUTSIDE, Place, UPLINK, World, address, ask, elements, id, in_own_world, port, request, run, with_ports,
};
use ross_network::{NetworkMode, Protocol};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);

#[test]
fn neighbours_and_the_outside() {
    in_own_world(|world| {
        let networks = world.open();
        world.assert_untouched();
        let one = world.acquire(&networks, request(1, NetworkMode::Bridge));
        let two = world.acquire(&networks, request(2, NetworkMode::Bridge));
        assert_eq!(one.address.unwrap().to_string(), "172.30.0.2/16");
        assert_eq!(two.address.unwrap().to_string(), "172.30.0.3/16");
        assert_eq!(one.gateway.unwrap(), GATEWAY);
        assert_eq!(one.mac.unwrap(), [2, 0x52, 172, 30, 0, 2]);
        assert_eq!(one.interface.as_deref(), Some("eth0"));
        assert!(one.hosts_file.ends_with("172.30.0.2\th1 c1\n"), "{}", one.hosts_file);

        Place::Container(&one).serve(80);
        Place::Namespace(&world.outside).serve(7);
        Place::Host.serve(9);
        let from_two = Place::Container(&two);
        assert_eq!(from_two.seen_as((address(&one), 80)).unwrap(), address(&two));
        assert_eq!(from_two.seen_as_udp((address(&one), 80)).unwrap(), address(&two));
        assert_eq!(Place::Container(&one).seen_as((Ipv4Addr::LOCALHOST, 80)).unwrap(), Ipv4Addr::LOCALHOST);
        assert_eq!(from_two.seen_as((OUTSIDE, 7)).unwrap(), UPLINK, "masqueraded");
        assert_eq!(from_two.seen_as_udp((OUTSIDE, 7)).unwrap(), UPLINK, "masqueraded");
        assert_eq!(from_two.seen_as((GATEWAY, 9)).unwrap(), address(&two), "the host itself");
        assert_eq!(Place::Host.seen_as((address(&one), 80)).unwrap(), GATEWAY);

        let mtu = Place::Container(&one).enter(|| run("ip -o link show dev eth0"));
        assert!(mtu.contains(" mtu 1400 "), "follows the uplink: {mtu}");
        let six = Place::Container(&one).enter(|| run("ip -6 -o addr show dev eth0"));
        assert_eq!(six, "", "no IPv6 that nobody asked for");
    });
}

#[test]
fn published_on_all_addresses() {
    in_own_world(published_everywhere);
}

/// Whether packets between ports of a bridge pass the host's rules changes the way of those to a neighbour.
#[test]
fn published_without_br_netfilter() {
    in_own_world(|world| {
        let switch = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
        if switch.exists() {
            fs::write(switch, "0").unwrap();
        }
        published_everywhere(world);
    });
}

fn published_everywhere(world: &World) {
    let networks = world.open();
    let ports = vec![port(None, 8080, 80, Protocol::Tcp), port(None, 8080, 80, Protocol::Udp)];
    let one = world.acquire(&networks, with_ports(1, ports));
    let two = world.acquire(&networks, request(2, NetworkMode::Bridge));
    assert_eq!(one.ports[0].host_ip, Ipv4Addr::UNSPECIFIED);
    assert_eq!(one.ports[0].host_port, 8080);
    Place::Container(&one).serve(80);

    let check = |place: Place<'_>, to: Ipv4Addr, seen: Ipv4Addr| {
        assert_eq!(place.seen_as((to, 8080)).unwrap(), seen, "tcp to {to}");
        assert_eq!(place.seen_as_udp((to, 8080)).unwrap(), seen, "udp to {to}");
    };
    check(Place::Namespace(&world.outside), UPLINK, OUTSIDE);
    check(Place::Host, Ipv4Addr::LOCALHOST, GATEWAY);
    check(Place::Host, Ipv4Addr::new(127, 0, 0, 5), GATEWAY);
    check(Place::Host, UPLINK, UPLINK);
    check(Place::Container(&two), UPLINK, GATEWAY);
    check(Place::Container(&two), GATEWAY, GATEWAY);
    check(Place::Container(&one), UPLINK, GATEWAY);
    assert!(Place::Namespace(&world.outside).is_refused((UPLINK, 8081)));

    world.release(&networks, 1);
    assert!(Place::Namespace(&world.outside).is_refused((UPLINK, 8080)));
    assert_eq!(elements(), Vec::<String>::new());
}

#[test]
fn published_on_one_address() {
    in_own_world(|world| {
        let networks = world.open();
        let ports = vec![
            port(Some(Ipv4Addr::LOCALHOST), 8081, 80, Protocol::Tcp),
            port(Some(UPLINK), 8082, 80, Protocol::Tcp),
        ];
        let one = world.acquire(&networks, with_ports(1, ports));
        Place::Container(&one).serve(80);
        let outside = Place::Namespace(&world.outside);
        assert_eq!(Place::Host.seen_as((Ipv4Addr::LOCALHOST, 8081)).unwrap(), GATEWAY);
        assert!(outside.is_refused((UPLINK, 8081)));
        assert_eq!(outside.seen_as((UPLINK, 8082)).unwrap(), OUTSIDE);
        assert!(Place::Host.is_refused((Ipv4Addr::LOCALHOST, 8082)));

        // A neighbour on the wire that sends packets for 127.0.0.1 here (moby issue 45610).
        outside.enter(|| {
            run("ip addr flush dev lo");
            fs::write("/proc/sys/net/ipv4/conf/out0/route_localnet", "1").unwrap();
            run("ip route add 127.0.0.1/32 via 203.0.113.1");
        });
        assert!(outside.is_ignored((Ipv4Addr::LOCALHOST, 8081)));
    });
}

#[test]
fn what_must_not_get_through() {
    in_own_world(|world| {
        let networks = world.open();
        let one = world.acquire(&networks, with_ports(1, vec![port(None, 8080, 80, Protocol::Tcp)]));
        Place::Container(&one).serve(80);
        Place::Host.serve(9);
        let outside = Place::Namespace(&world.outside);
        assert_eq!(outside.seen_as((UPLINK, 8080)).unwrap(), OUTSIDE);
        assert!(outside.is_ignored((address(&one), 80)), "routed straight to the container's address");

        // The host's loopback from a container, CVE-2020-8558.
        Place::Container(&one).enter(|| {
            run("ip addr flush dev lo");
            fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").unwrap();
            run("ip route add 127.0.0.1/32 via 172.30.0.1");
        });
        assert!(Place::Container(&one).is_ignored((Ipv4Addr::LOCALHOST, 9)));
    });
}

#[test]
fn the_host_becomes_no_router_for_others() {
    in_own_world(|world| {
        run("ip netns add lan");
        run("ip link add lan0 type veth peer name eth0 netns lan");
        run("ip addr add 198.51.100.1/24 dev lan0");
        run("ip link set lan0 up");
        run("ip -n lan addr add 198.51.100.2/24 dev eth0");
        run("ip -n lan link set eth0 up");
        run("ip -n lan route add default via 198.51.100.1");
        run("ip -n outside route add 198.51.100.0/24 via 203.0.113.1");
        let lan = fs::File::open("/run/netns/lan").unwrap().into();
        Place::Namespace(&lan).serve(7);

        let networks = world.open();
        let one = world.acquire(&networks, request(1, NetworkMode::Bridge));
        assert!(Place::Namespace(&world.outside).is_ignored((Ipv4Addr::new(198, 51, 100, 2), 7)));
        let through = Place::Container(&one).seen_as((Ipv4Addr::new(198, 51, 100, 2), 7)).unwrap();
        assert_eq!(through, Ipv4Addr::new(198, 51, 100, 1), "containers do get there");

        world.release(&networks, 1);
        world.wait(networks.close()).unwrap();
        world.assert_untouched();

        // A host that forwards is left to it.
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        world.acquire(&networks, request(2, NetworkMode::Bridge));
        let through = Place::Namespace(&world.outside).seen_as((Ipv4Addr::new(198, 51, 100, 2), 7)).unwrap();
        assert_eq!(through, OUTSIDE);
        world.release(&networks, 2);
        world.wait(networks.close()).unwrap();
        assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim(), "1");
    });
}

/// A UDP client that never stops sending follows the port from container to container.
#[test]
fn udp_clients_follow_the_port() {
    in_own_world(|world| {
        let networks = world.open();
        let target = (UPLINK, 5353).into();
        let publish = |container| with_ports(container, vec![port(None, 5353, 53, Protocol::Udp)]);
        let client = Place::Namespace(&world.outside).udp();
        client.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();

        let warm_up = world.acquire(&networks, request(9, NetworkMode::Bridge));
        drop(warm_up);
        let nobody = ask(&client, target).unwrap_err();
        assert!(matches!(nobody.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused));
        client.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        for container in [1, 2] {
            let endpoint = world.acquire(&networks, publish(container));
            Place::Container(&endpoint).serve(53);
            assert_eq!(ask(&client, target).unwrap(), OUTSIDE, "container {container}");
            world.wait(networks.release(&id(container))).unwrap();
        }
    });
}
