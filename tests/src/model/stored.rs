//! What is stored below `conex/` (sections 4.2, 5.7, and steps 1 and 3 of 8.3).

use std::collections::{BTreeMap, BTreeSet};

use conex_core::crypto::Crypto;
use conex_core::digest::{Context, Digest};
use conex_core::encoding;
use conex_core::name::{Id, Origin, PackageName};
use conex_core::page::{Batch, Page};
use conex_core::problem::Code;
use conex_core::spelling::{ParseError, Stored};
use conex_core::statement::{Author, Authorisation, Root, RootNumber, RootSignature, Team};
use conex_core::vouch::Subject;

use super::{Found, Tree};

/// A stored root with the signatures beside it.
#[derive(Debug, Clone)]
pub(super) struct StoredRoot {
    pub(super) root: Root,
    pub(super) digest: Digest,
    /// By place.
    pub(super) signatures: BTreeMap<String, RootSignature>,
}

impl StoredRoot {
    pub(super) fn place(number: u32) -> String {
        format!("conex/root/{number}.toml")
    }
}

/// The chain as it is stored.
#[derive(Debug, Clone, Default)]
pub(super) struct StoredRoots {
    pub(super) roots: BTreeMap<u32, StoredRoot>,
    /// Numbers of which there are signatures, or a root that cannot be read.
    pub(super) others: BTreeSet<u32>,
    pub(super) problems: Found,
}

/// A stored page.
#[derive(Debug, Clone)]
pub(super) struct StoredPage {
    pub(super) place: String,
    pub(super) digest: Digest,
    pub(super) page: Page,
}

/// Everything else below `conex/`.
#[derive(Debug, Clone, Default)]
pub(super) struct Metadata {
    pub(super) authors: BTreeMap<Id, Author>,
    pub(super) teams: BTreeMap<Id, Team>,
    pub(super) authorisations: BTreeMap<PackageName, Authorisation>,
    pub(super) pages: Vec<StoredPage>,
    pub(super) batches: BTreeMap<Digest, Batch>,
    /// The digest of each author, team and authorisation.
    pub(super) digests: BTreeMap<Subject, Digest>,
    pub(super) problems: Found,
}

/// The path below a directory, if it is there.
fn below<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    path.strip_prefix(directory)?.strip_prefix('/')
}

/// Reads one file; what cannot be read is `malformed`, or `too-large` (sections 5.6 and 8.3, step 3).
fn read<T: Stored>(path: &str, bytes: &[u8], problems: &mut Found) -> Option<T> {
    let report = |error: ParseError| {
        let code = if error.over_limit {
            Code::TooLarge
        } else {
            Code::Malformed
        };
        problems.insert((code, path.to_owned()));
    };
    T::from_bytes(bytes).map_err(report).ok()
}

/// Reads the chain (section 4.2, step 1 of 8.3).
pub(super) fn roots(tree: &Tree, crypto: &impl Crypto) -> StoredRoots {
    let mut stored = StoredRoots::default();
    let mut signatures = Vec::new();
    for (path, bytes) in tree {
        let Some(name) = below(path, "conex/root") else {
            continue;
        };
        if let Some((number, file)) = name.split_once('/') {
            match RootNumber::parse(number) {
                Some(number) if !file.contains('/') => {
                    stored.others.insert(number.as_u32());
                    signatures.push((number.as_u32(), path, bytes));
                }
                _ => unaccounted(path, "conex/root", &mut stored.problems),
            }
            continue;
        }
        let number = name.strip_suffix(".toml").and_then(RootNumber::parse);
        let Some(number) = number else {
            unaccounted(path, "conex/root", &mut stored.problems);
            continue;
        };
        stored.others.insert(number.as_u32());
        if let Some(root) = read::<Root>(path, bytes, &mut stored.problems) {
            if root.number == number {
                let digest = root.digest(crypto);
                let root = StoredRoot {
                    root,
                    digest,
                    signatures: BTreeMap::new(),
                };
                stored.roots.insert(number.as_u32(), root);
            } else {
                stored.problems.insert((Code::Misnamed, path.clone()));
            }
        }
    }
    for (number, path, bytes) in signatures {
        let Some(signature) = read::<RootSignature>(path, bytes, &mut stored.problems) else {
            continue;
        };
        if format!("conex/root/{number}/{}.toml", signature.name()) != *path {
            stored.problems.insert((Code::Misnamed, path.clone()));
        } else if let Some(root) = stored.roots.get_mut(&number) {
            root.signatures.insert(path.clone(), signature);
        }
    }
    stored
}

/// A path that section 5.7 does not know: the first of its components that is unknown.
fn unaccounted(path: &str, known: &str, problems: &mut Found) {
    let rest = below(path, known).unwrap_or_default();
    let first = rest.split('/').next().unwrap_or_default();
    problems.insert((Code::Unaccounted, format!("{known}/{first}")));
}

