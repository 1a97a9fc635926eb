//! `cargo xtask merges`: how the formats behave under git.
//!
//! Replays the pull requests of a real history. Each starts from the state that it really started from, so
//! as many are open at once as were in reality (and some longer, see [`Pull::base`]). Each brings its
//! original changes, and the page, claims and people it would bring. Git merges them in the original order.
//! Meanwhile, approvals and compactions happen on the main line. Nothing in `conex/` may conflict, except
//! where two people changed the same stored statement, and what arrives has to be exactly what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use conex_core::model::name::{Id, PackageName};
use conex_core::model::path::Path;
use conex_core::state::chain::Trust;
use conex_core::tree::layout::Layout as _;
use conex_core::tree::problem::Code;
use conex_core::tree::store::{Store, StoreError};
use conex_core::verify::{Mode, Verification};
use conex_crypto::StandardCrypto;
use conex_repo::layout::OpamLayout;
use conex_repo::{KnownSchemes, Parallel};

mod arrival;
pub(crate) mod community;
mod figures;
pub(crate) mod git;
pub(crate) mod history;
pub(crate) mod revision;
#[cfg(test)]
mod tests;

pub(crate) use arrival::{Arrival, Sides};
use community::{Community, Contribution, Owners, Rules, Touched};
use figures::Figures;
use git::{Changes, Merged, Oid, Repository};
use history::Pull;
use revision::Revision;

/// The number of janitors of the replay: the people with the most merges.
const JANITORS: usize = 7;

/// As strict as the original design about unclaimed packages.
const RULES: Rules = Rules {
    upkeep: 1,
    unclaimed: 2,
    signers: 2,
};

/// One in this many merges is repeated by `git merge` in a work tree.
const CROSS_CHECK: usize = 100;

/// Compactions happen after one in this many merges.
const COMPACTION: usize = 25;

/// The only problems that the result may have: missing approvals, since people dispute and overtake each
/// other. Any other problem was caused by a merge.
const LACKING: [Code; 6] = [
    Code::NotApproved,
    Code::ContentDiffers,
    Code::Behind,
    Code::Missing,
    Code::Equivocation,
    Code::Unsigned,
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A git bundle with the history.
    #[arg(long, env = "CONEX_BUNDLE")]
    bundle: PathBuf,

    /// The table of its pull requests.
    #[arg(long, env = "CONEX_MERGES")]
    merges: PathBuf,

    /// Replays only this many pull requests.
    #[arg(long)]
    limit: Option<usize>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let mut pulls = history::read(&arguments.merges)?;
    if let Some(limit) = arguments.limit {
        pulls.truncate(limit.saturating_add(1));
    }
    let directory = tempfile::tempdir()?;
    let repository = Repository::clone_bundle(&arguments.bundle, directory.path())?;
    let mut replay = Replay::start(&repository, &pulls)?;
    eprintln!("day zero: {:.1} s", started.elapsed().as_secs_f64());
    for (n, pull) in pulls.iter().enumerate().skip(1) {
        replay
            .pull(n, pull)
            .with_context(|| format!("{n} ({})", pull.label))?;
        if pulls.get(n + 1).is_none_or(|next| next.day() != pull.day()) {
            replay.end_of_day(n, pull)?;
        }
        if n.is_multiple_of(COMPACTION) {
            replay.compact(n, pull, &pulls)?;
        }
        replay.after.push(replay.head);
        if n.is_multiple_of(CROSS_CHECK) {
            eprintln!(
                "{n} of {}: {:.1} s",
                pulls.len() - 1,
                started.elapsed().as_secs_f64()
            );
        }
    }
    let problems = problems(&repository, replay.head.tree);
    let figures = replay.figures;
    figures.print(&pulls, started.elapsed().as_secs_f64());
    println!("what a verification of the result finds");
    for (code, count) in &problems {
        println!("  {:<50} {count:>7}", code.as_str());
    }
    let broken = |code: &Code| *code == Code::PersonVoid || !code.is_note();
    if let Some(code) = problems
        .keys()
        .find(|code| broken(code) && !LACKING.contains(code))
    {
        bail!("the merges left behind what is {}", code.as_str());
    }
    ensure!(
        figures.other_conflicts == 0,
        "pages or claims conflict that have nothing in common"
    );
    ensure!(
        figures.strayed == 0,
        "git made something else of `conex/` than was sent"
    );
    Ok(())
}

