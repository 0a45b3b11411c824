//! Any method of any service, and what came back.

use super::{StepDefinition, step};
use crate::client::dynamic::{self, At, Method};
use crate::environment::{Listener, Target};
use crate::error::Problem;
use crate::verdict::check::{self, Outcome};
use crate::world::{Call, OPERATOR, Var, World};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use fake_kingdom::cause::Cause;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"(\w+) calls ((?:system )?[\w.]+) with",
            "When edp1 calls Certificates.GetCertificate with\n\
             \"\"\"\n\
             name: \"{edp1.certificate}\"\n\
             \"\"\"",
            |world, given| {
                Ok(world.call(given.text(0), given.text(1), given.doc()?, None).await?)
            }
        ),
        step!(
            Action,
            r"(\w+) calls ((?:system )?[\w.]+)",
            "When mc1 calls ModelProviders.ListModelProviders",
            |world, given| { Ok(world.call(given.text(0), given.text(1), "", None).await?) }
        ),
        step!(
            Action,
            r"(\w+) calls ([\w.]+) on replica (\d+) with",
            "When edp1 calls Certificates.GetCertificate on replica 1 with\n\
             \"\"\"\n\
             name: \"{edp1.certificate}\"\n\
             \"\"\"",
            |world, given| {
                let replica = Some(Target::Replica(given.number(2)?));
                Ok(world.call(given.text(0), given.text(1), given.doc()?, replica).await?)
            }
        ),
        step!(
            Action,
            r#"(\w+) calls ([\w.]+) with the bytes "([0-9a-f]*)""#,
            "When edp1 calls Certificates.GetCertificate with the bytes \"0aff\"",
            |world, given| {
                let actor = given.text(0);
                world.actor(actor).await?;
                let home = if actor == OPERATOR { Listener::Operator } else { Listener::Public };
                let method = Method::find(given.text(1), home)
                    .map_err(|what| Problem::author(what, "correct the method's name"))?;
                let bytes = hex::decode(given.text(2))
                    .map_err(|error| Problem::author(error.to_string(), "write whole bytes"))?;
                Ok(world.send(actor, method, vec![bytes], None).await?)
            }
        ),
        step!(
            Action,
            r"(\w+) asks for the services of the (public|system|operator) listener",
            "When edp1 asks for the services of the public listener",
            |world, given| {
                let actor = given.text(0);
                world.actor(actor).await?;
                let listener = match given.text(1) {
                    "public" => Listener::Public,
                    "system" => Listener::System,
                    _ => Listener::Operator,
                };
                let name = "grpc.reflection.v1.ServerReflection.ServerReflectionInfo";
                let method = Method::find(name, listener).map_err(Problem::harness)?;
                let request =
                    method.request("list_services: \"*\"", &[]).map_err(Problem::harness)?;
                Ok(world.send(actor, method, vec![request], None).await?)
            }
        ),
        step!(
            Action,
            r"(\w+) calls ([\w.]+) (\d+) times with",
            "When edp1 calls Certificates.GetCertificate 20 times with\n\
             \"\"\"\n\
             name: \"{edp1.certificate}\"\n\
             \"\"\"",
            |world, given| {
                let text = given.doc()?.to_owned();
                for _ in 0..given.number::<usize>(2)? {
                    // One step of so many calls: the `Then` behind it looks at the last.
                    world.look();
                    world.call(given.text(0), given.text(1), &text, None).await?;
                }
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) keeps a connection open",
            "Given edp1 keeps a connection open",
            |world, given| {
                let home =
                    if given.text(0) == OPERATOR { Listener::Operator } else { Listener::Public };
                Ok(world.keep_open(given.text(0), Target::Front(home)).await?)
            }
        ),
        step!(
            Action,
            r"(\w+) keeps a connection to replica (\d+) open",
            "Given edp1 keeps a connection to replica 0 open",
            |world, given| {
                Ok(world.keep_open(given.text(0), Target::Replica(given.number(1)?)).await?)
            }
        ),
        step!(
            Action,
            r"(\w+) closes its connection",
            "When edp1 closes its connection",
            |world, given| { Ok(world.close(given.text(0))?) }
        ),
        step!(
            Action,
            r#"([a-z0-9_.]+) is "([^"]*)""#,
            "Given unknown is \"{edp1}/certificates/AAAAAAAAAZQ\"",
            |world, given| {
                world.kingdom().await?;
                let value = world.fill(given.text(1))?;
                world.set(given.text(0), Var::Text(value));
                Ok(())
            }
        ),
        step!(
            Action,
            r"([a-z0-9_.]+) is (\d+) bytes",
            "Given der is 5000000 bytes",
            |world, given| {
                world.kingdom().await?;
                world.set(given.text(0), Var::Bytes(vec![b'x'; given.number(1)?]));
                Ok(())
            }
        ),
        step!(
            Action,
            r"([a-z0-9_.]+) is the message ([\w.]+) with",
            "Given spec is the message wfa.measurement.api.v2alpha.MeasurementSpec with\n\
             \"\"\"\n\
             reach { }\n\
             \"\"\"",
            |world, given| {
                let bytes = message(world, given).await?;
                world.set(given.text(0), Var::Bytes(bytes));
                Ok(())
            }
        ),
        step!(
            Action,
            r"([a-z0-9_.]+) is the page token ([\w.]+) with",
            "Given token is the page token wfa.measurement.api.v2alpha.ListMeasurementsPageToken with\n\
             \"\"\"\n\
             page_size: 1\n\
             \"\"\"",
            |world, given| {
                let bytes = message(world, given).await?;
                world.set(given.text(0), Var::Text(BASE64URL.encode(bytes)));
                Ok(())
            }
        ),
        step!(Check, r"the call succeeds", "Then the call succeeds", |world, _given| {
            let check = check::status(outcome(world.last()?), "OK", None);
            world.check(check)
        }),
        step!(
            Check,
            r"the call fails with ([A-Z_]+)",
            "Then the call fails with PERMISSION_DENIED",
            |world, given| {
                let check = check::status(outcome(world.last()?), code(given.text(0))?, None);
                world.check(check)
            }
        ),
        step!(
            Check,
            r"the call fails with ([A-Z_]+) and reason ([A-Z_]+)",
            "Then the call fails with NOT_FOUND and reason CERTIFICATE_NOT_FOUND",
            |world, given| {
                let reason = Some(given.text(1));
                let check = check::status(outcome(world.last()?), code(given.text(0))?, reason);
                world.check(check)
            }
        ),
        step!(
            Check,
            r"the error has no ErrorInfo",
            "Then the error has no ErrorInfo",
            |world, _given| {
                let observed = error(world)?.and_then(|(info, _)| info.map(|info| info.reason));
                let check = match failed(world)? {
                    Ok(()) => check::absent("ErrorInfo", observed.as_deref()),
                    Err(check) => check,
                };
                world.check(check)
            }
        ),
        step!(
            Check,
            r"the error has no description",
            "Then the error has no description",
            |world, _given| {
                let observed = error(world)?.map(|(_, text)| text).filter(|text| !text.is_empty());
                let check = match failed(world)? {
                    Ok(()) => check::absent("description", observed.as_deref()),
                    Err(check) => check,
                };
                world.check(check)
            }
        ),
        step!(
            Check,
            r"the error has a description",
            "Then the error has a description",
            |world, _given| {
                let text = error(world)?.map(|(_, text)| text).unwrap_or_default();
                let observed = if text.is_empty() { "absent" } else { "present" };
                world.check(check::equal("description", "present", observed))
            }
        ),
        step!(
            Check,
            r#"the error domain is "([^"]*)""#,
            "Then the error domain is \"halo.wfanet.org\"",
            |world, given| {
                let info = error(world)?.and_then(|(info, _)| info);
                let observed = info.map_or_else(|| "no ErrorInfo".to_owned(), |info| info.domain);
                world.check(check::equal("domain of the ErrorInfo", given.text(0), &observed))
            }
        ),
        step!(
            Check,
            r"the error metadata is",
            "Then the error metadata is\n\
             | certificate | {edp1.certificate} |",
            |world, given| {
                let mut expected = BTreeMap::new();
                for row in given.table(2)? {
                    if expected.insert(row[0].clone(), world.fill(&row[1])?).is_some() {
                        return Err(Problem::author(
                            format!("the key `{}` stands twice", row[0]),
                            "remove one of the rows",
                        )
                        .into());
                    }
                }
                let info = error(world)?.and_then(|(info, _)| info);
                let none = || BTreeMap::from([("no ErrorInfo".to_owned(), String::new())]);
                let observed = info.map_or_else(none, |info| info.metadata);
                world.check(check::map("metadata of the ErrorInfo", &expected, &observed))
            }
        ),
        step!(
            Check,
            r"the error metadata is empty",
            "Then the error metadata is empty",
            |world, _given| {
                let info = error(world)?.and_then(|(info, _)| info);
                let none = || BTreeMap::from([("no ErrorInfo".to_owned(), String::new())]);
                let observed = info.map_or_else(none, |info| info.metadata);
                world.check(check::map("metadata of the ErrorInfo", &BTreeMap::new(), &observed))
            }
        ),
        step!(
            Check,
            r#"the trailers have ([a-z0-9-]+) "([^"]*)""#,
            "Then the trailers have x-api-key \"{mc1.api_key}\"",
            |world, given| {
                let expected = world.fill(given.text(1))?;
                let observed = trailers(world, given.text(0))?;
                world.check(check::member(
                    format!("trailer {}", given.text(0)),
                    &expected,
                    &observed,
                    true,
                ))
            }
        ),
        step!(
            Check,
            r"the trailers have no ([a-z0-9-]+)",
            "Then the trailers have no x-api-key",
            |world, given| {
                let what = format!("trailer {}", given.text(0));
                let observed = trailers(world, given.text(0))?;
                let check = match failed(world)? {
                    Ok(()) => check::absent(what, observed.first().map(String::as_str)),
                    Err(check) => check,
                };
                world.check(check)
            }
        ),
        step!(
            Check,
            r"the response has ([a-z0-9_.\[\]]+): (.+)",
            "Then the response has revocation_state: HOLD",
            |world, given| {
                let expected = world.fill(given.text(1))?;
                let expected = unquoted(&expected);
                field_is(world, given.text(0), expected)
            }
        ),
        step!(
            Check,
            r"the response has",
            "Then the response has\n\
             | name | {edp1.certificate} |",
            |world, given| {
                for row in given.table(2)? {
                    let expected = world.fill(&row[1])?;
                    field_is(world, &row[0], unquoted(&expected))?;
                }
                Ok(())
            }
        ),
        step!(
            Check,
            r#"the response field (\S+) is "([^"]*)""#,
            "Then the response field certificates[0].name is \"{edp1.certificate}\"",
            |world, given| {
                let expected = world.fill(given.text(1))?;
                field_is(world, given.text(0), &expected)
            }
        ),
        step!(
            Check,
            r#"the text (\S+) contains "([^"]+)""#,
            "Then the text failure.message contains \"{edp1.m_requisition_id}\"",
            |world, given| {
                let wanted = world.fill(given.text(1))?;
                let observed = one(world, given.text(0))?;
                world.check(check::contains(given.text(0), &wanted, &observed))
            }
        ),
        step!(
            Check,
            r"exactly (\d+) of (\S+) (?:is|are) set",
            "Then exactly 1 of duchies[*].value.honest_majority_share_shuffle.public_key is set",
            |world, given| {
                let observed = many(world, given.text(1))?;
                let set = observed.iter().filter(|value| *value != "unset").count().to_string();
                world.check(check::equal(given.text(1), given.text(0), &set))
            }
        ),
        step!(
            Check,
            r"the response field (\S+) is the weak tag of (\S+)",
            "Then the response field etag is the weak tag of update_time",
            |world, given| {
                let part =
                    |world: &mut World, name| one(world, &format!("{}.{name}", given.text(1)));
                let (seconds, nanos) = (part(world, "seconds")?, part(world, "nanos")?);
                let number = |text: &str| {
                    text.parse::<i64>().map_err(|_| {
                        Problem::author(format!("`{text}` is no number"), "name a timestamp")
                    })
                };
                let mut bytes = number(&seconds)?.to_be_bytes().to_vec();
                bytes.extend_from_slice(&number(&nanos)?.to_be_bytes()[4..]);
                let digits = hex::encode_upper(Sha256::digest(bytes));
                let observed = one(world, given.text(0))?;
                world.check(check::equal(given.text(0), &format!("W/\"{digits}\""), &observed))
            }
        ),
        step!(
            Check,
            r#"the response field (\S+) is not "([^"]*)""#,
            "Then the response field name is not \"{edp1.certificate}\"",
            |world, given| {
                let unwanted = world.fill(given.text(1))?;
                let observed = one(world, given.text(0))?;
                if ["", "unset", "absent"].contains(&observed.as_str()) {
                    // Nothing differs from everything: that proves nothing.
                    return world.check(check::equal(given.text(0), "present", "absent"));
                }
                world.check(check::member(given.text(0), &unwanted, &[observed], false))
            }
        ),
        step!(
            Check,
            r"the response has (\d+) ([a-z_.]+)",
            "Then the response has 2 certificates",
            |world, given| {
                let observed = many(world, given.text(1))?.len().to_string();
                let what = format!("number of {}", given.text(1));
                world.check(check::equal(what, given.text(0), &observed))
            }
        ),
        step!(
            Check,
            r"the response lists (\S+) in this order",
            "Then the response lists certificates[*].name in this order\n\
             | {edp1.certificate} |",
            |world, given| {
                let expected = column(world, given.table(1)?)?;
                let observed = many(world, given.text(0))?;
                world.check(check::list(given.text(0), &expected, &observed))
            }
        ),
        step!(
            Check,
            r"the response lists (\S+) in any order",
            "Then the response lists certificates[*].name in any order\n\
             | {edp1.certificate} |",
            |world, given| {
                let expected = column(world, given.table(1)?)?;
                let observed = many(world, given.text(0))?;
                let check = check::same_members(given.text(0), &expected, &observed);
                world.check(check.or(Cause::UnexpectedState))
            }
        ),
        step!(
            Check,
            r"the response field (\S+) ends in an id drawn now",
            "Then the response field name ends in an id drawn now",
            |world, given| {
                let name = one(world, given.text(0))?;
                let id = name.rsplit('/').next().and_then(kingdom_proto::ApiId::decode);
                let now = world.now().unix_timestamp();
                let observed = match id.map(kingdom_proto::ApiId::value) {
                    Some(id) if id <= 0 => format!("{id}, which is not positive"),
                    Some(id) if id >> 32 == 0 => format!("{id}, whose upper half is empty"),
                    // 1.1.9: the lower half is the clock's milliseconds. A minute is a slow call.
                    Some(id) if !(now - 60..=now + 60).any(|second| is_of(id, second)) => {
                        format!("{id}, whose lower half is not of this minute")
                    }
                    Some(_) => "drawn now".to_owned(),
                    None => format!("`{name}`, which ends in no id"),
                };
                world.check(check::equal(given.text(0), "drawn now", &observed))
            }
        ),
        step!(
            Check,
            r"the response lists (\S+) by ascending id",
            "Then the response lists certificates[*].name by ascending id",
            |world, given| {
                let names = many(world, given.text(0))?;
                let mut ids = Vec::with_capacity(names.len());
                for name in &names {
                    let id = name.rsplit('/').next().and_then(kingdom_proto::ApiId::decode);
                    ids.push(id.map(kingdom_proto::ApiId::value).ok_or_else(|| {
                        Problem::author(format!("`{name}` ends in no id"), "name a list of names")
                    })?);
                }
                // One alone is in every order.
                let rises = ids.len() > 1 && ids.windows(2).all(|pair| pair[0] < pair[1]);
                let observed = if rises { "ascending" } else { "not ascending" };
                world.check(check::equal(given.text(0), "ascending", observed))
            }
        ),
        step!(
            Check,
            r#"the response lists "([^"]*)" among (\S+)"#,
            "Then the response lists \"{edp1.certificate}\" among certificates[*].name",
            |world, given| {
                let wanted = world.fill(given.text(0))?;
                let observed = many(world, given.text(1))?;
                world.check(check::member(given.text(1), &wanted, &observed, true))
            }
        ),
        step!(
            Check,
            r#"the response does not list "([^"]*)" among (\S+)"#,
            "Then the response does not list \"{edp2.certificate}\" among certificates[*].name",
            |world, given| {
                let unwanted = world.fill(given.text(0))?;
                let observed = many(world, given.text(1))?;
                world.check(check::member(given.text(1), &unwanted, &observed, false))
            }
        ),
        step!(
            Check,
            r"the response is",
            "Then the response is\n\
             \"\"\"\n\
             name: \"{edp1.certificate}\"\n\
             \"\"\"",
            |world, given| {
                let text = world.fill_text_proto(given.doc()?)?;
                let observed = world.response()?;
                let expected =
                    dynamic::parse(prost_reflect::ReflectMessage::descriptor(&observed), &text)
                        .map_err(|what| {
                            Problem::author(format!("the expected response: {what}"), "correct it")
                        })?;
                world.check(check::equal(
                    "response",
                    &expected.to_text_format(),
                    &observed.to_text_format(),
                ))
            }
        ),
        step!(Check, r"the response is empty", "Then the response is empty", |world, _given| {
            let observed = world.response()?.to_text_format();
            world.check(check::equal("response", "", &observed))
        }),
        step!(
            Check,
            r"the stream has (\d+) messages?",
            "Then the stream has 2 messages",
            |world, given| {
                let observed = world.responses()?.len().to_string();
                world.check(check::equal("number of messages", given.text(0), &observed))
            }
        ),
        step!(
            Either,
            r"the response field (\S+) is saved as ([a-z0-9_.]+)",
            "Then the response field name is saved as cert",
            |world, given| {
                let observed = one(world, given.text(0))?;
                let missing = ["", "unset", "absent"].contains(&observed.as_str());
                let state = if missing { "absent" } else { "present" };
                world.set(given.text(1), Var::Text(observed));
                world.check(check::equal(given.text(0), "present", state))
            }
        ),
        step!(
            Check,
            r#""([^"]*)" equals "([^"]*)""#,
            "Then \"{first}\" equals \"{second}\"",
            |world, given| {
                let (left, right) = two_texts(world, given)?;
                world.check(check::equal(given.text(0), &right, &left))
            }
        ),
        step!(
            Check,
            r#""([^"]*)" differs from "([^"]*)""#,
            "Then \"{first}\" differs from \"{second}\"",
            |world, given| {
                let (left, right) = two_texts(world, given)?;
                world.check(check::member(given.text(0), &right, &[left], false))
            }
        ),
    ]
}

