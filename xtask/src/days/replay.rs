//! The days of a community: pull requests are opened, approved, merged and followed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context as _, Result};
use conex_core::model::name::{Id, PackageName};
use conex_core::model::path::Path;
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::state::chain::Trust;
use conex_core::state::finding::Finding;
use conex_core::tools::advance::Advance;
use conex_core::tools::compose::{Draft, is_pending, is_unapproved};
use conex_core::tree::store::Store as _;
use conex_core::verify::{Before, Changes, LocalRecord, Mode, Report, Update, Verification};
use conex_crypto::StandardCrypto;
use conex_repo::{KnownSchemes, Parallel};

use super::figures::Figures;
use crate::merges::community::{
    Community, Contribution, Owners, Published, QUORUM, Rules, Touched, first_releases,
};
use crate::merges::git::{Merged, Oid, Repository};
use crate::merges::history::Pull;
use crate::merges::revision::Revision;
use crate::merges::{self, Arrival, Sides, State};
use crate::updates::tree::Tree;
use crate::updates::{accepted, is_stray};

/// One in this many days is also verified in full.
const CROSS_CHECK: usize = 10;

/// The number of pages after which a person replaces them by one.
const PAGES: usize = 32;

/// A main line, the people who work on it, and the line that clients follow.
pub(super) struct Replay<'a> {
    repository: &'a Repository,
    pulls: &'a [Pull],
    owners: &'a Owners,
    community: Community,
    janitors: Vec<Id>,
    head: State,
    /// The main line after each position, including approvals.
    after: Vec<State>,
    /// The main line in memory, without files that nothing accounts for, and every path at which it differs
    /// from what clients have.
    main: Tree,
    changed: BTreeSet<Path>,
    /// The tree of the main line from which `main` was made.
    mirrored: Oid,
    /// The state that clients have.
    signed: Tree,
    record: LocalRecord,
    pub(super) figures: Figures,
}

/// An open pull request.
struct Branch {
    base: State,
    state: State,
    touched: Touched,
    published: Published,
}

impl<'a> Replay<'a> {
    /// Plays day zero: signs everything, with owners for packages that have them, and verifies it in full.
    pub(super) fn start(
        repository: &'a Repository,
        pulls: &'a [Pull],
        janitors: Vec<Id>,
        owners: &'a Owners,
        rules: Rules,
    ) -> Result<Self> {
        let first = pulls.first().context("there is a first state")?;
        let data = repository.tree_of(first.commit)?;
        let store = Revision::new(repository, data);
        let entries = store.list(&Path::parse("packages")?)?;
        let packages: BTreeSet<String> = entries.into_iter().map(|it| it.name).collect();
        let settled: Owners = owners
            .iter()
            .filter(|(name, _)| packages.contains(name.as_str()))
            .map(|(name, ids)| (name.clone(), ids.clone()))
            .collect();
        let mut community = Community::new(&janitors)?;
        let contribution = community.day_zero(&store, rules, &settled)?;
        let tree = merges::add(repository, data, &contribution)?;
        let commit = repository.commit(tree, &[], &first.date, "day zero")?;
        community.land(contribution, 0);

        let mut main = Tree::default();
        let mut changed = BTreeSet::new();
        let strays = mirror(repository, (None, tree), &mut main, &mut changed)?;
        let found = verify(&main, &Trust::DangerousSelfAsserted, Mode::Observe, false);
        let trust = Trust::Root(found.head.context("there is a root")?.digest());
        let report = verify(&main, &trust, Mode::Enforce, false);
        let verified = accepted(&report)?.verified().context("enforced")?;
        let record = LocalRecord::new(verified, 0).context("the root is an anchor")?;
        let head = State { commit, tree };
        let people: BTreeSet<&Id> = settled.values().flatten().collect();
        let figures = Figures {
            enrolled: people.len(),
            claimed: settled.len(),
            strays,
            ..Figures::default()
        };
        Ok(Self {
            repository,
            pulls,
            owners,
            community,
            janitors,
            head,
            after: vec![head],
            signed: main.clone(),
            main,
            changed: BTreeSet::new(),
            mirrored: tree,
            record,
            figures,
        })
    }

    /// Plays a day. Pull requests that are open in the morning and will be merged are approved, if they are
    /// among those approved ahead. Everything is merged, what waits is approved, and clients follow.
    pub(super) fn day(&mut self, first: usize, last: usize) -> Result<()> {
        let mut open = self.morning(first, last)?;
        for n in first..=last {
            let branch = match open.remove(&n) {
                Some(branch) => branch,
                None => self.branch(n)?,
            };
            self.merge(n, branch)
                .with_context(|| self.label(n).to_owned())?;
            if n < last {
                self.after.push(self.head);
            }
        }
        self.evening(first, last)?;
        self.compact(last)?;
        self.after.push(self.head);
        self.follow()
    }

