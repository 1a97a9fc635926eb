//! `conex advance`.

mod told;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use conex_core::state::chain::Trust;
use conex_core::tools::advance::{Advance, AdvanceError, Advanced, Earlier};
use conex_core::tree::problem::Code;
use conex_core::tree::store::Store;
use conex_core::verify::{LocalRecord, Mode, Report};
use conex_crypto::StandardCrypto;
use conex_repo::git::{CommitId, CommitInfo, Committer, Files, GitError};
use conex_repo::{GitRepository, GitStore, KnownSchemes};

use crate::anchors;
use crate::error::{CommandError, Result};
use crate::output::{self, Watched};
use crate::records::{Kept, Over};
use crate::verification::{recorded, step, unrecorded, verify};
use told::Told;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The main line: a branch, or any other revision
    #[arg(long, value_name = "REV", default_value = "main")]
    from: String,

    /// The branch that clients follow; it is created if it does not exist
    #[arg(long, value_name = "BRANCH", default_value = "signed")]
    to: String,

    #[command(flatten)]
    anchors: anchors::AnchorArguments,

    /// How strict clients are about what nobody vouched for yet
    #[arg(long, value_enum, default_value = "warn")]
    mode: Strictness,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// How strict clients are.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Strictness {
    /// They accept unsigned packages and count them
    Warn,
    /// They refuse unsigned packages, too
    Enforce,
}

impl From<Strictness> for Mode {
    fn from(strictness: Strictness) -> Self {
        match strictness {
            Strictness::Warn => Self::Warn,
            Strictness::Enforce => Self::Enforce,
        }
    }
}

/// The committer. It is the same everywhere, so two people who advance make the same commit.
const BY: Committer<'_> = Committer {
    name: "conex advance",
    email: "conex-advance@localhost",
};

/// The trailer in a commit's message that names the commit of the main line.
const MAIN: &str = "Main: ";

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let trust = arguments.anchors.trust()?;
    let git = GitRepository::open(repo)?;
    let main = git.resolve(&arguments.from).map_err(|error| {
        CommandError::from(error).hint(format_args!(
            "--from names the main line; it is {:?} now",
            arguments.from
        ))
    })?;
    let before = git.reference(&arguments.to)?;
    if git.is_checked_out(&arguments.to) {
        return Err(CommandError::refused(format_args!(
            "{} is checked out here, and would change under the work tree",
            arguments.to
        ))
        .hint("check out another branch, or advance in a bare repository"));
    }
    let job = Job {
        git,
        repo: repo.to_owned(),
        trust,
        mode: arguments.mode.into(),
        main,
        to: &arguments.to,
        dry_run: arguments.dry_run,
    };
    let told = match before {
        None => job.begin()?,
        Some(before) => job.go_on(before)?,
    };
    let mut out = output::stdout();
    if arguments.json {
        let json = serde_json::to_string_pretty(&told).map_err(CommandError::io)?;
        output::line(&mut out, json);
    } else {
        told.print(&mut out);
    }
    Ok(())
}

/// The most commits of the main line to search for an overwritten one.
const LOOKED_AT: usize = 256;

/// The main line before its newest commit, as far as its history has been fetched.
struct History<'g> {
    git: &'g GitRepository,
    tip: CommitId,
}

impl Earlier for History<'_> {
    fn each(&self, look: &mut dyn FnMut(&dyn Store) -> bool) {
        let parent = |commit: &CommitId| {
            let info = self.git.info(*commit).ok()?;
            info.parents.first().copied()
        };
        let commits = core::iter::successors(parent(&self.tip), parent);
        for commit in commits.take(LOOKED_AT) {
            match self.git.store(commit) {
                Ok(store) if look(&store) => {}
                _ => return,
            }
        }
    }
}

/// The branch to advance, and the options.
struct Job<'a> {
    git: GitRepository,
    repo: PathBuf,
    trust: Trust,
    mode: Mode,
    main: CommitId,
    to: &'a str,
    dry_run: bool,
}

