//! Patches, read so strictly that there is only one tree they can lead to.
//!
//! The law: where a patch is accepted, `patch -p1`, `git apply` and the overlay made here give the same
//! tree. Those two programs are generous, each in its own way: they search for a hunk where it
//! does not fit, guess names, skip what they do not know. So whatever is not understood in full, or
//! means something else to one of them, is refused, with the line and the reason.
//!
//! Understood are two styles, never in one patch: what `diff -ruaN OLD NEW` prints, and what `git diff`
//! prints. The first component of a name is a prefix, whatever it is called. Names are those that a
//! repository may have (spec section 2.3), so a name in quotes is one with spaces or is refused.

mod apply;
mod error;
mod header;
mod hunk;
mod lines;

use conex_core::limits;
use conex_core::path::Path;
use conex_core::store::{Overlay, Store};

pub use error::{PatchError, Refused};
use hunk::Hunk;
use lines::Lines;

/// Largest patch, in bytes: ten times opam-repository as one patch.
pub const PATCH: usize = 256 << 20;

/// Most files that one patch may change: ten times all there are in opam-repository.
pub const FILES: usize = 1 << 18;

/// Most bytes of all changed files together. A patch of a few bytes can copy or touch large files.
pub const OUTPUT: u64 = 16 * limits::DATA_FILE;

/// A patch that is understood in full. Whether it fits a tree is not known yet.
#[derive(Debug)]
pub struct Patch<'a> {
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
    Copy { from: Path, to: Path },
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
        let is_git = lines.starts_with(b"diff --git ");
        let mut files = Vec::new();
        while !lines.is_done() {
            if files.len() >= FILES {
                return Err(lines.refused(Refused::TooManyFiles));
            }
            if is_git != lines.starts_with(b"diff --git ") {
                return Err(lines.refused(Refused::NotUnderstood));
            }
            files.push(if is_git {
                header::git_file(&mut lines)?
            } else {
                header::plain_file(&mut lines)?
            });
        }
        Ok(Self { files })
    }

    /// Lays what the patch makes of a tree over that tree.
    ///
    /// # Errors
    /// [`PatchError`] where the patch does not fit the tree exactly, at the places it says.
    pub fn apply<S: Store>(&self, base: S) -> Result<Overlay<S>, PatchError> {
        apply::apply(self, base)
    }
}

#[cfg(test)]
mod tests;
