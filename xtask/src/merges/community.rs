//! The people of the replay, and their contributions: statements, pages, compactions.
//!
//! Everything uses the real types, digests and signatures. Nobody verifies it on the way.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use anyhow::{Context as _, Result, anyhow};
use conex_core::model::crypto::Digests as _;
use conex_core::model::digest::{Context, Digest};
use conex_core::model::encoding;
use conex_core::model::key::Fingerprint;
use conex_core::model::limits;
use conex_core::model::name::{Id, Origin, PackageName, ReleaseName};
use conex_core::model::page::{Batch, BatchRef, PageBody};
use conex_core::model::path::{Path, Pattern};
use conex_core::model::statement::{
    Author, AuthorFields, AuthorKey, Authorisation, AuthorisationFields, Checkpoints, Janitor,
    Root, RootFields, RootNumber, Scheme,
};
use conex_core::model::stored::Stored;
use conex_core::model::version::{Threshold, Version};
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::tools::compose::{Composition, Files, INLINE};
use conex_core::tree::content::Reader;
use conex_core::tree::layout::{Layout as _, PackageUnit};
use conex_core::tree::metadata::{ATTRIBUTES, place};
use conex_core::tree::projection::Projection;
use conex_core::tree::store::{Store, StoreError};
use conex_crypto::{SecretKey, StandardCrypto};
use conex_repo::layout::OpamLayout;
use conex_repo::opam::OpamProjection;

mod approving;
mod landing;

pub(crate) use approving::{Owners, Published, first_releases};
pub(crate) use landing::{Change, Landing};

/// The number of janitors who decide about people, ownership and sources.
pub(crate) const QUORUM: u16 = 2;

/// The rules on which communities may differ. The quorum is two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Janitors who decide about upkeep.
    pub(crate) upkeep: u16,
    /// Janitors who decide about unclaimed packages.
    pub(crate) unclaimed: u16,
    /// Janitors who sign day zero.
    pub(crate) signers: usize,
}

/// Files outside packages that clients do not read.
const IGNORED: [&str; 8] = [
    ".gitattributes",
    ".github/**",
    ".gitignore",
    "CHANGES.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "COPYING",
    "README.md",
];

/// A person with a key, which is derived from the id.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) id: Id,
    pub(crate) secret: SecretKey,
    pub(crate) key: Fingerprint,
}

impl Person {
    pub(crate) fn new(id: &Id) -> Self {
        let seed = StandardCrypto.sha256(format!("replayed key of {id}").as_bytes());
        let secret = SecretKey::from_seed(*seed.as_bytes());
        let key = StandardCrypto.fingerprint(secret.public_key());
        Self {
            id: id.clone(),
            secret,
            key,
        }
    }
}

/// The releases of each package that a change names.
pub(crate) type Touched = BTreeMap<PackageName, BTreeSet<ReleaseName>>;

/// A contribution that somebody adds at once.
#[derive(Debug, Default)]
pub(crate) struct Contribution {
    /// Files to store.
    pub(crate) files: Files,
    /// Files to remove.
    pub(crate) removed: Vec<Path>,
    pages: Vec<(Path, PageBody)>,
    batches: Vec<Batch>,
    vouches: Vec<Vouch>,
}

/// Everybody, and the contents of the main line.
#[derive(Debug)]
pub(crate) struct Community {
    origin: Origin,
    people: HashMap<Id, Rc<Person>>,
    janitors: Vec<Rc<Person>>,
    /// Vouches on the main line, each with the position at which it arrived.
    seen: HashMap<Subject, Vec<(usize, Version, Digest)>>,
    batches: BTreeMap<Digest, (usize, Batch)>,
    pages: BTreeMap<Id, BTreeMap<Path, PageBody>>,
    /// The package whose ownership everybody wants to change.
    contested: Option<(usize, PackageName)>,
}

impl Community {
    /// Creates a community of janitors.
    pub(crate) fn new(janitors: &[Id]) -> Result<Self> {
        let mut community = Self {
            origin: Origin::parse("opam-replay")?,
            people: HashMap::new(),
            janitors: Vec::new(),
            seen: HashMap::new(),
            batches: BTreeMap::new(),
            pages: BTreeMap::new(),
            contested: None,
        };
        community.janitors = janitors.iter().map(|id| community.person(id)).collect();
        Ok(community)
    }

    /// Returns the janitors' ids.
    pub(crate) fn janitors(&self) -> impl Iterator<Item = &Id> {
        self.janitors.iter().map(|janitor| &janitor.id)
    }

