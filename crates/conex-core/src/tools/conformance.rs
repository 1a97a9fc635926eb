//! A check of a layout against its contract, for whoever writes one (spec section 10).
//!
//! It takes a small tree that is in order, edits it in many ways, and compares what the layout says of
//! paths alone with what it finds. Then it has a signed repository made of the tree, and the edits judged as
//! updates of it in both ways, which have to agree. It is as good as the sample: a layout that passes keeps the contract in
//! the trees that were tried.
//!
//! Nothing here is random, so a violation comes back every time.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use crate::model::crypto::{Crypto, Signer};
use crate::model::path::Path;
use crate::model::statement::Scheme;
use crate::tree::layout::Schemes;
use crate::tree::store::MemoryStore;

mod edits;
mod facts;
mod verdicts;

use edits::{Edit, edits};
use facts::Facts;
use verdicts::Town;

/// A clause of the contract, in the order of the documentation of [`Layout`](crate::tree::layout::Layout).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Clause {
    /// The sample does not do, or nothing can be signed: this is no fault of the layout.
    Sample,
    /// Each package has directories of its own.
    OwnDirectories,
    /// Each file belongs to one release, or to none.
    OneOwner,
    /// What belongs to no release is a problem.
    NothingPassedOver,
    /// Nothing follows from what stands elsewhere.
    NothingFromElsewhere,
    /// What is said of the package of a path is what is found.
    Home,
    /// What is said of the directories of a package is what is found.
    Homes,
    /// What is said of the release of a directory is what is found.
    ReleaseAt,
    /// Releases are found where their names have them.
    Names,
    /// Updates are accepted whole exactly if they are accepted by what changed.
    OneVerdict,
}

impl Clause {
    /// What the clause is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::OwnDirectories => "1, own directories",
            Self::OneOwner => "2, one owner",
            Self::NothingPassedOver => "3, nothing passed over",
            Self::NothingFromElsewhere => "4, nothing from elsewhere",
            Self::Home => "5, home",
            Self::Homes => "6, homes",
            Self::ReleaseAt => "7, release at",
            Self::Names => "8, names",
            Self::OneVerdict => "one verdict",
        }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A tree in which a layout does not keep to its contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The clause.
    pub clause: Clause,
    /// Where it shows.
    pub place: Path,
    /// The edit of the sample that led to the tree; empty, if the sample shows it.
    pub edit: String,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clause, place, .. } = self;
        write!(f, "{place}: ({clause}) {}", self.detail)?;
        match self.edit.as_str() {
            "" => Ok(()),
            edit => write!(f, ", after: {edit}"),
        }
    }
}

/// A layout, a tree to try it with, and the means to sign that.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "holds borrowed capabilities, not data"
)]
pub struct Conformance<'a, C, K> {
    /// Finds the layout, as verification does.
    pub schemes: &'a dyn Schemes,
    /// Its name.
    pub layout: &'a Scheme,
    /// Packages, at least two and one of them with two releases, in every form that the layout knows, and
    /// repository files if there are such; without `conex/`, and without anything that would have to be ignored.
    pub sample: &'a MemoryStore,
    /// The algorithms.
    pub crypto: &'a C,
    /// The key of the only janitor.
    pub signer: &'a K,
}

/// Most violations of one clause that are told.
const TOLD: usize = 8;

impl<C: Crypto, K: Signer> Conformance<'_, C, K> {
    /// Looks for violations, of each clause a few at most, in order.
    pub fn check(&self) -> Vec<Violation> {
        let mut found = Found::default();
        let Some(layout) = self.schemes.layout(self.layout) else {
            found.add(Clause::Sample, &Path::top(), "the layout is not known");
            return found.violations();
        };
        let facts = Facts::of(&*layout, self.sample);
        if facts.releases().count() < 3 || facts.units().count() < 2 {
            let detail = "the sample needs two packages, one of them with two releases";
            found.add(Clause::Sample, &Path::top(), detail);
        }
        for problem in facts.problems() {
            found.add(Clause::Sample, &Path::top(), problem);
        }
        facts.check(&mut found);
        let edits = edits(&*layout, self.sample, &facts);
        for edit in &edits {
            found.edit.clone_from(&edit.words);
            let edited = Facts::of(&*layout, &edit.tree);
            edited.check(&mut found);
            edited.check_beside(&facts, &mut found);
            edit.check(&edited, &mut found);
        }
        found.edit.clear();
        match Town::found(self) {
            Ok(town) => town.check(&edits, &mut found),
            Err(why) => found.add(Clause::Sample, &Path::top(), why),
        }
        found.violations()
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Found {
    /// The edit that is looked at.
    edit: String,
    violations: BTreeMap<Clause, Vec<Violation>>,
}

impl Found {
    fn add(&mut self, clause: Clause, place: &Path, detail: impl fmt::Display) {
        let told = self.violations.entry(clause).or_default();
        let detail = detail.to_string();
        let is_known = |it: &Violation| it.place == *place && it.detail == detail;
        if told.len() < TOLD && !told.iter().any(is_known) {
            told.push(Violation {
                clause,
                place: place.clone(),
                edit: self.edit.clone(),
                detail,
            });
        }
    }

    fn violations(self) -> Vec<Violation> {
        self.violations.into_values().flatten().collect()
    }
}

/// A tree with only some of its files.
fn only(tree: &MemoryStore, wanted: impl Fn(&str) -> bool) -> MemoryStore {
    let mut part = MemoryStore::new();
    for (file, bytes) in tree.files().filter(|(file, _)| wanted(file)) {
        part.insert(file, bytes);
    }
    part
}

/// Whether two trees have the same at a path.
fn is_same(a: &MemoryStore, b: &MemoryStore, file: &str) -> bool {
    a.get(file) == b.get(file)
}

/// The files at which two trees differ.
fn differences<'t>(a: &'t MemoryStore, b: &'t MemoryStore) -> impl Iterator<Item = &'t str> {
    let files = a.files().chain(b.files()).map(|(file, _)| file);
    files.filter(|file| !is_same(a, b, file))
}

/// A name in words.
fn release_in_words(package: impl fmt::Display, release: impl fmt::Display) -> String {
    format!("the release {release} of {package}")
}
