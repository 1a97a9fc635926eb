//! The main line of a repository, and who added each release to it.
//!
//! The main line consists of the first parents of a commit: what the merge button of a forge creates. It is
//! walked once, and only trees that differ are read, down to the directories of releases. The author of a
//! commit is whoever the commit claims: evidence for people to judge.

use core::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use conex_core::model::limits;
use conex_core::model::name::{PackageName, ReleaseName};
use conex_core::model::path::Path;
use conex_core::tree::layout::{Layout, Place};
use conex_core::tree::metadata;
use conex_core::tree::store::{EntryKind, StoreError};
use gix::ObjectId;
use gix::objs::{CommitRef, Kind, TreeRefIter};
use rayon::prelude::*;

use super::{CommitId, GitError, GitRepository, Shared};
use crate::people::{Address, Home, Person};

/// A commit, with its information about people and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// The parent commits; none at the beginning of the known history.
    pub parents: Vec<CommitId>,
    /// The author.
    pub author: Person,
    /// The time of the commit.
    pub date: Date,
    /// The first line of the message.
    pub subject: String,
    tree: ObjectId,
}

/// A time, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i64);

/// How a release was added to the main line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// The commit of the main line that added it.
    pub commit: CommitId,
    /// The time of that commit.
    pub date: Date,
    /// The author of the commit that added it. `None` if only the merge is known: whoever pressed the
    /// button is not the author.
    pub author: Option<Person>,
    /// The account on a forge from which the pull request came, if the merge names it.
    pub account: Option<Home>,
}

/// Releases by their names.
pub type Landings = BTreeMap<(PackageName, ReleaseName), Landing>;

/// The most commits of one merged branch to search for the one that added a release.
const BRANCH: usize = 512;

/// The number of steps worth a job of their own.
const STEPS: usize = 128;

impl GitRepository {
    /// Returns a commit and the chain of its first parents, oldest first.
    ///
    /// The history begins at a commit without a parent, or where a shallow clone ends.
    ///
    /// # Errors
    /// [`GitError::Object`] when a commit is missing or broken.
    pub fn main_line(&self, tip: CommitId) -> Result<Vec<Commit>, GitError> {
        let shallow = self.shallow()?;
        let mut line = Vec::new();
        let mut next = Some(tip);
        while let Some(id) = next {
            let commit = self.shared.commit(id, &shallow)?;
            next = commit.parents.first().copied();
            line.push(commit);
        }
        line.reverse();
        Ok(line)
    }

    /// Returns, for each release that the main line ever had, who first added it.
    ///
    /// Releases in the first commit existed before, so it is not known who added them. For a merge, the
    /// merged branch is searched for the author of the commit that added the release.
    ///
    /// # Errors
    /// [`GitError::Object`] when a commit or tree is missing or broken.
    #[tracing::instrument(level = "debug", skip_all, err)]
    pub fn landings(&self, line: &[Commit], layout: &dyn Layout) -> Result<Landings, GitError> {
        let shallow = self.shallow()?;
        let before = || line.iter().map(|commit| commit.tree);
        let steps: Vec<(ObjectId, &Commit)> = before().zip(line.iter().skip(1)).collect();
        let brought: Vec<Vec<Vec<Release>>> = steps
            .par_chunks(STEPS)
            .map(|steps| {
                let steps = steps.iter();
                steps
                    .map(|(old, new)| self.shared.added(layout, *old, new))
                    .collect()
            })
            .collect::<Result<_, _>>()?;
        let first = line.first().map(|commit| commit.tree);
        let mut known: BTreeSet<Release> = match first {
            Some(tree) => self.shared.releases(layout, tree)?.into_iter().collect(),
            None => BTreeSet::new(),
        };
        let main: HashSet<CommitId> = line.iter().map(|commit| commit.id).collect();
        let mut landings = Landings::new();
        for ((_, commit), mut added) in steps.iter().zip(brought.into_iter().flatten()) {
            added.retain(|release| known.insert(release.clone()));
            if added.is_empty() {
                continue;
            }
            let merged = self.branch_of(commit, &main, &shallow, layout)?;
            let account = pulled_from(&commit.subject);
            for release in added {
                let written = merged.get(&release).cloned();
                // If the branch is not available, the author of a merge is only the person who pressed the
                // button.
                let own = || account.is_none().then(|| commit.author.clone());
                let landing = Landing {
                    commit: commit.id,
                    date: commit.date,
                    author: written.or_else(own),
                    account: account.clone(),
                };
                landings.insert(release, landing);
            }
        }
        Ok(landings)
    }

