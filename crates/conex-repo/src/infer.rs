//! Proposes owners of packages, by evidence in their files and in the history of the repository.
//!
//! There are three sources of evidence: whom the releases name as maintainers, who added the releases, and
//! whose account on a forge holds the sources. If they agree, a proposal is clear. It remains a proposal
//! for people to judge: nothing here proves who somebody is.

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::limits;
use conex_core::model::name::{Id, PackageName, ReleaseName};
use conex_core::model::path::Path;
use conex_core::tree::layout::{Layout, PackageUnit, ReleaseUnit};
use conex_core::tree::store::Store;
use rayon::prelude::*;

use crate::git::history::{Landing, Landings};
use crate::opam::facts::Facts;
use crate::opam::version;
use crate::people::{Handle, Home, Person};

/// The most owners of a proposal. A package that names more lists everybody who ever helped.
const OWNERS: usize = 8;

/// A package, with the evidence about its owners.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: PackageName,
    /// Its releases, oldest version first.
    pub releases: Vec<Release>,
}

/// A release, with the evidence about its owners.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its name.
    pub name: ReleaseName,
    /// The facts from its files. `None` if they cannot be read or contain no such facts.
    pub facts: Option<Facts>,
    /// How it was added to the repository, if known.
    pub landing: Option<Landing>,
}

/// Reads the facts of packages and joins them with their history.
pub fn packages(
    store: &dyn Store,
    layout: &dyn Layout,
    units: &[PackageUnit],
    landings: &Landings,
) -> Vec<Package> {
    let read = |unit: &PackageUnit| {
        // Faulty releases are not this module's concern. `conex verify` reports them.
        let releases = layout.releases(store, unit).unwrap_or_default();
        let mut releases: Vec<Release> = releases
            .into_iter()
            .map(|release| Release {
                facts: facts(store, layout, &release),
                landing: landings
                    .get(&(unit.name.clone(), release.name.clone()))
                    .cloned(),
                name: release.name,
            })
            .collect();
        releases.sort_by(|a, b| version::compare(a.name.as_str(), b.name.as_str()));
        Package {
            name: unit.name.clone(),
            releases,
        }
    };
    units.par_iter().map(read).collect()
}

/// Reads the facts from the description of a release.
fn facts(store: &dyn Store, layout: &dyn Layout, release: &ReleaseUnit) -> Option<Facts> {
    let described = release.files.iter().find(|file| {
        let inside = file.as_str().strip_prefix(release.directory.as_str());
        let inside = inside.and_then(|inside| inside.strip_prefix('/'));
        inside
            .and_then(|inside| Path::parse(inside).ok())
            .is_some_and(|inside| layout.is_projected(&inside))
    })?;
    let mut bytes = Vec::new();
    store.read(described, limits::DATA_FILE, &mut bytes).ok()?;
    Facts::read(&bytes).ok()
}

/// The people with known handles: from the user's statements, and from the accounts of enrolled authors.
#[derive(Debug, Clone, Default)]
pub struct Acquaintances(BTreeMap<Handle, Id>);

impl Acquaintances {
    /// Adds a handle. The first person to get it keeps it.
    ///
    /// # Errors
    /// The id of the person who has it already.
    pub fn add(&mut self, handle: Handle, id: &Id) -> Result<(), Id> {
        match self.0.get(&handle) {
            Some(other) if other != id => Err(other.clone()),
            _ => {
                self.0.insert(handle, id.clone());
                Ok(())
            }
        }
    }

    fn who(&self, handle: Handle) -> Who {
        match self.0.get(&handle) {
            Some(id) => Who::Known(id.clone()),
            None => Who::Unknown(handle),
        }
    }
}

/// A person in the evidence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// An author, a janitor or a team.
    Known(Id),
    /// Somebody who is not enrolled yet.
    Unknown(Handle),
}

impl Who {
    /// Returns their id, if they have one.
    pub fn id(&self) -> Option<&Id> {
        match self {
            Self::Known(id) => Some(id),
            Self::Unknown(_) => None,
        }
    }

    /// Whether they could be asked to enrol: more than a name, and not a mailing list.
    fn is_somebody(&self) -> bool {
        match self {
            Self::Known(_) | Self::Unknown(Handle::Account(_)) => true,
            Self::Unknown(Handle::Name(_)) => false,
            Self::Unknown(Handle::Address(address)) => !address.is_list(),
        }
    }
}

