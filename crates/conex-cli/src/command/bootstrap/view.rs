//! Proposals as shown to people and programs.

use std::collections::BTreeMap;
use std::io::Write;

use conex_core::model::name::Origin;
use conex_repo::git::history::Date;
use conex_repo::infer::{Class, Evidence, Proposal, Who};
use conex_repo::people::Handle;
use serde_json::{Map, Value, json};

use super::infer::packages;
use crate::error::{CommandError, Result};
use crate::output::{BOLD, DIM, RESET, count, line, plain};

/// A summary of what was examined.
pub(super) struct Survey {
    pub(super) origin: Origin,
    pub(super) packages: usize,
    pub(super) releases: usize,
    /// Packages that are claimed or have a claim waiting for approval.
    pub(super) claimed: usize,
    /// `None` without a git repository.
    pub(super) history: Option<History>,
}

/// How much of the repository's releases the history covers.
pub(super) struct History {
    pub(super) commits: usize,
    pub(super) from: Date,
    pub(super) to: Date,
    /// Releases for which the history says who added them.
    pub(super) known: usize,
}

/// The most lines of a class to show without `--full`.
const SHOWN: usize = 15;

/// Prints the classes, each in part or in full.
pub(super) fn print(out: &mut impl Write, survey: &Survey, proposals: &[Proposal], full: bool) {
    let claimed = match survey.claimed {
        0 => String::new(),
        many => format!(", {many} of them claimed"),
    };
    line(
        out,
        format_args!(
            "{BOLD}{}{RESET}: {}{claimed}; {} releases",
            survey.origin,
            packages(survey.packages),
            survey.releases
        ),
    );
    match &survey.history {
        None => line(
            out,
            "there is no git history here, so nothing says who added what",
        ),
        Some(history) => line(
            out,
            format_args!(
                "history of {} to {}, {}: it says of {} who added them",
                history.from.day(),
                history.to.day(),
                count(history.commits, "commit"),
                count(history.known, "release")
            ),
        ),
    }
    for class in Class::ALL {
        let of_class: Vec<&Proposal> = proposals.iter().filter(|it| it.class == class).collect();
        if of_class.is_empty() {
            continue;
        }
        line(
            out,
            format_args!(
                "\n{BOLD}{class}{RESET}: {}, {}",
                packages(of_class.len()),
                meaning(class),
                class = class.as_str(),
            ),
        );
        if full {
            for proposal in of_class {
                one(out, proposal);
            }
            continue;
        }
        if class != Class::Nobody {
            groups(out, &of_class, SHOWN);
        }
    }
    line(out, "");
}

fn meaning(class: Class) -> &'static str {
    match class {
        Class::Clear => "evidence agrees: to be looked at in bulk",
        Class::Many => "as clear, but much for one person: to be looked at one by one",
        Class::Doubtful => "little or contradictory evidence: to be looked at one by one",
        Class::Nobody => "nobody who could be asked is named: they stay with the janitors",
    }
}

fn more(out: &mut impl Write, left: usize) {
    if left > 0 {
        line(out, format_args!("  ... and {left} more; --full shows all"));
    }
}

/// Groups proposals by owners, those with the most packages first.
fn groups(out: &mut impl Write, proposals: &[&Proposal], most: usize) {
    let mut groups: BTreeMap<String, Vec<&Proposal>> = BTreeMap::new();
    for proposal in proposals {
        groups.entry(owners(proposal)).or_default().push(proposal);
    }
    let mut groups: Vec<(String, Vec<&Proposal>)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| core::cmp::Reverse(group.len()));
    for (owners, group) in groups.iter().take(most) {
        line(
            out,
            format_args!(
                "  {BOLD}{owners}{RESET}, {}: {}",
                packages(group.len()),
                list(group, 6)
            ),
        );
    }
    more(out, groups.len().saturating_sub(most));
}

