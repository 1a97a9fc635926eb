//! Changes that land together with their approvals, so that clients accept the result at once.

use std::collections::BTreeSet;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use conex_core::model::digest::Digest;
use conex_core::model::name::{Id, PackageName};
use conex_core::model::path::Path;
use conex_core::model::statement::{Author, Authorisation, AuthorisationFields};
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Threshold;
use conex_core::model::vouch::Subject;
use conex_core::tree::layout::PackageUnit;
use conex_core::tree::metadata::place;
use conex_core::tree::store::Store;

use super::{Community, Contribution, Person, Touched, stored};

/// A change, and the people involved.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    /// Its position in the history.
    pub(crate) at: usize,
    /// The author, if they sign what they publish.
    pub(crate) author: Option<&'a Id>,
    /// The person who merged it. If they are not a janitor, a janitor signs in their place.
    pub(crate) merger: Option<&'a Id>,
    /// The releases it touches.
    pub(crate) touched: &'a Touched,
    /// The packages that have a new release.
    pub(crate) new: &'a BTreeSet<PackageName>,
}

/// A change to land, and how it was approved.
#[derive(Debug, Default)]
pub(crate) struct Landing {
    /// The files.
    pub(crate) contribution: Contribution,
    /// Whether somebody became an author.
    pub(crate) enrolled: bool,
    /// Packages that somebody claimed.
    pub(crate) claimed: usize,
    /// Whether an owner signed.
    pub(crate) owned: bool,
    /// Whether a second janitor had to sign.
    pub(crate) seconded: bool,
}

/// Statements, grouped by the signatures that they need.
#[derive(Default)]
struct Needs {
    owner: Vec<(Subject, Digest)>,
    janitor: Vec<(Subject, Digest)>,
    quorum: Vec<(Subject, Digest)>,
}

impl Community {
    /// Signs a change as the entitled people do: owners their packages, one janitor upkeep and unclaimed
    /// packages, two janitors the rest.
    ///
    /// An author enrolls with the first change, and claims any unclaimed package to which they add a
    /// release.
    pub(crate) fn landing(&mut self, tree: &impl Store, change: &Change<'_>) -> Result<Landing> {
        let mut landing = Landing::default();
        let mut needs = Needs::default();
        let is_janitor = |id: &Id| self.janitors.iter().any(|janitor| janitor.id == *id);
        let author = change.author.filter(|id| !is_janitor(id)).cloned();
        let author = author.map(|id| self.person(&id));
        if let Some(person) = &author {
            self.enroll(&mut landing, &mut needs, person, tree)?;
        }
        for (name, releases) in change.touched {
            let claim: Option<Authorisation> = stored(tree, &place::authorisation(name))?;
            let owner = author.as_ref().filter(|person| {
                let owns = |claim: &Authorisation| claim.owners.contains(&person.id);
                claim
                    .as_ref()
                    .map_or_else(|| change.new.contains(name), owns)
            });
            let new = self.package_named(tree, name, releases)?;
            let new = new.into_iter().filter(|statement| self.is_new(statement));
            match (claim, owner) {
                (None, Some(person)) => {
                    needs.quorum.push(self.claim(&mut landing, person, name)?);
                    // The janitors were entitled to what they have approved of it so far.
                    let unit = PackageUnit {
                        name: name.clone(),
                        directories: vec![Path::parse(&format!("packages/{name}"))?],
                    };
                    needs.owner.extend(self.package(tree, &unit, None)?);
                }
                (Some(_), Some(_)) => needs.owner.extend(new),
                (None, None) => needs.janitor.extend(new),
                (Some(_), None) => {
                    let (upkeep, source): (Vec<_>, Vec<_>) =
                        new.partition(|(subject, _)| matches!(subject, Subject::Checksums(..)));
                    needs.janitor.extend(upkeep);
                    needs.quorum.extend(source);
                }
            }
        }
        let repository = self.repository(tree)?;
        if self.is_new(&repository) {
            needs.quorum.push(repository);
        }
        self.sign_all(landing, needs, author.as_deref(), change)
    }

    fn sign_all(
        &self,
        mut landing: Landing,
        needs: Needs,
        author: Option<&Person>,
        change: &Change<'_>,
    ) -> Result<Landing> {
        let at = change.at;
        let Needs {
            owner,
            mut janitor,
            quorum,
        } = needs;
        landing.owned = !owner.is_empty();
        landing.seconded = !quorum.is_empty();
        janitor.extend(quorum.iter().cloned());
        let count = self.janitors.len();
        let merger = self
            .janitors
            .iter()
            .position(|janitor| Some(&janitor.id) == change.merger);
        let first = merger.unwrap_or(at % count);
        let second = (first + 1 + at % (count - 1)) % count;
        let person = |at: usize| self.janitors.get(at).map(Rc::as_ref);
        for (signer, statements) in [
            (author, owner),
            (person(first), janitor),
            (person(second), quorum),
        ] {
            if !statements.is_empty() {
                let signer = signer.context("there is somebody to sign")?;
                let vouches = self.vouches(statements, at);
                self.sign(&mut landing.contribution, signer, vouches, at)?;
            }
        }
        Ok(landing)
    }

    fn enroll(
        &self,
        landing: &mut Landing,
        needs: &mut Needs,
        person: &Person,
        tree: &impl Store,
    ) -> Result<()> {
        let place = place::author(&person.id);
        if stored::<Author>(tree, &place)?.is_some() {
            return Ok(());
        }
        let author = self.author(person)?;
        needs.quorum.push(self.author_statement(&author));
        let file = (place, author.to_text().into_bytes());
        landing.contribution.files.push(file);
        landing.enrolled = true;
        Ok(())
    }

    fn claim(
        &self,
        landing: &mut Landing,
        person: &Person,
        name: &PackageName,
    ) -> Result<(Subject, Digest)> {
        let claim = Authorisation::new(AuthorisationFields {
            package: name.clone(),
            owners: vec![person.id.clone()],
            threshold: Threshold::new(1).context("one is not zero")?,
            epoch: 0,
            retired: false,
        })?;
        let file = (place::authorisation(name), claim.to_text().into_bytes());
        landing.contribution.files.push(file);
        landing.claimed += 1;
        Ok(self.authorisation(&claim))
    }

    /// Whether the greatest version that anybody vouched for has other content.
    pub(super) fn is_new(&self, (subject, digest): &(Subject, Digest)) -> bool {
        let seen = self.seen.get(subject).map_or(&[][..], Vec::as_slice);
        let greatest = seen.iter().max_by_key(|(_, version, _)| *version);
        greatest.is_none_or(|(_, _, known)| known != digest)
    }
}
