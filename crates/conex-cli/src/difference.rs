//! The difference between a package and its last approved state, release by release.

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::digest::Digest;
use conex_core::model::name::{PackageName, ReleaseName};
use conex_core::model::version::Version;
use conex_core::model::vouch::Subject;
use conex_core::state::approval::Standing;
use conex_core::tree::content::Release;
use conex_crypto::StandardCrypto;

use crate::error::{CommandError, Result};
use crate::git;
use crate::signing::Member;
use crate::tree::{FOLLOWED, Tree, Work};

/// The kinds of changes to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its source changed: what is fetched, built or run.
    Source,
    /// Only its bounds, availability or descriptions changed.
    Upkeep,
}

impl Edit {
    /// Whether the package's `releases` statement changes with it.
    pub(crate) fn is_source(self) -> bool {
        self != Self::Upkeep
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Added => "new",
            Self::Removed => "removed",
            Self::Source => "changed in its source",
            Self::Upkeep => "changed in bounds or descriptions only",
        }
    }
}

/// A package as last approved, and as it is now.
pub(crate) struct Difference {
    /// The last approved releases; empty if nothing was approved.
    pub(crate) before: Vec<Release>,
    pub(crate) now: Vec<Release>,
}

impl Difference {
    /// Finds the last approved state of a package: in the requested git revision, on the branch `signed`,
    /// or in the last commit. A revision is trusted only if its content has the approved digest.
    ///
    /// `named` are the releases to be published. If no revision has the approved state, but the package
    /// with these releases as they were has it, then nothing else changed.
    pub(crate) fn of(
        tree: &Tree,
        work: &Work,
        package: &PackageName,
        member: &Member,
        named: &BTreeSet<ReleaseName>,
        base: Option<&str>,
    ) -> Result<Self> {
        let now = tree
            .package(&work.head, package)?
            .map_or_else(Vec::new, |it| it.releases);
        let approved = approved(work, package, member)?;
        if approved.is_empty() {
            return Ok(Self {
                before: Vec::new(),
                now,
            });
        }
        let revisions = in_revisions(tree, work, package, base)?;
        let fits = |releases: &[Release]| -> Result<bool> {
            let digest = tree.releases_digest(&work.head, package, releases)?;
            Ok(approved.contains(&digest))
        };
        for before in &revisions {
            if fits(before)? {
                let before = before.clone();
                return Ok(Self { before, now });
            }
        }
        // Check whether only the named releases changed: with their old content, or without them, the
        // package is in the approved state.
        let others: Vec<Release> = now
            .iter()
            .filter(|release| !named.contains(&release.checksums.release))
            .cloned()
            .collect();
        for revision in revisions.iter().map(Vec::as_slice).chain([&[][..]]) {
            let mut before = others.clone();
            let theirs = revision
                .iter()
                .filter(|release| named.contains(&release.checksums.release));
            before.extend(theirs.cloned());
            before.sort_by(|a, b| a.checksums.release.cmp(&b.checksums.release));
            if fits(&before)? {
                return Ok(Self { before, now });
            }
        }
        if fits(&now)? {
            return Ok(Self {
                before: now.clone(),
                now,
            });
        }
        Err(CommandError::refused(format_args!(
            "the last approved state of {package} is not at hand, so nobody could say what else changed"
        ))
        .hint("give a git revision that has it: --base REVISION")
        .hint(format_args!(
            "or approve the package as it is, all of it: conex approve {package}"
        )))
    }

