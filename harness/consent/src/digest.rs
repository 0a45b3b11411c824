//! Hashes that the contract names: the nonce hash and the requisition fingerprint.

use aws_lc_rs::digest::{Context, SHA256, digest};

fn sha256(data: &[u8]) -> [u8; 32] {
    into_array(digest(&SHA256, data).as_ref())
}

fn into_array(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(bytes);
    out
}

/// The hash of a requisition's nonce: SHA-256 of its 8 bytes, big-endian (3.8.2).
///
/// The nonce is `fixed64` on the wire and a signed number in the original; for a negative one pass
/// `nonce.cast_unsigned()`, the 8 bytes are the same. Zero is hashed like any other (3.8.1 refuses
/// it elsewhere).
pub fn nonce_hash(nonce: u64) -> [u8; 32] {
    sha256(&nonce.to_be_bytes())
}

/// The fingerprint of a requisition (3.8.4): SHA-256 of the MeasurementSpec bytes followed by the
/// SHA-256 of the encrypted RequisitionSpec's ciphertext.
///
/// `measurement_spec` is `measurement_spec.message.value` as received, never serialized again;
/// `ciphertext` is `encrypted_requisition_spec.ciphertext` alone.
pub fn requisition_fingerprint(measurement_spec: &[u8], ciphertext: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(measurement_spec);
    context.update(&sha256(ciphertext));
    into_array(context.finish().as_ref())
}