/// Verifies a tree in full, and counts its problems by code.
fn problems(repository: &Repository, tree: Oid) -> BTreeMap<Code, usize> {
    let report = Verification {
        store: &Revision::new(repository, tree),
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Parallel,
        trust: &Trust::DangerousSelfAsserted,
        mode: Mode::Observe,
        ahead: true,
    }
    .run();
    let mut counts = BTreeMap::new();
    for problem in report.problems.iter().chain(&report.notes) {
        *counts.entry(problem.code).or_default() += 1;
        if !problem.code.is_note() {
            eprintln!(
                "{}: {}: {}",
                problem.code.as_str(),
                problem.place,
                problem.detail
            );
        }
    }
    counts
}

/// A commit of the replayed main line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State {
    pub(crate) commit: Oid,
    pub(crate) tree: Oid,
}

/// The growing main line.
struct Replay<'a> {
    repository: &'a Repository,
    community: Community,
    head: State,
    /// The main line after each position, including approvals.
    after: Vec<State>,
    /// The data of the real history at the previous position.
    data: Oid,
    /// The position at which each package was last touched.
    touched_at: BTreeMap<PackageName, usize>,
    /// The releases merged since the janitors last approved.
    today: Touched,
    statements_today: BTreeSet<Path>,
    days: usize,
    /// Compactions: the position of each, and the person whose pages were compacted.
    compacted: Vec<(usize, Id)>,
    figures: Figures,
}

impl<'a> Replay<'a> {
    /// Starts from the first state of the history, with the metadata of day zero.
    fn start(repository: &'a Repository, pulls: &[Pull]) -> Result<Self> {
        let first = pulls.first().context("there is a first state")?;
        let data = repository.tree_of(first.commit)?;
        let mut community = Community::new(&history::mergers(pulls, JANITORS))?;
        let contribution =
            community.day_zero(&Revision::new(repository, data), RULES, &Owners::new())?;
        let tree = add(repository, data, &contribution)?;
        let commit = repository.commit(tree, &[], &first.date, "day zero")?;
        let files = contribution.files.len();
        community.land(contribution, 0);
        let head = State { commit, tree };
        Ok(Self {
            repository,
            community,
            head,
            after: vec![head],
            data,
            touched_at: BTreeMap::new(),
            today: Touched::new(),
            statements_today: BTreeSet::new(),
            days: 0,
            compacted: Vec::new(),
            figures: Figures {
                files,
                ..Figures::default()
            },
        })
    }

    /// Creates the branch of a pull request at its original base, and merges it.
    fn pull(&mut self, n: usize, pull: &Pull) -> Result<()> {
        let data = self.repository.tree_of(pull.commit)?;
        let changes = self.repository.changes(Some(self.data), Some(data))?;
        let touched = touched(&changes);
        let base = *self
            .after
            .get(pull.base)
            .context("a pull request starts from the past")?;

        let with_data = self.repository.edit(base.tree, &changes)?;
        let contribution = match &pull.author {
            Some(author) => {
                let branch = Revision::new(self.repository, with_data);
                let new = if pull.adds {
                    new_releases_of(
                        &Revision::new(self.repository, base.tree),
                        &branch,
                        &touched,
                    )?
                } else {
                    BTreeSet::new()
                };
                self.community
                    .contribute(author, n, pull.base, &branch, &touched, &new)?
            }
            None => Contribution::default(),
        };
        let tree = add(self.repository, with_data, &contribution)?;
        let commit = self
            .repository
            .commit(tree, &[base.commit], &pull.date, &pull.label)?;
        let branch = State { commit, tree };

        let merged = self.repository.merge(self.head.commit, commit)?;
        let metadata = self.metadata(pull, base, branch, &merged)?;
        let in_data: Vec<_> = merged
            .conflicts
            .iter()
            .filter(|path| !is_metadata(path))
            .collect();
        if !in_data.is_empty() {
            self.figures.data_conflicts += 1;
        } else if data_of(self.repository, merged.tree)? != data_of(self.repository, data)? {
            self.figures.data_differs += 1;
        }
        let in_metadata = in_data.len() < merged.conflicts.len();
        if n.is_multiple_of(CROSS_CHECK) || in_metadata {
            self.cross_check(commit, &merged)?;
        }

        let tree = with_metadata(self.repository, data, metadata)?;
        let parents = [self.head.commit, commit];
        let message = format!("merge {}", pull.label);
        let commit = self
            .repository
            .commit(tree, &parents, &pull.date, &message)?;
        self.head = State { commit, tree };
        self.data = data;
        self.arrived(n, pull, touched, contribution);
        Ok(())
    }

