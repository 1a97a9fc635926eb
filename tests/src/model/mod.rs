//! A second verifier, written from the specification alone (sections 2 to 9.3, layout `plain`).
//!
//! It is deliberately simple: whole trees in memory, one function a rule, no part of a state is ever judged
//! alone, and nothing is fast. From `conex-core` it takes what a parser gives (names, roots, pages, batches) and the
//! traits of the algorithms; no rule. So where the two disagree, one of them or the specification
//! is wrong.
//!
//! It does not know other layouts than `plain`, projections, file systems, and what only limits are for.

mod chain;
mod content;
mod counting;
mod floors;
mod ownership;
mod people;
mod state;
mod stored;
mod update;

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::digest::Digest;
use conex_core::model::key::Fingerprint;
use conex_core::model::name::Origin;
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::store::MemoryStore;
use conex_core::verify::Report;

pub use content::absence;
pub use counting::{Newest, Vote};
pub use state::{State, judge};
pub use update::{judge_update, newly_revoked, transitions};

/// A tree: every file by its path.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// Problems or notes: the code of each, with the statement that it is about, or the place where there is none.
pub type Found = BTreeSet<(Code, String)>;

/// The tree in a store.
pub fn tree(store: &MemoryStore) -> Tree {
    let files = store.files();
    files
        .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
        .collect()
}

/// Where trust starts (section 4.3, and 9.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// The digest of a root.
    Root(Digest),
    /// Keys of janitors of a repository, and how many of these have to have signed.
    Keys(Origin, BTreeSet<Fingerprint>, usize),
    /// The head on record: its number and digest.
    Recorded(u32, Digest),
    /// The first root vouches for itself, as for those who work on their own copy.
    FirstRoot,
}

/// How a tree is judged (section 8.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strictness {
    /// Whether everything has to be signed: the mode `enforce`.
    pub enforce: bool,
    /// Whether approvals may run ahead, as on a main line.
    pub ahead: bool,
}

impl Strictness {
    /// That of the mode `warn`, on a tree that clients follow.
    pub const WARN: Self = Self {
        enforce: false,
        ahead: false,
    };
}

/// What came out.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// What is wrong.
    pub problems: Found,
    /// What is worth knowing.
    pub notes: Found,
    /// The state, where there is a head and it can be judged.
    pub state: Option<State>,
}

impl Judged {
    /// Whether there is no problem (section 8.5).
    pub fn is_accepted(&self) -> bool {
        self.problems.is_empty()
    }

    /// All of it, one on a line.
    pub fn told(&self) -> String {
        told(&self.problems) + &told(&self.notes)
    }
}

/// Problems or notes, one on a line.
pub fn told(found: &Found) -> String {
    let lines = found
        .iter()
        .map(|(code, what)| format!("  {code} {what}\n"));
    lines.collect()
}

/// What `conex-core` found, in the words of the model.
pub fn found(problems: &[Problem]) -> Found {
    let about = |problem: &Problem| {
        let subject = problem.subject.as_ref().map(ToString::to_string);
        subject.unwrap_or_else(|| problem.place.to_string())
    };
    let all = problems.iter();
    all.map(|problem| (problem.code, about(problem))).collect()
}

/// How a report of `conex-core` differs from the model's verdict; `None` where it does not. Notes are compared only
/// where all was looked at, and of updates those of the whole tree.
pub fn difference(report: &Report, judged: &Judged) -> Option<String> {
    let (theirs, ours) = (found(&report.problems), &judged.problems);
    let mut text = only("problem", &theirs, ours);
    if report.verified().is_some() != judged.is_accepted() {
        text += "  one accepts, and the other does not\n";
    }
    if report.whole && report.head.is_some() {
        text += &only("note", &found(&report.notes), &judged.notes);
    }
    (!text.is_empty()).then_some(text)
}

/// The problems of the core only, and those of the model only.
pub fn only_in(core: &Found, model: &Found) -> String {
    only("problem", core, model)
}

fn only(what: &str, core: &Found, model: &Found) -> String {
    let side = |name: &str, found: BTreeSet<&(Code, String)>| -> String {
        let lines = found
            .into_iter()
            .map(|(code, about)| format!("  {what} of the {name} only: {code} {about}\n"));
        lines.collect()
    };
    let core_only = side("core", core.difference(model).collect());
    core_only + &side("model", model.difference(core).collect())
}
