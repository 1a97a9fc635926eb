//! Verification of an update (section 9).

use std::collections::BTreeSet;

use conex_core::model::crypto::Crypto;
use conex_core::model::key::Fingerprint;
use conex_core::model::name::PackageName;
use conex_core::model::vouch::Subject;
use conex_core::tree::problem::Code;

use super::counting::Newest;
use super::state::{self, State};
use super::{Anchor, Found, Judged, Strictness, Tree};

/// Verifies an update of a state that was verified (section 9.1).
pub fn judge_update(before: &State, after: &Tree, how: Strictness, crypto: &impl Crypto) -> Judged {
    let anchor = Anchor::Recorded(before.root().number.as_u32(), before.head());
    let mut judged = state::judge(after, &anchor, how, crypto);
    if let Some(after) = &judged.state {
        judged.problems.extend(transitions(before, after));
    }
    judged
}

/// The keys that the head of T revokes, and the head of S does not.
pub fn newly_revoked(before: &State, after: &State) -> BTreeSet<Fingerprint> {
    let old = &before.root().revoked;
    let new = after.root().revoked.iter().copied();
    new.filter(|key| !old.contains(key)).collect()
}

/// What is wrong with the transitions between two states (section 9.3, rules 1 to 7).
pub fn transitions(before: &State, after: &State) -> Found {
    let revoked = newly_revoked(before, after);
    let stripped = stripped(before, after, &revoked);
    let mut problems = Found::new();
    for subject in before.subjects() {
        let content = matches!(subject, Subject::Releases(_) | Subject::Checksums(..));
        let package = subject.package().filter(|_| content);
        if package.is_some_and(|package| stripped.contains(package)) {
            continue;
        }
        if let Some(code) = versions(&subject, before, after, &revoked) {
            problems.insert((code, subject.to_string()));
        }
    }
    for package in stripped {
        problems.insert((Code::Stripped, Subject::Releases(package).to_string()));
    }
    problems.extend(people(before, after, &revoked));
    problems
}

/// Rules 1 to 4: versions do not fall.
fn versions(
    subject: &Subject,
    before: &State,
    after: &State,
    revoked: &BTreeSet<Fingerprint>,
) -> Option<Code> {
    before.newest(subject)?;
    let new = after.newest(subject);
    if *subject == Subject::Repository && new.is_none() {
        return Some(Code::Stripped);
    }
    let floor = before.newest_without(subject, revoked)?;
    match &new {
        Some(new) if new.version > floor.version => return None,
        Some(new) if new.version == floor.version && new.digest() == floor.digest() => return None,
        _ => {}
    }
    if is_excused(subject, &floor, before, after) {
        return None;
    }
    match new {
        Some(new) if new.version == floor.version => Some(Code::Equivocation),
        _ => Some(Code::Rollback),
    }
}

/// Rule 3: the reasons for which a version may fall.
fn is_excused(subject: &Subject, floor: &Newest, before: &State, after: &State) -> bool {
    let voided = |package: &PackageName| {
        after.epoch(package) > floor.version.epoch() || after.is_retired(package)
    };
    match subject {
        Subject::Author(_) | Subject::Team(_) | Subject::Authorisation(_) => {
            !after.is_stored(subject)
        }
        Subject::Releases(package) => voided(package),
        Subject::Checksums(package, release) => {
            let is_absence = before
                .absence(subject)
                .is_some_and(|absence| floor.digests.contains(&absence));
            let in_both =
                before.has_release(package, release) && after.has_release(package, release);
            voided(package) || (!in_both && !is_absence)
        }
        Subject::Repository => false,
    }
}

/// Rules 5 and 6: who and what was there stays, and whatever was retired stays so.
fn people(before: &State, after: &State, revoked: &BTreeSet<Fingerprint>) -> Found {
    let mut problems = Found::new();
    for (subject, digest, retired) in before.stored() {
        if !after.is_stored(subject) {
            problems.insert((Code::Vanished, subject.to_string()));
        } else if retired && !after.says_retired(subject) {
            let floor = before.newest_without(subject, revoked);
            if floor.is_some_and(|floor| floor.digest() == Some(&digest)) {
                problems.insert((Code::Revived, subject.to_string()));
            }
        }
    }
    problems
}

/// Rule 7: the packages that are signed in S, and of which nothing is in T.
fn stripped(
    before: &State,
    after: &State,
    revoked: &BTreeSet<Fingerprint>,
) -> BTreeSet<PackageName> {
    let has_newest = |state: &State, package: &PackageName| {
        let mut subjects = state.subjects().into_iter();
        subjects.any(|it| it.package() == Some(package) && state.newest(&it).is_some())
    };
    let subjects = before.subjects();
    let mut packages: BTreeSet<&PackageName> =
        subjects.iter().filter_map(Subject::package).collect();
    packages.retain(|package| {
        has_newest(before, package) && !has_newest(after, package) && !after.is_claimed(package)
    });
    let is_kept = |package: &PackageName| {
        let mut about = subjects.iter().filter(|it| it.package() == Some(package));
        about.any(
            |subject| match (subject, before.newest_without(subject, revoked)) {
                (Subject::Releases(_), floor) => floor.is_some(),
                (Subject::Checksums(..), Some(floor)) => before
                    .absence(subject)
                    .is_some_and(|absence| floor.digests.contains(&absence)),
                _ => false,
            },
        )
    };
    packages.retain(|package| after.has_package(package) || is_kept(package));
    packages.into_iter().cloned().collect()
}