impl Job<'_> {
    /// Creates the branch from the whole main line, if clients would accept all of it.
    fn begin(&self) -> Result<Told> {
        let store = self.store(self.main)?;
        let report = verify(&store, &self.trust, self.mode, false);
        let Some(verified) = report.verified() else {
            if let Some(error) = of_another(&report) {
                return Err(error);
            }
            let error = CommandError::refused(format_args!(
                "{} does not exist yet, and cannot begin with this main line: {}",
                self.to,
                problems(&report)
            ));
            if report
                .problems
                .iter()
                .any(|it| it.code == Code::RootMissing)
            {
                return Err(error.hint(
                    "commit what conex wrote: commits are looked at, and not the work tree",
                ));
            }
            return Err(error
                .hint("everything has to be approved when it begins; conex verify --revision says what is not")
                .hint("or begin with an older commit: --from REV"));
        };
        let record = LocalRecord::new(verified, 0);
        let mut told = Told::new(self.to, self.main, None);
        if !self.dry_run {
            let commit = self.commit(None, &Files::new())?;
            self.move_to(None, commit)?;
            self.keep(commit, record.as_ref())?;
            told.after = Some(commit.to_string());
        }
        told.begun();
        Ok(told)
    }

    /// Advances the branch.
    fn go_on(&self, before: CommitId) -> Result<Told> {
        let (signed, main) = (self.store(before)?, self.store(self.main)?);
        let record = self.record(before, &signed)?;
        let changed = signed.changed(&main).map_err(|error| {
            CommandError::io(format_args!("the main line cannot be compared: {error}"))
                .hint("fetch it again; nothing was moved")
        })?;
        let workers = Watched::new();
        let earlier = History {
            git: &self.git,
            tip: self.main,
        };
        let advance = Advance {
            signed: &signed,
            main: &main,
            changed: &changed,
            record: &record,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &workers,
            mode: self.mode,
            earlier: &earlier,
        };
        let advanced = advance.run().map_err(|error| self.no_next_state(&error))?;
        if advanced.update.is_none() && self.mode == Mode::Enforce && !record.is_enforced() {
            self.is_signed(&signed)?;
        }
        let mut told = Told::new(self.to, self.main, Some(before));
        told.rewritten = self.is_rewritten(before)?;
        told.advanced(&advanced);
        let Advanced { files, update, .. } = &advanced;
        if let Some(verified) = update.as_ref().and_then(Report::verified)
            && !self.dry_run
        {
            let commit = self.commit(Some(before), files)?;
            self.move_to(Some(before), commit)?;
            self.keep(commit, record.updated(verified, None).as_ref())?;
            told.after = Some(commit.to_string());
        }
        Ok(told)
    }

    /// Explains why there is no next state. This must never look like success.
    fn no_next_state(&self, error: &AdvanceError) -> CommandError {
        let refused = CommandError::refused(format_args!("{} does not advance: {error}", self.to));
        match error {
            AdvanceError::NotRecorded(_) => {
                refused.hint("nothing was moved; run it again without its record")
            }
            _ => refused
                .hint("nothing was moved; have it mended on the main line, and run it again")
                .hint("no merge should cause this: please report it"),
        }
    }

    /// Returns the record of the branch: the one kept when this program accepted this very commit,
    /// otherwise the one that verifying the commit now gives.
    fn record(&self, commit: CommitId, signed: &GitStore) -> Result<LocalRecord> {
        let kept = Kept::look(&self.repo, Some(&commit.to_string()))?;
        if let Some(record) = kept.state(&self.trust) {
            return Ok(record);
        }
        let record = unrecorded(signed, &self.trust, self.mode)
            .map_err(|report| self.moved_by_others(commit, &report))?;
        self.is_step(commit, signed)?;
        self.keep(commit, Some(&record))?;
        Ok(record)
    }

    /// Checks that a commit this program has not accepted before is an update, as clients see it, of one
    /// that it has accepted.
    ///
    /// The commit's own claims do not count: anyone who can push can write anything, in any number of
    /// commits. The commit is therefore compared with its newest ancestor that has a record. If no ancestor
    /// has one, nothing is known about what clients have, and the history cannot tell either. Then the
    /// commit's parent is verified instead, which finds mistakes but does not stop an attacker.
    fn is_step(&self, commit: CommitId, signed: &GitStore) -> Result<()> {
        let Some((before, record)) = self.accepted_before(commit)? else {
            return Ok(());
        };
        let report = step(&before, &record, signed, Mode::Warn);
        match report.verified() {
            Some(_) => Ok(()),
            None => Err(self.moved_by_others(commit, &report)),
        }
    }

    /// Returns the newest ancestor of a commit that has a record; failing that, its parent, if that
    /// verifies.
    fn accepted_before(&self, commit: CommitId) -> Result<Option<(GitStore, LocalRecord)>> {
        let Some(parent) = self.parent(commit)? else {
            return Ok(None);
        };
        let mut before = Some(parent);
        while let Some(commit) = before {
            let kept = Kept::look(&self.repo, Some(&commit.to_string()))?;
            let record = kept.state(&self.trust);
            if let Some(record) = record.filter(|record| !record.is_ahead()) {
                return Ok(Some((self.store(commit)?, record)));
            }
            before = self.parent(commit)?;
        }
        let store = self.store(parent)?;
        let record = recorded(&self.repo, (parent, &store), &self.trust, Mode::Warn)?;
        Ok(record.ok().map(|record| (store, record)))
    }

    /// Returns the parent of a commit of the branch, as far as the history has been fetched.
    fn parent(&self, commit: CommitId) -> Result<Option<CommitId>> {
        let parent = self.git.info(commit)?.parents.first().copied();
        Ok(parent.filter(|parent| self.git.info(*parent).is_ok()))
    }

    fn moved_by_others(&self, commit: CommitId, report: &Report) -> CommandError {
        if let Some(error) = of_another(report) {
            return error;
        }
        CommandError::refused(format_args!(
            "{} is at {commit}, which clients refuse: {}",
            self.to,
            problems(report)
        ))
        .hint("somebody else moved it; nothing was moved now")
        .hint(format_args!(
            "put it back to the last commit of conex advance (git log {}), or to what a client has of it",
            self.to
        ))
    }

    /// Checks that nothing on the branch is unsigned. Something may be if the mode was `warn` so far.
    fn is_signed(&self, signed: &GitStore) -> Result<()> {
        let report = verify(signed, &self.trust, Mode::Enforce, false);
        if report.verified().is_some() {
            return Ok(());
        }
        Err(CommandError::refused(format_args!(
            "{} has content that clients in the mode enforce refuse: {}",
            self.to,
            problems(&report)
        ))
        .hint(format_args!(
            "conex verify --revision {} --mode enforce lists it; have it approved on the main line",
            self.to
        ))
        .hint("until then, go on with --mode warn; nothing was moved"))
    }

    fn store(&self, commit: CommitId) -> Result<GitStore> {
        Ok(self.git.store(commit)?)
    }

    /// Writes the next commit. It depends only on the main line and the previous commit, including its
    /// time.
    fn commit(&self, before: Option<CommitId>, files: &Files) -> Result<CommitId> {
        let mut time = self.git.info(self.main)?.time;
        if let Some(before) = before {
            time = time.max(self.git.info(before)?.time);
        }
        let base = before.unwrap_or(self.main);
        let said = CommitInfo {
            parents: vec![base],
            message: format!(
                "conex: advance to {:.12}\n\n{MAIN}{}\n",
                self.main.to_string(),
                self.main
            ),
            time,
        };
        Ok(self.git.commit(base, files, &said, BY)?)
    }

    fn move_to(&self, from: Option<CommitId>, to: CommitId) -> Result<()> {
        let moved = self
            .git
            .move_reference(self.to, from, to, ("conex advance", BY));
        match moved {
            // Somebody else has just made the same move.
            Err(GitError::Moved(_)) if self.git.reference(self.to) == Ok(Some(to)) => Ok(()),
            moved => Ok(moved?),
        }
    }

    fn keep(&self, commit: CommitId, record: Option<&LocalRecord>) -> Result<()> {
        let kept = Kept::look(&self.repo, Some(&commit.to_string()))?;
        match record {
            Some(record) if !self.dry_run => kept.save(record, Over::Whatever),
            _ => Ok(()),
        }
    }

    /// Whether the main line no longer contains the commit to which the branch was last advanced.
    fn is_rewritten(&self, before: CommitId) -> Result<bool> {
        let Some(last) = self.named_main(before)? else {
            return Ok(false);
        };
        let Ok(last) = self.git.resolve(&last) else {
            // The local history may be incomplete.
            return Ok(false);
        };
        Ok(matches!(self.git.is_ancestor(last, self.main), Ok(false)))
    }

    /// Returns the commit of the main line that a commit of the branch names.
    fn named_main(&self, commit: CommitId) -> Result<Option<String>> {
        let info = self.git.info(commit)?;
        let named = info
            .message
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix(MAIN));
        let is_id = |name: &&str| name.len() >= 40 && name.bytes().all(|it| it.is_ascii_hexdigit());
        Ok(named.filter(is_id).map(ToOwned::to_owned))
    }
}

/// Returns an error if the anchors do not fit the repository. Nothing else can be said then.
fn of_another(report: &Report) -> Option<CommandError> {
    let mut problems = report.problems.iter();
    let problem = problems.find(|it| it.code == Code::AnchorUnsatisfied)?;
    let error = CommandError::refused(format_args!(
        "these anchors are of another repository: {problem}"
    ));
    Some(error.hint(
        "compare them with what the janitors published; conex status prints those of this one",
    ))
}

/// Summarises a refusal in one line.
fn problems(report: &Report) -> String {
    match report.problems.as_slice() {
        [] => "nothing was verified".into(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first}; and {} more", rest.len()),
    }
}
