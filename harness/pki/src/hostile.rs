//! Certificates that break a rule on purpose, by name.
//!
//! Each [`Variant`] departs in one respect from a leaf (or root) of the recipe of contract 4.4.
//! What a verifier makes of it is not said here: that is the contract's matter, and verifiers
//! differ. Where RFC 5280 and the JVM, webpki or the Kingdom part ways, the variant's line says
//! only what the bytes are.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use rand_core::RngCore;
use time::{Duration, OffsetDateTime};

use crate::authority::{
    AkidChoice, Authority, AuthoritySpec, ExtendedKeyUsage, LeafSpec, SkidChoice, Validity,
    authority_draft,
};
use crate::der::{self, oid};
use crate::draft::{self, Draft, Extension};
use crate::error::PkiError;
use crate::key::{self, KeyPair};
use crate::pem;

/// Octets of the variants named after a mebibyte.
const MEBIBYTE: usize = 1 << 20;

/// How deep [`Variant::DeepNesting`] goes.
const NESTING: usize = 4000;

/// Makes a hostile certificate. Unless the variant says otherwise it is a leaf for a fresh key,
/// issued by `authority`, valid from a day before `now` to 364 days after it, for the DNS name
/// `localhost`, with the variant's name as CN. `other` is an authority trusted beside it, whose
/// identity some variants claim.
///
/// Draws the key and then the serial from `rng`; variants that need more keys draw those of their
/// issuers first. The same inputs give the same bytes but for the signature.
///
/// # Errors
///
/// [`PkiError::Spec`] when `now` is so close to the years 0 or 9999 that a date cannot be written.
pub fn forge(
    variant: Variant,
    authority: &Authority,
    other: &Authority,
    now: OffsetDateTime,
    rng: &mut dyn RngCore,
) -> Result<Forgery, PkiError> {
    Forge { variant, authority, other, now, rng }.make()
}

/// A hostile certificate, what to send with it and the key to present it with.
///
/// `Debug` shows neither bytes nor key.
#[derive(Clone)]
pub struct Forgery {
    /// Which one it is.
    pub variant: Variant,
    /// The certificate, or what stands in its place: not always DER, possibly empty.
    pub certificate: Vec<u8>,
    /// Certificates to send after it in a handshake, each issued by the next.
    pub chain: Vec<Vec<u8>>,
    /// The private key of the certificate.
    pub key: ForgedKey,
}

impl fmt::Debug for Forgery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Forgery")
            .field("variant", &self.variant)
            .field("certificate_octets", &self.certificate.len())
            .field("chain_length", &self.chain.len())
            .field("key", &self.key)
            .finish()
    }
}

/// The private key of a forgery. `Debug` never shows it.
#[derive(Clone)]
pub enum ForgedKey {
    /// A P-256 key.
    P256(KeyPair),
    /// A key of another kind, as unencrypted PKCS#8 DER.
    Pkcs8(Vec<u8>),
    /// Nobody has the private key, so the certificate can be registered but not presented.
    Unknown,
}

impl ForgedKey {
    /// The key as unencrypted PKCS#8 DER, when there is one.
    pub fn pkcs8_der(&self) -> Option<&[u8]> {
        match self {
            Self::P256(key) => Some(key.pkcs8_der()),
            Self::Pkcs8(der) => Some(der),
            Self::Unknown => None,
        }
    }
}

impl fmt::Debug for ForgedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::P256(_) => "P256(redacted)",
            Self::Pkcs8(_) => "Pkcs8(redacted)",
            Self::Unknown => "Unknown",
        })
    }
}

/// Where a hostile certificate is put to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A leaf: presented in a handshake or registered.
    Leaf,
    /// A root: put into a trust bundle.
    Root,
    /// Bytes that are no DER certificate: registered, or put where a certificate belongs.
    Bytes,
}

