//! Packed attributes: many small values as one deflated blob.
//!
//! The first byte is the version of what is packed; then comes a zlib stream, whose checksum tells
//! damage. An integer is written in LEB128 (DWARF 5, section 7.6), a text as its length in bytes and
//! its bytes.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{PortError, PortResult};
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use crate::errors::corrupt;
use crate::item::Reader;

/// The most bytes that are packed in one blob. What does not deflate at all becomes longer by 5 bytes
/// in each 16,384 or more (RFC 1951, section 3.2.4), so an item stays below 400 KB (Amazon DynamoDB
/// Developer Guide, "Item size").
pub(crate) const PACKED_LEN_MAX: usize = 300_000;
/// More work saves 2 % of the bytes (campaign_rows/SCHEMA.md).
const LEVEL: u8 = 1;

/// What is to be packed.
#[derive(Default)]
pub(crate) struct Packer(Vec<u8>);

impl Packer {
    pub(crate) fn int(&mut self, value: impl Into<u64>) {
        let mut rest: u64 = value.into();
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                return self.0.push(low & 0x7f);
            }
            self.0.push(low | 0x80);
        }
    }

    /// A number of things.
    pub(crate) fn count(&mut self, count: usize) {
        self.int(u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Bytes of a length that the reader knows.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn pack(&self, version: u8) -> Av {
        let mut blob = vec![version];
        blob.extend_from_slice(&compress_to_vec_zlib(&self.0, LEVEL));
        Av::B(Blob::new(blob))
    }
}

/// The bytes of a packed attribute, at most [`PACKED_LEN_MAX`].
pub(crate) fn unpack(reader: &Reader<'_>, name: &str, version: u8) -> PortResult<Vec<u8>> {
    let Some(Av::B(blob)) = reader.item.get(name) else { return Err(reader.corrupt()) };
    match blob.as_ref().split_first() {
        Some((found, stream)) if *found == version => {
            decompress_to_vec_zlib_with_limit(stream, PACKED_LEN_MAX).map_err(|_| reader.corrupt())
        }
        _ => Err(reader.corrupt()),
    }
}

/// Reads what was packed. Nothing is allocated for a length before it is known to be there.
pub(crate) struct Unpacker<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Unpacker<'a> {
    pub(crate) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn corrupt(&self) -> PortError {
        corrupt(self.what)
    }

    pub(crate) fn int(&mut self) -> PortResult<u64> {
        let mut value: u64 = 0;
        // 7 bits a byte: a u64 has at most 10 of them, and of the last one only its lowest bit.
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or_else(|| self.corrupt())?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.corrupt())
    }

    pub(crate) fn number<T: TryFrom<u64>>(&mut self) -> PortResult<T> {
        let value = self.int()?;
        T::try_from(value).map_err(|_| self.corrupt())
    }

    /// A number of things, each of which has at least one byte.
    pub(crate) fn count(&mut self) -> PortResult<usize> {
        let count: usize = self.number()?;
        if count <= self.rest.len() { Ok(count) } else { Err(self.corrupt()) }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> PortResult<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.corrupt())?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> PortResult<&'a str> {
        let len = self.count()?;
        let bytes = self.bytes(len)?;
        std::str::from_utf8(bytes).map_err(|_| self.corrupt())
    }

    /// Nothing is left.
    pub(crate) fn end(&self) -> PortResult<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.corrupt()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{Item, item};

    fn read(blob: Vec<u8>) -> PortResult<Vec<u8>> {
        let item: Item = item([("data", Av::B(Blob::new(blob)))]);
        unpack(&Reader { item: &item, what: "test item" }, "data", 1)
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let Av::B(blob) = Packer(bytes.to_vec()).pack(1) else { panic!("a blob") };
        blob.into_inner()
    }

    #[test]
    fn what_is_packed_is_read_back_to_its_last_byte() {
        let ints = [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        let mut packer = Packer::default();
        ints.into_iter().for_each(|int| packer.int(int));
        packer.text("출석 보상");
        packer.bytes(&[7; 32]);
        let bytes = read(packed(&packer.0)).unwrap();
        let mut unpacker = Unpacker::new(&bytes, "test item");
        assert_eq!(ints.map(|_| unpacker.int().unwrap()), ints);
        assert_eq!(unpacker.text().unwrap(), "출석 보상");
        assert!(unpacker.end().is_err());
        assert_eq!(unpacker.bytes(32).unwrap(), [7; 32]);
        unpacker.end().unwrap();
        assert!(unpacker.int().is_err() && unpacker.bytes(1).is_err());
    }

    #[test]
    fn a_blob_that_is_damaged_or_of_another_version_is_never_read_as_another() {
        let good = packed(&[5; 1_000]);
        assert_eq!(read(good.clone()).unwrap(), [5; 1_000]);
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x10;
            // Bits that fill up the last byte before the checksum say nothing.
            let is_other = read(bad).is_ok_and(|bytes| bytes != [5; 1_000]);
            assert!(!is_other, "byte {place}");
            assert!(read(good[..place].to_vec()).is_err(), "cut to {place}");
        }
    }

    #[test]
    fn a_blob_never_unpacks_to_more_than_the_limit() {
        assert_eq!(read(packed(&vec![0; PACKED_LEN_MAX])).unwrap().len(), PACKED_LEN_MAX);
        let bomb = packed(&vec![0; 100 * PACKED_LEN_MAX]);
        assert!(bomb.len() < 200_000 && read(bomb).is_err());
    }

    #[test]
    fn a_length_or_number_that_cannot_be_is_corrupt() {
        let fails = |bytes: &[u8], read: fn(&mut Unpacker<'_>) -> bool| {
            assert!(read(&mut Unpacker::new(bytes, "test item")), "{bytes:?}");
        };
        // 65 bits; 11 bytes; an end in the middle.
        fails(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], |u| u.int().is_err());
        fails(&[0x80; 11], |u| u.int().is_err());
        fails(&[0x80], |u| u.int().is_err());
        fails(&[0x80, 0x02], |u| u.number::<u8>().is_err());
        // A text longer than what is there, and one that is no UTF-8.
        fails(&[0xff, 0xff, 0xff, 0xff, 0x0f, b'a'], |u| u.text().is_err());
        fails(&[2, b'a'], |u| u.text().is_err());
        fails(&[2, 0xc3, 0x28], |u| u.text().is_err());
    }
}
