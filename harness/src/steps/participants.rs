//! Reference participants (contract section 3): they act over the wire with every check of theirs;
//! what they did is compared by their own events.
//!
//! What a measurement is called stands in `{mc1.m}`; the EventGroup called g of edp1 in `{edp1.g}`.

use super::{StepDefinition, api_credentials, authentication, step};
use crate::error::Problem;
use crate::observation::Fact;
use crate::participant::cast::{Cast, Player, REPORTING};
use crate::participant::data_provider::ResultDefect;
use crate::participant::measurement_consumer::{ConsumerError, Defect, Measure, Wish};
use crate::participant::wire::Within;
use crate::participant::{EventKind, ParticipantEvent, SigningPair};
use crate::verdict::check;
use crate::world::{StepResult, Stop, Var, World};
use fake_kingdom::cause::Cause;
use halo_consent::{KeyTemplate, PrivateKeyset, SigningKey};
use kingdom_proto::{system, v2alpha as pb};
use sha2::{Digest as _, Sha256};

/// Every Duchy of the sandbox.
const DUCHIES: [&str; 3] = ["aggregator", "worker1", "worker2"];

pub(super) fn steps() -> Vec<StepDefinition> {
    let mut steps = actions();
    steps.extend(checks());
    steps
}

fn actions() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"(\w+) creates an? (reach|reach and frequency|impression|duration|population) measurement called (\w+) with (\w+)(?: and (\w+))?",
            "When mc1 creates a reach measurement called m with edp1 and edp2",
            |world, given| {
                let wish = wish(world, given.text(1), &[given.text(3), given.text(4)]).await?;
                create(world, given.text(0), given.text(2), wish).await
            }
        ),
        step!(
            Action,
            r"(\w+) creates an? (reach|reach and frequency|impression|duration|population) measurement called (\w+) with (\w+)(?: and (\w+))? of the report (\w+)",
            "When reporting creates a reach measurement called m with edp1 of the report r",
            |world, given| {
                let mut wish = wish(world, given.text(1), &[given.text(3), given.text(4)]).await?;
                wish.report = Some(given.text(5).to_owned());
                create(world, given.text(0), given.text(2), wish).await
            }
        ),
        step!(
            Action,
            r#"(\w+) creates an? (reach|reach and frequency|impression|duration|population) measurement called (\w+) with (\w+) of the event group "([^"]*)""#,
            "When mc1 creates a reach measurement called m with edp1 of the event group \"{edp1.g}\"",
            |world, given| {
                let group = world.fill(given.text(4))?;
                let mut wish = wish(world, given.text(1), &[given.text(3)]).await?;
                wish.providers[0].event_groups = vec![group];
                create(world, given.text(0), given.text(2), wish).await
            }
        ),
        step!(
            Action,
            r"(\w+) creates a reach measurement called (\w+) with (\w+)(?: of the report (\w+))? that has (.+)",
            "When mc1 creates a reach measurement called m with edp1 that has a spoilt signature",
            |world, given| {
                let defect = named(given.text(4), Defect::ALL, Defect::name)?;
                let mut wish = wish(world, "reach", &[given.text(2)]).await?;
                wish.defect = Some(defect);
                if !given.text(3).is_empty() {
                    wish.report = Some(given.text(3).to_owned());
                }
                create(world, given.text(0), given.text(1), wish).await
            }
        ),
        step!(
            Action,
            r#"(\w+) has an event group called (\w+) for (\w+) with the reference id "([^"]*)""#,
            "Given edp1 has an event group called g for mc1 with the reference id \"sim-eg-1\"",
            |world, given| {
                let (actor, id) = (given.text(0).to_owned(), given.text(3).to_owned());
                let consumer = world.fill(&format!("{{{}}}", given.text(2)));
                let consumer = match consumer {
                    Ok(consumer) => consumer,
                    Err(_) => {
                        world.kingdom().await?;
                        world.fill(&format!("{{{}}}", given.text(2)))?
                    }
                };
                let name = act(world, async |stage, cast| {
                    let provider = cast.player(stage.0.sandbox(), &actor)?.provider()?;
                    let made = provider.create_event_group(stage, &consumer, &id, None).await;
                    made.map(|group| group.name).map_err(|error| refused(&error))
                })
                .await?;
                world.set(format!("{}.{}", given.text(0), given.text(1)), Var::Text(name));
                Ok(())
            }
        ),
        step!(
            Action,
            r#"(\w+) has an event group called (\w+) for (\w+) with the metadata of "([^"]*)""#,
            "Given edp1 has an event group called g for mc1 with the metadata of \"news\"",
            |world, given| {
                world.kingdom().await?;
                let (actor, id) = (given.text(0).to_owned(), given.text(1).to_owned());
                let consumer = world.fill(&format!("{{{}}}", given.text(2)))?;
                let metadata = pb::event_group::Metadata {
                    event_group_metadata_descriptor: given.text(3).to_owned(),
                    metadata: None,
                };
                let name = act(world, async |stage, cast| {
                    let provider = cast.player(stage.0.sandbox(), &actor)?.provider()?;
                    let made =
                        provider.create_event_group(stage, &consumer, &id, Some(&metadata)).await;
                    let name = made.map_err(|error| refused(&error))?.name;
                    cast.books.metadata.insert(name.clone(), metadata);
                    Ok(name)
                })
                .await?;
                world.set(format!("{}.{}", given.text(0), given.text(1)), Var::Text(name));
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) handles (?:its|the new) requisitions",
            "When edp1 handles its requisitions",
            |world, given| {
                let actor = given.text(0).to_owned();
                act(world, async |stage, cast| {
                    match cast.player(stage.0.sandbox(), &actor)? {
                        Player::EdpAggregator(aggregator) => {
                            let fetched = aggregator.fetch(stage).await;
                            fetched.map_err(|error| refused(&error))?;
                            aggregator.fulfil(stage).await;
                        }
                        player => {
                            // That the process ends is one of its events.
                            let _ended = player.provider()?.poll(stage).await;
                        }
                    }
                    Ok(())
                })
                .await
            }
        ),
        step!(
            Action,
            r"an EDP aggregator handles the requisitions of (\w+)",
            "Given an EDP aggregator handles the requisitions of edp1",
            |world, given| {
                let actor = given.text(0).to_owned();
                act(world, async |stage, cast| Ok(cast.aggregate(stage.0.sandbox(), &actor)?)).await
            }
        ),
        step!(
            Action,
            r"(\w+) has a new certificate called (\w+) of (\w+)'s root",
            "Given mc1 has a new certificate called other of edp2's root",
            |world, given| {
                let root = world.authority(given.text(2)).await?;
                let leaf = authentication::issue(world, given.text(0), &root)?;
                world.keep_leaf(given.text(0), given.text(1), leaf);
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) signs with its certificate (\w+)",
            "Given edp1 signs with its certificate second",
            |world, given| {
                let (actor, name) = (given.text(0).to_owned(), given.text(1));
                let certificate = world.fill(&format!("{{{actor}.{name}}}"))?;
                let certificate_der = match world.get(&format!("{actor}.{name}_der"))? {
                    Var::Bytes(der) => der.clone(),
                    Var::Text(text) => text.clone().into_bytes(),
                };
                let key =
                    SigningKey::from_pkcs8_der(world.key(&actor, name)?).map_err(|error| {
                        Problem::author(
                            format!("{actor}'s key {name}: {error}"),
                            "use another variant",
                        )
                    })?;
                let pair = SigningPair { certificate, certificate_der, key: key.into() };
                world.changed(format!("{actor} signs with its certificate {name}"));
                act(world, async |stage, cast| {
                    cast.player(stage.0.sandbox(), &actor)?.sign_with(pair);
                    Ok(())
                })
                .await
            }
        ),
        step!(
            Action,
            r"(\w+) puts a new encryption key in force( and drops the old one)?",
            "When edp1 puts a new encryption key in force and drops the old one",
            |world, given| {
                let (actor, drops) = (given.text(0).to_owned(), !given.text(1).is_empty());
                let before = api_credentials::shown(world, &actor).await?;
                let template = KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm;
                let keyset = PrivateKeyset::generate(template, world.rng())
                    .map_err(|error| Problem::harness(error.to_string()))?;
                // Whoever drops it does not take it from a thief: by it a ciphertext is known to be good.
                let digest = hex::encode(Sha256::digest(keyset.public().to_binary()));
                let name = format!("{actor}.{digest}_encryption");
                world.keep_key(&name, Some(&keyset.to_binary()));
                act(world, async |stage, cast| {
                    let outcome = match cast.player(stage.0.sandbox(), &actor)? {
                        player @ (Player::DataProvider(_) | Player::EdpAggregator(_)) => {
                            player.provider()?.rotate_encryption_key(stage, keyset, drops).await
                        }
                        player => {
                            let consumer = player.consumer()?;
                            let outcome = consumer.rotate_encryption_key(stage, keyset).await;
                            if drops {
                                consumer.keys.truncate(1);
                            }
                            outcome
                        }
                    };
                    outcome.map_err(|error| refused(&error))
                })
                .await?;
                api_credentials::note_change(world, given.text(0), before).await
            }
        ),
        step!(
            Action,
            r"the results of (\w+) have (.+)",
            "Given the results of edp1 have a spoilt signature",
            |world, given| {
                let actor = given.text(0).to_owned();
                let defect = named(given.text(1), ResultDefect::ALL, ResultDefect::name)?;
                act(world, async |stage, cast| {
                    let player = cast.player(stage.0.sandbox(), &actor)?;
                    player.provider()?.result_defect = Some(defect);
                    Ok(())
                })
                .await
            }
        ),
        step!(
            Action,
            r"(\w+) checks as little as the official tool",
            "Given mc1 checks as little as the official tool",
            |world, given| {
                let actor = given.text(0).to_owned();
                act(world, async |stage, cast| {
                    cast.player(stage.0.sandbox(), &actor)?.consumer()?.as_the_official_tool();
                    Ok(())
                })
                .await
            }
        ),
        step!(
            Action,
            r"every Duchy gives its key for (\w+)\.(\w+)",
            "When every Duchy gives its key for mc1.m",
            |world, given| {
                for duchy in DUCHIES {
                    give_key(world, duchy, given.text(0), given.text(1)).await?;
                }
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) confirms (\w+)\.(\w+)",
            "When aggregator confirms mc1.m",
            |world, given| { confirm(world, given.text(0), given.text(1), given.text(2)).await }
        ),
        step!(
            Action,
            r"every Duchy confirms (\w+)\.(\w+)",
            "When every Duchy confirms mc1.m",
            |world, given| {
                for duchy in DUCHIES {
                    confirm(world, duchy, given.text(0), given.text(1)).await?;
                }
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) signs and delivers the result of (\w+)\.(\w+)",
            "When aggregator signs and delivers the result of mc1.m",
            |world, given| {
                let actor = given.text(0).to_owned();
                let measurement = measurement(world, given.text(1), given.text(2))?;
                act(world, async |stage, cast| {
                    let computation = computation(stage, cast, &actor, &measurement).await?;
                    let reach = pb::measurement::result::Reach { value: 42, ..Default::default() };
                    let result =
                        pb::measurement::Result { reach: Some(reach), ..Default::default() };
                    let duchy = cast.player(stage.0.sandbox(), &actor)?.duchy()?;
                    let delivered = duchy.deliver(stage, &computation, &result).await;
                    delivered.map_err(|error| refused(&error))
                })
                .await
            }
        ),
        step!(
            Action,
            r"reporting reads the results of (\w+)\.(\w+)",
            "When reporting reads the results of reporting.m",
            |world, given| {
                reporting_reads(world, (given.text(0), given.text(1))).await.map(|_| ())
            }
        ),
    ]
}