    /// Finds who added which releases on the branches that a commit merges. The oldest commit counts.
    fn branch_of(
        &self,
        merge: &Commit,
        main: &HashSet<CommitId>,
        shallow: &HashSet<ObjectId>,
        layout: &dyn Layout,
    ) -> Result<BTreeMap<Release, Person>, GitError> {
        let mut authors = BTreeMap::new();
        let mut waiting: Vec<CommitId> = merge.parents.iter().skip(1).copied().collect();
        let mut seen = HashSet::new();
        while let Some(id) = waiting.pop() {
            if main.contains(&id) || seen.len() >= BRANCH || !seen.insert(id) {
                continue;
            }
            let commit = self.shared.commit(id, shallow)?;
            // Releases that came from a merge into the branch have other authors.
            if let [parent] = commit.parents.as_slice() {
                let old = self.shared.commit(*parent, shallow)?.tree;
                for release in self.shared.added(layout, old, &commit)? {
                    authors.insert(release, commit.author.clone());
                }
            }
            waiting.extend(commit.parents);
        }
        Ok(authors)
    }

    fn shallow(&self) -> Result<HashSet<ObjectId>, GitError> {
        let commits = self
            .shared
            .handle()
            .shallow_commits()
            .map_err(|error| GitError::History(error.to_string()))?;
        Ok(commits.map_or_else(HashSet::new, |commits| commits.iter().copied().collect()))
    }
}

type Release = (PackageName, ReleaseName);

impl Shared {
    fn commit(&self, id: CommitId, shallow: &HashSet<ObjectId>) -> Result<Commit, GitError> {
        let failed = |error| GitError::Object(id.to_string(), error);
        let malformed = || failed(StoreError::Io("is malformed".to_owned()));
        let mut buffer = Vec::new();
        self.expect(&id.0, Kind::Commit, &mut buffer)
            .map_err(failed)?;
        let commit = CommitRef::from_bytes(&buffer, id.0.kind()).map_err(|_| malformed())?;
        let author = commit.author().map_err(|_| malformed())?;
        let parents = if shallow.contains(&id.0) {
            Vec::new()
        } else {
            commit.parents().map(CommitId).collect()
        };
        Ok(Commit {
            id,
            parents,
            author: Person {
                name: author.name.to_string(),
                address: Address::parse(&author.email.to_string()),
            },
            date: Date(commit.committer().map_err(|_| malformed())?.seconds()),
            subject: commit.message().summary().to_string(),
            tree: commit.tree(),
        })
    }

    /// Returns the releases that a commit has and the previous tree does not.
    fn added(
        &self,
        layout: &dyn Layout,
        before: ObjectId,
        commit: &Commit,
    ) -> Result<Vec<Release>, GitError> {
        let mut found = Vec::new();
        self.compare(layout, Some(before), commit.tree, &Path::top(), &mut found)
            .map_err(|error| GitError::Object(commit.id.to_string(), error))?;
        Ok(found)
    }

    fn releases(&self, layout: &dyn Layout, tree: ObjectId) -> Result<Vec<Release>, GitError> {
        let mut found = Vec::new();
        self.compare(layout, None, tree, &Path::top(), &mut found)
            .map_err(|error| GitError::Object(tree.to_string(), error))?;
        Ok(found)
    }

    fn compare(
        &self,
        layout: &dyn Layout,
        old: Option<ObjectId>,
        new: ObjectId,
        directory: &Path,
        found: &mut Vec<Release>,
    ) -> Result<(), StoreError> {
        if old == Some(new) || directory.components().count() > limits::DEPTH {
            return Ok(());
        }
        let (before, after) = (self.directories(old)?, self.directories(Some(new))?);
        let mut before = before.iter().peekable();
        for (name, id) in &after {
            while before
                .next_if(|(old, _)| order(old, name).is_lt())
                .is_some()
            {}
            let same = before.next_if(|(old, _)| old == name).map(|(_, id)| *id);
            if same == Some(*id) {
                continue;
            }
            // A directory with an invalid name is not a release. Verifying the tree reports it.
            let Some(path) = core::str::from_utf8(name)
                .ok()
                .and_then(|name| directory.join(name).ok())
            else {
                continue;
            };
            if directory.parent().is_none() && !holds_packages(layout, &path) {
                continue;
            }
            match layout.release_at(&path) {
                Some(release) if same.is_none() => found.push(release),
                Some(_) => {}
                None => self.compare(layout, same, *id, &path, found)?,
            }
        }
        Ok(())
    }