    /// Judges what git made of `conex/`, and returns the tree to continue with.
    fn metadata(
        &mut self,
        pull: &Pull,
        base: State,
        branch: State,
        merged: &Merged,
    ) -> Result<Oid> {
        let sides = Sides {
            base: base.tree,
            branch: branch.tree,
            main: self.head.tree,
        };
        let arrival = Arrival::of(self.repository, &pull.label, sides, merged)?;
        let other = arrival.other.len();
        self.figures.strayed += usize::from(arrival.strayed);
        self.figures.same_statement += arrival.same_statement.len();
        self.figures.other_conflicts += other;
        self.figures.combined += arrival.combined;
        let mut across = self
            .compacted
            .iter()
            .filter(|(at, _)| *at >= pull.base)
            .peekable();
        if across.peek().is_some() {
            self.figures.open_across += 1;
            self.figures.own_across +=
                usize::from(across.any(|(_, id)| Some(id) == pull.author.as_ref()));
            self.figures.conflicts_across += other;
        }
        Ok(arrival.metadata)
    }

    /// Repeats a merge as people do it, and compares the results.
    fn cross_check(&mut self, branch: Oid, merged: &Merged) -> Result<()> {
        match self
            .repository
            .merge_in_work_tree(self.head.commit, branch)?
        {
            Ok(tree) => ensure!(
                merged.conflicts.is_empty() && tree == merged.tree,
                "git merge made {tree}, git merge-tree {} with conflicts {:?}",
                merged.tree,
                merged.conflicts
            ),
            Err(conflicts) => ensure!(
                conflicts == merged.conflicts,
                "git merge has conflicts {conflicts:?}, git merge-tree {:?}",
                merged.conflicts
            ),
        }
        self.figures.cross_checks += 1;
        Ok(())
    }

    /// Records what is on the main line now.
    fn arrived(&mut self, n: usize, pull: &Pull, touched: Touched, contribution: Contribution) {
        let overtaken = |name| self.touched_at.get(name).is_some_and(|at| *at > pull.base);
        self.figures.overtaken += usize::from(touched.keys().any(overtaken));
        for (name, releases) in touched {
            self.touched_at.insert(name.clone(), n);
            self.today.entry(name).or_default().extend(releases);
        }
        for (place, _) in &contribution.files {
            self.figures.files += 1;
            if is_statement(place.as_str().trim_start_matches("conex/")) {
                self.figures.claims += 1;
                self.statements_today.insert(place.clone());
            }
        }
        self.figures.merges += 1;
        self.figures.two_contents += self.community.land(contribution, n);
    }

    /// Has two janitors approve what was merged on the day.
    fn end_of_day(&mut self, n: usize, pull: &Pull) -> Result<()> {
        let touched = core::mem::take(&mut self.today);
        let statements = core::mem::take(&mut self.statements_today);
        let main = Revision::new(self.repository, self.head.tree);
        let approved = self
            .community
            .approve(self.days, n, &main, &touched, &statements)?;
        self.days += 1;
        self.figures.approvals += 1;
        self.figures.files += approved.files.len();
        self.extend(n, pull, approved, "approve")
    }

