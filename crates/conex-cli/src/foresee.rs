//! Forecasts: shows what a change of people or rules would undo, and adopts it together with the change.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use conex_core::model::digest::Digest;
use conex_core::model::key::Fingerprint;
use conex_core::model::name::Id;
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::state::finding::Finding;
use conex_core::tools::compose::is_unapproved;
use conex_core::tools::forecast::{Amendment, Change, Forecast, Outlook};
use conex_core::tree::problem::Code;
use conex_crypto::StandardCrypto;

use crate::command::approve::glob;
use crate::error::{CommandError, Result};
use crate::git;
use crate::keys::KeyArguments;
use crate::output::{self, BOLD, DIM, GREEN, RED, RESET, line, plain};
use crate::tree::{Tree, Work};

/// The options for approvals that a change would undo.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Adoption {
    /// Vouch anew for what would lose its approval, in the same step and prompt
    #[arg(long)]
    adopt: bool,

    /// Let these lose their approval, such as what a thief approved: names of packages, releases
    /// (foo/1.0), people or teams; `*` stands for any characters
    #[arg(long = "let-go", value_name = "PATTERN")]
    let_go: Vec<String>,
}

impl Adoption {
    /// Whether a statement may lose its approval.
    pub(crate) fn lets_go(&self, subject: &Subject) -> bool {
        let full = subject.to_string();
        let name = full.split(' ').next().unwrap_or_default();
        let goes = |pattern: &String| glob(pattern, name) || glob(pattern, subject.name());
        self.let_go.iter().any(goes)
    }

    fn keeps(&self, change: &Change) -> bool {
        !self.lets_go(&change.subject)
    }
}

/// The options shared by all commands that change people and rules.
#[derive(Debug, clap::Args)]
pub(crate) struct Step {
    #[command(flatten)]
    pub(crate) adoption: Adoption,

    /// Say what would change, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) key: KeyArguments,
}

/// Selects the pages under a former key that continue to count.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Accepted {
    /// Of the pages under the old key, only these go on counting: digests, or their first digits
    #[arg(long, value_name = "PAGE")]
    accept: Vec<String>,

    /// Of the pages under the old key, only those in this git revision go on counting
    #[arg(long, value_name = "REVISION")]
    accept_before: Option<String>,
}

impl Accepted {
    pub(crate) fn is_given(&self) -> bool {
        !self.accept.is_empty() || self.accept_before.is_some()
    }

    /// Returns the requested pages among `counting`.
    pub(crate) fn choose(
        &self,
        tree: &Tree,
        id: &Id,
        counting: &BTreeSet<Digest>,
    ) -> Result<BTreeSet<Digest>> {
        let mut chosen = BTreeSet::new();
        for prefix in &self.accept {
            let mut found = counting
                .iter()
                .filter(|digest| digest.to_string().starts_with(prefix.as_str()));
            let (Some(page), None) = (found.next(), found.next()) else {
                return Err(CommandError::usage(format_args!(
                    "not one page of {id} under that key begins with {}",
                    plain(prefix)
                ))
                .hint(format_args!("pages are in conex/index/{id}")));
            };
            chosen.insert(*page);
        }
        if let Some(revision) = &self.accept_before {
            let then = git::pages_at(tree.path(), revision, id)?;
            chosen.extend(counting.intersection(&then));
        }
        Ok(chosen)
    }
}

/// The pages of a person under a key that count now.
pub(crate) fn counting(work: &Work, id: &Id, key: Fingerprint) -> BTreeSet<Digest> {
    let pages = work.state().pages_of(id);
    let pages = pages.filter(|stored| stored.page.body().key() == key);
    pages.map(|stored| stored.digest).collect()
}

/// The signer's answer to approvals that would be lost, and what remains.
pub(crate) struct Foreseen {
    /// The vouches for the statements that the proposal brings.
    pub(crate) approvals: Vec<Vouch>,
    /// The signer's new vouches.
    pub(crate) vouches: Vec<Vouch>,
    /// The statements that would still lack somebody's vouch.
    pub(crate) lacking: Vec<Change>,
    /// The vouches that preserve the approvals, whoever is to give them. None of them may fall.
    pub(crate) kept: Vec<Vouch>,
}

