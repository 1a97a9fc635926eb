//! The client's copy, and what is kept of it (spec section 9.5).

use std::collections::{BTreeMap, BTreeSet};

use conex_core::path::Path as TreePath;
use conex_core::problem::{Code, Problem};
use conex_core::record::{CopyMark, CopyRecord, CopyState, LocalRecord, MarkKind};
use conex_core::store::{Overlay, Store};
use conex_repo::Marks;
use conex_repo::marks::{self, Mark};

use super::input::{Tree, is_empty};
use crate::floors::{Change, Floored, Plan};
use crate::records::Kept;

/// The client's copy before an update.
pub(super) struct Copy<'t> {
    tree: &'t Tree,
    /// Its marks, as far as they were taken.
    marks: BTreeMap<MarkKind, Marks>,
    pub(super) standing: Standing,
}

/// What is known of a copy.
pub(super) enum Standing {
    /// Nothing.
    Unknown,
    /// There is none. The record says what was there last.
    Absent(LocalRecord),
    /// It is in this state.
    Settled(CopyState),
    /// It is in no state on record. This one was confirmed last.
    Drifted(CopyState, &'static str),
}

impl<'t> Copy<'t> {
    /// Looks at a copy, and in which state it is.
    pub(super) fn look(tree: &'t Tree, record: Option<CopyRecord>) -> Self {
        let mut copy = Self {
            tree,
            marks: BTreeMap::new(),
            standing: Standing::Unknown,
        };
        if let Some(record) = record {
            copy.standing = copy.settle(&record);
        }
        copy
    }

    fn settle(&mut self, record: &CopyRecord) -> Standing {
        if is_empty(&**self.tree) {
            let last = record.pending().unwrap_or(record.confirmed());
            return Standing::Absent(last.record.clone());
        }
        let edited = self.content(record.edited());
        let states = [Some(record.confirmed()), record.pending()];
        let marks = states.into_iter().flatten().filter_map(|state| state.copy);
        let kinds: BTreeSet<MarkKind> = marks.map(|mark| mark.kind).collect();
        let now: BTreeMap<MarkKind, CopyMark> = kinds
            .iter()
            .filter_map(|kind| Some((*kind, self.marks(*kind)?.digest(&edited))))
            .collect();
        let settled = record.settled(|kind| Some(now.get(&kind)?.digest));
        if let Some(state) = settled {
            return Standing::Settled(state.clone());
        }
        let why = if now.is_empty() {
            "nothing on record tells whether the copy on this machine is what was verified"
        } else {
            "the copy on this machine is not what was verified: it was changed by something else, or its last update was not put in place as a whole"
        };
        Standing::Drifted(record.confirmed().clone(), why)
    }

    /// The marks of some of its files by their content.
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

    /// What an update is held to, where the copy drifted: its metadata as it was verified, and whether
    /// that is kept.
    pub(super) fn floor(&self, kept: &Kept, state: &CopyState) -> Option<Floored<'t>> {
        let metadata = kept.floor(&state.floor?)?;
        Some(Floored {
            copy: &**self.tree,
            metadata,
        })
    }

    /// What is to be kept once an update was accepted that patches this copy.
    pub(super) fn patched<S: Store>(
        mut self,
        kept: &Kept,
        confirmed: LocalRecord,
        pending: LocalRecord,
        after: &Overlay<S>,
    ) -> (CopyRecord, Plan) {
        let kind = self.tree.kind();
        let edited: Vec<TreePath> = after.changed().into_iter().collect();
        let old = self.content(&edited);
        let new: Vec<(&TreePath, Option<Mark>)> = after
            .files()
            .map(|(path, bytes)| (path, bytes.map(|bytes| marks::mark_at(path, bytes))))
            .collect();
        let marks = self.marks(kind);
        let (was, is) = (
            marks.as_ref().map(|marks| marks.digest(&old)),
            marks.map(|marks| marks.digest(&new)),
        );
        drop((old, new));
        let plan = self.plan(kept, || Change::some(after.files()), after);
        let record = CopyRecord::updating(
            self.confirmed(confirmed, was),
            CopyState {
                record: pending,
                copy: is,
                floor: None,
            },
            edited.into_iter().collect(),
        );
        (record, plan)
    }

    /// The same, of an update that is another tree.
    pub(super) fn replaced(
        mut self,
        kept: &Kept,
        confirmed: LocalRecord,
        pending: LocalRecord,
        after: &Tree,
    ) -> (CopyRecord, Plan) {
        let new = CopyState {
            record: pending,
            copy: mark(after, MarkKind::Content),
            floor: None,
        };
        if matches!(self.standing, Standing::Absent(_)) {
            return (CopyRecord::of(new), Plan::default());
        }
        let kind = self.tree.kind();
        let was = self.marks(kind).map(|marks| marks.digest(&[]));
        let plan = self.plan(kept, || None, &**after);
        let record = CopyRecord::updating(self.confirmed(confirmed, was), new, BTreeSet::new());
        (record, plan)
    }

    /// The state that is in place.
    fn confirmed(&self, record: LocalRecord, copy: Option<CopyMark>) -> CopyState {
        match &self.standing {
            // Nothing was seen to be in place since.
            Standing::Drifted(state, _) => CopyState {
                copy: None,
                ..state.clone()
            },
            Standing::Settled(state) => CopyState {
                copy,
                ..state.clone()
            },
            Standing::Unknown | Standing::Absent(_) => CopyState {
                record,
                copy,
                floor: None,
            },
        }
    }

    /// What is to be kept of the metadata: of the state in place, if it is not, and what becomes of it.
    fn plan(&self, kept: &Kept, some: impl FnOnce() -> Option<Change>, after: &dyn Store) -> Plan {
        let floor = match &self.standing {
            Standing::Settled(state) => state.floor.filter(|mark| kept.has_floor(mark)),
            Standing::Drifted(..) => {
                return Plan {
                    base: None,
                    next: Change::all(after),
                    anew: true,
                };
            }
            Standing::Unknown | Standing::Absent(_) => None,
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

/// What a tree is as the client's copy. How a tree is put in place is nobody's to know, but its content stays.
pub(super) fn mark(tree: &Tree, kind: MarkKind) -> Option<CopyMark> {
    tree.marks(kind).map(|marks| marks.digest(&[]))
}

/// The note that a copy drifted.
pub(super) fn drifted(why: &str, is_held: bool) -> Problem {
    let held = if is_held {
        "everything was verified, and held to what was verified before"
    } else {
        "everything was verified, and held to what the copy has: nothing else was kept"
    };
    Problem::new(Code::Drifted, ".", format_args!("{why}; {held}"))
}
