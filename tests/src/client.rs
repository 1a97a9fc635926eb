//! A client that has a verified state and is given another one.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use conex_core::model::path::Path;
use conex_core::state::chain::Trust;
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::store::{Entry, MemoryStore, Sequential, Store, StoreError};
use conex_core::verify::{Before, Changes, LocalRecord, Mode, Update};
use conex_crypto::StandardCrypto;
use conex_repo::KnownSchemes;

use crate::community::Community;
use crate::verdict::{Verdict, verify};

/// A verified state with its record.
#[derive(Debug, Clone)]
pub struct Client {
    /// The state.
    pub tree: MemoryStore,
    /// What is known of it.
    pub record: LocalRecord,
    /// How strict it is.
    pub mode: Mode,
    /// Whether approvals may run ahead of the content.
    pub ahead: bool,
}

impl Client {
    /// A client that starts with a state of a community, which has to be verified.
    #[track_caller]
    pub fn of(community: &Community) -> Self {
        Self::starting(&community.tree, &community.anchor(), Mode::Warn)
    }

    /// The same, of any mode.
    #[track_caller]
    pub fn in_mode(community: &Community, mode: Mode) -> Self {
        Self::starting(&community.tree, &community.anchor(), mode)
    }

    /// A client that starts with any verified state.
    #[track_caller]
    pub fn starting(tree: &MemoryStore, trust: &Trust, mode: Mode) -> Self {
        let verdict = verify(tree, trust, mode, false);
        verdict.accepted();
        let record = verdict
            .verified()
            .and_then(|verified| LocalRecord::new(verified, 1));
        Self {
            tree: tree.clone(),
            record: record.expect("a state verified from anchors can be recorded"),
            mode,
            ahead: false,
        }
    }

    /// Judges an update in both ways, which have to agree; the verdict is that of the default way.
    #[track_caller]
    pub fn offered(&self, community: &Community) -> Verdict {
        self.judge(&community.tree)
    }

    /// The same of any tree.
    #[track_caller]
    pub fn judge(&self, tree: &MemoryStore) -> Verdict {
        let whole = self.in_both_ways(tree, self.mode);
        let fast = self.fast(tree);
        assert_eq!(
            fast.problems,
            whole.problems,
            "fast:\n{}\nwhole:\n{}",
            fast.told(),
            whole.told()
        );
        assert_eq!(fast.verified().is_some(), whole.verified().is_some());
        // Nobody has to know where the states differ.
        let blind = Changes::everywhere();
        let blind = self.update(&self.tree, tree, &blind, self.mode).run();
        let blind = Verdict::of(blind);
        assert_eq!(
            blind.problems,
            whole.problems,
            "blind:\n{}\nwhole:\n{}",
            blind.told(),
            whole.told()
        );
        whole
    }

    /// Judges an update whole, and by what changed. What the latter accepts, the former has to
    /// accept; and [`Update::run_fast`] is no more than the latter, and else the former.
    #[track_caller]
    fn in_both_ways(&self, tree: &MemoryStore, mode: Mode) -> Verdict {
        let changes = changes(&self.tree, tree);
        let update = self.update(&self.tree, tree, &changes, mode);
        let whole = Verdict::of(update.run());
        if whole.verified().is_none()
            && let Some(part) = update.run_part()
        {
            let part = Verdict::of(part);
            assert!(!part.problems.is_empty(), "passed over:\n{}", whole.told());
        }
        whole
    }

    /// The verdict of the fast way.
    pub fn fast(&self, tree: &MemoryStore) -> Verdict {
        let changes = changes(&self.tree, tree);
        Verdict::of(
            self.update(&self.tree, tree, &changes, self.mode)
                .run_fast(),
        )
    }

    /// What of an update is judged by what changed alone, if that can be.
    pub fn part(&self, tree: &MemoryStore) -> Option<Verdict> {
        let changes = changes(&self.tree, tree);
        self.update(&self.tree, tree, &changes, self.mode)
            .run_part()
            .map(Verdict::of)
    }

