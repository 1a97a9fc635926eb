//! A client: its trust anchors, its mode and its record.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use conex_core::state::chain::Trust;
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::store::{Store, StoreError};
use conex_core::verify::{
    Before, Changes, CopyRecord, LocalRecord, MarkKind, Mode, Report, Update,
};
use conex_crypto::StandardCrypto;
use conex_repo::changes::{self, ChangesError};
use conex_repo::patch::{PatchError, Refused, Style};
use conex_repo::{KnownSchemes, Patch};

use super::Failure;
use super::copy::{self, Copy, Standing};
use super::input::{Input, Tree, is_empty};
use crate::attributes::Noticing;
use crate::error::CommandError;
use crate::floors::Plan;
use crate::output::Watched;
use crate::records::{Kept, Over};
use crate::verification::verify;

type Result<T> = core::result::Result<T, Failure>;

/// The settings with which a client verifies.
#[derive(Debug)]
pub(super) struct Client<'a> {
    pub(super) trust: &'a Trust,
    pub(super) mode: Mode,
    pub(super) ahead: bool,
    pub(super) fast: bool,
}

/// A verdict, and the record to keep of it.
pub(super) struct Judged {
    pub(super) report: Report,
    record: Option<Keeping>,
}

/// A record to save, and where to save it.
struct Keeping {
    kept: Kept,
    record: CopyRecord,
    plan: Plan,
    over: Over,
}

impl Judged {
    /// Saves the record, if there is one. A refused or merely observed state has none.
    pub(super) fn record(&self) -> Result<()> {
        match &self.record {
            Some(Keeping {
                kept,
                record,
                plan,
                over,
            }) => Ok(kept.save_copy(record, plan, *over)?),
            None => Ok(()),
        }
    }
}

