//! `conex bootstrap --infer`: proposes owners for unclaimed packages by evidence. People decide.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use conex_core::model::name::{Id, PackageName};
use conex_core::model::version::Threshold;
use conex_repo::git::history::{Commit, Landings};
use conex_repo::git::{GitError, GitRepository};
use conex_repo::infer::{self, Acquaintances, Class, Proposal};
use conex_repo::people::Handle;

use super::view::{self, History, Survey};
use crate::claims::{Claimed, Claims, refuse_unknown};
use crate::error::{CommandError, Result};
use crate::keys::KeyArguments;
use crate::output::{self, BOLD, DIM, RESET, line, plain};
use crate::signing::Member;
use crate::tree::{Tree, Work};
use crate::{lock, prompt};

#[derive(Debug, clap::Args)]
pub(crate) struct Inference {
    /// Propose owners by evidence: who is named in releases, who added them, and whose account has the
    /// sources
    #[arg(long)]
    infer: bool,

    /// Only packages that would belong to these authors, janitors or teams
    #[arg(long = "for", value_name = "ID", requires = "infer")]
    only: Vec<Id>,

    /// Who an address, an account or a name in releases and commits belongs to, such as bob=bob@example.org
    #[arg(long = "is", value_name = "ID=ADDRESS", requires = "infer", value_parser = parse_is)]
    is: Vec<(Id, Handle)>,

    /// Ask separately about anyone who would get more clear packages than this
    #[arg(long, value_name = "N", default_value_t = 20, requires = "infer")]
    few: usize,

    /// The revision of git whose history says who added releases [default: HEAD]
    #[arg(long, value_name = "REVISION", requires = "infer")]
    history: Option<String>,

    /// Show every package with its reasons
    #[arg(long, requires = "infer")]
    full: bool,

    /// Print the proposals for programs, and write nothing
    #[arg(long, requires = "infer", conflicts_with = "full")]
    json: bool,
}

impl Inference {
    pub(super) fn is_given(&self) -> bool {
        self.infer
    }
}

fn parse_is(text: &str) -> core::result::Result<(Id, Handle), String> {
    let (id, handle) = text
        .split_once('=')
        .ok_or("it is written ID=ADDRESS, such as bob=bob@example.org")?;
    let id = Id::parse(id).map_err(|error| error.to_string())?;
    let handle = Handle::parse(handle).ok_or("the address is missing")?;
    Ok((id, handle))
}

pub(super) fn run(
    tree: &Tree,
    arguments: &Inference,
    key: &KeyArguments,
    dry_run: bool,
) -> Result<()> {
    let _lock = lock::take(tree)?;
    let work = tree.examine()?;
    for id in arguments.is.iter().map(|(id, _)| id).chain(&arguments.only) {
        refuse_unknown(work, id)?;
    }
    let acquainted = acquaintances(work, &arguments.is)?;
    let (survey, mut proposals) = survey(tree, work, arguments, &acquainted)?;
    if !arguments.only.is_empty() {
        proposals.retain(|it| owners(it).any(|id| arguments.only.contains(id)));
    }
    let mut out = output::stdout();
    if arguments.json {
        return view::json(&mut out, &survey, &proposals);
    }
    view::print(&mut out, &survey, &proposals, arguments.full);
    decide(&mut out, tree, work, &proposals, key, dry_run)
}

/// Returns the proposed owners who are known in this repository.
fn owners(proposal: &Proposal) -> impl Iterator<Item = &Id> {
    proposal.owners.iter().filter_map(|owner| owner.id())
}

/// Collects the known handles, from the accounts of approved authors and from the janitor's `--is`.
fn acquaintances(work: &Work, said: &[(Id, Handle)]) -> Result<Acquaintances> {
    let mut acquainted = Acquaintances::default();
    for (id, handle) in said {
        acquainted.add(handle.clone(), id).map_err(|other| {
            CommandError::usage(format_args!("{handle} cannot be both {other} and {id}"))
                .hint("give each address to one person; for several people, make a team")
        })?;
    }
    for author in work.report.metadata().authors.values() {
        if author.retired || work.people().find(&author.id).is_none() {
            continue;
        }
        for account in &author.accounts {
            // The janitor's word takes precedence over an account that two authors may both have listed.
            if let Some(handle @ Handle::Account(_)) = Handle::parse(account.as_str()) {
                let _ = acquainted.add(handle, &author.id);
            }
        }
    }
    Ok(acquainted)
}

/// Reads the repository and its history, and proposes owners for unclaimed packages.
fn survey(
    tree: &Tree,
    work: &Work,
    arguments: &Inference,
    acquainted: &Acquaintances,
) -> Result<(Survey, Vec<Proposal>)> {
    let line = main_line(tree, arguments.history.as_deref())?;
    let claimed = &work.report.metadata().authorisations;
    tree.with_layout(&work.head, |layout, units| {
        let landings = match &line {
            None => Landings::new(),
            Some((repository, line)) => repository.landings(line, layout).map_err(unreadable)?,
        };
        let packages = infer::packages(tree.store(), layout, units, &landings);
        let known = |package: &infer::Package| {
            let releases = package.releases.iter();
            releases.filter(|it| it.landing.is_some()).count()
        };
        let survey = Survey {
            origin: work.head.root().origin.clone(),
            packages: packages.len(),
            releases: packages.iter().map(|it| it.releases.len()).sum(),
            claimed: packages
                .iter()
                .filter(|it| claimed.contains_key(&it.name))
                .count(),
            history: line.and_then(|(_, line)| {
                Some(History {
                    commits: line.len(),
                    from: line.first()?.date,
                    to: line.last()?.date,
                    known: packages.iter().map(known).sum(),
                })
            }),
        };
        let unclaimed: Vec<infer::Package> = packages
            .into_iter()
            .filter(|it| !claimed.contains_key(&it.name))
            .collect();
        let mut proposals = infer::propose(&unclaimed, acquainted, arguments.few);
        proposals.sort_by(|a, b| a.package.cmp(&b.package));
        Ok((survey, proposals))
    })?
}

