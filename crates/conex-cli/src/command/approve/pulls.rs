//! `conex approve --pr` and `--branch`: approves pull requests or branches before they are merged, each as
//! it would be after the merge.
//!
//! No pull request waits for another: each gets a page of its own, unless a single page is requested. The
//! approval is for one commit, by its id. If the pull request changes afterwards, it is a different commit,
//! and the approval remains outstanding.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use conex_core::model::digest::Digest;
use conex_core::model::name::Id;
use conex_core::model::path::Path as TreePath;
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::state::approval::Standing;
use conex_core::state::finding::Finding;
use conex_core::tools::compose::{Draft, Files};
use conex_repo::git::CommitId;

use super::{Ahead, Arguments, foretell, is_entitled, lacks, print};
use crate::error::{CommandError, Result};
use crate::lock;
use crate::output::{self, BOLD, RED, RESET, line, plain};
use crate::review::input::{Base, Change};
use crate::review::view::Verdict;
use crate::review::{Reviewed, Reviewer, text};
use crate::signing::{self, Member, Ready};
use crate::tree::{Tree, Work};

/// A pull request to be approved.
struct Taken<'r> {
    name: &'r str,
    work: &'r Work,
    vouches: Vec<Vouch>,
}

/// Returns the selected changes, and the numbers in ranges for which there is no pull request.
fn changes(base: &Base, ahead: &Ahead) -> Result<(Vec<Change>, Vec<u64>)> {
    let (mut changes, absent) = match ahead.pulls.numbers.as_slice() {
        [] => Default::default(),
        _ => base.pull_requests(&ahead.pulls)?,
    };
    let mut seen = BTreeSet::new();
    for name in ahead.branches.iter().filter(|name| seen.insert(*name)) {
        changes.push(base.branch(name)?);
    }
    Ok((changes, absent))
}

pub(super) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let working = Tree::open(repo)?;
    let _lock = lock::take(&working)?;
    let base = Base::revision(repo, arguments.ahead.pulls.base.as_deref())?;
    on_one_line(&base)?;
    // Pages that are written but not committed count, too, so that no version is used twice.
    let unsaid = working.pages_beyond(&*base.store)?;
    let base = base.with(unsaid)?;
    let (changes, absent) = changes(&base, &arguments.ahead)?;
    let reviewer = Reviewer::new(&base)?.thorough();
    let looked: Vec<Reviewed> = changes
        .into_iter()
        .map(|change: Change| reviewer.review(change))
        .collect::<Result<_>>()?;
    let mut out = output::stdout();
    let member = member(&looked, arguments).inspect_err(|_| {
        for it in &looked {
            text::change(&mut out, &it.view);
        }
    })?;
    let (mut taken, mut said): (Vec<Taken<'_>>, BTreeMap<Subject, (Digest, &str)>) =
        Default::default();
    for it in &looked {
        text::change(&mut out, &it.view);
        match choose(it, &member.id, &said) {
            Err(why) => line(
                &mut out,
                format_args!("  {RED}left out{RESET}: {}", plain(&why)),
            ),
            Ok((work, chosen)) => {
                let people: Vec<&Finding> = chosen
                    .iter()
                    .copied()
                    .filter(|finding| finding.subject.kind().is_about_people())
                    .collect();
                print(&mut out, work, &people);
                let adopted = foretell(
                    &mut out,
                    (&working, work),
                    &chosen,
                    &member.id,
                    &arguments.adoption,
                )?;
                let drafts = chosen.iter().filter_map(|finding| Draft::of(finding));
                let mut vouches: Vec<Vouch> = drafts.map(Draft::vouch).collect();
                vouches.extend(adopted);
                for vouch in &vouches {
                    let now = (vouch.digest, it.view.name.as_str());
                    said.entry(vouch.subject.clone()).or_insert(now);
                }
                taken.push(Taken {
                    name: &it.view.name,
                    work,
                    vouches,
                });
            }
        }
    }
    text::absent(&mut out, &absent);
    if taken.is_empty() {
        return Err(nothing(&format!("nothing of them waits for {}", member.id)));
    }
    if arguments.dry_run {
        return Ok(());
    }
    sign(&working, &taken, &member, arguments)
}