/// The doc string as the message that the step names, encoded.
async fn message(world: &mut World, given: &super::Arguments) -> Result<Vec<u8>, Problem> {
    world.kingdom().await?;
    let text = world.fill_text_proto(given.doc()?)?;
    dynamic::encode_named(given.text(1), &text)
        .map_err(|what| Problem::author(what, "correct the message"))
}

/// Two texts to compare, at least one of them observed: two literals prove nothing.
fn two_texts(world: &World, given: &super::Arguments) -> Result<(String, String), Problem> {
    let (left, right) = (given.text(0), given.text(1));
    if !left.contains('{') && !right.contains('{') {
        return Err(Problem::author(
            "the step compares two literals",
            "compare a {variable}, such as one that a response saved",
        ));
    }
    Ok((world.fill(left)?, world.fill(right)?))
}

fn outcome(call: &Call) -> Outcome<'_> {
    match &call.outcome {
        crate::client::Outcome::Answered { status, .. } => Outcome::Status {
            code: status.code,
            reason: status.error_info.as_ref().map(|info| info.reason.as_str()),
        },
        crate::client::Outcome::Broken(error) => Outcome::NoStatus { why: kind_of(error) },
    }
}

/// The kind of a transport error: its text differs from run to run.
fn kind_of(error: &crate::client::TransportError) -> &'static str {
    use crate::client::TransportError as E;
    match error {
        E::NobodyListens => "nobody listens",
        E::Dial(_) => "no connection",
        E::Credential(_) => "the client cannot use its credential",
        E::ServerCertificate { .. } => "the client refuses the server's certificate",
        E::Handshake(_) | E::Connection(_) | E::NotProcessed(_) => {
            "the connection was refused or broke"
        }
        E::Protocol(_) => "the answer is not gRPC",
        E::Timeout => "no answer in time",
    }
}

