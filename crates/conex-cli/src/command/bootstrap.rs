//! `conex bootstrap`.

use std::path::Path;

use conex_core::compose::{Proposal, is_pending};

use crate::command::approve;
use crate::error::{CommandError, Result};
use crate::keys::KeyArguments;
use crate::tree::Tree;
use crate::{keys, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Say what would be signed, and sign nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    key: KeyArguments,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let tree = Tree::open(repo)?;
    let work = tree.examine()?;
    keys::signer(&arguments.key, &work.people)?;
    let pending: Vec<_> = work
        .report
        .findings
        .iter()
        .filter(|finding| {
            finding.present && !finding.subject.kind().is_about_people() && is_pending(finding)
        })
        .collect();
    if pending.is_empty() {
        return Err(CommandError::refused("everything is signed already")
            .hint("conex status says how things stand"));
    }
    let proposals: Vec<Proposal<'_>> = pending.into_iter().filter_map(Proposal::of).collect();
    let mut out = output::stdout();
    output::line(
        &mut out,
        format_args!(
            "day zero of {}: {} packages, {} releases, {} statements",
            work.head.root().origin,
            work.report.counts.packages,
            work.report.counts.releases,
            proposals.len()
        ),
    );
    if arguments.dry_run {
        return Ok(());
    }
    // Always a batch, however small: it is made for others to sign.
    approve::publish(&tree, work, proposals, 0, &arguments.key)?;
    output::line(
        &mut out,
        "the other janitors approve the same with: conex approve --all",
    );
    Ok(())
}
