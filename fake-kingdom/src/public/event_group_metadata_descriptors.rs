//! EventGroupMetadataDescriptors of the public API (contract 1.4.13, 1.4.14).

use super::certificates::{signed, unsigned};
use super::{
    Answer, Caller, bad_shape, decode_id, decode_token, encode_token, page_size, require_owner,
    require_principal, whitelist, with_constraints,
};
use crate::authn::Principal;
use crate::error::{Code, Refusal};
use crate::model::event_group_metadata_descriptor::{self as descriptor, Content, Descriptor};
use crate::model::{Read, Write};
use kingdom_proto::name::{DataProviderName, EventGroupMetadataDescriptorName};
use kingdom_proto::{Verbatim, v2alpha as pb};
use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorSet;
use std::collections::BTreeSet;

/// The id that stands for all data providers in List and BatchGet (contract 1.4.13).
const WILDCARD: &str = "-";

const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: usize = 1000;

/// GetEventGroupMetadataDescriptor: its data provider or any measurement consumer.
///
/// # Errors
/// In order: name shape, principal, permission, ids,
/// NOT_FOUND/EVENT_GROUP_METADATA_DESCRIPTOR_NOT_FOUND.
pub fn get(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::GetEventGroupMetadataDescriptorRequest,
) -> Answer<pb::EventGroupMetadataDescriptor> {
    let name =
        EventGroupMetadataDescriptorName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    require_reader(caller, &DataProviderName::new(&name.data_provider))?;
    let provider = decode_id(read, &name.data_provider)?;
    let id = decode_id(read, &name.descriptor)?;
    descriptor::find(read.tables, provider, id)
        .map(to_proto)
        .map_err(|error| error.public(whitelist::ONLY_NOT_FOUND))
}

/// CreateEventGroupMetadataDescriptor: its data provider only. A repeated `request_id` answers the
/// stored descriptor (1.0.7).
///
/// # Errors
/// In order: parent shape, principal, ownership, a descriptor_set that does not link
/// (INVALID_ARGUMENT), ids, NOT_FOUND/DATA_PROVIDER_NOT_FOUND, a message type in use (1.0.17).
pub fn create(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::CreateEventGroupMetadataDescriptorRequest,
) -> Answer<pb::EventGroupMetadataDescriptor> {
    let parent = DataProviderName::parse(&request.parent).ok_or_else(|| bad_shape("parent"))?;
    require_owner(caller, &request.parent)?;
    let sent = request.event_group_metadata_descriptor.clone().unwrap_or_default();
    let content = link(sent.descriptor_set)
        .ok_or_else(|| Refusal::invalid_argument("descriptor_set does not link"))?;
    let provider = decode_id(&write.read(), &parent.data_provider)?;
    descriptor::create(write, provider, request.request_id.clone(), content)
        .map(|row| to_proto(&row))
        .map_err(|error| error.public(&with_constraints(&write.read(), whitelist::ONLY_NOT_FOUND)))
}

/// UpdateEventGroupMetadataDescriptor: its data provider only.
///
/// # Errors
/// In order: name shape, principal, ownership, ids,
/// NOT_FOUND/EVENT_GROUP_METADATA_DESCRIPTOR_NOT_FOUND, then the violations of 1.0.17: a
/// descriptor_set that does not link, a message type in use.
pub fn update(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::UpdateEventGroupMetadataDescriptorRequest,
) -> Answer<pb::EventGroupMetadataDescriptor> {
    let sent = request.event_group_metadata_descriptor.clone().unwrap_or_default();
    let name = EventGroupMetadataDescriptorName::parse(&sent.name)
        .ok_or_else(|| bad_shape("event_group_metadata_descriptor.name"))?;
    require_owner(caller, &DataProviderName::new(&name.data_provider).to_string())?;
    let provider = decode_id(&write.read(), &name.data_provider)?;
    let id = decode_id(&write.read(), &name.descriptor)?;
    descriptor::update(write, provider, id, link(sent.descriptor_set))
        .map(|row| to_proto(&row))
        .map_err(|error| {
            error.public(&with_constraints(&write.read(), whitelist::UPDATE_DESCRIPTOR))
        })
}

