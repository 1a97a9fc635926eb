//! `cargo xtask updates`: a real history as the updates of a client.
//!
//! Each commit is signed by the people entitled to it (its author and merger are known), and verified as an
//! update: the fast way, and every hundredth time the default way, too. All states are in memory, so only
//! verification is measured.
//!
//! The rules are those of a pilot: two janitors are a quorum, one decides about upkeep and unclaimed
//! packages, and nothing is unsigned. People who have written five pull requests or more enroll with the
//! first one, and claim the unclaimed packages to which they add releases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use conex_core::model::name::{Id, PackageName};
use conex_core::model::path::Path;
use conex_core::state::chain::Trust;
use conex_core::tree::layout::Layout as _;
use conex_core::tree::problem::Problem;
use conex_core::verify::{Before, Changes, LocalRecord, Mode, Report, Update, Verification};
use conex_crypto::StandardCrypto;
use conex_repo::layout::OpamLayout;
use conex_repo::{KnownSchemes, Parallel};
use conex_tests::Counting;

mod figures;
pub(crate) mod tree;

use crate::merges::community::{Change, Community, Contribution, Landing, Owners, Rules};
use crate::merges::git::{self, Repository};
use crate::merges::history::{self, Pull};
use crate::merges::{new_releases_of, touched};
use figures::{Figures, Measured};
use tree::Tree;

/// The people with the most merges, and more than ten of them.
const JANITORS: usize = 7;

const RULES: Rules = Rules {
    upkeep: 1,
    unclaimed: 1,
    signers: 3,
};

/// The number of pull requests after which an author signs.
const PRACTISED: usize = 5;

/// One in this many updates is also verified the default way, and without its signatures.
const CROSS_CHECK: usize = 100;

/// The number of pages after which a person replaces them by one.
const PAGES: usize = 32;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A git bundle with the history.
    #[arg(long, env = "CONEX_BUNDLE")]
    bundle: PathBuf,

    /// The table of its pull requests.
    #[arg(long, env = "CONEX_MERGES")]
    merges: PathBuf,

    /// Replays only this many updates.
    #[arg(long)]
    limit: Option<usize>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let mut pulls = history::read(&arguments.merges)?;
    let practised = practised(&pulls);
    let janitors = history::mergers(&pulls, JANITORS);
    if let Some(limit) = arguments.limit {
        pulls.truncate(limit.saturating_add(1));
    }
    let directory = tempfile::tempdir()?;
    let repository = Repository::clone_bundle(&arguments.bundle, directory.path())?;
    let mut replay = Replay::start(&repository, &pulls, &janitors)?;
    eprintln!("day zero: {:.1} s", started.elapsed().as_secs_f64());
    let outcome = replay.follow_all(&pulls, &practised, started);
    let reached = replay.figures.print(started.elapsed().as_secs_f64());
    outcome.and(reached)
}

/// Returns the people who write so often that they sign.
fn practised(pulls: &[Pull]) -> BTreeSet<Id> {
    let mut written: BTreeMap<&Id, usize> = BTreeMap::new();
    for author in pulls.iter().filter_map(|pull| pull.author.as_ref()) {
        *written.entry(author).or_default() += 1;
    }
    let often = written.into_iter().filter(|(_, count)| *count >= PRACTISED);
    often.map(|(id, _)| id.clone()).collect()
}

/// A client, and the community it follows.
struct Replay<'a> {
    repository: &'a Repository,
    community: Community,
    /// The data of the real history at the previous position.
    data: git::Oid,
    /// The state that the client has.
    state: Tree,
    record: LocalRecord,
    figures: Figures,
}

/// A change to a tree, with the result.
struct Offer {
    after: Tree,
    changed: BTreeSet<Path>,
}

impl Offer {
    fn new(before: &Tree) -> Self {
        Self {
            after: before.clone(),
            changed: BTreeSet::new(),
        }
    }

    fn put(&mut self, path: Path, bytes: Option<Vec<u8>>) {
        self.after.put(&path, bytes);
        self.changed.insert(path);
    }

    fn add(&mut self, contribution: &Contribution) {
        for path in &contribution.removed {
            self.put(path.clone(), None);
        }
        for (path, bytes) in &contribution.files {
            self.put(path.clone(), Some(bytes.clone()));
        }
    }
}

impl<'a> Replay<'a> {
    /// Signs the first state and verifies it in full.
    fn start(repository: &'a Repository, pulls: &[Pull], janitors: &[Id]) -> Result<Self> {
        let first = pulls.first().context("there is a first state")?;
        let data = repository.tree_of(first.commit)?;
        let mut offer = Offer::new(&Tree::default());
        for (path, blob) in repository.changes(None, Some(data))? {
            let bytes = repository.object(blob.context("nothing is gone yet")?)?;
            offer.put(Path::parse(&path)?, Some(bytes));
        }
        let mut community = Community::new(janitors)?;
        let contribution = community.day_zero(&offer.after, RULES, &Owners::new())?;
        offer.add(&contribution);
        community.land(contribution, 0);

        let found = verify(&offer.after, &Trust::DangerousSelfAsserted, Mode::Observe);
        let head = found.head.context("there is a root")?.id();
        let trust = Trust::Root(head.digest);
        let report = verify(&offer.after, &trust, Mode::Enforce);
        let verified = accepted(&report)?.verified().context("enforced")?;
        let record = LocalRecord::new(verified, 0).context("the root is an anchor")?;
        Ok(Self {
            repository,
            community,
            data,
            state: offer.after,
            record,
            figures: Figures::default(),
        })
    }

