//! `conex status`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use conex_core::model::crypto::Digests as _;
use conex_core::model::name::{Id, PackageName};
use conex_core::model::vouch::{Kind, Subject};
use conex_core::state::finding::Finding;
use conex_core::tools::compose::is_pending;
use conex_core::tools::forecast::{Outlook, narrow};
use conex_core::tools::pre_approval::outstanding;
use conex_core::tree::problem::{Code, Problem};
use conex_crypto::StandardCrypto;

use crate::command::{approve, root};
use crate::error::{CommandError, Result};
use crate::keys::{self, KeyArguments};
use crate::output::{self, BOLD, DIM, RESET, line, plain};
use crate::tree::{Tree, Work};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A person, team, package or release (foo/1.0) [default: the repository as a whole]
    name: Option<String>,

    /// A key of yours, to say what awaits you
    #[arg(long, env = "CONEX_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let work = Tree::open(repo)?.examine()?;
    let mut out = output::stdout();
    match &arguments.name {
        None => {
            overview(&mut out, work);
            awaits(&mut out, work, arguments);
            Ok(())
        }
        Some(name) => one(&mut out, work, name),
    }
}

fn overview(out: &mut impl Write, work: &Work) {
    let root = work.head.root();
    line(
        out,
        format_args!("{BOLD}{}{RESET}, root {}", root.origin, root.number),
    );
    line(
        out,
        format_args!("  trust anchor  root:{}", work.head.digest()),
    );
    let keys: Vec<String> = root::fingerprints(root)
        .into_iter()
        .map(|(_, key)| key.to_string())
        .collect();
    line(
        out,
        format_args!(
            "  or            origin:{},{} with quorum {}",
            root.origin,
            keys.join(","),
            root.quorum
        ),
    );
    let janitors: Vec<&str> = root
        .janitors
        .iter()
        .map(|janitor| janitor.id.as_str())
        .collect();
    line(
        out,
        format_args!(
            "  janitors      {}; quorum {}, upkeep {}, unclaimed {}{}",
            janitors.join(", "),
            root.quorum,
            root.upkeep,
            root.unclaimed,
            if root.complete {
                "; every package must be signed"
            } else {
                ""
            }
        ),
    );
    let counts = &work.report.counts;
    line(
        out,
        format_args!(
            "  packages      {}, {} claimed, {} unsigned; {}",
            counts.packages,
            work.state().owned().count(),
            counts.unsigned,
            output::count(counts.releases, "release")
        ),
    );
    line(
        out,
        format_args!(
            "  statements    {} of {} approved",
            counts.approved,
            work.report.findings.iter().filter(|it| it.present).count()
        ),
    );
    let pending: Vec<&Finding> = work
        .report
        .findings
        .iter()
        .filter(|finding| finding.present || finding.subject.kind() == Kind::Releases)
        .filter(|finding| is_pending(finding))
        .collect();
    if !pending.is_empty() {
        line(out, format_args!("{BOLD}{} pending{RESET}", pending.len()));
    }
    ahead(out, work);
    margins(out, work);
    problems(out, &work.report.problems);
    let notes: Vec<Problem> = work
        .report
        .notes
        .iter()
        .filter(|note| note.code != Code::Ahead)
        .cloned()
        .collect();
    problems(out, &notes);
}

/// Prints approvals of content that is not in the tree.
fn ahead(out: &mut impl Write, work: &Work) {
    let all = outstanding(&work.report);
    if all.is_empty() {
        return;
    }
    line(
        out,
        format_args!(
            "{BOLD}approved ahead of what is there{RESET}: merge it, or take it back with conex retract NAME"
        ),
    );
    for it in all.iter().take(SHOWN) {
        let by = it.by.iter().map(Id::as_str).collect::<Vec<_>>().join(", ");
        let enough = if it.approved { "" } else { ", not enough yet" };
        line(
            out,
            format_args!("  {} {} by {by}{enough}", it.subject, it.version),
        );
    }
    if all.len() > SHOWN {
        line(out, format_args!("  ... and {} more", all.len() - SHOWN));
    }
}

