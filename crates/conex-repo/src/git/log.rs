//! The authors and committers of commits, as the commits say.

use gix::bstr::{BStr, ByteSlice as _};
use gix::objs::{CommitRefIter, Kind};
use gix::revision::walk::Sorting;
use gix::traverse::commit::simple::CommitTimeOrder;

use super::{CommitId, GitError, GitRepository};
use crate::people::{Address, Person};

/// The most commits to examine: nobody reads about more.
const COMMITS: usize = 1_000;

/// A person with commits on a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contributor {
    /// The person, as the commits say.
    pub person: Person,
    /// The number of commits of which they are the author.
    pub authored: usize,
    /// The number of commits they committed for others, through the forge or by hand.
    pub committed: usize,
}

impl GitRepository {
    /// Returns the people with commits that `head` has and `onto` does not, authors of the newest commits
    /// first.
    ///
    /// # Errors
    /// [`GitError::History`] when a commit is missing or broken.
    pub fn contributors(
        &self,
        onto: CommitId,
        head: CommitId,
    ) -> Result<Vec<Contributor>, GitError> {
        let mut found: Vec<Contributor> = Vec::new();
        for commit in self.log(head, Some(onto), COMMITS)? {
            let (author, committer) = self.people(commit?)?;
            let by_another = committer != author;
            for (person, authored) in [(author, true), (committer, false)] {
                if !authored && !by_another {
                    continue;
                }
                if !found.iter().any(|it| it.person == person) {
                    found.push(Contributor {
                        person: person.clone(),
                        authored: 0,
                        committed: 0,
                    });
                }
                for contributor in found.iter_mut().filter(|it| it.person == person) {
                    contributor.authored += usize::from(authored);
                    contributor.committed += usize::from(!authored);
                }
            }
        }
        Ok(found)
    }

    /// Whether somebody with this address is the author of one of the newest `most` commits. Returns `None`
    /// if the fetched history ends earlier.
    ///
    /// # Errors
    /// As [`Self::contributors`].
    pub fn has_author(
        &self,
        head: CommitId,
        address: &Address,
        most: usize,
    ) -> Result<Option<bool>, GitError> {
        for commit in self.log(head, None, most)? {
            if self.people(commit?)?.0.address.as_ref() == Some(address) {
                return Ok(Some(true));
            }
        }
        Ok((!self.is_shallow()).then_some(false))
    }

    fn log(
        &self,
        head: CommitId,
        without: Option<CommitId>,
        most: usize,
    ) -> Result<impl Iterator<Item = Result<CommitId, GitError>>, GitError> {
        let failed = |error: &dyn core::fmt::Display| GitError::History(error.to_string());
        let walk = self
            .shared
            .handle()
            .rev_walk([head.0])
            .sorting(Sorting::ByCommitTime(CommitTimeOrder::NewestFirst))
            .with_hidden(without.map(|commit| commit.0))
            .all()
            .map_err(|error| failed(&error))?;
        Ok(walk.take(most).map(move |info| {
            info.map(|info| CommitId(info.id))
                .map_err(|error| GitError::History(error.to_string()))
        }))
    }

    /// Returns the author and the committer of a commit.
    fn people(&self, commit: CommitId) -> Result<(Person, Person), GitError> {
        let failed =
            |error: &dyn core::fmt::Display| GitError::History(format!("commit {commit}: {error}"));
        let mut buffer = Vec::new();
        self.shared
            .expect(&commit.0, Kind::Commit, &mut buffer)
            .map_err(|error| failed(&error))?;
        let fields = || CommitRefIter::from_bytes(&buffer, commit.0.kind());
        let author = fields().author().map_err(|error| failed(&error))?;
        let committer = fields().committer().map_err(|error| failed(&error))?;
        let person = |name: &BStr, email: &BStr| Person {
            name: name.to_str_lossy().trim().to_owned(),
            address: Address::parse(&email.to_str_lossy()),
        };
        Ok((
            person(author.name, author.email),
            person(committer.name, committer.email),
        ))
    }
}
