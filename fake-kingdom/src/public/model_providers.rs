//! ModelProviders of the public API (contract 1.3).

use super::certificates::{signed, unsigned};
use super::token::{malformed, token_bytes};
use super::{
    Answer, Caller, bad_shape, decode_id, encode_token, page_size, require_principal, whitelist,
};
use crate::authn::Principal;
use crate::error::{Code, Refusal};
use crate::model::model_provider::{self, ModelProvider};
use crate::model::{Owner, Read};
use crate::quirk::Quirk;
use kingdom_proto::internal::{
    ListModelProvidersPageToken, list_model_providers_page_token::After,
};
use kingdom_proto::name::ModelProviderName;
use kingdom_proto::v2alpha as pb;

/// GetModelProvider: that provider itself, any data provider, any measurement consumer (1.3.1).
///
/// # Errors
/// In order: name shape, principal, permission, id, NOT_FOUND without ErrorInfo; all else INTERNAL.
pub fn get(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::GetModelProviderRequest,
) -> Answer<pb::ModelProvider> {
    let name = ModelProviderName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    let allowed = match require_principal(caller)? {
        own @ Principal::ModelProvider(_) => own.name() == request.name,
        Principal::DataProvider(_) | Principal::MeasurementConsumer(_) => true,
        Principal::Duchy(_) | Principal::Account(_) => false,
    };
    if !allowed {
        return Err(Refusal::permission_denied());
    }
    let id = decode_id(read, &name.model_provider)?;
    model_provider::find(read.tables, id)
        .map(to_proto)
        .map_err(|error| error.public_or(whitelist::ONLY_NOT_FOUND, Code::Internal))
}

/// ListModelProviders: works without a principal (1.3.2, by quirk). The token is the *internal*
/// message, and nothing of it must equal the request (table 1.0.13).
///
/// # Errors
/// In order: page_size, (principal,) token.
pub fn list(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::ListModelProvidersRequest,
) -> Answer<pb::ListModelProvidersResponse> {
    let size = page_size(request.page_size, 50, 1000)?;
    if !read.faithful(Quirk::ListModelProvidersNeedsNoPrincipal) {
        require_principal(caller)?;
    }
    let after = if request.page_token.is_empty() {
        None
    } else {
        // Bad base64 is garbage as elsewhere; an unparsable message is noticed here alone (1.0.13).
        let bytes = token_bytes(&request.page_token).ok_or_else(|| malformed(read))?;
        super::lenient::decode::<ListModelProvidersPageToken>(&bytes)
            .ok_or_else(|| Refusal::invalid_argument("page_token is invalid"))?
            .after
            .map(|after| signed(after.external_model_provider_id))
    };
    let rows = model_provider::list(read, after, size + 1);
    let next_page_token = match rows.get(size - 1) {
        Some(last) if rows.len() > size => encode_token(&ListModelProvidersPageToken {
            after: Some(After { external_model_provider_id: unsigned(last.id) }),
        }),
        _ => String::new(),
    };
    Ok(pb::ListModelProvidersResponse {
        model_providers: rows.into_iter().take(size).map(to_proto).collect(),
        next_page_token,
    })
}

/// A model provider as reads show it: its name (contract 1.3.5).
pub fn to_proto(row: &ModelProvider) -> pb::ModelProvider {
    pb::ModelProvider { name: Owner::ModelProvider(row.id).name(), display_name: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public::fixture::{World, principal, refused};

    fn get_as(world: &World, caller: Caller<'_>, name: &str) -> Answer<pb::ModelProvider> {
        get(&world.read(), caller, &pb::GetModelProviderRequest { name: name.to_owned() })
    }

    fn page(world: &World, size: i32, token: &str) -> Answer<pb::ListModelProvidersResponse> {
        let request =
            pb::ListModelProvidersRequest { page_size: size, page_token: token.to_owned() };
        list(&world.read(), None, &request)
    }

    #[test]
    fn itself_any_data_provider_and_any_consumer_may_read_and_nobody_else_1_3_1() {
        let world = World::new();
        for allowed in [world.as_mp(0), world.as_dp(1), world.as_mc(1)] {
            assert_eq!(get_as(&world, Some(&allowed), &world.mp(0)).unwrap().name, world.mp(0));
        }
        for denied in [world.as_mp(1), principal("duchies/worker1")] {
            let answer = get_as(&world, Some(&denied), &world.mp(0));
            assert_eq!(refused(answer), (Code::PermissionDenied, None), "{denied}");
        }
    }

    #[test]
    fn a_missing_model_provider_is_not_found_without_error_info_1_3_1() {
        let world = World::new();
        let answer = get_as(&world, Some(&world.as_dp(0)), "modelProviders/AAAAAAAAAZQ");
        assert_eq!(refused(answer), (Code::NotFound, None));
    }

    #[test]
    fn the_list_needs_no_principal_and_pages_by_ascending_id_1_3_2() {
        let world = World::new();
        let first = page(&world, 1, "").unwrap();
        assert_eq!(first.model_providers[0].name, world.mp(0));
        let second = page(&world, 1, &first.next_page_token).unwrap();
        assert_eq!(second.model_providers[0].name, world.mp(1));
        assert_eq!(second.next_page_token, "");
        assert_eq!(page(&world, 0, "").unwrap().model_providers.len(), 2);
    }

    #[test]
    fn the_list_needs_a_principal_as_documented_1_3_2() {
        let world = World::documented(Quirk::ListModelProvidersNeedsNoPrincipal);
        assert_eq!(refused(page(&world, 0, "")), (Code::Unauthenticated, None));
        let anybody = principal("duchies/worker1");
        assert!(list(&world.read(), Some(&anybody), &Default::default()).is_ok());
    }

    #[test]
    fn the_token_is_the_internal_message_1_0_13() {
        let world = World::new();
        let token = page(&world, 1, "").unwrap().next_page_token;
        // field 1 {field 1 fixed64}: 0a 09 09 and eight little-endian bytes
        let mut expected = vec![0x0a, 9, 9];
        expected.extend(world.model_providers[0].to_le_bytes());
        assert_eq!(token_bytes(&token).unwrap(), expected);
    }

    #[test]
    fn page_size_comes_before_the_token_1_0_6() {
        let world = World::new();
        assert_eq!(refused(page(&world, -1, "!")), (Code::InvalidArgument, None));
        assert_eq!(refused(page(&world, 0, "!")), (Code::Unknown, None));
    }

    #[test]
    fn a_token_that_is_base64_but_no_message_is_an_argument_error_1_0_13() {
        let world = World::new();
        // "/////w": 0xff four times, no valid tag
        assert_eq!(refused(page(&world, 0, "_____w")), (Code::InvalidArgument, None));
        let world = World::documented(Quirk::MalformedPageTokenIsUnknown);
        assert_eq!(refused(page(&world, 0, "!")), (Code::InvalidArgument, None));
    }
}
