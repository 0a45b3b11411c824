//! The catalogue of cause codes (interfaces.md section 3): one documented list.

use serde::{Serialize, Serializer};
use std::fmt;

/// Who must act on a failure with a given cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultOwner {
    /// The caller: its certificate, its key, its request.
    Client,
    /// The server's operator: its certificate, its trust bundle, its maps.
    Server,
    /// The path between the two.
    Network,
    /// The procedure that is being judged.
    Procedure,
    /// The harness itself.
    Harness,
}

macro_rules! causes {
    ($($variant:ident $code:literal $owner:ident $clause:literal $meaning:literal $next:literal;)+) => {
        /// Why a handshake or call was refused, or a run proves nothing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Cause {
            $(#[doc = concat!($meaning, " Clause: ", $clause, ".")] $variant,)+
        }

        impl Cause {
            /// Every cause, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable code.
            pub fn code(self) -> &'static str { match self { $(Self::$variant => $code),+ } }
            /// Whose fault it is.
            pub fn owner(self) -> FaultOwner { match self { $(Self::$variant => FaultOwner::$owner),+ } }
            /// The clause of the contract, or the document, that describes it.
            pub fn clause(self) -> &'static str { match self { $(Self::$variant => $clause),+ } }
            /// What happened.
            pub fn meaning(self) -> &'static str { match self { $(Self::$variant => $meaning),+ } }
            /// What to do next.
            pub fn next_step(self) -> &'static str { match self { $(Self::$variant => $next),+ } }
        }
    };
}