/// Reads everything else below `conex/` (step 3 of 8.3).
pub(super) fn metadata(tree: &Tree, origin: &Origin, crypto: &impl Crypto) -> Metadata {
    let mut stored = Metadata::default();
    for (path, bytes) in tree {
        let Some(inside) = below(path, "conex") else {
            continue;
        };
        let (directory, name) = inside.split_once('/').unwrap_or((inside, ""));
        match directory {
            "root" => {}
            "authors" => stored.author(path, name, bytes, origin, crypto),
            "teams" => stored.team(path, name, bytes, origin, crypto),
            "packages" => stored.authorisation(path, name, bytes, origin, crypto),
            "index" => stored.page(path, name, bytes, origin, crypto),
            "batches" => stored.batch(path, name, bytes, origin, crypto),
            ".gitattributes" if name.is_empty() => {
                if bytes != b"* -text\n" {
                    stored.problems.insert((Code::Malformed, path.clone()));
                }
            }
            _ => unaccounted(path, "conex", &mut stored.problems),
        }
    }
    stored
}

/// The name in the name of a file: what stands before `.toml`.
fn stem<'n>(path: &str, directory: &str, name: &'n str, problems: &mut Found) -> Option<&'n str> {
    let stem = name.strip_suffix(".toml").filter(|it| !it.contains('/'));
    if stem.is_none() {
        unaccounted(path, directory, problems);
    }
    stem
}

impl Metadata {
    fn misnamed(&mut self, path: &str) {
        self.problems.insert((Code::Misnamed, path.to_owned()));
    }

    fn bad_name(&mut self, path: &str) {
        self.problems.insert((Code::BadName, path.to_owned()));
    }

    fn author(&mut self, path: &str, name: &str, bytes: &[u8], origin: &Origin, it: &impl Crypto) {
        let Some(stem) = stem(path, "conex/authors", name, &mut self.problems) else {
            return;
        };
        let Ok(id) = Id::parse(stem) else {
            return self.bad_name(path);
        };
        let Some(author) = read::<Author>(path, bytes, &mut self.problems) else {
            return;
        };
        if author.id != id {
            return self.misnamed(path);
        }
        let digest = encoding::digest(it, Context::Author, origin, &author);
        self.digests.insert(Subject::Author(id.clone()), digest);
        self.authors.insert(id, author);
    }

    fn team(&mut self, path: &str, name: &str, bytes: &[u8], origin: &Origin, it: &impl Crypto) {
        let Some(stem) = stem(path, "conex/teams", name, &mut self.problems) else {
            return;
        };
        let Ok(id) = Id::parse(stem) else {
            return self.bad_name(path);
        };
        let Some(team) = read::<Team>(path, bytes, &mut self.problems) else {
            return;
        };
        if team.id != id {
            return self.misnamed(path);
        }
        let digest = encoding::digest(it, Context::Team, origin, &team);
        self.digests.insert(Subject::Team(id.clone()), digest);
        self.teams.insert(id, team);
    }

    fn authorisation(
        &mut self,
        path: &str,
        name: &str,
        bytes: &[u8],
        origin: &Origin,
        it: &impl Crypto,
    ) {
        let Some(stem) = stem(path, "conex/packages", name, &mut self.problems) else {
            return;
        };
        let Ok(package) = PackageName::parse(stem) else {
            return self.bad_name(path);
        };
        let Some(claim) = read::<Authorisation>(path, bytes, &mut self.problems) else {
            return;
        };
        if claim.package != package {
            return self.misnamed(path);
        }
        let digest = encoding::digest(it, Context::Authorisation, origin, &claim);
        let subject = Subject::Authorisation(package.clone());
        self.digests.insert(subject, digest);
        self.authorisations.insert(package, claim);
    }

    fn page(&mut self, path: &str, name: &str, bytes: &[u8], origin: &Origin, it: &impl Crypto) {
        let Some((signer, file)) = name.split_once('/') else {
            return unaccounted(path, "conex/index", &mut self.problems);
        };
        let directory = format!("conex/index/{signer}");
        let Ok(id) = Id::parse(signer) else {
            return self.bad_name(&directory);
        };
        if stem(path, &directory, file, &mut self.problems).is_none() {
            return;
        }
        let Some(page) = read::<Page>(path, bytes, &mut self.problems) else {
            return;
        };
        let digest = page.digest(origin, it);
        if *page.body().signer() != id || file != format!("{digest}.toml") {
            return self.misnamed(path);
        }
        self.pages.push(StoredPage {
            place: path.to_owned(),
            digest,
            page,
        });
    }

    fn batch(&mut self, path: &str, name: &str, bytes: &[u8], origin: &Origin, it: &impl Crypto) {
        if stem(path, "conex/batches", name, &mut self.problems).is_none() {
            return;
        }
        let Some(batch) = read::<Batch>(path, bytes, &mut self.problems) else {
            return;
        };
        let digest = batch.digest(origin, it);
        if name != format!("{digest}.toml") {
            return self.misnamed(path);
        }
        self.batches.insert(digest, batch);
    }
}
