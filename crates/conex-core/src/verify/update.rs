//! Verifying an update: a state that follows one that was verified (spec section 9).

use crate::model::crypto::Crypto;
use crate::state::State;
use crate::state::chain::{self, Head, Trust};
use crate::state::scope::Scope;
use crate::state::settle::{Evidence, Signatures};
use crate::tree::inventory::{Survey, lookalikes, survey};
use crate::tree::layout::Schemes;
use crate::tree::metadata::{Metadata, MetadataReader, place};
use crate::tree::problem::{Code, Problem};
use crate::tree::schemes::Known;
use crate::tree::store::{Store, Workers};
use crate::verify::narrow::{Changes, Narrowed, NotIsolable, is_taken, narrow};
use crate::verify::transitions::Past;
use crate::verify::verification::{Given, Mode, Portion, Report, Verification};

mod before;

pub use before::{Before, VerifiedState, Way};

/// A verified state, what came after it, and the means to judge that.
///
/// The state before is taken for what was verified when its record was made: its metadata is judged by its
/// own head, and its signatures are not verified again. A [`Before`] says why that is believed.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "holds borrowed capabilities, not data"
)]
pub struct Update<'a, S: ?Sized, T: ?Sized, C, W> {
    /// The state before, and what is known of it.
    pub before: Before<'a, S>,
    /// The state to be verified.
    pub after: &'a T,
    /// Where they differ.
    pub changes: &'a Changes,
    /// The layouts and projections known.
    pub schemes: &'a dyn Schemes,
    /// The algorithms.
    pub crypto: &'a C,
    /// Who does the work.
    pub workers: &'a W,
    /// How strict to be.
    pub mode: Mode,
    /// Whether approvals may run ahead of the content; as for [`Verification`].
    pub ahead: bool,
}

