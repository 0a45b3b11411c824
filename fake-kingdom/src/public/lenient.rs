//! Decoding as Java's protobuf does it: a known field number with another wire type is an unknown
//! field, not an error. prost refuses it, and so a page token of another list would be UNKNOWN where
//! the real server says INVALID_ARGUMENT (contract 1.0.13).

use crate::files::descriptor_pool;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

/// Decodes `bytes`; `None` if they are no message at all.
pub(crate) fn decode<M: prost::Message + prost::Name + Default>(bytes: &[u8]) -> Option<M> {
    if let Ok(message) = M::decode(bytes) {
        return Some(message);
    }
    let kept = keep_known(&descriptor_pool().get_message_by_name(&M::full_name())?, bytes)?;
    M::decode(kept.as_slice()).ok()
}

/// The fields whose wire type fits their declaration, submessages likewise.
fn keep_known(message: &MessageDescriptor, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes;
    let mut kept = Vec::with_capacity(bytes.len());
    while rest.has_remaining() {
        let start = rest;
        let (number, wire_type) = decode_key(&mut rest).ok()?;
        let header = start.len() - rest.len();
        let body = rest;
        skip_field(wire_type, number, &mut rest, DecodeContext::default()).ok()?;
        let Some(field) = message.get_field(number).filter(|field| fits(field, wire_type)) else {
            continue;
        };
        match field.kind() {
            Kind::Message(inner) => {
                let mut body = body;
                let size = usize::try_from(decode_varint(&mut body).ok()?).ok()?;
                let inner = keep_known(&inner, body.get(..size)?)?;
                kept.extend_from_slice(&start[..header]);
                prost::encoding::encode_varint(inner.len() as u64, &mut kept);
                kept.extend_from_slice(&inner);
            }
            _ => kept.extend_from_slice(&start[..start.len() - rest.len()]),
        }
    }
    Some(kept)
}

fn fits(field: &FieldDescriptor, wire_type: WireType) -> bool {
    let own = match field.kind() {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::SixtyFourBit,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::ThirtyTwoBit,
        Kind::String | Kind::Bytes | Kind::Message(_) => WireType::LengthDelimited,
        _ => WireType::Varint,
    };
    wire_type == own
        || (field.is_list()
            && own != WireType::LengthDelimited
            && wire_type == WireType::LengthDelimited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kingdom_proto::v2alpha as pb;
    use prost::Message as _;

    #[test]
    fn a_token_of_another_list_decodes_to_what_fits() {
        let other = pb::ListCertificatesPageToken {
            subject_key_identifiers: vec![vec![1, 2, 3]],
            ..Default::default()
        };
        let bytes = other.encode_to_vec();
        assert!(pb::ListEventGroupsPageToken::decode(bytes.as_slice()).is_err());
        assert_eq!(decode(&bytes), Some(pb::ListEventGroupsPageToken::default()));
    }

    #[test]
    fn bytes_that_are_no_message_do_not_decode() {
        assert_eq!(decode::<pb::ListEventGroupsPageToken>(&[0xff; 7]), None);
        assert_eq!(decode::<pb::ListEventGroupsPageToken>(&[0x0a, 0x05, 0x01]), None);
    }
}
