//! Somebody else's test: a fake Kingdom in a few lines, and a client of their own against it.

use fake_kingdom::seam::entropy::Seed;
use fake_kingdom::{Files, Kingdom, Sandbox};
use kingdom_proto::v2alpha::GetDataProviderRequest;
use kingdom_proto::v2alpha::data_providers_client::DataProvidersClient;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::test]
async fn a_data_provider_reads_itself_and_not_its_neighbour() -> Outcome {
    let sandbox = Sandbox::for_now(Seed::new(1))?;
    let kingdom = Kingdom::builder(Files::Memory(sandbox.memory_files()))
        .provision(sandbox.provision()?)
        .start()
        .await?;

    let mut client = DataProvidersClient::new(kingdom.channel(&sandbox, "edp1")?);
    let name = |participant| {
        sandbox.participant(participant).map(|p| p.resource.clone()).unwrap_or_default()
    };
    let own = client.get_data_provider(GetDataProviderRequest { name: name("edp1") }).await?;
    assert_eq!(own.into_inner().name, name("edp1"));
    let other = client.get_data_provider(GetDataProviderRequest { name: name("edp2") }).await;
    assert_eq!(other.err().map(|status| status.code()), Some(tonic::Code::PermissionDenied));

    kingdom.shut_down().await;
    Ok(())
}
