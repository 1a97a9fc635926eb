//! Errors of commands: what went wrong, and what the reader can do next.

use core::fmt;
use std::process::ExitCode;

use conex_repo::git::GitError;

/// The ways a command can fail. Each has an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Verification refused something, or the user answered no.
    Refused,
    /// The command line or the present state does not fit the command.
    Usage,
    /// Something could not be read or written.
    Io,
}

/// An error with hints.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: Kind,
    message: String,
    hints: Vec<String>,
}

/// The result of a command.
pub(crate) type Result<T> = core::result::Result<T, CommandError>;

impl CommandError {
    pub(crate) fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
            hints: Vec::new(),
        }
    }

    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self::new(Kind::Refused, message)
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(crate) fn io(message: impl fmt::Display) -> Self {
        Self::new(Kind::Io, message)
    }

    /// Adds a hint on what the reader can do.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Returns the exit code: 1 refused, 2 usage, 3 could not read or write.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::Refused => 1,
            Kind::Usage => 2,
            Kind::Io => 3,
        })
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        for hint in &self.hints {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl From<GitError> for CommandError {
    fn from(error: GitError) -> Self {
        match error {
            GitError::NoRepository(_) => Self::usage(error)
                .hint("give the git repository with -C: its work tree, or a bare one"),
            GitError::NoRevision(_) | GitError::NotACommit(..) => Self::usage(error)
                .hint("revisions are those of the git repository given with -C")
                .hint("if it is not here yet, fetch it: git fetch origin"),
            GitError::Ambiguous(..) => Self::usage(error)
                .hint("say which is meant, for example --pr-refs refs/remotes/origin/pr/N"),
            GitError::Moved(_) => Self::refused(error).hint("nothing was moved; run it again"),
            GitError::Write(_) => {
                Self::io(error).hint("free some space or get write access, and run it again")
            }
            _ => Self::io(error)
                .hint("if parts of the git repository are missing or damaged, fetch it again"),
        }
    }
}

/// Returns a function that reports an I/O error at a path.
pub(crate) fn at(path: impl fmt::Display) -> impl FnOnce(std::io::Error) -> CommandError {
    move |error| CommandError::io(format_args!("{path}: {error}"))
}