    /// Follows the whole history, then plays a client that was away all the time. A client that refuses an
    /// update has no state to continue from, so the first refusal ends the replay.
    fn follow_all(
        &mut self,
        pulls: &[Pull],
        practised: &BTreeSet<Id>,
        started: Instant,
    ) -> Result<()> {
        let first = (self.state.clone(), self.record.clone());
        for (n, pull) in pulls.iter().enumerate().skip(1) {
            let author = pull.author.as_ref().filter(|id| practised.contains(*id));
            self.pull(n, pull, author)
                .with_context(|| format!("{n} ({})", pull.label))?;
            self.compact(n)?;
            if n.is_multiple_of(CROSS_CHECK) {
                let seconds = started.elapsed().as_secs_f64();
                eprintln!("{n} of {}: {seconds:.1} s", pulls.len() - 1);
            }
        }
        self.jump(&first.0, &first.1)
    }

    /// Offers a signed merge as an update.
    fn pull(&mut self, n: usize, pull: &Pull, author: Option<&Id>) -> Result<()> {
        let data = self.repository.tree_of(pull.commit)?;
        let changes = self.repository.changes(Some(self.data), Some(data))?;
        let touched = touched(&changes);
        let mut offer = Offer::new(&self.state);
        let mut strays = Vec::new();
        for (path, blob) in changes {
            let path = Path::parse(&path)?;
            let bytes = blob.map(|blob| self.repository.object(blob)).transpose()?;
            if is_stray(&path) {
                strays.push((path, bytes));
            } else {
                offer.put(path, bytes);
            }
        }
        let new = new_releases_of(&self.state, &offer.after, &touched)?;
        let change = Change {
            at: n,
            author,
            merger: pull.merger.as_ref(),
            touched: &touched,
            new: &new,
        };
        let landing = self.community.landing(&offer.after, &change)?;
        offer.add(&landing.contribution);
        for (path, bytes) in strays {
            self.stray(&offer, pull, &path, bytes)?;
        }
        let measured = self.follow(&offer)?;
        if n.is_multiple_of(CROSS_CHECK) {
            self.cross_check(&offer, &landing, &new)?;
        }
        self.figures.update(&pull.label, &offer.changed, measured);
        self.figures.landing(&landing);
        self.community.land(landing.contribution, n);
        self.state = offer.after;
        self.data = data;
        Ok(())
    }

    /// Checks that files which nothing accounts for are refused, whoever signs. A followed line therefore
    /// never has any.
    fn stray(
        &mut self,
        offer: &Offer,
        pull: &Pull,
        path: &Path,
        bytes: Option<Vec<u8>>,
    ) -> Result<()> {
        let Some(bytes) = bytes else {
            self.figures
                .stray(format!("{}: takes {path} away again", pull.label));
            return Ok(());
        };
        let mut with = Offer {
            after: offer.after.clone(),
            changed: offer.changed.clone(),
        };
        with.put(path.clone(), Some(bytes));
        let changes = Changes::from(with.changed.clone());
        let update = self.update(&self.state, &with.after, &changes);
        let codes = |report: &Report| -> BTreeSet<String> {
            let here = |problem: &&Problem| *problem.place == *path.as_str();
            let problems = report.problems.iter().filter(here);
            problems
                .map(|problem| problem.code.as_str().into())
                .collect()
        };
        let (fast, default) = (update.run_fast(), update.run());
        ensure!(
            fast.verified().is_none() && fast.problems == default.problems,
            "{path} is not accounted for, and accepted"
        );
        let codes: Vec<String> = codes(&fast).into_iter().collect();
        ensure!(!codes.is_empty(), "{path} is refused without a reason");
        self.figures.stray(format!(
            "{}: adds {path}, refused ({}), and followed without it",
            pull.label,
            codes.join(", ")
        ));
        Ok(())
    }

    /// Verifies an update as the client does, and adopts it.
    fn follow(&mut self, offer: &Offer) -> Result<Measured> {
        let changes = Changes::from(offer.changed.clone());
        let (before, after) = (Counting::new(&self.state), Counting::new(&offer.after));
        let update = self.update(&before, &after, &changes);
        let start = Instant::now();
        let report = update.run_fast();
        let seconds = start.elapsed().as_secs_f64();
        let opened = before.opened() + after.opened();
        let everything = report.whole.then(|| match update.run_part() {
            None => "no part can be told from the rest".to_owned(),
            Some(part) => part.problems.first().map_or_else(String::new, told),
        });
        self.figures.refused += usize::from(report.verified().is_none());
        let verified = accepted(&report)?.verified().context("enforced")?;
        let record = self.record.updated(verified, None);
        self.record = record.context("this was an update of what is on record")?;
        Ok(Measured {
            seconds,
            opened,
            everything,
        })
    }

