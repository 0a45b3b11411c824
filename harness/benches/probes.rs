//! The prober's and the simulation's numbers of design.md section 8, as one table:
//! `cargo bench -p halo-harness --bench probes`.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a bench measures and prints"
)]

use fake_kingdom::seam::entropy::Seed;
use halo_harness::client::{Credential, Security, TlsOptions};
use halo_harness::environment::{Environment, EnvironmentKind, Setup};
use halo_harness::probe::{CallerSettings, Density, Prober, Wardrobe};
use halo_harness::verdict::availability;
use halo_harness::world::{Seeds, World};
use halo_pki::{Authority, LeafSpec, Validity, pem_certificates, pem_private_key};
use kingdom_proto::v2alpha as pb;
use prost::Message as _;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

const ROUNDS: usize = 10;

fn main() {
    println!("| number to hold | median | quartiles | |\n|---|---|---|---|");
    prober();
    simulated("reused channels", 0, 20_000.0);
    simulated("a quarter on new connections", 250, 5_000.0);
    fleet();
}

/// Prints a line; `at_least` or else at most.
fn line(what: &str, unit: &str, values: &mut [f64], hold: f64, at_least: bool) {
    values.sort_by(f64::total_cmp);
    let at = |share: usize| values[(values.len() - 1) * share / 4];
    let holds = if at_least { at(2) >= hold } else { at(2) <= hold };
    let verdict = if holds { "holds" } else { "**missed**" };
    println!("| {what} | {:.1} {unit} | {:.1}-{:.1} | {verdict} |", at(2), at(1), at(3));
}

/// 2,000 calls a second over TCP, 5 % on new connections, the Kingdom on threads of its own.
fn prober() {
    let kingdom = named("kingdom");
    let environment = kingdom.block_on(start(EnvironmentKind::Loopback));
    // The runtime runs on while the prober does.
    let keep = std::thread::spawn({
        let handle = kingdom.handle().clone();
        move || handle.block_on(std::future::pending::<()>())
    });
    let prober = named("prober");
    let (mut share, mut late, mut failed) = (Vec::new(), Vec::new(), 0);
    for round in 0..ROUNDS {
        let callers = vec![caller(&*environment, "edp1"), caller(&*environment, "mc1")];
        let density = Density { rate_per_second: 2_000, ..Density::default() };
        let before = cpu_of("prober");
        let begun = Instant::now();
        let stopped = prober.block_on(async {
            let run = Prober::start(format!("b{round}"), density, environment.dialler(), callers);
            tokio::time::sleep(Duration::from_secs(3)).await;
            run.stop().await
        });
        let cpu = (cpu_of("prober") - before) / 1e9;
        share.push(100.0 * cpu / (2.0 * begun.elapsed().as_secs_f64()));
        late.push(stopped.probes.iter().filter(|probe| probe.sent_us.is_none()).count() as f64);
        let expected = |probe: &&halo_harness::probe::Probe| {
            probe.answer != halo_harness::probe::Answer::Expected
        };
        failed += stopped.probes.iter().filter(expected).count();
    }
    assert_eq!(failed, 0, "a probe failed");
    line("prober, 2,000 calls/s: dropped sends in 3 s", "", &mut late, 0.0, false);
    line("prober, 2,000 calls/s: of two cores, < 25 %", "%", &mut share, 25.0, false);
    drop(keep);
}

/// Probes with full records, judged, on one core.
fn simulated(what: &str, new_connection_permille: u32, hold: f64) {
    let mut rates = Vec::new();
    for round in 0..ROUNDS {
        let runtime = EnvironmentKind::Simulated.runtime().unwrap();
        let rate = runtime.block_on(async {
            let seed = Seed::new(round as u64);
            let seeds = Seeds { scenario: seed, sandbox: seed };
            let mut world = World::new(EnvironmentKind::Simulated, seeds, None);
            world.kingdom().await.unwrap();
            let density = Density {
                rate_per_second: 2_000,
                new_connection_permille,
                server_stream_permille: 0,
            };
            let begun = Instant::now();
            world.start_probes(&["edp1"], density).await.unwrap();
            tokio::time::sleep(Duration::from_secs(4)).await;
            world.stop_probes().await.unwrap();
            let run = world.log.probes().unwrap();
            assert!(availability::judge(run).zero_downtime().is_ok());
            assert!(run.probes.iter().all(|probe| probe.server.is_some()), "a record is missing");
            run.probes.len() as f64 / begun.elapsed().as_secs_f64()
        });
        rates.push(rate);
    }
    let what = format!("simulation, {what}: >= {hold}/s");
    line(&what, "/s", &mut rates, hold, true);
}

