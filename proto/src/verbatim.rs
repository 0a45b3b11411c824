//! A message kept as the bytes it came in.

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, encode_key, skip_field};

/// A message of any type, kept byte for byte: what its generated type would drop, such as unknown
/// fields and custom options, stays. Stands for `google.protobuf.FileDescriptorSet`, whose options
/// `prost_types` does not keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verbatim {
    bytes: Vec<u8>,
}

impl Verbatim {
    /// The serialized message.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Vec<u8>> for Verbatim {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }
}

impl prost::Message for Verbatim {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.bytes);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        encode_key(tag, wire_type, &mut self.bytes);
        skip_field(wire_type, tag, &mut Copying { from: buf, to: &mut self.bytes }, context)
    }

    fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Copies what is read through it.
struct Copying<'a, B> {
    from: &'a mut B,
    to: &'a mut Vec<u8>,
}

impl<B: Buf> Buf for Copying<'_, B> {
    fn remaining(&self) -> usize {
        self.from.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.from.chunk()
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let chunk = self.from.chunk();
            let size = chunk.len().min(count);
            self.to.extend_from_slice(&chunk[..size]);
            self.from.advance(size);
            count -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v2alpha::EventGroupMetadataDescriptor;
    use prost::Message as _;

    #[test]
    fn a_message_within_another_keeps_every_byte_unknown_fields_and_groups_included() {
        // Varint 5, fixed32, fixed64, a string, and a group with a varint in it.
        let inner = [
            &[0x28, 0x96, 0x01][..],
            &[0x15, 1, 2, 3, 4],
            &[0x19, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x0a, 0x02, b'h', b'i'],
            &[0x3b, 0x08, 0x01, 0x3c],
        ]
        .concat();
        let row = EventGroupMetadataDescriptor {
            name: "n".to_owned(),
            descriptor_set: Some(Verbatim::from(inner.clone())),
        };
        let read = EventGroupMetadataDescriptor::decode(row.encode_to_vec().as_slice()).unwrap();
        assert_eq!(read.descriptor_set.as_ref().map(Verbatim::bytes), Some(inner.as_slice()));
        assert_eq!(read, row);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [&[0x0a, 5, 1][..], &[0x07], &[0x3b, 0x08, 0x01], &[0x3c]] {
            assert!(Verbatim::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
