//! A signed repository made of a sample, and edits of it judged as updates in both ways.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use super::{Clause, Conformance, Edit, Found, differences};
use crate::model::crypto::{Crypto, Signer};
use crate::model::name::{Id, Origin};
use crate::model::page::PageBody;
use crate::model::path::Path;
use crate::model::statement::{Checkpoints, Janitor, Root, RootFields, RootNumber};
use crate::model::stored::Stored as _;
use crate::model::version::Threshold;
use crate::model::vouch::Vouch;
use crate::state::chain::Trust;
use crate::tools::compose::{Composition, Draft, INLINE, is_unapproved};
use crate::tree::metadata::{self, place};
use crate::tree::store::{MemoryStore, Sequential};
use crate::verify::{Changes, Update, VerifiedState};
use crate::verify::{Mode, Report, Verification};

/// The sample with one janitor, who approves everything in it.
pub(super) struct Town<'a, C, K> {
    with: &'a Conformance<'a, C, K>,
    root: Root,
    trust: Trust,
    janitor: Id,
    tree: MemoryStore,
}

impl<'a, C: Crypto, K: Signer> Town<'a, C, K> {
    /// Founds it.
    ///
    /// # Errors
    /// Why the sample cannot be signed, or is refused then.
    pub(super) fn found(with: &'a Conformance<'a, C, K>) -> Result<Self, String> {
        let janitor = Id::parse("janitor").map_err(text)?;
        let one = Threshold::new(1).ok_or("a threshold cannot be 1")?;
        let root = Root::new(RootFields {
            origin: Origin::parse("conformance").map_err(text)?,
            number: RootNumber::FIRST,
            previous: None,
            janitors: alloc::vec![Janitor {
                id: janitor.clone(),
                keys: alloc::vec![with.signer.public_key().clone()],
            }],
            quorum: one,
            upkeep: one,
            unclaimed: one,
            layout: with.layout.clone(),
            projections: Vec::new(),
            ignore: Vec::new(),
            complete: false,
            revoked: Vec::new(),
            floor: Vec::new(),
            former: Vec::new(),
            checkpoints: Checkpoints::default(),
        });
        let root = root.map_err(text)?;
        let signature = root
            .sign(janitor.clone(), with.crypto, with.signer)
            .map_err(text)?;
        let mut tree = with.sample.clone();
        tree.insert(place::root(root.number).as_str(), root.to_text());
        tree.insert(
            place::root_signature(root.number, &signature).as_str(),
            signature.to_text(),
        );
        let mut town = Self {
            with,
            trust: Trust::Root(root.digest(with.crypto)),
            root,
            janitor,
            tree,
        };
        town.tree = town.signed(&town.tree)?;
        let report = town.verify(&town.tree, Mode::Enforce, false);
        match report.problems.first() {
            None => Ok(town),
            Some(problem) => Err(format!("the sample, signed, is refused: {problem}")),
        }
    }

    /// Judges edits, each as it is and with everything approved; and the way back.
    pub(super) fn check(&self, edits: &[Edit], found: &mut Found) {
        for mode in [Mode::Warn, Mode::Enforce] {
            let Some(state) = self.state(&self.tree, mode) else {
                continue;
            };
            for edit in edits {
                found.edit.clone_from(&edit.words);
                let after = with_metadata(&edit.tree, &self.tree);
                self.compare(&state, &after, mode, found);
            }
            self.check_words(&state, mode, found);
            if mode == Mode::Enforce {
                self.check_signed(&state, edits, mode, found);
            }
        }
        found.edit.clear();
    }

    fn check_signed(
        &self,
        state: &VerifiedState<'_, MemoryStore>,
        edits: &[Edit],
        mode: Mode,
        found: &mut Found,
    ) {
        for edit in edits {
            let Ok(signed) = self.signed(&with_metadata(&edit.tree, &self.tree)) else {
                continue;
            };
            found.edit = format!("{}, all approved", edit.words);
            self.compare(state, &signed, mode, found);
            if let Some(state) = self.state(&signed, mode) {
                found.edit = format!("{}, all approved, then undone", edit.words);
                let back = with_metadata(self.with.sample, &signed);
                self.compare(&state, &back, mode, found);
            }
        }
    }

