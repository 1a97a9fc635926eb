//! Building what clients follow from a main line, without any key (spec section 11.1).
//!
//! On a main line, content is merged before it is approved, and approved before it is merged. From a
//! verified state and the main line, this makes the next verified state: whatever of the main line is
//! approved, and of everything else what the state had. It can delay, and not forge: the
//! result is accepted as an update by the same verification that every client does.

mod blame;
mod court;
mod main_line;
mod outcome;
mod package;
mod repository;
mod room;
mod roots;
mod round;
mod search;
mod waiting;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use crate::model::crypto::Crypto;
use crate::model::path::Path;
use crate::state::State;
use crate::state::chain::{self, Head, Trust};
use crate::state::settle::{Evidence, Signatures};
use crate::tree::inventory::{Survey, survey};
use crate::tree::layout::Schemes;
use crate::tree::metadata::{MetadataReader, StoredRoot};
use crate::tree::problem::{Code, Problem};
use crate::tree::schemes::Known;
use crate::tree::store::{Overlay, Store, Workers};
use crate::verify::LocalRecord;
use crate::verify::{Before, Changes, Update};
use crate::verify::{Mode, Report};

use main_line::MainLine;
use round::{Built, Left, Round};

pub use waiting::{Unit, Waiting};

/// A verified state, a main line, and the means to lead the one to the other.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "holds borrowed capabilities, not data"
)]
pub struct Advance<'a, S: ?Sized, M: ?Sized, C, W> {
    /// The state that clients have, which was verified: the caller vouches for that, as in
    /// [`Before::dangerous_believed`].
    pub signed: &'a S,
    /// The main line. Nothing is known of it.
    pub main: &'a M,
    /// Every path at which they differ, as for [`Changes`].
    pub changed: &'a BTreeSet<Path>,
    /// What is known of the verified state.
    pub record: &'a LocalRecord,
    /// The layouts and projections known.
    pub schemes: &'a dyn Schemes,
    /// The algorithms.
    pub crypto: &'a C,
    /// Who does the work.
    pub workers: &'a W,
    /// How strict clients are.
    pub mode: Mode,
    /// The states that the main line was in before.
    pub earlier: &'a dyn Earlier,
}

/// States that a main line was in before: where people vouched for two contents in one version, they tell
/// what was merged and overwritten from what never was.
pub trait Earlier: Sync {
    /// Shows some of them, the newest first, until enough was seen: false says so.
    fn each(&self, look: &mut dyn FnMut(&dyn Store) -> bool);
}

/// Nothing is known of them.
impl Earlier for () {
    fn each(&self, _: &mut dyn FnMut(&dyn Store) -> bool) {}
}

/// Files with their new bytes, or nothing for what is gone.
pub type Files = BTreeMap<Path, Option<Vec<u8>>>;

/// What came of it.
#[derive(Debug)]
pub struct Advanced {
    /// The files in which the next state differs from the verified one: new bytes, or nothing for
    /// what is gone. None at all where there is nothing to advance by.
    pub files: Files,
    /// What of the main line was taken, sorted.
    pub taken: BTreeSet<Unit>,
    /// The verification of the update, which accepts it; none where there is no difference.
    pub update: Option<Report>,
    /// What of the main line was left out, and why, sorted.
    pub waiting: Vec<Waiting>,
}

/// Why no next state can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdvanceError {
    /// The verified state is not what it was said to be.
    #[error("the state before does not have root {} on record as its newest", .0)]
    NotRecorded(crate::model::statement::RootNumber),
    /// Something keeps everything from advancing, and nothing can be left out for it. Nobody can bring
    /// this about by what they merge; if it happens, it is a mistake in this program.
    #[error("nothing that can be left out would mend it: {}", Listed(.0))]
    Stuck(Vec<Problem>),
}

struct Listed<'p>(&'p [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("nothing is wrong that would have a name"),
            [only] => only.fmt(f),
            [first, rest @ ..] => write!(f, "{first}; and {} more", rest.len()),
        }
    }
}

