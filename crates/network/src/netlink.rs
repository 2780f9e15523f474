//! Speaking netlink, blocking: the socket, routing messages, nftables elements, connection tracking.
//!
//! Messages of rtnetlink are built with that crate's types; the transport is our own, because one blocking pass
//! on one thread cannot be cancelled half-way and puts several messages into one system call.

pub(crate) mod conntrack;
pub(crate) mod elements;
pub(crate) mod route;
pub(crate) mod socket;
