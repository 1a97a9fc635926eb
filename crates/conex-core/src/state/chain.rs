//! The chain of roots, and where trust in it starts (spec section 4).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::digest::Digest;
use crate::model::key::Fingerprint;
use crate::model::name::{Id, Origin};
use crate::model::statement::{Root, RootNumber, RootSignature};
use crate::model::version::Threshold;
use crate::tree::metadata::{StoredRoot, place};
use crate::tree::problem::{Code, Missing, Problem};

/// Where a client's trust starts; given to it by another channel than the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The digest of a root: pins origin, people and quorum at once.
    Root(Digest),
    /// Keys of janitors.
    Keys(AnchorKeys),
    /// The head of a state that was verified before: an update extends it (spec section 9).
    Recorded(RootId),
    /// Nothing: the first root in the repository vouches for itself. For the tools of people who
    /// work on their own copy; never for a client.
    DangerousSelfAsserted,
}

/// A root by its number and digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootId {
    /// Its position in the chain.
    pub number: RootNumber,
    /// Its digest.
    pub digest: Digest,
}

/// Fingerprints of janitors' keys, with the quorum of them that has to have signed a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorKeys {
    origin: Origin,
    keys: BTreeSet<Fingerprint>,
    quorum: Threshold,
}

/// Why keys and a quorum make no anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the quorum of {quorum} is greater than the number of distinct anchors, {keys}")]
pub struct AnchorError {
    quorum: Threshold,
    keys: usize,
}

impl AnchorKeys {
    /// Takes keys and a quorum of at most their number.
    ///
    /// # Errors
    /// [`AnchorError`] when the quorum can never be reached.
    pub fn new(
        origin: Origin,
        keys: impl IntoIterator<Item = Fingerprint>,
        quorum: Threshold,
    ) -> Result<Self, AnchorError> {
        let keys: BTreeSet<_> = keys.into_iter().collect();
        if quorum.people() > keys.len() {
            return Err(AnchorError {
                quorum,
                keys: keys.len(),
            });
        }
        Ok(Self {
            origin,
            keys,
            quorum,
        })
    }

    /// The repository's name.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The keys.
    pub fn keys(&self) -> &BTreeSet<Fingerprint> {
        &self.keys
    }

    /// How many of their holders have to have signed a root.
    pub fn quorum(&self) -> Threshold {
        self.quorum
    }
}

/// The newest root that the chain leads to; made only by following it.
#[derive(Debug, Clone)]
pub struct Head {
    root: Root,
    digest: Digest,
}

impl Head {
    /// The root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its number and digest, to be recorded.
    pub fn id(&self) -> RootId {
        RootId {
            number: self.root.number,
            digest: self.digest,
        }
    }
}

/// Follows the chain from where trust starts to the newest root that is valid.
///
/// Gives the head, if trust starts anywhere, and all that is wrong with the chain: where there is
/// a problem of code [`Code::RootUnsigned`] only behind the head, a proposed root waits for signatures.
pub fn follow(
    roots: &[StoredRoot],
    trust: &Trust,
    crypto: &impl Crypto,
) -> (Option<Head>, Vec<Problem>) {
    follow_read(roots, true, trust, crypto)
}

/// The same of the roots that could be read, all of them or not. One that could not may be what is missed, so that
/// its own problem is enough.
pub(crate) fn follow_read(
    roots: &[StoredRoot],
    is_all_read: bool,
    trust: &Trust,
    crypto: &impl Crypto,
) -> (Option<Head>, Vec<Problem>) {
    let start = match unbroken(roots).and_then(|()| start(roots, trust, crypto)) {
        Ok(start) => start,
        Err(problem) => {
            let is_told = is_all_read || problem.code == Code::Fork;
            return (None, is_told.then_some(problem).into_iter().collect());
        }
    };
    let mut problems = Vec::new();
    // What trust does not rest on is history all the same: it is never changed.
    for pair in roots.get(..=start).unwrap_or_default().windows(2) {
        if let [before, after] = pair {
            problems.extend(broken(&before.root, &after.root, crypto));
        }
    }
    let mut head: Option<&StoredRoot> = None;
    for stored in roots.iter().skip(start) {
        let found = match head {
            None => first_link(stored, crypto),
            Some(previous) => link(&previous.root, stored, crypto),
        };
        if !found.is_empty() {
            problems.extend(found);
            problems.extend(unreachable(roots, &stored.root));
            break;
        }
        head = Some(stored);
    }
    let head = head.map(|stored| Head {
        root: stored.root.clone(),
        digest: stored.root.digest(crypto),
    });
    (head, problems)
}

