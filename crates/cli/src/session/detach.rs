//! The keys that detach from a terminal, and the search for them in what is typed.

/// A sequence of keys; `ctrl-p,ctrl-q` by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachKeys {
    keys: Vec<u8>,
    /// How many of them were typed last.
    matched: usize,
}

impl Default for DetachKeys {
    fn default() -> Self {
        Self { keys: vec![0x10, 0x11], matched: 0 }
    }
}

/// What became of some typed bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// These go on; the start of a possible sequence is held back.
    Forward(Vec<u8>),
    /// The sequence is complete; these came before it.
    Detach(Vec<u8>),
}

impl DetachKeys {
    /// Keys parted by commas: single characters, or `ctrl-` and one of `a`-`z`, `@`, `[`, `\`, `]`, `^`, `_`.
    /// Nothing at all means that no keys detach.
    pub fn parse(text: &str) -> Result<Self, String> {
        let keys =
            if text.is_empty() { Vec::new() } else { text.split(',').map(key).collect::<Result<_, _>>()? };
        Ok(Self { keys, matched: 0 })
    }

    /// Takes what was typed. A start of the sequence that comes to nothing goes on with what follows it.
    pub fn type_in(&mut self, bytes: &[u8]) -> Typed {
        let mut forward = Vec::with_capacity(bytes.len());
        if self.keys.is_empty() {
            forward.extend_from_slice(bytes);
            return Typed::Forward(forward);
        }
        for &byte in bytes {
            let held = self.matched;
            self.matched = self.longest_match(byte);
            // What was held and is no longer part of a match, then the byte itself if it is in none.
            let released = (held + 1).saturating_sub(self.matched);
            let candidates = self.keys[..held].iter().chain(std::iter::once(&byte));
            forward.extend(candidates.take(released));
            if self.matched == self.keys.len() {
                self.matched = 0;
                return Typed::Detach(forward);
            }
        }
        Typed::Forward(forward)
    }

    /// The longest start of the sequence that ends in `byte`, after the keys matched so far.
    fn longest_match(&self, byte: u8) -> usize {
        let typed: Vec<u8> = self.keys[..self.matched].iter().copied().chain(std::iter::once(byte)).collect();
        (0..typed.len())
            .map(|skip| &typed[skip..])
            .find(|tail| self.keys.starts_with(tail))
            .map_or(0, <[u8]>::len)
    }
}

fn key(text: &str) -> Result<u8, String> {
    let wrong =
        || format!("`{text}` is no key: expected one character, or ctrl- and one of a-z, @, [, \\, ], ^, _");
    if let Some(name) = text.strip_prefix("ctrl-") {
        return match name.as_bytes() {
            [letter @ b'a'..=b'z'] => Ok(letter - b'a' + 1),
            [b'@'] => Ok(0),
            [other @ b'['..=b'_'] => Ok(other - b'@'),
            _ => Err(wrong()),
        };
    }
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(
                DetachKeys::parse(text).ok().map(|keys| keys.keys),
                expected.map(<[u8]>::to_vec),
                "{text:?}"
            );
        };
        check("ctrl-p,ctrl-q", Some(&[0x10, 0x11]));
        check("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", Some(&[0, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f]));
        check("a,ctrl-a", Some(b"a\x01"));
        check("", Some(b""));
        for bad in ["ctrl-", "ctrl-A", "ab", "a,,b", "ctrl-ab", "ä", ",", "ctrl-1"] {
            check(bad, None);
        }
        assert_eq!(DetachKeys::parse("ctrl-p,ctrl-q").unwrap(), DetachKeys::default());
    }

    /// Types the pieces one after the other; `!` marks where the keys detached.
    fn play(keys: &str, pieces: &[&str]) -> String {
        let mut keys = DetachKeys::parse(keys).unwrap();
        let mut forwarded = String::new();
        for piece in pieces {
            match keys.type_in(piece.as_bytes()) {
                Typed::Forward(bytes) => forwarded.push_str(std::str::from_utf8(&bytes).unwrap()),
                Typed::Detach(bytes) => {
                    forwarded.push_str(std::str::from_utf8(&bytes).unwrap());
                    forwarded.push('!');
                }
            }
        }
        forwarded
    }

    #[test]
    fn sequences() {
        let check = |keys: &str, pieces: &[&str], expected: &str| {
            assert_eq!(play(keys, pieces), expected, "{keys} {pieces:?}");
        };
        check("p,q", &["hello"], "hello");
        check("p,q", &["pq"], "!");
        check("p,q", &["p", "q"], "!");
        check("p,q", &["abp", "q"], "ab!");
        check("p,q", &["p", "x"], "px");
        check("p,q", &["p"], "");
        check("p,q", &["pp", "q"], "p!");
        check("p,q", &["ppp", "x"], "pppx");
        check("a,b,a,c", &["ababac"], "ab!");
        check("a,b,a,c", &["abab", "x"], "ababx");
        check("a,a,b", &["aaa", "b"], "a!");
        check("x", &["axb"], "a!");
        check("", &["pq\u{10}\u{11}"], "pq\u{10}\u{11}");
    }
}