    /// Returns everybody who has pages on the main line.
    pub(crate) fn everybody(&self) -> Vec<Id> {
        self.pages.keys().cloned().collect()
    }

    /// Returns how many pages a person has on the main line.
    pub(crate) fn pages_of(&self, id: &Id) -> usize {
        self.pages.get(id).map_or(0, BTreeMap::len)
    }

    fn person(&mut self, id: &Id) -> Rc<Person> {
        let person = self
            .people
            .entry(id.clone())
            .or_insert_with(|| Rc::new(Person::new(id)));
        Rc::clone(person)
    }

    /// Plays day zero: the first root, and batches over everything that some of the janitors sign,
    /// including the people who own packages from then on.
    pub(crate) fn day_zero(
        &mut self,
        store: &impl Store,
        rules: Rules,
        owners: &Owners,
    ) -> Result<Contribution> {
        let threshold = |people| Threshold::new(people).context("a threshold is not zero");
        let root = Root::new(RootFields {
            origin: self.origin.clone(),
            number: RootNumber::FIRST,
            previous: None,
            janitors: self
                .janitors
                .iter()
                .map(|janitor| Janitor {
                    id: janitor.id.clone(),
                    keys: vec![janitor.secret.public_key().clone()],
                })
                .collect(),
            quorum: threshold(QUORUM)?,
            upkeep: threshold(rules.upkeep)?,
            unclaimed: threshold(rules.unclaimed)?,
            layout: Scheme::parse(OpamLayout.name())?,
            projections: vec![Scheme::parse(OpamProjection.name())?],
            ignore: IGNORED
                .iter()
                .chain(&["governance/**"])
                .map(|pattern| Ok(Pattern::parse(pattern)?))
                .collect::<Result<_>>()?,
            complete: true,
            revoked: Vec::new(),
            floor: Vec::new(),
            former: Vec::new(),
            checkpoints: Checkpoints::default(),
        })?;
        let mut contribution = Contribution::default();
        let mut store_file = |path: Path, text: String| {
            contribution.files.push((path, text.into_bytes()));
        };
        store_file(Path::parse(ATTRIBUTES.0)?, ATTRIBUTES.1.into());
        store_file(place::root(root.number), root.to_text());
        for janitor in &self.janitors {
            let signature = root.sign(janitor.id.clone(), &StandardCrypto, &janitor.secret)?;
            store_file(
                place::root_signature(root.number, &signature),
                signature.to_text(),
            );
        }
        let (units, problems) = OpamLayout.packages(store, &Path::parse("packages")?);
        if let Some(problem) = problems.first() {
            return Err(anyhow!("{problem:?}"));
        }
        let mut statements = self.settle(&mut contribution, owners)?;
        for unit in &units {
            statements.extend(self.package(store, unit, None)?);
        }
        statements.push(self.repository(store)?);
        let vouches = self.vouches(statements, 0);
        let signers: Vec<_> = self.janitors.iter().take(rules.signers).cloned().collect();
        for janitor in signers {
            self.sign(&mut contribution, &janitor, vouches.clone(), 0)?;
        }
        Ok(contribution)
    }

    /// Returns what a pull request adds to its data: a page, an enrolment for a new author, and claims for
    /// packages with new releases.
    pub(crate) fn contribute(
        &mut self,
        author: &Id,
        n: usize,
        base: usize,
        branch: &impl Store,
        touched: &Touched,
        new_releases_of: &BTreeSet<PackageName>,
    ) -> Result<Contribution> {
        let person = self.person(author);
        let mut contribution = Contribution::default();
        let mut statements = Vec::new();
        for (name, releases) in touched {
            statements.extend(self.package_named(branch, name, releases)?);
        }
        let is_janitor = self.janitors.iter().any(|janitor| janitor.id == *author);
        if !is_janitor && stored::<Author>(branch, &place::author(author))?.is_none() {
            let author = self.author(&person)?;
            contribution
                .files
                .push((place::author(&author.id), author.to_text().into_bytes()));
        }
        for authorisation in self.claims(&person, n, base, branch, new_releases_of)? {
            statements.push(self.authorisation(&authorisation));
            contribution.files.push((
                place::authorisation(&authorisation.package),
                authorisation.to_text().into_bytes(),
            ));
        }
        if statements.is_empty() {
            return Ok(contribution);
        }
        let vouches = self.vouches(statements, base);
        self.sign(&mut contribution, &person, vouches, base)?;
        Ok(contribution)
    }

