//! Which addresses of the bridge's subnet are leased, and which comes next.
//!
//! Addresses are given out in order, so that one that was just freed rests for as long as the subnet allows.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use ross_types::ErrorKind;

use crate::Error;

#[derive(Debug, Default)]
pub(crate) struct AddressPool {
    taken: HashSet<Ipv4Addr>,
    last: Option<Ipv4Addr>,
}

impl AddressPool {
    /// Marks an address of an older lease.
    pub(crate) fn restore(&mut self, address: Ipv4Addr) {
        self.taken.insert(address);
        self.last = self.last.max(Some(address));
    }

    /// Leases the next free address of `subnet`.
    pub(crate) fn take_next(&mut self, subnet: Ipv4Net) -> Result<Ipv4Addr, Error> {
        let (first, end) = (u32::from(subnet.network()), u32::from(subnet.broadcast()));
        // Network, gateway and broadcast are nobody's.
        let lowest = first.saturating_add(2);
        let after_last = self.last.map_or(lowest, |last| u32::from(last).saturating_add(1));
        let start = if (lowest..end).contains(&after_last) { after_last } else { lowest };
        let ordered = (start..end).chain(lowest..start);
        let free =
            ordered.map(Ipv4Addr::from).find(|address| !self.taken.contains(address)).ok_or_else(|| {
                Error::new(
                    ErrorKind::ResourceExhausted,
                    format!("no free address is left in subnet {subnet}"),
                )
            })?;
        self.taken.insert(free);
        self.last = Some(free);
        Ok(free)
    }

    /// Leases this very address of `subnet`.
    pub(crate) fn take(&mut self, subnet: Ipv4Net, address: Ipv4Addr) -> Result<(), Error> {
        let reserved = [subnet.network(), gateway(subnet), subnet.broadcast()];
        if !subnet.contains(&address) || reserved.contains(&address) {
            let text = format!(
                "address {address} cannot be given to a container: it is no free host address of subnet {subnet}"
            );
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        if !self.taken.insert(address) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("address {address} is already in use")));
        }
        Ok(())
    }

    pub(crate) fn give_back(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address);
    }
}

/// The host's own address on `subnet`: the first.
pub(crate) fn gateway(subnet: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet.network()).saturating_add(1))
}

/// A link-layer address that goes with `address`, locally administered: an address that is leased again comes
/// with the same one, so that no neighbour's cache is wrong.
pub(crate) fn mac_of(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x52, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn goes_on_before_it_reuses() {
        let net = subnet("10.0.0.0/29");
        let mut pool = AddressPool::default();
        let next = |pool: &mut AddressPool| pool.take_next(net).unwrap().octets()[3];
        assert_eq!([next(&mut pool), next(&mut pool)], [2, 3]);
        pool.give_back(Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!([next(&mut pool), next(&mut pool), next(&mut pool)], [4, 5, 6]);
        assert_eq!(next(&mut pool), 2, "wraps around");
        let full = pool.take_next(net).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::ResourceExhausted);
        assert_eq!(full.to_string(), "no free address is left in subnet 10.0.0.0/29");
    }

    #[test]
    fn continues_after_restored_leases() {
        let mut pool = AddressPool::default();
        pool.restore(Ipv4Addr::new(10, 0, 0, 9));
        pool.restore(Ipv4Addr::new(10, 0, 0, 3));
        assert_eq!(pool.take_next(subnet("10.0.0.0/24")).unwrap(), Ipv4Addr::new(10, 0, 0, 10));
        assert_eq!(
            pool.take_next(subnet("10.1.0.0/24")).unwrap(),
            Ipv4Addr::new(10, 1, 0, 2),
            "another subnet"
        );
    }

    #[test]
    fn fixed_addresses() {
        let net = subnet("10.0.0.0/24");
        let mut pool = AddressPool::default();
        let mut check = |host: [u8; 4], kind: Option<ErrorKind>| {
            assert_eq!(pool.take(net, host.into()).err().map(|error| error.kind()), kind, "{host:?}");
        };
        check([10, 0, 0, 7], None);
        check([10, 0, 0, 7], Some(ErrorKind::AlreadyExists));
        for wrong in [[10, 0, 0, 0], [10, 0, 0, 1], [10, 0, 0, 255], [10, 0, 1, 7]] {
            check(wrong, Some(ErrorKind::InvalidArgument));
        }
    }

    #[test]
    fn tiny_subnets_have_no_room() {
        for net in ["10.0.0.0/30", "10.0.0.0/31", "10.0.0.0/32"] {
            let mut pool = AddressPool::default();
            let leased = std::iter::from_fn(|| pool.take_next(subnet(net)).ok()).count();
            assert_eq!(leased, usize::from(net.ends_with("30")), "{net}");
        }
    }

    #[test]
    fn mac_is_local_and_unicast() {
        assert_eq!(mac_of(Ipv4Addr::new(172, 30, 0, 2)), [0x02, 0x52, 172, 30, 0, 2]);
    }
}
