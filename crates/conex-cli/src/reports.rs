//! Reports that outlive the program, because package managers hide the output of their hooks.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use conex_core::model::crypto::Digests as _;
use conex_crypto::StandardCrypto;

use crate::error::{CommandError, Result, at};
use crate::home;
use crate::view::View;

/// Returns the path under which data about a repository is kept. It is the same for all spellings of the
/// repository's path.
pub(crate) fn absolute(repository: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(repository).map_err(at(repository.display()))?;
    // Collecting the components removes a trailing slash.
    Ok(absolute.components().collect())
}

fn place(repository: &Path) -> Result<PathBuf> {
    let absolute = absolute(repository)?;
    let name = StandardCrypto.sha256(absolute.as_os_str().as_encoded_bytes());
    Ok(home::reports()?.join(format!("{name}.json")))
}

/// Returns a repository's path without links in its parent directories, which package managers may have
/// resolved.
fn resolved(repository: &Path) -> Option<PathBuf> {
    let absolute = absolute(repository).ok()?;
    let directory = fs::canonicalize(absolute.parent()?).ok()?;
    Some(directory.join(absolute.file_name()?))
}

/// Saves a report for `conex why`, completely or not at all.
pub(crate) fn save(repository: &Path, view: &View) -> Result<()> {
    let place = place(repository)?;
    let directory = place.parent().unwrap_or(&place);
    let store = || -> std::io::Result<()> {
        fs::create_dir_all(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(&serde_json::to_vec(view)?)?;
        file.persist(&place).map_err(|error| error.error)?;
        Ok(())
    };
    store().map_err(at(place.display()))
}

/// Loads the last report of a repository, or the last report of all.
pub(crate) fn load(repository: Option<&Path>) -> Result<View> {
    let nothing = || CommandError::usage("there is no report yet").hint("run conex verify first");
    let place = match repository {
        Some(repository) => {
            let named = place(repository)?;
            match resolved(repository) {
                Some(other) if !named.exists() => place(&other)?,
                _ => named,
            }
        }
        None => newest()?.ok_or_else(nothing)?,
    };
    let bytes = match fs::read(&place) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(nothing()),
        Err(error) => return Err(at(place.display())(error)),
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        CommandError::io(format_args!("{}: {error}", place.display()))
            .hint("run conex verify again")
    })
}

fn newest() -> Result<Option<PathBuf>> {
    let directory = home::reports()?;
    let Ok(entries) = fs::read_dir(&directory) else {
        return Ok(None);
    };
    let mut reports: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let path = entry.path();
            let is_report = path
                .extension()
                .is_some_and(|extension| extension == "json");
            is_report.then_some((entry.metadata().ok()?.modified().ok()?, path))
        })
        .collect();
    reports.sort();
    Ok(reports.pop().map(|(_, path)| path))
}