impl Foreseen {
    /// Refuses a step after which nobody could be asked any more for a missing vouch.
    pub(crate) fn refuse_lacking(&self, again: &str) -> Result<()> {
        let Some(first) = self.lacking.first() else {
            return Ok(());
        };
        let missing = first.missing.clone().unwrap_or_default();
        Err(CommandError::refused(format_args!(
            "{} would lose its approval, and one vouch is not enough: it needs {missing}",
            first.subject
        ))
        .hint(format_args!("have them run first: {again}")))
    }
}

/// Shows what a proposal would undo, in the tree that it changes and in the one that clients follow.
/// Refuses it if it makes anything wrong, or if approvals would be lost that the signer neither adopts nor
/// lets go.
pub(crate) fn foresee(
    out: &mut impl Write,
    (tree, work): (&Tree, &Work),
    proposal: &Amendment,
    signer: Option<&Id>,
    adoption: &Adoption,
) -> Result<Foreseen> {
    let outlook = Outlook::new(&work.report, &StandardCrypto).ok_or_else(|| {
        CommandError::refused("there is no valid root here").hint("start with conex init")
    })?;
    let followed = tree.followed()?;
    if followed.is_some_and(|it| it.head.digest() != work.head.digest()) {
        line(
            out,
            "note: the branch that clients follow has another root, so it is not considered; run conex advance first",
        );
    }
    let followed = Followed::new(work, followed);
    let (forecast, approvals) = (outlook.forecast(proposal), outlook.approvals(proposal));
    refuse_problems(out, &forecast)?;
    for note in &forecast.notes {
        line(
            out,
            format_args!("{DIM}note: {}{RESET}", plain(&note.to_string())),
        );
    }
    let let_go: Vec<&Change> = forecast
        .lost()
        .filter(|change| !adoption.keeps(change))
        .collect();
    if !let_go.is_empty() {
        line(out, "loses its approval, as you say:");
        show(out, &let_go);
    }
    let root = proposal.root.as_ref().unwrap_or(work.head.root());
    let janitors: Vec<&Id> = root.janitors.iter().map(|janitor| &janitor.id).collect();
    let mut lost = lost(&outlook, &forecast, proposal, &janitors, adoption);
    lost.extend(followed.lost(proposal, adoption));
    lost.sort_by(|a, b| a.subject.cmp(&b.subject));
    let kept: Vec<Vouch> = lost.iter().filter_map(|it| it.vouch.clone()).collect();
    if lost.is_empty() {
        if let_go.is_empty() {
            line(out, "nothing loses its approval");
        }
        return Ok(Foreseen {
            approvals,
            vouches: Vec::new(),
            lacking: Vec::new(),
            kept,
        });
    }
    line(out, "would lose its approval:");
    show(out, &lost.iter().collect::<Vec<_>>());
    if !adoption.adopt {
        let what = match lost.len() {
            1 => "1 statement would lose its approval".to_owned(),
            many => format!("{many} statements would lose their approval"),
        };
        return Err(CommandError::refused(what)
            .hint("--adopt vouches for it anew, in the same step and with the same prompt")
            .hint("--let-go NAME lets it go, where that is what is wanted"));
    }
    let vouches: Vec<Vouch> = lost
        .iter()
        .filter(|change| signer.is_some_and(|signer| is_asked(change, signer)))
        .filter_map(|change| change.vouch.clone())
        .collect();
    let mut lacking = lost;
    if let Some(signer) = signer.filter(|_| !vouches.is_empty()) {
        let adopted = Amendment {
            vouches: vec![(signer.clone(), vouches.clone())],
            ..proposal.clone()
        };
        let forecast = outlook.forecast(&adopted);
        lacking = self::lost(&outlook, &forecast, &adopted, &janitors, adoption);
        lacking.extend(followed.lost(&adopted, adoption));
        line(
            out,
            format_args!("{GREEN}adopted by {signer}: {}{RESET}", vouches.len()),
        );
    }
    if !lacking.is_empty() {
        line(out, "still to be adopted by others:");
        show(out, &lacking.iter().collect::<Vec<_>>());
    }
    Ok(Foreseen {
        approvals,
        vouches,
        lacking,
        kept,
    })
}

