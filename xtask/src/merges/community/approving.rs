//! The signatures in the replay of days: owners sign what they publish, janitors what waits for them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use conex_core::model::digest::Digest;
use conex_core::model::name::{Id, PackageName};
use conex_core::model::path::Path;
use conex_core::model::statement::{Author, Authorisation, AuthorisationFields};
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Threshold;
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::tree::metadata::place;
use conex_core::tree::store::{Store, StoreError};

use super::{Community, Contribution, Touched, stored};

/// Packages with their owners.
pub(crate) type Owners = BTreeMap<PackageName, Vec<Id>>;

/// A pull request as its author makes it.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) contribution: Contribution,
    /// Whether the author enrolls with this pull request.
    pub(crate) enrolled: bool,
    /// Packages that are claimed with their first release.
    pub(crate) claimed: usize,
    /// Packages that the author signed for.
    pub(crate) owned: BTreeSet<PackageName>,
}

impl Community {
    /// Returns the people and claims that exist from day zero on, with their statements.
    pub(super) fn settle(
        &mut self,
        contribution: &mut Contribution,
        owners: &Owners,
    ) -> Result<Vec<(Subject, Digest)>> {
        let mut statements = Vec::new();
        let people: BTreeSet<&Id> = owners.values().flatten().collect();
        for id in people {
            let person = self.person(id);
            let author = self.author(&person)?;
            statements.push(self.author_statement(&author));
            let file = (place::author(id), author.to_text().into_bytes());
            contribution.files.push(file);
        }
        for (package, owners) in owners {
            let claim = authorisation(package, owners.clone())?;
            statements.push(self.authorisation(&claim));
            let file = (place::authorisation(package), claim.to_text().into_bytes());
            contribution.files.push(file);
        }
        Ok(statements)
    }

    /// Returns what an owner's pull request adds to its data: a page over the parts that they own, an
    /// enrolment for a new owner, and claims for new packages of theirs.
    pub(crate) fn publish(
        &mut self,
        id: &Id,
        base: usize,
        branch: &impl Store,
        touched: &Touched,
        theirs: &BTreeSet<PackageName>,
    ) -> Result<Published> {
        let mut published = Published::default();
        let mut statements = Vec::new();
        for (name, releases) in touched {
            let claim: Option<Authorisation> = stored(branch, &place::authorisation(name))?;
            match claim {
                Some(claim) if claim.owners.contains(id) => {}
                None if theirs.contains(name) => {
                    let claim = authorisation(name, vec![id.clone()])?;
                    let file = (place::authorisation(name), claim.to_text().into_bytes());
                    published.contribution.files.push(file);
                    published.claimed += 1;
                }
                _ => continue,
            }
            // Nobody can sign what cannot be read.
            if let Ok(found) = self.package_named(branch, name, releases) {
                statements.extend(found);
                published.owned.insert(name.clone());
            }
        }
        if statements.is_empty() {
            return Ok(Published::default());
        }
        let person = self.person(id);
        if stored::<Author>(branch, &place::author(id))?.is_none() {
            let author = self.author(&person)?;
            let file = (place::author(id), author.to_text().into_bytes());
            published.contribution.files.push(file);
            published.enrolled = true;
        }
        let vouches = self.vouches(statements, base);
        self.sign(&mut published.contribution, &person, vouches, base)?;
        Ok(published)
    }

    /// Returns what a janitor adds for a pull request ahead of its merge, based on the merged result.
    /// Returns `None` if there is nothing new to approve, or something cannot be read.
    pub(crate) fn approve_ahead(
        &mut self,
        janitor: &Id,
        at: usize,
        merged: &impl Store,
        touched: &Touched,
        stored_statements: &BTreeSet<Path>,
    ) -> Result<Option<Contribution>> {
        let Ok(statements) = self.statements(merged, touched, stored_statements) else {
            return Ok(None);
        };
        let new = statements.into_iter().filter(|it| self.is_new(it));
        let vouches = self.vouches(new.collect(), at);
        if vouches.is_empty() {
            return Ok(None);
        }
        let person = self.person(janitor);
        let mut contribution = Contribution::default();
        self.sign(&mut contribution, &person, vouches, at)?;
        Ok(Some(contribution))
    }

    /// Returns what several people add at once, each their own vouches.
    pub(crate) fn approve_all(
        &mut self,
        vouches: BTreeMap<Id, Vec<Vouch>>,
        at: usize,
    ) -> Result<Contribution> {
        let mut contribution = Contribution::default();
        for (id, vouches) in vouches {
            let person = self.person(&id);
            self.sign(&mut contribution, &person, vouches, at)?;
        }
        Ok(contribution)
    }
}

/// Returns the packages of a change that have no release before it but have one after it.
pub(crate) fn first_releases(
    base: &impl Store,
    branch: &impl Store,
    touched: &Touched,
) -> Result<BTreeSet<PackageName>> {
    let mut packages = BTreeSet::new();
    for name in touched.keys() {
        let directory = Path::parse(&format!("packages/{name}"))?;
        let absent = base.list(&directory) == Err(StoreError::Missing);
        if absent && branch.list(&directory).is_ok() {
            packages.insert(name.clone());
        }
    }
    Ok(packages)
}

fn authorisation(package: &PackageName, owners: Vec<Id>) -> Result<Authorisation> {
    Ok(Authorisation::new(AuthorisationFields {
        package: package.clone(),
        owners,
        threshold: Threshold::new(1).context("one is not zero")?,
        epoch: 0,
        retired: false,
    })?)
}
