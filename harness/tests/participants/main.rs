//! Reference participants against a Kingdom in memory, in virtual time. Names and comments cite the
//! contract.

mod data_provider;
mod edp_aggregator;
mod measurement_consumer;
mod multi_party;
mod order;
mod others;
mod reporting;
mod support;
