//! `cargo xtask follow`: verifies one update as a whole process, and nothing else, for the bench.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use conex_core::chain::Trust;
use conex_core::record::LocalRecord;
use conex_core::spelling::Stored as _;
use conex_core::store::Store;
use conex_core::update::{Changes, Update};
use conex_core::verify::{Mode, Verification};
use conex_crypto::StandardCrypto;
use conex_repo::{DirectoryStore, GitRepository, KnownSchemes, Parallel, Patch};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The record of the state before
    #[arg(long)]
    record: PathBuf,

    /// The state before: a directory, or a git repository with --range
    repository: PathBuf,

    /// The update, as a patch
    #[arg(long, conflicts_with = "range", required_unless_present = "range")]
    patch: Option<PathBuf>,

    /// The update, as two revisions
    #[arg(long, value_name = "A..B")]
    range: Option<String>,

    /// Verify only what the update concerns
    #[arg(long)]
    fast: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let record = LocalRecord::from_bytes(&std::fs::read(&arguments.record)?)?;
    if let Some(patch) = &arguments.patch {
        let before = DirectoryStore::open(&arguments.repository)?;
        let bytes = std::fs::read(patch)?;
        let after = Patch::parse(&bytes)?.apply(&before)?;
        let changes = Changes::from(after.changed());
        return judge((&before, &after), &changes, &record, arguments.fast);
    }
    let range = arguments
        .range
        .as_deref()
        .and_then(|it| it.split_once(".."));
    let (old, new) = range.context("a range is A..B")?;
    let repository = GitRepository::open(&arguments.repository)?;
    let (before, after) = (repository.revision(old)?, repository.revision(new)?);
    let changes = Changes::from(before.changed(&after)?);
    judge((&before, &after), &changes, &record, arguments.fast)
}

fn judge(
    (before, after): (&impl Store, &impl Store),
    changes: &Changes,
    record: &LocalRecord,
    fast: bool,
) -> anyhow::Result<()> {
    let update = Update {
        before,
        after,
        changes,
        record,
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Parallel,
        mode: Mode::Enforce,
        ahead: false,
    };
    let report = if fast {
        update.run_fast()
    } else {
        update.run()
    };
    ensure!(
        report.verified().is_some(),
        "refused: {:?}",
        report.problems
    );
    ensure!(report.whole != fast, "the fast way looked at everything");
    // As in the program: the process ends, which is faster.
    core::mem::forget(report);
    Ok(())
}

/// Verifies a state in full, and writes the record that a client would keep.
pub(crate) fn record(tree: &Path, trust: &Trust, file: &Path) -> anyhow::Result<()> {
    let verification = Verification {
        store: &DirectoryStore::open(tree)?,
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Parallel,
        trust,
        mode: Mode::Enforce,
        ahead: false,
    };
    let report = verification.run();
    let verified = report.verified().context("the state before is refused")?;
    let record = LocalRecord::new(trust, verified, 0).context("trust is in an anchor")?;
    Ok(std::fs::write(file, record.to_text())?)
}
