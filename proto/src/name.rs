//! Typed resource names (contract 2.13).
//!
//! A name is matched by *shape* only: segment literals match exactly, a variable segment is any
//! text without `/`, the empty text included. Whether a segment decodes as an id is a later check
//! (contract 1.0.6, 2.12), so segments stay the strings that the caller sent.

use std::fmt;

/// Splits `text` by `pattern`, whose variable segments are written `{}`.
///
/// Returns the variable segments in order, or `None` if the shape differs.
fn match_segments<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut segments = text.split('/');
    let mut variables = Vec::with_capacity(2);
    for expected in pattern.split('/') {
        let actual = segments.next()?;
        match expected {
            "{}" => variables.push(actual),
            literal if literal == actual => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(variables)
}

macro_rules! resource_names {
    ($($(#[$doc:meta])* $name:ident { $($field:ident),+ } = $pattern:literal;)+) => {
        $(
            $(#[$doc])*
            #[doc = concat!("\n\nPattern: `", $pattern, "`.")]
            #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
            pub struct $name {
                $(#[doc = concat!("The `", stringify!($field), "` segment, as sent.")]
                pub $field: String,)+
            }

            impl $name {
                /// The pattern, with `{}` for each variable segment.
                pub const PATTERN: &'static str = $pattern;

                /// Matches the shape of `text`; ids are not decoded.
                pub fn parse(text: &str) -> Option<Self> {
                    let mut variables = match_segments(Self::PATTERN, text)?.into_iter();
                    Some(Self { $($field: variables.next()?.to_owned(),)+ })
                }

                /// A name from its variable segments, in the order of the pattern.
                pub fn new($($field: impl fmt::Display),+) -> Self {
                    Self { $($field: $field.to_string()),+ }
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    let mut variables = [$(self.$field.as_str()),+].into_iter();
                    for (i, segment) in Self::PATTERN.split('/').enumerate() {
                        if i > 0 {
                            f.write_str("/")?;
                        }
                        f.write_str(if segment == "{}" {
                            variables.next().unwrap_or_default()
                        } else {
                            segment
                        })?;
                    }
                    Ok(())
                }
            }
        )+

        /// Every pattern of this module, for the test that compares them with the wire contract.
        pub const PATTERNS: &[&str] = &[$($pattern),+];
    };
}

resource_names! {
    /// A data provider.
    DataProviderName { data_provider } = "dataProviders/{}";
    /// A certificate of a data provider.
    DataProviderCertificateName { data_provider, certificate } = "dataProviders/{}/certificates/{}";
    /// The encryption public key of a data provider.
    DataProviderPublicKeyName { data_provider } = "dataProviders/{}/publicKey";
    /// An event group, by its data provider (the canonical form).
    EventGroupName { data_provider, event_group } = "dataProviders/{}/eventGroups/{}";
    /// A descriptor of event group metadata.
    EventGroupMetadataDescriptorName { data_provider, descriptor }
        = "dataProviders/{}/eventGroupMetadataDescriptors/{}";
    /// A requisition, by its data provider (the canonical form, contract 1.7.1).
    RequisitionName { data_provider, requisition } = "dataProviders/{}/requisitions/{}";
    /// A measurement consumer.
    MeasurementConsumerName { measurement_consumer } = "measurementConsumers/{}";
    /// A certificate of a measurement consumer.
    MeasurementConsumerCertificateName { measurement_consumer, certificate }
        = "measurementConsumers/{}/certificates/{}";
    /// The encryption public key of a measurement consumer.
    MeasurementConsumerPublicKeyName { measurement_consumer } = "measurementConsumers/{}/publicKey";
    /// An event group, by its measurement consumer.
    MeasurementConsumerEventGroupName { measurement_consumer, event_group }
        = "measurementConsumers/{}/eventGroups/{}";
    /// A measurement.
    MeasurementName { measurement_consumer, measurement }
        = "measurementConsumers/{}/measurements/{}";
    /// A requisition by its measurement: a pattern that no RPC accepts (contract 1.7.1).
    MeasurementRequisitionName { measurement_consumer, measurement, requisition }
        = "measurementConsumers/{}/measurements/{}/requisitions/{}";
    /// An API key of a measurement consumer.
    ApiKeyName { measurement_consumer, api_key } = "measurementConsumers/{}/apiKeys/{}";
    /// A model provider.
    ModelProviderName { model_provider } = "modelProviders/{}";
    /// A certificate of a model provider.
    ModelProviderCertificateName { model_provider, certificate }
        = "modelProviders/{}/certificates/{}";
    /// A Duchy, whose id is a plain string and never decoded (contract 2.12).
    DuchyName { duchy } = "duchies/{}";
    /// A certificate of a Duchy.
    DuchyCertificateName { duchy, certificate } = "duchies/{}/certificates/{}";
    /// An account.
    AccountName { account } = "accounts/{}";
    /// A computation of the system API.
    ComputationName { computation } = "computations/{}";
    /// A participant of a computation.
    ComputationParticipantName { computation, duchy } = "computations/{}/participants/{}";
    /// A requisition of a computation.
    ComputationRequisitionName { computation, requisition } = "computations/{}/requisitions/{}";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_as_it_was_sent() {
        for text in
            ["dataProviders/AAAAAAAAAZQ/certificates/preferred", "dataProviders//certificates/"]
        {
            let name = DataProviderCertificateName::parse(text).map(|n| n.to_string());
            assert_eq!(name.as_deref(), Some(text));
        }
    }

    #[test]
    fn another_shape_is_refused() {
        for text in [
            "",
            "dataProviders",
            "dataProviders/a/b",
            "DataProviders/a",
            "/dataProviders/a",
            "dataProviders/a/",
        ] {
            assert_eq!(DataProviderName::parse(text), None, "{text}");
        }
    }
}
