//! What is known of repositories that were verified: kept outside of them, one small file each.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use conex_core::chain::Trust;
use conex_core::crypto::Digests as _;
use conex_core::path::Path as TreePath;
use conex_core::record::LocalRecord;
use conex_core::spelling::Stored as _;
use conex_crypto::StandardCrypto;
use conex_repo::write::Change;

use crate::error::{CommandError, Result, at};
use crate::{home, reports};

/// Where the record of one state is, and what stood there when this program looked.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The directory; none where there is no home to keep things in.
    directory: Option<PathBuf>,
    name: String,
    found: Option<Vec<u8>>,
}

impl Kept {
    /// Looks for the record of the repository at a path, or of one commit of it.
    pub(crate) fn look(repository: &Path, commit: Option<&str>) -> Result<Self> {
        let mut key = reports::absolute(repository)?
            .into_os_string()
            .into_encoded_bytes();
        if let Some(commit) = commit {
            key.push(0);
            key.extend_from_slice(commit.as_bytes());
        }
        let name = format!("{}.toml", StandardCrypto.sha256(&key));
        let directory = home::records().ok();
        let mut kept = Self {
            directory,
            name,
            found: None,
        };
        kept.found = kept.read()?;
        Ok(kept)
    }

    /// The record, if it can be read and was made from these anchors. Any other says nothing.
    pub(crate) fn record(&self, trust: &Trust) -> Option<LocalRecord> {
        LocalRecord::from_bytes(self.found.as_deref()?)
            .ok()
            .filter(|record| record.fits(trust))
    }

    /// Keeps a record, whole or not at all. `over` says what it rests on: where that is the record
    /// found before, another program may not have kept another one since.
    pub(crate) fn save(&self, record: &LocalRecord, over: Over) -> Result<()> {
        let text = record.to_text();
        let Some(directory) = &self.directory else {
            // The verdict stands without it, and the next one does without it, too.
            return Ok(());
        };
        fs::create_dir_all(directory).map_err(at(directory.display()))?;
        let lock = File::open(directory).map_err(at(directory.display()))?;
        // Held for a moment; the system gives it back however this program ends.
        lock.lock().map_err(at(directory.display()))?;
        let now = self.read()?;
        if now.as_deref() == Some(text.as_bytes()) {
            return Ok(());
        }
        if over == Over::Found
            && now != self.found
            && now.as_deref().map(timeless) != Some(timeless(text.as_bytes()))
        {
            return Err(CommandError::refused(
                "another program verified an update of this repository at the same time",
            )
            .hint("update again"));
        }
        let name = TreePath::parse(&self.name).map_err(CommandError::io)?;
        let mut change = Change::new();
        change.write(name, text);
        // Should the machine stop right after this, the record may be the one before, and never half of one. Where
        // there was none, it may be gone again, which costs a full verification, and the disk is not waited for.
        if now.is_none() {
            change = change.fleeting();
        }
        change.commit(directory).map_err(at(directory.display()))
    }

    fn read(&self) -> Result<Option<Vec<u8>>> {
        let Some(directory) = &self.directory else {
            return Ok(None);
        };
        let place = directory.join(&self.name);
        let read = || -> std::io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            File::open(&place)?.take(RECORD).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(place.display())(error)),
        }
    }
}

/// What a new record takes the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The one that was found, and no other: it rests on that.
    Found,
    /// Whatever there is: it rests on anchors alone.
    Whatever,
}

/// A record without its time, which is all that two programs that verified the same disagree on.
fn timeless(text: &[u8]) -> Vec<&[u8]> {
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.starts_with(b"verified = "))
        .collect()
}

/// Larger than any record.
const RECORD: u64 = 1 << 20;
