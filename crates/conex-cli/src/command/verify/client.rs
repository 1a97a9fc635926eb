//! A client: what it trusts, how strict it is, what it knows.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use conex_core::chain::Trust;
use conex_core::problem::{Code, Problem};
use conex_core::record::LocalRecord;
use conex_core::store::{Store, StoreError};
use conex_core::update::{Changes, Update};
use conex_core::verify::{Mode, Report, Verification};
use conex_crypto::StandardCrypto;
use conex_repo::changes::{self, ChangesError};
use conex_repo::patch::{PatchError, Refused};
use conex_repo::{KnownSchemes, Patch};

use super::Failure;
use super::input::{Input, is_empty};
use crate::error::CommandError;
use crate::output::Watched;
use crate::records::{Kept, Over};

type Result<T> = core::result::Result<T, Failure>;

/// What a client verifies with.
#[derive(Debug)]
pub(super) struct Client<'a> {
    pub(super) trust: &'a Trust,
    pub(super) mode: Mode,
    pub(super) ahead: bool,
    pub(super) fast: bool,
}

impl Client<'_> {
    /// Verifies, and records what was accepted.
    pub(super) fn judge(&self, input: &Input, subject: &Path) -> Result<Report> {
        match input {
            Input::Whole(tree) => self.state(&**tree, &Kept::look(subject, None)?),
            Input::Revision(commit, store) => {
                self.state(store, &Kept::look(subject, Some(&commit.to_string()))?)
            }
            Input::Trees(before, after) => {
                let kept = Kept::look(subject, None)?;
                self.update(&**before, &**after, (&kept, &kept), || {
                    if self.fast {
                        changes::changed(&**before, &**after).map(Changes::from)
                    } else {
                        // To find it out costs more than to verify everything.
                        Ok(Changes::everywhere())
                    }
                })
            }
            Input::Patch(before, path, bytes) => {
                let kept = Kept::look(subject, None)?;
                let after = Patch::parse(bytes)
                    .and_then(|patch| patch.apply(&**before))
                    .map_err(|error| refused_patch(path, &error))?;
                self.update(&**before, &after, (&kept, &kept), || {
                    Ok(after.changed().into())
                })
            }
            Input::Range([(old, before), (new, after)]) => {
                // The record of a commit says nothing of another one.
                let from = Kept::look(subject, Some(&old.to_string()))?;
                let to = Kept::look(subject, Some(&new.to_string()))?;
                self.update(before, after, (&from, &to), || {
                    before.changed(after).map(Changes::from)
                })
            }
        }
    }

    fn state(&self, store: &dyn Store, kept: &Kept) -> Result<Report> {
        let report = self.verify(store, self.mode);
        self.record(kept, Over::Whatever, || {
            LocalRecord::new(self.trust, report.verified()?, now())
        })?;
        Ok(report)
    }

    /// Verifies an update, with the records of the state before and of the one after: of one place
    /// they are the same.
    fn update(
        &self,
        before: &dyn Store,
        after: &dyn Store,
        (from, to): (&Kept, &Kept),
        changes: impl FnOnce() -> core::result::Result<Changes, ChangesError>,
    ) -> Result<Report> {
        let record = from.record(self.trust).or_else(|| self.as_recorded(before));
        let Some(record) = record else {
            return self.state(after, to);
        };
        let changes = changes().map_err(|error| unreadable(&error))?;
        let workers = Watched::new();
        let update = Update {
            before,
            after,
            changes: &changes,
            record: &record,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &workers,
            mode: self.mode,
            ahead: self.ahead,
        };
        let report = if self.fast {
            update.run_fast()
        } else {
            update.run()
        };
        self.record(to, Over::Found, || {
            let time = report.whole.then(now);
            Some(record.updated(report.verified()?, time))
        })?;
        Ok(report)
    }

    /// What would be on record of a state, had it been verified: where the record is lost, the
    /// state itself still says what must not be taken back.
    fn as_recorded(&self, before: &dyn Store) -> Option<LocalRecord> {
        if is_empty(before) {
            return None;
        }
        let report = self.verify(before, Mode::Warn);
        LocalRecord::new(self.trust, report.verified()?, now())
    }

    fn verify(&self, store: &dyn Store, mode: Mode) -> Report {
        let workers = Watched::new();
        Verification {
            store,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &workers,
            trust: self.trust,
            mode,
            ahead: self.ahead,
        }
        .run()
    }

    fn record(
        &self,
        kept: &Kept,
        over: Over,
        record: impl FnOnce() -> Option<LocalRecord>,
    ) -> Result<()> {
        if self.mode == Mode::Observe {
            return Ok(());
        }
        match record() {
            Some(record) => Ok(kept.save(&record, over)?),
            None => Ok(()),
        }
    }
}

/// The time, in seconds since 1970. Nothing but the record's date follows from it.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn refused_patch(path: &Path, error: &PatchError) -> Failure {
    if let Refused::Store(place, StoreError::Io(system)) = &error.reason {
        return CommandError::io(format_args!("{place}: {system}")).into();
    }
    let problem = Problem::new(Code::BadPatch, path.display(), &error.reason);
    Failure::Refused(Box::new(problem.at_line(Some(error.line))))
}

fn unreadable(error: &ChangesError) -> Failure {
    Failure::Refused(Box::new(Problem::unreadable(&error.place, &error.error)))
}