    /// Returns every release that differs, by name.
    pub(crate) fn edits(&self) -> BTreeMap<&ReleaseName, Edit> {
        let by_name = |releases: &'_ [Release]| -> BTreeMap<ReleaseName, (Digest, Vec<Digest>)> {
            releases
                .iter()
                .map(|it| {
                    (
                        it.checksums.release.clone(),
                        (it.digest, it.sources.clone()),
                    )
                })
                .collect()
        };
        let (before, now) = (by_name(&self.before), by_name(&self.now));
        let mut edits = BTreeMap::new();
        for release in &self.now {
            let name = &release.checksums.release;
            match before.get(name) {
                None => {
                    edits.insert(name, Edit::Added);
                }
                Some((_, sources)) if *sources != release.sources => {
                    edits.insert(name, Edit::Source);
                }
                Some((digest, _)) if *digest != release.digest => {
                    edits.insert(name, Edit::Upkeep);
                }
                Some(_) => {}
            }
        }
        for release in &self.before {
            if !now.contains_key(&release.checksums.release) {
                edits.insert(&release.checksums.release, Edit::Removed);
            }
        }
        edits
    }

    /// Returns the old releases, but with the named ones in their new state.
    pub(crate) fn with_only(&self, named: &BTreeSet<ReleaseName>) -> Vec<Release> {
        let is_named = |release: &&Release| named.contains(&release.checksums.release);
        let mut releases: Vec<Release> = self
            .before
            .iter()
            .filter(|it| !is_named(it))
            .chain(self.now.iter().filter(is_named))
            .cloned()
            .collect();
        releases.sort_by(|a, b| a.checksums.release.cmp(&b.checksums.release));
        releases
    }
}

/// Returns the digests of the last approved `releases`.
///
/// While a claim waits for its approval, nothing of the package is approved under its rules. Then it is the
/// newest state that the signer vouched for, or that as many janitors vouched for as an unclaimed package
/// needs. The signer sees every difference from that. A state that fewer people vouched for must not be
/// accepted unseen.
fn approved(work: &Work, package: &PackageName, member: &Member) -> Result<Vec<Digest>> {
    let subject = Subject::Releases(package.clone());
    let finding = work
        .report
        .findings
        .iter()
        .find(|finding| finding.subject == subject);
    match finding.map(|finding| &finding.assessment.standing) {
        Some(Standing::Approved(approved)) => return Ok(vec![approved.digest]),
        Some(Standing::Behind { newest, .. } | Standing::Differs { newest }) => {
            return Ok(vec![newest.digest]);
        }
        Some(Standing::Equivocal { version }) => {
            return Err(CommandError::refused(format_args!(
                "{package}: version {version} is approved with two contents, so nobody could say what else changed"
            ))
            .hint(format_args!(
                "settle it with the package as it should be, all of it: conex approve {package}"
            )));
        }
        Some(Standing::Pending) | None => {}
    }
    // The versions that janitors approved, and whatever the signer said in any page of their key.
    let approved = work.state().approved_by_janitors(&subject);
    let approved = approved.iter().map(|it| (it.version, it.digest));
    let mut said: Vec<(Version, Digest)> = approved.collect();
    let metadata = work.report.metadata();
    let origin = &work.head.root().origin;
    let own = metadata.pages.iter().filter(|stored| {
        let (page, key) = (&stored.page, member.locked.public());
        let is_theirs = *page.body().signer() == member.id;
        is_theirs && page.verify(origin, key, &StandardCrypto).is_ok()
    });
    for body in own.map(|stored| stored.page.body()) {
        let batches = body
            .batches()
            .iter()
            .filter_map(|batch| metadata.batches.get(&batch.digest()))
            .flat_map(conex_core::model::page::Batch::vouches);
        let vouches = body.vouches().iter().chain(batches);
        let about = vouches.filter(|vouch| vouch.subject == subject);
        said.extend(about.map(|vouch| (vouch.version, vouch.digest)));
    }
    let newest = said.iter().map(|(version, _)| *version).max();
    said.retain(|(version, _)| Some(*version) == newest);
    Ok(said.into_iter().map(|(_, digest)| digest).collect())
}

/// Returns the package in those revisions that may hold its last approved state.
fn in_revisions(
    tree: &Tree,
    work: &Work,
    package: &PackageName,
    base: Option<&str>,
) -> Result<Vec<Vec<Release>>> {
    let releases = |revision: &str| -> Result<Vec<Release>> {
        let found = Tree::at_revision(tree.path(), revision)?.package(&work.head, package)?;
        Ok(found.map_or_else(Vec::new, |it| it.releases))
    };
    if let Some(base) = base {
        return Ok(vec![releases(base)?]);
    }
    if git::around(tree.path()).is_err() {
        return Ok(Vec::new());
    }
    // Most repositories have only some of these branches.
    Ok(FOLLOWED
        .into_iter()
        .chain(["HEAD", "HEAD~1"])
        .filter_map(|revision| releases(revision).ok())
        .collect())
}