impl Client<'_> {
    /// Verifies an input.
    pub(super) fn judge(&self, input: &Input, subject: &Path) -> Result<Judged> {
        match input {
            Input::Whole(tree) => {
                let kept = Kept::look(subject, None)?;
                // Only a client's copy has its metadata kept; in other cases there is no copy to protect.
                let before = kept.record(self.trust);
                let is_copy =
                    before.is_some_and(|record| record.states().any(|state| state.floor.is_some()));
                Ok(self.state(&**tree, kept, |record| {
                    let plan = if is_copy {
                        Plan::of(&**tree)
                    } else {
                        Plan::default()
                    };
                    (copy::anew(record, tree, tree.kind()), plan)
                }))
            }
            Input::Revision(commit, store) => {
                let kept = Kept::look(subject, Some(&commit.to_string()))?;
                Ok(self.state(store, kept, of_commit))
            }
            Input::Trees(before, after) => {
                let kept = Kept::look(subject, None)?;
                let changes = || {
                    if self.fast {
                        changes::changed(&**before, &**after).map(Changes::from)
                    } else {
                        // Finding the changes costs more than verifying everything.
                        Ok(Changes::everywhere())
                    }
                };
                let keep =
                    |copy: Copy<'_>, kept: &Kept, old, new| copy.replaced(kept, old, new, after);
                let anew = |_: Copy<'_>, record| copy::anew(record, after, MarkKind::Content);
                self.update((before, &**after), kept, changes, keep, anew)
            }
            Input::Patch(before, patch) => {
                let kept = Kept::look(subject, None)?;
                let refused = |error| refused_patch(&patch.path, &error);
                let parsed = Patch::parse(&patch.bytes).map_err(refused)?;
                let after = match parsed.apply(&**before) {
                    Ok(after) => after,
                    Err(error) => return Err(self.unfitting(before, &kept, &patch.path, &error)),
                };
                let changes = || Ok(after.changed().into());
                let keep =
                    |copy: Copy<'_>, kept: &Kept, old, new| copy.patched(kept, old, new, &after);
                let anew = |copy: Copy<'_>, record| copy.patched_anew(record, &after);
                let mut judged = self.update((before, &after), kept, changes, keep, anew)?;
                if parsed.style() == Style::Plain && !judged.report.problems.is_empty() {
                    let detail = "diff made this patch on this machine, and does not show empty files that come or go";
                    let note = Problem::new(Code::PlainPatch, patch.path.display(), detail);
                    judged.report.notes.push(note);
                    judged.report.notes.sort();
                }
                // Problems of the state itself matter more than how its patch would be applied.
                if before.is_packed() && judged.report.verified().is_some() {
                    parsed.check_packed(&after).map_err(refused)?;
                }
                Ok(judged)
            }
            Input::Range([(old, before), (new, after)]) => {
                // A record is about one commit only, and the content of a commit never changes.
                let from = Kept::look(subject, Some(&old.to_string()))?;
                let to = Kept::look(subject, Some(&new.to_string()))?;
                let Some(record) = from.state(self.trust).or_else(|| self.as_recorded(before))
                else {
                    return Ok(self.state(after, to, of_commit));
                };
                let changes = before.changed(after).map_err(|error| unreadable(&error))?;
                let report = self.step(before, after, &record, &changes.into(), self.fast);
                let record = updated(&record, &report).map(|record| Keeping {
                    kept: to,
                    record: record.into(),
                    plan: Plan::default(),
                    over: Over::Found,
                });
                Ok(Judged { report, record })
            }
        }
    }

    /// Explains why a patch does not fit the copy. The copy itself may have changed.
    fn unfitting(&self, copy: &Tree, kept: &Kept, patch: &Path, error: &PatchError) -> Failure {
        let copy = Copy::look(copy, kept, kept.record(self.trust).as_ref());
        match copy.standing {
            Standing::Drifted(_, why) if !matches!(error.reason, Refused::Store(..)) => {
                let detail = format!(
                    "{}; {why}: remove it, and update, which fetches everything again",
                    error.reason
                );
                let problem = Problem::new(Code::BadPatch, patch.display(), detail);
                Failure::Refused(Box::new(problem.at_line(Some(error.line))))
            }
            _ => refused_patch(patch, error),
        }
    }

    /// Verifies a state from anchors. `keep` returns what to keep of it.
    fn state(
        &self,
        store: &dyn Store,
        kept: Kept,
        keep: impl FnOnce(LocalRecord) -> (CopyRecord, Plan),
    ) -> Judged {
        let noticing = Noticing::new(store);
        let mut report = verify(&noticing, self.trust, self.mode, self.ahead);
        noticing.note(&mut report);
        let record = report
            .verified()
            .and_then(|verified| LocalRecord::new(verified, now()))
            .map(|record| {
                let (record, plan) = keep(record);
                Keeping {
                    kept,
                    record,
                    plan,
                    over: Over::Whatever,
                }
            });
        Judged { report, record }
    }

    /// Verifies an update of the client's copy.
    ///
    /// The update is verified from the recorded state that the copy is in. If the copy is in no recorded
    /// state, the whole update is verified and compared with the state that was verified last. `keep`
    /// returns what to keep of the update; `anew` returns what to keep of the new state alone, where
    /// nothing is known about the copy.
    fn update(
        &self,
        (before, after): (&Tree, &dyn Store),
        kept: Kept,
        changes: impl FnOnce() -> core::result::Result<Changes, ChangesError>,
        keep: impl FnOnce(Copy<'_>, &Kept, LocalRecord, LocalRecord) -> (CopyRecord, Plan),
        anew: impl FnOnce(Copy<'_>, LocalRecord) -> CopyRecord,
    ) -> Result<Judged> {
        let damage = kept.damage();
        let copy = Copy::look(before, &kept, kept.record(self.trust).as_ref());
        let floor = copy.floor(&kept);
        let (record, why) = match &copy.standing {
            Standing::Unknown => (self.as_recorded(&**before), None),
            Standing::Settled(state) | Standing::Absent(state) => {
                (Some(state.record.clone()), None)
            }
            Standing::Drifted(state, why) => (Some(state.record.clone()), Some(*why)),
        };
        let mut judged = if let Some(record) = record {
            let mut report = if floor.is_some() || why.is_some() {
                let before: &dyn Store = match &floor {
                    Some(floor) => floor,
                    None => &**before,
                };
                self.step(before, after, &record, &Changes::everywhere(), false)
            } else {
                let changes = changes().map_err(|error| unreadable(&error))?;
                self.step(&**before, after, &record, &changes, self.fast)
            };
            if let Some(why) = why {
                report.notes.push(copy::drifted(why, floor.is_some()));
            }
            let record = updated(&record, &report).map(|new| {
                let (record, plan) = keep(copy, &kept, record, new);
                Keeping {
                    kept,
                    record,
                    plan,
                    over: Over::Found,
                }
            });
            Judged { report, record }
        } else {
            self.state(after, kept, |record| (anew(copy, record), Plan::of(after)))
        };
        if let Some(damage) = damage {
            let detail = format!("the record of the last update cannot be read: {damage}");
            let note = Problem::new(Code::Unrecorded, ".", detail);
            judged.report.notes.push(note);
        }
        judged.report.notes.sort();
        Ok(judged)
    }

    /// Verifies an update of a recorded state.
    fn step(
        &self,
        before: &dyn Store,
        after: &dyn Store,
        record: &LocalRecord,
        changes: &Changes,
        fast: bool,
    ) -> Report {
        let workers = Watched::new();
        let noticing = Noticing::new(after);
        let update = Update {
            // The id of a commit determines its content. A copy was matched to the recorded state by its
            // marks, or has just been verified. If it matches no recorded state, nothing is skipped because
            // of it.
            before: Before::dangerous_believed(before, record),
            after: &noticing,
            changes,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &workers,
            mode: self.mode,
            ahead: self.ahead,
        };
        let mut report = if fast {
            update.run_fast()
        } else {
            update.run()
        };
        noticing.note(&mut report);
        report
    }

    /// Returns the record that a state would have if it had been verified. If the record is lost, the state
    /// itself still tells what must not be taken back.
    fn as_recorded(&self, before: &dyn Store) -> Option<LocalRecord> {
        if is_empty(before) {
            return None;
        }
        let report = verify(before, self.trust, Mode::Warn, self.ahead);
        LocalRecord::new(report.verified()?, now())
    }
}

/// Returns the record of a commit. A commit never changes, so nothing is recorded about a copy.
fn of_commit(record: LocalRecord) -> (CopyRecord, Plan) {
    (record.into(), Plan::default())
}

/// Returns the record after an update, or `None` if the update was refused.
fn updated(record: &LocalRecord, report: &Report) -> Option<LocalRecord> {
    let verified = report.verified()?;
    record.updated(verified, report.whole.then(now))
}

/// Returns the time in seconds since 1970. It is used for the record's date only.
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
