//! The projection `opam/1`: what of an opam file is source (spec section 7).
//!
//! A strict reader of opam files that drops what the allowlist names and keeps the rest, token by
//! token. Nothing here interprets versions, filters or addresses: a file is either read exactly as
//! opam reads it or refused, and a refused file counts as source, every byte. No I/O.
//!
//! - `lexer`: bytes to tokens, the rules of opam-file-format where all its versions agree;
//! - `fields`: which field is treated how;
//! - `reader`: the grammar of a file, and what is left out of it;
//! - `repo`: the projection `repo/1` of the file `repo`, which reads with the same lexer;
//! - `bounds`: what is left out of `depends` and `depopts`;
//! - `values`: what a file says, for people's tools, which no projection reads;
//! - `facts`: what an opam file says of people, places and archives;
//! - `edit`, `clients`, `version`: what a change of a release does, told to people; nothing is decided by it.

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
/// The source form is the file's kept tokens in their own spelling and order: each is followed by
/// one space, the last of a field or section by one line feed instead. Comments and white space are
/// layout. Reading the form gives the same tokens again, so that equal forms mean equal tokens;
/// and the form of a form is that form, so that no file taken whole is another file's form.
///
/// Two spellings that opam reads alike are made one, since an allowlisted addition changes between
/// them: what is kept of `flags` and `tags` always stands in brackets, and a constraint of which
/// nothing is kept loses its braces.
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
