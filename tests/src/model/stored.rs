//! What is stored below `conex/` (sections 4.2, 5.7, and steps 1 and 3 of 8.3).

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::crypto::Crypto;
use conex_core::model::digest::{Context, Digest};
use conex_core::model::encoding;
use conex_core::model::name::{Id, Origin, PackageName};
use conex_core::model::page::{Batch, Page};
use conex_core::model::path::Path;
use conex_core::model::statement::{Author, Authorisation, Root, RootNumber, RootSignature, Team};
use conex_core::model::stored::Stored;
use conex_core::model::vouch::Subject;
use conex_core::tree::problem::Code;

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

/// Reads one file; what cannot be read is `malformed` (sections 5.6 and 8.3, step 3).
fn read<T: Stored>(path: &str, bytes: &[u8], problems: &mut Found) -> Option<T> {
    let value = T::from_bytes(bytes).ok();
    if value.is_none() {
        problems.insert((Code::Malformed, path.to_owned()));
    }
    value
}

/// Whether a root that cannot be read says that it is of a newer format (section 5.6).
fn is_newer(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next();
    let number = line.and_then(|line| line.strip_prefix(b"format = "));
    number.is_some_and(|digits| match digits {
        [b'1'] => false,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    })
}

/// The components of a path below `conex/`, if each may stand where it stands; else the problem of the first
/// that may not (step 3 of 8.3).
fn account(path: &str) -> Result<Vec<&str>, (Code, String)> {
    let names: Vec<&str> = path.split('/').skip(1).collect();
    for at in 1..=names.len() {
        let names_so_far = names.get(..at).unwrap_or_default();
        let place = format!("conex/{}", names_so_far.join("/"));
        let is_directory = at < names.len();
        let code = match has_directory(names_so_far) {
            _ if Path::parse(&place).is_err() => Code::BadName,
            None => Code::Unaccounted,
            Some(expected) if expected != is_directory => Code::SpecialFile,
            Some(_) => continue,
        };
        return Err((code, place));
    }
    Ok(names)
}

/// Whether section 5.7 has a directory under a name, or a file; none where it has neither.
fn has_directory(names: &[&str]) -> Option<bool> {
    match names {
        [".gitattributes"] => Some(false),
        ["root" | "authors" | "teams" | "packages" | "index" | "batches"] => Some(true),
        ["root", name] => match name.strip_suffix(".toml") {
            Some(number) => RootNumber::parse(number).map(|_| false),
            None => RootNumber::parse(name).map(|_| true),
        },
        ["index", id] => Id::parse_own(id).ok().map(|_| true),
        ["root" | "index", _, file] | [_, file] => file.strip_suffix(".toml").map(|_| false),
        _ => None,
    }
}

