//! ModelProviders of the internal API (table 1.8.2).

use crate::error::InternalError;
use crate::model::model_provider::{self, ModelProvider};
use crate::model::{Read, Write};
use crate::public::certificates::{signed, unsigned};
use crate::public::{Answer, page_size};
use kingdom_proto::internal as pb;
use kingdom_proto::internal::list_model_providers_page_token::After;

/// CreateModelProvider: what the request holds is ignored, the server assigns the id.
///
/// # Errors
/// None.
pub fn create(write: &mut Write<'_>, _request: &pb::ModelProvider) -> Answer<pb::ModelProvider> {
    Ok(to_proto(&model_provider::create(write)))
}

/// GetModelProvider.
///
/// # Errors
/// NOT_FOUND without ErrorInfo (table 1.3.1).
pub fn get(read: &Read<'_>, request: &pb::GetModelProviderRequest) -> Answer<pb::ModelProvider> {
    model_provider::find(read.tables, signed(request.external_model_provider_id))
        .map(to_proto)
        .map_err(InternalError::untranslated)
}

/// ListModelProviders: default 50, at most 1000, ids ascending, as the public list (table 1.3.1).
///
/// # Errors
/// A negative page_size INVALID_ARGUMENT.
pub fn list(
    read: &Read<'_>,
    request: &pb::ListModelProvidersRequest,
) -> Answer<pb::ListModelProvidersResponse> {
    let size = page_size(request.page_size, 50, 1000)?;
    let after = request.page_token.as_ref().and_then(|token| token.after);
    let after = after.map(|after| signed(after.external_model_provider_id));
    let rows = model_provider::list(read, after, size + 1);
    let next_page_token = match rows.get(size - 1) {
        Some(last) if rows.len() > size => Some(pb::ListModelProvidersPageToken {
            after: Some(After { external_model_provider_id: unsigned(last.id) }),
        }),
        _ => None,
    };
    Ok(pb::ListModelProvidersResponse {
        model_providers: rows.into_iter().take(size).map(to_proto).collect(),
        next_page_token,
    })
}

fn to_proto(row: &ModelProvider) -> pb::ModelProvider {
    pb::ModelProvider { external_model_provider_id: unsigned(row.id) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::public::fixture::{World, refused};

    #[test]
    fn a_created_model_provider_is_found_and_listed_by_ascending_id_1_8_2() {
        let mut world = World::new();
        let id =
            world.write(|w| create(w, &Default::default())).unwrap().external_model_provider_id;
        let request = pb::GetModelProviderRequest { external_model_provider_id: id };
        assert_eq!(get(&world.read(), &request).unwrap().external_model_provider_id, id);
        let mut request = pb::ListModelProvidersRequest { page_size: 2, page_token: None };
        let first = list(&world.read(), &request).unwrap();
        request.page_token = first.next_page_token;
        let second = list(&world.read(), &request).unwrap();
        assert_eq!(second.next_page_token, None);
        let rows = first.model_providers.into_iter().chain(second.model_providers);
        let ids: Vec<_> = rows.map(|row| row.external_model_provider_id).collect();
        assert_eq!(ids.len(), 3);
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_missing_one_is_not_found_without_error_info_1_3_1() {
        let world = World::new();
        let request = pb::GetModelProviderRequest { external_model_provider_id: 404 };
        assert_eq!(refused(get(&world.read(), &request)), (Code::NotFound, None));
        let request = pb::ListModelProvidersRequest { page_size: -1, page_token: None };
        assert_eq!(refused(list(&world.read(), &request)), (Code::InvalidArgument, None));
    }
}
