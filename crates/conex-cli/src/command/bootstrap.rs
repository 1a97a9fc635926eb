//! `conex bootstrap`: signs everything there is at once. With `--infer`, it then proposes owners.

use std::path::Path;

use conex_core::tools::compose::{Draft, is_pending};

use crate::error::{CommandError, Result};
use crate::keys::KeyArguments;
use crate::signing::{Member, Publication};
use crate::tree::Tree;
use crate::{lock, output};

mod infer;
mod view;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    infer: infer::Inference,

    /// Say what would be signed, and sign nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    key: KeyArguments,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let tree = Tree::open(repo)?;
    if arguments.infer.is_given() {
        return infer::run(&tree, &arguments.infer, &arguments.key, arguments.dry_run);
    }
    let _lock = lock::take(&tree)?;
    let work = tree.examine()?;
    let member = Member::known(&arguments.key, work.people())?;
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
    let drafts: Vec<Draft<'_>> = pending.into_iter().filter_map(Draft::of).collect();
    let mut out = output::stdout();
    output::line(
        &mut out,
        format_args!(
            "day zero of {}: {}, {}, {}",
            work.head.root().origin,
            output::count(work.report.counts.packages, "package"),
            output::count(work.report.counts.releases, "release"),
            output::count(drafts.len(), "statement")
        ),
    );
    if arguments.dry_run {
        return Ok(());
    }
    // Always a batch, however small, because others are going to sign it, too.
    Publication {
        inline: 0,
        ..Publication::of(drafts, &member.id)
    }
    .sign(&tree, work, &member, &arguments.key)?;
    output::line(
        &mut out,
        "the other janitors approve the same with: conex approve --all",
    );
    Ok(())
}
