//! Who owns what, and the rules that follow from it (spec section 3.2).

use alloc::collections::BTreeMap;

use crate::model::name::PackageName;
use crate::model::statement::Root;
use crate::model::version::{Threshold, Version};
use crate::model::vouch::Subject;
use crate::state::approval::{Epoch, Rule};
use crate::state::people::Owners;

/// Who owns what: the approved authorisations.
#[derive(Debug, Default)]
pub(crate) struct Ownership {
    pub(super) owned: BTreeMap<PackageName, Owned>,
    /// Packages with an approved authorisation that is absent: approved ahead, or deleted. Until
    /// it is there, nobody but the quorum can say anything of them, in that epoch.
    pub(super) absent: BTreeMap<PackageName, u32>,
}

#[derive(Debug)]
pub(super) struct Owned {
    pub(super) epoch: u32,
    pub(super) retired: bool,
    /// The owners; none when the authorisation is not approved, so that only the quorum can.
    pub(super) owners: Option<(Owners, Threshold)>,
}

impl Ownership {
    /// The packages with an authorisation.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &PackageName> {
        self.owned.keys()
    }

    /// The epoch of a package's versions.
    pub(crate) fn epoch(&self, package: &PackageName) -> u32 {
        match self.owned.get(package) {
            Some(owned) => owned.epoch,
            None => self.absent.get(package).copied().unwrap_or(0),
        }
    }

    /// Whether somebody claimed a package: once claimed, always claimed.
    pub(crate) fn is_claimed(&self, package: &PackageName) -> bool {
        self.owned.contains_key(package) || self.absent.contains_key(package)
    }

    /// Whether a package is retired by an approved authorisation.
    pub(crate) fn is_retired(&self, package: &PackageName) -> bool {
        self.owned
            .get(package)
            .is_some_and(|owned| owned.retired && owned.owners.is_some())
    }

    /// Whether what was said of a package's content in a version does not hold it any more: a raised epoch voids it,
    /// and a retired package has no content.
    pub(crate) fn voids(&self, package: &PackageName, version: Version) -> bool {
        self.epoch(package) > version.epoch() || self.is_retired(package)
    }

    /// The rules for `releases` and `checksums` of a package.
    pub(crate) fn rules(&self, root: &Root, package: &PackageName) -> (Rule, Rule) {
        let claim = match self.owned.get(package) {
            None if self.absent.contains_key(package) => Claim::Pending,
            None => Claim::None,
            Some(owned) => owned.owners.as_ref().map_or(Claim::Pending, Claim::Of),
        };
        claim.rules(root, self.epoch(package))
    }

    /// The rule that a statement is judged by.
    pub(crate) fn rule(&self, root: &Root, subject: &Subject) -> Rule {
        let quorum = |epoch| Rule {
            owners: None,
            janitors: root.quorum,
            epoch,
        };
        match subject {
            Subject::Repository | Subject::Author(_) | Subject::Team(_) => quorum(Epoch::Only(0)),
            Subject::Authorisation(package) => quorum(Epoch::Sets(self.epoch(package))),
            Subject::Releases(package) => self.rules(root, package).0,
            Subject::Checksums(package, _) => self.rules(root, package).1,
        }
    }

    /// The owners of a package and how many of them have to agree, by an approved authorisation.
    pub(crate) fn owners(&self, package: &PackageName) -> Option<&(Owners, Threshold)> {
        self.owned.get(package)?.owners.as_ref()
    }
}

/// Who has a say in a package's content.
#[derive(Debug, Clone, Copy)]
enum Claim<'o> {
    /// Nobody owns it.
    None,
    /// Somebody claimed it, and that is not approved: it gives nobody anything, and the quorum remains.
    Pending,
    /// These own it.
    Of(&'o (Owners, Threshold)),
}

impl Claim<'_> {
    /// The rules for `releases` and `checksums` of a package.
    fn rules(self, root: &Root, epoch: u32) -> (Rule, Rule) {
        let rule = |owners, janitors| Rule {
            owners,
            janitors,
            epoch: Epoch::Only(epoch),
        };
        match self {
            Self::None => (
                rule(None, root.unclaimed),
                rule(None, root.unclaimed.min(root.upkeep)),
            ),
            Self::Pending => (rule(None, root.quorum), rule(None, root.quorum)),
            Self::Of(owners) => (
                rule(Some(owners.clone()), root.quorum),
                rule(Some(owners.clone()), root.upkeep),
            ),
        }
    }
}
