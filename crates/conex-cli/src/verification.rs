//! Verification for commands: with all layouts and projections of this program, on all cores, with
//! progress.

use std::path::Path;

use conex_core::state::baseline::Baseline;
use conex_core::state::chain::Trust;
use conex_core::tree::store::Store;
use conex_core::verify::{Before, Changes, LocalRecord, Mode, Report, Update, Verification};
use conex_crypto::StandardCrypto;
use conex_repo::git::CommitId;
use conex_repo::{GitStore, KnownSchemes};

use crate::error::Result;
use crate::output::Watched;
use crate::records::Kept;

/// Verifies a whole state.
pub(crate) fn verify(store: &dyn Store, trust: &Trust, mode: Mode, ahead: bool) -> Report {
    Verification {
        store,
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Watched::new(),
        trust,
        mode,
        ahead,
    }
    .run()
}

/// Verifies a main line beside the state that clients follow, if that is known.
pub(crate) fn verify_main(store: &dyn Store, baseline: Option<&Baseline>) -> Report {
    let verification = Verification {
        store,
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Watched::new(),
        trust: &Trust::DangerousSelfAsserted,
        mode: Mode::Warn,
        ahead: true,
    };
    match baseline {
        Some(baseline) => verification.run_above(baseline),
        None => verification.run(),
    }
}

/// Verifies one commit as an update of another, as clients do.
pub(crate) fn step(
    before: &GitStore,
    record: &LocalRecord,
    after: &GitStore,
    mode: Mode,
) -> Report {
    let changes = before.changed(after).map(Changes::from);
    Update {
        // The content of a commit never changes, and its record is kept under its id.
        before: Before::dangerous_believed(before, record),
        after,
        changes: &changes.unwrap_or_else(|_| Changes::everywhere()),
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Watched::new(),
        mode,
        ahead: false,
    }
    .run_fast()
}

/// Returns the record of a commit: the one kept when this program accepted it, otherwise the one that
/// verification gives now. If the commit is refused, returns the reason.
pub(crate) fn recorded(
    repo: &Path,
    (commit, store): (CommitId, &GitStore),
    trust: &Trust,
    mode: Mode,
) -> Result<core::result::Result<LocalRecord, Box<Report>>> {
    if let Some(record) = Kept::look(repo, Some(&commit.to_string()))?.state(trust) {
        return Ok(Ok(record));
    }
    Ok(unrecorded(store, trust, mode))
}

/// Returns the record of a state without a stored one. The mode affects only later updates, so a state that
/// is accepted in the mode `warn` has a record in every mode.
pub(crate) fn unrecorded(
    store: &GitStore,
    trust: &Trust,
    mode: Mode,
) -> core::result::Result<LocalRecord, Box<Report>> {
    let mut report = verify(store, trust, mode, false);
    if report.verified().is_none() && mode == Mode::Enforce {
        report = verify(store, trust, Mode::Warn, false);
    }
    let verified = report.verified();
    let record = verified.and_then(|verified| LocalRecord::new(verified, 0));
    record.ok_or_else(|| Box::new(report))
}