    /// Lists the directories in a tree, in git's order.
    fn directories(&self, tree: Option<ObjectId>) -> Result<Vec<(Vec<u8>, ObjectId)>, StoreError> {
        let Some(id) = tree else {
            return Ok(Vec::new());
        };
        let mut buffer = Vec::new();
        self.expect(&id, Kind::Tree, &mut buffer)?;
        let mut directories = Vec::new();
        for entry in TreeRefIter::from_bytes(&buffer, id.kind()) {
            let entry = entry.map_err(|_| StoreError::Io(format!("git tree {id} is malformed")))?;
            if entry.mode.is_tree() {
                directories.push((entry.filename.to_vec(), entry.oid.to_owned()));
            }
        }
        Ok(directories)
    }
}

/// Whether packages are stored below a top-level directory.
pub fn holds_packages(layout: &dyn Layout, path: &Path) -> bool {
    path.as_str() != metadata::DIRECTORY
        && layout.place(path.as_str(), EntryKind::Directory, false) == Place::Packages
}

/// Compares names like git, which sorts a directory as if its name ended in a slash.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    let slashed = |name: &[u8], at: usize| name.get(at).copied().unwrap_or(b'/');
    let differs = (0..a.len().min(b.len())).find(|at| a.get(*at) != b.get(*at));
    match differs.unwrap_or(a.len().min(b.len())) {
        at if at == a.len() && at == b.len() => Ordering::Equal,
        at => slashed(a, at).cmp(&slashed(b, at)),
    }
}

/// Returns the account that a merge names as the origin of its pull request, in the wording of the forge's
/// button: `Merge pull request #1 from bob/branch`. Branch names have no spaces, so the title of a pull
/// request, which other buttons put before the number, is not mistaken for one.
fn pulled_from(subject: &str) -> Option<Home> {
    let rest = subject.strip_prefix("Merge pull request #")?;
    let (number, from) = rest.split_once(" from ")?;
    let (account, branch) = from.split_once('/')?;
    let sound = number.bytes().all(|byte| byte.is_ascii_digit()) && !branch.contains(' ');
    sound.then(|| Home::parse(&format!("https://github.com/{account}/")))?
}

