//! The state before an update, and what may become of it (spec section 9).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::digest::Digest;
use crate::model::limits;
use crate::model::name::{PackageName, ReleaseName};
use crate::model::path::Path;
use crate::model::vouch::Subject;
use crate::state::State;
use crate::state::approval::ApprovedVersion;
use crate::state::finding::Finding;
use crate::state::index::Index;
use crate::state::judge::Equal;
use crate::tree::content::{Checksums, Package, Reader, Release};
use crate::tree::inventory::survey;
use crate::tree::layout::{Client, Layout, PackageUnit, ReleaseUnit, contract};
use crate::tree::metadata::place;
use crate::tree::problem::{Code, Problem};
use crate::tree::schemes::Known;
use crate::tree::store::Store;

/// A state that was verified, as far as an update concerns it.
#[derive(Clone, Copy)]
pub(crate) struct Past<'s> {
    pub(crate) store: &'s dyn Store,
    pub(crate) known: &'s Known,
    pub(crate) state: &'s State,
}

impl Past<'_> {
    /// The statements of a package whose files did not change, as they were approved: where the
    /// state was verified, that is what they are. None of a package that was unsigned.
    pub(crate) fn package<S: Store + ?Sized, C: Crypto>(
        &self,
        unit: &PackageUnit,
        reader: &Reader<'_, S, C>,
    ) -> Option<Result<Package, Vec<Problem>>> {
        let approved = |subject: &Subject| -> Option<Digest> {
            let newest = self.state.newest(subject, reader.digests)?;
            Some(newest.digest)
        };
        let digest = approved(&Subject::Releases(unit.name.clone()))?;
        let units = match contract::releases(reader.layout, &reader.store, unit) {
            Ok(units) => units,
            Err(problems) => return Some(Err(problems)),
        };
        let mut releases = units
            .into_iter()
            .map(|release| {
                let subject = Subject::Checksums(unit.name.clone(), release.name.clone());
                Some(Release {
                    place: match release.files.as_slice() {
                        [file] => file.clone(),
                        _ => release.directory.clone(),
                    },
                    directory: release.directory,
                    checksums: Checksums {
                        package: unit.name.clone(),
                        release: release.name,
                        files: Vec::new(),
                    },
                    digest: approved(&subject)?,
                    sources: Vec::new(),
                    whole: Vec::new(),
                })
            })
            .collect::<Option<Vec<Release>>>()?;
        releases.sort_by(|a, b| a.checksums.release.cmp(&b.checksums.release));
        (!releases.is_empty()).then(|| {
            Ok(Package {
                name: unit.name.clone(),
                releases,
                digests: alloc::vec![digest],
            })
        })
    }

    /// Where some releases of a package stood, if they were there.
    fn releases(
        &self,
        package: &PackageName,
        names: &[&ReleaseName],
        layout: &dyn Layout,
    ) -> Vec<ReleaseUnit> {
        let unit = if let Some(homes) = layout.homes(package, names) {
            let is_there = |home: &Path| self.store.list(home).is_ok();
            Some(PackageUnit {
                name: package.clone(),
                directories: homes.into_iter().filter(is_there).collect(),
            })
        } else {
            let units = survey(self.store, layout, self.state.root()).packages;
            units.into_iter().find(|unit| unit.name == *package)
        };
        let mut found = unit
            .and_then(|unit| contract::releases(layout, &self.store, &unit).ok())
            .unwrap_or_default();
        found.retain(|unit| names.contains(&&unit.name));
        found
    }

    /// Whether not both of a pair of releases were there.
    pub(crate) fn lacks(&self, equal: &Equal, layout: &dyn Layout) -> bool {
        let [first, second] = &equal.releases;
        self.releases(&equal.package, &[first, second], layout)
            .len()
            < 2
    }

    /// What became of this state and may not have.
    ///
    /// `findings` are those of the state now.
    pub(crate) fn transitions<S: Store + ?Sized, C: Crypto>(
        &self,
        now: &State,
        findings: &[Finding],
        reader: &Reader<'_, S, C>,
    ) -> Vec<Problem> {
        let crypto = reader.digests;
        let floors = self.state.without_keys_of(now.root());
        let mut transitions = Transitions {
            past: self,
            now,
            floors: floors.as_ref().unwrap_or(self.state.index()),
            reader,
            findings,
            present: None,
            problems: Vec::new(),
        };
        transitions.people();
        let index = self.state.index();
        for name in index.names() {
            // Only what was approved can be lost.
            let approved: Vec<&Subject> = index
                .named(name)
                .subjects()
                .filter(|subject| self.state.newest(subject, crypto).is_some())
                .collect();
            let package = approved.iter().find_map(|subject| subject.package());
            let lost = package.filter(|package| !transitions.is_signed(package));
            if let Some(package) = lost {
                transitions.stripped(package);
            }
            for subject in approved {
                match subject {
                    Subject::Releases(_) | Subject::Checksums(..) if lost.is_some() => {}
                    _ => transitions.statement(subject),
                }
                if let Subject::Checksums(package, release) = subject {
                    transitions.dropped(package, release);
                }
            }
        }
        transitions.problems
    }
}

