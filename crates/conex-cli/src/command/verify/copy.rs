//! The client's copy, and the record kept of it (spec section 9.5).

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::path::Path as TreePath;
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::store::{Overlay, Store};
use conex_core::verify::{CopyMark, CopyRecord, CopyState, LocalRecord, MarkKind};
use conex_repo::Marks;
use conex_repo::marks::{self, Mark};

use super::input::{Tree, is_empty};
use crate::floors::{Change, Floored, Plan, metadata};
use crate::records::Kept;

/// The client's copy before an update.
pub(super) struct Copy<'t> {
    tree: &'t Tree,
    /// Its marks, as far as they have been computed.
    marks: BTreeMap<MarkKind, Marks>,
    pub(super) standing: Standing,
}

/// How the client's copy relates to its record.
pub(super) enum Standing {
    /// There is no record.
    Unknown,
    /// The copy is in this state.
    Settled(CopyState),
    /// There is no copy. This state was accepted last.
    Absent(CopyState),
    /// The copy is in no recorded state. Updates are compared with this one.
    Drifted(CopyState, &'static str),
}

/// The copy is neither in its previous state nor in the one it was to be updated to.
const CHANGED: &str = "the copy on this machine is not what was verified: it was changed by something else, updated without having been verified, or updated halfway";

/// The record has nothing to compare the copy with.
const UNMARKED: &str =
    "nothing on record tells whether the copy on this machine is what was verified";

/// The copy had drifted before, and the update accepted then is not in place.
const STILL: &str = "the copy on this machine was not what was verified when it was updated last, and that update is not in place";

impl<'t> Copy<'t> {
    /// Examines a copy and finds the state that it is in.
    pub(super) fn look(tree: &'t Tree, kept: &Kept, record: Option<&CopyRecord>) -> Self {
        let mut copy = Self {
            tree,
            marks: BTreeMap::new(),
            standing: Standing::Unknown,
        };
        if !is_empty(&**tree) {
            // Compute the marks before reading anything else, so that later changes are not mistaken for
            // verified content.
            copy.marks(tree.kind());
        }
        if let Some(record) = record {
            copy.standing = copy.settle(kept, record);
        }
        copy
    }

    fn settle(&mut self, kept: &Kept, record: &CopyRecord) -> Standing {
        let last = record.pending().unwrap_or(record.confirmed());
        if is_empty(&**self.tree) {
            return Standing::Absent(last.clone());
        }
        let edited = self.content(record.edited());
        let marks = record.states().filter_map(|state| state.copy);
        let kinds: BTreeSet<MarkKind> = marks.map(|mark| mark.kind).collect();
        let now: BTreeMap<MarkKind, CopyMark> = kinds
            .iter()
            .filter_map(|kind| Some((*kind, self.marks(*kind)?.digest(&edited))))
            .collect();
        let settled = record.settled(|kind| Some(now.get(&kind)?.digest));
        if let Some(state) = settled {
            return Standing::Settled(state.clone());
        }
        let why = match (last.copy, record.confirmed().copy) {
            (None, _) => UNMARKED,
            (_, None) => STILL,
            _ => CHANGED,
        };
        let held = if is_kept(kept, last) && !self.has_metadata_of(kept, record.confirmed()) {
            last
        } else {
            record.confirmed()
        };
        Standing::Drifted(held.clone(), why)
    }

    /// Whether the metadata in the copy is exactly that of a recorded state. If so, no later update was
    /// applied.
    fn has_metadata_of(&self, kept: &Kept, state: &CopyState) -> bool {
        let both = || {
            let kept = kept.floor(&state.floor?)?;
            Some((metadata(&kept)?, metadata(&**self.tree)?))
        };
        both().is_some_and(|(kept, copy)| kept == copy)
    }

    /// Returns content marks of some of its files.
    fn content<'p>(&self, paths: &'p [TreePath]) -> Vec<(&'p TreePath, Option<Mark>)> {
        let mark = |path: &'p TreePath| (path, marks::content(&**self.tree, path));
        paths.iter().map(mark).collect()
    }

    fn marks(&mut self, kind: MarkKind) -> Option<&Marks> {
        if !self.marks.contains_key(&kind) {
            self.marks.insert(kind, self.tree.marks(kind)?);
        }
        self.marks.get(&kind)
    }

