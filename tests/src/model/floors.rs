//! The `floor` of a root (sections 4.1, 4.5 and step 13 of 8.3).

use conex_core::model::vouch::Subject;
use conex_core::tree::problem::Code;

use super::Found;
use super::state::State;
use super::stored::StoredRoot;

/// Step 13 of section 8.3: nothing stands below what the head demands.
pub(super) fn hold(state: &State) -> Found {
    let mut problems = Found::new();
    let place = StoredRoot::place(state.root().number.as_u32());
    for named in &state.root().floor {
        let Some(batch) = state.batch(named.digest()) else {
            problems.insert((Code::BatchMissing, place.clone()));
            continue;
        };
        let (first, last) = named.range();
        let mut names = batch.vouches().iter().map(|vouch| vouch.subject.name());
        if !names.all(|name| first <= name && name <= last) {
            problems.insert((Code::BatchRange, place.clone()));
            continue;
        }
        for vouch in batch.vouches() {
            if is_void(state, &vouch.subject, vouch.version.epoch()) {
                continue;
            }
            let newest = state.newest(&vouch.subject);
            let code = match newest {
                Some(newest) if newest.version > vouch.version => continue,
                Some(newest) if newest.version == vouch.version => {
                    if newest.digest() == Some(&vouch.digest) {
                        continue;
                    }
                    Code::Equivocation
                }
                _ => Code::Rollback,
            };
            problems.insert((code, vouch.subject.to_string()));
        }
    }
    problems
}

/// Of the content of a package nothing is demanded where its epoch is greater, or where it is retired.
fn is_void(state: &State, subject: &Subject, epoch: u32) -> bool {
    let content = matches!(subject, Subject::Releases(_) | Subject::Checksums(..));
    let package = subject.package().filter(|_| content);
    package.is_some_and(|package| state.epoch(package) > epoch || state.is_retired(package))
}