impl core::fmt::Display for Who {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Known(id) => core::fmt::Display::fmt(id, f),
            Self::Unknown(handle) => core::fmt::Display::fmt(handle, f),
        }
    }
}

/// How certain a proposal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Evidence of different kinds agrees, and nothing contradicts it.
    Clear,
    /// Just as clear, but it would give many packages to one person: examine them one by one.
    Many,
    /// Somebody is named or contributed, but nothing else supports it, or something contradicts it.
    Doubtful,
    /// Nobody is named who could be asked.
    Nobody,
}

impl Class {
    /// All classes, in the order in which they are presented.
    pub const ALL: [Self; 4] = [Self::Clear, Self::Many, Self::Doubtful, Self::Nobody];

    /// Returns the name of the class.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Many => "many",
            Self::Doubtful => "doubtful",
            Self::Nobody => "nobody",
        }
    }
}

/// The evidence for one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The person.
    pub who: Who,
    /// The number of releases that name them as maintainer.
    pub named: usize,
    /// Whether the newest release does.
    pub named_last: bool,
    /// The number of releases they added.
    pub added: usize,
    /// Whether the sources are in their account, according to the newest release.
    pub home: bool,
    /// Whether the newest release came from the very account that holds the sources.
    pub from_home: bool,
}

/// The proposed owners of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The package.
    pub package: PackageName,
    /// How certain it is.
    pub class: Class,
    /// The number of kinds of evidence for the owner with the least: being named in the newest release,
    /// being named in all of several releases, having added releases, having the sources.
    pub confidence: usize,
    /// The proposed owners, sorted.
    pub owners: Vec<Who>,
    /// All evidence about anybody, the strongest first.
    pub evidence: Vec<Evidence>,
    /// The evidence against the proposal.
    pub doubts: Vec<String>,
    /// The number of releases.
    pub releases: usize,
    /// The number of releases for which it is known who added them.
    pub known: usize,
}

impl Evidence {
    fn is_named_always(&self, releases: usize) -> bool {
        releases > 1 && self.named == releases
    }

    /// Returns the number of kinds of evidence.
    fn kinds(&self, releases: usize) -> usize {
        [
            self.named_last,
            self.is_named_always(releases),
            self.added > 0,
            self.home || self.from_home,
        ]
        .into_iter()
        .filter(|it| *it)
        .count()
    }

    /// Describes the evidence for this person in words.
    pub fn reasons(&self, proposal: &Proposal) -> Vec<String> {
        let mut reasons = Vec::new();
        match (self.named, proposal.releases) {
            (0, _) => {}
            (1, 1) => reasons.push("named in its one release".to_owned()),
            (named, all) if named == all => reasons.push(format!("named in all {all} releases")),
            (named, all) if self.named_last => {
                reasons.push(format!("named in {named} of {all} releases"));
            }
            (named, all) => reasons.push(format!(
                "named in {named} of {all} releases, not in the newest"
            )),
        }
        if self.added > 0 {
            reasons.push(match proposal.known {
                1 => "added the one whose adder is known".to_owned(),
                known => format!("added {} of {known} whose adder is known", self.added),
            });
        }
        if self.home {
            reasons.push("has the sources".to_owned());
        } else if self.from_home {
            reasons.push("the newest release came from the account of the sources".to_owned());
        }
        reasons
    }
}

/// Proposes owners for packages. Proposals that would give one person more than `few` clear packages get a
/// class of their own.
pub fn propose(packages: &[Package], known: &Acquaintances, few: usize) -> Vec<Proposal> {
    let mut proposals: Vec<Proposal> = packages
        .par_iter()
        .map(|package| Dossier::new(package, known).proposal(package))
        .collect();
    let mut clear: BTreeMap<Who, usize> = BTreeMap::new();
    let owners = proposals
        .iter()
        .filter(|proposal| proposal.class == Class::Clear)
        .flat_map(|proposal| &proposal.owners);
    for owner in owners {
        *clear.entry(owner.clone()).or_default() += 1;
    }
    let many = |owner: &Who| clear.get(owner).is_some_and(|count| *count > few);
    for proposal in &mut proposals {
        if proposal.class == Class::Clear && proposal.owners.iter().any(many) {
            proposal.class = Class::Many;
        }
    }
    proposals
}

