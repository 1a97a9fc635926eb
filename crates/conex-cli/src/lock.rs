//! Prevents two commands from working on a repository at once, and any command while git is in the middle
//! of an operation.

use std::fs::{File, TryLockError};

use conex_repo::GitRepository;

use crate::error::{CommandError, Result, at};
use crate::tree::Tree;

/// Held while a command changes a working copy. Released when the command ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _directory: File,
}

/// Takes the lock without waiting. It locks the directory itself, so no file is left behind.
pub(crate) fn take(tree: &Tree) -> Result<Lock> {
    let shown = tree.path().display();
    // The repository may be a subdirectory of a larger working copy.
    let path = tree.path().canonicalize().map_err(at(&shown))?;
    let repository = path.ancestors().find_map(|it| GitRepository::open(it).ok());
    if let Some(what) = repository.and_then(|repository| repository.in_progress()) {
        return Err(CommandError::refused(format_args!(
            "{shown} is in the middle of a {what}; nothing was signed or written"
        ))
        .hint(format_args!(
            "finish it (git {what} --continue) or give it up (git {what} --abort)"
        )));
    }
    let directory = File::open(tree.path()).map_err(at(tree.path().display()))?;
    match directory.try_lock() {
        Ok(()) => Ok(Lock {
            _directory: directory,
        }),
        Err(TryLockError::WouldBlock) => Err(CommandError::refused(format_args!(
            "another command works on {shown}; nothing was signed or written"
        ))
        .hint("run this one when it has ended")),
        Err(TryLockError::Error(error)) => Err(at(shown)(error)),
    }
}
