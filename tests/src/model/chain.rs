//! The chain of roots (section 4.4).

use std::collections::BTreeSet;

use conex_core::model::crypto::{BadKey, Crypto, Namespace};
use conex_core::model::name::Id;
use conex_core::model::statement::{Janitor, Root};
use conex_core::tree::problem::Code;

use super::stored::{StoredRoot, StoredRoots};
use super::{Anchor, Found};

/// What following the chain gives.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// The number of the head.
    pub(super) head: Option<u32>,
    pub(super) problems: Found,
    pub(super) notes: Found,
}

/// Follows the chain from an anchor (section 4.4, steps 1 to 5).
pub(super) fn follow(
    stored: &StoredRoots,
    anchor: &Anchor,
    ahead: bool,
    crypto: &impl Crypto,
) -> Followed {
    let mut followed = follow_readable(stored, anchor, ahead, crypto);
    followed.problems.extend(orphans(stored));
    followed
}

fn follow_readable(
    stored: &StoredRoots,
    anchor: &Anchor,
    ahead: bool,
    crypto: &impl Crypto,
) -> Followed {
    let mut followed = Followed::default();
    let start = broken(stored).map_or_else(|| start(stored, anchor, crypto), Err);
    let start = match start {
        Ok(start) => start,
        // A root that cannot be read may be what is missed.
        Err((code, _)) if code != Code::Fork && stored.is_any_unread() => return followed,
        Err(problem) => {
            followed.problems.insert(problem);
            return followed;
        }
    };
    followed.problems.extend(history(stored, start));
    let mut before: Option<&StoredRoot> = None;
    let mut ended = false;
    for (&number, root) in stored.roots.range(start..) {
        let place = StoredRoot::place(number);
        if ended {
            followed.problems.insert((Code::RootChain, place));
            continue;
        }
        let mut wrong = by_itself(number, root, crypto);
        if let Some(before) = before {
            wrong.extend(link(number, before, root, crypto));
        }
        ended = !wrong.is_empty();
        if !ended {
            followed.head = Some(number);
        }
        let is_proposal = ahead && before.is_some();
        for (code, place) in wrong {
            match code {
                Code::RootUnsigned if is_proposal => followed.notes.insert((Code::Ahead, place)),
                _ => followed.problems.insert((code, place)),
            };
        }
        before = Some(root);
    }
    followed
}

/// Step 1: signatures of a root that is not there.
fn orphans(stored: &StoredRoots) -> Found {
    let there = |number: &&u32| {
        let place = StoredRoot::place(**number);
        let mut unreadable = stored.problems.iter().map(|(_, place)| place);
        stored.roots.contains_key(*number) || unreadable.any(|it| *it == place)
    };
    let orphans = stored.others.iter().filter(|number| !there(number));
    orphans
        .map(|number| (Code::RootChain, StoredRoot::place(*number)))
        .collect()
}

/// Step 1: the stored roots are 1 to k without a gap.
fn broken(stored: &StoredRoots) -> Option<(Code, String)> {
    let Some(last) = stored.roots.keys().next_back() else {
        return Some((Code::RootMissing, StoredRoot::place(1)));
    };
    let there = |number: &u32| stored.roots.contains_key(number);
    let behind = (1..=*last).find(|number| there(number) && (*number > 1 && !there(&(number - 1))));
    behind.map(|number| (Code::RootChain, StoredRoot::place(number)))
}

/// Step 2, and section 9.2: where trust starts.
fn start(
    stored: &StoredRoots,
    anchor: &Anchor,
    crypto: &impl Crypto,
) -> Result<u32, (Code, String)> {
    if let Anchor::Recorded(number, digest) = anchor {
        let place = StoredRoot::place(*number);
        return match stored.roots.get(number) {
            None => Err((Code::Rollback, place)),
            Some(root) if root.digest != *digest => Err((Code::Fork, place)),
            Some(_) => Ok(*number),
        };
    }
    let satisfies = |root: &StoredRoot| match anchor {
        Anchor::Root(digest) => root.digest == *digest,
        Anchor::Keys(origin, keys, quorum) => {
            let anchored = |janitor: &Janitor| {
                let mut janitor = janitor.clone();
                janitor
                    .keys
                    .retain(|key| keys.contains(&crypto.fingerprint(key)));
                janitor
            };
            let janitors: Vec<Janitor> = root.root.janitors.iter().map(anchored).collect();
            root.root.origin == *origin && signers(root, &janitors, crypto).0.len() >= *quorum
        }
        Anchor::FirstRoot => true,
        Anchor::Recorded(..) => false,
    };
    let mut roots = stored.roots.iter();
    let first = roots.find(|(_, root)| satisfies(root));
    let number = first.map(|(number, _)| *number);
    number.ok_or((Code::AnchorUnsatisfied, StoredRoot::place(1)))
}