/// Everything known about the people connected with a package.
struct Dossier {
    people: BTreeMap<Who, Evidence>,
    /// The person who added the newest release: the author of the commit, or else the holder of the account it came
    /// from.
    last_adder: Option<Who>,
    /// Whether only that account is known. It does not contradict an address, since both may belong to the
    /// same person.
    by_account: bool,
    known: usize,
}

impl Dossier {
    fn new(package: &Package, acquainted: &Acquaintances) -> Self {
        let mut dossier = Self {
            people: BTreeMap::new(),
            last_adder: None,
            by_account: false,
            known: 0,
        };
        // If the history has an address that no file has, and its name occurs with another address in a
        // file, then for this package both belong to the same person.
        let mut named: BTreeMap<String, Handle> = BTreeMap::new();
        let mut handles: BTreeSet<Handle> = BTreeSet::new();
        for person in package.maintainers() {
            if let Some(handle) = Handle::of(person) {
                named
                    .entry(person.name.to_lowercase())
                    .or_insert_with(|| handle.clone());
                handles.insert(handle);
            }
        }
        named.remove("");
        let who = |person: &Person| {
            let handle = Handle::of(person)?;
            let same = named
                .get(&person.name.to_lowercase())
                .filter(|_| !handles.contains(&handle));
            match acquainted.who(handle) {
                Who::Unknown(handle) => Some(acquainted.who(same.cloned().unwrap_or(handle))),
                known @ Who::Known(_) => Some(known),
            }
        };
        for (at, release) in package.releases.iter().rev().enumerate() {
            let is_last = at == 0;
            let facts = release.facts.as_ref();
            let maintainers: BTreeSet<Who> = facts
                .into_iter()
                .flat_map(|facts| &facts.maintainers)
                .filter_map(who)
                .collect();
            for maintainer in maintainers {
                let evidence = dossier.of(maintainer);
                evidence.named += 1;
                evidence.named_last |= is_last;
            }
            let Some(landing) = &release.landing else {
                continue;
            };
            let account = landing.account.clone().map(Handle::Account);
            let account = account.map(|account| acquainted.who(account));
            let author = landing.author.as_ref().and_then(who);
            dossier.known += usize::from(account.is_some() || author.is_some());
            if is_last {
                dossier.by_account = author.is_none();
                dossier.last_adder = author.clone().or_else(|| account.clone());
            }
            let adders: BTreeSet<Who> = author.into_iter().chain(account).collect();
            for adder in adders {
                dossier.of(adder).added += 1;
            }
        }
        dossier.homes(package, acquainted);
        dossier
    }

    fn of(&mut self, who: Who) -> &mut Evidence {
        self.people.entry(who.clone()).or_insert(Evidence {
            who,
            named: 0,
            named_last: false,
            added: 0,
            home: false,
            from_home: false,
        })
    }

    fn homes(&mut self, package: &Package, acquainted: &Acquaintances) {
        let Some(newest) = package.releases.last() else {
            return;
        };
        let homes = newest.facts.as_ref().map_or(&[][..], |facts| &facts.homes);
        for home in homes {
            let who = acquainted.who(Handle::Account(home.clone()));
            if let Some(evidence) = self.people.get_mut(&who) {
                evidence.home = true;
            } else if matches!(who, Who::Known(_)) {
                self.of(who).home = true;
            }
        }
        let from = newest.landing.as_ref().and_then(|it| it.account.as_ref());
        if from.is_some_and(|from: &Home| homes.contains(from)) {
            for evidence in self.people.values_mut() {
                evidence.from_home = evidence.named_last;
            }
        }
    }