    /// Has the janitor and the author of an open pull request with the most pages compact them.
    fn compact(&mut self, n: usize, pull: &Pull, pulls: &[Pull]) -> Result<()> {
        let authors = history::open_behind(pulls, n).filter_map(|(_, open)| open.author.as_ref());
        let pages = |id: &&Id| self.community.pages_of(id);
        let people: BTreeSet<Id> = [
            self.community.janitors().max_by_key(pages),
            authors.max_by_key(pages),
        ]
        .into_iter()
        .flatten()
        .filter(|id| self.community.pages_of(id) > 1)
        .cloned()
        .collect();
        for id in people {
            let compacted = self.community.compact(&id, n)?;
            self.figures.compactions += 1;
            self.figures.compacted_pages += compacted.removed.len();
            self.figures.files += compacted.files.len();
            self.extend(n, pull, compacted, "compact")?;
            self.compacted.push((n, id));
        }
        Ok(())
    }

    /// Adds a commit to the main line.
    fn extend(
        &mut self,
        n: usize,
        pull: &Pull,
        contribution: Contribution,
        message: &str,
    ) -> Result<()> {
        let tree = add(self.repository, self.head.tree, &contribution)?;
        let commit = self
            .repository
            .commit(tree, &[self.head.commit], &pull.date, message)?;
        self.head = State { commit, tree };
        self.community.land(contribution, n);
        Ok(())
    }
}

/// Returns a tree with metadata put into it.
pub(crate) fn with_metadata(repository: &Repository, tree: Oid, metadata: Oid) -> Result<Oid> {
    let mut entries = repository.entries(tree)?;
    entries.retain(|entry| entry.name != "conex");
    entries.push(git::TreeEntry {
        name: "conex".into(),
        is_tree: true,
        oid: metadata,
    });
    repository.write_tree(entries)
}

/// Returns a tree without its metadata, as a set of top-level entries.
pub(crate) fn data_of(repository: &Repository, tree: Oid) -> Result<BTreeMap<String, Oid>> {
    let entries = repository.entries(tree)?.into_iter();
    Ok(entries
        .filter(|entry| entry.name != "conex")
        .map(|entry| (entry.name, entry.oid))
        .collect())
}

/// Returns a tree with a contribution's files.
pub(crate) fn add(repository: &Repository, tree: Oid, contribution: &Contribution) -> Result<Oid> {
    let mut changes = Changes::new();
    for path in &contribution.removed {
        changes.insert(path.to_string(), None);
    }
    for (path, bytes) in &contribution.files {
        changes.insert(path.to_string(), Some(repository.write_blob(bytes)?));
    }
    if changes.is_empty() {
        Ok(tree)
    } else {
        repository.edit(tree, &changes)
    }
}

/// Returns the releases that changed files belong to.
pub(crate) fn touched(changes: &Changes) -> Touched {
    let mut touched = Touched::new();
    for path in changes.keys() {
        let mut components = path.split('/');
        if components.next() == Some("packages")
            && let (Some(_), Some(release)) = (components.next(), components.next())
            && let Some((package, release)) = OpamLayout.parse_release(release)
        {
            touched.entry(package).or_default().insert(release);
        }
    }
    touched
}

/// Returns the packages with a release on the branch that its base does not have.
pub(crate) fn new_releases_of(
    base: &impl Store,
    branch: &impl Store,
    touched: &Touched,
) -> Result<BTreeSet<PackageName>> {
    let mut packages = BTreeSet::new();
    for (package, releases) in touched {
        for release in releases {
            let directory = OpamLayout
                .directory(package, release)
                .context("opam names fit the layout")?;
            if base.list(&directory) == Err(StoreError::Missing) && branch.list(&directory).is_ok()
            {
                packages.insert(package.clone());
            }
        }
    }
    Ok(packages)
}

pub(crate) fn is_metadata(path: &str) -> bool {
    path.starts_with("conex/")
}

/// Whether a path below `conex/` is a statement that people edit.
pub(crate) fn is_statement(path: &str) -> bool {
    ["authors/", "packages/", "teams/", "root/"]
        .iter()
        .any(|directory| path.starts_with(directory))
}
