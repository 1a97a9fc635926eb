//! The projection `opam/1`: the part of an opam file that is source (spec section 7).
//!
//! A strict reader of opam files that drops what the allowlist names and keeps the rest, token by token. It
//! does not interpret versions, filters or addresses: a file is either read exactly as opam reads it or
//! refused. A refused file counts as source, every byte of it. No I/O.
//!
//! - `lexer`: bytes to tokens, by the rules of opam-file-format on which all its versions agree;
//! - `fields`: how each field is treated;
//! - `reader`: the grammar of a file, and what is left out of it;
//! - `repo`: the projection `repo/1` of the file `repo`, which uses the same lexer;
//! - `bounds`: what is left out of `depends` and `depopts`;
//! - `values`: the values in a file, for people's tools; no projection uses it;
//! - `facts`: the people, addresses and archives that an opam file mentions;
//! - `edit`, `clients`, `version`: the effects of a change to a release, for people; they decide nothing.

mod bounds;
pub mod clients;
pub mod edit;
pub mod facts;
mod fields;
mod lexer;
mod reader;
mod repo;
pub mod values;
pub mod version;

#[cfg(test)]
mod tests;

use conex_core::tree::projection::{Projection, Unreadable};

pub use repo::RepoProjection;

/// The projection `opam/1` of opam files in the formats 2.0 and 1.2.
///
/// The source form consists of the file's kept tokens in their own spelling and order. Each is followed by
/// one space, the last one of a field or section by a line feed instead. Comments and white space are
/// layout. Reading the form gives the same tokens again, so equal forms mean equal tokens. The form of a
/// form is that form, so no file that is taken as a whole is another file's form.
///
/// Two spellings that opam reads alike are unified, because an allowlisted addition switches between them:
/// the kept part of `flags` and `tags` is always in brackets, and a constraint of which nothing is kept
/// loses its braces.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpamProjection;

impl Projection for OpamProjection {
    fn name(&self) -> &'static str {
        "opam/1"
    }

    fn project(&self, bytes: &[u8], source: &mut Vec<u8>) -> Result<(), Unreadable> {
        source.reserve(bytes.len());
        reader::read(bytes, source).map_err(|fault| fault.unreadable(bytes))
    }
}