/// Returns the history of the working copy, if it has one.
fn main_line(tree: &Tree, revision: Option<&str>) -> Result<Option<(GitRepository, Vec<Commit>)>> {
    let repository = match (GitRepository::open(tree.path()), revision) {
        (Ok(repository), _) => repository,
        (Err(GitError::NoRepository(_)), None) => return Ok(None),
        (Err(error), _) => return Err(unreadable(error)),
    };
    let tip = match (repository.resolve(revision.unwrap_or("HEAD")), revision) {
        (Ok(tip), _) => tip,
        // There is no commit yet.
        (Err(GitError::NoRevision(_)), None) => return Ok(None),
        (Err(error), _) => {
            return Err(CommandError::usage(error)
                .hint("give a revision of the repository at the top of the working copy"));
        }
    };
    let line = repository.main_line(tip).map_err(unreadable)?;
    Ok(Some((repository, line)))
}

fn unreadable(error: GitError) -> CommandError {
    CommandError::io(error)
        .hint("git fsck says what is wrong with the repository; a fresh clone helps")
}

/// Asks about the proposals: the clear ones in bulk, the rest one by one.
fn decide(
    out: &mut impl Write,
    tree: &Tree,
    work: &Work,
    proposals: &[Proposal],
    key: &KeyArguments,
    dry_run: bool,
) -> Result<()> {
    let possible: Vec<&Proposal> = proposals
        .iter()
        .filter(|it| it.class != Class::Nobody && owners(it).next().is_some())
        .collect();
    if possible.is_empty() {
        line(
            out,
            format_args!(
                "{DIM}none of them could be claimed yet: the people enroll first (conex enroll), and --is bob=bob@example.org says who they are{RESET}"
            ),
        );
        return Ok(());
    }
    let member = Member::known(key, work.people())?;
    let mut agreed: Vec<&Proposal> = Vec::new();
    let whole = |it: &&Proposal| it.owners.iter().all(|owner| owner.id().is_some());
    let (bulk, single): (Vec<&Proposal>, Vec<&Proposal>) = possible
        .into_iter()
        .partition(|it| it.class == Class::Clear && whole(it));
    let asks = !dry_run && !key.yes;
    if !bulk.is_empty() {
        view::claims(out, &bulk);
        if !asks || prompt::ask(&format!("Agree to these {}?", packages(bulk.len())))? {
            agreed.extend(bulk);
        }
    }
    let (many, doubtful): (Vec<&Proposal>, Vec<&Proposal>) = single
        .into_iter()
        .partition(|it| it.class == Class::Many && whole(it));
    let mut by_owners: BTreeMap<Vec<&Id>, Vec<&Proposal>> = BTreeMap::new();
    for proposal in many {
        by_owners
            .entry(owners(proposal).collect())
            .or_default()
            .push(proposal);
    }
    let left = by_owners.len() + doubtful.len();
    if asks {
        for group in by_owners.into_values() {
            view::claims(out, &group);
            if prompt::ask(&format!("Agree to these {}?", packages(group.len())))? {
                agreed.extend(group);
            }
        }
        for proposal in doubtful {
            view::one(out, proposal);
            let owners = names(owners(proposal));
            if prompt::ask(&format!("Claim {} for {owners}?", proposal.package))? {
                agreed.push(proposal);
            }
        }
    } else if left > 0 {
        line(
            out,
            format_args!(
                "{left} more would have to be looked at one by one: run it on a terminal, without --yes and --dry-run"
            ),
        );
    }
    if agreed.is_empty() {
        return Err(
            CommandError::refused("nothing was agreed to, so nothing was signed")
                .hint("conex claim PACKAGE --owner ID claims single packages"),
        );
    }
    publish(out, tree, work, &member, &agreed, key, dry_run)
}

/// Claims the packages that were agreed to, as `conex claim` would.
fn publish(
    out: &mut impl Write,
    tree: &Tree,
    work: &Work,
    member: &Member,
    agreed: &[&Proposal],
    key: &KeyArguments,
    dry_run: bool,
) -> Result<()> {
    let one = Threshold::new(1).expect("one is a threshold");
    let mut claims = Claims::new(work, member);
    let mut packages: BTreeSet<&PackageName> = BTreeSet::new();
    for proposal in agreed {
        let owners: Vec<Id> = owners(proposal).cloned().collect();
        // Each of them was shown above, some with reasons.
        let claimed = Claimed {
            owners,
            threshold: one,
            new_epoch: false,
        };
        claims.add(&mut io::sink(), &proposal.package, &claimed)?;
        packages.insert(&proposal.package);
    }
    line(
        out,
        format_args!(
            "{BOLD}to be claimed{RESET}: {}",
            self::packages(packages.len())
        ),
    );
    claims.publish(out, tree, key, dry_run)
}

pub(super) fn packages(count: usize) -> String {
    match count {
        1 => "1 package".to_owned(),
        many => format!("{many} packages"),
    }
}

fn names<'i>(ids: impl Iterator<Item = &'i Id>) -> String {
    let names: Vec<String> = ids.map(|id| plain(id.as_str())).collect();
    names.join(", ")
}