    fn state<'t>(
        &'t self,
        tree: &'t MemoryStore,
        mode: Mode,
    ) -> Option<VerifiedState<'t, MemoryStore>> {
        self.verification(tree, mode, false).run_and_keep(0).1
    }

    /// Has something else approved of each statement.
    fn check_words(&self, state: &VerifiedState<'_, MemoryStore>, mode: Mode, found: &mut Found) {
        let report = self.verify(&self.tree, Mode::Observe, true);
        let others = report.findings.iter().cycle().skip(1);
        for (finding, other) in report.findings.iter().zip(others) {
            let Some(version) = finding.assessment.proposed else {
                continue;
            };
            let vouch = Vouch {
                subject: finding.subject.clone(),
                version,
                digest: other.digest,
            };
            found.edit = format!("something else is approved as {}", finding.subject);
            let key = self.with.crypto.fingerprint(self.with.signer.public_key());
            let body = PageBody::new(self.janitor.clone(), key, Vec::new(), alloc::vec![vouch]);
            let page = body
                .ok()
                .and_then(|body| body.sign(&self.root.origin, self.with.signer).ok());
            if let Some(page) = page {
                let mut after = self.tree.clone();
                let digest = page.digest(&self.root.origin, self.with.crypto);
                after.insert(place::page(&self.janitor, digest).as_str(), page.to_text());
                self.compare(state, &after, mode, found);
            }
        }
    }

    /// Judges an update whole and by what changed.
    fn compare(
        &self,
        state: &VerifiedState<'_, MemoryStore>,
        after: &MemoryStore,
        mode: Mode,
        found: &mut Found,
    ) {
        let mut changes = Changes::none();
        for file in differences(state.store(), after) {
            changes.add(file);
        }
        let update = Update {
            before: state.before(),
            after,
            changes: &changes,
            schemes: self.with.schemes,
            crypto: self.with.crypto,
            workers: &Sequential,
            mode,
            ahead: false,
        };
        // What is not accepted by what changed is judged whole.
        let part = update.run_part().filter(|part| part.verified().is_some());
        if part.is_none() {
            return;
        }
        if let Some(problem) = update.run().problems.first() {
            let place = Path::parse(&problem.place).unwrap_or_default();
            let detail = format!("the fast way accepts an update that is refused whole: {problem}");
            found.add(Clause::OneVerdict, &place, detail);
        }
    }

    /// The same tree with everything approved that is there, and everything that is not.
    fn signed(&self, tree: &MemoryStore) -> Result<MemoryStore, String> {
        let report = self.verify(tree, Mode::Observe, true);
        let waiting = report
            .findings
            .iter()
            .filter(|finding| is_unapproved(finding));
        let drafts: Vec<Draft<'_>> = waiting.filter_map(Draft::of).collect();
        let composed = Composition::new(
            &self.root.origin,
            self.with.crypto,
            self.janitor.clone(),
            self.with.crypto.fingerprint(self.with.signer.public_key()),
            drafts,
            &report.metadata().batches,
            INLINE,
        );
        let composed = composed.map_err(text)?;
        let signed = composed.sign(&self.root.origin, self.with.crypto, self.with.signer);
        let (_, files) = signed.map_err(text)?;
        let mut tree = tree.clone();
        for (place, bytes) in files {
            tree.insert(place.as_str(), bytes);
        }
        Ok(tree)
    }

    fn verify(&self, store: &MemoryStore, mode: Mode, ahead: bool) -> Report {
        self.verification(store, mode, ahead).run()
    }

    fn verification<'v>(
        &'v self,
        store: &'v MemoryStore,
        mode: Mode,
        ahead: bool,
    ) -> Verification<'v, MemoryStore, C, Sequential> {
        Verification {
            store,
            schemes: self.with.schemes,
            crypto: self.with.crypto,
            workers: &Sequential,
            trust: &self.trust,
            mode,
            ahead,
        }
    }
}

/// The data of one tree, and the metadata of another.
fn with_metadata(data: &MemoryStore, metadata: &MemoryStore) -> MemoryStore {
    let is_metadata = |file: &str| {
        let rest = file.strip_prefix(metadata::DIRECTORY);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    let mut tree = data.clone();
    for (file, bytes) in metadata.files().filter(|(file, _)| is_metadata(file)) {
        tree.insert(file, bytes);
    }
    tree
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}
