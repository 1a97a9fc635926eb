//! Records of verified repositories. Each is a small file outside the repository. For a client's copy, the
//! metadata is kept beside it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use conex_core::model::crypto::Digests as _;
use conex_core::model::path::Path as TreePath;
use conex_core::model::stored::Stored as _;
use conex_core::state::chain::Trust;
use conex_core::tree::store::MemoryStore;
use conex_core::verify::{CopyRecord, CopyState, FloorMark, LocalRecord};
use conex_crypto::StandardCrypto;
use conex_repo::write::Change;

use crate::error::{CommandError, Result, at};
use crate::floors::{Floors, Plan, regular};
use crate::{home, reports};

/// The location of one state's record, and its content when this program looked.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The directory; `None` if there is no home directory.
    directory: Option<PathBuf>,
    stem: String,
    found: Option<Vec<u8>>,
}

impl Kept {
    /// Looks up the record of the repository at a path, or of one of its commits.
    pub(crate) fn look(repository: &Path, commit: Option<&str>) -> Result<Self> {
        let mut key = reports::absolute(repository)?
            .into_os_string()
            .into_encoded_bytes();
        if let Some(commit) = commit {
            key.push(0);
            key.extend_from_slice(commit.as_bytes());
        }
        let stem = StandardCrypto.sha256(&key).to_string();
        let directory = home::records().ok();
        let mut kept = Self {
            directory,
            stem,
            found: None,
        };
        kept.found = kept.read()?;
        Ok(kept)
    }

    /// Returns the record, if it can be read and was made from these anchors. Any other record is ignored.
    pub(crate) fn record(&self, trust: &Trust) -> Option<CopyRecord> {
        CopyRecord::from_bytes(self.found.as_deref()?)
            .ok()
            .filter(|record| record.confirmed().record.fits(trust))
    }

    /// Explains why an existing record cannot be read.
    pub(crate) fn damage(&self) -> Option<String> {
        let error = CopyRecord::from_bytes(self.found.as_deref()?).err()?;
        let place = self.directory.as_ref()?.join(self.name());
        Some(format!("{}: {error}", place.display()))
    }

    /// Returns the recorded state of an input that is nobody's copy.
    pub(crate) fn state(&self, trust: &Trust) -> Option<LocalRecord> {
        Some(self.record(trust)?.confirmed().record.clone())
    }

    /// Whether the metadata of a state is kept in a file to which the next change can be appended.
    pub(crate) fn has_floor(&self, mark: &FloorMark) -> bool {
        self.floors()
            .is_some_and(|floors| floors.has(mark) && !floors.is_grown(mark))
    }

    /// Returns the metadata of a state, if it is kept intact.
    pub(crate) fn floor(&self, mark: &FloorMark) -> Option<MemoryStore> {
        self.floors()?.read(mark)
    }

    fn floors(&self) -> Option<Floors<'_>> {
        Some(Floors {
            directory: self.directory.as_deref()?,
            stem: &self.stem,
        })
    }

    /// Saves a record completely or not at all. `over` says what the record is based on. If that is the
    /// record found before, fails if another program has saved a newer one since.
    pub(crate) fn save(&self, record: &LocalRecord, over: Over) -> Result<()> {
        self.save_copy(&CopyRecord::from(record.clone()), &Plan::default(), over)
    }

    /// Like [`Kept::save`], for a client's copy and the metadata planned for it.
    pub(crate) fn save_copy(&self, record: &CopyRecord, plan: &Plan, over: Over) -> Result<()> {
        let Some(floors) = self.floors() else {
            // The verdict is valid without a record, and so is the next one.
            return Ok(());
        };
        let directory = floors.directory;
        fs::create_dir_all(directory).map_err(unkept(directory))?;
        let lock = File::open(directory).map_err(unkept(directory))?;
        // Held only briefly. The system releases it however this program ends.
        lock.lock().map_err(unkept(directory))?;
        let now = self.read()?;
        let floor = record.confirmed().floor;
        let planned = plan.marks(floor.filter(|mark| floors.is_there(mark)));
        let needed = [planned.confirmed, planned.pending];
        let mut record = record.clone().with_floors(needed);
        let mut text = record.to_text();
        if text.len() as u64 >= RECORD {
            record = record.without_marks();
            text = record.to_text();
        }
        let is_kept = |state: &CopyState| state.floor.is_none_or(|mark| floors.is_there(&mark));
        let are_kept = record.states().all(is_kept);
        if are_kept && now.as_deref() == Some(text.as_bytes()) {
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
        floors.write(&planned).map_err(unkept(directory))?;
        let name = TreePath::parse(&self.name()).map_err(CommandError::io)?;
        let mut change = Change::new();
        change.write(name, text);
        // After a crash of the machine, the previous record may remain, but never half of one. If there was
        // none before, the new record may be lost. That costs one full verification, so do not wait for the
        // disk.
        if now.is_none() {
            change = change.fleeting();
        }
        change.commit(directory).map_err(unkept(directory))?;
        floors.sweep(needed);
        Ok(())
    }

    fn name(&self) -> String {
        format!("{}.toml", self.stem)
    }

    fn read(&self) -> Result<Option<Vec<u8>>> {
        let Some(directory) = &self.directory else {
            return Ok(None);
        };
        let place = directory.join(self.name());
        let read = || -> std::io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            regular(&place)?;
            File::open(&place)?.take(RECORD).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unkept(&place)(error)),
        }
    }
}

/// Returns a function that reports what cannot be saved or read, with a hint.
fn unkept(place: &Path) -> impl FnOnce(std::io::Error) -> CommandError {
    let failed = at(place.display().to_string());
    move |error| {
        failed(error).hint(
            "conex keeps its records there: own the directory, leave in it only what conex wrote, or set CONEX_STATE to another one",
        )
    }
}

/// The records that a new one may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Only the record that was found: the new one is based on it.
    Found,
    /// Any record: the new one is based on anchors alone.
    Whatever,
}

/// Returns a record without its time, the only field in which two programs that verified the same can
/// differ.
fn timeless(text: &[u8]) -> Vec<&[u8]> {
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.starts_with(b"verified = "))
        .collect()
}

/// The size limit of a record. A longer one is saved without the marks of the copy.
const RECORD: u64 = 16 << 20;
