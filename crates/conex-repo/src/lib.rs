//! Placeholder.

pub mod opam;
