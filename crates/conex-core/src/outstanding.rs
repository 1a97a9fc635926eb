//! Approvals that run ahead of the content: vouches for what is not in the tree (spec section 6.5).
//!
//! Whoever serves such content together with the vouches is believed, so people who work on a
//! repository want to see them, merge what they are for, or take them back.

use alloc::vec::Vec;

use crate::approval::{Standing, Vote};
use crate::crypto::Crypto;
use crate::digest::Digest;
use crate::judge::Judge;
use crate::name::Id;
use crate::settle::State;
use crate::store::Sequential;
use crate::verify::{Finding, Report};
use crate::version::Version;
use crate::vouch::{Subject, Vouch};

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
}

/// All approvals ahead of the present content, sorted by subject and version.
///
/// Releases that were removed keep their vouches for ever. So checksums of a release that is not
/// there count as ahead only where something of its package is. Of packages that cannot be read
/// nothing is said.
pub fn outstanding(report: &Report, crypto: &impl Crypto) -> Vec<Outstanding> {
    let Some(head) = &report.head else {
        return Vec::new();
    };
    let settled = State {
        root: head.root(),
        metadata: &report.metadata,
        assumed: &[],
        crypto,
        workers: &Sequential,
        ahead: report.ahead,
        part: None,
        verified: false,
    }
    .settle();
    let judge = Judge::new(head.root(), &settled.index, crypto, report.ahead);
    let mut found: Vec<Outstanding> = Vec::new();
    let is_unreadable = |subject: &&Subject| {
        subject
            .package()
            .is_some_and(|package| report.unreadable.binary_search(package).is_ok())
    };
    let known = settled.index.all().subjects();
    for subject in known.filter(|subject| !is_unreadable(subject)) {
        let votes = settled.index.named(subject.name()).of(subject);
        let rule = judge.rule(subject, &settled.ownership);
        let finding = finding(report, subject);
        let floor = finding.and_then(version_there);
        let is_ahead = |vote: &&Vote| {
            rule.is_eligible(vote)
                && floor.is_none_or(|floor| vote.version > floor)
                && finding.is_none_or(|finding| {
                    vote.digest != finding.digest && Some(vote.digest) != finding.older
                })
        };
        let mut ahead: Vec<&Vote> = votes.iter().filter(is_ahead).collect();
        ahead.sort();
        let approved = rule.approved(&votes);
        for group in ahead.chunk_by(|a, b| (a.version, a.digest) == (b.version, b.digest)) {
            let Some(first) = group.first() else { continue };
            let mut by: Vec<Id> = group
                .iter()
                .map(|vote| settled.people.id(vote.voter.person).clone())
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
            });
        }
    }
    let lone = |it: &Outstanding| {
        matches!(it.subject, Subject::Checksums(..)) && finding(report, &it.subject).is_none()
    };
    let packages: Vec<_> = found
        .iter()
        .filter(|it| matches!(it.subject, Subject::Releases(_)))
        .filter_map(|it| it.subject.package().cloned())
        .collect();
    found.retain(|it| !lone(it) || it.subject.package().is_some_and(|it| packages.contains(it)));
    found
}

/// The vouch that takes back everything ahead of a finding's present content, once enough people
/// give it: for the present content, in a version above all of it. `None` when counters are
/// exhausted or nothing is ahead.
pub fn retraction<'o>(
    subject: &Subject,
    present: Digest,
    ahead: impl Iterator<Item = &'o Outstanding>,
) -> Option<Vouch> {
    let greatest = ahead
        .filter(|it| it.subject == *subject)
        .map(|it| it.version)
        .max()?;
    Some(Vouch {
        subject: subject.clone(),
        version: greatest.next()?,
        digest: present,
    })
}

fn finding<'r>(report: &'r Report, subject: &Subject) -> Option<&'r Finding> {
    let at = report
        .findings
        .binary_search_by(|finding| finding.subject.cmp(subject))
        .ok()?;
    report.findings.get(at)
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