fn checks() -> Vec<StepDefinition> {
    vec![
        step!(
            Check,
            r"(\w+) refuses (\w+)\.(\w+) with ([A-Z_]+)(?: by (\S+))?",
            "Then edp1 refuses mc1.m with CONSENT_SIGNAL_INVALID by 3.10/5",
            |world, given| {
                let expected = match given.text(4) {
                    "" => format!("refused with {}", given.text(3)),
                    clause => format!("refused with {} by {clause}", given.text(3)),
                };
                let of = (given.text(1), given.text(2));
                let observed = fate(world, given.text(0), of, !given.text(4).is_empty())?;
                world.check(
                    check::equal(given.text(0), &expected, &observed).or(Cause::UnexpectedState),
                )
            }
        ),
        step!(Check, r"(\w+) fulfils (\w+)\.(\w+)", "Then edp1 fulfils mc1.m", |world, given| {
            let of = (given.text(1), given.text(2));
            let observed = fate(world, given.text(0), of, false)?;
            world.check(
                check::equal(given.text(0), "fulfilled", &observed).or(Cause::UnexpectedState),
            )
        }),
        step!(
            Check,
            r"(\w+) neither fulfils nor refuses (\w+)\.(\w+)",
            "Then edp1 neither fulfils nor refuses mc1.m",
            |world, given| {
                let of = (given.text(1), given.text(2));
                let observed = fate(world, given.text(0), of, false)?;
                world.check(
                    check::equal(given.text(0), "nothing", &observed).or(Cause::UnexpectedState),
                )
            }
        ),
        step!(
            Check,
            r"(\w+) leaves the event ([a-z_]+)(?: by (\S+))?",
            "Then edp1 leaves the event participant_ended by 3.10/7",
            |world, given| {
                let with_clause = !given.text(2).is_empty();
                let expected = match given.text(2) {
                    "" => given.text(1).to_owned(),
                    clause => format!("{} by {clause}", given.text(1)),
                };
                let observed = match events(world, given.text(0))?.last() {
                    None => "no event".to_owned(),
                    Some(event) if with_clause => {
                        format!("{} by {}", event.kind.name(), event.clause)
                    }
                    Some(event) => event.kind.name().to_owned(),
                };
                let what = format!("the last event of {}", given.text(0));
                world.check(check::equal(what, &expected, &observed).or(Cause::UnexpectedState))
            }
        ),
        step!(
            Check,
            r"(\w+) accepts the results of (\w+)\.(\w+)",
            "Then mc1 accepts the results of mc1.m",
            |world, given| {
                let observed = read(world, given.text(0), (given.text(1), given.text(2))).await?;
                let check = check::equal("results", "accepted", &observed);
                world.check(check.or(Cause::MeasurementLost))
            }
        ),
        step!(
            Check,
            r"(\w+) rejects the results of (\w+)\.(\w+) by (\S+)",
            "Then mc1 rejects the results of mc1.m by 3.13.2/d",
            |world, given| {
                let observed = read(world, given.text(0), (given.text(1), given.text(2))).await?;
                let expected = format!("rejected by {}", given.text(3));
                let check = check::equal("results", &expected, &observed);
                world.check(if observed == "accepted" {
                    check.or(Cause::FailureNotSeen)
                } else {
                    check
                })
            }
        ),
        step!(
            Check,
            r"reporting answers ([A-Z_]+)",
            "Then reporting answers FAILED_PRECONDITION",
            |world, given| {
                let observed = world.cast.answered.clone().ok_or_else(|| {
                    Problem::author("reporting was not asked for anything", "let it act first")
                })?;
                let check = check::equal("reporting's answer", given.text(0), &observed);
                world.check(if observed == "OK" { check.or(Cause::FailureNotSeen) } else { check })
            }
        ),
    ]
}

