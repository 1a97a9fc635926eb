//! What has to hold of a state that is accepted.

use std::collections::BTreeMap;

use conex_core::model::vouch::Subject;
use conex_core::tree::store::MemoryStore;
use conex_core::verify::Report;

use super::clients::Client;
use super::world::{Done, World};
use crate::model::{Newest, State};

/// The greatest version of each statement that a client ever accepted.
pub(super) type HighWater = BTreeMap<Subject, Newest>;

/// All problems and notes, one on a line.
pub(super) fn told(report: &Report) -> String {
    let all = report.problems.iter().chain(&report.notes);
    let lines: Vec<String> = all.map(|problem| format!("  {problem}\n")).collect();
    lines.concat()
}

/// The greatest version of everything in a state, but for the files of releases that are not there: what was said
/// of these could have been left out.
pub(super) fn high_water(state: &State) -> HighWater {
    let subjects = state.subjects().into_iter();
    subjects
        .filter_map(|subject| {
            let newest = state.newest(&subject)?;
            (!is_of_nothing(state, &subject, &newest)).then_some((subject, newest))
        })
        .collect()
}

/// Whether a version is of the files of a release that is not there.
fn is_of_nothing(state: &State, subject: &Subject, newest: &Newest) -> bool {
    let Subject::Checksums(package, release) = subject else {
        return false;
    };
    let absence = state.absence(subject);
    !state.has_release(package, release)
        && !absence.is_some_and(|absence| newest.digests.contains(&absence))
}

/// Invariant `c`: what a client has accepted before does not fall. Gives what it has accepted then.
pub(super) fn rise(client: &Client, after: &State) -> Result<HighWater, String> {
    let revoked = crate::model::newly_revoked(&client.state, after);
    let mut high = client.high.clone();
    for (subject, newest) in &client.high {
        let now = after.newest(subject);
        let package = subject
            .package()
            .filter(|_| !subject.kind().is_about_people());
        let voided = package.is_some_and(|package| {
            after.epoch(package) > newest.version.epoch() || after.is_retired(package)
        });
        let floor = client.state.newest_without(subject, &revoked);
        let is_revoked = !revoked.is_empty() && floor != client.state.newest(subject);
        let is_gone = match subject {
            Subject::Checksums(..) => is_of_nothing(after, subject, newest),
            Subject::Author(_) | Subject::Team(_) | Subject::Authorisation(_) => {
                !after.is_stored(subject)
            }
            _ => false,
        };
        if voided || is_revoked || is_gone {
            high.remove(subject);
            continue;
        }
        let holds = now.as_ref().is_some_and(|now| {
            now.version > newest.version
                || (now.version == newest.version && now.digest() == newest.digest())
        });
        if !holds {
            let now = now.map(|now| now.version.to_string()).unwrap_or_default();
            return Err(format!(
                "{subject}: {} was accepted, and now it is {now:?}",
                newest.version
            ));
        }
    }
    high.extend(high_water(after));
    Ok(high)
}

impl World {
    /// Invariant `b`: what is accepted was written by honest people, or is the attacker's to approve, or is
    /// unsigned and may be.
    pub(super) fn check_written(&self, tree: &MemoryStore, state: &State) -> Done {
        let bad = self.bad_fingerprints();
        for (path, bytes) in tree.files() {
            if self.is_honest(path, bytes) {
                continue;
            }
            let subjects = subjects_of(path, state);
            if subjects.is_empty() {
                continue;
            }
            let is_theirs = |subject: &Subject| state.can_approve(&bad, subject);
            let nobodys = |subject: &Subject| {
                let unclaimed = subject
                    .package()
                    .is_none_or(|package| !state.is_claimed(package));
                unclaimed
                    && !subject.kind().is_about_people()
                    && !state.root().complete
                    && state.newest(subject).is_none()
            };
            let may_be = subjects
                .iter()
                .all(|subject| is_theirs(subject) || nobodys(subject));
            if !may_be {
                let detail = format!("{path} was accepted, and no honest person wrote it\n");
                return Err(self.violation('b', "foreign content is accepted", detail));
            }
        }
        Ok(())
    }
}

/// The statements that speak of a file.
fn subjects_of(path: &str, state: &State) -> Vec<Subject> {
    let parts: Vec<&str> = path.split('/').collect();
    let parse = |text: String| text.parse::<Subject>().ok().into_iter().collect();
    let stem = |file: &str| file.trim_end_matches(".toml").to_owned();
    match parts.as_slice() {
        ["conex", "authors", file] => parse(format!("{} author", stem(file))),
        ["conex", "teams", file] => parse(format!("{} team", stem(file))),
        ["conex", "packages", file] => parse(format!("{} authorisation", stem(file))),
        ["conex", ..] | [] => Vec::new(),
        [file] if is_ignored(file) || state.ignores(file) => Vec::new(),
        [_] => vec![Subject::Repository],
        [package, ..] if state.ignores(package) => Vec::new(),
        [package, release, ..] => {
            let releases = format!("{package} releases").parse::<Subject>();
            let checksums = format!("{package}/{release} checksums").parse::<Subject>();
            releases.into_iter().chain(checksums).collect()
        }
    }
}

/// Whether the first root ignores a file at the top.
pub(super) fn is_ignored(file: &str) -> bool {
    file.strip_suffix(".md").is_some()
}
