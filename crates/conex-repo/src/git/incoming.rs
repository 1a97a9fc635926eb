//! Objects that are being pushed. Git shows them to its hooks before they are in the repository.

use std::fs;
use std::path::{Path as SystemPath, PathBuf};

use super::{GitError, GitRepository};

/// A combination of object directories that exists as long as this value. It has commits but no references
/// to them.
#[derive(Debug)]
pub struct Incoming {
    repository: GitRepository,
    _directory: tempfile::TempDir,
}

impl Incoming {
    /// Combines object directories.
    ///
    /// # Errors
    /// [`GitError::Unreadable`] if a path cannot be used, or if there is no room for a temporary directory.
    pub fn open(objects: &[PathBuf]) -> Result<Self, GitError> {
        let unreadable = |path: &SystemPath, reason: String| GitError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        let failed = |error: std::io::Error| unreadable(SystemPath::new("."), error.to_string());
        let mut alternates = String::new();
        for path in objects {
            let path = std::path::absolute(path).map_err(failed)?;
            let text = path.to_str().filter(|it| !it.contains('\n'));
            let text = text
                .ok_or_else(|| unreadable(&path, "the name has to be text on one line".into()))?;
            alternates.push_str(text);
            alternates.push('\n');
        }
        let directory = tempfile::tempdir().map_err(failed)?;
        let at = |name: &str| directory.path().join(name);
        for name in ["objects/info", "objects/pack", "refs"] {
            fs::create_dir_all(at(name)).map_err(failed)?;
        }
        for (name, text) in [
            ("HEAD", "ref: refs/heads/main\n"),
            (
                "config",
                "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
            ),
            ("objects/info/alternates", alternates.as_str()),
        ] {
            fs::write(at(name), text).map_err(failed)?;
        }
        Ok(Self {
            repository: GitRepository::open(directory.path())?,
            _directory: directory,
        })
    }

    /// Returns the objects as a repository.
    pub fn repository(&self) -> &GitRepository {
        &self.repository
    }
}