    /// Returns claims of packages with a new release, and now and then a dispute about the first one.
    fn claims(
        &self,
        person: &Person,
        n: usize,
        base: usize,
        branch: &impl Store,
        new_releases_of: &BTreeSet<PackageName>,
    ) -> Result<Vec<Authorisation>> {
        let mut claims = Vec::new();
        for package in new_releases_of {
            let found: Option<Authorisation> = stored(branch, &place::authorisation(package))?;
            let fields = match found {
                None => AuthorisationFields {
                    package: package.clone(),
                    owners: vec![person.id.clone()],
                    threshold: Threshold::new(1).context("one is not zero")?,
                    epoch: 0,
                    retired: false,
                },
                Some(found) if found.owners.contains(&person.id) => continue,
                Some(found) => with_owner(found, &person.id),
            };
            claims.push(Authorisation::new(fields)?);
        }
        let contested = self
            .contested
            .as_ref()
            .filter(|(at, _)| *at <= base && n.is_multiple_of(10));
        if let Some((_, package)) = contested
            && !new_releases_of.contains(package)
            && let Some(found) = stored::<Authorisation>(branch, &place::authorisation(package))?
        {
            let fields = if n.is_multiple_of(20) {
                AuthorisationFields {
                    owners: vec![person.id.clone()],
                    ..found.into()
                }
            } else if found.owners.contains(&person.id) {
                return Ok(claims);
            } else {
                with_owner(found, &person.id)
            };
            claims.push(Authorisation::new(fields)?);
        }
        Ok(claims)
    }

    /// Returns what two janitors add at the end of a day: their vouches for what was merged on it.
    pub(crate) fn approve(
        &mut self,
        day: usize,
        at: usize,
        main: &impl Store,
        touched: &Touched,
        stored_statements: &BTreeSet<Path>,
    ) -> Result<Contribution> {
        let statements = self.statements(main, touched, stored_statements)?;
        let mut contribution = Contribution::default();
        if statements.is_empty() {
            return Ok(contribution);
        }
        let vouches = self.vouches(statements, at);
        let count = self.janitors.len();
        for turn in [day, day + 1] {
            let janitor = self.janitors.get(turn % count).map(Rc::clone);
            let janitor = janitor.context("there are janitors")?;
            self.sign(&mut contribution, &janitor, vouches.clone(), at)?;
        }
        Ok(contribution)
    }

    /// Returns the statements of a tree about the touched releases, about stored statements, and about the
    /// repository files if they changed.
    fn statements(
        &self,
        main: &impl Store,
        touched: &Touched,
        stored_statements: &BTreeSet<Path>,
    ) -> Result<Vec<(Subject, Digest)>> {
        let mut statements = Vec::new();
        for (name, releases) in touched {
            statements.extend(self.package_named(main, name, releases)?);
        }
        for place in stored_statements {
            if place.as_str().starts_with("conex/packages/") {
                let authorisation: Authorisation =
                    stored(main, place)?.with_context(|| place.to_string())?;
                statements.push(self.authorisation(&authorisation));
            } else {
                let author: Author = stored(main, place)?.with_context(|| place.to_string())?;
                statements.push(self.author_statement(&author));
            }
        }
        let (subject, digest) = self.repository(main)?;
        let last = self.seen.get(&subject).and_then(|seen| seen.last());
        if last.is_none_or(|(_, _, known)| *known != digest) {
            statements.push((subject, digest));
        }
        Ok(statements)
    }

    /// Returns a person as an author.
    fn author(&self, person: &Person) -> Result<Author> {
        Ok(Author::new(AuthorFields {
            id: person.id.clone(),
            accounts: Vec::new(),
            keys: vec![AuthorKey::prove(&self.origin, &person.id, &person.secret)?],
            former: Vec::new(),
            retired: false,
        })?)
    }

    fn author_statement(&self, author: &Author) -> (Subject, Digest) {
        let digest = encoding::digest(&StandardCrypto, Context::Author, &self.origin, author);
        (Subject::Author(author.id.clone()), digest)
    }

