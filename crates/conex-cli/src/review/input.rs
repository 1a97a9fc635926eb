//! The sources of changes, and the base they would be merged into.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use conex_core::model::path::Path as TreePath;
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::store::{Overlay, Store};
use conex_repo::git::log::Contributor;
use conex_repo::git::merge::Merge;
use conex_repo::git::refs::PULL_REQUESTS;
use conex_repo::git::{CommitId, GitError};
use conex_repo::{DirectoryStore, GitRepository, Patch, changes, patch};

use super::view::ConflictView;
use crate::error::{CommandError, Result, at};
use crate::output::plain;

/// Selects pull requests, and the base they would be merged into.
#[derive(Debug, clap::Args)]
pub(crate) struct PullRequests {
    /// Fetched pull requests: 29001, or 29001..29015, or several of these separated by commas
    #[arg(long = "pr", value_name = "NUMBERS", value_delimiter = ',', value_parser = numbers)]
    pub(crate) numbers: Vec<Numbers>,

    /// Where pull requests are fetched to; N stands for the number, `*` for any one component
    /// [default: refs/pull/N/head, refs/merge-requests/N/head, refs/remotes/*/pr/N and the like]
    #[arg(long, value_name = "REF")]
    pub(crate) pr_refs: Vec<String>,

    /// What they would be merged into [default: the first there is of main, master, origin/main,
    /// origin/master, HEAD]
    #[arg(long, value_name = "REVISION")]
    pub(crate) base: Option<String>,
}

/// The numbers of one pull request, or of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    first: u64,
    last: u64,
}

/// The most pull requests to review at once.
const MANY: u64 = 1_000;

fn numbers(text: &str) -> core::result::Result<Numbers, String> {
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|_| "write 29001, or 29001..29015".to_owned())
    };
    let (first, last) = match text.split_once("..") {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    match last.checked_sub(first) {
        None => Err(format!("{first} is greater than {last}")),
        Some(more) if more >= MANY => Err(format!("at most {MANY} at once")),
        Some(_) => Ok(Numbers { first, last }),
    }
}

/// The state that changes would be merged into.
pub(crate) struct Base {
    pub(crate) name: String,
    pub(crate) commit: Option<CommitId>,
    pub(crate) store: Box<dyn Store>,
    pub(crate) git: Option<GitRepository>,
    /// Extra files for the base and everything merged into it: pages that are written but not committed.
    extra: BTreeMap<TreePath, Option<Vec<u8>>>,
}

/// A change to review.
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) reference: Option<String>,
    pub(crate) commit: Option<CommitId>,
    pub(crate) by: Vec<Contributor>,
    pub(crate) outcome: Outcome,
}

/// The result of merging a change.
pub(crate) enum Outcome {
    /// The merged tree, and the paths where it differs from the base.
    Merged {
        store: Box<dyn Store>,
        changed: BTreeSet<TreePath>,
    },
    /// It cannot be merged.
    Conflicts(Vec<ConflictView>),
    /// It is not a change of this base.
    Refused(Problem),
}

/// The usual names of a main line.
const USUAL: [&str; 5] = ["main", "master", "origin/main", "origin/master", "HEAD"];

impl Base {
    /// Opens a revision of the git repository at a path: the named one, or a usual one.
    pub(crate) fn revision(repo: &Path, name: Option<&str>) -> Result<Self> {
        let git = GitRepository::open(repo)?;
        let name = match name {
            Some(name) => name,
            None => USUAL
                .into_iter()
                .find(|name| git.resolve(name).is_ok())
                .ok_or_else(|| {
                    CommandError::usage("there is no commit yet to compare with")
                        .hint("say what changes are merged into: --base REVISION")
                })?,
        };
        let commit = git.resolve(name)?;
        let store = git.store(commit)?;
        Ok(Self {
            name: name.to_owned(),
            commit: Some(commit),
            store: Box::new(store),
            git: Some(git),
            extra: BTreeMap::new(),
        })
    }

