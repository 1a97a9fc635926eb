//! `conex team`.

use std::path::Path;

use conex_core::model::name::Id;
use conex_core::model::statement::{StatementError, Team, TeamFields};
use conex_core::model::vouch::Subject;
use conex_core::tools::forecast::Amendment;
use conex_core::tree::metadata::place;

use crate::error::{CommandError, Result};
use crate::foresee::Step;
use crate::lock;
use crate::output::{self, BOLD, RESET, line};
use crate::restate::{self, Restated};
use crate::tree::{Tree, Work};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The team to change; without any change, it is shown
    team: Id,

    /// Create the team, which must not exist yet
    #[arg(long, requires = "add")]
    create: bool,

    /// An author or janitor who becomes a member; give it once for each
    #[arg(long, value_name = "ID")]
    add: Vec<Id>,

    /// A member who leaves
    #[arg(long, value_name = "ID")]
    remove: Vec<Id>,

    #[command(flatten)]
    step: Step,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let tree = Tree::open(repo)?;
    let _lock = lock::take(&tree)?;
    let work = tree.examine()?;
    let present = work.report.metadata().teams.get(&arguments.team);
    if arguments.add.is_empty() && arguments.remove.is_empty() {
        let team = present.ok_or_else(|| absent(&arguments.team))?;
        show(work, team);
        return Ok(());
    }
    let mut fields = match (present, arguments.create) {
        (Some(_), true) => {
            return Err(
                CommandError::usage(format_args!("{} is there already", arguments.team))
                    .hint("leave out --create to change its members"),
            );
        }
        (Some(team), false) => TeamFields::from(team.clone()),
        (None, true) => TeamFields {
            id: arguments.team.clone(),
            members: Vec::new(),
            retired: false,
        },
        (None, false) => return Err(absent(&arguments.team)),
    };
    if fields.retired {
        return Err(
            CommandError::refused(format_args!("{} is retired, for ever", fields.id))
                .hint("make a team of another name"),
        );
    }
    for id in &arguments.remove {
        if !fields.members.contains(id) {
            return Err(
                CommandError::usage(format_args!("{id} is no member of {}", fields.id))
                    .hint(format_args!("conex team {} lists them", fields.id)),
            );
        }
        fields.members.retain(|member| member != id);
    }
    for id in &arguments.add {
        if !fields.members.contains(id) {
            fields.members.push(id.clone());
        }
    }
    let team = Team::new(fields).map_err(|error| match error {
        StatementError::Empty(_) => CommandError::usage("nobody would be left").hint(format_args!(
            "give the packages other owners, then: conex retire {}",
            arguments.team
        )),
        error => CommandError::usage(error).hint("members are authors and janitors"),
    })?;
    let proposal = Amendment {
        teams: vec![team.clone()],
        ..Amendment::default()
    };
    let restated = Restated {
        subject: Subject::Team(team.id.clone()),
        place: place::team(&team.id),
        before: present,
        after: &team,
        leaves: false,
    };
    restate::finish(&tree, work, restated, &proposal, &arguments.step)
}

fn absent(team: &Id) -> CommandError {
    CommandError::usage(format_args!("there is no team {team}")).hint(format_args!(
        "make it: conex team {team} --create --add ID --add ID"
    ))
}

fn show(work: &Work, team: &Team) {
    let mut out = output::stdout();
    line(
        &mut out,
        format_args!(
            "{BOLD}{}{RESET}{}",
            team.id,
            if team.retired { ", retired" } else { "" }
        ),
    );
    for member in &team.members {
        let author = work.report.metadata().authors.get(member);
        let what = if author.is_some_and(|author| author.retired) {
            ", retired"
        } else if work.people().find(member).is_none() {
            ", who is not there"
        } else if work.head.root().janitor(member).is_some() {
            ", janitor"
        } else {
            ""
        };
        line(&mut out, format_args!("  {member}{what}"));
    }
    for authorisation in work.report.metadata().authorisations.values() {
        if authorisation.owners.contains(&team.id) {
            line(&mut out, format_args!("  owns {}", authorisation.package));
        }
    }
    let subject = Subject::Team(team.id.clone());
    let mut problems = work.report.problems.iter();
    if let Some(problem) = problems.find(|problem| problem.subject.as_ref() == Some(&subject)) {
        line(&mut out, output::escaped(&problem.to_string()));
    }
}