    /// Judges an update and takes it over, if it is accepted.
    #[track_caller]
    pub fn follow(&mut self, community: &Community) -> Verdict {
        let verdict = self.offered(community);
        if let Some(verified) = verdict.verified() {
            let time = self.record.verified() + 1;
            let record = self.record.updated(verified, Some(time));
            self.record = record.expect("this was an update of what is on record");
            self.tree = community.tree.clone();
        }
        verdict
    }

    /// The files that the fast way opens, on both sides; the update has to be accepted by it.
    ///
    /// # Panics
    /// When something has to be verified in full.
    #[track_caller]
    pub fn opens(&self, tree: &MemoryStore) -> usize {
        let changes = changes(&self.tree, tree);
        let (before, after) = (Counting::new(&self.tree), Counting::new(tree));
        let update = self.update(&before, &after, &changes, self.mode);
        let report = update.run_part();
        let verdict = Verdict::of(report.expect("this can be told by what changed"));
        verdict.accepted();
        before.opened() + after.opened()
    }

    fn update<'a, S: Store, T: Store>(
        &'a self,
        before: &'a S,
        after: &'a T,
        changes: &'a Changes,
        mode: Mode,
    ) -> Update<'a, S, T, StandardCrypto, Sequential> {
        Update {
            before: Before::dangerous_believed(before, &self.record),
            after,
            changes,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &Sequential,
            mode,
            ahead: self.ahead,
        }
    }
}

/// A client that looks over a story's shoulder: whatever is verified as a whole is offered to it as
/// an update of the last state that it accepted.
#[derive(Debug, Default)]
pub(crate) struct Follower(Mutex<Option<Arc<Client>>>);

impl Clone for Follower {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.last()))
    }
}

impl Follower {
    fn last(&self) -> Option<Arc<Client>> {
        self.0.lock().ok()?.clone()
    }

    /// Holds the verdict on an update against the one on the whole, from anchors.
    #[track_caller]
    pub(crate) fn observe(&self, tree: &MemoryStore, mode: Mode, whole: &Verdict) {
        let last = self.last();
        if let Some(client) = &last {
            let update = client.in_both_ways(tree, mode);
            if update.head.is_some() && whole.head.is_some() {
                let added = |problem: &&Problem| !whole.problems.contains(problem);
                for problem in update.problems.iter().filter(added) {
                    assert!(TRANSITIONS.contains(&problem.code), "{problem}");
                }
                for problem in &whole.problems {
                    assert!(update.problems.contains(problem), "not found: {problem}");
                }
            }
            if update.verified().is_none() {
                return;
            }
            assert!(whole.verified().is_some(), "accepted:\n{}", whole.told());
        }
        let verified = whole.verified();
        if let Some(record) = verified.and_then(|verified| LocalRecord::new(verified, 1)) {
            let client = Client {
                tree: tree.clone(),
                record,
                mode,
                ahead: false,
            };
            if let Ok(mut last) = self.0.lock() {
                *last = Some(Arc::new(client));
            }
        }
    }
}

/// What only an update can be refused for.
pub const TRANSITIONS: [Code; 7] = [
    Code::Rollback,
    Code::Fork,
    Code::Vanished,
    Code::Stripped,
    Code::Revived,
    Code::Equivocation,
    Code::LostRelease,
];

/// Where two trees differ.
pub fn changes(before: &MemoryStore, after: &MemoryStore) -> Changes {
    let mut changes = Changes::none();
    for (file, bytes) in before.files().chain(after.files()) {
        if before.get(file) != Some(bytes) || after.get(file) != Some(bytes) {
            changes.add(file);
        }
    }
    changes
}

/// A store that counts the files it opens.
#[derive(Debug)]
pub struct Counting<'a, S> {
    store: &'a S,
    opened: AtomicUsize,
}

impl<'a, S: Store> Counting<'a, S> {
    /// Counts from zero.
    pub fn new(store: &'a S) -> Self {
        Self {
            store,
            opened: AtomicUsize::new(0),
        }
    }

    /// How many files were opened.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl<S: Store> Store for Counting<'_, S> {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        self.store.list(directory)
    }

    fn read(&self, file: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.store.read(file, limit, buffer)
    }
}
