//! Replicas behind one address: stopping, draining, cutting, starting, reloading (interfaces.md
//! sections 1 and 3, contract 5.4 and 5.5). On virtual time, so that waiting costs nothing.

use fake_kingdom::client::{Credentials, channel};
use fake_kingdom::fault::FaultRule;
use fake_kingdom::files::{MemoryFiles, Role};
use fake_kingdom::model::Timestamp;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use fake_kingdom::seam::transport::{Memory, Network as _};
use fake_kingdom::{Files, Kingdom, Reload, Sandbox};
use kingdom_proto::v2alpha::GetDataProviderRequest;
use kingdom_proto::v2alpha::data_providers_client::DataProvidersClient;
use serde_json::Value as Json;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Status};

const GRACE: Duration = Duration::from_secs(25);

struct World {
    sandbox: Sandbox,
    files: MemoryFiles,
    kingdom: Kingdom,
    network: Arc<Memory>,
}

impl World {
    async fn start(reload: Reload) -> Self {
        let start = Timestamp::parse_rfc3339("2100-01-01T00:00:00Z").expect("a date");
        let sandbox = Sandbox::generate(Seed::new(11), &[start]).expect("a sandbox");
        let files = sandbox.memory_files();
        let network = Arc::new(Memory::default());
        let kingdom = Kingdom::builder(Files::Memory(files.clone()))
            .provision(sandbox.provision().expect("resources"))
            .network(network.clone())
            .clock(Clock::virtual_from(start))
            .seed(Seed::new(11))
            .reload(reload)
            .shutdown_grace_period(GRACE)
            .start()
            .await
            .expect("it starts");
        Self { sandbox, files, kingdom, network }
    }

    fn client(&self) -> DataProvidersClient<Channel> {
        let credentials = Credentials::of(&self.sandbox, "edp1").expect("edp1");
        let clock = self.kingdom.control().clock();
        let address = self.kingdom.public_address();
        let channel = channel(self.network.clone(), address, &credentials, clock);
        DataProvidersClient::new(channel.expect("a channel"))
    }

    /// One call on an own connection.
    async fn call(&self) -> Result<(), Status> {
        self.call_on(&mut self.client()).await
    }

    async fn call_on(&self, client: &mut DataProvidersClient<Channel>) -> Result<(), Status> {
        let name = self.sandbox.participant("edp1").expect("edp1").resource.clone();
        client.get_data_provider(GetDataProviderRequest { name }).await.map(|_| ())
    }

