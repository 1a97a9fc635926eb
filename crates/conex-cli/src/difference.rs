//! How a package differs from the state in which it was last approved, release by release.

use std::collections::BTreeMap;

use conex_core::approval::Standing;
use conex_core::content::{Package, Release};
use conex_core::digest::Digest;
use conex_core::name::{PackageName, ReleaseName};
use conex_core::verify::Finding;
use conex_repo::GitRepository;

use crate::error::{CommandError, Result};
use crate::tree::{Tree, Work};

/// What became of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// What is fetched, built or run changed.
    Source,
    /// Only bounds, availability or descriptions changed.
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

/// A package as it was approved and as it is.
pub(crate) struct Difference {
    /// As it was last approved; without releases where nothing was.
    pub(crate) before: Vec<Release>,
    pub(crate) now: Vec<Release>,
}

impl Difference {
    /// Finds the last approved state of a package: in a git revision that was asked for, on the
    /// branch `signed`, or in the last commit. Nothing is believed of a revision but that its
    /// content has the approved digest.
    ///
    /// `named` says which releases are about to be published: where no revision has the approved
    /// state, and the package without new ones among those has, that is it.
    pub(crate) fn of(
        tree: &Tree,
        work: &Work,
        package: &PackageName,
        releases: Option<&Finding>,
        named: &[ReleaseName],
        base: Option<&str>,
    ) -> Result<Self> {
        let now = tree
            .package(&work.head, package)?
            .map_or_else(Vec::new, |it| it.releases);
        let Some(approved) = releases.and_then(approved) else {
            return Ok(Self {
                before: Vec::new(),
                now,
            });
        };
        if let Some(before) = in_revisions(tree, work, package, approved, base)? {
            return Ok(Self { before, now });
        }
        let without: Vec<Release> = now
            .iter()
            .filter(|release| !named.contains(&release.checksums.release))
            .cloned()
            .collect();
        if tree.releases_digest(&work.head, package, &without)? == approved {
            return Ok(Self {
                before: without,
                now,
            });
        }
        if tree.releases_digest(&work.head, package, &now)? == approved {
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

    /// Every release that differs, by name.
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

    /// The releases as they were, with only the named ones as they are.
    pub(crate) fn with_only(&self, named: &[ReleaseName]) -> Vec<Release> {
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

/// The digest of the `releases` that were last approved.
fn approved(finding: &Finding) -> Option<Digest> {
    match &finding.assessment.standing {
        Standing::Approved(approved) => Some(approved.digest),
        Standing::Behind { newest, .. } | Standing::Differs { newest } => Some(newest.digest),
        Standing::Equivocal { .. } | Standing::Pending => None,
    }
}

fn in_revisions(
    tree: &Tree,
    work: &Work,
    package: &PackageName,
    approved: Digest,
    base: Option<&str>,
) -> Result<Option<Vec<Release>>> {
    let fits = |found: Option<Package>| {
        found
            .filter(|it| it.digests.contains(&approved))
            .map(|it| it.releases)
    };
    if let Some(base) = base {
        let found = Tree::at_revision(tree.path(), base)?.package(&work.head, package)?;
        return fits(found).map(Some).ok_or_else(|| {
            CommandError::refused(format_args!(
                "{base} does not have {package} as it was last approved"
            ))
            .hint("give an older or newer revision with --base")
        });
    }
    if GitRepository::open(tree.path()).is_err() {
        return Ok(None);
    }
    for revision in [
        "signed",
        "origin/signed",
        "upstream/signed",
        "HEAD",
        "HEAD~1",
    ] {
        let Ok(revision) = Tree::at_revision(tree.path(), revision) else {
            continue;
        };
        if let Ok(found) = revision.package(&work.head, package)
            && let Some(releases) = fits(found)
        {
            return Ok(Some(releases));
        }
    }
    Ok(None)
}
