//! Patches, read so strictly that there is only one tree they can lead to.
//!
//! The law: where a patch is accepted, every program that applies patches of its style and the overlay
//! made here give the same tree (spec section 9.6). Those programs are generous, each in its own way: they
//! search for a hunk where it does not fit, guess names, skip what they do not know. So whatever is not
//! understood in full, or means something else to one of them, is refused, with the line and the reason.
//!
//! Three [`Style`]s are understood, never two in one patch. The first component of a name is a prefix,
//! whatever it is called, the same for all old names and the same for all new ones. Names are those that a
//! repository may have (spec section 2.3), so a name in quotes is one with spaces or is refused.

mod apply;
mod error;
mod header;
mod hunk;
mod lines;

use conex_core::model::limits;
use conex_core::model::path::Path;
use conex_core::tree::store::{Overlay, Store};

pub use error::{PatchError, Refused};
use header::Prefixes;
use hunk::Hunk;
use lines::Lines;

/// Largest patch, in bytes: ten times opam-repository as one patch.
pub const PATCH: usize = 256 << 20;

/// Most files that one patch may change: ten times all there are in opam-repository.
pub const FILES: usize = 1 << 18;

/// Most bytes of all changed files together. A patch of a few bytes can copy or touch large files.
pub const OUTPUT: u64 = 16 * limits::DATA_FILE;

/// The program that made a patch, as far as the patch shows it (spec section 9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `diff -ruaN OLD NEW`: dates tell what is there. opam up to 2.3 makes and applies it with the
    /// system's programs.
    Plain,
    /// `git diff`. opam up to 2.3 applies it with `patch`, later ones with the library that makes
    /// [`Style::Library`].
    Git,
    /// The OCaml library `patch`, which opam has used since 2.4 for directories and archives.
    Library,
}

/// A patch that is understood in full. Whether it fits a tree is not known yet.
#[derive(Debug)]
pub struct Patch<'a> {
    style: Style,
    files: Vec<FilePatch<'a>>,
}

/// What a patch does to one file.
#[derive(Debug)]
struct FilePatch<'a> {
    /// Where in the patch it begins, from 1.
    line: usize,
    operation: Operation,
    /// What the `index` line says of the contents before and after.
    claims: Option<(Claim, Claim)>,
    hunks: Vec<Hunk<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Operation {
    Create(Path),
    Delete(Path),
    Modify(Path),
    Rename { from: Path, to: Path },
}

/// What an abbreviated id of a content tells without knowing the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// There is no such file.
    Absent,
    /// The file is empty.
    Empty,
    /// The file is something else.
    Something,
}

impl<'a> Patch<'a> {
    /// Parses a patch.
    ///
    /// # Errors
    /// [`PatchError`] at the first line that is not understood.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PatchError> {
        let mut lines = Lines::new(bytes)?;
        let style = header::style(&lines);
        let mut prefixes = Prefixes::default();
        let mut files = Vec::new();
        while !lines.is_done() {
            if files.len() >= FILES {
                return Err(lines.refused(Refused::TooManyFiles));
            }
            files.push(header::file(&mut lines, style, &mut prefixes)?);
        }
        Ok(Self { style, files })
    }

    /// The program that made it.
    pub fn style(&self) -> Style {
        self.style
    }

    /// Lays what the patch makes of a tree over that tree.
    ///
    /// # Errors
    /// [`PatchError`] where the patch does not fit the tree exactly, at the places it says.
    pub fn apply<S: Store>(&self, base: S) -> Result<Overlay<S>, PatchError> {
        apply::apply(self, base)
    }

    /// Makes sure that a client that keeps the tree packed has what the patch made of it: opam 2.6, which for
    /// each file that it removes takes away everything else below the directory of that file, and then makes
    /// what is new.
    ///
    /// # Errors
    /// [`Refused::Packed`] where that would take away more than the patch says.
    pub fn check_packed<S: Store>(&self, result: &Overlay<S>) -> Result<(), PatchError> {
        apply::check_packed(self, result)
    }
}

#[cfg(test)]
mod tests;
