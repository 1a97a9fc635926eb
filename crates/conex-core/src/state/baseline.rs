//! The state that clients follow, as far as the versions of a main line have to be above it (spec section 6.4).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::name::PackageName;
use crate::model::statement::Root;
use crate::model::vouch::Subject;
use crate::state::approval::ApprovedVersion;
use crate::state::chain::{self, Trust};
use crate::state::settle::{Evidence, Signatures};
use crate::tree::metadata::{Metadata, MetadataReader};
use crate::tree::store::{Store, Workers};

/// The metadata of the state that clients follow. Its content is not read.
#[derive(Debug, Clone)]
pub struct Baseline {
    root: Root,
    metadata: Metadata,
}

impl Baseline {
    /// Reads what stands in `conex/` of a tree; `None` where no root is valid there.
    ///
    /// The tree's own first root is believed: a baseline says which versions to choose, and is no ground for
    /// accepting anything.
    pub fn read<S, C, W>(store: &S, crypto: &C, workers: &W) -> Option<Self>
    where
        S: Store + ?Sized,
        C: Crypto,
        W: Workers,
    {
        let mut reader = MetadataReader {
            store,
            workers,
            problems: Vec::new(),
        };
        let trust = Trust::DangerousSelfAsserted;
        let (head, _) = chain::follow(&reader.roots(), &trust, crypto);
        let root = head?.root().clone();
        let metadata = reader.rest(&root.origin, crypto);
        Some(Self { root, metadata })
    }

    /// The greatest approved version of every statement, without the votes under keys that another root revokes
    /// and this one does not (spec section 9.3).
    ///
    /// None at all where that root is of another repository.
    pub(crate) fn floors<C: Crypto, W: Workers>(
        &self,
        root: &Root,
        crypto: &C,
        workers: &W,
    ) -> Floors {
        if root.origin != self.root.origin {
            return Floors::default();
        }
        let evidence = Evidence {
            ahead: true,
            ..Evidence::new(
                self.root.clone(),
                self.metadata.clone(),
                Signatures::Verified,
            )
        };
        let state = evidence.settle(crypto, workers).state;
        let others = state.without_keys_of(root);
        let index = others.as_ref().unwrap_or(state.index());
        let newest = index.all().subjects().filter_map(|subject| {
            let newest = state.newest_by(index, subject, crypto)?;
            // Who approved it is known there by numbers that mean others elsewhere.
            let floor = ApprovedVersion {
                by: Vec::new(),
                margin: 0,
                ..newest
            };
            Some((subject.clone(), floor))
        });
        let newest: BTreeMap<Subject, ApprovedVersion> = newest.collect();
        let retired = self.retired().filter(|subject| {
            let stored = state.stored(subject, crypto);
            newest
                .get(subject)
                .is_some_and(|newest| Some(newest.digest) == stored)
        });
        Floors {
            retired: retired.collect(),
            newest,
        }
    }

    /// The authors, teams and authorisations that are retired there, approved or not.
    fn retired(&self) -> impl Iterator<Item = Subject> {
        let metadata = &self.metadata;
        let authors = metadata.authors.values().filter(|it| it.retired);
        let authors = authors.map(|it| Subject::Author(it.id.clone()));
        let teams = metadata.teams.values().filter(|it| it.retired);
        let teams = teams.map(|it| Subject::Team(it.id.clone()));
        let claims = metadata.authorisations.values().filter(|it| it.retired);
        let claims = claims.map(|it| Subject::Authorisation(it.package.clone()));
        authors.chain(teams).chain(claims)
    }
}

/// The greatest versions that clients have, by statement.
#[derive(Debug, Clone, Default)]
pub(crate) struct Floors {
    newest: BTreeMap<Subject, ApprovedVersion>,
    /// Who and what is retired for them, for ever.
    retired: BTreeSet<Subject>,
}

impl Floors {
    /// That of a statement.
    pub(crate) fn of(&self, subject: &Subject) -> Option<&ApprovedVersion> {
        self.newest.get(subject)
    }

    /// Whether an author, a team or an authorisation is retired for clients.
    pub(crate) fn is_retired(&self, subject: &Subject) -> bool {
        self.retired.contains(subject)
    }

    /// The packages that any of them is about.
    pub(crate) fn packages(&self) -> BTreeSet<&PackageName> {
        self.newest.keys().filter_map(Subject::package).collect()
    }

    /// The statements about releases of a package.
    pub(crate) fn checksums<'f>(
        &'f self,
        package: &PackageName,
    ) -> impl Iterator<Item = &'f Subject> + use<'f> {
        let first = Subject::Releases(package.clone());
        let name = package.clone();
        let after = self.newest.range(first..).map(|(subject, _)| subject);
        after
            .take_while(move |subject| subject.name() == name.as_str())
            .filter(|subject| matches!(subject, Subject::Checksums(..)))
    }
}
