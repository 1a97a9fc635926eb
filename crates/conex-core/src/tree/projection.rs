//! What decides what is fetched, patched, built and run (spec section 7).

use alloc::string::String;
use alloc::vec::Vec;

/// Why a projection left a file whole: the file then counts as source, every byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Unreadable {
    /// The line, from 1.
    pub line: usize,
    /// What is not understood there.
    pub reason: String,
}

/// Leaves out of a file what the community lets janitors repair without the owner.
pub trait Projection: Sync {
    /// The projection's name and number, such as `opam/1`. A change of what it keeps is a new number.
    fn name(&self) -> &'static str;

    /// Appends to `source` what of `bytes` is source, in a form of its own from which nothing
    /// that matters can be missing: two files with the same form are fetched, built and run alike.
    ///
    /// # Errors
    /// [`Unreadable`] for anything unusual; `source` is then unspecified and the caller takes the
    /// whole file.
    fn project(&self, bytes: &[u8], source: &mut Vec<u8>) -> Result<(), Unreadable>;
}
