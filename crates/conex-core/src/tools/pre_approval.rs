//! Approvals that run ahead of the content: vouches for what is not in the tree (spec section 6.5).
//!
//! Whoever serves such content together with the vouches is believed, so people who work on a
//! repository want to see them, merge what they are for, or take them back.

use alloc::vec::Vec;

use crate::model::digest::Digest;
use crate::model::name::Id;
use crate::model::version::Version;
use crate::model::vouch::{Subject, Vouch};
use crate::state::approval::{Standing, Vote, is_near};
use crate::state::finding::Finding;
use crate::verify::Report;

/// Content that somebody vouched for and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outstanding {
    /// Of which statement.
    pub subject: Subject,
    /// In which version; greater than that of the present content.
    pub version: Version,
    /// The digest of what was vouched for.
    pub digest: Digest,
    /// Who stands behind it and is entitled to, sorted by id.
    pub by: Vec<Id>,
    /// Whether they are enough.
    pub approved: bool,
    /// Whether tools follow this version. Who jumps further wants to run the counter to its end,
    /// and a retraction above it would help.
    pub near: bool,
}

/// All approvals ahead of the present content, sorted by subject and version.
///
/// Releases that were removed keep their vouches for ever. So checksums of a release that is not
/// there count as ahead only where something of its package is. Of packages that cannot be read
/// nothing is said.
pub fn outstanding(report: &Report) -> Vec<Outstanding> {
    let Some(state) = &report.state else {
        return Vec::new();
    };
    let mut found: Vec<Outstanding> = Vec::new();
    let is_unreadable = |subject: &&Subject| {
        subject
            .package()
            .is_some_and(|package| report.unreadable.binary_search(package).is_ok())
    };
    let known = state.index().all().subjects();
    for subject in known.filter(|subject| !is_unreadable(subject)) {
        let votes = state.votes(subject);
        let rule = state.rule(subject);
        let finding = report.finding(subject);
        let approved = rule.approved(&votes);
        let newest = approved.first().map(|it| it.version);
        // Where nothing is found of an absent package, its absence is what was approved last.
        let floor = match (finding, subject) {
            (Some(finding), _) => version_there(finding),
            (None, Subject::Releases(_)) => newest,
            (None, _) => None,
        };
        let is_ahead = |vote: &&Vote| {
            rule.is_eligible(vote)
                && floor.is_none_or(|floor| vote.version > floor)
                && finding.is_none_or(|finding| {
                    vote.digest != finding.digest && Some(vote.digest) != finding.older
                })
        };
        let mut ahead: Vec<&Vote> = votes.iter().filter(is_ahead).collect();
        ahead.sort();
        for group in ahead.chunk_by(|a, b| (a.version, a.digest) == (b.version, b.digest)) {
            let Some(first) = group.first() else { continue };
            let mut by: Vec<Id> = group
                .iter()
                .map(|vote| state.people().id(vote.voter.person).clone())
                .collect();
            by.sort();
            by.dedup();
            found.push(Outstanding {
                subject: subject.clone(),
                version: first.version,
                digest: first.digest,
                by,
                approved: approved
                    .iter()
                    .any(|it| (it.version, it.digest) == (first.version, first.digest)),
                near: is_near(first.version, newest),
            });
        }
    }
    let lone = |it: &Outstanding| {
        let found = report.finding(&it.subject);
        matches!(it.subject, Subject::Checksums(..)) && found.is_none_or(|found| !found.present)
    };
    let packages: Vec<_> = found
        .iter()
        .filter(|it| matches!(it.subject, Subject::Releases(_)))
        .filter_map(|it| it.subject.package().cloned())
        .collect();
    found.retain(|it| !lone(it) || it.subject.package().is_some_and(|it| packages.contains(it)));
    found
}

/// The version under which to vouch for content of a statement that need not be what stands in the
/// tree (spec section 6.4). `None` when counters are exhausted.
pub fn version_of(report: &Report, subject: &Subject, content: Digest) -> Option<Version> {
    let state = report.state.as_ref()?;
    let floor = state.floors().of(subject);
    let votes = state.votes(subject);
    let rule = state.rule(subject);
    rule.assess_above(&votes, &[content], floor).proposed
}

/// The vouch that takes back everything ahead of a finding's present content, once enough people
/// give it: for the present content, in a version above all of it that is approved or near. `None`
/// when counters are exhausted or nothing is ahead.
pub fn retraction<'o>(
    subject: &Subject,
    present: Digest,
    ahead: impl Iterator<Item = &'o Outstanding>,
) -> Option<Vouch> {
    let greatest = ahead
        .filter(|it| it.subject == *subject && (it.approved || it.near))
        .map(|it| it.version)
        .max()?;
    Some(Vouch {
        subject: subject.clone(),
        version: greatest.next()?,
        digest: present,
    })
}

/// The version that the present content has, or where it has none, that of what it would replace.
fn version_there(finding: &Finding) -> Option<Version> {
    match &finding.assessment.standing {
        Standing::Approved(approved) => Some(approved.version),
        Standing::Behind { version, .. } | Standing::Equivocal { version } => Some(*version),
        Standing::Differs { newest } if finding.present => Some(newest.version),
        Standing::Differs { .. } | Standing::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;
    use crate::model::name::PackageName;

    #[test]
    fn fast_forward() {
        let subject = Subject::Releases(PackageName::parse("foo").unwrap());
        let content = Digest::parse(&"ab".repeat(32)).unwrap();
        let ahead = |version: &str, approved, near| Outstanding {
            subject: subject.clone(),
            version: Version::parse(version).unwrap(),
            digest: content,
            by: Vec::new(),
            approved,
            near,
        };
        let far = "0.18446744073709551614";
        let given = |all: &[Outstanding]| {
            retraction(&subject, content, all.iter()).map(|vouch| vouch.version.to_string())
        };
        // Whoever ran the counter away alone is not followed; a quorum that did so is.
        let one = [ahead("0.2", false, true), ahead(far, false, false)];
        assert_eq!(given(&one).as_deref(), Some("0.3"));
        assert_eq!(given(&one[1..]), None);
        let many = [ahead(far, true, false)];
        assert_eq!(given(&many).as_deref(), Some("0.18446744073709551615"));
        let last = [ahead("0.18446744073709551615", true, false)];
        assert_eq!(given(&last), None);
    }
}