    /// Returns the verified metadata that an update is compared with if the copy is absent or drifted,
    /// where that metadata is kept.
    pub(super) fn floor(&self, kept: &Kept) -> Option<Floored<'t>> {
        let (Standing::Absent(state) | Standing::Drifted(state, _)) = &self.standing else {
            return None;
        };
        let metadata = kept.floor(&state.floor?)?;
        Some(Floored {
            copy: &**self.tree,
            metadata,
        })
    }

    /// Returns the mark of the copy as it is, and of the copy with the patch applied.
    fn marks_around<S: Store>(
        &mut self,
        after: &Overlay<S>,
    ) -> (Option<CopyMark>, Option<CopyMark>) {
        let edited: Vec<TreePath> = after.changed().into_iter().collect();
        let old = self.content(&edited);
        let new: Vec<(&TreePath, Option<Mark>)> = after
            .files()
            .map(|(path, bytes)| (path, bytes.map(|bytes| marks::mark_at(path, bytes))))
            .collect();
        let marks = self.marks(self.tree.kind());
        marks.map_or((None, None), |marks| {
            (Some(marks.digest(&old)), Some(marks.digest(&new)))
        })
    }

    /// Returns what to keep after accepting a patched state of this copy, if nothing was known about the
    /// copy before.
    pub(super) fn patched_anew<S: Store>(
        mut self,
        record: LocalRecord,
        after: &Overlay<S>,
    ) -> CopyRecord {
        let (_, copy) = self.marks_around(after);
        let state = CopyState {
            record,
            copy,
            floor: None,
        };
        CopyRecord::of(state).editing(after.changed())
    }

    /// Returns what to keep after accepting an update that patches this copy.
    pub(super) fn patched<S: Store>(
        mut self,
        kept: &Kept,
        confirmed: LocalRecord,
        pending: LocalRecord,
        after: &Overlay<S>,
    ) -> (CopyRecord, Plan) {
        let (was, is) = self.marks_around(after);
        let plan = self.plan(kept, || Change::some(after.files()), after);
        let record = CopyRecord::updating(
            self.confirmed(confirmed, was),
            CopyState {
                record: pending,
                copy: is,
                floor: None,
            },
            after.changed(),
        );
        (record, plan)
    }

    /// Like [`Copy::patched`], for an update that is another tree.
    pub(super) fn replaced(
        mut self,
        kept: &Kept,
        confirmed: LocalRecord,
        pending: LocalRecord,
        after: &Tree,
    ) -> (CopyRecord, Plan) {
        if let Standing::Absent(state) = &self.standing
            && !is_kept(kept, state)
        {
            return (anew(pending, after, MarkKind::Content), Plan::of(&**after));
        }
        let new = CopyState {
            record: pending,
            copy: mark(after, MarkKind::Content),
            floor: None,
        };
        let was = self.marks(self.tree.kind());
        let was = was.map(|marks| marks.digest(&[]));
        let plan = self.plan(kept, || None, &**after);
        let record = CopyRecord::updating(self.confirmed(confirmed, was), new, BTreeSet::new());
        (record, plan)
    }

    /// Returns the state that is in place, or that later updates are compared with.
    fn confirmed(&self, record: LocalRecord, copy: Option<CopyMark>) -> CopyState {
        match &self.standing {
            // No state has been seen in place since.
            Standing::Drifted(state, _) | Standing::Absent(state) => CopyState {
                copy: None,
                ..state.clone()
            },
            Standing::Settled(state) => CopyState {
                copy,
                ..state.clone()
            },
            Standing::Unknown => CopyState {
                record,
                copy,
                floor: None,
            },
        }
    }

    /// Plans which metadata to keep: that of the state in place, if it is not kept yet, and the changes to
    /// it.
    fn plan(&self, kept: &Kept, some: impl FnOnce() -> Option<Change>, after: &dyn Store) -> Plan {
        let floor = match &self.standing {
            Standing::Settled(state) => state.floor.filter(|mark| kept.has_floor(mark)),
            Standing::Drifted(state, _) | Standing::Absent(state) => {
                // If nothing was kept, the update was compared with the copy.
                let base = if is_kept(kept, state) {
                    None
                } else {
                    Change::all(&**self.tree)
                };
                return Plan {
                    base,
                    next: Change::all(after),
                    anew: true,
                };
            }
            Standing::Unknown => None,
        };
        let base = if floor.is_none() {
            Change::all(&**self.tree)
        } else {
            None
        };
        let next = some();
        let anew = next.is_none();
        Plan {
            base,
            next: next.or_else(|| Change::all(after)),
            anew,
        }
    }
}

/// Whether the metadata of a state is kept.
fn is_kept(kept: &Kept, state: &CopyState) -> bool {
    state.floor.is_some_and(|mark| kept.floor(&mark).is_some())
}

/// Returns the mark of a tree as the client's copy. How a tree gets into place is not known, but its
/// content stays the same.
fn mark(tree: &Tree, kind: MarkKind) -> Option<CopyMark> {
    tree.marks(kind).map(|marks| marks.digest(&[]))
}

/// Returns what to keep of a tree that was verified, but not as an update.
pub(super) fn anew(record: LocalRecord, tree: &Tree, kind: MarkKind) -> CopyRecord {
    CopyRecord::of(CopyState {
        record,
        copy: mark(tree, kind),
        floor: None,
    })
}

/// Returns the note that a copy drifted.
pub(super) fn drifted(why: &str, is_held: bool) -> Problem {
    let held = if is_held {
        "everything was verified, and held to what was verified before"
    } else {
        "everything was verified, and held to what the copy has: nothing else was kept"
    };
    Problem::new(Code::Drifted, ".", format_args!("{why}; {held}"))
}
