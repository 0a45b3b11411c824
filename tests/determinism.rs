//! The same Kingdom, TLS and client code over in-memory streams on a paused runtime: a virtual year
//! with a leaf expiry in it, twice with one seed, gives the same bytes.

use fake_kingdom::client::{Credentials, channel};
use fake_kingdom::model::Timestamp;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use fake_kingdom::seam::transport::Memory;
use fake_kingdom::{Files, Kingdom, Sandbox};
use halo_pki::{Authority, LeafSpec, Validity};
use kingdom_proto::v2alpha::GetDataProviderRequest;
use kingdom_proto::v2alpha::data_providers_client::DataProvidersClient;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const HOURS: u32 = 365 * 24;
/// The client's leaf expires after half a year; its successor comes ten days late.
const LEAF_DAYS: i64 = 180;
const SUCCESSOR_AFTER_HOURS: u32 = 190 * 24;

fn year(seed: u64) -> String {
    hours(seed, HOURS)
}

/// So many virtual hours; answers the events as JSON lines.
fn hours(seed: u64, hours: u32) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let start = Timestamp::parse_rfc3339("2100-01-01T00:00:00Z").expect("a date");
        let seed = Seed::new(seed);
        let clock = Clock::virtual_from(start);
        let sandbox = Sandbox::generate(seed, &[start]).expect("a sandbox");
        let network = Arc::new(Memory::default());
        let kingdom = Kingdom::builder(Files::Memory(sandbox.memory_files()))
            .provision(sandbox.provision().expect("resources"))
            .network(network.clone())
            .clock(clock.clone())
            .seed(seed)
            .start()
            .await
            .expect("it starts");
        let name = sandbox.participant("edp1").expect("edp1").resource.clone();
        let mut credentials = leaf(&sandbox, seed, start, "first");
        for hour in 0..hours {
            if hour == SUCCESSOR_AFTER_HOURS {
                credentials = leaf(&sandbox, seed, clock.now(), "second");
            }
            let channel = channel(network.clone(), kingdom.public_address(), &credentials, &clock);
            let mut client = DataProvidersClient::new(channel.expect("a channel"));
            let mut request = tonic::Request::new(GetDataProviderRequest { name: name.clone() });
            let id = format!("hour-{hour}").parse().expect("a header");
            request.metadata_mut().insert("x-request-id", id);
            let expired = hour > 180 * 24 && hour < SUCCESSOR_AFTER_HOURS;
            let answer = client.get_data_provider(request).await;
            assert_eq!(answer.is_err(), expired, "hour {hour}: {answer:?}");
            tokio::time::sleep(HOUR).await;
        }
        let events = kingdom.control().events().after(0, usize::MAX).expect("all are kept");
        let lines = events.iter().map(|event| serde_json::to_string(&**event).expect("JSON"));
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// A fresh leaf of edp1's own authority.
fn leaf(sandbox: &Sandbox, seed: Seed, from: Timestamp, purpose: &str) -> Credentials {
    let file = |name: &str| sandbox.file(&format!("participants/edp1/{name}")).expect("a file");
    let key = String::from_utf8(file("edp1_root.key").to_vec()).expect("text");
    let root = Authority::load(file("edp1_root.pem"), &key).expect("an authority");
    let from = from.to_date_time().expect("a date");
    let spec = LeafSpec::new("edp1 year TEST ONLY", Validity::days(from, LEAF_DAYS));
    let leaf = root.issue(&spec, &mut seed.child(purpose)).expect("a leaf");
    Credentials {
        chain: vec![leaf.certificate_der().to_vec()],
        key: leaf.key().pkcs8_der().to_vec(),
        ..Credentials::of(sandbox, "edp1").expect("edp1")
    }
}

#[test]
fn one_seed_gives_one_log_byte_for_byte_over_a_year_with_an_expiry_in_it() {
    let (first, second) = (year(42), year(42));
    let difference = first.lines().zip(second.lines()).enumerate().find(|(_, (a, b))| a != b);
    assert_eq!(difference, None, "the first line that differs");
    assert_eq!(first.len(), second.len());

    let refused: Vec<_> = first.lines().filter(|line| line.contains("\"expired\"")).collect();
    assert!(!refused.is_empty(), "no leaf expired");
    assert!(refused.iter().all(|line| line.contains("\"kind\":\"handshake\"")));
    assert!(first.contains("2100-12-31T"), "the year did not pass");
    let calls = first.lines().filter(|line| line.contains("\"kind\":\"call\"")).count();
    assert_eq!(calls, (HOURS - (SUCCESSOR_AFTER_HOURS - 180 * 24 - 1)) as usize);
}

#[test]
fn another_seed_gives_another_log() {
    let line =
        |seed| hours(seed, 2).lines().find(|line| line.contains("handshake")).map(str::to_owned);
    assert_ne!(line(1), line(2));
}
