//! `conex status`.

use std::io::Write;
use std::path::Path;

use conex_core::compose::is_pending;
use conex_core::problem::Problem;
use conex_core::verify::Finding;
use conex_core::vouch::Subject;

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
            "  packages      {}, {} claimed, {} unsigned; {} releases",
            counts.packages,
            work.report.owners.len(),
            counts.unsigned,
            counts.releases
        ),
    );
    line(
        out,
        format_args!(
            "  statements    {} of {} approved",
            counts.approved,
            work.report.findings.len()
        ),
    );
    let pending: Vec<&Finding> = work
        .report
        .findings
        .iter()
        .filter(|finding| is_pending(finding))
        .collect();
    if !pending.is_empty() {
        line(out, format_args!("{BOLD}{} pending{RESET}", pending.len()));
    }
    problems(out, &work.report.problems);
    problems(out, &work.report.notes);
}

/// As many as fit on a screen.
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
    let Ok((_, id)) = keys::signer(&key, &work.people) else {
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
    if findings.is_empty() && wrong.is_empty() {
        return Err(
            CommandError::usage(format_args!("nothing here is called {}", plain(name)))
                .hint("names are those of packages, releases (foo/1.0), people and teams"),
        );
    }
    if let Some((owners, threshold)) = work
        .report
        .owners
        .iter()
        .find(|(package, _)| package.as_str() == name)
        .map(|(_, owners)| owners)
    {
        let mut ids: Vec<&str> = owners
            .people
            .iter()
            .map(|person| work.people.id(*person).as_str())
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
            .map(|person| work.people.id(*person).as_str())
            .collect();
        let version = finding
            .assessment
            .proposed
            .map_or_else(|| "-".into(), |version| version.to_string());
        let standing = match &finding.assessment.standing {
            conex_core::approval::Standing::Approved(_) => "approved",
            conex_core::approval::Standing::Behind { .. } => "behind",
            conex_core::approval::Standing::Differs { .. } => "changed",
            conex_core::approval::Standing::Equivocal { .. } => "contradictory",
            conex_core::approval::Standing::Pending => "pending",
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
    for problem in wrong {
        line(out, plain(&problem.to_string()));
        line(out, format_args!("  {}", problem.code.advice()));
    }
    Ok(())
}