    fn proposal(self, package: &Package) -> Proposal {
        let last_adder = self.last_adder.as_ref();
        let releases = package.releases.len();
        let named: Vec<&Evidence> = self.people.values().filter(|it| it.named_last).collect();
        let mut owners: Vec<&Evidence> = named
            .iter()
            .copied()
            .filter(|it| it.who.is_somebody())
            .collect();
        let mut doubts = Vec::new();
        if named.is_empty()
            && let Some(adder) = last_adder
        {
            owners.extend(self.people.get(adder));
            doubts.push("the newest release names no maintainer".to_owned());
        }
        let is_named = |who: &Who| named.iter().any(|it| it.who == *who);
        if let Some(adder) = last_adder.filter(|_| !self.by_account)
            && !named.is_empty()
            && !is_named(adder)
        {
            doubts.push(format!(
                "the newest release was added by {adder}, who is not named in it"
            ));
        }
        for it in owners.iter().filter(|it| it.kinds(releases) < 2) {
            doubts.push(format!("nothing else speaks for {}", it.who));
        }
        if owners.len() > OWNERS {
            doubts.push(format!("it names {} people", owners.len()));
        }
        let class = match (owners.is_empty(), doubts.is_empty()) {
            (true, _) => Class::Nobody,
            (false, true) => Class::Clear,
            (false, false) => Class::Doubtful,
        };
        let kinds = owners.iter().map(|it| it.kinds(releases));
        let confidence = kinds.min().unwrap_or(0);
        let owners = owners.iter().map(|it| it.who.clone()).collect();
        let mut evidence: Vec<Evidence> = self.people.values().cloned().collect();
        evidence.sort_by_key(|it| core::cmp::Reverse((it.kinds(releases), it.named, it.added)));
        Proposal {
            package: package.name.clone(),
            class,
            confidence,
            owners,
            evidence,
            doubts,
            releases,
            known: self.known,
        }
    }
}