pub(super) fn last_outcome(world: &World) -> Result<Outcome<'_>, Problem> {
    Ok(outcome(world.last()?))
}

fn code(name: &str) -> Result<&str, Problem> {
    if name == "OK" || !(0..17).any(|code| crate::client::code_name(code) == Some(name)) {
        return Err(Problem::author(format!("{name} is no gRPC error code"), "correct it"));
    }
    Ok(name)
}

type ErrorParts = (Option<crate::client::ErrorInfo>, String);

/// ErrorInfo and description of the last call, if a status arrived.
fn error(world: &World) -> Result<Option<ErrorParts>, Problem> {
    Ok(world.status()?.ok().map(|status| (status.error_info.clone(), status.description.clone())))
}

/// A call that did not fail has no error to look at: absence must not pass for it.
fn failed(world: &World) -> Result<Result<(), crate::observation::Check>, Problem> {
    let observed = match world.status()? {
        Ok(status) if status.code != "OK" => return Ok(Ok(())),
        Ok(_) => "OK",
        Err(_) => "no gRPC status",
    };
    Ok(Err(check::equal("status", "an error", observed)))
}

fn trailers(world: &World, name: &str) -> Result<Vec<String>, Problem> {
    Ok(world
        .status()?
        .map(|status| {
            let named = status.trailers.iter().filter(|(key, _)| key == name);
            named.map(|(_, value)| value.clone()).collect()
        })
        .unwrap_or_default())
}

