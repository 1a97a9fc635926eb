//! Why a patch is refused.

use conex_core::model::path::{Path, PathError};
use conex_core::tree::store::StoreError;

/// Where and why a patch is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the patch: {reason}")]
pub struct PatchError {
    /// The line in the patch, from 1.
    pub line: usize,
    /// Why.
    pub reason: Refused,
}

/// Why a patch is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is nothing in it.
    #[error("the patch is empty")]
    Empty,
    /// It has more than [`super::PATCH`] bytes.
    #[error("the patch has more than {} bytes", super::PATCH)]
    TooLarge,
    /// It changes more than [`super::FILES`] files.
    #[error("the patch changes more than {} files", super::FILES)]
    TooManyFiles,
    /// What it makes has more than [`super::OUTPUT`] bytes, or a file more than
    /// [`conex_core::model::limits::DATA_FILE`].
    #[error("the changed files are too large")]
    OutputTooLarge,
    /// It ends in the middle of a line, header or hunk.
    #[error("the patch is cut off")]
    CutOff,
    /// A line that has no meaning where it stands, or not the same meaning to all programs.
    #[error("this line is not understood here")]
    NotUnderstood,
    /// A header line with a carriage return, which makes some programs change the lines after it.
    #[error("there is a carriage return in a header")]
    CarriageReturn,
    /// A change of bytes that no text says.
    #[error("binary changes are not text")]
    Binary,
    /// A name that no file of a repository may have.
    #[error("the name is not allowed: {0}")]
    Name(PathError),
    /// A name in quotes with escapes, or one that is no text.
    #[error("the name is not printable ASCII")]
    NameNotText,
    /// A name that belongs to git.
    #[error("{0} is git's own")]
    GitName(Path),
    /// A name with spaces, in a place where programs do not agree on where it ends.
    #[error("where a name with spaces ends is not clear here")]
    NameWithSpaces,
    /// The lines of a header name different files, or no prefix.
    #[error("the header does not name one file")]
    NamesDiffer,
    /// Old names, or new names, under different prefixes.
    #[error("names in one patch have different prefixes")]
    Prefixes,
    /// A file that moves and changes at once, which opam 2.4 and later do not read as git does.
    #[error("{0} moves and changes at once, which not every opam reads as git means it")]
    EditedRename(Path),
    /// A file that is a copy of another one, which opam 2.4 and later pass over.
    #[error("{0} is a copy of another file, which not every opam makes")]
    Copy(Path),
    /// A file without a newline at its end that loses its last lines: opam 2.4 and later make another file of
    /// it, or stop half-way.
    #[error("{0} loses a last line that has no end, which opam 2.4 and later do not apply")]
    OpenEnd(Path),
    /// A file is removed from a directory of a packed repository in which others stay.
    #[error("opam 2.6 would lose {1} from its packed copy, as {0} is removed beside it")]
    Packed(Path, Path),
    /// A mode other than 100644 and 100755: a link, a submodule, or nothing known.
    #[error("only regular files are changed by patches")]
    Mode,
    /// A date so near to 1970 that only some programs take it for "there is no such file".
    #[error("the date is not clear")]
    Date,
    /// The `index` line says something else of the file than the rest of the patch.
    #[error("the index line does not fit the change")]
    Index,
    /// The counts of a hunk are not those of its lines, or its start is not where earlier hunks leave it.
    #[error("the numbers of the hunk do not fit")]
    Numbers,
    /// A hunk that changes nothing.
    #[error("the hunk changes nothing")]
    NoChange,
    /// A line is said to have no end, and is not the last one.
    #[error("only the last line of a file can be without an end")]
    LineEnd,
    /// A hunk that is not where it says: what stands there is something else.
    #[error("the hunk does not fit {0} at line {1}")]
    Context(Path, usize),
    /// A hunk that some programs would look for at another place.
    #[error("the hunk has too little context to have one place")]
    Place,
    /// The change is not one hunk, as creations and removals are.
    #[error("a file is created or removed by one hunk that has all of it")]
    NotWhole,
    /// The file to be created is there already.
    #[error("{0} is there already")]
    Exists(Path),
    /// The file to be changed is not there.
    #[error("{0} is not there")]
    Missing(Path),
    /// A path changed twice, or read after it was changed.
    #[error("{0} is changed twice")]
    Twice(Path),
    /// A file becomes a directory, or the reverse, which `patch` cannot do.
    #[error("{0} would be both a file and a directory")]
    FileAndDirectory(Path),
    /// The file could not be read.
    #[error("{0}: {1}")]
    Store(Path, StoreError),
}