impl<S: Store, M: Store, C: Crypto, W: Workers> Advance<'_, S, M, C, W> {
    /// Builds the next state.
    ///
    /// # Errors
    /// [`AdvanceError::NotRecorded`] where the record is not of the verified state;
    /// [`AdvanceError::Stuck`] where there is no next state and no reason for it.
    pub fn run(&self) -> Result<Advanced, AdvanceError> {
        let number = self.record.head().number;
        let signed = Signed::read(self).ok_or(AdvanceError::NotRecorded(number))?;
        let main = MainLine::read(self, &signed);
        let mut left = Left::default();
        let mut refused = Vec::new();
        loop {
            let built = self.build(&signed, &main, &mut left)?;
            if built.files.is_empty() {
                return Ok(self.done(built, None, (&signed, &main), refused));
            }
            let report = self.verify(&built)?;
            if report.verified().is_some() {
                return Ok(self.done(built, Some(report), (&signed, &main), refused));
            }
            // What two rules make of each other only verification sees: it is left out, too.
            let mut progress = false;
            for problem in &report.problems {
                progress |= left.after(problem, &signed, &main);
            }
            if !progress && !left.lower(report.problems.clone(), &main) {
                return Err(AdvanceError::Stuck(report.problems));
            }
            refused.extend(report.problems);
        }
    }

    /// Leaves out, round by round, what cannot be taken yet. Each round leaves out more than the
    /// one before.
    fn build(
        &self,
        signed: &Signed,
        main: &MainLine,
        left: &mut Left,
    ) -> Result<Built, AdvanceError> {
        loop {
            let round = Round {
                advance: self,
                signed,
                main,
                left,
            };
            match round.run() {
                Ok(built) => return Ok(built),
                Err(remedy) => {
                    let reasons = remedy.reasons();
                    if !left.apply(remedy, main) {
                        return Err(AdvanceError::Stuck(reasons));
                    }
                }
            }
        }
    }

    /// Verifies the step as any client would.
    fn verify(&self, built: &Built) -> Result<Report, AdvanceError> {
        let after = Overlay::new(self.signed, built.files.clone()).map_err(|error| {
            let problem = Problem::new(Code::SpecialFile, Path::top(), error);
            AdvanceError::Stuck(alloc::vec![problem])
        })?;
        let changes = Changes::from(after.changed());
        let update = Update {
            before: Before::dangerous_believed(self.signed, self.record),
            after: &after,
            changes: &changes,
            schemes: self.schemes,
            crypto: self.crypto,
            workers: self.workers,
            mode: self.mode,
            ahead: false,
        };
        Ok(update.run_fast())
    }

    fn done(
        &self,
        built: Built,
        update: Option<Report>,
        (signed, main): (&Signed, &MainLine),
        refused: Vec<Problem>,
    ) -> Advanced {
        let mut waiting = built.waiting;
        if !refused.is_empty() {
            waiting.push(Waiting {
                unit: Unit::Step,
                problems: refused,
                pages: Vec::new(),
            });
        }
        // Nothing is taken that was not verified.
        let (files, taken) = match update {
            Some(_) => (built.files, built.taken),
            None => (Files::new(), BTreeSet::new()),
        };
        waiting.extend(main.unnamed(self, signed, &files, &waiting));
        waiting.sort();
        waiting.dedup();
        Advanced {
            files,
            taken,
            update,
            waiting,
        }
    }
}

/// The state that clients have.
struct Signed {
    head: Head,
    roots: Vec<StoredRoot>,
    known: Known,
    /// Its people and what they say; its signatures were verified when it was.
    state: State,
    /// Where its pages stand.
    pages: BTreeSet<Path>,
    survey: Survey,
}

impl Signed {
    fn read<S: Store, M, C: Crypto, W: Workers>(advance: &Advance<'_, S, M, C, W>) -> Option<Self> {
        let mut reader = MetadataReader {
            store: advance.signed,
            workers: advance.workers,
            problems: Vec::new(),
        };
        let recorded = advance.record.head();
        let roots = reader.roots();
        let (head, _) = chain::follow(&roots, &Trust::Recorded(recorded), advance.crypto);
        let head = head.filter(|head| head.id() == recorded)?;
        let known = Known::of(head.root(), advance.schemes).ok()?;
        let metadata = reader.rest(&head.root().origin, advance.crypto);
        let survey = survey(advance.signed, known.layout(), head.root());
        let pages = metadata.pages.iter().map(|page| page.place.clone());
        let pages = pages.collect();
        let root = head.root().clone();
        let evidence = Evidence::new(root, metadata, Signatures::KnownFromBefore);
        let state = evidence.settle(advance.crypto, advance.workers).state;
        Some(Self {
            head,
            roots,
            known,
            state,
            pages,
            survey,
        })
    }
}

/// A problem of something that is not where the main line has it.
fn gone(place: &Path, detail: &str) -> Problem {
    Problem::new(Code::Vanished, place, detail)
}