    fn update<'u, S, T>(
        &'u self,
        before: &'u S,
        after: &'u T,
        changes: &'u Changes,
    ) -> Update<'u, S, T, StandardCrypto, Parallel> {
        Update {
            before: Before::dangerous_believed(before, &self.record),
            after,
            changes,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &Parallel,
            mode: Mode::Enforce,
            ahead: false,
        }
    }

    /// Verifies the update the default way, the whole result alone, and the update without its signatures.
    fn cross_check(
        &mut self,
        offer: &Offer,
        landing: &Landing,
        new: &BTreeSet<PackageName>,
    ) -> Result<()> {
        let changes = Changes::from(offer.changed.clone());
        let start = Instant::now();
        let report = self.update(&self.state, &offer.after, &changes).run();
        let default = start.elapsed().as_secs_f64();
        accepted(&report).context("the default way, unlike the fast way")?;
        let start = Instant::now();
        let report = verify(&offer.after, &self.record.trust(), Mode::Enforce);
        self.figures.full(default, start.elapsed().as_secs_f64());
        accepted(&report).context("all of the result")?;

        let mut stripped = Offer {
            after: offer.after.clone(),
            changed: offer.changed.clone(),
        };
        let files = landing.contribution.files.iter().map(|(path, _)| path);
        let pages: Vec<&Path> = files
            .filter(|path| path.as_str().starts_with("conex/index/"))
            .collect();
        if pages.is_empty() {
            return Ok(());
        }
        for page in pages {
            stripped.put(page.clone(), None);
        }
        let changes = Changes::from(stripped.changed.clone());
        let update = self.update(&self.state, &stripped.after, &changes);
        let (fast, default) = (update.run_fast(), update.run());
        ensure!(
            fast.verified().is_none() && fast.problems == default.problems,
            "without its pages an update is accepted ({} new releases)",
            new.len()
        );
        self.figures.stripped += 1;
        Ok(())
    }

    /// Has everybody with many pages replace them by one, in a separate update.
    fn compact(&mut self, n: usize) -> Result<()> {
        for id in self.community.everybody() {
            if self.community.pages_of(&id) < PAGES {
                continue;
            }
            let contribution = self.community.compact(&id, n)?;
            let mut offer = Offer::new(&self.state);
            offer.add(&contribution);
            let measured = self
                .follow(&offer)
                .with_context(|| format!("compaction of {id} behind {n}"))?;
            self.figures.compaction(&id, n, measured);
            self.community.land(contribution, n);
            self.state = offer.after;
        }
        Ok(())
    }

    /// Updates from the first state to the last in one step: a client that was away for a year is not
    /// refused.
    fn jump(&mut self, first: &Tree, record: &LocalRecord) -> Result<()> {
        let changes = Changes::from(conex_repo::changes::changed(first, &self.state)?);
        let update = Update {
            before: Before::dangerous_believed(first, record),
            ..self.update(first, &self.state, &changes)
        };
        let start = Instant::now();
        let fast = update.run_fast();
        let seconds = start.elapsed().as_secs_f64();
        accepted(&fast).context("from the first state to the last, the fast way")?;
        accepted(&update.run()).context("from the first state to the last")?;
        self.figures.jump = seconds;
        Ok(())
    }
}

/// Whether a path below `packages/` is not a file of a release.
pub(crate) fn is_stray(path: &Path) -> bool {
    let components: Vec<&str> = path.components().collect();
    match components.as_slice() {
        ["packages", _, release, _, ..] => OpamLayout.parse_release(release).is_none(),
        ["packages", ..] => true,
        _ => false,
    }
}

fn verify(tree: &Tree, trust: &Trust, mode: Mode) -> Report {
    let verification = Verification {
        store: tree,
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Parallel,
        trust,
        mode,
        ahead: false,
    };
    verification.run()
}

/// Returns the report, if nothing is wrong.
pub(crate) fn accepted(report: &Report) -> Result<&Report> {
    if report.verified().is_some() {
        return Ok(report);
    }
    let shown: Vec<String> = report.problems.iter().take(20).map(told).collect();
    bail!(
        "refused for {} problems:\n{}",
        report.problems.len(),
        shown.join("\n")
    )
}

fn told(problem: &Problem) -> String {
    let subject = problem.subject.as_ref().map(ToString::to_string);
    format!(
        "{}: {} ({}): {}",
        problem.code.as_str(),
        problem.place,
        subject.unwrap_or_default(),
        problem.detail
    )
}