    fn delay(&self, seconds: u64) {
        let rule = format!(r#"{{"action":{{"delay_ms":{}}},"count":1}}"#, seconds * 1_000);
        let rule: FaultRule = serde_json::from_str(&rule).expect("a rule");
        self.kingdom.control().add_fault(rule);
    }

    fn events(&self, kind: &str) -> Vec<Json> {
        let events = self.kingdom.control().events().after(0, usize::MAX).expect("all are kept");
        let events = events.iter().map(|event| serde_json::to_value(&**event).expect("JSON"));
        events.filter(|event| event["kind"] == kind).collect()
    }

    /// Which replica took each call, in order.
    fn replicas_of_calls(&self) -> Vec<u64> {
        self.events("call")
            .iter()
            .map(|event| event["replica"].as_u64().expect("a number"))
            .collect()
    }
}

fn on_virtual_time(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(test);
}

#[test]
fn connections_go_round_robin_to_the_running_replicas_counted_from_0() {
    on_virtual_time(async {
        let world = World::start(Reload::AtStart).await;
        for _ in 0..4 {
            world.call().await.expect("served");
        }
        assert_eq!(world.replicas_of_calls(), [0, 1, 0, 1]);
        world.kingdom.control().stop(0).await.expect("it stops");
        for _ in 0..2 {
            world.call().await.expect("served");
        }
        assert_eq!(world.replicas_of_calls()[4..], [1, 1]);
    });
}

#[test]
fn the_turns_of_one_address_do_not_depend_on_the_connections_of_another() {
    on_virtual_time(async {
        let world = World::start(Reload::AtStart).await;
        for _ in 0..4 {
            world.call().await.expect("served");
            let operator = world.kingdom.operator_address();
            world.network.connect(operator).await.expect("accepted");
        }
        assert_eq!(world.replicas_of_calls(), [0, 1, 0, 1]);
    });
}

#[test]
fn a_client_that_stalls_in_its_handshake_is_cut_with_the_grace_period() {
    on_virtual_time(async {
        let world = World::start(Reload::AtStart).await;
        let _silent =
            world.network.connect(world.kingdom.public_address()).await.expect("accepted");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = world.kingdom.control().clock().now();
        world.kingdom.control().stop(0).await.expect("it stops");
        let took = world.kingdom.control().clock().now().micros() - began.micros();
        assert!(took <= 25_000_000, "{took} us");
    });
}

#[test]
fn after_a_start_the_address_accepts_at_once_and_after_the_last_stop_it_refuses_at_once() {
    on_virtual_time(async {
        let world = World::start(Reload::AtStart).await;
        let control = world.kingdom.control();
        control.stop(0).await.expect("it stops");
        for _ in 0..20 {
            control.stop(1).await.expect("it stops");
            let refused = world.network.connect(world.kingdom.public_address()).await;
            assert!(refused.is_err());
            control.start(1).await.expect("it starts");
            assert!(world.network.connect(world.kingdom.public_address()).await.is_ok());
        }
    });
}

#[test]
fn with_all_replicas_stopped_the_address_refuses_and_a_start_opens_it_again() {
    on_virtual_time(async {
        let world = World::start(Reload::AtStart).await;
        let control = world.kingdom.control();
        for replica in [0, 1] {
            control.stop(replica).await.expect("it stops");
        }
        let status = world.call().await.expect_err("nobody accepts");
        assert_eq!(status.code(), Code::Unavailable);
        control.start(1).await.expect("it starts");
        world.call().await.expect("served again");
    });
}

#[test]
fn a_stopping_replica_lets_a_call_finish_that_is_shorter_than_the_grace_period() {
    on_virtual_time(async {
        let world = World::start(Reload::AtStart).await;
        world.delay(GRACE.as_secs() - 5);
        let (answer, stopped) = tokio::join!(world.call(), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.kingdom.control().stop(0).await
        });
        stopped.expect("it stops");
        answer.expect("the call in progress is answered");
    });
}

#[test]
fn a_stopping_replica_cuts_a_call_that_outlasts_the_grace_period() {
    on_virtual_time(async {
        let world = World::start(Reload::AtStart).await;
        world.delay(GRACE.as_secs() + 5);
        let began = world.kingdom.control().clock().now();
        let (answer, stopped) = tokio::join!(world.call(), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.kingdom.control().stop(0).await
        });
        stopped.expect("it stops");
        assert!(answer.is_err(), "the call was answered after the grace period");
        let took = world.kingdom.control().clock().now().micros() - began.micros();
        assert_eq!(took / 1_000_000, i64::try_from(GRACE.as_secs()).expect("small") + 1);
    });
}

#[test]
fn a_drained_connection_is_left_by_its_client_for_a_new_one() {
    on_virtual_time(async {
        let world = World::start(Reload::AtStart).await;
        let mut client = world.client();
        world.call_on(&mut client).await.expect("served");
        world.kingdom.control().drain(0).expect("it drains");
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.call_on(&mut client).await.expect("served on a new connection");
        assert_eq!(world.replicas_of_calls(), [0, 1]);
        let connections: Vec<_> =
            world.events("call").iter().map(|event| event["connection"].clone()).collect();
        assert_ne!(connections[0], connections[1]);
    });
}