impl Date {
    /// Returns the day in UTC, as `2026-01-31`.
    pub fn day(self) -> String {
        // Days since 0000-03-01, in eras of 400 years. The leap day is the last day of its year.
        let days = self.0.div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, later) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        format!("{:04}-{month:02}-{day:02}", year + era * 400 + later)
    }

    /// Parses a day such as `2026-01-31` and returns its beginning, if there is such a day.
    pub fn of_day(text: &str) -> Option<Self> {
        if text.len() != "2026-01-31".len() {
            return None;
        }
        let mut numbers = text.split('-').map(|it| it.parse::<i64>().ok());
        let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
        // As above: years begin in March, so the lengths of months follow a regular pattern.
        let (year, month) = match month {
            1 | 2 => (year - 1, month + 9),
            3..=12 => (year, month - 3),
            _ => return None,
        };
        let of_year = (153 * month + 2) / 5 + day - 1;
        let of_era = year.rem_euclid(400);
        let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        let date = Self((year.div_euclid(400) * 146_097 + of_era - 719_468) * 86_400);
        (date.day() == text).then_some(date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::tests::Scratch;
    use crate::layout::{OpamLayout, PlainLayout};

    /// Commits everything under the given name.
    fn commit(scratch: &Scratch, who: &str, message: &str) {
        scratch.git(&["add", "-A"]);
        let author = format!("{who} <{who}@Example.org>");
        scratch.git(&["commit", "-q", "--author", &author, "-m", message]);
    }

    fn landings(scratch: &Scratch, layout: &dyn Layout) -> Vec<(String, String, String)> {
        let repository = scratch.open();
        let tip = repository.resolve("main").unwrap();
        let line = repository.main_line(tip).unwrap();
        let found = repository.landings(&line, layout).unwrap();
        let shown = |(package, release): &Release, landing: &Landing| {
            let author = landing.author.as_ref().map(ToString::to_string);
            let account = landing.account.as_ref().map(ToString::to_string);
            assert_eq!(landing.date.day(), "2023-11-14");
            (
                format!("{package}.{release}"),
                author.unwrap_or_default(),
                account.unwrap_or_default(),
            )
        };
        found.iter().map(|(name, it)| shown(name, it)).collect()
    }

    fn landed(release: &str, author: &str, account: &str) -> (String, String, String) {
        (release.into(), author.into(), account.into())
    }

    #[test]
    fn whoever_first_added_a_release_brought_it() {
        let scratch = Scratch::new();
        scratch.write("packages/foo/foo.1/opam", "one");
        commit(&scratch, "alice", "import");
        scratch.write("packages/foo/foo.2/opam", "two");
        scratch.write("packages/foo-bar/foo-bar.1/opam", "bar");
        scratch.write("conex/foo/foo.3/opam", "no package");
        commit(&scratch, "bob", "foo 2");
        // Edits, renames of the directory around it, removals and returns are not additions.
        scratch.write("packages/foo/foo.2/opam", "edited");
        scratch.git(&["rm", "-q", "-r", "packages/foo-bar"]);
        scratch.write("packages/foo.3/opam", "three");
        commit(&scratch, "carol", "edits");
        scratch.git(&["mv", "packages/foo.3", "packages/foo/foo.3"]);
        scratch.write("packages/foo-bar/foo-bar.1/opam", "again");
        commit(&scratch, "dave", "moves");
        assert_eq!(
            landings(&scratch, &OpamLayout),
            [
                landed("foo.2", "bob <bob@example.org>", ""),
                landed("foo.3", "carol <carol@example.org>", ""),
                landed("foo-bar.1", "bob <bob@example.org>", ""),
            ]
        );
    }

    #[test]
    fn of_a_merge_the_branch_says_who() {
        let scratch = Scratch::new();
        scratch.write("foo/1/data", "one");
        commit(&scratch, "alice", "import");
        scratch.git(&["checkout", "-q", "-b", "branch"]);
        scratch.write("foo/2/data", "two");
        commit(&scratch, "bob", "foo 2");
        scratch.git(&["checkout", "-q", "main"]);
        scratch.write("bar/1/data", "bar");
        commit(&scratch, "carol", "Merge pull request #7 from carol/x (#8)");
        scratch.git(&["checkout", "-q", "branch"]);
        scratch.git(&["merge", "-q", "main", "-m", "catch up"]);
        scratch.write("foo/2/data", "better");
        commit(&scratch, "dave", "review");
        scratch.git(&["checkout", "-q", "main"]);
        let message = "Merge pull request #9 from Bob/foo-2";
        scratch.git(&["merge", "-q", "--no-ff", "branch", "-m", message]);
        // After a flattened merge, only the button's message remains.
        scratch.write("foo/3/data", "three");
        commit(&scratch, "alice", "Merge pull request #10 from bob/foo-3");
        assert_eq!(
            landings(&scratch, &PlainLayout),
            [
                landed("bar.1", "carol <carol@example.org>", ""),
                landed("foo.2", "bob <bob@example.org>", "github.com/bob"),
                landed("foo.3", "", "github.com/bob"),
            ]
        );
    }

    #[test]
    fn where_a_shallow_clone_ends_history_begins() {
        let scratch = Scratch::new();
        for release in ["1", "2", "3"] {
            scratch.write(&format!("foo/{release}/data"), release);
            commit(&scratch, "bob", release);
        }
        let clone = tempfile::tempdir().unwrap();
        let from = format!("file://{}", scratch.0.path().display());
        let to = clone.path().to_str().unwrap();
        scratch.git(&["clone", "-q", "--depth", "2", &from, to]);
        let repository = GitRepository::open(clone.path()).unwrap();
        let line = repository
            .main_line(repository.resolve("HEAD").unwrap())
            .unwrap();
        let subjects: Vec<&str> = line.iter().map(|it| it.subject.as_str()).collect();
        assert_eq!(subjects, ["2", "3"]);
        let found = repository.landings(&line, &PlainLayout).unwrap();
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_400, "2000-02-29"),
            (1_709_164_800, "2024-02-29"),
            (1_767_225_599, "2025-12-31"),
            (4_107_542_400, "2100-03-01"),
        ] {
            let date = Date(seconds);
            assert_eq!(date.day(), day);
            let begins = Date(seconds.div_euclid(86_400) * 86_400);
            assert_eq!(Date::of_day(day), Some(begins));
        }
        for odd in [
            "",
            "yesterday",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-1-31",
            "2026-01-31-1",
            "2026-01",
            "9223372036854775807-01-01",
            "-1-01-01",
        ] {
            assert_eq!(Date::of_day(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_title_is_not_taken_for_a_merge() {
        for (subject, account) in [
            (
                "Merge pull request #1 from Bob/topic",
                Some("github.com/bob"),
            ),
            ("Merge pull request #1 from bob/topic (#2)", None),
            ("Merge pull request #x from bob/topic", None),
            ("Merge branch 'topic' into main", None),
        ] {
            let found = pulled_from(subject);
            assert_eq!(found.as_ref().map(Home::as_str), account, "{subject}");
        }
    }
}
