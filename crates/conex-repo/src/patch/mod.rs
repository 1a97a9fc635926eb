//! Patches, read so strictly that they can lead to one tree only.
//!
//! The law: if a patch is accepted, every program that applies patches of its style gives the same tree as
//! the overlay made here (spec section 9.6). Those programs are lenient, each in its own way: they search
//! for a place where a hunk fits, guess names, and skip what they do not know. Anything that is not fully
//! understood, or means something else to one of these programs, is therefore refused, with the line and
//! the reason.
//!
//! There are three [`Style`]s, and a patch has exactly one of them. The first component of a name is a
//! prefix. It may be anything, but has to be the same for all old names and the same for all new ones.
//! Names have to be allowed in a repository (spec section 2.3), so a quoted name either contains spaces or
//! is refused.

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

/// The largest patch, in bytes: ten times opam-repository as one patch.
pub const PATCH: usize = 256 << 20;

/// The most files that one patch may change: ten times as many as opam-repository has.
pub const FILES: usize = 1 << 18;

/// The most bytes of all changed files together. A patch of a few bytes can copy or touch large files.
pub const OUTPUT: u64 = 16 * limits::DATA_FILE;

/// The program that made a patch, as far as the patch shows it (spec section 9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `diff -ruaN OLD NEW`: dates say which files exist. opam up to 2.3 makes and applies it with the
    /// system's programs.
    Plain,
    /// `git diff`. opam up to 2.3 applies it with `patch`, later versions with the library that makes
    /// [`Style::Library`].
    Git,
    /// The OCaml library `patch`, which opam has used since 2.4 for directories and archives.
    Library,
}

/// A fully understood patch. It has not been compared with a tree yet.
#[derive(Debug)]
pub struct Patch<'a> {
    style: Style,
    files: Vec<FilePatch<'a>>,
}

/// The changes of a patch to one file.
#[derive(Debug)]
struct FilePatch<'a> {
    /// The line in the patch at which it begins, from 1.
    line: usize,
    operation: Operation,
    /// The claims of the `index` line about the contents before and after.
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

/// A claim about a content that an abbreviated object id makes, without knowing the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// The file does not exist.
    Absent,
    /// The file is empty.
    Empty,
    /// The file is not empty.
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

    /// Returns the program that made it.
    pub fn style(&self) -> Style {
        self.style
    }

    /// Applies the patch to a tree, as an overlay.
    ///
    /// # Errors
    /// [`PatchError`] if the patch does not fit the tree exactly where it says.
    pub fn apply<S: Store>(&self, base: S) -> Result<Overlay<S>, PatchError> {
        apply::apply(self, base)
    }

    /// Checks that a client with a packed tree gets the result of the patch. For each removed file, opam
    /// 2.6 deletes everything else below the directory of that file, and only then creates new files.
    ///
    /// # Errors
    /// [`Refused::Packed`] if that would delete more than the patch says.
    pub fn check_packed<S: Store>(&self, result: &Overlay<S>) -> Result<(), PatchError> {
        apply::check_packed(self, result)
    }
}

#[cfg(test)]
mod tests;