macro_rules! catalogue {
    ($($place:ident { $($(#[doc = $line:literal])+ $variant:ident = $name:literal,)+ })+) => {
        /// A hostile certificate. The line of each says in what respect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Variant {
            $($($(#[doc = $line])+ $variant,)+)+
        }

        impl Variant {
            /// All of them, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)+)+];

            /// The name that scenarios use, in kebab case.
            pub fn name(self) -> &'static str {
                match self {
                    $($(Self::$variant => $name,)+)+
                }
            }

            /// The line of the catalogue that says in what respect it is hostile.
            pub fn describe(self) -> &'static str {
                match self {
                    $($(Self::$variant => concat!($($line),+).trim_ascii_start(),)+)+
                }
            }

            /// Where it is put to use.
            pub fn place(self) -> Place {
                match self {
                    $($(Self::$variant => Place::$place,)+)+
                }
            }

            /// The variant of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|variant| variant.name() == name)
            }
        }
    };
}

catalogue! {
    Leaf {
        /// Ended its validity thirty days ago.
        Expired = "expired",
        /// Ended its validity a second ago.
        JustExpired = "just-expired",
        /// Begins its validity in thirty days.
        NotYetValid = "not-yet-valid",
        /// Begins its validity after its end, with now between the two.
        ReversedValidity = "reversed-validity",
        /// Valid until the last second of the year 9999.
        EndlessValidity = "endless-validity",
        /// Writes a date before 2050 as GeneralizedTime.
        WrongTimeForm = "wrong-time-form",

        /// Its DNS name is another host's.
        WrongName = "wrong-name",
        /// Has no subject alternative name, and a CN that is no host name.
        NoAlternativeName = "no-alternative-name",
        /// Has no subject alternative name, but the host name as CN.
        CommonNameOnly = "common-name-only",
        /// Its only DNS name is a wildcard over a whole top-level domain.
        WildcardName = "wildcard-name",
        /// Its DNS name is the host's with a NUL and another domain behind it.
        NulInName = "nul-in-name",
        /// Has an empty subject.
        EmptySubject = "empty-subject",

        /// Says CA:TRUE and may sign certificates.
        CaAsLeaf = "ca-as-leaf",
        /// Issued by a leaf, which is sent along.
        IssuedByLeaf = "issued-by-leaf",
        /// Signed with its own key.
        SelfSigned = "self-signed",
        /// Signed with its own key, but names the authority as issuer and in its authority key
        /// identifier.
        SelfSignedInAuthoritysName = "self-signed-in-authoritys-name",
        /// Issued by the other authority in the name of this one: its issuer and its authority key
        /// identifier are this authority's.
        SignedByOtherInAuthoritysName = "signed-by-other-in-authoritys-name",
        /// Issued by an authority that nobody trusts.
        UnknownAuthority = "unknown-authority",
        /// Issued, correctly, by an intermediate that is sent along.
        ThroughIntermediate = "through-intermediate",
        /// Issued by an intermediate that is sent along and names another root's key as its issuer's.
        IntermediateAkidOfOther = "intermediate-akid-of-other",
        /// Issued by an intermediate that is not sent along.
        MissingIntermediate = "missing-intermediate",
        /// Two intermediates below the root, the upper of which allows none below it.
        PathTooLong = "path-too-long",
        /// Issued by an intermediate that may issue only for another domain.
        NameConstraintViolated = "name-constraint-violated",
        /// May be used for signing code only.
        WrongExtendedKeyUsage = "wrong-extended-key-usage",

        /// Has no authority key identifier.
        AkidAbsent = "akid-absent",
        /// Has an authority key identifier extension without a key identifier.
        AkidWithoutKeyId = "akid-without-key-id",
        /// Has an authority key identifier of length zero.
        AkidEmpty = "akid-empty",
        /// Has an authority key identifier extension that is no sequence.
        AkidMalformed = "akid-malformed",
        /// Has the right authority key identifier twice.
        AkidTwice = "akid-twice",
        /// Has two authority key identifiers: its issuer's, then the other authority's.
        AkidOfBoth = "akid-of-both",
        /// Names the other authority's key in its authority key identifier.
        AkidOfOther = "akid-of-other",
        /// Names a key that no authority has in its authority key identifier.
        AkidOfNobody = "akid-of-nobody",

        /// Has no subject key identifier.
        SkidAbsent = "skid-absent",
        /// Has a subject key identifier of length zero.
        SkidEmpty = "skid-empty",
        /// Has a subject key identifier extension that holds no octet string.
        SkidMalformed = "skid-malformed",
        /// Has its subject key identifier twice.
        SkidTwice = "skid-twice",
        /// Has the authority's subject key identifier for its own.
        SkidOfAuthority = "skid-of-authority",
        /// Has a subject key identifier of 64 KiB.
        SkidHuge = "skid-huge",

        /// Has an extension that nobody knows, marked critical.
        UnknownCriticalExtension = "unknown-critical-extension",
        /// Has basicConstraints twice, first CA:FALSE and then CA:TRUE.
        ContradictoryConstraints = "contradictory-constraints",
        /// Has a thousand extensions that nobody knows, all of one kind.
        ManyExtensions = "many-extensions",
        /// Has an extension of 1 MiB that nobody knows.
        HugeExtension = "huge-extension",

        /// Version 1, without extensions.
        Version1 = "version-1",
        /// Says version 1 but has extensions.
        Version1WithExtensions = "version-1-with-extensions",
        /// One bit of its signature is flipped.
        FlippedSignatureBit = "flipped-signature-bit",
        /// Its signature is an empty bit string.
        EmptySignature = "empty-signature",
        /// Says that it is signed with SHA-1; the signature is one with SHA-256.
        Sha1Signature = "sha1-signature",
        /// The signature algorithm beside the signature is not the one that was signed.
        AlgorithmsDisagree = "algorithms-disagree",
        /// Its serial number is negative.
        NegativeSerial = "negative-serial",
        /// Its serial number is zero.
        ZeroSerial = "zero-serial",
        /// Its serial number has 64 octets where 20 are the most.
        HugeSerial = "huge-serial",

        /// Its key is RSA with a modulus of 1024 bits; a drawn number, so nobody has the private
        /// key.
        Rsa1024Key = "rsa-1024-key",
        /// Its key is on P-384.
        P384Key = "p-384-key",
        /// Its key is Ed25519.
        Ed25519Key = "ed25519-key",
        /// Its key is a point that is not on the curve, so there is no private key.
        PointOffCurve = "point-off-curve",
        /// Its key is the authority's own.
        AuthoritysKey = "authoritys-key",
    }
    Root {
        /// A root without subject key identifier.
        RootWithoutSkid = "root-without-skid",
        /// A root that names the authority's key in its authority key identifier.
        RootWithForeignAkid = "root-with-foreign-akid",
        /// A root without authority key identifier.
        RootWithoutAkid = "root-without-akid",
        /// A root for a key of its own under the authority's subject key identifier.
        RootWithAuthoritysSkid = "root-with-authoritys-skid",
        /// A root with an empty subject key identifier.
        RootWithEmptySkid = "root-with-empty-skid",
        /// A root that does not say CA:TRUE.
        RootNotCa = "root-not-ca",
        /// A root whose validity ended thirty days ago.
        RootExpired = "root-expired",
        /// An authority below the authority.
        IntermediateAsRoot = "intermediate-as-root",
    }
    Bytes {
        /// No bytes.
        Empty = "empty",
        /// The first half of a good leaf.
        Truncated = "truncated",
        /// A good leaf with sixteen octets behind it.
        TrailingGarbage = "trailing-garbage",
        /// Two good leaves, one behind the other.
        TwoCertificates = "two-certificates",
        /// A good leaf as PEM text.
        Pem = "pem",
        /// A good leaf with its outermost length indefinite: BER, not DER.
        IndefiniteLength = "indefinite-length",
        /// A sequence within a sequence, four thousand deep.
        DeepNesting = "deep-nesting",
        /// A header that announces 4 GiB.
        HugeLength = "huge-length",
        /// 1 MiB of drawn octets.
        Garbage = "garbage",
        /// The leaf's private key, PKCS#8, in the certificate's place; a throw-away key.
        PrivateKey = "private-key",
    }
}

struct Forge<'a> {
    variant: Variant,
    authority: &'a Authority,
    other: &'a Authority,
    now: OffsetDateTime,
    rng: &'a mut dyn RngCore,
}

impl Forge<'_> {
    fn make(&mut self) -> Result<Forgery, PkiError> {
        let (now, day) = (self.now, Duration::DAY);
        let localhost = || "localhost".to_owned();
        let authority_skid = self.authority.subject_key_identifier().to_vec();
        let other_skid = self.other.subject_key_identifier().to_vec();
        match self.variant {
            Variant::Expired => self.issue(|spec| spec.validity = around(now, -395, -30)),
            Variant::JustExpired => {
                self.issue(|spec| spec.validity.not_after = now - Duration::SECOND)
            }
            Variant::NotYetValid => self.issue(|spec| spec.validity = around(now, 30, 395)),
            Variant::ReversedValidity => self.issue(|spec| spec.validity = around(now, 30, -30)),
            Variant::EndlessValidity => {
                self.issue(|spec| spec.validity = Validity::days(now - day, i64::from(i32::MAX)))
            }
            Variant::WrongTimeForm => self.redraft(|draft, _| {
                if let Some(utc) = der::read(&draft.not_before) {
                    let text = [b"20", utc.content].concat();
                    draft.not_before = der::generalized_time(&text);
                }
            }),

            Variant::WrongName => {
                self.issue(|spec| spec.dns_names = vec!["wrong.example".to_owned()])
            }
            Variant::NoAlternativeName => self.issue(|spec| spec.dns_names.clear()),
            Variant::CommonNameOnly => self.issue(|spec| {
                spec.dns_names.clear();
                spec.common_name = localhost();
            }),
            Variant::WildcardName => self.issue(|spec| spec.dns_names = vec!["*.test".to_owned()]),
            Variant::NulInName => {
                self.issue(|spec| spec.dns_names = vec!["localhost\0.wrong.example".to_owned()])
            }
            Variant::EmptySubject => self.redraft(|draft, _| draft.subject = draft::name("", "")),

            Variant::CaAsLeaf => self.issue(|spec| spec.is_ca = true),
            Variant::IssuedByLeaf => self.below_leaf(),
            Variant::SelfSigned => self.self_signed(|draft, key| {
                draft.issuer = draft.subject.clone();
                let own = key.subject_key_identifier();
                replace(draft, Extension::authority_key_identifier(Some(&own)));
            }),
            Variant::SelfSignedInAuthoritysName => self.self_signed(|_, _| {}),
            Variant::SignedByOtherInAuthoritysName => {
                let (draft, key) = self.draft(|_| {})?;
                Ok(self.done(draft.sign(self.other.key())?, key))
            }
            Variant::UnknownAuthority => {
                let spec = self.authority_spec();
                let stranger = Authority::create(&spec, self.rng)?;
                self.below(&stranger, Vec::new())
            }
            Variant::ThroughIntermediate => {
                let intermediate = self.intermediate(|_| {})?;
                self.below(&intermediate, vec![intermediate.certificate_der().to_vec()])
            }
            Variant::IntermediateAkidOfOther => {
                let identifier = Extension::authority_key_identifier(Some(&other_skid));
                let intermediate = self.intermediate(|draft| replace(draft, identifier))?;
                self.below(&intermediate, vec![intermediate.certificate_der().to_vec()])
            }
            Variant::MissingIntermediate => {
                let intermediate = self.intermediate(|_| {})?;
                self.below(&intermediate, Vec::new())
            }
            Variant::PathTooLong => self.path_too_long(),
            Variant::NameConstraintViolated => {
                let permitted = der::element(0x82, b"permitted.example");
                let permitted = der::element(0xa0, &der::sequence(&[&permitted]));
                let constraints = der::sequence(&[&permitted]);
                let extension = Extension::new(oid::NAME_CONSTRAINTS, true, constraints);
                let intermediate = self.intermediate(|draft| draft.extensions.push(extension))?;
                self.below(&intermediate, vec![intermediate.certificate_der().to_vec()])
            }
            Variant::WrongExtendedKeyUsage => {
                self.issue(|spec| spec.extended_key_usage = vec![ExtendedKeyUsage::CodeSigning])
            }

            Variant::AkidAbsent => self.issue(|spec| spec.akid = AkidChoice::Absent),
            Variant::AkidWithoutKeyId => self.issue(|spec| spec.akid = AkidChoice::KeyIdAbsent),
            Variant::AkidEmpty => self.issue(|spec| spec.akid = AkidChoice::Of(Vec::new())),
            Variant::AkidMalformed => self.redraft(|draft, _| {
                let text = der::utf8_string("not a sequence");
                replace(draft, Extension::new(oid::AUTHORITY_KEY_IDENTIFIER, false, text));
            }),
            Variant::AkidTwice => self.issue(|spec| {
                spec.akid = AkidChoice::Twice(authority_skid.clone(), authority_skid);
            }),
            Variant::AkidOfBoth => {
                self.issue(|spec| spec.akid = AkidChoice::Twice(authority_skid, other_skid))
            }
            Variant::AkidOfOther => self.issue(|spec| spec.akid = AkidChoice::Of(other_skid)),
            Variant::AkidOfNobody => self.issue(|spec| spec.akid = AkidChoice::Of(vec![0xee; 20])),

            Variant::SkidAbsent => self.issue(|spec| spec.skid = SkidChoice::Absent),
            Variant::SkidEmpty => self.issue(|spec| spec.skid = SkidChoice::Empty),
            Variant::SkidMalformed => self.issue(|spec| spec.skid = SkidChoice::Malformed),
            Variant::SkidTwice => self.redraft(|draft, key| {
                let identifier = key.subject_key_identifier();
                draft.extensions.push(Extension::subject_key_identifier(&identifier));
            }),
            Variant::SkidOfAuthority => {
                self.issue(|spec| spec.skid = SkidChoice::Of(authority_skid))
            }
            Variant::SkidHuge => {
                self.issue(|spec| spec.skid = SkidChoice::Of(vec![0x5a; MEBIBYTE / 16]))
            }

            Variant::UnknownCriticalExtension => self.redraft(|draft, _| {
                let value = der::utf8_string("nobody knows this");
                draft.extensions.push(Extension::new(oid::UNKNOWN_EXTENSION, true, value));
            }),
            Variant::ContradictoryConstraints => self.redraft(|draft, _| {
                draft.extensions.push(Extension::basic_constraints(true, true, None));
            }),
            Variant::ManyExtensions => self.redraft(|draft, _| {
                let value = der::utf8_string("nobody knows this");
                let extension = Extension::new(oid::UNKNOWN_EXTENSION, false, value);
                draft.extensions.extend(std::iter::repeat_n(extension, 1000));
            }),
            Variant::HugeExtension => self.redraft(|draft, _| {
                let value = der::octet_string(&vec![0x5a; MEBIBYTE]);
                draft.extensions.push(Extension::new(oid::UNKNOWN_EXTENSION, false, value));
            }),

            Variant::Version1 => self.redraft(|draft, _| {
                draft.version = None;
                draft.extensions.clear();
            }),
            Variant::Version1WithExtensions => self.redraft(|draft, _| draft.version = None),
            Variant::FlippedSignatureBit => {
                let mut forgery = self.issue(|_| {})?;
                if let Some(last) = forgery.certificate.last_mut() {
                    *last ^= 1;
                }
                Ok(forgery)
            }
            Variant::EmptySignature => {
                let (draft, key) = self.draft(|_| {})?;
                Ok(self.done(draft.with_signature(&[]), key))
            }
            Variant::Sha1Signature => self.redraft(|draft, _| {
                draft.inner_algorithm = draft::algorithm(oid::ECDSA_WITH_SHA1);
                draft.outer_algorithm = draft.inner_algorithm.clone();
            }),
            Variant::AlgorithmsDisagree => self.redraft(|draft, _| {
                draft.inner_algorithm = draft::algorithm(oid::ECDSA_WITH_SHA384);
            }),
            Variant::NegativeSerial => self.redraft(|draft, _| draft.serial[0] |= 0x80),
            Variant::ZeroSerial => self.issue(|spec| spec.serial = Some(vec![0])),
            Variant::HugeSerial => self.issue(|spec| spec.serial = Some(vec![0x5a; 64])),

            Variant::Rsa1024Key => {
                let mut modulus = [0u8; 128];
                self.rng.fill_bytes(&mut modulus);
                modulus[0] |= 0x80;
                modulus[127] |= 1;
                let public = der::sequence(&[
                    &der::unsigned_integer(&modulus),
                    &der::unsigned_integer(&[1, 0, 1]),
                ]);
                let null = der::element(der::NULL, &[]);
                let algorithm =
                    der::sequence(&[&der::object_identifier(oid::RSA_ENCRYPTION), &null]);
                self.foreign_key(algorithm, &public, ForgedKey::Unknown)
            }
            Variant::P384Key => self.p384(),
            Variant::Ed25519Key => self.ed25519(),
            Variant::PointOffCurve => {
                let mut point = KeyPair::generate(self.rng).public_point().to_vec();
                // The only other point with this x has a y of the other parity, which this keeps.
                point[64] ^= 2;
                let algorithm = ec_algorithm(oid::PRIME256V1);
                self.foreign_key(algorithm, &point, ForgedKey::Unknown)
            }
            Variant::AuthoritysKey => {
                let key = self.authority.key().clone();
                let leaf = self.authority.issue_for_key(&self.spec(), &key, self.rng)?;
                Ok(self.done(leaf.certificate_der().to_vec(), key))
            }

            Variant::RootWithoutSkid => {
                self.own_root(|draft| draft.remove(oid::SUBJECT_KEY_IDENTIFIER))
            }
            Variant::RootWithForeignAkid => self.own_root(|draft| {
                replace(draft, Extension::authority_key_identifier(Some(&authority_skid)));
            }),
            Variant::RootWithoutAkid => {
                self.own_root(|draft| draft.remove(oid::AUTHORITY_KEY_IDENTIFIER))
            }
            Variant::RootWithAuthoritysSkid => self.own_root(|draft| {
                replace(draft, Extension::subject_key_identifier(&authority_skid));
                replace(draft, Extension::authority_key_identifier(Some(&authority_skid)));
            }),
            Variant::RootWithEmptySkid => self.own_root(|draft| {
                replace(draft, Extension::subject_key_identifier(&[]));
                replace(draft, Extension::authority_key_identifier(Some(&[])));
            }),
            Variant::RootNotCa => self.own_root(|draft| {
                replace(draft, Extension::basic_constraints(true, false, None));
            }),
            Variant::RootExpired => {
                let validity = around(now, -395, -30);
                let spec = AuthoritySpec { validity, ..self.authority_spec() };
                let root = Authority::create(&spec, self.rng)?;
                Ok(self.done(root.certificate_der().to_vec(), root.key().clone()))
            }
            Variant::IntermediateAsRoot => {
                let intermediate = self.intermediate(|_| {})?;
                let certificate = intermediate.certificate_der().to_vec();
                Ok(self.done(certificate, intermediate.key().clone()))
            }

            Variant::Empty => self.spoil(|_| Vec::new()),
            Variant::Truncated => self.spoil(|good| good[..good.len() / 2].to_vec()),
            Variant::TrailingGarbage => self.spoil(|good| [good, &[0x5a; 16]].concat()),
            Variant::TwoCertificates => {
                let first = self.issue(|_| {})?.certificate;
                self.spoil(|good| [good, &first].concat())
            }
            Variant::Pem => self.spoil(|good| pem::certificate_pem(good).into_bytes()),
            Variant::IndefiniteLength => self.spoil(|good| {
                let content = der::read(good).map(|whole| whole.content).unwrap_or_default();
                [&[der::SEQUENCE, 0x80], content, &[0, 0]].concat()
            }),
            Variant::DeepNesting => {
                self.spoil(|_| (0..NESTING).fold(Vec::new(), |inner, _| der::sequence(&[&inner])))
            }
            Variant::HugeLength => {
                self.spoil(|_| vec![der::SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff, 0x30, 0x00])
            }
            Variant::Garbage => {
                let mut garbage = vec![0u8; MEBIBYTE];
                self.rng.fill_bytes(&mut garbage);
                self.spoil(|_| garbage)
            }
            Variant::PrivateKey => {
                let mut forgery = self.issue(|_| {})?;
                forgery.certificate = forgery.key.pkcs8_der().unwrap_or_default().to_vec();
                Ok(forgery)
            }
        }
    }

    /// Bytes made from a good leaf of the authority.
    fn spoil(&mut self, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<Forgery, PkiError> {
        let mut forgery = self.issue(|_| {})?;
        forgery.certificate = change(&forgery.certificate);
        Ok(forgery)
    }

    /// A leaf of the authority by a changed spec.
    fn issue(&mut self, change: impl FnOnce(&mut LeafSpec)) -> Result<Forgery, PkiError> {
        let (draft, key) = self.draft(change)?;
        Ok(self.done(draft.sign(self.authority.key())?, key))
    }

    /// A leaf of the authority, changed beyond what a spec can say.
    fn redraft(&mut self, change: impl FnOnce(&mut Draft, &KeyPair)) -> Result<Forgery, PkiError> {
        let (mut draft, key) = self.draft(|_| {})?;
        change(&mut draft, &key);
        Ok(self.done(draft.sign(self.authority.key())?, key))
    }

    fn self_signed(
        &mut self,
        change: impl FnOnce(&mut Draft, &KeyPair),
    ) -> Result<Forgery, PkiError> {
        let (mut draft, key) = self.draft(|_| {})?;
        change(&mut draft, &key);
        Ok(self.done(draft.sign(&key)?, key))
    }

    fn draft(&mut self, change: impl FnOnce(&mut LeafSpec)) -> Result<(Draft, KeyPair), PkiError> {
        let key = KeyPair::generate(self.rng);
        let mut spec = self.spec();
        change(&mut spec);
        Ok((self.authority.leaf_draft(&spec, &key, self.rng)?, key))
    }

    fn below_leaf(&mut self) -> Result<Forgery, PkiError> {
        let leaf = self.authority.issue(&self.spec(), self.rng)?;
        let key = leaf.key().clone();
        let skid = key.subject_key_identifier();
        let certificate = leaf.certificate_der().to_vec();
        let spec = self.spec();
        let name = draft::name(&spec.organization, &spec.common_name);
        let issuer = Authority::assemble(key, certificate.clone(), name, skid);
        self.below(&issuer, vec![certificate])
    }

    fn path_too_long(&mut self) -> Result<Forgery, PkiError> {
        let upper = self.intermediate(|draft| {
            replace(draft, Extension::basic_constraints(true, true, Some(0)));
        })?;
        let mut spec = self.authority_spec();
        spec.common_name.push_str(" lower");
        let lower = upper.intermediate(&spec, self.rng)?;
        let chain = vec![lower.certificate_der().to_vec(), upper.certificate_der().to_vec()];
        self.below(&lower, chain)
    }

    fn below(&mut self, issuer: &Authority, chain: Vec<Vec<u8>>) -> Result<Forgery, PkiError> {
        let leaf = issuer.issue(&self.spec(), self.rng)?;
        let forgery = self.done(leaf.certificate_der().to_vec(), leaf.key().clone());
        Ok(Forgery { chain, ..forgery })
    }

    fn intermediate(&mut self, change: impl FnOnce(&mut Draft)) -> Result<Authority, PkiError> {
        let key = KeyPair::generate(self.rng);
        let (issuer, skid) = (self.authority.name().to_vec(), key.subject_key_identifier());
        let issuer_skid = self.authority.subject_key_identifier();
        let spec = self.authority_spec();
        let mut draft = authority_draft(&spec, &key, issuer, issuer_skid, self.rng)?;
        change(&mut draft);
        let certificate = draft.sign(self.authority.key())?;
        Ok(Authority::assemble(key, certificate, draft.subject, skid))
    }

    fn own_root(&mut self, change: impl FnOnce(&mut Draft)) -> Result<Forgery, PkiError> {
        let key = KeyPair::generate(self.rng);
        let spec = self.authority_spec();
        let name = draft::name(&spec.organization, &spec.common_name);
        let skid = key.subject_key_identifier();
        let mut draft = authority_draft(&spec, &key, name, &skid, self.rng)?;
        change(&mut draft);
        Ok(self.done(draft.sign(&key)?, key))
    }

    fn p384(&mut self) -> Result<Forgery, PkiError> {
        let mut scalar = [0u8; 48];
        self.rng.fill_bytes(&mut scalar);
        // Below the order, whose first octet is 0xff, and not zero.
        scalar[0] &= 0x7f;
        scalar[47] |= 1;
        let pkcs8 = key::pkcs8(oid::SECP384R1, &scalar, None);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &pkcs8)
            .expect("every scalar in 1..order is a private key of P-384");
        let point = pair.public_key().as_ref().to_vec();
        let pkcs8 = key::pkcs8(oid::SECP384R1, &scalar, Some(&point));
        self.foreign_key(ec_algorithm(oid::SECP384R1), &point, ForgedKey::Pkcs8(pkcs8))
    }

    fn ed25519(&mut self) -> Result<Forgery, PkiError> {
        let mut seed = [0u8; 32];
        self.rng.fill_bytes(&mut seed);
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("every 32 octets are a seed");
        let algorithm = draft::algorithm(oid::ED25519);
        let private = der::octet_string(&der::octet_string(&seed));
        let pkcs8 = der::sequence(&[&der::unsigned_integer(&[]), &algorithm, &private]);
        self.foreign_key(algorithm, pair.public_key().as_ref(), ForgedKey::Pkcs8(pkcs8))
    }

    /// A leaf of the authority for a public key that is not on P-256.
    fn foreign_key(
        &mut self,
        algorithm: Vec<u8>,
        public: &[u8],
        key: ForgedKey,
    ) -> Result<Forgery, PkiError> {
        let forgery = self.redraft(|draft, _| {
            draft.public_key_info = der::sequence(&[&algorithm, &der::bit_string(public)]);
            replace(draft, Extension::subject_key_identifier(&key::key_identifier(public)));
        })?;
        Ok(Forgery { key, ..forgery })
    }

    fn spec(&self) -> LeafSpec {
        LeafSpec::new(self.variant.name(), around(self.now, -1, 364))
    }

    fn authority_spec(&self) -> AuthoritySpec {
        AuthoritySpec {
            organization: crate::DEFAULT_ORGANIZATION.to_owned(),
            common_name: format!("{} CA", self.variant.name()),
            dns_name: "ca.hostile.example".to_owned(),
            validity: around(self.now, -1, 3649),
        }
    }

    fn done(&self, certificate: Vec<u8>, key: KeyPair) -> Forgery {
        let key = ForgedKey::P256(key);
        Forgery { variant: self.variant, certificate, chain: Vec::new(), key }
    }
}

/// From so many days after `now` to so many days after it; both may be negative.
fn around(now: OffsetDateTime, from: i64, to: i64) -> Validity {
    let not_before = now.saturating_add(Duration::days(from));
    Validity { not_before, not_after: now.saturating_add(Duration::days(to)) }
}

/// Puts the extension in the place of those of its kind.
fn replace(draft: &mut Draft, extension: Extension) {
    draft.remove(extension.oid);
    draft.extensions.push(extension);
}

fn ec_algorithm(curve: &[u8]) -> Vec<u8> {
    der::sequence(&[&der::object_identifier(oid::EC_PUBLIC_KEY), &der::object_identifier(curve)])
}