    /// Opens a directory as the base.
    pub(crate) fn directory(path: &Path) -> Result<Self> {
        Ok(Self {
            name: path.display().to_string(),
            commit: None,
            store: Box::new(open(path)?),
            git: None,
            extra: BTreeMap::new(),
        })
    }

    /// Adds files to the base, and so to everything merged into it.
    pub(crate) fn with(self, extra: BTreeMap<TreePath, Option<Vec<u8>>>) -> Result<Self> {
        let store = Overlay::new(self.store, extra.clone()).map_err(CommandError::refused)?;
        Ok(Self {
            store: Box::new(store),
            extra,
            ..self
        })
    }

    /// Merges a commit.
    pub(crate) fn merge(
        &self,
        name: String,
        reference: Option<String>,
        commit: CommitId,
    ) -> Result<Change> {
        let (Some(git), Some(onto)) = (&self.git, self.commit) else {
            return Err(CommandError::usage("only a commit can be merged into"));
        };
        let mut change = Change {
            name,
            reference,
            commit: Some(commit),
            by: Vec::new(),
            outcome: Outcome::Conflicts(Vec::new()),
        };
        let merge = match git.merge(onto, commit) {
            Ok(merge) => merge,
            Err(error @ GitError::Unrelated(..)) if git.is_shallow() => {
                return Err(CommandError::io(format_args!(
                    "{error}, as far as the history was fetched"
                ))
                .hint("fetch the rest of it: git fetch --unshallow"));
            }
            Err(error @ GitError::Unrelated(..)) => {
                change.outcome = Outcome::Conflicts(vec![ConflictView {
                    place: ".".into(),
                    why: error.to_string(),
                }]);
                return Ok(change);
            }
            Err(error) => return Err(error.into()),
        };
        change.by = git.contributors(onto, commit)?;
        change.outcome = match merge {
            Merge::Clean(merged) => {
                let store: Box<dyn Store> = if self.extra.is_empty() {
                    Box::new(merged.store)
                } else {
                    // Files of the change itself take precedence.
                    let mut extra = self.extra.clone();
                    extra.retain(|path, _| !merged.changed.contains(path));
                    Box::new(Overlay::new(merged.store, extra).map_err(CommandError::refused)?)
                };
                Outcome::Merged {
                    store,
                    changed: merged.changed,
                }
            }
            Merge::Conflicts(conflicts) => {
                let view = |it: &conex_repo::git::merge::Conflict| ConflictView {
                    place: it.place.clone(),
                    why: it.clash.to_string(),
                };
                Outcome::Conflicts(conflicts.iter().map(view).collect())
            }
        };
        Ok(change)
    }

    /// Merges a branch, or any other revision.
    pub(crate) fn branch(&self, name: &str) -> Result<Change> {
        let git = self.git.as_ref().ok_or_else(|| {
            CommandError::usage("this is no git repository")
                .hint("compare directories with --dir, or give a patch with --patch")
        })?;
        let commit = git.resolve(name)?;
        self.merge(name.to_owned(), None, commit)
    }

    /// Merges pull requests, each by itself. Also returns the numbers in ranges for which there is none:
    /// issues share the numbering.
    pub(crate) fn pull_requests(&self, asked: &PullRequests) -> Result<(Vec<Change>, Vec<u64>)> {
        let git = self.git.as_ref().ok_or_else(|| {
            CommandError::usage("pull requests are refs of a git repository, and this is none")
                .hint("run this in a clone, or give one with -C")
        })?;
        let templates: Vec<&str> = if asked.pr_refs.is_empty() {
            PULL_REQUESTS.to_vec()
        } else {
            asked.pr_refs.iter().map(String::as_str).collect()
        };
        let (mut found, mut absent, mut needed) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for numbers in &asked.numbers {
            for number in numbers.first..=numbers.last {
                if !seen.insert(number) {
                    continue;
                }
                match git.pull_request(number, &templates)? {
                    Some(it) => found.push((number, it)),
                    None if numbers.first == numbers.last => needed.push(number),
                    None => absent.push(number),
                }
            }
        }
        if !needed.is_empty() || found.is_empty() {
            needed.extend(absent);
            return Err(not_fetched(&needed, &templates));
        }
        let changes = found.into_iter().map(|(number, it)| {
            self.merge(
                format!("pull request {number}"),
                Some(it.reference),
                it.commit,
            )
        });
        Ok((changes.collect::<Result<_>>()?, absent))
    }