/// Prints what one lost key would undo, for statements that more than one person vouches for.
fn margins(out: &mut impl Write, work: &Work) {
    let shared = |finding: &&Finding| finding.assessment.supporters().len() > 1;
    let narrow: Vec<&Finding> = narrow(&work.report).filter(shared).collect();
    let packages: BTreeSet<&PackageName> = narrow
        .iter()
        .filter_map(|finding| finding.subject.package())
        .collect();
    let people = narrow
        .iter()
        .filter(|finding| finding.subject.kind().is_about_people())
        .count();
    if packages.is_empty() && people == 0 {
        return;
    }
    line(
        out,
        format_args!(
            "  margins       {} and {} about people have exactly the number of people they need",
            output::count(packages.len(), "package"),
            output::count(people, "statement")
        ),
    );
}

/// The most entries to show, so that they fit on a screen.
const SHOWN: usize = 15;

fn problems(out: &mut impl Write, problems: &[Problem]) {
    for problem in problems.iter().take(SHOWN) {
        line(out, format_args!("  {}", plain(&problem.to_string())));
    }
    if problems.len() > SHOWN {
        line(
            out,
            format_args!(
                "  ... and {} more; conex verify --all shows them",
                problems.len() - SHOWN
            ),
        );
    }
}

fn awaits(out: &mut impl Write, work: &Work, arguments: &Arguments) {
    let key = KeyArguments {
        key: arguments.key.clone(),
        passphrase_fd: None,
        yes: false,
    };
    let Ok((_, id)) = keys::signer(&key, work.people()) else {
        let known = keys::known(work.people());
        if key.asked().is_none() && known.len() > 1 {
            let known = known.join(", ");
            line(
                out,
                format_args!(
                    "{DIM}to see what awaits you, choose a key of yours with --key: {known}{RESET}"
                ),
            );
        }
        return;
    };
    match approve::pending(work, &id).len() {
        0 => line(
            out,
            format_args!("{DIM}you are {id}; nothing awaits you{RESET}"),
        ),
        1 => line(
            out,
            format_args!("you are {id}; 1 statement awaits you: conex approve --all"),
        ),
        many => line(
            out,
            format_args!("you are {id}; {many} statements await you: conex approve --all"),
        ),
    }
}

/// Prints a person's roles and keys, and what would lose its approval if they left.
fn person(out: &mut impl Write, work: &Work, id: &Id) {
    let root = work.head.root();
    let janitor = root.janitors.iter().find(|janitor| janitor.id == *id);
    let author = work.report.metadata().authors.get(id);
    if janitor.is_none() && author.is_none() {
        return;
    }
    let mut roles = Vec::new();
    if janitor.is_some() {
        roles.push("janitor");
    }
    match author {
        Some(author) if author.retired => roles.push("retired author"),
        Some(_) => roles.push("author"),
        None => {}
    }
    line(
        out,
        format_args!("{BOLD}{id}{RESET}, {}", roles.join(" and ")),
    );
    let keys = janitor.into_iter().flat_map(|janitor| &janitor.keys);
    let listed = author.into_iter().flat_map(|author| &author.keys);
    for key in keys.chain(listed.map(|listed| &listed.key)) {
        let fingerprint = StandardCrypto.fingerprint(key);
        let state = match work.people().holder(fingerprint) {
            Some(holder) if holder == id => "",
            _ => ", signs nothing now",
        };
        line(out, format_args!("  key      {fingerprint}{state}"));
    }
    for account in author.into_iter().flat_map(|author| &author.accounts) {
        line(out, format_args!("  account  {}", plain(account.as_str())));
    }
    let teams: Vec<&str> = work
        .report
        .metadata()
        .teams
        .values()
        .filter(|team| team.members.contains(id))
        .map(|team| team.id.as_str())
        .collect();
    if !teams.is_empty() {
        line(out, format_args!("  teams    {}", teams.join(", ")));
    }
    let Some(me) = work.people().find(id) else {
        return;
    };
    let owned: Vec<&str> = work
        .state()
        .owned()
        .filter(|(_, (owners, _))| owners.people.contains(&me))
        .map(|(package, _)| package.as_str())
        .collect();
    if !owned.is_empty() {
        let shown = owned
            .iter()
            .take(SHOWN)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let more = if owned.len() > SHOWN { ", ..." } else { "" };
        line(
            out,
            format_args!(
                "  owns     {}: {shown}{more}",
                output::count(owned.len(), "package")
            ),
        );
    }
    match approve::pending(work, id).len() {
        0 => {}
        many => line(
            out,
            format_args!(
                "  awaited  their vouch for {}",
                output::count(many, "statement")
            ),
        ),
    }
    if let Some(outlook) = Outlook::new(&work.report, &StandardCrypto) {
        let forecast = outlook.without(id);
        let lost = forecast.lost().count();
        if lost > 0 {
            line(
                out,
                format_args!(
                    "  margin   without them and their pages {} would lose their approval, of {}",
                    output::count(lost, "statement"),
                    output::count(forecast.packages().len(), "package")
                ),
            );
        }
    }
}

