//! Reference participants against a Kingdom in memory, in virtual time. Names and comments cite the
//! contract.

mod data_provider;
mod multi_party;
mod support;