/// Lets participants act, and puts what they did into the log.
pub(super) async fn act<T>(
    world: &mut World,
    action: impl AsyncFnOnce(&Within<'_>, &mut Cast) -> Result<T, Stop>,
) -> Result<T, Stop> {
    world.kingdom().await?;
    // Out of the world while its Kingdom is lent.
    let empty = Cast::new(world.seed(), world.clock().clone());
    let mut cast = std::mem::replace(&mut world.cast, empty);
    let outcome = action(&Within(world.running()?), &mut cast).await;
    for event in cast.drain() {
        world.record(Fact::Participant(Box::new(event)));
    }
    world.cast = cast;
    outcome
}

pub(super) async fn wish(
    world: &mut World,
    measure: &str,
    providers: &[&str],
) -> Result<Wish, Stop> {
    world.kingdom().await?;
    let mut names = Vec::new();
    for provider in providers.iter().filter(|name| !name.is_empty()) {
        names.push(world.fill(&format!("{{{provider}}}"))?);
    }
    let measure = match measure {
        "reach and frequency" => Measure::ReachAndFrequency,
        "impression" => Measure::Impression,
        "duration" => Measure::Duration,
        "population" => Measure::Population,
        _ => Measure::Reach,
    };
    Ok(Wish::new(measure, &names.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// A reporting server's refusal is its answer; anybody else's creation has to succeed.
pub(super) async fn create(world: &mut World, actor: &str, name: &str, wish: Wish) -> StepResult {
    let who = actor.to_owned();
    let created = act(world, async |stage, cast| {
        let created = cast.player(stage.0.sandbox(), &who)?.create(stage, &wish).await?;
        if who == REPORTING {
            let answer = created.as_ref().err().map_or("OK", String::as_str);
            cast.answered = Some(answer.to_owned());
        }
        if let Ok(name) = &created {
            cast.books.wishes.insert(name.clone(), wish.clone());
        }
        Ok(created)
    })
    .await?;
    match created {
        Ok(resource) => {
            world.set(format!("{actor}.{name}"), Var::Text(resource));
            Ok(())
        }
        Err(_) if actor == REPORTING => Ok(()),
        Err(why) => world.check(check::equal("measurement", "created", &why)),
    }
}

async fn give_key(world: &mut World, actor: &str, owner: &str, name: &str) -> StepResult {
    let who = actor.to_owned();
    let measurement = measurement(world, owner, name)?;
    act(world, async |stage, cast| {
        let computation = computation(stage, cast, &who, &measurement).await?;
        if !takes_part(&computation, &who) {
            return Ok(());
        }
        let duchy = cast.player(stage.0.sandbox(), &who)?.duchy()?;
        duchy.set_params(stage, &computation).await.map(|_| ()).map_err(|error| refused(&error))
    })
    .await
}

async fn confirm(world: &mut World, actor: &str, owner: &str, name: &str) -> StepResult {
    let who = actor.to_owned();
    let measurement = measurement(world, owner, name)?;
    act(world, async |stage, cast| {
        let computation = computation(stage, cast, &who, &measurement).await?;
        if !takes_part(&computation, &who) {
            return Ok(());
        }
        let duchy = cast.player(stage.0.sandbox(), &who)?.duchy()?;
        for fulfilment in stage.0.fulfilments(&who)? {
            duchy.hold(&fulfilment.requisition);
        }
        let confirmed = duchy.confirm(stage, &computation.name).await;
        confirmed.map(|_| ()).map_err(|error| refused(&error))
    })
    .await
}

fn takes_part(computation: &system::Computation, duchy: &str) -> bool {
    let part = format!("/{duchy}");
    computation.computation_participants.iter().any(|one| one.name.ends_with(&part))
}

/// The computation of a measurement, found by its spec in the stream that Duchies read.
async fn computation(
    stage: &Within<'_>,
    cast: &mut Cast,
    duchy: &str,
    measurement: &str,
) -> Result<system::Computation, Stop> {
    if let Some(known) = cast.computations.get(measurement) {
        return Ok(known.clone());
    }
    let sandbox = stage.0.sandbox();
    let spec = spec_of(stage, cast, measurement).await?;
    let found = cast.player(sandbox, duchy)?.duchy()?.find_computation(stage, &spec).await;
    let found = found.map_err(|error| refused(&error))?;
    cast.computations.insert(measurement.to_owned(), found.clone());
    Ok(found)
}

async fn spec_of(stage: &Within<'_>, cast: &mut Cast, measurement: &str) -> Result<Vec<u8>, Stop> {
    let consumer = cast.player(stage.0.sandbox(), "mc1")?.consumer()?;
    let read = consumer.get(stage, measurement).await.map_err(|error| refused(&error))?;
    let signed = read.measurement_spec.and_then(|signed| signed.message);
    Ok(signed.unwrap_or_default().value)
}

fn measurement(world: &World, owner: &str, name: &str) -> Result<String, Problem> {
    world.fill(&format!("{{{owner}.{name}}}"))
}

fn events(world: &mut World, actor: &str) -> Result<Vec<ParticipantEvent>, Problem> {
    Ok(world.cast.acted(actor)?.base().events.clone())
}

/// What a provider last did about a measurement.
pub(super) fn fate(
    world: &mut World,
    actor: &str,
    (owner, name): (&str, &str),
    with_clause: bool,
) -> Result<String, Problem> {
    let measurement = measurement(world, owner, name)?;
    let provider = world.cast.acted(actor)?.provider()?;
    let mut observed = "nothing".to_owned();
    for event in &provider.base.events {
        if provider.measurements.get(&event.subject) != Some(&measurement) {
            continue;
        }
        match event.kind {
            EventKind::RequisitionFulfilled => observed = "fulfilled".to_owned(),
            EventKind::RequisitionRefused => {
                observed = format!("refused with {}", event.justification);
                if with_clause {
                    observed = format!("{observed} by {}", event.clause);
                }
            }
            _ => {}
        }
    }
    Ok(observed)
}

/// The reporting server reads results, with its caches; its answer.
async fn reporting_reads(world: &mut World, of: (&str, &str)) -> Result<String, Stop> {
    let measurement = measurement(world, of.0, of.1)?;
    act(world, async |stage, cast| {
        let Player::Reporting(reporting) = cast.player(stage.0.sandbox(), REPORTING)? else {
            return Err(Problem::harness("reporting is no reporting server").into());
        };
        let answer = match reporting.results(stage, &measurement).await {
            Ok(_) => "OK".to_owned(),
            Err(answer) => answer.code.to_owned(),
        };
        cast.answered = Some(answer.clone());
        Ok(answer)
    })
    .await
}

/// How a reader takes the results of a measurement: `accepted`, or why not.
pub(super) async fn read(world: &mut World, actor: &str, of: (&str, &str)) -> Result<String, Stop> {
    if actor == REPORTING {
        let answer = reporting_reads(world, of).await?;
        let last = events(world, REPORTING)?.into_iter().next_back();
        return Ok(match last {
            _ if answer == "OK" => "accepted".to_owned(),
            Some(event) => format!("rejected by {}", event.clause),
            None => answer,
        });
    }
    let (who, measurement) = (actor.to_owned(), measurement(world, of.0, of.1)?);
    act(world, async |stage, cast| {
        let player = cast.player(stage.0.sandbox(), &who)?;
        Ok(match player.consumer()?.results(stage, &measurement).await {
            Ok(results) if results.is_empty() => "no results".to_owned(),
            Ok(_) => "accepted".to_owned(),
            Err(ConsumerError::Rejected(rejection)) => format!("rejected by {}", rejection.clause),
            Err(error) => error.to_string(),
        })
    })
    .await
}

fn named<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, Problem> {
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| {
        let known: Vec<_> = all.iter().map(|one| name(*one)).collect();
        Problem::author(
            format!("there is no defect `{text}`"),
            format!("the defects are: {}", known.join("; ")),
        )
    })
}

/// What a participant needs for the scenario to go on was refused.
pub(super) fn refused(error: &dyn std::fmt::Display) -> Stop {
    Problem::author(
        format!("the participant's call did not succeed: {error}"),
        "let what it needs be there; a refusal that the scenario is about is a raw call",
    )
    .into()
}