impl<S: Store + ?Sized, T: Store + ?Sized, C: Crypto, W: Workers> Update<'_, S, T, C, W> {
    /// Verifies all of the result, and every transition.
    ///
    /// Where the state before does not have the head on record, its transitions cannot be judged:
    /// that is a note of code [`Code::Unrecorded`], and the result is verified in full from the
    /// head on record.
    pub fn run(&self) -> Report {
        Old::read(self).map_or_else(|| self.unrecorded(), |old| self.run_whole(&old))
    }

    fn run_whole(&self, old: &Old) -> Report {
        let judge = |metadata: Metadata, scope: Scope| {
            let state = self.settle(old, metadata, scope);
            self.verify(Given {
                before: Some(old.past(&self.before.store, &state)),
                ..Given::default()
            })
        };
        // Of the state before, what is concerned is enough, where nothing is wrong.
        let report = self
            .narrow(old)
            .ok()
            .map(|narrowed| judge(narrowed.before.metadata, narrowed.scope))
            .filter(|report| report.problems.is_empty());
        report.unwrap_or_else(|| judge(old.metadata(self), Scope::Whole))
    }

    /// Verifies all of the result, and no transition: the state before is not the one on record.
    fn unrecorded(&self) -> Report {
        let number = self.before.record().head().number;
        let detail = "the state before does not have this root on record as its newest";
        self.verify(Given {
            problems: alloc::vec![Problem::new(Code::Unrecorded, place::root(number), detail)],
            ..Given::default()
        })
    }

    /// Gives the verdict of [`Update::run`] at the cost of the change.
    ///
    /// What did not change and rests on nothing that changed stands as it was verified. Where the
    /// rest is in order, so is everything, and only that was looked at. Where it is not, or where it
    /// cannot be told from what stands, everything is verified; if that is accepted, a note of code
    /// [`Code::JudgedWhole`] says why it was needed.
    pub fn run_fast(&self) -> Report {
        let Some(old) = Old::read(self) else {
            return self.unrecorded();
        };
        let NotIsolable(why) = match self.judge_part(&old) {
            Ok(report) => match report.problems.first() {
                None => return report,
                Some(problem) => {
                    NotIsolable::at(&problem.place, "cannot be told by what changed alone")
                }
            },
            Err(reason) => reason,
        };
        let mut report = self.run_whole(&old);
        if report.problems.is_empty() && self.mode != Mode::Observe {
            report.notes.push(why);
            report.notes.sort();
        }
        report
    }

    /// Verifies what the update concerns and nothing else; `None` where that is everything.
    ///
    /// Accepts only what [`Update::run`] accepts. What it refuses for may lack problems that
    /// [`Update::run`] finds, and the other way round: it is for tools that show what a change
    /// needs, not for a refusal.
    ///
    /// Opens the files that changed and the packages they belong to; the roots; the pages of
    /// janitors, of owners of the packages concerned, and of people whose statement changed; of the
    /// batches these name, those that may speak of what is concerned. A key that an author did
    /// not list before opens all authors.
    ///
    /// Lists the directories of the packages and people concerned. A name that was not there before, and
    /// whatever is no file of a package, takes the listings of the top of the tree, of all packages and
    /// of all claims.
    pub fn run_part(&self) -> Option<Report> {
        self.judge_part(&Old::read(self)?).ok()
    }

    fn judge_part(&self, old: &Old) -> Result<Report, NotIsolable> {
        let anew = |because| NotIsolable::at(".", because);
        if self.mode == Mode::Observe {
            return Err(anew("all of it is to be observed"));
        }
        if self.before.record().is_ahead() && !self.ahead {
            return Err(anew("in the state before, approvals might run ahead"));
        }
        if self.mode == Mode::Enforce && !self.before.record().is_enforced() {
            return Err(anew("in the state before, something might be unsigned"));
        }
        let Narrowed {
            before,
            after,
            scope,
            concern,
        } = self.narrow(old)?;
        let state = self.settle(old, before.metadata, scope.clone());
        let before = old.past(&self.before.store, &state);
        let (layout, root) = (old.known.layout(), old.head.root());
        let units = concern.units(&scope, (self.after, layout), (&state, self.crypto));
        let survey = if let Some(packages) = units {
            // What has the name of a release was harmless as long as there was no such release.
            let problems = if concern.adds_release() {
                lookalikes(self.after, layout, root, &packages)
            } else {
                alloc::vec::Vec::new()
            };
            Survey {
                packages,
                problems,
                ..Survey::default()
            }
        } else {
            let surveyed = after.survey;
            let survey = surveyed.unwrap_or_else(|| survey(self.after, layout, root));
            let taken = is_taken(&scope, self.after, &survey.packages);
            if survey.packages.is_empty() {
                return Err(anew("there is no package"));
            }
            if taken.unwrap_or(true) {
                return Err(anew("two names may be equal without case"));
            }
            survey
        };
        concern.hold((self.before.store(), self.after), layout, &survey.packages)?;
        let report = self.verify(Given {
            before: Some(before),
            portion: Some(Portion {
                scope,
                concern: &concern,
                metadata: after.metadata,
                problems: after.reader.problems,
                survey,
            }),
            ..Given::default()
        });
        let head = report.head.as_ref().map(Head::id);
        if head == Some(old.head.id()) {
            Ok(report)
        } else {
            Err(anew("the head is another one"))
        }
    }

    fn verify(&self, given: Given<'_>) -> Report {
        let verification = Verification {
            store: self.after,
            schemes: self.schemes,
            crypto: self.crypto,
            workers: self.workers,
            trust: &Trust::Recorded(self.before.record().head()),
            mode: self.mode,
            ahead: self.ahead,
        };
        verification.run_with(Given {
            record: Some(self.before.record()),
            ..given
        })
    }

    /// What the update concerns.
    fn narrow(&self, old: &Old) -> Result<Narrowed<'_, S, T, W>, NotIsolable> {
        let narrowed = narrow(
            (self.before.store(), self.after),
            self.changes,
            (old.head.root(), old.known.layout()),
            (self.crypto, self.workers),
        )?;
        match narrowed.before.reader.problems.first() {
            None => Ok(narrowed),
            Some(problem) => Err(NotIsolable::at(&problem.place, "was not in order before")),
        }
    }

    /// The state before.
    fn settle(&self, old: &Old, metadata: Metadata, scope: Scope) -> State {
        let root = old.head.root().clone();
        let evidence = Evidence {
            ahead: self.ahead,
            scope,
            ..Evidence::new(root, metadata, Signatures::KnownFromBefore)
        };
        evidence.settle(self.crypto, self.workers).state
    }
}

/// The state before, if it is the one on record.
struct Old {
    head: Head,
    known: Known,
}

impl Old {
    fn read<S: Store + ?Sized, T: ?Sized, C: Crypto, W: Workers>(
        update: &Update<'_, S, T, C, W>,
    ) -> Option<Self> {
        let mut reader = MetadataReader {
            store: update.before.store(),
            workers: update.workers,
            problems: alloc::vec::Vec::new(),
        };
        let recorded = update.before.record().head();
        let (head, _) = chain::follow(&reader.roots(), &Trust::Recorded(recorded), update.crypto);
        let head = head.filter(|head| head.id() == recorded)?;
        let known = Known::of(head.root(), update.schemes).ok()?;
        Some(Self { head, known })
    }

    fn past<'l>(&'l self, store: &'l dyn Store, state: &'l State) -> Past<'l> {
        Past {
            store,
            known: &self.known,
            state,
        }
    }

    /// All of its metadata.
    fn metadata<S: Store + ?Sized, T: ?Sized, C: Crypto, W: Workers>(
        &self,
        update: &Update<'_, S, T, C, W>,
    ) -> Metadata {
        let mut reader = MetadataReader {
            store: update.before.store(),
            workers: update.workers,
            problems: alloc::vec::Vec::new(),
        };
        reader.rest(&self.head.root().origin, update.crypto)
    }
}