    fn pull(&self, n: usize) -> Result<&'a Pull> {
        self.pulls.get(n).context("the table has this row")
    }

    fn label(&self, n: usize) -> &'a str {
        self.pulls.get(n).map_or("", |pull| pull.label.as_str())
    }

    /// Returns the janitor responsible for a pull request: the one who merged it, or the next in turn.
    fn janitor(&self, n: usize) -> Result<Id> {
        let merger = self.pull(n)?.merger.as_ref();
        let merger = merger.filter(|id| self.janitors.contains(id));
        let turn = self.janitors.get(n % self.janitors.len());
        merger.or(turn).cloned().context("there are janitors")
    }

    /// Creates the branch of a pull request at its original base, with the page of an owner.
    fn branch(&mut self, n: usize) -> Result<Branch> {
        let pull = self.pull(n)?;
        let base = *self
            .after
            .get(pull.base)
            .context("a pull request starts from the past")?;
        let before = self.repository.tree_of(self.pull(n - 1)?.commit)?;
        let data = self.repository.tree_of(pull.commit)?;
        let changes = self.repository.changes(Some(before), Some(data))?;
        let touched = merges::touched(&changes);
        let with_data = self.repository.edit(base.tree, &changes)?;
        let store = Revision::new(self.repository, with_data);
        let published = match &pull.author {
            Some(author) if !self.janitors.contains(author) => {
                let before = Revision::new(self.repository, base.tree);
                let mut theirs = first_releases(&before, &store, &touched)?;
                let owns = |name: &PackageName| {
                    let owners = self.owners.get(name);
                    owners.is_some_and(|owners| owners.contains(author))
                };
                theirs.retain(owns);
                self.community
                    .publish(author, pull.base, &store, &touched, &theirs)?
            }
            _ => Published::default(),
        };
        let tree = merges::add(self.repository, with_data, &published.contribution)?;
        let commit = self
            .repository
            .commit(tree, &[base.commit], &pull.date, &pull.label)?;
        Ok(Branch {
            base,
            state: State { commit, tree },
            touched,
            published,
        })
    }

    /// Approves pull requests ahead: half of all, if they were open before the day. Each is test-merged on
    /// top of the ones before it. There is a page for each, and one prompt for each janitor.
    fn morning(&mut self, first: usize, last: usize) -> Result<BTreeMap<usize, Branch>> {
        let mut open = BTreeMap::new();
        let mut pages: BTreeMap<Id, usize> = BTreeMap::new();
        let mut tested = self.head.commit;
        for n in first..=last {
            if self.pull(n)?.base >= first {
                self.figures.not_open += 1;
                continue;
            }
            if self.figures.ahead * 2 >= n {
                continue;
            }
            let branch = self.branch(n)?;
            if let Some(contribution) = self.ahead(n, first, &mut tested, &branch)? {
                *pages.entry(self.janitor(n)?).or_default() += 1;
                self.extend(first, contribution, "approve ahead")?;
                self.figures.ahead += 1;
            }
            open.insert(n, branch);
        }
        for (janitor, pages) in pages {
            self.figures.prompt(&janitor, first, pages);
        }
        Ok(open)
    }

    /// Returns what the responsible janitor signs ahead of a merge. Advances `tested` to the merge.
    fn ahead(
        &mut self,
        n: usize,
        at: usize,
        tested: &mut Oid,
        branch: &Branch,
    ) -> Result<Option<Contribution>> {
        let merged = self.repository.merge(*tested, branch.state.commit)?;
        if !merged.conflicts.is_empty() {
            return Ok(None);
        }
        // Content signed by an owner needs nobody else.
        let claims = claims(&branch.published.contribution);
        let mut touched = branch.touched.clone();
        let is_settled = |name: &PackageName| {
            branch.published.owned.contains(name) && !claims.contains(&claim_of(name))
        };
        touched.retain(|name, _| !is_settled(name));
        let store = Revision::new(self.repository, merged.tree);
        let janitor = self.janitor(n)?;
        let Some(contribution) = self
            .community
            .approve_ahead(&janitor, at, &store, &touched, &claims)?
        else {
            return Ok(None);
        };
        let parents = [*tested, branch.state.commit];
        *tested = self
            .repository
            .commit(merged.tree, &parents, &self.pull(n)?.date, "test")?;
        Ok(Some(contribution))
    }

    /// Merges a pull request as git does it. If the data conflicts, the result is taken from the history.
    fn merge(&mut self, n: usize, branch: Branch) -> Result<()> {
        let pull = self.pull(n)?;
        let merged: Merged = self
            .repository
            .merge(self.head.commit, branch.state.commit)?;
        let sides = Sides {
            base: branch.base.tree,
            branch: branch.state.tree,
            main: self.head.tree,
        };
        let arrival = Arrival::of(self.repository, &pull.label, sides, &merged)?;
        let in_data = |path: &&String| !merges::is_metadata(path);
        self.figures.merges += 1;
        self.figures.data_conflicts += usize::from(merged.conflicts.iter().any(|it| in_data(&it)));
        self.figures.same_statement.extend(arrival.same_statement);
        self.figures.other_conflicts += arrival.other.len();
        self.figures.strayed += usize::from(arrival.strayed);
        self.figures.enrolled += usize::from(branch.published.enrolled);
        self.figures.claimed += branch.published.claimed;
        self.figures.published += usize::from(!branch.published.owned.is_empty());

        let data = self.repository.tree_of(pull.commit)?;
        let tree = merges::with_metadata(self.repository, data, arrival.metadata)?;
        let parents = [self.head.commit, branch.state.commit];
        let message = format!("merge {}", pull.label);
        let commit = self
            .repository
            .commit(tree, &parents, &pull.date, &message)?;
        self.head = State { commit, tree };
        self.community.land(branch.published.contribution, n);
        Ok(())
    }

    /// Has the janitors approve what waits for them, each with one prompt and one page.
    fn evening(&mut self, first: usize, last: usize) -> Result<()> {
        self.mirror()?;
        let report = verify(&self.main, &self.record.trust(), Mode::Observe, true);
        // A statement that is behind was approved ahead and turned out differently: take its approval back.
        let waits = |it: &&Finding| is_unapproved(it);
        let pending: Vec<&Finding> = report.findings.iter().filter(waits).collect();
        let retracted = pending.iter().filter(|it| !is_pending(it)).count();
        self.figures.retracted += retracted;
        let vouches = self.assign(&report, &pending, first, last)?;
        for janitor in vouches.keys() {
            self.figures.prompt(janitor, first, 1);
        }
        if !vouches.is_empty() {
            let contribution = self.community.approve_all(vouches, last)?;
            self.extend(last, contribution, "approve")?;
        }
        Ok(())
    }

    /// Assigns janitors to statements: as many as each lacks, first the one who merged it, then anyone who
    /// merged something on this day, then the others in turn.
    fn assign(
        &self,
        report: &Report,
        pending: &[&Finding],
        first: usize,
        last: usize,
    ) -> Result<BTreeMap<Id, Vec<Vouch>>> {
        let people = report.people().context("there is a root")?;
        let lacks: BTreeMap<&Subject, usize> = report
            .problems
            .iter()
            .filter_map(|problem| {
                let (more, _) = problem.missing.as_ref()?.janitors.as_ref()?;
                Some((problem.subject.as_ref()?, *more))
            })
            .collect();
        let mut mergers: Vec<Id> = (first..=last)
            .map(|n| self.janitor(n))
            .collect::<Result<_>>()?;
        let mut merger_of: BTreeMap<PackageName, Id> = BTreeMap::new();
        for (n, janitor) in (first..=last).zip(&mergers) {
            for path in self.paths(n)? {
                merger_of.insert(path, janitor.clone());
            }
        }
        let turn = last % self.janitors.len();
        mergers.extend(
            self.janitors
                .iter()
                .cycle()
                .skip(turn)
                .take(self.janitors.len())
                .cloned(),
        );
        let mut vouches: BTreeMap<Id, Vec<Vouch>> = BTreeMap::new();
        for finding in pending {
            let own = finding.subject.package().and_then(|it| merger_of.get(it));
            let mut candidates: Vec<&Id> = Vec::new();
            for id in own.into_iter().chain(&mergers) {
                let supports = people
                    .find(id)
                    .is_some_and(|person| finding.assessment.is_supported_by(person));
                if !supports && !candidates.contains(&id) {
                    candidates.push(id);
                }
            }
            let lacking = lacks
                .get(&finding.subject)
                .copied()
                .unwrap_or(usize::from(QUORUM));
            let vouch = Draft::of(finding).context("counters last")?.vouch();
            for id in candidates.into_iter().take(lacking) {
                vouches.entry(id.clone()).or_default().push(vouch.clone());
            }
        }
        Ok(vouches)
    }

    /// Returns the packages that a merge touched.
    fn paths(&self, n: usize) -> Result<Vec<PackageName>> {
        let before = self.repository.tree_of(self.pull(n - 1)?.commit)?;
        let data = self.repository.tree_of(self.pull(n)?.commit)?;
        let changes = self.repository.changes(Some(before), Some(data))?;
        Ok(merges::touched(&changes).into_keys().collect())
    }

    /// Has everybody with many pages replace them by one, in a separate change.
    fn compact(&mut self, last: usize) -> Result<()> {
        for id in self.community.everybody() {
            if self.community.pages_of(&id) >= PAGES {
                let contribution = self.community.compact(&id, last)?;
                self.extend(last, contribution, "compact")?;
                self.figures.compactions += 1;
            }
        }
        Ok(())
    }

    /// Adds a commit to the main line.
    fn extend(&mut self, at: usize, contribution: Contribution, message: &str) -> Result<()> {
        let tree = merges::add(self.repository, self.head.tree, &contribution)?;
        let date = &self.pull(at)?.date;
        let commit = self
            .repository
            .commit(tree, &[self.head.commit], date, message)?;
        self.head = State { commit, tree };
        self.community.land(contribution, at);
        Ok(())
    }

    /// Updates the tree in memory to the main line.
    fn mirror(&mut self) -> Result<()> {
        let trees = (Some(self.mirrored), self.head.tree);
        let strays = mirror(self.repository, trees, &mut self.main, &mut self.changed)?;
        self.figures.strays.extend(strays);
        self.mirrored = self.head.tree;
        Ok(())
    }

    /// Advances the state that clients follow by the day. What waits keeps waiting; at the end nothing may.
    fn follow(&mut self) -> Result<()> {
        self.mirror()?;
        let advance = Advance {
            signed: &self.signed,
            main: &self.main,
            changed: &self.changed,
            record: &self.record,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &Parallel,
            mode: Mode::Enforce,
            earlier: &(),
        };
        let start = Instant::now();
        let advanced = advance.run()?;
        self.figures.days.push(start.elapsed().as_secs_f64() * 1e3);
        self.figures.pending = advanced.waiting.len();
        self.figures.waited += usize::from(!advanced.waiting.is_empty());
        for waiting in &advanced.waiting {
            let why = waiting.problems.first().map(ToString::to_string);
            eprintln!("{:?} waits: {}", waiting.unit, why.unwrap_or_default());
        }
        let changes = Changes::from(advanced.files.keys().cloned().collect::<BTreeSet<_>>());
        let mut after = self.signed.clone();
        for (path, bytes) in advanced.files {
            after.put(&path, bytes);
        }
        self.update(&after, &changes)?;
        self.signed = after;
        self.changed = if self.figures.pending == 0 {
            BTreeSet::new()
        } else {
            conex_repo::changes::changed(&self.signed, &self.main)?
        };
        Ok(())
    }

    /// Verifies it as a client would: as an update, the fast way, and every tenth time in full.
    fn update(&mut self, after: &Tree, changes: &Changes) -> Result<()> {
        let update = Update {
            before: Before::dangerous_believed(&self.signed, &self.record),
            after,
            changes,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &Parallel,
            mode: Mode::Enforce,
            ahead: false,
        };
        let start = Instant::now();
        let report = update.run_fast();
        self.figures
            .updates
            .push(start.elapsed().as_secs_f64() * 1e3);
        self.figures.whole += usize::from(report.whole);
        let verified = accepted(&report)?.verified().context("enforced")?;
        let record = self.record.updated(verified, None);
        self.record = record.context("this was an update of what is on record")?;
        if self.figures.updates.len().is_multiple_of(CROSS_CHECK) {
            let start = Instant::now();
            let report = verify(after, &self.record.trust(), Mode::Enforce, false);
            self.figures.full.push(start.elapsed().as_secs_f64() * 1e3);
            accepted(&report).context("all of the result")?;
        }
        Ok(())
    }
}

