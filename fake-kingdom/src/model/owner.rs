//! Who owns a certificate or key.

use crate::error::api_id;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The parent of a certificate: one of the four kinds of contract 1.1.1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Owner {
    /// A data provider, by external id.
    DataProvider(i64),
    /// A measurement consumer, by external id.
    MeasurementConsumer(i64),
    /// A model provider, by external id.
    ModelProvider(i64),
    /// A Duchy, by its plain id.
    Duchy(Arc<str>),
}

/// The kind of an [`Owner`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as the collections of the contract")]
pub enum OwnerKind {
    DataProvider,
    MeasurementConsumer,
    ModelProvider,
    Duchy,
}

impl Owner {
    /// Its kind.
    pub fn kind(&self) -> OwnerKind {
        match self {
            Self::DataProvider(_) => OwnerKind::DataProvider,
            Self::MeasurementConsumer(_) => OwnerKind::MeasurementConsumer,
            Self::ModelProvider(_) => OwnerKind::ModelProvider,
            Self::Duchy(_) => OwnerKind::Duchy,
        }
    }

    /// The external id; 0 for a Duchy, which has none (it gives no third sort key, 1.1.15).
    pub fn external_id(&self) -> i64 {
        match self {
            Self::DataProvider(id) | Self::MeasurementConsumer(id) | Self::ModelProvider(id) => *id,
            Self::Duchy(_) => 0,
        }
    }

    /// The canonical resource name.
    pub fn name(&self) -> String {
        match self {
            Self::DataProvider(id) => format!("dataProviders/{}", api_id(*id)),
            Self::MeasurementConsumer(id) => format!("measurementConsumers/{}", api_id(*id)),
            Self::ModelProvider(id) => format!("modelProviders/{}", api_id(*id)),
            Self::Duchy(id) => format!("duchies/{id}"),
        }
    }

    /// The canonical name of one of its certificates.
    pub fn certificate_name(&self, certificate: i64) -> String {
        format!("{}/certificates/{}", self.name(), api_id(certificate))
    }

    /// The key under which public error metadata shows it (contract 1.0.11).
    pub fn camel_case(&self) -> &'static str {
        match self {
            Self::DataProvider(_) => "dataProvider",
            Self::MeasurementConsumer(_) => "measurementConsumer",
            Self::ModelProvider(_) => "modelProvider",
            Self::Duchy(_) => "duchy",
        }
    }

    /// The key under which internal error metadata shows it (contract 1.0.2).
    pub fn internal_key(&self) -> &'static str {
        match self {
            Self::DataProvider(_) => "external_data_provider_id",
            Self::MeasurementConsumer(_) => "external_measurement_consumer_id",
            Self::ModelProvider(_) => "external_model_provider_id",
            Self::Duchy(_) => "external_duchy_id",
        }
    }

    /// The value that goes with [`Self::internal_key`].
    pub fn internal_value(&self) -> String {
        match self {
            Self::Duchy(id) => id.to_string(),
            other => other.external_id().to_string(),
        }
    }
}