causes! {
    NoClientCertificate "no_client_certificate" Client "2.1"
        "The client sent no certificate though the server requires one."
        "Configure the client's certificate and key; check that both files are mounted.";
    UnknownIssuer "unknown_issuer" Server "2.1"
        "No root in the trust bundle issued the peer's certificate."
        "Add the issuer's root to the trust bundle and restart every replica, or use a leaf of a trusted root.";
    Expired "expired" Client "2.1"
        "The peer's certificate has expired by the server's clock."
        "Issue a new leaf from the same root and roll the client.";
    NotYetValid "not_yet_valid" Client "2.1"
        "The peer's certificate is not valid yet by the server's clock."
        "Wait for notBefore, or compare the clocks of the two machines.";
    AkidNotOfIssuer "akid_not_of_issuer" Client "2.15"
        "The certificate's authority key identifier is not the subject key identifier of the CA that signed it, or is there twice."
        "Treat it as an attempt to impersonate another participant; otherwise issue the leaf again with the issuer's own key identifier.";
    MalformedCertificate "malformed_certificate" Client "2.15"
        "A certificate that was presented or registered does not parse or breaks a rule of X.509."
        "Inspect it with `halo-harness pki inspect` and issue it again.";
    UnsupportedAlgorithm "unsupported_algorithm" Client "2.1"
        "The peer's certificate uses a key or signature algorithm that is not accepted."
        "Issue the leaf with an EC P-256 key signed with SHA-256 (contract 4.4).";
    BadSignature "bad_signature" Client "2.1"
        "A signature on the peer's certificate, or in the handshake, does not verify."
        "Check that the key file belongs to the certificate and that the CA really issued it.";
    NotForClientAuthentication "not_for_client_authentication" Client "2.1"
        "The certificate's extended key usage, constraints or CA flag forbid this use."
        "Issue the leaf without extended key usage, as the recipe of contract 4.4 does.";
    TlsVersion "tls_version" Client "2.1"
        "The client offered no TLS 1.3."
        "Enable TLS 1.3 in the client.";
    Plaintext "plaintext" Client "2.1"
        "The client did not speak TLS on a TLS port."
        "Use TLS with a client certificate; plaintext is served only on the health port.";
    HandshakeFailed "handshake_failed" Client "2.1"
        "The TLS handshake failed for another reason, or the client left in the middle of it."
        "Look at the client's own log for the alert.";
    LateClientRefusal "late_client_refusal" Client "2.1"
        "The client believed it was connected, and learnt only at its first call that the server had refused its certificate."
        "Look for the server's handshake event of this connection: it names the reason.";
    ServerNameMismatch "server_name_mismatch" Server "5.2.9"
        "The server's certificate does not carry the name the client asked for."
        "Issue the server's leaf with that name as SAN; Halo components ask for `localhost`.";
    WrongServerCertificate "wrong_server_certificate" Server "5.4"
        "The server presented another certificate than the expected one."
        "Check that every replica was restarted after the secret changed.";
    AkidMissing "akid_missing" Client "2.3"
        "The client's certificate has no authority key identifier, so it carries no identity."
        "Issue the leaf with an authority key identifier (contract 7.4).";
    ChainNotSingle "chain_not_single" Client "2.3"
        "The client sent more than one certificate, so it has no identity."
        "Send the leaf alone, issued directly by the mapped root.";
    PrincipalUnknown "principal_unknown" Server "2.4"
        "No entry of the principal map or Duchy configuration has the certificate's authority key identifier."
        "Add the new root's key identifier to the map and restart every replica.";
    PermissionDenied "permission_denied" Client "2.4"
        "The principal is known but may not do this."
        "Use the credential of the resource's owner.";
    ApiKeyInvalid "api_key_invalid" Client "2.6"
        "The API key is malformed or unknown."
        "Use the measurement consumer's current API key.";
    AccountInvalid "account_invalid" Client "2.7"
        "The account's id token is malformed or unknown."
        "Accounts are outside this fake; use an API key or a mapped certificate.";
    CertificateRevoked "certificate_revoked" Client "1.6.1"
        "The API certificate that the rule needs is revoked."
        "Create a new certificate and point the public key at it before revoking (contract 1.6.5).";
    CertificateOnHold "certificate_on_hold" Client "1.6.1"
        "The API certificate that the rule needs is on hold."
        "Release the hold, or rotate to another certificate.";
    CertificateExpired "certificate_expired" Client "1.6.1"
        "The API certificate that the rule needs has expired."
        "Create a new certificate with a fresh key and point the public key at it.";
    CertificateNotYetValid "certificate_not_yet_valid" Client "1.6.1"
        "The API certificate that the rule needs is not valid yet."
        "Wait for notBefore, or compare clocks.";
    KeyIdentifierTaken "key_identifier_taken" Client "1.1.8"
        "Another certificate has this subject key identifier, and so as a rule the same key."
        "Ask whose key it is: if it is nobody's by mistake, treat it as stolen; otherwise make a fresh key.";
    KeyIdentifierMissing "key_identifier_missing" Client "1.1.5"
        "The certificate that was to be registered has no subject key identifier."
        "Issue it again with one, as the recipe of contract 4.4 does.";
    KeyIdentifierMalformed "key_identifier_malformed" Client "1.1.5"
        "The subject key identifier of the certificate that was to be registered is no OCTET STRING."
        "Inspect it with `halo-harness pki inspect` and issue it again.";
    ExtensionRepeated "extension_repeated" Client "2.15"
        "The certificate that was to be registered has an extension twice, so that it does not parse."
        "Issue it again with each extension once.";
    CertificateUnknown "certificate_unknown" Client "1.5.11"
        "The API certificate that the call names does not exist."
        "Register the certificate first, and use the name the Kingdom answered.";
    RateLimited "rate_limited" Client "1.0.9"
        "The caller's bucket was empty."
        "Slow down, or give the caller's root an override in the rate limit configuration.";
    Goaway "goaway" Server "5.5.2"
        "A stopping replica told the client to open another connection."
        "None if the call was retried; otherwise let the client retry on UNAVAILABLE.";
    ConnectionCut "connection_cut" Network "5.5.2"
        "The connection broke in the middle of a call."
        "Look for a replica that was stopped without enough grace.";
    Timeout "timeout" Network "1.0.14"
        "No answer came in time."
        "Look for a slow peer or a partition.";
    NobodyListens "nobody_listens" Server "5.5.2"
        "Nobody listens at the address."
        "Look for replicas that were all stopped at once, or that did not start with their new files.";
    FaultInjected "fault_injected" Harness "of the harness"
        "A fault rule of the control listener answered instead of the Kingdom."
        "None: the scenario asked for it. Remove the rule to go on.";
    NoChangeObserved "no_change_observed" Procedure "of the harness"
        "The procedure ended, and no peer was seen to present another credential than before."
        "Check that the secret really changed and that the replicas were restarted.";
    FailureNotSeen "failure_not_seen" Procedure "of the harness"
        "A failure that the scenario predicts was not observed."
        "Check whether the procedure was changed, or whether what it runs against no longer fails there.";
    MeasurementLost "measurement_lost" Procedure "1.6.3"
        "A measurement or requisition ended, or stands still, though the order of the procedure should have kept it."
        "Compare the order with contract 1.6.5, 3.10.1 and 3.13.4: drain before the old certificate is revoked or the old key dropped.";
    ConnectionOutlivesCredential "connection_outlives_credential" Procedure "5.5.4"
        "An open connection went on under a credential that had been replaced."
        "Let its owner start again: a connection keeps the credential of its handshake until it closes.";
    RefusalProvesNothing "refusal_proves_nothing" Procedure "of the harness"
        "An old credential was refused, and the new one was refused for the same call: that says nothing about the old one."
        "Let the same call succeed under the new credential first, then try the old one again.";
    NeverSeenAlive "never_seen_alive" Procedure "of the harness"
        "An old credential was refused where it was never seen to be accepted: that shows no death."
        "Try it there before it is retired, as by `Given edp1's first leaf works at every door`.";
    AuditMismatch "audit_mismatch" Procedure "of the harness"
        "The audit trail does not hold what the procedure did."
        "Compare the trail with the phases that were done; verify it with `halo-harness audit verify`.";
    FaultNotFired "fault_not_fired" Harness "of the harness"
        "A fault that was injected never fired, so nothing shows what it would have done."
        "Correct its method, principal or replica, or let the scenario go on until it fires.";
    GateShut "gate_shut" Procedure "of the harness"
        "The gate of a phase stayed shut: what it waits for was not observed at every peer."
        "Look at the peer that the gate names: restart it or give it the new root; force the phase only if it may be cut off.";
    GateOpen "gate_open" Procedure "of the harness"
        "The gate of a phase was open though a peer should have kept it shut."
        "Check that the peer really lags behind, and that the gate looks at it.";
    PhaseOutOfOrder "phase_out_of_order" Procedure "of the harness"
        "A phase was asked for that may not begin now: an earlier one is missing, or it is done."
        "Do the missing phase first; the refusal names it.";
    HookFailed "hook_failed" Procedure "of the harness"
        "The command that does a phase failed or took too long."
        "Read its recorded output; the phase counts as broken off, and the procedure can be rolled back.";
    StillAccepted "still_accepted" Procedure "of the harness"
        "A credential that should be dead was accepted."
        "Look where it was accepted: take its root out of that bundle and restart, revoke it, or drop its key.";
    CounterpartRefused "counterpart_refused" Procedure "of the harness"
        "The new credential was refused where the old one was tried, so that the old one's refusal proves nothing."
        "Give the new credential's root to this server, or register the new certificate, and try again.";
    NotNoticed "not_noticed" Client "3.13.3"
        "The participant that must notice what the Kingdom accepts did not."
        "Let it read revocation states, or check the signature, before it uses what it was given.";
    UnexpectedState "unexpected_state" Procedure "of the harness"
        "A resource, or what a participant did with it, is not in the state that the procedure promises."
        "Compare the steps that were done with the contract's order of effects (1.6); the finding names the resource.";
    ProbeNotSent "probe_not_sent" Harness "of the harness"
        "A probe that was due was not handed to the transport."
        "Run again on a less busy machine, or lower the rate.";
    HarnessFault "harness_fault" Harness "of the harness"
        "The harness or its environment failed; nothing is proved about the subject."
        "Read the message beside it, and report it if it repeats.";
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_code_stands_twice_and_every_entry_is_filled() {
        let codes: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.code()).collect();
        assert_eq!(codes.len(), Cause::ALL.len());
        for cause in Cause::ALL {
            assert!(!cause.meaning().is_empty() && !cause.next_step().is_empty(), "{cause}");
        }
    }
}
