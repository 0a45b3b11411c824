//! Trust bundles and principal maps as text: what a root change adds and takes away.

use crate::error::Problem;
use halo_pki::Authority;
use std::fmt::Write as _;

/// Bytes as the sandbox's map files write them.
pub(crate) fn text_proto_bytes(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\x{byte:02X}");
        text
    })
}

/// A map's entry for a root.
pub(crate) fn entry(root_skid: &[u8], principal: &str) -> String {
    format!(
        "entries {{\n  authority_key_identifier: \"{}\"\n  principal_resource_name: \"{principal}\"\n}}\n",
        text_proto_bytes(root_skid)
    )
}

/// A map without the entry of this root; `None` if it has none.
pub(crate) fn without_entry(map: &str, root_skid: &[u8]) -> Option<String> {
    let at = map.find(&text_proto_bytes(root_skid))?;
    let from = map[..at].rfind("entries {")?;
    let until = at + map[at..].find('}')? + 1;
    Some(format!("{}{}", &map[..from], &map[until..]))
}

/// A trust bundle without one of its roots.
pub(crate) fn without_root(bundle: &[u8], gone: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut roots =
        halo_pki::pem_certificates(bundle).map_err(|error| Problem::harness(error.to_string()))?;
    roots.retain(|root| root != gone);
    Ok(halo_pki::bundle_pem(&roots).into_bytes())
}

/// A trust bundle without these roots of one actor, of which it must have one at least: a removal that
/// removes nothing would leave what it was written for as it was, and everybody would go on.
pub(crate) fn without_any(
    bundle: &[u8],
    actor: &str,
    gone: &[Authority],
) -> Result<Vec<u8>, Problem> {
    let count = |bundle: &[u8]| {
        halo_pki::pem_certificates(bundle).map(|roots| roots.len()).unwrap_or_default()
    };
    let mut left = bundle.to_vec();
    for root in gone {
        left = without_root(&left, root.certificate_der())?;
    }
    if count(&left) == count(bundle) {
        let what =
            format!("the bundle has none of {actor}'s old roots, so that none can be removed");
        return Err(Problem::author(what, "remove them once, from a bundle that has them"));
    }
    Ok(left)
}

/// A principal map without the entries of these roots of one actor, of which it must have one at least.
pub(crate) fn without_entries(
    map: &str,
    actor: &str,
    gone: &[Authority],
) -> Result<String, Problem> {
    let mut left = map.to_owned();
    for root in gone {
        while let Some(less) = without_entry(&left, root.subject_key_identifier()) {
            left = less;
        }
    }
    if left == map {
        let what = format!("the map has none of {actor}'s old roots, so that none can be removed");
        return Err(Problem::author(what, "remove them once, from a map that has them"));
    }
    Ok(left)
}

/// A file with more behind it, on a line of its own (contract 5.3.1).
pub(crate) fn joined(mut content: Vec<u8>, more: &[u8]) -> Vec<u8> {
    if content.last().is_some_and(|&last| last != b'\n') {
        content.push(b'\n');
    }
    content.extend_from_slice(more);
    content
}