/// Step 3: history is never changed.
fn history(stored: &StoredRoots, start: u32) -> Found {
    let numbers = 2..=start;
    let changed = numbers.filter(|number| {
        let before = stored.roots.get(&(number - 1));
        let root = stored.roots.get(number);
        !before.zip(root).is_some_and(|(before, root)| {
            root.root.previous == Some(before.digest) && root.root.origin == before.root.origin
        })
    });
    changed
        .map(|number| (Code::RootChain, StoredRoot::place(number)))
        .collect()
}

/// A root by itself: its keys are good, and a quorum of its own janitors signed it.
fn by_itself(number: u32, stored: &StoredRoot, crypto: &impl Crypto) -> Found {
    let (root, place) = (&stored.root, StoredRoot::place(number));
    let mut problems = Found::new();
    for key in root.janitors.iter().flat_map(|janitor| &janitor.keys) {
        match crypto.accept(key) {
            Err(BadKey::Unsupported(_)) => problems.insert((Code::Upgrade, place.clone())),
            Err(_) => problems.insert((Code::BadKey, place.clone())),
            Ok(()) if root.revoked.contains(&crypto.fingerprint(key)) => {
                problems.insert((Code::BadKey, place.clone()))
            }
            Ok(()) => false,
        };
    }
    problems.extend(signed(
        stored,
        &root.janitors,
        root.quorum.people(),
        &place,
        crypto,
    ));
    problems
}

/// A link: what has to hold between a root and the one before.
fn link(number: u32, before: &StoredRoot, root: &StoredRoot, crypto: &impl Crypto) -> Found {
    let place = StoredRoot::place(number);
    let mut problems = Found::new();
    let (old, new) = (&before.root, &root.root);
    if new.previous != Some(before.digest) || new.origin != old.origin {
        problems.insert((Code::RootChain, place.clone()));
    }
    if !is_sticky(old, new) {
        problems.insert((Code::RootSticky, place.clone()));
    }
    problems.extend(signed(
        root,
        &old.janitors,
        old.quorum.people(),
        &place,
        crypto,
    ));
    problems
}

/// What is sticky stays.
fn is_sticky(old: &Root, new: &Root) -> bool {
    let revoked = old.revoked.iter().all(|key| new.revoked.contains(key));
    let floor = old.floor.iter().all(|batch| new.floor.contains(batch));
    (new.complete || !old.complete)
        && (new.checkpoints.required || !old.checkpoints.required)
        && revoked
        && floor
}

/// Enough of these janitors signed a root, and no signature of theirs is bad.
fn signed(
    root: &StoredRoot,
    janitors: &[Janitor],
    quorum: usize,
    place: &str,
    crypto: &impl Crypto,
) -> Found {
    let (signers, mut problems) = signers(root, janitors, crypto);
    if signers.len() < quorum {
        problems.insert((Code::RootUnsigned, place.to_owned()));
    }
    problems
}

/// Which signatures count: those of a janitor, under one of their keys, that verify. Those that do not are
/// problems; all others are inert.
fn signers(root: &StoredRoot, janitors: &[Janitor], crypto: &impl Crypto) -> (BTreeSet<Id>, Found) {
    let (mut signers, mut bad) = (BTreeSet::new(), Found::new());
    let message = root.root.message();
    for (place, signature) in &root.signatures {
        let janitor = janitors
            .iter()
            .find(|janitor| janitor.id == signature.signer);
        let keys = janitor.into_iter().flat_map(|janitor| &janitor.keys);
        let mut keys = keys.filter(|key| crypto.fingerprint(key) == signature.key);
        let Some(key) = keys.next() else {
            continue;
        };
        match crypto.verify(key, Namespace::Root, &message, &signature.signature) {
            Ok(()) => {
                signers.insert(signature.signer.clone());
            }
            Err(_) => {
                bad.insert((Code::BadSignature, place.clone()));
            }
        }
    }
    (signers, bad)
}