/// Prints every claim to be made.
pub(super) fn claims(out: &mut impl Write, proposals: &[&Proposal]) {
    let mut groups: BTreeMap<String, Vec<&Proposal>> = BTreeMap::new();
    for proposal in proposals {
        groups.entry(owners(proposal)).or_default().push(proposal);
    }
    for (owners, group) in groups {
        let all = list(&group, usize::MAX);
        line(out, format_args!("for {BOLD}{owners}{RESET}: {all}"));
    }
}

fn list(group: &[&Proposal], most: usize) -> String {
    let names = group.iter().take(most).map(|it| it.package.as_str());
    let mut text = names.collect::<Vec<_>>().join(", ");
    if group.len() > most {
        text.push_str(", ...");
    }
    text
}

/// Prints a package with the evidence for and against its owners.
pub(super) fn one(out: &mut impl Write, proposal: &Proposal) {
    let known = match proposal.owners.as_slice() {
        [] => String::new(),
        _ => format!(
            " {DIM}({} of 4 kinds of evidence){RESET}",
            proposal.confidence
        ),
    };
    line(
        out,
        format_args!(
            "  {BOLD}{}{RESET}: {}{known}",
            proposal.package,
            owners(proposal)
        ),
    );
    let relevant = |it: &&Evidence| proposal.owners.contains(&it.who) || it.named > 0;
    for evidence in proposal.evidence.iter().filter(relevant).take(SHOWN) {
        line(
            out,
            format_args!(
                "    {}: {}",
                plain(&evidence.who.to_string()),
                evidence.reasons(proposal).join("; ")
            ),
        );
    }
    for doubt in &proposal.doubts {
        line(out, format_args!("    but {}", plain(doubt)));
    }
}

fn owners(proposal: &Proposal) -> String {
    if proposal.owners.is_empty() {
        return "nobody".to_owned();
    }
    let names = proposal.owners.iter().map(|it| plain(&it.to_string()));
    names.collect::<Vec<_>>().join(", ")
}

/// Prints everything as JSON. Fields may be added, never removed or changed.
pub(super) fn json(out: &mut impl Write, survey: &Survey, proposals: &[Proposal]) -> Result<()> {
    let classes: Map<String, Value> = Class::ALL
        .into_iter()
        .map(|class| {
            let count = proposals.iter().filter(|it| it.class == class).count();
            (class.as_str().to_owned(), count.into())
        })
        .collect();
    let history = survey.history.as_ref().map(|history| {
        json!({
            "commits": history.commits,
            "from": history.from.day(),
            "to": history.to.day(),
            "known": history.known,
        })
    });
    let document = json!({
        "origin": survey.origin.to_string(),
        "packages": survey.packages,
        "releases": survey.releases,
        "claimed": survey.claimed,
        "history": history,
        "classes": classes,
        "proposals": proposals.iter().map(proposal).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&document).map_err(CommandError::io)?;
    line(out, text);
    Ok(())
}

fn proposal(proposal: &Proposal) -> Value {
    let evidence = |it: &Evidence| {
        json!({
            "who": who(&it.who),
            "named": it.named,
            "named_last": it.named_last,
            "added": it.added,
            "sources": it.home,
            "reasons": it.reasons(proposal),
        })
    };
    json!({
        "package": proposal.package.as_str(),
        "class": proposal.class.as_str(),
        "confidence": proposal.confidence,
        "owners": proposal.owners.iter().map(who).collect::<Vec<_>>(),
        "releases": proposal.releases,
        "known": proposal.known,
        "evidence": proposal.evidence.iter().map(evidence).collect::<Vec<_>>(),
        "doubts": proposal.doubts,
    })
}

fn who(who: &Who) -> Value {
    match who {
        Who::Known(id) => json!({ "id": id.as_str() }),
        Who::Unknown(Handle::Address(address)) => json!({ "address": address.as_str() }),
        Who::Unknown(Handle::Account(account)) => json!({ "account": account.as_str() }),
        Who::Unknown(Handle::Name(name)) => json!({ "name": name }),
    }
}