/// BatchGetEventGroupMetadataDescriptors (contract 1.4.14): a malformed name is NOT_FOUND, of each
/// name only the descriptor's id is used. A consumer may use the parent `dataProviders/-`.
///
/// # Errors
/// In order: parent shape, principal, permission, shape (NOT_FOUND) and id of each name, id of the
/// parent; the data server's errors untranslated (1.0.5, by quirk).
pub fn batch_get(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::BatchGetEventGroupMetadataDescriptorsRequest,
) -> Answer<pb::BatchGetEventGroupMetadataDescriptorsResponse> {
    let parent = DataProviderName::parse(&request.parent).ok_or_else(|| bad_shape("parent"))?;
    require_reader(caller, &parent)?;
    let mut names = Vec::with_capacity(request.names.len());
    for text in &request.names {
        let name = EventGroupMetadataDescriptorName::parse(text)
            .ok_or_else(|| Refusal::new(Code::NotFound, "names is unspecified or invalid"))?;
        let id = decode_id(read, &name.descriptor)?;
        // Used only to name what is missing; ids here are positive, so 0 finds nothing.
        let provider = kingdom_proto::ApiId::decode(&name.data_provider).map_or(0, |id| id.value());
        names.push((provider, id));
    }
    let provider = match parent.data_provider.as_str() {
        WILDCARD => None,
        segment => Some(decode_id(read, segment)?),
    };
    if let Some(provider) = provider {
        for (asked, _) in &mut names {
            *asked = provider;
        }
    }
    let rows = descriptor::batch_get(read, provider, &names)
        .map_err(|error| error.untranslated_by_quirk(read.quirks()))?;
    Ok(pb::BatchGetEventGroupMetadataDescriptorsResponse {
        event_group_metadata_descriptors: rows.into_iter().map(to_proto).collect(),
    })
}

/// ListEventGroupMetadataDescriptors, in the order of table 1.0.6: the token comes before the
/// principal. A consumer may use the parent `dataProviders/-`. Ids are compared decoded (1.1.4).
///
/// # Errors
/// In order: page_size, parent shape (and id), token and its comparison, principal, permission.
pub fn list(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::ListEventGroupMetadataDescriptorsRequest,
) -> Answer<pb::ListEventGroupMetadataDescriptorsResponse> {
    let mut size = page_size(request.page_size, DEFAULT_PAGE, MAX_PAGE)?;
    let parent = DataProviderName::parse(&request.parent).ok_or_else(|| bad_shape("parent"))?;
    let provider = match parent.data_provider.as_str() {
        WILDCARD => None,
        segment => Some(decode_id(read, segment)?),
    };
    // All providers: the token's id stays 0.
    let token_provider = unsigned(provider.unwrap_or_default());
    let mut after = None;
    if !request.page_token.is_empty() {
        let token: pb::ListEventGroupMetadataDescriptorsPageToken =
            decode_token(read, &request.page_token)?;
        if token.external_data_provider_id != token_provider {
            return Err(Refusal::invalid_argument("page_token does not match the request"));
        }
        // 0 or a size above the limit keeps the token's size (contract 1.5.5).
        if request.page_size == 0 || usize::try_from(request.page_size).is_ok_and(|n| n > MAX_PAGE)
        {
            size = usize::try_from(token.page_size)
                .ok()
                .filter(|stored| (1..=MAX_PAGE).contains(stored))
                .unwrap_or(DEFAULT_PAGE);
        }
        after = token.last_event_group_metadata_descriptor.map(|last| {
            let id = signed(last.external_event_group_metadata_descriptor_id);
            (signed(last.external_data_provider_id), id)
        });
    }
    match require_principal(caller)? {
        own @ Principal::DataProvider(_) if Some(decode_id(read, own.id())?) == provider => {}
        Principal::MeasurementConsumer(_) => {}
        _ => return Err(Refusal::permission_denied()),
    }
    let rows = descriptor::list(read, provider, after, size + 1);
    let next_page_token = match rows.get(size - 1) {
        Some(last) if rows.len() > size => {
            use pb::list_event_group_metadata_descriptors_page_token::PreviousPageEnd;
            encode_token(&pb::ListEventGroupMetadataDescriptorsPageToken {
                page_size: i32::try_from(size).unwrap_or_default(),
                external_data_provider_id: token_provider,
                last_event_group_metadata_descriptor: Some(PreviousPageEnd {
                    external_data_provider_id: unsigned(last.data_provider),
                    external_event_group_metadata_descriptor_id: unsigned(last.id),
                }),
            })
        }
        _ => String::new(),
    };
    Ok(pb::ListEventGroupMetadataDescriptorsResponse {
        event_group_metadata_descriptors: rows.into_iter().take(size).map(to_proto).collect(),
        next_page_token,
    })
}

