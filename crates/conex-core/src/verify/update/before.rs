//! The state before an update, and why it is believed (spec section 9.1).

use crate::model::crypto::Crypto;
use crate::tree::store::{Store, Workers};
use crate::verify::record::LocalRecord;
use crate::verify::verification::{Report, Verification};

use super::Update;

/// A tree that is believed to be the one that was accepted when a record was made.
///
/// It comes from a [`VerifiedState`], or from somebody's word:
///
/// ```compile_fail
/// # use conex_core::{tree::store::MemoryStore, verify::{Before, LocalRecord}};
/// fn believe<'a>(store: &'a MemoryStore, record: &'a LocalRecord) -> Before<'a, MemoryStore> {
///     Before { store, record }
/// }
/// ```
///
/// ```
/// # use conex_core::{tree::store::MemoryStore, verify::{Before, LocalRecord}};
/// fn believe<'a>(store: &'a MemoryStore, record: &'a LocalRecord) -> Before<'a, MemoryStore> {
///     Before::dangerous_believed(store, record)
/// }
/// ```
#[expect(missing_debug_implementations, reason = "a store need not have any")]
pub struct Before<'a, S: ?Sized> {
    pub(super) store: &'a S,
    record: &'a LocalRecord,
}

impl<S: ?Sized> Clone for Before<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: ?Sized> Copy for Before<'_, S> {}

impl<'a, S: ?Sized> Before<'a, S> {
    /// Takes it on the caller's word that a store has the tree that was accepted when a record was made:
    /// each file, byte for byte, below `conex/` and elsewhere, and none besides.
    ///
    /// Nothing checks that. A record names a state by its newest root, which many states have in common, and
    /// by nothing else. What tells that the tree is the right one is the caller's: it has been in no other
    /// hands; it is a commit, and the record is kept under the id of it; a digest over all of it is kept beside the
    /// record ([`CopyState::copy`](crate::verify::record::CopyState::copy)).
    ///
    /// If it is another tree, [`Update::run`] still verifies all of the state after, and compares it with what
    /// that tree says, which may be less than what was accepted. [`Update::run_fast`] and [`Update::run_part`] accept whatever
    /// the state after has in common with that tree, signed or not.
    pub fn dangerous_believed(store: &'a S, record: &'a LocalRecord) -> Self {
        Self { store, record }
    }

    /// The tree.
    pub fn store(&self) -> &'a S {
        self.store
    }

    /// What is known of it.
    pub fn record(&self) -> &'a LocalRecord {
        self.record
    }
}

/// A tree that this process verified and accepted, with the record of that.
///
/// It is as good as its store: where that reads a place that others write to, it may have another tree by now.
#[expect(missing_debug_implementations, reason = "a store need not have any")]
pub struct VerifiedState<'a, S: ?Sized> {
    store: &'a S,
    record: LocalRecord,
}

impl<S: ?Sized> Clone for VerifiedState<'_, S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store,
            record: self.record.clone(),
        }
    }
}

impl<'a, S: ?Sized> VerifiedState<'a, S> {
    /// The same, as what an update follows.
    pub fn before(&self) -> Before<'_, S> {
        Before {
            store: self.store,
            record: &self.record,
        }
    }

    /// The tree.
    pub fn store(&self) -> &'a S {
        self.store
    }

    /// The record to keep of it.
    pub fn record(&self) -> &LocalRecord {
        &self.record
    }
}

impl<'a, S: Store + ?Sized, C: Crypto, W: Workers> Verification<'a, S, C, W> {
    /// Verifies everything there is, and keeps the tree with its record, for updates that follow; nothing where it is
    /// refused, or trust was not in anchors. `time` is as for [`LocalRecord::new`].
    pub fn run_and_keep(&self, time: u64) -> (Report, Option<VerifiedState<'a, S>>) {
        let report = self.run();
        let record = report.verified().and_then(|it| LocalRecord::new(it, time));
        let store = self.store;
        (report, record.map(|record| VerifiedState { store, record }))
    }
}

/// How much of an update is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Everything, as by [`Update::run`].
    Whole,
    /// What changed, as by [`Update::run_fast`].
    Fast,
}

impl<'a, S: Store + ?Sized, T: Store + ?Sized, C: Crypto, W: Workers> Update<'a, S, T, C, W> {
    /// Verifies an update, and keeps the state after with its record, for updates that follow; nothing where it is
    /// refused. `time` is now, in seconds since 1970.
    pub fn run_and_keep(&self, way: Way, time: u64) -> (Report, Option<VerifiedState<'a, T>>) {
        let report = match way {
            Way::Whole => self.run(),
            Way::Fast => self.run_fast(),
        };
        let time = report.whole.then_some(time);
        let verified = report.verified();
        let record = verified.and_then(|it| self.before.record.updated(it, time));
        let store = self.after;
        (report, record.map(|record| VerifiedState { store, record }))
    }
}
