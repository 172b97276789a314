//! A member: the lines of one run of transfers or of one thing, compressed by themselves.
//!
//! A member is known by its count of lines and by the SHA-256 of its uncompressed bytes. Both are
//! kept where the member is referred to, and not beside it: an object that was changed or replaced
//! is found.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use largesse_app::ports::{MemberRef, PortResult};
use sha2::{Digest, Sha256};

use super::{item_of_line, line_of};
use crate::errors::corrupt;
use crate::item::Item;

/// The most bytes that the lines of a member have together, and so what reading one takes in
/// memory. A run of 5,000 transfers has some 1.3 MB, with the longest memos 10 MB.
pub(crate) const MEMBER_LEN_MAX: usize = 32 << 20;

/// Lines that become a member.
pub(crate) struct MemberWriter {
    packed: GzEncoder<Vec<u8>>,
    hash: Sha256,
    lines: u64,
    len: usize,
}

/// A member, and by what it is known.
#[derive(Clone, Debug)]
pub(crate) struct PackedMember {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lines: u64,
    pub(crate) hash: [u8; 32],
}

#[cfg(test)]
impl PackedMember {
    /// Where it lies, at `offset` of an object.
    pub(crate) fn at(&self, object: &str, offset: u64) -> MemberRef {
        MemberRef {
            object: object.to_owned(),
            offset,
            length: u64::try_from(self.bytes.len()).unwrap_or(u64::MAX),
            lines: self.lines,
            hash: self.hash,
        }
    }
}

impl MemberWriter {
    pub(crate) fn new() -> Self {
        let packed = GzEncoder::new(Vec::new(), Compression::default());
        Self { packed, hash: Sha256::new(), lines: 0, len: 0 }
    }

    /// Adds an item.
    ///
    /// # Errors
    /// `Corrupt` where the member would be longer than [`MEMBER_LEN_MAX`].
    pub(crate) fn push(&mut self, item: &Item) -> PortResult<()> {
        let mut line = line_of(item)?;
        line.push('\n');
        self.len = self.len.saturating_add(line.len());
        if self.len > MEMBER_LEN_MAX {
            return Err(corrupt("archived member: too long"));
        }
        self.hash.update(line.as_bytes());
        self.lines = self.lines.saturating_add(1);
        self.packed.write_all(line.as_bytes()).map_err(|_| corrupt("archived member"))
    }

    pub(crate) fn finish(self) -> PortResult<PackedMember> {
        let bytes = self.packed.finish().map_err(|_| corrupt("archived member"))?;
        Ok(PackedMember { bytes, lines: self.lines, hash: self.hash.finalize().into() })
    }
}

/// The items of a member, if it is the one that `known` tells of: its length, its count of lines
/// and their hash.
///
/// # Errors
/// `Corrupt` for anything else.
pub(crate) fn read_member(bytes: &[u8], known: &MemberRef) -> PortResult<Vec<Item>> {
    read_lines(bytes, known)?.lines().map(item_of_line).collect()
}

/// The lines of a member, checked as [`read_member`] checks them.
///
/// # Errors
/// `Corrupt`.
pub(crate) fn read_lines(bytes: &[u8], known: &MemberRef) -> PortResult<String> {
    let damaged = || corrupt("archived member");
    if u64::try_from(bytes.len()) != Ok(known.length) {
        return Err(damaged());
    }
    let mut decoder = GzDecoder::new(bytes);
    let mut lines = Vec::new();
    let limit = u64::try_from(MEMBER_LEN_MAX).unwrap_or(u64::MAX);
    // One byte more than may be there, so that a longer member is seen.
    let read = decoder.by_ref().take(limit.saturating_add(1)).read_to_end(&mut lines);
    if read.map_err(|_| damaged())? > MEMBER_LEN_MAX || !decoder.into_inner().is_empty() {
        return Err(damaged());
    }
    let hash: [u8; 32] = Sha256::digest(&lines).into();
    let text = String::from_utf8(lines).map_err(|_| damaged())?;
    if hash != known.hash || u64::try_from(text.lines().count()) != Ok(known.lines) {
        return Err(damaged());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{item, n, s};

    fn member(of: &str, lines: u32) -> (PackedMember, Vec<Item>) {
        let items: Vec<Item> =
            (0..lines).map(|number| item([("pk", s(of)), ("n", n(number))])).collect();
        let mut writer = MemberWriter::new();
        items.iter().for_each(|item| writer.push(item).unwrap());
        (writer.finish().unwrap(), items)
    }

    #[test]
    fn a_member_reads_back_as_it_was_written() {
        for lines in [0, 1, 5_000] {
            let (member, items) = member("WALLET#u", lines);
            assert_eq!(read_member(&member.bytes, &member.at("o", 7)).unwrap(), items);
        }
    }

    #[test]
    fn members_after_one_another_are_one_gzip_file() {
        let (first, second) = (member("A", 3).0, member("B", 2).0);
        let whole = [first.bytes, second.bytes].concat();
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(&whole[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 5);
    }

    #[test]
    fn a_member_with_any_byte_changed_cut_or_added_is_not_read() {
        let (member, items) = member("WALLET#u", 20);
        let known = member.at("o", 0);
        let mut harmless = 0;
        for at in 0..member.bytes.len() {
            let mut bytes = member.bytes.clone();
            bytes[at] ^= 0x10;
            // Seven bytes of the header say nothing about the content, such as time and system, and
            // the last byte of the deflated stream may have bits that are not used.
            if let Ok(read) = read_member(&bytes, &known) {
                harmless += 1;
                assert_eq!(read, items);
            }
            assert!(read_member(&member.bytes[..at], &known).is_err());
        }
        assert!(harmless <= 8, "{harmless} of {} bytes", member.bytes.len());
        let longer = [&member.bytes[..], &[0]].concat();
        assert!(read_member(&longer, &known).is_err());
        let twice = [&member.bytes[..], &member.bytes[..]].concat();
        let length = u64::try_from(twice.len()).unwrap();
        assert!(read_member(&twice, &MemberRef { length, ..known }).is_err());
    }

    #[test]
    fn another_whole_member_is_not_read_in_its_place() {
        let (other, member) = (member("WALLET#v", 20).0, member("WALLET#u", 20).0);
        let length = member.at("o", 0).length;
        assert_eq!(other.at("o", 0).length, length, "the same length, so that the hash decides");
        assert!(read_member(&other.bytes, &member.at("o", 0)).is_err());
        let fewer = MemberRef { lines: 19, ..member.at("o", 0) };
        assert!(read_member(&member.bytes, &fewer).is_err());
    }

    #[test]
    fn a_member_of_more_than_may_be_read_is_neither_written_nor_read() {
        let mut writer = MemberWriter::new();
        let large = item([("text", s("x".repeat(1 << 20)))]);
        let pushed = (0..40).take_while(|_| writer.push(&large).is_ok()).count();
        assert_eq!(pushed, 31);
        let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
        bomb.write_all(&vec![b'\n'; MEMBER_LEN_MAX + 1]).unwrap();
        let bytes = bomb.finish().unwrap();
        let length = u64::try_from(bytes.len()).unwrap();
        let lines = u64::try_from(MEMBER_LEN_MAX + 1).unwrap();
        let hash = Sha256::digest(vec![b'\n'; MEMBER_LEN_MAX + 1]).into();
        let known = MemberRef { object: "o".to_owned(), offset: 0, length, lines, hash };
        assert!(read_lines(&bytes, &known).is_err());
    }
}