/// That data provider, or any measurement consumer (contract 1.4.13). Names are compared as strings
/// (1.1.4), so a data provider is refused the wildcard.
fn require_reader(caller: Caller<'_>, provider: &DataProviderName) -> Answer<()> {
    match require_principal(caller)? {
        Principal::MeasurementConsumer(_) => Ok(()),
        own @ Principal::DataProvider(_) if own.name() == provider.to_string() => Ok(()),
        _ => Err(Refusal::permission_denied()),
    }
}

/// Links the files of a set; `None` if they do not link. The well-known files may be left out.
fn link(sent: Option<Verbatim>) -> Option<Content> {
    let Some(sent) = sent else { return Some(Content::default()) };
    let set = FileDescriptorSet::decode(sent.bytes()).ok()?;
    let given: BTreeSet<&str> = set.file.iter().map(|file| file.name()).collect();
    let well_known = DescriptorPool::global();
    let absent = well_known
        .files()
        .filter(|file| file.name().starts_with("google/protobuf/") && !given.contains(file.name()))
        .map(|file| file.file_descriptor_proto().clone());
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(absent.chain(set.file.iter().cloned())).ok()?;
    let types = set
        .file
        .iter()
        .filter(|file| file.package() != "google.protobuf")
        .flat_map(|file| {
            let package = match file.package() {
                "" => String::new(),
                package => format!("{package}."),
            };
            file.message_type.iter().map(move |message| format!("{package}{}", message.name()))
        })
        .collect();
    Some(Content { descriptor_set: Some(sent.bytes().to_vec()), types })
}