/// A hundred participants, each of which checks once a day on a connection of its own.
fn fleet() {
    const DAYS: u32 = 30;
    let mut speeds = Vec::new();
    for _ in 0..ROUNDS {
        let runtime = EnvironmentKind::Simulated.runtime().unwrap();
        speeds.push(runtime.block_on(async {
            let environment = start(EnvironmentKind::Simulated).await;
            let names = ["edp1", "edp2", "mc1", "aggregator", "worker1", "worker2"];
            let callers: Vec<_> =
                names.iter().cycle().take(100).map(|name| caller(&*environment, name)).collect();
            let density = Density {
                rate_per_second: 2_000,
                new_connection_permille: 1_000,
                server_stream_permille: 0,
            };
            let begun = Instant::now();
            let prober = Prober::start("fleet", density, environment.dialler(), callers);
            for _ in 0..DAYS {
                tokio::time::sleep(Duration::from_millis(50)).await;
                environment.advance(Duration::from_secs(86_400)).unwrap();
            }
            // The last day's last check is due at this very moment.
            tokio::time::sleep(Duration::from_millis(1)).await;
            let stopped = prober.stop().await;
            let checks = stopped.probes.len();
            assert!(checks >= 100 * DAYS as usize, "{checks} checks");
            let fine = |probe: &halo_harness::probe::Probe| {
                probe.answer == halo_harness::probe::Answer::Expected
            };
            assert!(stopped.probes.iter().all(fine), "a check failed");
            f64::from(DAYS) * 86_400.0 / begun.elapsed().as_secs_f64()
        }));
    }
    let what = "simulation, fleet of 100, daily checks: >= 10,000 x real time";
    line(what, "x", &mut speeds, 10_000.0, true);
}

async fn start(kind: EnvironmentKind) -> Box<dyn Environment> {
    kind.start(Setup::new(Seed::new(1), kind.clock())).await.unwrap()
}

/// A participant with a leaf of its own, which reads its certificate.
fn caller(environment: &dyn Environment, name: &str) -> CallerSettings {
    let sandbox = environment.sandbox();
    let file = |path: String| sandbox.file(&path).unwrap().to_vec();
    let stem = format!("participants/{name}/{name}");
    let chain = pem_certificates(&file(format!("{stem}_tls.pem"))).unwrap();
    let key = String::from_utf8(file(format!("{stem}_tls.key"))).unwrap();
    let mut credential = Credential { chain, key: pem_private_key(&key).unwrap() };
    if let Ok(root_key) = String::from_utf8(file(format!("{stem}_root.key"))) {
        let root = Authority::load(&file(format!("{stem}_root.pem")), &root_key).unwrap();
        let now = environment.clock().now().to_date_time().unwrap();
        let now = now.replace_nanosecond(0).unwrap();
        let spec = LeafSpec::new("bench TEST ONLY", Validity::days(now, 300));
        let leaf = root.issue(&spec, &mut Seed::new(now.unix_timestamp() as u64).child(name));
        let leaf = leaf.unwrap();
        credential = Credential {
            chain: vec![leaf.certificate_der().to_vec()],
            key: leaf.key().pkcs8_der().to_vec(),
        };
    }
    let participant = sandbox.participant(name).unwrap();
    let request = pb::GetCertificateRequest { name: participant.certificate.clone().unwrap() };
    let call = (
        "wfa.measurement.api.v2alpha.Certificates/GetCertificate".to_owned(),
        request.encode_to_vec(),
    );
    let tls = TlsOptions {
        credential: Some(credential),
        security: Security::Tls13,
        roots: pem_certificates(sandbox.file("kingdom/kingdom_root.pem").unwrap()).unwrap(),
        server_name: "localhost".to_owned(),
        clock: environment.clock().clone(),
        link: None,
    };
    CallerSettings {
        actor: name.to_owned(),
        principal: participant.resource.clone(),
        wardrobe: Wardrobe::new(tls),
        metadata: Vec::new(),
        call: call.clone(),
        straddling: call,
    }
}

/// A runtime with one worker thread of this name.
fn named(name: &'static str) -> tokio::runtime::Runtime {
    Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build().unwrap()
}

/// Nanoseconds on a processor so far, of all threads of one name.
fn cpu_of(threads: &str) -> f64 {
    let mut total = 0.0;
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() == threads {
            let stat = read("schedstat");
            total += stat.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or_default();
        }
    }
    total
}