#[test]
fn a_cut_ends_a_call_in_progress_at_once() {
    on_virtual_time(async {
        let world = World::start(Reload::AtStart).await;
        world.delay(3_600);
        let began = world.kingdom.control().clock().now();
        let (answer, ()) = tokio::join!(world.call(), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.kingdom.control().cut(0).expect("it cuts");
        });
        assert!(answer.is_err());
        let took = world.kingdom.control().clock().now().micros() - began.micros();
        assert!(took < 2_000_000, "{took} us");
    });
}

#[test]
fn an_open_connection_is_listed_with_both_leaves_until_it_ends() {
    on_virtual_time(async {
        let world = World::start(Reload::AtStart).await;
        let control = world.kingdom.control();
        assert_eq!(control.connections(), []);
        let mut client = world.client();
        world.call_on(&mut client).await.expect("served");
        let open = control.connections();
        let event = world.events("handshake").pop().expect("an event");
        assert_eq!(open.len(), 1);
        let listed = serde_json::to_value(&open[0]).expect("JSON");
        for field in ["replica", "listener", "peer_address", "peer", "server"] {
            assert_eq!(listed[field], event[field], "{field}");
        }
        assert!(listed["peer"]["akid"].is_string() && listed["server"]["skid"].is_string());
        let state = serde_json::to_value(fake_kingdom::snapshot::take(control)).expect("JSON");
        assert_eq!(state["connections"][0], listed);
        drop(client);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(control.connections(), [], "it ended");
    });
}

#[test]
fn files_are_read_at_start_only_unless_reload_is_hot() {
    for (reload, expected) in [(Reload::AtStart, Ok(())), (Reload::Hot, Err(Code::Unauthenticated))]
    {
        on_virtual_time(async move {
            let world = World::start(reload).await;
            world.call().await.expect("served");
            world.files.set(Role::PrincipalMap, "# nobody");
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert_eq!(world.call().await.map_err(|status| status.code()), expected, "{reload:?}");
            world.kingdom.control().restart(0).await.expect("it restarts");
            world.kingdom.control().stop(1).await.expect("it stops");
            let after_restart = world.call().await.map_err(|status| status.code());
            assert_eq!(after_restart, Err(Code::Unauthenticated), "a restart reads the files");
        });
    }
}

#[test]
fn a_file_that_is_no_good_never_displaces_a_good_one() {
    on_virtual_time(async {
        let world = World::start(Reload::Hot).await;
        world.files.set(Role::CertCollection, "half a certif");
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.call().await.expect("what was in force stays");
        let reloads = world.events("reload");
        assert!(!reloads.is_empty() && reloads.iter().all(|event| event["outcome"] == "refused"));
        assert!(world.kingdom.control().restart(0).await.is_err(), "a start is refused");
        world.call().await.expect("the other replica serves");
        let refused = world.events("replica").pop().expect("an event");
        assert_eq!(refused["outcome"], "start_refused");
        let detail = refused["detail"].as_str().expect("a reason");
        assert!(detail.contains("--cert-collection-file"), "{detail}");
    });
}

#[test]
fn a_fault_rule_hits_its_target_only_and_says_how_often_it_fired() {
    on_virtual_time(async {
        let world = World::start(Reload::AtStart).await;
        let control = world.kingdom.control();
        let rule = r#"{"target":{"method":"GetDataProvider","replica":1},"action":{"status":"ABORTED"},"count":1}"#;
        let id = control.add_fault(serde_json::from_str(rule).expect("a rule"));
        let mut codes = Vec::new();
        for _ in 0..4 {
            codes.push(world.call().await.map_err(|status| status.code()));
        }
        assert_eq!(codes, [Ok(()), Err(Code::Aborted), Ok(()), Ok(())]);
        assert_eq!(control.remove_fault(id).map(|rule| rule.fired), Some(1));
        let calls = world.events("call");
        let struck: Vec<_> = calls.iter().filter(|e| e["cause"] == "fault_injected").collect();
        assert_eq!(struck.len(), 1);
    });
}