/// Turns a tree in memory that was made from the first tree into the second one. Returns the files that
/// nothing accounts for, which are left out.
fn mirror(
    repository: &Repository,
    (from, to): (Option<Oid>, Oid),
    tree: &mut Tree,
    changed: &mut BTreeSet<Path>,
) -> Result<BTreeSet<String>> {
    let mut strays = BTreeSet::new();
    for (path, blob) in repository.changes(from, Some(to))? {
        let path = Path::parse(&path)?;
        if is_stray(&path) {
            strays.insert(path.to_string());
            continue;
        }
        let bytes = blob.map(|blob| repository.object(blob)).transpose()?;
        tree.put(&path, bytes);
        changed.insert(path);
    }
    Ok(strays)
}

fn verify(tree: &Tree, trust: &Trust, mode: Mode, ahead: bool) -> Report {
    let verification = Verification {
        store: tree,
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Parallel,
        trust,
        mode,
        ahead,
    };
    verification.run()
}

/// Returns the statements about people and ownership among the files of a contribution.
fn claims(contribution: &Contribution) -> BTreeSet<Path> {
    let files = contribution.files.iter().map(|(path, _)| path);
    let statements = files.filter(|path| {
        let below = path.as_str().strip_prefix("conex/");
        below.is_some_and(merges::is_statement)
    });
    statements.cloned().collect()
}

fn claim_of(package: &PackageName) -> Path {
    conex_core::tree::metadata::place::authorisation(package)
}
