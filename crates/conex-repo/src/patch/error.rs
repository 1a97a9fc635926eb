//! The reasons why a patch is refused.

use conex_core::model::path::{Path, PathError};
use conex_core::tree::store::StoreError;

/// The line and the reason of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the patch: {reason}")]
pub struct PatchError {
    /// The line in the patch, from 1.
    pub line: usize,
    /// The reason.
    pub reason: Refused,
}

/// The reasons why a patch is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is empty.
    #[error("the patch is empty")]
    Empty,
    /// It has more than [`super::PATCH`] bytes.
    #[error("the patch has more than {} bytes", super::PATCH)]
    TooLarge,
    /// It changes more than [`super::FILES`] files.
    #[error("the patch changes more than {} files", super::FILES)]
    TooManyFiles,
    /// Its result has more than [`super::OUTPUT`] bytes, or a file more than
    /// [`conex_core::model::limits::DATA_FILE`].
    #[error("the changed files are too large")]
    OutputTooLarge,
    /// It ends in the middle of a line, header or hunk.
    #[error("the patch is cut off")]
    CutOff,
    /// A line has no meaning in its place, or not the same meaning to all programs.
    #[error("this line is not understood here")]
    NotUnderstood,
    /// A header line has a carriage return, which makes some programs change the lines after it.
    #[error("there is a carriage return in a header")]
    CarriageReturn,
    /// It changes bytes without showing them as text.
    #[error("binary changes are not text")]
    Binary,
    /// No file of a repository may have this name.
    #[error("the name is not allowed: {0}")]
    Name(PathError),
    /// A name is quoted with escapes, or is not text.
    #[error("the name is not printable ASCII")]
    NameNotText,
    /// The name belongs to git.
    #[error("{0} is git's own")]
    GitName(Path),
    /// A name has spaces in a place where programs disagree on where it ends.
    #[error("it is not clear where a name with spaces ends")]
    NameWithSpaces,
    /// The lines of a header name different files, or lack a prefix.
    #[error("the header does not name one file")]
    NamesDiffer,
    /// Old names, or new names, have different prefixes.
    #[error("names in one patch have different prefixes")]
    Prefixes,
    /// A file moves and changes at once. opam 2.4 and later do not read that as git does.
    #[error("{0} moves and changes at once, which not every opam reads as git means it")]
    EditedRename(Path),
    /// A file is a copy of another one, which opam 2.4 and later skip.
    #[error("{0} is a copy of another file, which not every opam makes")]
    Copy(Path),
    /// A file without a newline at its end loses its last lines. opam 2.4 and later make another file of
    /// it, or stop half-way.
    #[error("{0} loses a last line that has no end, which opam 2.4 and later do not apply")]
    OpenEnd(Path),
    /// A file is removed from a directory of a packed repository in which other files remain.
    #[error("opam 2.6 would lose {1} from its packed copy, as {0} is removed beside it")]
    Packed(Path, Path),
    /// A mode is neither 100644 nor 100755: a link, a submodule, or unknown.
    #[error("only regular files are changed by patches")]
    Mode,
    /// A date is so close to 1970 that only some programs take it as "there is no such file".
    #[error("the date is too close to 1970 to be clear")]
    Date,
    /// The `index` line contradicts the rest of the patch.
    #[error("the index line does not fit the change")]
    Index,
    /// The counts of a hunk do not match its lines, or its start does not follow from earlier hunks.
    #[error("the numbers of the hunk do not fit")]
    Numbers,
    /// A hunk changes nothing.
    #[error("the hunk changes nothing")]
    NoChange,
    /// A line is said to have no newline, but is not the last one.
    #[error("only the last line of a file can be without an end")]
    LineEnd,
    /// A hunk does not fit: the file has something else there.
    #[error("the hunk does not fit {0} at line {1}")]
    Context(Path, usize),
    /// Some programs would look for the hunk in another place.
    #[error("the hunk has too little context to have one place")]
    Place,
    /// A creation or removal has to be one hunk, and the change is not.
    #[error("a file has to be created or removed by one hunk that has all of it")]
    NotWhole,
    /// The file to be created exists already.
    #[error("{0} is there already")]
    Exists(Path),
    /// The file to be changed does not exist.
    #[error("{0} is not there")]
    Missing(Path),
    /// A path is changed twice, or read after it was changed.
    #[error("{0} is changed twice")]
    Twice(Path),
    /// A file becomes a directory, or the reverse, which `patch` cannot do.
    #[error("{0} would be both a file and a directory")]
    FileAndDirectory(Path),
    /// The file could not be read.
    #[error("{0}: {1}")]
    Store(Path, StoreError),
}
