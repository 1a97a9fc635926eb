//! What is known of repositories that were verified: kept outside of them, one small file each, and for a client's copy
//! the metadata beside it.

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

/// Where the record of one state is, and what stood there when this program looked.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The directory; none where there is no home to keep things in.
    directory: Option<PathBuf>,
    stem: String,
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

    /// The record, if it can be read and was made from these anchors. Any other says nothing.
    pub(crate) fn record(&self, trust: &Trust) -> Option<CopyRecord> {
        CopyRecord::from_bytes(self.found.as_deref()?)
            .ok()
            .filter(|record| record.confirmed().record.fits(trust))
    }

    /// Why there is a record, and it cannot be read.
    pub(crate) fn damage(&self) -> Option<String> {
        let error = CopyRecord::from_bytes(self.found.as_deref()?).err()?;
        let place = self.directory.as_ref()?.join(self.name());
        Some(format!("{}: {error}", place.display()))
    }

    /// What it says of a state that nobody has a copy of.
    pub(crate) fn state(&self, trust: &Trust) -> Option<LocalRecord> {
        Some(self.record(trust)?.confirmed().record.clone())
    }

    /// Whether the metadata of a state is kept, in a file to which the next change may be added.
    pub(crate) fn has_floor(&self, mark: &FloorMark) -> bool {
        self.floors()
            .is_some_and(|floors| floors.has(mark) && !floors.is_grown(mark))
    }

    /// The metadata of a state, if it is kept as the record says.
    pub(crate) fn floor(&self, mark: &FloorMark) -> Option<MemoryStore> {
        self.floors()?.read(mark)
    }

    fn floors(&self) -> Option<Floors<'_>> {
        Some(Floors {
            directory: self.directory.as_deref()?,
            stem: &self.stem,
        })
    }

    /// Keeps a record, whole or not at all. `over` says what it rests on: where that is the record
    /// found before, another program may not have kept another one since.
    pub(crate) fn save(&self, record: &LocalRecord, over: Over) -> Result<()> {
        self.save_copy(&CopyRecord::from(record.clone()), &Plan::default(), over)
    }

    /// The same of a client's copy, with what is planned of its metadata.
    pub(crate) fn save_copy(&self, record: &CopyRecord, plan: &Plan, over: Over) -> Result<()> {
        let Some(floors) = self.floors() else {
            // The verdict stands without it, and the next one does without it, too.
            return Ok(());
        };
        let directory = floors.directory;
        fs::create_dir_all(directory).map_err(unkept(directory))?;
        let lock = File::open(directory).map_err(unkept(directory))?;
        // Held for a moment; the system gives it back however this program ends.
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
        // Should the machine stop right after this, the record may be the one before, and never half of one. Where
        // there was none, it may be gone again, which costs a full verification, and the disk is not waited for.
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

/// What cannot be kept, or read, and what mends that.
fn unkept(place: &Path) -> impl FnOnce(std::io::Error) -> CommandError {
    let failed = at(place.display().to_string());
    move |error| {
        failed(error).hint(
            "conex keeps there what it verified: let the directory be yours, with nothing but what conex wrote in it, or set CONEX_STATE to another one",
        )
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

/// More than any record has: what would be longer is kept without the marks of the copy.
const RECORD: u64 = 16 << 20;