    /// Applies a patch to the base.
    pub(crate) fn patch(&self, path: &Path) -> Result<Change> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(patch::PATCH as u64 + 1).read_to_end(&mut bytes))
            .map_err(at(path.display()))?;
        let shown = path.display().to_string();
        let store = self.again()?;
        let applied = Patch::parse(&bytes).and_then(|patch| patch.apply(store));
        let outcome = match applied {
            Ok(overlay) => Outcome::Merged {
                changed: overlay.changed(),
                store: Box::new(overlay),
            },
            Err(error) => Outcome::Refused(
                Problem::new(Code::BadPatch, &shown, &error).at_line(Some(error.line)),
            ),
        };
        Ok(Change {
            name: format!("patch {shown}"),
            reference: None,
            commit: None,
            by: Vec::new(),
            outcome,
        })
    }

    /// Opens the base a second time, to put a patch on top of it.
    fn again(&self) -> Result<Box<dyn Store>> {
        Ok(match (&self.git, self.commit) {
            (Some(git), Some(commit)) => Box::new(git.store(commit)?),
            _ => Box::new(open(Path::new(&self.name))?),
        })
    }

    /// Compares the base with a directory.
    pub(crate) fn with_directory(&self, path: &Path) -> Result<Change> {
        let store = open(path)?;
        let changed = changes::changed(&self.store, &store).map_err(CommandError::io)?;
        Ok(Change {
            name: format!("directory {}", path.display()),
            reference: None,
            commit: None,
            by: Vec::new(),
            outcome: Outcome::Merged {
                store: Box::new(store),
                changed,
            },
        })
    }
}

fn open(path: &Path) -> Result<DirectoryStore> {
    DirectoryStore::open(path)
        .map_err(|error| CommandError::io(format_args!("{}: {error}", path.display())))
}

/// The most missing pull requests to name.
const NAMED: usize = 10;

fn not_fetched(numbers: &[u64], templates: &[&str]) -> CommandError {
    let names: Vec<String> = numbers.iter().take(NAMED).map(u64::to_string).collect();
    let more = match numbers.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let fetch = match numbers {
        [one] => format!("git fetch origin refs/pull/{one}/head:refs/pull/{one}/head"),
        _ => "git fetch origin 'refs/pull/*/head:refs/pull/*/head'".into(),
    };
    CommandError::usage(format_args!(
        "not fetched: pull request {}{more}; nothing else was done",
        names.join(", ")
    ))
    .hint(format_args!(
        "{fetch} (with the name of the remote; other forges have other refs)"
    ))
    .hint(format_args!(
        "looked for: {}; --pr-refs says where else",
        plain(&templates.join(", "))
    ))
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn numbers_of_pull_requests() {
        let parse = |text: &str| numbers(text).map(|it| (it.first, it.last));
        assert_eq!(parse("7"), Ok((7, 7)));
        assert_eq!(parse("7..9"), Ok((7, 9)));
        assert_eq!(parse("7..1006"), Ok((7, 1006)));
        for odd in [
            "",
            "..",
            "7..",
            "..7",
            "9..7",
            "-7",
            "7...9",
            "7..1007",
            "0..18446744073709551615",
        ] {
            assert!(parse(odd).is_err(), "{odd}");
        }
    }
}