/// There are roots, and their numbers have no gap.
fn unbroken(roots: &[StoredRoot]) -> Result<(), Problem> {
    if roots.is_empty() {
        let place = place::root(RootNumber::FIRST);
        return Err(Problem::new(Code::RootMissing, place, "there is no root"));
    }
    for (at, stored) in roots.iter().enumerate() {
        if stored.root.number.as_u32() as usize != at + 1 {
            let detail = format!("root {} is absent, though later ones are there", at + 1);
            let place = place::root(stored.root.number);
            return Err(Problem::new(Code::RootChain, place, detail));
        }
    }
    Ok(())
}

/// The position of the first root that the anchors satisfy.
fn start(roots: &[StoredRoot], trust: &Trust, crypto: &impl Crypto) -> Result<usize, Problem> {
    let (found, detail) = match trust {
        Trust::Recorded(recorded) => return recorded_link(roots, recorded, crypto),
        Trust::DangerousSelfAsserted => (Some(0), ""),
        Trust::Root(digest) => (
            roots
                .iter()
                .position(|stored| stored.root.digest(crypto) == *digest),
            "no root has the digest of the anchor",
        ),
        Trust::Keys(anchors) => (
            roots
                .iter()
                .position(|stored| satisfies(stored, anchors, crypto)),
            "no root of this origin is signed by a quorum of the anchored keys",
        ),
    };
    found.ok_or_else(|| {
        let place = place::root(RootNumber::FIRST);
        Problem::new(Code::AnchorUnsatisfied, place, detail)
    })
}

/// The position of the head of the state before; an update never leaves it out or replaces it.
fn recorded_link(
    roots: &[StoredRoot],
    recorded: &RootId,
    crypto: &impl Crypto,
) -> Result<usize, Problem> {
    let number = recorded.number;
    let place = place::root(number);
    let mut numbered = roots.iter().enumerate();
    match numbered.find(|(_, stored)| stored.root.number == number) {
        Some((at, stored)) if stored.root.digest(crypto) == recorded.digest => Ok(at),
        Some(_) => {
            let detail = format!("root {number} is not the one that was verified before");
            Err(Problem::new(Code::Fork, place, detail))
        }
        None => {
            let detail = format!("root {number} was verified before, and is not there any more");
            Err(Problem::new(Code::Rollback, place, detail))
        }
    }
}

/// Anchors are satisfied by signatures of anchored keys, never by these being listed.
fn satisfies(stored: &StoredRoot, anchors: &AnchorKeys, crypto: &impl Crypto) -> bool {
    if stored.root.origin != anchors.origin {
        return false;
    }
    let signers = signers(&stored.root, stored, crypto, |fingerprint| {
        anchors.keys.contains(&fingerprint)
    });
    signers.0.len() >= anchors.quorum.people()
}

/// The janitors of `members` whose valid signature of `stored` is there, and what is wrong with
/// the others. Each person counts once; one key belongs to one person within a root.
fn signers<'r>(
    members: &'r Root,
    stored: &StoredRoot,
    crypto: &impl Crypto,
    eligible: impl Fn(Fingerprint) -> bool,
) -> (BTreeSet<&'r Id>, Vec<Problem>) {
    let mut people = BTreeSet::new();
    let mut problems = Vec::new();
    for signature in &stored.signatures {
        let Some((id, key)) = members.janitor(&signature.signer).and_then(|janitor| {
            let key = janitor
                .keys
                .iter()
                .find(|key| crypto.fingerprint(key) == signature.key)?;
            Some((&janitor.id, key))
        }) else {
            continue; // signatures of non-members are inert
        };
        if !eligible(signature.key) {
            continue;
        }
        if signature.verify(&stored.root, key, crypto).is_ok() {
            people.insert(id);
        } else {
            problems.push(bad_signature(&stored.root, signature));
        }
    }
    (people, problems)
}

/// Whether a signature is of this very root, with a key that it or the root before lists for the signer.
pub fn is_signed_by_member(
    root: &Root,
    before: Option<&Root>,
    signature: &RootSignature,
    crypto: &impl Crypto,
) -> bool {
    let members = before.into_iter().chain([root]);
    let janitors = members.filter_map(|members| members.janitor(&signature.signer));
    let mut keys = janitors.flat_map(|janitor| &janitor.keys);
    keys.any(|key| {
        crypto.fingerprint(key) == signature.key && signature.verify(root, key, crypto).is_ok()
    })
}

