//! How much of a state is read and judged (spec section 9.4).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;

use crate::model::name::{Id, PackageName};
use crate::model::page::BatchRef;
use crate::model::path::Path;
use crate::model::statement::Root;
use crate::model::vouch::Subject;
use crate::tree::metadata::StoredPage;

/// How much of a state is read and judged.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// All of it.
    Whole,
    /// What a change concerns.
    Change(Concerned),
}

/// What a change concerns. Whatever did not change and rests on nothing that changed is as it was verified.
#[derive(Debug, Clone, Default)]
pub(crate) struct Concerned {
    /// Files that changed.
    pub(crate) changed: BTreeSet<Path>,
    pub(crate) authors: BTreeSet<Id>,
    pub(crate) teams: BTreeSet<Id>,
    pub(crate) packages: BTreeSet<PackageName>,
    pub(crate) repository: bool,
    /// People whose votes may have changed: every batch that they name is read.
    pub(crate) deep: BTreeSet<Id>,
    /// Packages whose files changed.
    pub(crate) data: BTreeSet<PackageName>,
    /// The names of all the above.
    pub(crate) names: BTreeSet<Box<str>>,
}

impl Scope {
    /// Whether all of the state is judged.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }

    /// What the change concerns; `None` where all of the state is judged.
    pub(crate) fn change(&self) -> Option<&Concerned> {
        match self {
            Self::Whole => None,
            Self::Change(concerned) => Some(concerned),
        }
    }

    /// Whether a statement has to be judged.
    pub(crate) fn concerns(&self, subject: &Subject) -> bool {
        self.change().is_none_or(|it| it.concerns(subject))
    }

    /// The batches that are read on behalf of a page. In a large repository a page names hundreds, and every
    /// update asks for those of all janitors.
    pub(crate) fn batches<'p>(
        &self,
        page: &'p StoredPage,
    ) -> impl Iterator<Item = &'p BatchRef> + use<'_, 'p> {
        relevant(
            self.change(),
            page.page.body().batches(),
            !self.is_known(page),
        )
    }

    /// The batches that are read on behalf of a root's floor.
    pub(crate) fn floor<'r>(
        &self,
        root: &'r Root,
    ) -> impl Iterator<Item = &'r BatchRef> + use<'_, 'r> {
        relevant(self.change(), &root.floor, false)
    }

    /// Whether the signature of a page was verified with the state before: neither the page nor the keys of its
    /// signer changed.
    pub(crate) fn is_known(&self, page: &StoredPage) -> bool {
        self.change().is_some_and(|it| !it.is_new(page))
    }

    /// Whether the files of a package may have changed.
    pub(crate) fn has_new_data(&self, package: &PackageName) -> bool {
        self.change().is_none_or(|it| it.data.contains(package))
    }

    /// Whether a package has to be judged.
    pub(crate) fn has_package(&self, package: &PackageName) -> bool {
        self.change().is_none_or(|it| it.packages.contains(package))
    }

    /// Whether the repository files have to be judged.
    pub(crate) fn has_repository(&self) -> bool {
        self.change().is_none_or(|it| it.repository)
    }
}

impl Concerned {
    fn concerns(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Repository => self.repository,
            Subject::Author(id) => self.authors.contains(id),
            Subject::Team(id) => self.teams.contains(id),
            Subject::Authorisation(package)
            | Subject::Releases(package)
            | Subject::Checksums(package, _) => self.packages.contains(package),
        }
    }

    /// Whether a page came, went or changed, or the keys of its signer did.
    pub(crate) fn is_new(&self, page: &StoredPage) -> bool {
        self.changed.contains(&page.place) || self.deep.contains(page.page.body().signer())
    }

    /// Adds a statement.
    pub(crate) fn add(&mut self, subject: &Subject) {
        match subject {
            Subject::Repository => self.repository = true,
            Subject::Author(id) => {
                self.authors.insert(id.clone());
            }
            Subject::Team(id) => {
                self.teams.insert(id.clone());
            }
            Subject::Authorisation(package)
            | Subject::Releases(package)
            | Subject::Checksums(package, _) => {
                self.packages.insert(package.clone());
            }
        }
    }
}

/// The batches, of those that a page or a root names, that may speak of a name that is concerned; or all of them.
pub(crate) fn relevant<'c, 'b>(
    concerned: Option<&'c Concerned>,
    batches: &'b [BatchRef],
    all: bool,
) -> impl Iterator<Item = &'b BatchRef> + use<'c, 'b> {
    let concerned = concerned.filter(|_| !all);
    // Names and ranges are sorted: the first name that is not before a range is in it, or none is.
    let names = concerned.into_iter().flat_map(|it| &it.names);
    let mut names = names.map(|name| &**name).peekable();
    batches.iter().filter(move |reference| {
        let (first, last) = reference.range();
        while names.next_if(|name| *name < first).is_some() {}
        concerned.is_none() || names.peek().is_some_and(|name| *name <= last)
    })
}
