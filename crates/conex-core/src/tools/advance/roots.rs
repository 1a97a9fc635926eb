//! The roots of the main line, as far as they can lead clients on.

use alloc::string::String;
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::path::Path;
use crate::model::statement::{Root, RootNumber, RootSignature};
use crate::state::chain::{self, Head, Trust};
use crate::tree::metadata::{MetadataReader, StoredRoot, place};
use crate::tree::problem::{Code, Problem};
use crate::tree::store::{Store, Workers};

use super::{Signed, Unit, Waiting};

/// The chain that the main line has, without what is wrong beside it.
pub(super) struct Roots {
    /// The roots of the verified state, and those that follow on the main line. Every signature
    /// of these verifies.
    pub(super) chain: Vec<StoredRoot>,
    /// The heads that it can lead to, from that of the verified state on.
    pub(super) heads: Vec<Head>,
    /// What is left out, and why.
    pub(super) waiting: Vec<Waiting>,
}

impl Roots {
    /// The roots of the verified state: the main line has no others.
    pub(super) fn unchanged(signed: &Signed) -> Self {
        Self {
            chain: signed.roots.clone(),
            heads: alloc::vec![signed.head.clone()],
            waiting: Vec::new(),
        }
    }

    /// Reads the roots of the main line. Whatever anybody puts beside them, or in the place of what
    /// clients have, keeps none from being followed.
    pub(super) fn read<M: Store + ?Sized, W: Workers>(
        reader: &mut MetadataReader<'_, M, W>,
        signed: &Signed,
        crypto: &impl Crypto,
    ) -> Self {
        let found = reader.roots();
        let mut roots = Self::unchanged(signed);
        for problem in core::mem::take(&mut reader.problems) {
            roots.wait(unit_at(&problem), problem);
        }
        let number = signed.head.root().number;
        let (known, later): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|stored| stored.root.number <= number);
        roots.complete(&known, crypto);
        for stored in later {
            roots.append(stored, crypto);
        }
        roots.follow(number, signed, crypto);
        roots
    }

    /// Adds signatures of known roots that clients do not have yet.
    fn complete(&mut self, found: &[StoredRoot], crypto: &impl Crypto) {
        for at in 0..self.chain.len() {
            let (before, rest) = self.chain.split_at(at);
            let Some(known) = rest.first() else { continue };
            let number = known.root.number;
            let there = found.iter().find(|stored| stored.root.number == number);
            let Some(there) = there else {
                let detail = "is not on the main line any more, and stays";
                self.wait_for_root(number, Code::Vanished, detail);
                continue;
            };
            if there.root.digest(crypto) != known.root.digest(crypto) {
                let detail = "is another one on the main line; clients keep the one they have";
                self.wait_for_root(number, Code::Fork, detail);
                continue;
            }
            let new = there.signatures.iter();
            let new = new.filter(|it| !known.signatures.contains(it)).cloned();
            let (mut good, bad) = sort(new.collect(), before.last(), &known.root, crypto);
            let names: Vec<String> = known.signatures.iter().map(RootSignature::name).collect();
            good.retain(|signature| !names.contains(&signature.name()));
            self.reject(number, bad);
            if let Some(known) = self.chain.get_mut(at) {
                known.signatures.extend(good);
            }
        }
    }

    /// Adds the next root with those of its signatures that verify.
    fn append(&mut self, mut stored: StoredRoot, crypto: &impl Crypto) {
        let number = stored.root.number;
        if number.as_u32() as usize != self.chain.len() + 1 {
            let detail = "follows no root that is there";
            let problem = Problem::new(Code::RootChain, place::root(number), detail);
            self.wait(Unit::Path(place::root(number)), problem);
            return;
        }
        let signatures = core::mem::take(&mut stored.signatures);
        let (good, bad) = sort(signatures, self.chain.last(), &stored.root, crypto);
        stored.signatures = good;
        self.reject(number, bad);
        self.chain.push(stored);
    }

    /// Every head that the chain leads to.
    fn follow(&mut self, number: RootNumber, signed: &Signed, crypto: &impl Crypto) {
        let start = Trust::Recorded(signed.head.id());
        let (head, problems) = chain::follow(&self.chain, &start, crypto);
        for problem in problems.into_iter().filter(|it| !it.code.is_note()) {
            self.wait(Unit::Root, problem);
        }
        let newest = head.map_or(number, |head| head.root().number);
        for upto in number.as_u32() + 1..=newest.as_u32() {
            let chain = self.chain.get(..upto as usize).unwrap_or_default();
            self.heads.extend(chain::follow(chain, &start, crypto).0);
        }
    }

    fn reject(&mut self, number: RootNumber, signatures: Vec<RootSignature>) {
        for signature in signatures {
            let place = place::root_signature(number, &signature);
            let detail = "is no signature of this root by a janitor of it or of the one before";
            let problem = Problem::new(Code::BadSignature, &place, detail);
            self.wait(Unit::Path(place), problem);
        }
    }

    fn wait_for_root(&mut self, number: RootNumber, code: Code, detail: &str) {
        let problem = Problem::new(code, place::root(number), detail);
        self.wait(Unit::Root, problem);
    }

    fn wait(&mut self, unit: Unit, problem: Problem) {
        self.waiting.push(Waiting::new(unit, problem));
    }
}

/// Sorts signatures of a root into those that verify, by a janitor of it or of the one before, and
/// the others.
fn sort(
    signatures: Vec<RootSignature>,
    before: Option<&StoredRoot>,
    root: &Root,
    crypto: &impl Crypto,
) -> (Vec<RootSignature>, Vec<RootSignature>) {
    let before = before.map(|stored| &stored.root);
    signatures
        .into_iter()
        .partition(|signature| chain::is_signed_by_member(root, before, signature, crypto))
}

/// What a problem of the roots is said to be of: the file.
fn unit_at(problem: &Problem) -> Unit {
    Path::parse(&problem.place).map_or(Unit::Root, Unit::Path)
}
