//! The references to fetched pull requests, and the targets of symbolic references.

use gix::bstr::ByteSlice as _;

use gix::refs::TargetRef;

use super::{CommitId, GitError, GitRepository};

/// The longest chain of symbolic references to follow, as in git itself.
const SYMBOLIC: usize = 5;

/// The references under which forges keep pull requests, and those to which people usually fetch them. `N`
/// is the number, `*` matches any one component, such as the name of a remote.
pub const PULL_REQUESTS: [&str; 6] = [
    "refs/pull/N/head",
    "refs/merge-requests/N/head",
    "refs/remotes/*/pr/N",
    "refs/remotes/*/pull/N",
    "refs/remotes/*/pull/N/head",
    "refs/remotes/*/merge-requests/N",
];

/// A fetched pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The full name of the reference.
    pub reference: String,
    /// The commit it referred to when it was looked up.
    pub commit: CommitId,
}

impl GitRepository {
    /// Finds a pull request among the references of the repository. Fetches nothing.
    ///
    /// # Errors
    /// [`GitError::Ambiguous`] if several references refer to different commits, and as [`Self::resolve`].
    pub fn pull_request<T: AsRef<str>>(
        &self,
        number: u64,
        templates: &[T],
    ) -> Result<Option<PullRequest>, GitError> {
        let mut found: Vec<PullRequest> = Vec::new();
        for template in templates {
            for reference in self.references(template.as_ref(), number)? {
                let commit = self.resolve(&reference)?;
                found.push(PullRequest { reference, commit });
            }
        }
        let commits = found.iter().map(|it| it.commit);
        if commits
            .clone()
            .any(|commit| commits.clone().any(|other| other != commit))
        {
            let names = found.into_iter().map(|it| it.reference).collect();
            return Err(GitError::Ambiguous(number, names));
        }
        Ok(found.into_iter().next())
    }

    /// Returns the upstream of a local branch, as it was last fetched: its name and commit. Returns `None`
    /// for anything but a branch with an upstream.
    pub fn upstream(&self, branch: &str) -> Option<(String, CommitId)> {
        let name = format!("refs/heads/{branch}");
        let handle = self.shared.handle();
        let found = handle.try_find_reference(name.as_str()).ok()??;
        let tracking = handle
            .branch_remote_tracking_ref_name(found.name(), gix::remote::Direction::Fetch)?
            .ok()?;
        let tracking = tracking.as_bstr().to_str().ok()?;
        let commit = self.resolve(tracking).ok()?;
        let short = tracking.strip_prefix("refs/remotes/").unwrap_or(tracking);
        Some((short.to_owned(), commit))
    }

    /// Returns the reference that changes when `name`, a full name, is written to: itself, or the target if
    /// it is a symbolic reference. The reference need not exist.
    ///
    /// # Errors
    /// [`GitError::Symbolic`] for a loop, or a chain that git does not follow either; [`GitError::History`]
    /// if a reference cannot be read.
    pub fn written_to(&self, name: &str) -> Result<String, GitError> {
        let handle = self.shared.handle();
        let mut at = name.to_owned();
        for _ in 0..=SYMBOLIC {
            let found = handle
                .try_find_reference(at.as_str())
                .map_err(|error| GitError::History(error.to_string()))?;
            // If the reference does not exist, the library may find another one under a longer name.
            let found = found.filter(|it| it.name().as_bstr() == at.as_bytes());
            let Some(TargetRef::Symbolic(next)) = found.as_ref().map(|it| it.target()) else {
                return Ok(at);
            };
            at = next.as_bstr().to_str_lossy().into_owned();
        }
        Err(GitError::Symbolic(name.to_owned()))
    }

    /// Returns the existing references that match a template.
    fn references(&self, template: &str, number: u64) -> Result<Vec<String>, GitError> {
        let number = number.to_string();
        let wanted: Vec<&str> = template
            .split('/')
            .map(|component| if component == "N" { &number } else { component })
            .collect();
        let failed = |error: &dyn core::fmt::Display| GitError::History(error.to_string());
        let handle = self.shared.handle();
        let fixed: Vec<&str> = wanted.iter().copied().take_while(|it| *it != "*").collect();
        if fixed.len() == wanted.len() {
            let name = wanted.join("/");
            let found = handle
                .try_find_reference(name.as_str())
                .map_err(|error| failed(&error))?;
            // A short name may resolve to another reference than it says.
            let is_it = found.is_some_and(|it| it.name().as_bstr() == name.as_bytes());
            return Ok(is_it.then_some(name).into_iter().collect());
        }
        let prefix = format!("{}/", fixed.join("/"));
        let fits = |name: &str| {
            let components: Vec<&str> = name.split('/').collect();
            components.len() == wanted.len()
                && components
                    .iter()
                    .zip(&wanted)
                    .all(|(found, wanted)| *wanted == "*" || found == wanted)
        };
        let references = handle.references().map_err(|error| failed(&error))?;
        let listed = references
            .prefixed(prefix.as_str())
            .map_err(|error| failed(&error))?;
        Ok(listed
            .filter_map(Result::ok)
            .filter_map(|it| it.name().as_bstr().to_str().ok().map(ToOwned::to_owned))
            .filter(|name| fits(name))
            .collect())
    }
}
