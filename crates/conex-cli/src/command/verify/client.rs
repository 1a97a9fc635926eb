//! A client: what it trusts, how strict it is, what it knows.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use conex_core::chain::Trust;
use conex_core::problem::{Code, Problem};
use conex_core::record::LocalRecord;
use conex_core::store::{Store, StoreError};
use conex_core::update::{Changes, Update};
use conex_core::verify::{Mode, Report};
use conex_crypto::StandardCrypto;
use conex_repo::changes::{self, ChangesError};
use conex_repo::patch::{PatchError, Refused};
use conex_repo::{KnownSchemes, Patch};

use super::Failure;
use super::input::{Input, is_empty};
use crate::attributes::Noticing;
use crate::error::CommandError;
use crate::output::Watched;
use crate::records::{Kept, Over};
use crate::verification::verify;

type Result<T> = core::result::Result<T, Failure>;

/// What a client verifies with.
#[derive(Debug)]
pub(super) struct Client<'a> {
    pub(super) trust: &'a Trust,
    pub(super) mode: Mode,
    pub(super) ahead: bool,
    pub(super) fast: bool,
}

/// A verdict, and what is to be kept of it.
pub(super) struct Judged {
    pub(super) report: Report,
    record: Option<(Kept, LocalRecord, Over)>,
}

impl Judged {
    /// Keeps the record, if there is one: nothing is kept of what was refused or only observed.
    pub(super) fn record(&self) -> Result<()> {
        match &self.record {
            Some((kept, record, over)) => Ok(kept.save(record, *over)?),
            None => Ok(()),
        }
    }
}

impl Client<'_> {
    /// Verifies.
    pub(super) fn judge(&self, input: &Input, subject: &Path) -> Result<Judged> {
        match input {
            Input::Whole(tree) => Ok(self.state(&**tree, Kept::look(subject, None)?)),
            Input::Revision(commit, store) => {
                let kept = Kept::look(subject, Some(&commit.to_string()))?;
                Ok(self.state(store, kept))
            }
            Input::Trees(before, after) => {
                let kept = Kept::look(subject, None)?;
                let record = kept.record(self.trust);
                self.update(&**before, &**after, record, kept, || {
                    if self.fast {
                        changes::changed(&**before, &**after).map(Changes::from)
                    } else {
                        // To find it out costs more than to verify everything.
                        Ok(Changes::everywhere())
                    }
                })
            }
            Input::Patch(before, patch) => {
                let kept = Kept::look(subject, None)?;
                let refused = |error| refused_patch(&patch.path, &error);
                let parsed = Patch::parse(&patch.bytes).map_err(refused)?;
                let after = parsed.apply(&**before).map_err(refused)?;
                let record = kept.record(self.trust);
                let judged = self.update(&**before, &after, record, kept, || {
                    Ok(after.changed().into())
                })?;
                // What the state itself is refused for says more than how its patch would be applied.
                if before.is_packed() && judged.report.verified().is_some() {
                    parsed.check_packed(&after).map_err(refused)?;
                }
                Ok(judged)
            }
            Input::Range([(old, before), (new, after)]) => {
                // The record of a commit says nothing of another one.
                let from = Kept::look(subject, Some(&old.to_string()))?;
                let to = Kept::look(subject, Some(&new.to_string()))?;
                self.update(before, after, from.record(self.trust), to, || {
                    before.changed(after).map(Changes::from)
                })
            }
        }
    }

    fn state(&self, store: &dyn Store, kept: Kept) -> Judged {
        let noticing = Noticing::new(store);
        let mut report = verify(&noticing, self.trust, self.mode, self.ahead);
        noticing.note(&mut report);
        let record = report
            .verified()
            .and_then(|verified| LocalRecord::new(self.trust, verified, now()))
            .map(|record| (kept, record, Over::Whatever));
        Judged { report, record }
    }

    /// Verifies an update, with the record of the state before.
    fn update(
        &self,
        before: &dyn Store,
        after: &dyn Store,
        record: Option<LocalRecord>,
        kept: Kept,
        changes: impl FnOnce() -> core::result::Result<Changes, ChangesError>,
    ) -> Result<Judged> {
        let Some(record) = record.or_else(|| self.as_recorded(before)) else {
            return Ok(self.state(after, kept));
        };
        let changes = changes().map_err(|error| unreadable(&error))?;
        let workers = Watched::new();
        let noticing = Noticing::new(after);
        let update = Update {
            before,
            after: &noticing,
            changes: &changes,
            record: &record,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &workers,
            mode: self.mode,
            ahead: self.ahead,
        };
        let mut report = if self.fast {
            update.run_fast()
        } else {
            update.run()
        };
        noticing.note(&mut report);
        let record = report.verified().map(|verified| {
            let time = report.whole.then(now);
            (kept, record.updated(verified, time), Over::Found)
        });
        Ok(Judged { report, record })
    }

    /// What would be on record of a state, had it been verified: where the record is lost, the
    /// state itself still says what must not be taken back.
    fn as_recorded(&self, before: &dyn Store) -> Option<LocalRecord> {
        if is_empty(before) {
            return None;
        }
        let report = verify(before, self.trust, Mode::Warn, self.ahead);
        LocalRecord::new(self.trust, report.verified()?, now())
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