    /// Replaces all pages of a person on the main line by one, without superseded vouches. Batches stay as
    /// they are named: other pages may depend on them.
    pub(crate) fn compact(&mut self, id: &Id, at: usize) -> Result<Contribution> {
        let person = self.person(id);
        let pages = self.pages.get(id).cloned().unwrap_or_default();
        let mut references: BTreeSet<BatchRef> = BTreeSet::new();
        let mut greatest: BTreeMap<Subject, Vouch> = BTreeMap::new();
        for page in pages.values() {
            references.extend(page.batches().iter().cloned());
            for vouch in page.vouches() {
                let best = greatest
                    .entry(vouch.subject.clone())
                    .or_insert_with(|| vouch.clone());
                if vouch.version > best.version {
                    *best = vouch.clone();
                }
            }
        }
        let mut contribution = Contribution::default();
        let mut body = None;
        if greatest.len() > INLINE {
            let vouches: Vec<Vouch> = greatest.into_values().collect();
            let composition = self.compose(&person, &vouches, at)?;
            references.extend(composition.page.batches().iter().cloned());
            body = Some(composition.page.vouches().to_vec());
            contribution.batches.extend(composition.batches);
        } else if !greatest.is_empty() {
            body = Some(greatest.into_values().collect());
        }
        let references = references.into_iter().collect();
        let page = PageBody::new(id.clone(), person.key, references, body.unwrap_or_default())?;
        let composition = Composition {
            page,
            batches: contribution.batches.clone(),
        };
        let (page, files) = composition.sign(&self.origin, &StandardCrypto, &person.secret)?;
        let place = place::page(id, page.digest(&self.origin, &StandardCrypto));
        contribution.removed = pages.into_keys().filter(|old| *old != place).collect();
        contribution.files = files;
        contribution.pages.push((place, page.body().clone()));
        Ok(contribution)
    }

    /// Records what arrived on the main line. Returns the number of vouches for a version that had other
    /// content before.
    pub(crate) fn land(&mut self, contribution: Contribution, at: usize) -> usize {
        let mut second_contents = 0;
        for vouch in contribution.vouches {
            let seen = self.seen.entry(vouch.subject).or_default();
            let differs = |(_, version, digest): &(usize, Version, Digest)| {
                *version == vouch.version && *digest != vouch.digest
            };
            second_contents += usize::from(seen.iter().any(differs));
            seen.push((at, vouch.version, vouch.digest));
        }
        for batch in contribution.batches {
            let digest = batch.digest(&self.origin, &StandardCrypto);
            self.batches.entry(digest).or_insert((at, batch));
        }
        for pages in self.pages.values_mut() {
            pages.retain(|place, _| !contribution.removed.contains(place));
        }
        for (place, page) in contribution.pages {
            self.pages
                .entry(page.signer().clone())
                .or_default()
                .insert(place, page);
        }
        if self.contested.is_none() {
            let first = contribution.files.iter().find_map(|(place, _)| {
                place
                    .as_str()
                    .strip_prefix("conex/packages/")?
                    .strip_suffix(".toml")
            });
            self.contested = first
                .and_then(|name| PackageName::parse(name).ok())
                .map(|name| (at, name));
        }
        second_contents
    }

    /// Adds a signed page, and the batches it needs, to a contribution.
    fn sign(
        &self,
        contribution: &mut Contribution,
        person: &Person,
        vouches: Vec<Vouch>,
        base: usize,
    ) -> Result<()> {
        let stored = &contribution.batches;
        let mut known = self.batches_within(&vouches, base);
        for batch in stored {
            known.insert(batch.digest(&self.origin, &StandardCrypto), batch.clone());
        }
        let composition = Composition::new(
            &self.origin,
            &StandardCrypto,
            person.id.clone(),
            person.key,
            &vouches,
            &known,
            INLINE,
        )?;
        contribution
            .batches
            .extend(composition.batches.iter().cloned());
        let (page, files) = composition.sign(&self.origin, &StandardCrypto, &person.secret)?;
        let place = place::page(&person.id, page.digest(&self.origin, &StandardCrypto));
        contribution.pages.push((place, page.body().clone()));
        contribution.files.extend(files);
        contribution.vouches.extend(vouches);
        Ok(())
    }

    fn compose(&self, person: &Person, vouches: &[Vouch], base: usize) -> Result<Composition> {
        let known = self.batches_within(vouches, base);
        Ok(Composition::new(
            &self.origin,
            &StandardCrypto,
            person.id.clone(),
            person.key,
            vouches,
            &known,
            INLINE,
        )?)
    }

    /// Returns batches that existed at a position and are small enough to be part of these vouches.
    fn batches_within(&self, vouches: &[Vouch], base: usize) -> BTreeMap<Digest, Batch> {
        self.batches
            .iter()
            .filter(|(_, (at, batch))| *at <= base && batch.vouches().len() <= vouches.len())
            .map(|(digest, (_, batch))| (*digest, batch.clone()))
            .collect()
    }

