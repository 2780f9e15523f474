//! Generated names: an adjective and a noun.

use ross_types::{ContainerId, ContainerName};
use rustix::rand::{GetRandomFlags, getrandom};

const ADJECTIVES: [&str; 64] = [
    "able", "airy", "amber", "ample", "apt", "bold", "brave", "brief", "bright", "brisk", "calm", "clear",
    "clever", "cosy", "crisp", "dapper", "deft", "eager", "early", "easy", "even", "fair", "fast", "fine",
    "firm", "fond", "frank", "fresh", "gentle", "glad", "golden", "grand", "happy", "hardy", "honest",
    "jolly", "keen", "kind", "lively", "lucid", "lucky", "mellow", "merry", "mild", "neat", "nimble",
    "noble", "patient", "plain", "proud", "quick", "quiet", "ready", "robust", "rosy", "sharp", "sleek",
    "steady", "sunny", "swift", "tidy", "warm", "wise", "witty",
];
const NOUNS: [&str; 64] = [
    "alder", "anchor", "aspen", "badger", "beacon", "beaver", "birch", "bridge", "brook", "canyon", "cedar",
    "comet", "condor", "coral", "crane", "delta", "dolphin", "ember", "falcon", "fern", "finch", "fjord",
    "forest", "fox", "garnet", "glacier", "grove", "harbor", "hazel", "heron", "island", "jasper", "juniper",
    "kestrel", "lagoon", "lantern", "larch", "lark", "linden", "lynx", "maple", "marten", "meadow", "otter",
    "owl", "pebble", "pelican", "pine", "plover", "quartz", "raven", "reef", "river", "robin", "rowan",
    "sparrow", "spruce", "stork", "summit", "swan", "thistle", "valley", "willow", "wren",
];

/// Random bytes from the kernel.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut done = 0;
    while done < N {
        // Can only be interrupted, and blocks only before the first entropy of the boot.
        done += getrandom(&mut bytes[done..], GetRandomFlags::empty()).unwrap_or(0);
    }
    bytes
}

/// An id nobody has.
pub(crate) fn new_id() -> ContainerId {
    ContainerId::from_random(random())
}

/// A name that is probably free; later tries carry a number.
pub(crate) fn generate(attempt: u32) -> ContainerName {
    let [a, b, c, d] = random();
    let (adjective, noun) = (ADJECTIVES[usize::from(a) % 64], NOUNS[usize::from(b) % 64]);
    let name = match attempt {
        0..4 => format!("{adjective}_{noun}"),
        _ => format!("{adjective}_{noun}{}", u16::from_le_bytes([c, d])),
    };
    name.try_into().expect("two words and a number are a name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names() {
        for attempt in 0..50 {
            assert!(generate(attempt).as_str().contains('_'));
        }
        assert_ne!(new_id(), new_id());
        let all: std::collections::HashSet<_> = ADJECTIVES.iter().chain(&NOUNS).collect();
        assert_eq!(all.len(), 128);
    }
}