/// The state that clients follow, if known, beside the one that people work on.
struct Followed<'w> {
    work: &'w Work,
    state: Option<&'w Work>,
    outlook: Option<Outlook<'w, StandardCrypto>>,
}

impl<'w> Followed<'w> {
    fn new(work: &'w Work, followed: Option<&'w Work>) -> Self {
        let same_head = followed.filter(|it| it.head.digest() == work.head.digest());
        Self {
            work,
            state: same_head,
            outlook: same_head.and_then(|it| Outlook::new(&it.report, &StandardCrypto)),
        }
    }

    /// Returns approvals that would be lost in the state clients follow while the working tree has other,
    /// unapproved content. Somebody's unapproved edit must not hide what a change would take from clients.
    fn lost(&self, proposal: &Amendment, adoption: &Adoption) -> Vec<Change> {
        let Some(outlook) = &self.outlook else {
            return Vec::new();
        };
        let said = proposal.vouches.iter().flat_map(|(_, said)| said);
        let said: BTreeMap<&Subject, Digest> =
            said.map(|vouch| (&vouch.subject, vouch.digest)).collect();
        let is_hidden = |change: &Change| {
            let before = self.state.and_then(|it| it.report.finding(&change.subject));
            // Approving other content together with the change replaces this one on purpose.
            let other = said.get(&change.subject);
            if other.is_some_and(|other| before.is_some_and(|it| it.digest != *other)) {
                return false;
            }
            let found = self.work.report.finding(&change.subject);
            let is_other = |found: &Finding| before.is_none_or(|it| it.digest != found.digest);
            found.is_none_or(|found| is_unapproved(found) && is_other(found))
        };
        let forecast = outlook.forecast(proposal);
        let lost = forecast.lost();
        let lost = lost.filter(|change| adoption.keeps(change) && is_hidden(change));
        lost.cloned().collect()
    }
}

/// Returns what would lose its approval by itself. What would lose it only because its owners are no longer
/// approved is restored together with them, so nobody needs to look at it.
fn lost(
    outlook: &Outlook<'_, StandardCrypto>,
    forecast: &Forecast,
    proposal: &Amendment,
    janitors: &[&Id],
    adoption: &Adoption,
) -> Vec<Change> {
    let kept = |forecast: &Forecast| -> Vec<Change> {
        let lost = forecast.lost().filter(|change| adoption.keeps(change));
        lost.cloned().collect()
    };
    let mut lost = kept(forecast);
    lost.retain(|change| change.subject.kind().is_about_people());
    if lost.is_empty() {
        return kept(forecast);
    }
    let people: Vec<Vouch> = lost
        .iter()
        .filter_map(|change| change.vouch.clone())
        .collect();
    let mut mended = proposal.clone();
    let everybody = janitors.iter().map(|id| ((*id).clone(), people.clone()));
    mended.vouches.extend(everybody);
    lost.extend(kept(&outlook.forecast(&mended)));
    lost.sort_by(|a, b| a.subject.cmp(&b.subject));
    lost
}

/// Whether a person is among those whose vouch is missing.
pub(crate) fn is_asked(change: &Change, person: &Id) -> bool {
    let missing = change.missing.as_ref();
    let ways = missing.map(|missing| [&missing.owners, &missing.janitors]);
    ways.into_iter()
        .flatten()
        .flatten()
        .any(|(_, people)| people.contains(person))
}

pub(crate) fn refuse_problems(out: &mut impl Write, forecast: &Forecast) -> Result<()> {
    let Some(first) = forecast.problems.first() else {
        return Ok(());
    };
    line(out, "would be wrong:");
    for problem in &forecast.problems {
        line(
            out,
            format_args!("  {RED}{}{RESET}", plain(&problem.to_string())),
        );
    }
    let hint = match first.code {
        Code::Retired => "hand over first: conex claim gives packages other owners",
        code => code.advice(),
    };
    Err(CommandError::refused("this would leave the repository with problems").hint(hint))
}

