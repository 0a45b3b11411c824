//! Panel match (contract 4.5, 3.4.3) and model providers (1.3.4, 1.1.3).

use crate::support::{SEED, Stage, faithful, play, signing_key};
use halo_harness::participant::model_provider::ModelProvider;
use halo_harness::participant::panel_match::{PanelMatch, PanelMatchError};
use halo_harness::participant::{Base, EventKind, Identity, SigningPair};
use halo_harness::quirk::PeerQuirk;
use kingdom_proto::v2alpha as pb;
use pb::certificate::RevocationState::Revoked;
use std::collections::BTreeMap;

fn panel_match(stage: &Stage) -> PanelMatch {
    let environment = &stage.environment;
    let identity =
        Identity::of(environment.sandbox(), "modelprovider1", environment.clock(), SEED).unwrap();
    let root = stage.authority("edp1").certificate_der().to_vec();
    PanelMatch::new(Base::new(identity), BTreeMap::from([(stage.resource("edp1"), root)]))
}

/// 4.5 (quirk panel-match-ignores-validity): an expired certificate passes, or as documented not.
#[test]
fn panel_match_takes_an_expired_certificate_or_as_documented_not() {
    play(async |stage: &Stage| {
        let (mut party, mut provider) = (panel_match(stage), stage.data_provider("edp1"));
        let leaf = stage.leaf_of(&stage.authority("edp1"), "short", |spec| {
            spec.validity.not_after = stage.now() + time::Duration::hours(1);
        });
        let key = signing_key(&leaf);
        provider.rotate_certificate(stage, leaf.certificate_der(), key).await.unwrap();
        let name = provider.signing.certificate.clone();
        assert!(party.certificate(stage, &name).await.is_ok());
        stage.advance(std::time::Duration::from_secs(2 * 3600));
        let refused = party.certificate(stage, &name).await;
        assert!(matches!(refused, Err(PanelMatchError::Untrusted { .. })));
        faithful(&mut party.base, PeerQuirk::PanelMatchIgnoresValidity);
        assert!(party.certificate(stage, &name).await.is_ok());
    });
}

/// 3.4.3, 4.5: the root stored for the owner must have issued it, in both settings; an owner without
/// a stored root is not trusted; a certificate is fetched once and its revocation never seen.
#[test]
fn panel_match_binds_roots_to_owners_and_never_sees_a_revocation() {
    play(async |stage: &Stage| {
        let (mut party, mut provider) = (panel_match(stage), stage.data_provider("edp1"));
        let good = provider.signing.certificate.clone();
        assert!(party.certificate(stage, &good).await.is_ok());
        provider.base.set_revocation(stage, &good, Some(Revoked)).await.unwrap();
        assert!(party.certificate(stage, &good).await.is_ok());

        let other = stage.data_provider("edp2").signing.certificate;
        let refused = party.certificate(stage, &other).await;
        assert!(matches!(refused, Err(PanelMatchError::NoRoot(_))));
        let leaf = stage.leaf("edp2", "of edp2");
        let key = signing_key(&leaf);
        provider.rotate_certificate(stage, leaf.certificate_der(), key).await.unwrap();
        let foreign = provider.signing.certificate.clone();
        for is_faithful in [false, true] {
            if is_faithful {
                faithful(&mut party.base, PeerQuirk::PanelMatchIgnoresValidity);
            }
            let refused = party.certificate(stage, &foreign).await;
            assert!(matches!(refused, Err(PanelMatchError::Untrusted { .. })), "{is_faithful}");
        }
    });
}

/// 3.4.3, 4.5: what is signed with the key of a certificate of the stored root is taken, revoked or not, until
/// another root stands in its place; what another key signed, or nobody's root issued, is rejected by name.
#[test]
fn panel_match_takes_what_a_revoked_certificate_signs_until_the_stored_root_is_another() {
    play(async |stage: &Stage| {
        let (mut party, mut provider) = (panel_match(stage), stage.data_provider("edp1"));
        let own = provider.signing.clone();
        let signed = |pair: &SigningPair| pair.sign_packed(Default::default()).unwrap();
        provider.base.set_revocation(stage, &own.certificate, Some(Revoked)).await.unwrap();
        party.take(stage, &own.certificate, &signed(&own)).await.unwrap();
        assert!(party.base.events.is_empty(), "nobody notices");

        let thief =
            SigningPair { key: signing_key(&stage.leaf("edp1", "thief")).into(), ..own.clone() };
        let refused = party.take(stage, &own.certificate, &signed(&thief)).await.unwrap_err();
        assert!(matches!(refused, PanelMatchError::BadSignature { .. }), "{refused}");
        assert_eq!(refused.clause(), Some("4.5"));

        let other = stage.data_provider("edp2").signing;
        let refused = party.take(stage, &other.certificate, &signed(&other)).await.unwrap_err();
        assert_eq!(refused.clause(), Some("3.4.3"), "{refused}");

        let root = stage.new_root("edp1").certificate_der().to_vec();
        party.roots.insert(stage.resource("edp1"), root);
        let refused = party.take(stage, &own.certificate, &signed(&own)).await.unwrap_err();
        assert_eq!(refused.clause(), Some("3.4.3"), "{refused}");
        let rejected: Vec<_> =
            party.base.events.iter().map(|event| (event.kind, event.clause)).collect();
        let expected = [(EventKind::Rejected, "4.5"), (EventKind::Rejected, "3.4.3")];
        assert_eq!(rejected, [expected[0], expected[1], expected[1]]);
    });
}

/// 1.3.4, 1.1.3, 1.3.1: a model provider registers certificates and reads everybody's but a
/// measurement consumer's.
#[test]
fn a_model_provider_has_certificates_and_reads_what_it_may() {
    play(async |stage: &Stage| {
        let environment = &stage.environment;
        let mut provider =
            ModelProvider::of(environment.sandbox(), "modelprovider1", environment.clock(), SEED)
                .unwrap();
        assert_eq!(provider.own(stage).await.unwrap().name, stage.resource("modelprovider1"));
        let leaf = stage.leaf("modelprovider1", "cs");
        let created = provider.create_certificate(stage, leaf.certificate_der()).await.unwrap();
        assert_eq!(provider.certificate(stage, &created.name).await.unwrap(), created);
        let edp1 = stage.data_provider("edp1").signing.certificate;
        assert!(provider.certificate(stage, &edp1).await.is_ok());
        let denied = provider.certificate(stage, &stage.consumer().signing.certificate).await;
        assert_eq!(denied.unwrap_err().code, "PERMISSION_DENIED");
    });
}
