//! The command-line tools as their users see them: the built program against a Kingdom, what it
//! prints and how it exits (contract 4.0 to 4.3).

mod api;
mod keys;
mod measurements;
mod pki;
mod provision;
mod support;