    /// Vouches for statements: in the greatest visible version if it has exactly this content and no other,
    /// otherwise in the next one.
    fn vouches(&self, statements: Vec<(Subject, Digest)>, base: usize) -> Vec<Vouch> {
        let mut vouches = Vec::with_capacity(statements.len());
        for (subject, digest) in statements {
            let seen = self.seen.get(&subject).map_or(&[][..], Vec::as_slice);
            let visible = || seen.iter().filter(|(at, ..)| *at <= base);
            let version = match visible().map(|(_, version, _)| *version).max() {
                None => Some(Version::first(0)),
                Some(greatest) => {
                    let is_ours = visible()
                        .filter(|(_, version, _)| *version == greatest)
                        .all(|(_, _, known)| *known == digest);
                    if is_ours {
                        Some(greatest)
                    } else {
                        greatest.next()
                    }
                }
            };
            vouches.extend(version.map(|version| Vouch {
                subject,
                version,
                digest,
            }));
        }
        vouches
    }

    fn authorisation(&self, authorisation: &Authorisation) -> (Subject, Digest) {
        let digest = encoding::digest(
            &StandardCrypto,
            Context::Authorisation,
            &self.origin,
            authorisation,
        );
        (
            Subject::Authorisation(authorisation.package.clone()),
            digest,
        )
    }

    fn repository(&self, store: &impl Store) -> Result<(Subject, Digest)> {
        let files = [Path::parse("repo")?, Path::parse("version")?];
        let found = self.reader(store).repository(&files);
        let found = found.map_err(|problems| anyhow!("{problems:?}"))?;
        Ok((Subject::Repository, found.digest))
    }

    fn package_named(
        &self,
        store: &impl Store,
        name: &PackageName,
        releases: &BTreeSet<ReleaseName>,
    ) -> Result<Vec<(Subject, Digest)>> {
        let directory = Path::parse(&format!("packages/{name}"))?;
        if store.list(&directory) == Err(StoreError::Missing) {
            let digests = self.reader(store).absent(name).digests;
            return Ok(digests
                .into_iter()
                .map(|it| (Subject::Releases(name.clone()), it))
                .collect());
        }
        let unit = PackageUnit {
            name: name.clone(),
            directories: vec![directory],
        };
        self.package(store, &unit, Some(releases))
    }

    /// Returns the statements about a package: its releases, and the checksums of all or some of them.
    fn package(
        &self,
        store: &impl Store,
        unit: &PackageUnit,
        only: Option<&BTreeSet<ReleaseName>>,
    ) -> Result<Vec<(Subject, Digest)>> {
        let package = self
            .reader(store)
            .package(unit)
            .map_err(|problems| anyhow!("{problems:?}"))?;
        let name = &package.name;
        let mut statements: Vec<_> = package
            .digests
            .iter()
            .map(|digest| (Subject::Releases(name.clone()), *digest))
            .collect();
        for release in package.releases {
            let release_name = release.checksums.release;
            if only.is_none_or(|only| only.contains(&release_name)) {
                statements.push((
                    Subject::Checksums(name.clone(), release_name),
                    release.digest,
                ));
            }
        }
        Ok(statements)
    }

    fn reader<'a, S: Store>(&'a self, store: &'a S) -> Reader<'a, S, StandardCrypto> {
        const PROJECTIONS: &[&dyn Projection] = &[&OpamProjection];
        Reader {
            store,
            digests: &StandardCrypto,
            origin: &self.origin,
            layout: &OpamLayout,
            projections: PROJECTIONS,
        }
    }
}

fn with_owner(found: Authorisation, owner: &Id) -> AuthorisationFields {
    let mut fields: AuthorisationFields = found.into();
    fields.owners.push(owner.clone());
    fields
}

/// Returns a stored statement, if there is one.
fn stored<T: Stored>(store: &impl Store, place: &Path) -> Result<Option<T>> {
    let mut buffer = Vec::new();
    match store.read(place, limits::STATEMENT_FILE, &mut buffer) {
        Ok(()) => Ok(Some(
            T::from_bytes(&buffer).with_context(|| place.to_string())?,
        )),
        Err(StoreError::Missing) => Ok(None),
        Err(error) => Err(error).with_context(|| place.to_string()),
    }
}