impl Package {
    /// Returns all maintainers, as the releases name them.
    fn maintainers(&self) -> impl Iterator<Item = &Person> {
        let facts = self.releases.iter().filter_map(|it| it.facts.as_ref());
        facts.flat_map(|facts| &facts.maintainers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::history::Date;
    use crate::people::Address;

    /// Builds a package from its releases, each with its maintainers, the account of its sources, and who
    /// added it.
    fn package(releases: &[(&[&str], &str, Option<&str>)]) -> Package {
        let releases = releases.iter().enumerate();
        let release =
            |(at, (maintainers, home, adder)): (usize, &(&[&str], &str, Option<&str>))| {
                let facts = Facts {
                    maintainers: maintainers.iter().map(|it| Person::parse(it)).collect(),
                    homes: Home::parse(home).into_iter().collect(),
                    ..Facts::default()
                };
                Release {
                    name: ReleaseName::parse(&at.to_string()).unwrap(),
                    facts: Some(facts),
                    landing: adder.map(landing),
                }
            };
        Package {
            name: PackageName::parse("foo").unwrap(),
            releases: releases.map(release).collect(),
        }
    }

    /// Builds a landing by a person, or by a pull request from an account.
    fn landing(adder: &str) -> Landing {
        let account = Home::parse(adder);
        let author = Some(Person::parse(adder)).filter(|_| account.is_none());
        Landing {
            commit: crate::git::tests::no_commit(),
            date: Date(0),
            author,
            account,
        }
    }

    fn propose_one(package: Package, known: &[(&str, &str)]) -> Proposal {
        let mut acquainted = Acquaintances::default();
        for (id, handle) in known {
            let handle = Handle::parse(handle).unwrap();
            acquainted.add(handle, &Id::parse(id).unwrap()).unwrap();
        }
        propose(&[package], &acquainted, 20).remove(0)
    }

    fn owners(proposal: &Proposal) -> Vec<String> {
        proposal.owners.iter().map(ToString::to_string).collect()
    }

    const BOB: &str = "Bob <bob@x.org>";
    const CAROL: &str = "carol@x.org";

    #[test]
    fn what_agrees_is_clear() {
        for (releases, confidence) in [
            // Named in all of several releases.
            (&[(&[BOB][..], "", None), (&[BOB], "", None)][..], 2),
            // Added the release.
            (&[(&[BOB], "", Some("bob@x.org"))], 2),
            // Used another address with the same name.
            (&[(&[BOB], "", Some("Bob <bob@work.org>"))], 2),
            // The release came from the account of the sources.
            (
                &[(&[BOB], "https://github.com/b/foo", Some("github.com/b"))],
                2,
            ),
            (
                &[
                    (&[BOB], "https://github.com/b/foo", Some("bob@x.org")),
                    (&[BOB], "https://github.com/b/foo", Some("github.com/b")),
                ],
                4,
            ),
        ] {
            let proposal = propose_one(package(releases), &[]);
            assert_eq!(proposal.class, Class::Clear, "{proposal:#?}");
            assert_eq!(proposal.confidence, confidence, "{proposal:#?}");
            assert_eq!(owners(&proposal), ["bob@x.org"]);
        }
    }

    #[test]
    fn what_stands_alone_or_is_contradicted_is_doubtful() {
        for (releases, expected) in [
            (&[(&[BOB][..], "", None)][..], ["bob@x.org"].as_slice()),
            // Taken over, with no evidence by whom.
            (
                &[(&[BOB], "", None), (&[CAROL], "", None)],
                &["carol@x.org"],
            ),
            // Somebody else added the last release.
            (
                &[(&[BOB], "", None), (&[BOB], "", Some("eve@x.org"))],
                &["bob@x.org"],
            ),
            // One of the two has no other evidence.
            (
                &[(&[BOB], "", None), (&[BOB, CAROL], "", None)],
                &["bob@x.org", "carol@x.org"],
            ),
            // Nobody is named, but somebody contributed.
            (&[(&[], "", Some("bob@x.org"))], &["bob@x.org"]),
        ] {
            let proposal = propose_one(package(releases), &[]);
            assert_eq!(proposal.class, Class::Doubtful, "{proposal:#?}");
            assert_eq!(owners(&proposal), expected);
            assert!(!proposal.doubts.is_empty());
        }
    }

    #[test]
    fn who_cannot_be_asked_is_nobody() {
        for maintainers in [&["The foo team"][..], &["dev@lists.x.org"], &[]] {
            let releases = [(maintainers, "", None), (maintainers, "", None)];
            let proposal = propose_one(package(&releases), &[]);
            assert_eq!(proposal.class, Class::Nobody, "{maintainers:?}");
        }
        // Unless the user says who that is.
        let releases = [(&["The foo team"][..], "", None); 2];
        let proposal = propose_one(package(&releases), &[("foo-team", "The foo team")]);
        assert_eq!(proposal.class, Class::Clear);
        assert_eq!(owners(&proposal), ["foo-team"]);
    }

    #[test]
    fn handles_of_one_author_speak_for_the_same_person() {
        let releases = [(&[BOB][..], "https://github.com/b/foo", Some("github.com/b"))];
        let proposal = propose_one(
            package(&releases),
            &[("bob", "bob@x.org"), ("bob", "github.com/b")],
        );
        assert_eq!(owners(&proposal), ["bob"]);
        assert_eq!(proposal.confidence, 3);
        assert_eq!(
            proposal.evidence[0].reasons(&proposal),
            [
                "named in its one release",
                "added the one whose adder is known",
                "has the sources"
            ]
        );
    }

    #[test]
    fn a_known_account_says_nothing_against_an_address() {
        let releases = [(&[BOB][..], "https://github.com/b/foo", Some("github.com/b"))];
        let proposal = propose_one(package(&releases), &[("bob", "github.com/b")]);
        assert_eq!(proposal.class, Class::Clear);
        assert_eq!(owners(&proposal), ["bob@x.org"]);
        // But a person known to be somebody else does contradict it.
        let known = [("bob", "bob@x.org"), ("eve", "eve@x.org")];
        let releases = [(&[BOB][..], "", None), (&[BOB], "", Some("eve@x.org"))];
        let proposal = propose_one(package(&releases), &known);
        assert_eq!(proposal.class, Class::Doubtful);
    }

    #[test]
    fn nobody_has_the_address_of_another() {
        let mut acquainted = Acquaintances::default();
        let [bob, eve] = ["bob", "eve"].map(|id| Id::parse(id).unwrap());
        let handle = || Handle::Address(Address::parse("bob@x.org").unwrap());
        acquainted.add(handle(), &bob).unwrap();
        acquainted.add(handle(), &bob).unwrap();
        assert_eq!(acquainted.add(handle(), &eve), Err(bob));
    }

    #[test]
    fn who_would_get_much_is_looked_at_alone() {
        let clear = package(&[(&[BOB], "", None), (&[BOB], "", None)]);
        let packages = ["a", "b", "c"].map(|name| Package {
            name: PackageName::parse(name).unwrap(),
            ..clear.clone()
        });
        let class = |few| {
            let proposals = propose(&packages, &Acquaintances::default(), few);
            proposals[0].class
        };
        assert_eq!(class(3), Class::Clear);
        assert_eq!(class(2), Class::Many);
    }
}
