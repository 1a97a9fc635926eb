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
mod round;
mod waiting;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::chain::{self, Head, Trust};
use crate::crypto::Crypto;
use crate::layout::Schemes;
use crate::metadata::{Metadata, MetadataReader, StoredRoot};
use crate::path::Path;
use crate::problem::{Code, Problem};
use crate::record::LocalRecord;
use crate::settle::{Settled, State};
use crate::store::{Overlay, Store, Workers};
use crate::survey::{Survey, survey};
use crate::update::{Changes, Update};
use crate::verify::{Known, Mode, Report};

use main_line::MainLine;
use round::{Built, Left, Round};

pub use waiting::{Unit, Waiting};

/// Most attempts at a state that verification accepts. One is enough, unless two rules of
/// verification meet in a way that only verification itself sees.
const ATTEMPTS: usize = 16;

/// A verified state, a main line, and the means to lead the one to the other.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "holds borrowed capabilities, not data"
)]
pub struct Advance<'a, S: ?Sized, M: ?Sized, C, W> {
    /// The state that clients have, which was verified.
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

/// The verified state is not what it was said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state before does not have root {} on record as its newest", .0)]
pub struct NotRecorded(pub crate::statement::RootNumber);

impl<S: Store, M: Store, C: Crypto, W: Workers> Advance<'_, S, M, C, W> {
    /// Builds the next state.
    ///
    /// # Errors
    /// [`NotRecorded`] where the record is not of the verified state.
    pub fn run(&self) -> Result<Advanced, NotRecorded> {
        let number = self.record.head().number;
        let signed = Signed::read(self).ok_or(NotRecorded(number))?;
        let settled = signed.settle(self.crypto, self.workers);
        let main = MainLine::read(self, &signed, &settled);
        let mut left = Left::default();
        let mut refused = Vec::new();
        for _ in 0..ATTEMPTS {
            let built = self.build(&signed, &settled, &main, &mut left);
            if built.files.is_empty() {
                return Ok(done(built, None, refused));
            }
            let Some(report) = self.verify(&built) else {
                break;
            };
            if report.verified().is_some() {
                return Ok(done(built, Some(report), refused));
            }
            // What two rules make of each other only verification sees: it is left out, too.
            let mut progress = false;
            for problem in &report.problems {
                progress |= left.after(problem, &signed, &main);
            }
            refused.extend(report.problems);
            if !progress && !left.lower(&main) {
                break;
            }
        }
        left.everything(&main);
        let built = self.build(&signed, &settled, &main, &mut left);
        Ok(done(built, None, refused))
    }

    /// Leaves out, round by round, what cannot be taken yet. Each round leaves out more than the
    /// one before.
    fn build(
        &self,
        signed: &Signed,
        settled: &Settled<'_>,
        main: &MainLine,
        left: &mut Left,
    ) -> Built {
        loop {
            let round = Round {
                advance: self,
                signed,
                settled,
                main,
                left,
            };
            match round.run() {
                Ok(built) => return built,
                Err(remedy) => {
                    if !left.apply(remedy, main) {
                        left.everything(main);
                    }
                }
            }
        }
    }

    /// Verifies the step as any client would.
    fn verify(&self, built: &Built) -> Option<Report> {
        let after = Overlay::new(self.signed, built.files.clone()).ok()?;
        let changes = Changes::from(after.changed());
        let update = Update {
            before: self.signed,
            after: &after,
            changes: &changes,
            record: self.record,
            schemes: self.schemes,
            crypto: self.crypto,
            workers: self.workers,
            mode: self.mode,
            ahead: false,
        };
        Some(update.run_fast())
    }
}

fn done(built: Built, update: Option<Report>, refused: Vec<Problem>) -> Advanced {
    let mut waiting = built.waiting;
    if !refused.is_empty() {
        waiting.push(Waiting {
            unit: Unit::Step,
            problems: refused,
            pages: Vec::new(),
        });
    }
    waiting.sort();
    waiting.dedup();
    Advanced {
        // Nothing is taken that was not verified.
        files: match update {
            Some(_) => built.files,
            None => Files::new(),
        },
        taken: match update {
            Some(_) => built.taken,
            None => BTreeSet::new(),
        },
        update,
        waiting,
    }
}

/// The state that clients have.
struct Signed {
    head: Head,
    roots: Vec<StoredRoot>,
    known: Known,
    metadata: Metadata,
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
        Some(Self {
            head,
            roots,
            known,
            metadata,
            survey,
        })
    }

    /// Its people and what they say; its signatures were verified when it was.
    fn settle<'s, C: Crypto, W: Workers>(&'s self, crypto: &C, workers: &W) -> Settled<'s> {
        let state = State {
            root: self.head.root(),
            metadata: &self.metadata,
            assumed: &[],
            crypto,
            workers,
            ahead: false,
            part: None,
            verified: true,
        };
        state.settle()
    }
}

/// A problem of something that is not where the main line has it.
fn gone(place: &Path, detail: &str) -> Problem {
    Problem::new(Code::Vanished, place, detail)
}