fn one(out: &mut impl Write, work: &Work, name: &str) -> Result<()> {
    let concerns = |subject: &Subject| {
        let full = subject.to_string();
        full.split(' ').next() == Some(name) || subject.name() == name
    };
    let findings: Vec<&Finding> = work
        .report
        .findings
        .iter()
        .filter(|finding| concerns(&finding.subject))
        .collect();
    let about = |problem: &&Problem| problem.subject.as_ref().is_some_and(concerns);
    let wrong: Vec<&Problem> = work
        .report
        .problems
        .iter()
        .chain(&work.report.notes)
        .filter(about)
        .collect();
    let is_person = Id::parse(name).is_ok_and(|id| work.people().find(&id).is_some());
    let mut ahead = outstanding(&work.report);
    ahead.retain(|it| concerns(&it.subject));
    if findings.is_empty() && wrong.is_empty() && ahead.is_empty() && !is_person {
        return Err(
            CommandError::usage(format_args!("nothing here is called {}", plain(name)))
                .hint("names are those of packages, releases (foo/1.0), people and teams"),
        );
    }
    if let Ok(id) = Id::parse(name) {
        person(out, work, &id);
    }
    if let Some((owners, threshold)) = work
        .state()
        .owned()
        .find(|(package, _)| package.as_str() == name)
        .map(|(_, owners)| owners)
    {
        let mut ids: Vec<&str> = owners
            .people
            .iter()
            .map(|person| work.people().id(*person).as_str())
            .collect();
        if owners.janitors {
            ids.push("janitors");
        }
        line(
            out,
            format_args!("owned by {threshold} of: {}", ids.join(", ")),
        );
    }
    for finding in findings {
        let supporters = finding.assessment.supporters();
        let by: Vec<&str> = supporters
            .iter()
            .map(|person| work.people().id(*person).as_str())
            .collect();
        let version = finding
            .assessment
            .proposed
            .map_or_else(|| "-".into(), |version| version.to_string());
        let standing = match &finding.assessment.standing {
            conex_core::state::approval::Standing::Approved(_) if !finding.present => "gone",
            conex_core::state::approval::Standing::Approved(_) => "approved",
            conex_core::state::approval::Standing::Differs { .. } if !finding.present => "removed",
            conex_core::state::approval::Standing::Behind { .. } => "behind",
            conex_core::state::approval::Standing::Differs { .. } => "changed",
            conex_core::state::approval::Standing::Equivocal { .. } => "contradictory",
            conex_core::state::approval::Standing::Pending => "pending",
        };
        line(
            out,
            format_args!(
                "{BOLD}{}{RESET}  {standing}  {version}  {}",
                finding.subject,
                by.join(", ")
            ),
        );
    }
    for it in ahead {
        let by = it.by.iter().map(Id::as_str).collect::<Vec<_>>().join(", ");
        line(
            out,
            format_args!(
                "approved ahead: {} {} by {by}; merge it, or conex retract {name}",
                it.subject, it.version
            ),
        );
    }
    for problem in wrong {
        line(out, plain(&problem.to_string()));
        line(out, format_args!("  {}", problem.code.advice()));
    }
    Ok(())
}
