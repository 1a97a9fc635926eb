//! Trust in community data repositories: the data model and its verification.
//!
//! The crate knows no file, clock, environment, terminal or algorithm: bytes come through a
//! [`Store`](tree::store::Store), digests and signatures through [`Crypto`](model::crypto::Crypto), and a
//! [`Layout`](tree::layout::Layout) says what packages look like. Everything here follows `docs/spec.md`.
//!
//! It has five rooms. Each uses only itself and those before it:
//!
//! - [`model`]: names, digests, keys, vouches, pages and statements, with their stored form and their encoding;
//! - [`tree`]: stores, layouts and projections, and reading what is in a tree;
//! - [`state`]: who is who, who owns what, and what is approved;
//! - [`verify`]: the verification of a tree and of an update, and the record that a client keeps;
//! - [`tools`]: what authors and janitors need to sign, to foresee and to advance.
//!
//! A client has to trust the first four. Nothing in [`tools`] decides what a client accepts.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod model;
pub mod state;
pub mod tools;
pub mod tree;
pub mod verify;
