//! Extended headers (POSIX pax, `x`): strict, and only the keys that concern a root file system.
//!
//! The tar crate splits records at newlines, which corrupts binary attribute values; here the length that each
//! record begins with decides, as the format says. A malformed record is an error, never skipped: parsers that
//! disagree about where a header ends are how archives smuggle entries (CVE-2025-62518).

use std::collections::BTreeMap;

use rustix::fs::Timespec;

use super::{ArchiveFlaw, number};

/// The values of one extended header.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Timespec>,
    /// Extended attributes; of a name that is repeated the last value. (A list to be searched for each record would
    /// make a header of 50,000 of them cost seconds.)
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) sparse: Option<PaxSparse>,
}

/// GNU's sparse keys, versions 0.0, 0.1 and 1.0.
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    /// The map follows in the data (1.0) instead of standing in the header (0.x).
    pub(super) map_in_data: bool,
    pub(super) name: Option<Vec<u8>>,
    pub(super) real_size: Option<u64>,
    /// Offsets and lengths in turn.
    pub(super) map: Vec<u64>,
}

/// Reads the records of an extended header.
pub(super) fn parse(mut bytes: &[u8]) -> Result<Pax, ArchiveFlaw> {
    let mut pax = Pax::default();
    while !bytes.is_empty() {
        let (key, value, rest) = record(bytes).ok_or(ArchiveFlaw::Pax)?;
        pax.set(key, value)?;
        bytes = rest;
    }
    Ok(pax)
}

/// `length SP key=value LF`, where length counts the whole record.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(number::decimal(&bytes[..space])?).ok()?;
    if length <= space + 1 || length > bytes.len() {
        return None;
    }
    let (record, rest) = bytes.split_at(length);
    let body = record[space + 1..].strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    (equals > 0).then_some((&body[..equals], &body[equals + 1..], rest))
}

impl Pax {
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), ArchiveFlaw> {
        let number = |name| number::decimal(value).ok_or(ArchiveFlaw::PaxValue(name));
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.insert(name.to_vec(), value.to_vec());
            return Ok(());
        }
        if let Some(rest) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.get_or_insert_default().set(rest, value);
        }
        // An empty value takes back what an earlier header said: the plain header counts again.
        let given = !value.is_empty();
        match key {
            b"path" => self.path = given.then(|| value.to_vec()),
            b"linkpath" => self.link = given.then(|| value.to_vec()),
            b"size" => self.size = if given { Some(number("size")?) } else { None },
            b"uid" => self.uid = if given { Some(number("uid")?) } else { None },
            b"gid" => self.gid = if given { Some(number("gid")?) } else { None },
            b"mtime" if given => {
                self.mtime = Some(number::time(value).ok_or(ArchiveFlaw::PaxValue("mtime"))?);
            }
            b"mtime" => self.mtime = None,
            _ => {}
        }
        Ok(())
    }
}

impl PaxSparse {
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), ArchiveFlaw> {
        let number = || number::decimal(value).ok_or(ArchiveFlaw::SparseMap);
        match key {
            b"major" => self.map_in_data = number()? == 1,
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.real_size = Some(number()?),
            b"offset" | b"numbytes" => {
                let even = self.map.len().is_multiple_of(2);
                if even != (key == b"offset") {
                    return Err(ArchiveFlaw::SparseMap);
                }
                self.map.push(number()?);
            }
            b"map" => {
                self.map = value
                    .split(|byte| *byte == b',')
                    .filter(|text| !text.is_empty())
                    .map(|text| number::decimal(text).ok_or(ArchiveFlaw::SparseMap))
                    .collect::<Result<_, _>>()?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let pax = parse(
            b"19 path=some/name\n\n30 mtime=1350244992.023960108\n24 SCHILY.xattr.user.a=\n\x00\n9 size=7\n10 size=\n\n",
        );
        // The second size record is malformed on purpose: its length says 10 and `10 size=\n\n` is nine long.
        assert!(matches!(pax, Err(ArchiveFlaw::Pax)), "{pax:?}");
        let pax =
            parse(b"19 path=some/name\n\n27 SCHILY.xattr.user.a=\n\x00\n\n10 uid=99\n9 size=7\n").unwrap();
        assert_eq!(pax.path.unwrap(), b"some/name\n");
        assert_eq!(pax.xattrs, BTreeMap::from([(b"user.a".to_vec(), b"\n\x00\n".to_vec())]));
        assert_eq!((pax.size, pax.uid), (Some(7), Some(99)));
    }

    #[test]
    fn malformed() {
        for bad in [
            &b"x"[..],
            b"5 a=b\n",
            b"7 a=b\n",
            b"6 a=bx",
            b"6 ab=\n6 abc\n",
            b"6 =ab\n",
            b"0 a=b\n",
            b"99999999999999999999 a=b\n",
            b"11 size=-1\n",
            b"11 size=1x\n",
        ] {
            assert!(parse(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}