/// The most entries to show, so that they fit on a screen.
const SHOWN: usize = 20;

fn show(out: &mut impl Write, changes: &[&Change]) {
    let names = |ids: &[Id]| match ids {
        [] => "nobody".to_owned(),
        ids => ids.iter().map(Id::as_str).collect::<Vec<_>>().join(", "),
    };
    for change in changes.iter().take(SHOWN) {
        line(
            out,
            format_args!(
                "  {BOLD}{}{RESET}, now by {}; then by {}{}",
                change.subject,
                names(&change.by),
                names(&change.stay),
                change
                    .missing
                    .as_ref()
                    .map_or_else(String::new, |missing| format!(", needs {missing}"))
            ),
        );
    }
    if changes.len() > SHOWN {
        let packages: BTreeSet<_> = changes
            .iter()
            .filter_map(|change| change.subject.package())
            .collect();
        line(
            out,
            format_args!(
                "  ... and {} more, of {} in all",
                changes.len() - SHOWN,
                output::count(packages.len(), "package")
            ),
        );
    }
}

/// Prints the changed lines of a stored file. Lists of pages are shown by their number, and signatures are
/// left out.
pub(crate) fn difference(out: &mut impl Write, place: &str, before: &str, after: &str) {
    line(out, format_args!("{BOLD}{place}{RESET}"));
    let diff = similar::TextDiff::from_lines(before, after);
    let mut pages = (similar::ChangeTag::Equal, 0_usize);
    let flush = |out: &mut dyn Write, pages: &mut (similar::ChangeTag, usize)| {
        if pages.1 > 0 && pages.0 != similar::ChangeTag::Equal {
            changed(
                out,
                pages.0,
                &format!("  (that go on counting: {})", pages.1),
            );
        }
        *pages = (similar::ChangeTag::Equal, 0);
    };
    for change in diff.iter_all_changes() {
        let text = change.value().trim_end_matches('\n');
        let page = text
            .strip_prefix("  \"")
            .and_then(|text| text.strip_suffix("\","))
            .is_some_and(|text| Digest::parse(text).is_ok());
        if !page || change.tag() != pages.0 {
            flush(out, &mut pages);
        }
        if page {
            pages = (change.tag(), pages.1 + 1);
        } else {
            changed(out, change.tag(), text);
        }
    }
    flush(out, &mut pages);
}

/// Whether a line is not worth reading: numbers that follow from the position, signatures, white space.
fn is_noise(text: &str) -> bool {
    text.starts_with("number = ")
        || text.starts_with("previous = ")
        || text.starts_with("-----")
        || text == "\"\"\""
        || text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}

fn changed(mut out: &mut dyn Write, tag: similar::ChangeTag, text: &str) {
    if is_noise(text) {
        return;
    }
    match tag {
        similar::ChangeTag::Equal => {}
        similar::ChangeTag::Delete => line(&mut out, format_args!("  {RED}- {text}{RESET}")),
        similar::ChangeTag::Insert => line(&mut out, format_args!("  {GREEN}+ {text}{RESET}")),
    }
}

/// Prints what a statement about people still waits for, as it is in the tree now.
pub(crate) fn tell_what_waits(
    out: &mut impl Write,
    tree: &Tree,
    subjects: &[Subject],
) -> Result<()> {
    let work = tree.examine()?;
    for subject in subjects {
        let about = |problem: &&conex_core::tree::problem::Problem| {
            problem.subject.as_ref() == Some(subject) && problem.missing.is_some()
        };
        match work
            .report
            .problems
            .iter()
            .chain(&work.report.notes)
            .find(about)
        {
            Some(problem) => {
                let missing = problem.missing.clone().unwrap_or_default();
                line(
                    out,
                    format_args!(
                        "{subject} waits for {missing}: conex approve {}",
                        subject.name()
                    ),
                );
            }
            None => line(out, format_args!("{subject} is approved")),
        }
    }
    Ok(())
}
