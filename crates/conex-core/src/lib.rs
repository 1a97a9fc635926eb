//! Trust in community data repositories: the data model and its verification.
//!
//! Knows no file, clock, environment, terminal or algorithm: bytes come through a
//! [`store::Store`], digests and signatures through [`crypto::Crypto`], what a package looks like
//! through a layout. Everything here follows `docs/spec.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod advance;
pub mod approval;
pub mod baseline;
pub mod chain;
pub mod compose;
pub mod content;
pub mod crypto;
pub mod digest;
pub mod encoding;
mod floor;
pub mod forecast;
pub mod index;
mod judge;
pub mod key;
pub mod layout;
pub mod limits;
pub mod metadata;
pub mod name;
pub mod outstanding;
pub mod page;
mod part;
mod past;
pub mod path;
pub mod people;
pub mod problem;
pub mod projection;
pub mod proposal;
pub mod record;
mod settle;
pub mod spelling;
mod standing;
pub mod statement;
pub mod store;
pub mod survey;
pub mod update;
pub mod verify;
pub mod version;
pub mod vouch;