fn read(world: &mut World, path: &str) -> Result<At, crate::world::Stop> {
    let response = world.response()?;
    let at = dynamic::at(&response, path)
        .map_err(|what| Problem::author(what, "correct the field's path"))?;
    Ok(at)
}

fn one(world: &mut World, path: &str) -> Result<String, crate::world::Stop> {
    match read(world, path)? {
        At::One(one) => Ok(one),
        At::Many(_) => Err(Problem::author(
            format!("{path} is a list"),
            "name one element, such as `[0]`, or use `the response lists`",
        )
        .into()),
    }
}

fn many(world: &mut World, path: &str) -> Result<Vec<String>, crate::world::Stop> {
    match read(world, path)? {
        At::Many(many) => Ok(many),
        At::One(_) => Err(Problem::author(format!("{path} is not a list"), "name a list").into()),
    }
}

fn field_is(world: &mut World, path: &str, expected: &str) -> crate::world::StepResult {
    let observed = one(world, path)?;
    world.check(check::equal(path, expected, &observed))
}

fn column(world: &World, rows: &[Vec<String>]) -> Result<Vec<String>, Problem> {
    rows.iter().map(|row| world.fill(&row[0])).collect()
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// Whether the lower half of an id holds milliseconds of this second.
fn is_of(id: i64, unix_seconds: i64) -> bool {
    let first = unix_seconds.wrapping_mul(1000) & 0xffff_ffff;
    let past = (id & 0xffff_ffff).wrapping_sub(first) & 0xffff_ffff;
    past < 1000
}
