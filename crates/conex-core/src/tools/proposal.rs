//! What a change would ask of the people of a repository (spec section 9.7).
//!
//! A pull request is looked at beside the main line that it would be merged into. On a main line
//! things are pending and approvals run ahead, and nobody verified it; what matters is what the
//! change adds to that.

use alloc::collections::BTreeMap;

use crate::model::crypto::Crypto;
use crate::model::vouch::Subject;
use crate::state::approval::Standing;
use crate::state::chain::{self, Head, Trust};
use crate::tree::layout::Schemes;
use crate::tree::metadata::MetadataReader;
use crate::tree::problem::Missing;
use crate::tree::store::{Store, Workers};
use crate::verify::Changes;
use crate::verify::LocalRecord;
use crate::verify::{Before, Update};
use crate::verify::{Mode, Report};

/// A main line, what a change would make of it, and the means to judge that.
///
/// The main line is taken as it stands: its first root is believed, and pages that it has already
/// are not verified again. So this is for showing people what they are asked for. What a client
/// accepts is decided by verification.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "holds borrowed capabilities, not data"
)]
pub struct Proposal<'a, S: ?Sized, T: ?Sized, C, W> {
    /// The main line.
    pub base: &'a S,
    /// What it would be with the change.
    pub result: &'a T,
    /// Where they differ.
    pub changes: &'a Changes,
    /// The layouts and projections known.
    pub schemes: &'a dyn Schemes,
    /// The algorithms.
    pub crypto: &'a C,
    /// Who does the work.
    pub workers: &'a W,
}

impl<S: Store + ?Sized, T: Store + ?Sized, C: Crypto, W: Workers> Proposal<'_, S, T, C, W> {
    /// The newest root of the main line; `None` where it has none that is valid.
    pub fn head(&self) -> Option<Head> {
        let mut reader = MetadataReader {
            store: self.base,
            workers: self.workers,
            problems: alloc::vec::Vec::new(),
        };
        let trust = Trust::DangerousSelfAsserted;
        chain::follow(&reader.roots(), &trust, self.crypto).0
    }

    /// Judges what the change concerns, as it would stand after it; everything, where that cannot be
    /// told. Approvals may run ahead. Problems that the main line has already are among those found.
    pub fn judge(&self, head: &Head) -> Report {
        let record = LocalRecord::assumed(head);
        let update = self.update(&record);
        update.run_part().unwrap_or_else(|| update.run())
    }

    /// Judges everything there would be, in the same way: for forecasts, which want to know what else
    /// would lose its approval.
    pub fn judge_whole(&self, head: &Head) -> Report {
        self.update(&LocalRecord::assumed(head)).run()
    }

    fn update<'u>(&'u self, record: &'u LocalRecord) -> Update<'u, S, T, C, W> {
        Update {
            before: Before::dangerous_believed(self.base, record),
            after: self.result,
            changes: self.changes,
            schemes: self.schemes,
            crypto: self.crypto,
            workers: self.workers,
            mode: Mode::Warn,
            ahead: true,
        }
    }

    /// Judges the same part of the main line as it stands before the change.
    pub fn judge_base(&self, head: &Head) -> Report {
        let before = Proposal {
            base: self.base,
            result: self.base,
            changes: self.changes,
            schemes: self.schemes,
            crypto: self.crypto,
            workers: self.workers,
        };
        before.judge(head)
    }
}

impl Report {
    /// Whose vouches would have the content of each finding approved, of those that are not.
    pub fn missing(&self) -> BTreeMap<&Subject, Missing> {
        let Some(state) = &self.state else {
            return BTreeMap::new();
        };
        let found = self.problems.iter().chain(&self.notes);
        let told = found.filter_map(|problem| Some((problem.subject.as_ref()?, problem)));
        let mut missing: BTreeMap<&Subject, Missing> = told
            .filter_map(|(subject, problem)| Some((subject, problem.missing.as_deref()?.clone())))
            .collect();
        // Nothing is told of what nobody vouched for, nor of what is gone.
        for finding in &self.findings {
            if !matches!(finding.assessment.standing, Standing::Approved(_)) {
                let whose = || {
                    let rule = state.rule(&finding.subject);
                    rule.missing(&finding.assessment.vouched, state.people())
                };
                missing.entry(&finding.subject).or_insert_with(whose);
            }
        }
        missing
    }
}