/// A descriptor as reads show it.
pub fn to_proto(row: &Descriptor) -> pb::EventGroupMetadataDescriptor {
    pb::EventGroupMetadataDescriptor {
        name: descriptor::name(row.data_provider, row.id),
        // Always there, as the real server's own field is: only possibly empty.
        descriptor_set: Some(row.content.descriptor_set.clone().unwrap_or_default().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public::fixture::{World, metadata as info, principal, refused};
    use crate::quirk::Quirk;
    use prost_types::field_descriptor_proto::{Label, Type};
    use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

    const MISSING: &str = "AAAAAAAAAZQ";
    const IN_USE: &str = "EVENT_GROUP_METADATA_DESCRIPTOR_ALREADY_EXISTS_WITH_TYPE";
    const NOT_FOUND: &str = "EVENT_GROUP_METADATA_DESCRIPTOR_NOT_FOUND";

    /// One file with one message that has a field of type `field`.
    fn set(message: &str, field: &str) -> FileDescriptorSet {
        FileDescriptorSet {
            file: vec![FileDescriptorProto {
                name: Some(format!("{message}.proto")),
                package: Some("example".to_owned()),
                dependency: vec!["google/protobuf/duration.proto".to_owned()],
                syntax: Some("proto3".to_owned()),
                message_type: vec![DescriptorProto {
                    name: Some(message.to_owned()),
                    field: vec![FieldDescriptorProto {
                        name: Some("length".to_owned()),
                        number: Some(1),
                        label: Some(Label::Optional.into()),
                        r#type: Some(Type::Message.into()),
                        type_name: Some(field.to_owned()),
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            }],
        }
    }

    fn good(message: &str) -> FileDescriptorSet {
        set(message, ".google.protobuf.Duration")
    }

    fn unlinked() -> FileDescriptorSet {
        set("Unlinked", ".example.Nothing")
    }

    fn create_own(
        world: &mut World,
        i: usize,
        set: FileDescriptorSet,
        request_id: &str,
    ) -> Answer<pb::EventGroupMetadataDescriptor> {
        let own = world.as_dp(i);
        let request = pb::CreateEventGroupMetadataDescriptorRequest {
            parent: world.dp(i),
            event_group_metadata_descriptor: Some(pb::EventGroupMetadataDescriptor {
                descriptor_set: Some(set.encode_to_vec().into()),
                ..Default::default()
            }),
            request_id: request_id.to_owned(),
        };
        world.write(|w| create(w, Some(&own), &request))
    }

    /// Custom options, which prost's own types do not know, are what such a set is for.
    #[test]
    fn a_descriptor_set_is_read_back_byte_for_byte_custom_options_included() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let mut sent = good("A").encode_to_vec();
        // An unknown field of the set: field 1000, a string.
        sent.extend([0xc2, 0x3e, 2, b'h', b'i']);
        let request = pb::CreateEventGroupMetadataDescriptorRequest {
            parent: world.dp(0),
            event_group_metadata_descriptor: Some(pb::EventGroupMetadataDescriptor {
                descriptor_set: Some(sent.clone().into()),
                ..Default::default()
            }),
            request_id: String::new(),
        };
        let name = world.write(|w| create(w, Some(&own), &request)).unwrap().name;
        let read = get_as(&world, Some(&own), &name).unwrap();
        assert_eq!(read.descriptor_set.as_ref().map(Verbatim::bytes), Some(sent.as_slice()));
    }

    fn created(world: &mut World, i: usize, message: &str) -> String {
        create_own(world, i, good(message), "").unwrap().name
    }

    fn update_as(
        world: &mut World,
        caller: Caller<'_>,
        name: &str,
        set: FileDescriptorSet,
    ) -> Answer<pb::EventGroupMetadataDescriptor> {
        let request = pb::UpdateEventGroupMetadataDescriptorRequest {
            event_group_metadata_descriptor: Some(pb::EventGroupMetadataDescriptor {
                name: name.to_owned(),
                descriptor_set: Some(set.encode_to_vec().into()),
            }),
        };
        world.write(|w| update(w, caller, &request))
    }

    fn get_as(
        world: &World,
        caller: Caller<'_>,
        name: &str,
    ) -> Answer<pb::EventGroupMetadataDescriptor> {
        let request = pb::GetEventGroupMetadataDescriptorRequest { name: name.to_owned() };
        get(&world.read(), caller, &request)
    }

    fn batch_as(
        world: &World,
        caller: &Principal,
        parent: &str,
        names: &[&str],
    ) -> Answer<Vec<String>> {
        let request = pb::BatchGetEventGroupMetadataDescriptorsRequest {
            parent: parent.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let response = batch_get(&world.read(), Some(caller), &request)?;
        Ok(response.event_group_metadata_descriptors.into_iter().map(|row| row.name).collect())
    }

    fn page(
        world: &World,
        caller: Caller<'_>,
        parent: &str,
        page_size: i32,
        page_token: &str,
    ) -> Answer<(Vec<String>, String)> {
        let request = pb::ListEventGroupMetadataDescriptorsRequest {
            parent: parent.to_owned(),
            page_size,
            page_token: page_token.to_owned(),
        };
        let response = list(&world.read(), caller, &request)?;
        let rows = response.event_group_metadata_descriptors.into_iter();
        Ok((rows.map(|row| row.name).collect(), response.next_page_token))
    }

    #[test]
    fn its_provider_and_any_consumer_may_read_and_nobody_else_1_4_13() {
        let mut world = World::new();
        let name = created(&mut world, 0, "A");
        for allowed in [world.as_dp(0), world.as_mc(1)] {
            let row = get_as(&world, Some(&allowed), &name).unwrap();
            assert_eq!(row.descriptor_set, Some(good("A").encode_to_vec().into()));
        }
        for denied in [world.as_dp(1), world.as_mp(0), principal("duchies/worker1")] {
            let answer = get_as(&world, Some(&denied), &name);
            assert_eq!(refused(answer), (Code::PermissionDenied, None), "{denied}");
        }
        assert_eq!(refused(get_as(&world, None, "x")).0, Code::InvalidArgument);
        assert_eq!(refused(get_as(&world, None, &name)).0, Code::Unauthenticated);
        let missing = format!("{}/eventGroupMetadataDescriptors/{MISSING}", world.dp(0));
        let answer = get_as(&world, Some(&world.as_dp(0)), &missing);
        assert_eq!(refused(answer.clone()), (Code::NotFound, Some(NOT_FOUND)));
        assert_eq!(info(answer, "eventGroupMetadataDescriptor"), Some(missing));
    }

    #[test]
    fn only_its_provider_creates_and_updates_1_4_13() {
        let mut world = World::new();
        let name = created(&mut world, 0, "A");
        let (own, consumer) = (world.as_dp(0), world.as_mc(0));
        let request = pb::CreateEventGroupMetadataDescriptorRequest {
            parent: world.dp(0),
            ..Default::default()
        };
        for denied in [world.as_dp(1), consumer] {
            let answer = world.write(|w| create(w, Some(&denied), &request));
            assert_eq!(refused(answer), (Code::PermissionDenied, None));
            // ownership comes before the descriptor set (1.0.6)
            let answer = update_as(&mut world, Some(&denied), &name, unlinked());
            assert_eq!(refused(answer), (Code::PermissionDenied, None));
        }
        let row = update_as(&mut world, Some(&own), &name, good("B")).unwrap();
        assert_eq!(row.descriptor_set, Some(good("B").encode_to_vec().into()));
        // the old type is free again
        created(&mut world, 0, "A");
    }

    #[test]
    fn a_set_that_does_not_link_is_invalid_on_create_and_unknown_on_update_1_0_17() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let name = created(&mut world, 0, "A");
        let answer = create_own(&mut world, 0, unlinked(), "");
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
        let answer = update_as(&mut world, Some(&own), &name, unlinked());
        assert_eq!(refused(answer), (Code::Unknown, None));
        let missing = format!("{}/eventGroupMetadataDescriptors/{MISSING}", world.dp(0));
        let answer = update_as(&mut world, Some(&own), &missing, good("B"));
        assert_eq!(refused(answer), (Code::NotFound, Some(NOT_FOUND)));

        let mut world = World::documented(Quirk::ConstraintViolationIsUnknown);
        let name = created(&mut world, 0, "A");
        let answer = update_as(&mut world, Some(&own), &name, unlinked());
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
    }

    #[test]
    fn a_registered_message_type_is_unknown_with_its_reason_1_0_17() {
        let mut world = World::new();
        let (own, other) = (world.as_dp(0), world.as_dp(1));
        let name = created(&mut world, 0, "A");
        let foreign = created(&mut world, 1, "B");
        let answer = create_own(&mut world, 1, good("A"), "");
        assert_eq!(refused(answer), (Code::Unknown, Some(IN_USE)));
        let answer = update_as(&mut world, Some(&other), &foreign, good("A"));
        assert_eq!(refused(answer), (Code::Unknown, Some(IN_USE)));
        // its own type is no conflict
        assert!(update_as(&mut world, Some(&own), &name, good("A")).is_ok());

        let mut world = World::documented(Quirk::ConstraintViolationIsUnknown);
        created(&mut world, 0, "A");
        let answer = create_own(&mut world, 1, good("A"), "");
        assert_eq!(refused(answer), (Code::AlreadyExists, Some(IN_USE)));
    }

    #[test]
    fn a_repeated_request_id_answers_the_stored_descriptor_1_0_7() {
        let mut world = World::new();
        let first = create_own(&mut world, 0, good("A"), "r").unwrap();
        assert_eq!(create_own(&mut world, 0, good("A"), "r").unwrap(), first);
        assert_ne!(create_own(&mut world, 1, good("B"), "r").unwrap().name, first.name);
    }

    #[test]
    fn batch_get_follows_the_names_and_omits_what_is_missing_1_4_14() {
        let mut world = World::new();
        let (a, b) = (created(&mut world, 0, "A"), created(&mut world, 0, "B"));
        let missing = format!("{}/eventGroupMetadataDescriptors/{MISSING}", world.dp(0));
        let (own, parent) = (world.as_dp(0), world.dp(0));
        assert_eq!(
            batch_as(&world, &own, &parent, &[&b, &missing, &a]),
            Ok(vec![b.clone(), a.clone()])
        );
        // only the descriptor id of each name is used, together with the parent
        let id = a.rsplit('/').next().unwrap();
        let elsewhere = format!("{}/eventGroupMetadataDescriptors/{id}", world.dp(1));
        assert_eq!(batch_as(&world, &own, &parent, &[&elsewhere]), Ok(vec![a.clone()]));
        // a malformed name is NOT_FOUND without ErrorInfo
        assert_eq!(refused(batch_as(&world, &own, &parent, &["x"])), (Code::NotFound, None));

        let mut world = World::documented(Quirk::BatchGetDescriptorsOmitsMissing);
        let a = created(&mut world, 0, "A");
        let answer = batch_as(&world, &own, &parent, &[&a, &missing]);
        assert_eq!(refused(answer), (Code::NotFound, Some(NOT_FOUND)));
        assert_eq!(batch_as(&world, &own, &parent, &[&a]), Ok(vec![a]));
    }

    #[test]
    fn the_data_servers_own_error_reaches_the_caller_of_batch_get_1_0_5() {
        let mut world = World::documented(Quirk::BatchGetDescriptorsOmitsMissing);
        let missing = format!("{}/eventGroupMetadataDescriptors/{MISSING}", world.dp(0));
        let domain = |world: &World| {
            let answer = batch_as(world, &world.as_dp(0), &world.dp(0), &[&missing]);
            answer.unwrap_err().info.unwrap().domain
        };
        assert_eq!(domain(&world), "wfa.measurement.internal.kingdom.ErrorCode");
        let quirk = Quirk::InternalErrorsPassUntranslated;
        world.settings.quirks =
            world.settings.quirks.with(quirk, crate::quirk::Fidelity::AsDocumented);
        assert_eq!(domain(&world), "halo.wfanet.org");
    }

    #[test]
    fn only_what_a_set_defines_itself_counts_as_its_types() {
        let mut with_imports = good("A");
        let well_known = DescriptorPool::global();
        let duration = well_known.get_file_by_name("google/protobuf/duration.proto").unwrap();
        with_imports.file.insert(0, duration.file_descriptor_proto().clone());
        // files in any order
        with_imports.file.reverse();
        assert_eq!(link(Some(with_imports.encode_to_vec().into())).unwrap().types, ["example.A"]);
        assert_eq!(link(Some(good("A").encode_to_vec().into())).unwrap().types, ["example.A"]);
    }

    #[test]
    fn a_consumer_may_reach_all_providers_and_a_provider_may_not_1_4_13() {
        let mut world = World::new();
        let (a, b) = (created(&mut world, 0, "A"), created(&mut world, 1, "B"));
        let (consumer, own) = (world.as_mc(0), world.as_dp(0));
        let all = "dataProviders/-";
        assert_eq!(batch_as(&world, &consumer, all, &[&b, &a]), Ok(vec![b.clone(), a.clone()]));
        assert_eq!(page(&world, Some(&consumer), all, 0, "").unwrap().0, [a, b]);
        assert_eq!(refused(batch_as(&world, &own, all, &[])), (Code::PermissionDenied, None));
        let answer = page(&world, Some(&own), all, 0, "");
        assert_eq!(refused(answer), (Code::PermissionDenied, None));
    }

    #[test]
    fn list_checks_page_size_shape_token_principal_permission_1_0_6() {
        let mut world = World::new();
        created(&mut world, 0, "A");
        created(&mut world, 0, "B");
        let (own, other, parent) = (world.as_dp(0), world.as_dp(1), world.dp(0));
        let code = |caller, parent: &str, size, token: &str| {
            refused(page(&world, caller, parent, size, token)).0
        };
        assert_eq!(code(None, "x", -1, "!"), Code::InvalidArgument);
        assert_eq!(code(None, "x", 0, "!"), Code::InvalidArgument);
        assert_eq!(code(None, &parent, 0, "!"), Code::Unknown);
        let token = page(&world, Some(&own), &parent, 1, "").unwrap().1;
        // the token is compared before the principal is looked at
        assert_eq!(code(None, &world.dp(1), 0, &token), Code::InvalidArgument);
        assert_eq!(code(None, &parent, 0, &token), Code::Unauthenticated);
        assert_eq!(code(Some(&other), &parent, 0, &token), Code::PermissionDenied);
        // decoded ids are compared, so another spelling of the own id will do (1.1.4)
        assert!(page(&world, Some(&own), &format!("{parent}="), 0, "").is_ok());
    }

    #[test]
    fn the_token_keeps_its_page_size_for_0_and_above_1000_1_5_5() {
        let mut world = World::new();
        for message in ["A", "B", "C", "D"] {
            created(&mut world, 0, message);
        }
        let (own, parent) = (world.as_dp(0), world.dp(0));
        let (first, token) = page(&world, Some(&own), &parent, 1, "").unwrap();
        assert_eq!(first.len(), 1);
        let next = |size| page(&world, Some(&own), &parent, size, &token).unwrap().0.len();
        assert_eq!([next(0), next(1001), next(2), next(1000)], [1, 1, 2, 3]);
    }
}