/// Reads the chain (section 4.2, step 1 of 8.3).
pub(super) fn roots(tree: &Tree, crypto: &impl Crypto) -> StoredRoots {
    let mut stored = StoredRoots::default();
    if tree.contains_key("conex") {
        let place = "conex".to_owned();
        stored.problems.insert((Code::SpecialFile, place));
    }
    let mut signatures = Vec::new();
    for (path, bytes) in tree.iter().filter(|(path, _)| is_below(path, "conex/root")) {
        match account(path).as_deref() {
            Err(problem) => {
                stored.problems.insert(problem.clone());
            }
            Ok([_, number, _]) => {
                let number = number.parse().unwrap_or_default();
                stored.others.insert(number);
                signatures.push((number, path, bytes));
            }
            Ok([_, name]) => {
                let name = name.trim_end_matches(".toml");
                let number = name.parse().unwrap_or_default();
                stored.others.insert(number);
                stored.root(path, number, bytes, crypto);
            }
            Ok(_) => {}
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

/// Whether a path is that of a directory, or below it.
fn is_below(path: &str, directory: &str) -> bool {
    let rest = path.strip_prefix(directory);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl StoredRoots {
    fn root(&mut self, path: &str, number: u32, bytes: &[u8], crypto: &impl Crypto) {
        let code = match Root::from_bytes(bytes) {
            Ok(root) if root.number.as_u32() == number => {
                let digest = root.digest(crypto);
                let signatures = BTreeMap::new();
                let root = StoredRoot {
                    root,
                    digest,
                    signatures,
                };
                self.roots.insert(number, root);
                return;
            }
            Ok(_) => Code::Misnamed,
            Err(_) if is_newer(bytes) => Code::Upgrade,
            Err(_) => Code::Malformed,
        };
        self.problems.insert((code, path.to_owned()));
    }

    /// Whether a root is there that cannot be read (section 4.4, step 1).
    pub(super) fn is_any_unread(&self) -> bool {
        let mut places = self.problems.iter().map(|(_, place)| place.as_str());
        places.any(|place| {
            let name = place.strip_prefix("conex/root/");
            let number = name.and_then(|name| name.strip_suffix(".toml"));
            matches!(place, "conex" | "conex/root") || number.and_then(RootNumber::parse).is_some()
        })
    }
}

/// Reads everything else below `conex/` (step 3 of 8.3).
pub(super) fn metadata(tree: &Tree, origin: &Origin, crypto: &impl Crypto) -> Metadata {
    let mut stored = Metadata::default();
    for (path, bytes) in tree {
        if !path.starts_with("conex/") || is_below(path, "conex/root") {
            continue;
        }
        match account(path).as_deref() {
            Err(problem) => {
                stored.problems.insert(problem.clone());
            }
            Ok(["authors", _]) => stored.author(path, bytes, origin, crypto),
            Ok(["teams", _]) => stored.team(path, bytes, origin, crypto),
            Ok(["packages", _]) => stored.authorisation(path, bytes, origin, crypto),
            Ok(["index", ..]) => stored.page(path, bytes, origin, crypto),
            Ok(["batches", _]) => stored.batch(path, bytes, origin, crypto),
            Ok(_) => {
                if bytes != b"* -text\n" {
                    stored.problems.insert((Code::Malformed, path.clone()));
                }
            }
        }
    }
    stored
}

impl Metadata {
    /// Reads a file that has to have this name by what it holds.
    fn read<T: Stored>(
        &mut self,
        path: &str,
        bytes: &[u8],
        name: impl Fn(&T) -> String,
    ) -> Option<T> {
        let value = read::<T>(path, bytes, &mut self.problems)?;
        if name(&value) != path {
            self.problems.insert((Code::Misnamed, path.to_owned()));
            return None;
        }
        Some(value)
    }

    fn author(&mut self, path: &str, bytes: &[u8], origin: &Origin, it: &impl Crypto) {
        let name = |author: &Author| format!("conex/authors/{}.toml", author.id);
        if let Some(author) = self.read(path, bytes, name) {
            let digest = encoding::digest(it, Context::Author, origin, &author);
            self.digests
                .insert(Subject::Author(author.id.clone()), digest);
            self.authors.insert(author.id.clone(), author);
        }
    }

    fn team(&mut self, path: &str, bytes: &[u8], origin: &Origin, it: &impl Crypto) {
        let name = |team: &Team| format!("conex/teams/{}.toml", team.id);
        if let Some(team) = self.read(path, bytes, name) {
            let digest = encoding::digest(it, Context::Team, origin, &team);
            self.digests.insert(Subject::Team(team.id.clone()), digest);
            self.teams.insert(team.id.clone(), team);
        }
    }

    fn authorisation(&mut self, path: &str, bytes: &[u8], origin: &Origin, it: &impl Crypto) {
        let name = |claim: &Authorisation| format!("conex/packages/{}.toml", claim.package);
        if let Some(claim) = self.read(path, bytes, name) {
            let digest = encoding::digest(it, Context::Authorisation, origin, &claim);
            let subject = Subject::Authorisation(claim.package.clone());
            self.digests.insert(subject, digest);
            self.authorisations.insert(claim.package.clone(), claim);
        }
    }

    fn page(&mut self, path: &str, bytes: &[u8], origin: &Origin, it: &impl Crypto) {
        let name = |page: &Page| {
            let digest = page.digest(origin, it);
            format!("conex/index/{}/{digest}.toml", page.body().signer())
        };
        if let Some(page) = self.read(path, bytes, name) {
            self.pages.push(StoredPage {
                place: path.to_owned(),
                digest: page.digest(origin, it),
                page,
            });
        }
    }

    fn batch(&mut self, path: &str, bytes: &[u8], origin: &Origin, it: &impl Crypto) {
        let name = |batch: &Batch| format!("conex/batches/{}.toml", batch.digest(origin, it));
        if let Some(batch) = self.read(path, bytes, name) {
            self.batches.insert(batch.digest(origin, it), batch);
        }
    }
}