fn bad_signature(root: &Root, signature: &RootSignature) -> Problem {
    Problem::new(
        Code::BadSignature,
        place::root_signature(root.number, signature),
        "the signature does not fit the root",
    )
}

/// A root judged by itself: its keys are usable and a quorum of its own janitors signed it.
fn first_link(stored: &StoredRoot, crypto: &impl Crypto) -> Vec<Problem> {
    let root = &stored.root;
    let place = place::root(root.number);
    let mut problems = Vec::new();
    let keys = root
        .janitors
        .iter()
        .flat_map(|janitor| janitor.keys.iter().map(move |key| (&janitor.id, key)));
    for (id, key) in keys {
        if let Err(error) = crypto.accept(key) {
            problems.push(Problem::new(
                Code::of_key(&error),
                &place,
                format!("a key of {id}: {error}"),
            ));
        } else if root.revoked.contains(&crypto.fingerprint(key)) {
            problems.push(Problem::new(
                Code::BadKey,
                &place,
                format!("a key of {id} is revoked by this very root"),
            ));
        }
    }
    problems.extend(quorum_of(root, stored, "of its own janitors", crypto));
    problems
}

/// A root judged by the one before and by itself.
fn link(previous: &Root, stored: &StoredRoot, crypto: &impl Crypto) -> Vec<Problem> {
    let root = &stored.root;
    let place = place::root(root.number);
    let mut problems = Vec::new();
    problems.extend(broken(previous, root, crypto));
    for (field, before, after) in [
        ("complete", previous.complete, root.complete),
        (
            "checkpoints_required",
            previous.checkpoints.required,
            root.checkpoints.required,
        ),
    ] {
        if before && !after {
            let detail = format!("takes back {field}, which is for ever");
            problems.push(Problem::new(Code::RootSticky, &place, detail));
        }
    }
    if let Some(key) = previous
        .revoked
        .iter()
        .find(|key| !root.revoked.contains(key))
    {
        let detail = format!("no longer lists {key} as revoked");
        problems.push(Problem::new(Code::RootSticky, &place, detail));
    }
    if let Some(batch) = previous.floor.iter().find(|it| !root.floor.contains(it)) {
        let detail = format!("no longer names {batch} as its floor");
        problems.push(Problem::new(Code::RootSticky, &place, detail));
    }
    problems.extend(quorum_of(
        previous,
        stored,
        "of the janitors of the root before",
        crypto,
    ));
    problems.extend(first_link(stored, crypto));
    // A bad signature of somebody who is in both roots is found twice.
    problems.sort();
    problems.dedup();
    problems
}

/// The roots behind one that is not valid, which nothing can make valid either.
fn unreachable<'r>(
    roots: &'r [StoredRoot],
    invalid: &Root,
) -> impl Iterator<Item = Problem> + use<'r> {
    let number = invalid.number;
    roots
        .iter()
        .filter(move |stored| stored.root.number > number)
        .map(move |stored| {
            let detail = format!("follows root {number}, which is not valid");
            Problem::new(Code::RootChain, place::root(stored.root.number), detail)
        })
}

/// The problem of a root that does not follow another one.
fn broken(previous: &Root, root: &Root, crypto: &impl Crypto) -> Vec<Problem> {
    let mut problems = Vec::new();
    if root.previous != Some(previous.digest(crypto)) {
        let detail = format!(
            "does not follow root {}: it names another one as its predecessor",
            previous.number
        );
        problems.push(Problem::new(
            Code::RootChain,
            place::root(root.number),
            detail,
        ));
    }
    if root.origin != previous.origin {
        let detail = format!(
            "is of {}, and the chain of {}",
            root.origin, previous.origin
        );
        problems.push(Problem::new(
            Code::RootChain,
            place::root(root.number),
            detail,
        ));
    }
    problems
}

fn quorum_of(
    members: &Root,
    stored: &StoredRoot,
    whose: &str,
    crypto: &impl Crypto,
) -> Vec<Problem> {
    let (people, mut problems) = signers(members, stored, crypto, |_| true);
    let needed = members.quorum.people();
    if people.len() < needed {
        let others: Vec<Id> = members
            .janitors
            .iter()
            .map(|janitor| janitor.id.clone())
            .filter(|id| !people.contains(id))
            .collect();
        let detail = format!("{} {whose} signed it, and {needed} have to", people.len());
        problems.push(
            Problem::new(Code::RootUnsigned, place::root(stored.root.number), detail).mended_by(
                Missing {
                    owners: None,
                    janitors: Some((needed - people.len(), others)),
                },
            ),
        );
    }
    problems
}
