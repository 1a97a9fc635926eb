//! Trust in community data repositories: the data model and its verification.
//!
//! Knows no file, clock, environment, terminal or algorithm: bytes come through a
//! [`store::Store`], digests and signatures through [`crypto::Crypto`], what a package looks like
//! through a layout. Everything here follows `docs/spec.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod crypto;
pub mod digest;
pub mod key;
pub mod limits;
pub mod name;
pub mod path;
pub mod projection;
pub mod store;
