//! `conex retract`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use conex_core::model::digest::Digest;
use conex_core::model::name::PackageName;
use conex_core::model::page::PageBody;
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::state::approval::Standing;
use conex_core::state::finding::Finding;
use conex_core::tools::compose::{Draft, Files, INLINE};
use conex_core::tools::pre_approval::{Outstanding, outstanding, retraction};

use crate::command::approve::glob;
use crate::command::publish::exhausted;
use crate::error::{CommandError, Result};
use crate::keys::KeyArguments;
use crate::lock;
use crate::output::{self, BOLD, RESET, line};
use crate::signing::{Member, Publication};
use crate::tree::{Tree, Work};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Packages, releases (foo/1.0), people or teams whose approvals ahead are taken back; `*`
    /// stands for any characters
    #[arg(required = true, value_name = "PATTERN")]
    patterns: Vec<String>,

    /// Say what would be signed, and sign nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    key: KeyArguments,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let tree = Tree::open(repo)?;
    let _lock = lock::take(&tree)?;
    let work = tree.examine()?;
    let member = Member::known(&arguments.key, work.people())?;
    let all = outstanding(&work.report);
    let is_named = |it: &&Outstanding| {
        let full = it.subject.to_string();
        let name = full.split(' ').next().unwrap_or_default();
        arguments
            .patterns
            .iter()
            .any(|pattern| glob(pattern, name) || glob(pattern, it.subject.name()))
    };
    let named: Vec<&Outstanding> = all.iter().filter(is_named).collect();
    if named.is_empty() {
        return Err(CommandError::refused(
            "nothing that matches was approved ahead of what is there",
        )
        .hint("conex status lists what is outstanding"));
    }
    let patterns = arguments.patterns.join(" ");
    let mut out = output::stdout();
    let mut vouches = take_back(&mut out, &tree, work, &named)?;
    if vouches.is_empty() {
        return Err(CommandError::refused("nothing of it can be taken back by a vouch").hint(
            "what was approved of people and ownership is taken back by merging it and changing it again",
        ).hint("of a package, restore what is approved, or approve what is there: conex approve PACKAGE"));
    }
    let own = own_vouches(work, &member);
    vouches.retain(|vouch| !own.contains(&vouch));
    if vouches.is_empty() {
        return Err(CommandError::refused(format_args!(
            "{} took this back already, and others have to agree",
            member.id
        ))
        .hint(format_args!("they run: conex retract {patterns}")));
    }
    for vouch in &vouches {
        line(
            &mut out,
            format_args!(
                "  back to what is there: {} {}{}",
                vouch.subject,
                vouch.version,
                if is_present(work, &vouch.subject) {
                    ""
                } else {
                    ", no release at all"
                }
            ),
        );
    }
    let packages: BTreeSet<&PackageName> = vouches
        .iter()
        .filter_map(|vouch| vouch.subject.package())
        .collect();
    for package in packages.iter().filter(|it| !member.decides(work, it)) {
        line(
            &mut out,
            format_args!(
                "{} does not own {package}: for now this counts for nothing, and others have to take it back",
                member.id
            ),
        );
    }
    if arguments.dry_run {
        return Ok(());
    }
    Publication {
        files: Files::new(),
        drafts: vouches.iter().map(Draft::from).collect(),
        inline: INLINE,
        question: format!("Take this back as {}?", member.id),
    }
    .sign(&tree, work, &member, &arguments.key)?;
    line(
        &mut out,
        format_args!(
            "it is taken back once as many agree as have to approve it: conex retract {patterns}"
        ),
    );
    Ok(())
}

/// Returns the vouches that a person's pages under their present key contain directly, outside of batches.
fn own_vouches<'w>(work: &'w Work, member: &Member) -> Vec<&'w Vouch> {
    let pages = work.report.metadata().pages.iter();
    let pages = pages
        .map(|stored| stored.page.body())
        .filter(|page| *page.signer() == member.id && page.key() == member.locked.fingerprint());
    pages.flat_map(PageBody::vouches).collect()
}

/// Shows the outstanding approvals, and returns the vouches for the content that replaces them.
fn take_back(
    out: &mut impl Write,
    tree: &Tree,
    work: &Work,
    named: &[&Outstanding],
) -> Result<Vec<Vouch>> {
    let mut vouches: Vec<Vouch> = Vec::new();
    for it in named {
        let who = it.by.iter().map(ToString::to_string).collect::<Vec<_>>();
        line(
            out,
            format_args!(
                "{BOLD}{}{RESET} {}, {} by {}",
                it.subject,
                it.version,
                if it.approved {
                    "approved"
                } else {
                    "vouched for"
                },
                who.join(", ")
            ),
        );
        if !it.approved && !it.near {
            line(
                out,
                format_args!("  left out: its counter is too far ahead for any tool to follow"),
            );
            continue;
        }
        if vouches
            .last()
            .is_some_and(|last| last.subject == it.subject)
        {
            continue;
        }
        match present(tree, work, &it.subject)? {
            Present::Approved(digest) => {
                let ahead = named.iter().copied();
                vouches.push(
                    retraction(&it.subject, digest, ahead).ok_or_else(|| exhausted(&it.subject))?,
                );
            }
            Present::Unapproved => line(
                out,
                format_args!(
                    "  what is there now is not approved either: conex approve {} approves it, which takes this back",
                    it.subject.to_string().split(' ').next().unwrap_or_default()
                ),
            ),
            Present::Nothing => line(
                out,
                format_args!("  is not there; it counts for nothing without what names it"),
            ),
        }
    }
    Ok(vouches)
}

/// The present content of a statement in the tree.
enum Present {
    /// Content that is or was approved, or an absent package.
    Approved(Digest),
    /// Content that nobody approved. Taking something else back is no reason to approve it.
    Unapproved,
    /// There is no content.
    Nothing,
}

fn present(tree: &Tree, work: &Work, subject: &Subject) -> Result<Present> {
    let found = find(work, subject);
    Ok(match (found, subject) {
        (Some(finding), Subject::Checksums(..)) if !finding.present => Present::Nothing,
        (Some(finding), _) => match finding.assessment.standing {
            Standing::Approved(_) | Standing::Behind { .. } => Present::Approved(finding.digest),
            _ if finding.present => Present::Unapproved,
            _ => Present::Approved(finding.digest),
        },
        (None, Subject::Releases(package)) => {
            Present::Approved(tree.releases_digest(&work.head, package, &[])?)
        }
        (None, _) => Present::Nothing,
    })
}

fn is_present(work: &Work, subject: &Subject) -> bool {
    find(work, subject).is_some_and(|finding| finding.present)
}

fn find<'w>(work: &'w Work, subject: &Subject) -> Option<&'w Finding> {
    let mut findings = work.report.findings.iter();
    findings.find(|finding| finding.subject == *subject)
}