/// Returns the signer. Each review knows only the people whom its pull request concerns, so all of them are
/// searched.
fn member(reviewed: &[Reviewed], arguments: &Arguments) -> Result<Member> {
    let mut failed = nothing("none of them can be merged");
    for work in reviewed.iter().filter_map(|it| it.work.as_ref()) {
        match Member::known(&arguments.key, work.people()) {
            Ok(member) => return Ok(member),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn nothing(why: &str) -> CommandError {
    CommandError::refused(format_args!("{why}; nothing was signed or written"))
        .hint("conex review --pr says more about each")
}

/// Checks that the base, the checked-out commit and the fetched base lie on one line of history. After a
/// rewrite of the main line, nobody could tell what an approval would apply to.
fn on_one_line(base: &Base) -> Result<()> {
    let (Some(git), Some(commit)) = (&base.git, base.commit) else {
        return Ok(());
    };
    let follows = |other: CommitId| -> Result<bool> {
        let found = git.merge_base(commit, other)?;
        Ok(found == Some(commit) || found == Some(other))
    };
    let upstream = git.upstream(&base.name);
    let checked_out = git.resolve("HEAD").ok().map(|it| ("HEAD".to_owned(), it));
    for (name, other) in upstream.into_iter().chain(checked_out) {
        if !follows(other)? {
            return Err(CommandError::refused(format_args!(
                "{} and {name} have diverged; nothing was signed or written",
                base.name
            ))
            .hint(format_args!(
                "see what each has: git log --left-right {}...{name}",
                base.name
            ))
            .hint("rebase what you have not pushed; where the main line was rewritten, ask who did it and why, before you approve anything for it"));
        }
    }
    Ok(())
}

/// Returns what a person is to vouch for in a pull request, or why it is left out.
fn choose<'r>(
    reviewed: &'r Reviewed,
    id: &Id,
    said: &BTreeMap<Subject, (Digest, &str)>,
) -> core::result::Result<(&'r Work, Vec<&'r Finding>), String> {
    if reviewed.view.verdict == Verdict::Refused {
        return Err("nobody should approve it as it is".into());
    }
    let work = reviewed.work.as_ref().ok_or("it cannot be merged")?;
    let person = work.people().find(id);
    let mut chosen = reviewed.pending();
    // Only an explicit name restores older content.
    if let Some(old) = chosen
        .iter()
        .find(|finding| matches!(finding.assessment.standing, Standing::Behind { .. }))
    {
        return Err(format!(
            "it brings back older content of {}: approve that by name, after the merge",
            old.subject
        ));
    }
    chosen.retain(|finding| is_entitled(work, id, finding) && lacks(finding, person));
    if chosen.is_empty() && reviewed.view.has_root() {
        return Err("it proposes a root, which is signed after the merge: conex root sign".into());
    }
    if chosen.is_empty() {
        return Err(format!("nothing of it waits for {id}"));
    }
    for finding in &chosen {
        if let Some((digest, other)) = said.get(&finding.subject)
            && *digest != finding.digest
        {
            return Err(format!(
                "{other} makes something else of {}: approve this one after that is merged",
                finding.subject
            ));
        }
        if Draft::of(finding).is_none() {
            return Err(format!("the counters of {} are exhausted", finding.subject));
        }
    }
    Ok((work, chosen))
}

/// Asks once, signs a page for each pull request or one page for all, and writes everything or nothing.
fn sign(working: &Tree, taken: &[Taken<'_>], member: &Member, arguments: &Arguments) -> Result<()> {
    let compose = |work: &Work, vouches: &[Vouch]| -> Result<Ready> {
        signing::compose(
            work,
            &member.id,
            member.locked.fingerprint(),
            vouches,
            conex_core::tools::compose::INLINE,
        )
    };
    let mut pages: Vec<(String, &Work, Ready)> = Vec::new();
    if arguments.ahead.one_page {
        let all: Vec<Vouch> = taken.iter().flat_map(|it| it.vouches.clone()).collect();
        if let Some(first) = taken.first() {
            let names: Vec<&str> = taken.iter().map(|it| it.name).collect();
            pages.push((names.join(", "), first.work, compose(first.work, &all)?));
        }
    } else {
        for it in taken {
            pages.push((it.name.to_owned(), it.work, compose(it.work, &it.vouches)?));
        }
    }
    let statements: usize = taken.iter().map(|it| it.vouches.len()).sum();
    let question = format!(
        "Vouch for {statements} statements of {} pull requests, in {} pages, as {}?",
        taken.len(),
        pages.len(),
        member.id
    );
    let secret = member.locked.confirm(&arguments.key, &question)?;
    let mut files: BTreeMap<TreePath, Vec<u8>> = BTreeMap::new();
    let mut written: Vec<(TreePath, String)> = Vec::new();
    for (name, work, page) in pages {
        files.extend(page.batches_absent_from(working, work));
        let signed: Files = page.sign(work, &secret)?;
        written.extend(signed.iter().map(|(path, _)| (path.clone(), name.clone())));
        files.extend(signed);
    }
    working.write(files.into_iter().collect())?;
    let mut out = output::stdout();
    for (path, name) in written {
        line(&mut out, format_args!("{path}  {}", plain(&name)));
    }
    line(
        &mut out,
        format_args!(
            "{BOLD}commit and push{RESET}; until its pull request is merged, conex status lists an approval as ahead"
        ),
    );
    Ok(())
}