/// Compares two states.
struct Transitions<'t, 's, 'r, S: ?Sized, C> {
    past: &'t Past<'s>,
    now: &'t State,
    floors: &'t Index,
    reader: &'t Reader<'r, S, C>,
    findings: &'t [Finding],
    /// Where each statement stands that is there now; made when it is needed.
    present: Option<BTreeMap<&'t Subject, &'t Path>>,
    problems: Vec<Problem>,
}

impl<S: Store + ?Sized, C: Crypto> Transitions<'_, '_, '_, S, C> {
    /// Nobody vanishes, and who is retired stays retired.
    fn people(&mut self) {
        let (before, after) = (self.past.state.metadata(), self.now.metadata());
        let authors = before.authors.iter().map(|(id, author)| {
            let now = after.authors.get(id).map(|author| author.retired);
            let subject = Subject::Author(id.clone());
            (subject, place::author(id), author.retired, now)
        });
        let teams = before.teams.iter().map(|(id, team)| {
            let now = after.teams.get(id).map(|team| team.retired);
            let subject = Subject::Team(id.clone());
            (subject, place::team(id), team.retired, now)
        });
        let claims = before.authorisations.iter().map(|(package, claim)| {
            let now = after.authorisations.get(package).map(|claim| claim.retired);
            let subject = Subject::Authorisation(package.clone());
            (subject, place::authorisation(package), claim.retired, now)
        });
        let all: Vec<_> = authors.chain(teams).chain(claims).collect();
        for (subject, place, was_retired, now) in all {
            match now {
                None => {
                    let detail = "was there before, and is not any more";
                    self.push(Code::Vanished, &place, &subject, detail);
                }
                Some(false) if was_retired => {
                    let crypto = self.reader.digests;
                    let stored = self.past.state.stored(&subject, crypto);
                    let floor = self.past.state.newest_by(self.floors, &subject, crypto);
                    if floor.is_some_and(|floor| Some(floor.digest) == stored) {
                        let detail = "was retired before, and is not any more";
                        self.push(Code::Revived, &place, &subject, detail);
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// Whether anything of a package is approved now, or somebody claimed it.
    fn is_signed(&self, package: &PackageName) -> bool {
        let of_package = |subject: &&Subject| subject.package().is_some();
        let (now, crypto) = (self.now, self.reader.digests);
        let said = now.index().named(package.as_str());
        let mut subjects = said.subjects().filter(of_package);
        now.ownership().is_claimed(package)
            || subjects.any(|subject| now.newest(subject, crypto).is_some())
    }

    /// A release does not go alone where the client takes another one for the same, and would drop
    /// both.
    fn dropped(&mut self, package: &PackageName, release: &ReleaseName) {
        let Some(client) = self.reader.layout.client() else {
            return;
        };
        let gone = Subject::Checksums(package.clone(), release.clone());
        if self.place(&gone).is_some() {
            return;
        }
        let version = client.version(release);
        let of_package = |subject: &&Subject| subject.package() == Some(package);
        let first = Subject::Releases(package.clone());
        let present = self
            .present
            .iter()
            .flat_map(|present| present.range::<&Subject, _>(&first..));
        let present = present.map(|(subject, _)| *subject).take_while(of_package);
        let mut equals = present.filter_map(|subject| match subject {
            Subject::Checksums(_, other) if client.version(other) == version => Some(other.clone()),
            _ => None,
        });
        let Some(other) = equals.next() else {
            return;
        };
        let layout = self.reader.layout;
        let before = self.past.releases(package, &[release, &other], layout);
        let stays = before.iter().find(|unit| unit.name == other);
        if let Some(stays) = stays.filter(|_| before.len() == 2)
            && !self.is_loaded_anew(stays, client)
        {
            let detail = format!(
                "the client takes {release}, which goes, and {other}, which stays, for one"
            );
            let subject = Subject::Releases(package.clone());
            self.push(
                Code::LostRelease,
                &stays.directory.clone(),
                &subject,
                &detail,
            );
        }
    }

    /// Whether the file that makes the client load a release changed; it is read again then.
    fn is_loaded_anew(&self, before: &ReleaseUnit, client: &dyn Client) -> bool {
        let read = |store: &dyn Store, file: &Path| {
            let mut bytes = Vec::new();
            let read = store.read(file, limits::DATA_FILE, &mut bytes);
            read.is_ok().then_some(bytes)
        };
        let files = before.files.iter();
        let mut loading = files.filter(|file| {
            file.parent().as_ref() == Some(&before.directory)
                && client.is_loaded_by(file.file_name())
        });
        loading.any(|file| read(self.past.store, file) != read(&self.reader.store, file))
    }

    /// Nothing is approved of a package of which something was.
    fn stripped(&mut self, package: &PackageName) {
        let subject = Subject::Releases(package.clone());
        let there = self.place(&subject);
        if let Some(place) = there {
            let detail = "was signed before, and nobody vouches for it now";
            self.push(Code::Stripped, &place, &subject, detail);
        } else if self.has_floor(package) {
            let detail = "was signed before, and nobody vouches for its absence now";
            self.push(Code::Stripped, &place::of(&subject), &subject, detail);
        }
    }

    /// Whether anything of a package that is not there must not be lost: what is gone is no danger, if only
    /// stolen keys had brought it.
    fn has_floor(&self, package: &PackageName) -> bool {
        let (past, crypto) = (self.past, self.reader.digests);
        let said = past.state.index().named(package.as_str());
        let mut subjects = said.subjects();
        subjects.any(|subject| {
            let floor = || past.state.newest_by(self.floors, subject, crypto);
            match subject {
                Subject::Releases(_) => floor().is_some(),
                Subject::Checksums(package, release) => {
                    floor().is_some_and(|it| self.is_absence(package, release, it.digest))
                }
                _ => false,
            }
        })
    }

    /// No version falls, and content changes only to a greater one.
    fn statement(&mut self, subject: &Subject) {
        let crypto = self.reader.digests;
        let Some(floor) = self.past.state.newest_by(self.floors, subject, crypto) else {
            self.repository_stays(subject);
            return;
        };
        let after = self.now.newest(subject, crypto);
        if self.is_allowed(subject, &floor, after.as_ref()) {
            return;
        }
        let before = floor.version;
        let (code, detail) = match &after {
            Some(after) if after.version == before => (
                Code::Equivocation,
                format!("version {before} was approved with another content before"),
            ),
            Some(after) => (
                Code::Rollback,
                format!(
                    "this is version {}, and {before} was there before",
                    after.version
                ),
            ),
            None if *subject == Subject::Repository => (Code::Stripped, UNSIGNED_FILES.into()),
            None => (
                Code::Rollback,
                format!("version {before} was approved before, and nothing is now"),
            ),
        };
        let place = self.place_or_name(subject);
        self.push(code, &place, subject, &detail);
    }

    /// Whether the greatest approved version of a statement may be what it is.
    fn is_allowed(
        &mut self,
        subject: &Subject,
        floor: &ApprovedVersion,
        after: Option<&ApprovedVersion>,
    ) -> bool {
        if after.is_some_and(|after| after.reaches(floor.version, floor.digest)) {
            return true;
        }
        match subject {
            Subject::Repository => false,
            // What is stored no more has vanished, and is reported as that.
            Subject::Author(_) | Subject::Team(_) | Subject::Authorisation(_) => {
                self.now.stored(subject, self.reader.digests).is_none()
            }
            Subject::Releases(package) | Subject::Checksums(package, _) => {
                if self.now.ownership().voids(package, floor.version) {
                    return true;
                }
                let is_there = self.place(subject).is_some();
                match subject {
                    // What is not there cannot be old, and what was not there could have lost these votes before
                    // it came. An approved absence is what sees to it that nothing old comes back.
                    Subject::Checksums(package, release) => {
                        let is_absence = self.is_absence(package, release, floor.digest);
                        let in_both = is_there && self.was_there(package, release);
                        !is_absence && !in_both
                    }
                    _ => after.is_some_and(|after| {
                        after.version == floor.version && self.is_same(package, floor.digest)
                    }),
                }
            }
        }
    }

    /// Repository files that were signed stay signed, whoever's keys are revoked.
    fn repository_stays(&mut self, subject: &Subject) {
        let (now, crypto) = (self.now, self.reader.digests);
        if *subject == Subject::Repository && now.newest(subject, crypto).is_none() {
            let place = self.place_or_name(subject);
            self.push(Code::Stripped, &place, subject, UNSIGNED_FILES);
        }
    }

    fn was_there(&self, package: &PackageName, release: &ReleaseName) -> bool {
        let before = self.past.releases(package, &[release], self.reader.layout);
        !before.is_empty()
    }

    /// Whether a digest of a release's `checksums` says that there are no files.
    fn is_absence(&self, package: &PackageName, release: &ReleaseName, digest: Digest) -> bool {
        self.reader.absent_release(package, release) == digest
    }

    /// Whether a package as it is has a digest under the projections of the head before: the same
    /// content has several where a community migrates.
    fn is_same(&self, package: &PackageName, digest: Digest) -> bool {
        let root = self.now.root();
        let projections = self.past.known.projections();
        if root.projections == self.past.state.root().projections && projections.len() < 2 {
            return false;
        }
        let reader = Reader {
            projections: &projections,
            ..*self.reader
        };
        let units = survey(reader.store, reader.layout, root).packages;
        let mut units = units.iter().filter(|unit| unit.name == *package);
        units
            .next()
            .and_then(|unit| reader.package(unit).ok())
            .is_some_and(|found| found.digests.contains(&digest))
    }

    /// Where a statement stands, if it is there.
    fn place(&mut self, subject: &Subject) -> Option<Path> {
        let findings = self.findings;
        let present = self.present.get_or_insert_with(|| {
            let present = findings.iter().filter(|finding| finding.present);
            present
                .map(|finding| (&finding.subject, &finding.place))
                .collect()
        });
        present.get(subject).map(|place| (*place).clone())
    }

    fn place_or_name(&mut self, subject: &Subject) -> Path {
        self.place(subject).unwrap_or_else(|| place::of(subject))
    }

    fn push(&mut self, code: Code, place: &Path, subject: &Subject, detail: &str) {
        self.problems
            .push(Problem::new(code, place, detail).about(subject));
    }
}

const UNSIGNED_FILES: &str =
    "the repository files were signed before, and nobody vouches for them now";
