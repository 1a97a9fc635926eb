//! `conex retire`.

use std::path::Path;

use clap::ValueEnum;
use conex_core::model::crypto::Digests as _;
use conex_core::model::name::{Id, PackageName};
use conex_core::model::statement::{
    Author, AuthorFields, Authorisation, AuthorisationFields, FormerKey, Team, TeamFields,
};
use conex_core::model::vouch::Subject;
use conex_core::tools::forecast::Amendment;
use conex_core::tree::metadata::place;
use conex_crypto::StandardCrypto;

use crate::claims;
use crate::error::{CommandError, Result};
use crate::foresee::{self, Step};
use crate::keys;
use crate::lock;
use crate::output::plain;
use crate::restate::{self, Restated};
use crate::tree::{Tree, Work};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An author, team or claimed package; the name stays taken for ever
    name: String,

    /// The kind, if more than one thing has that name
    #[arg(long, value_enum)]
    kind: Option<KindArgument>,

    #[command(flatten)]
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindArgument {
    /// Their keys sign nothing any more; what they approved goes on counting
    Author,
    /// It owns nothing any more
    Team,
    /// It has no releases any more
    Package,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let tree = Tree::open(repo)?;
    let _lock = lock::take(&tree)?;
    let work = tree.examine()?;
    let metadata = &work.report.metadata();
    let wanted = |kind| arguments.kind.is_none_or(|wanted| wanted == kind);
    let id = Id::parse(&arguments.name).ok();
    let id = id.as_ref();
    let author = id
        .and_then(|id| metadata.authors.get(id))
        .filter(|_| wanted(KindArgument::Author));
    let team = id
        .and_then(|id| metadata.teams.get(id))
        .filter(|_| wanted(KindArgument::Team));
    let package = PackageName::parse(&arguments.name).ok();
    let authorisation = package
        .and_then(|name| metadata.authorisations.get(&name))
        .filter(|_| wanted(KindArgument::Package));
    match (author, team, authorisation) {
        (Some(author), None, None) => retire_author(&tree, work, author, &arguments.step),
        (None, Some(team), None) => retire_team(&tree, work, team, &arguments.step),
        (None, None, Some(package)) => retire_package(&tree, work, package, &arguments.step),
        (None, None, None) => Err(absent(work, &arguments.name)),
        _ => Err(CommandError::usage(format_args!(
            "more than one thing here is called {}",
            plain(&arguments.name)
        ))
        .hint("say which: --kind author, team or package")),
    }
}

fn absent(work: &Work, name: &str) -> CommandError {
    let said = CommandError::usage(format_args!(
        "no author, team or claimed package is called {}",
        plain(name)
    ));
    let janitor = Id::parse(name).is_ok_and(|id| work.head.root().janitor(&id).is_some());
    said.hint(if janitor {
        format!("a janitor leaves with: conex root leave {name}")
    } else {
        "a package that nobody claimed is retired by removing it, and approving that".into()
    })
}

fn already(name: &str) -> CommandError {
    CommandError::usage(format_args!("{name} is retired already"))
        .hint(format_args!("conex status {name} says who approved that"))
}

fn retire_author(tree: &Tree, work: &Work, present: &Author, step: &Step) -> Result<()> {
    if present.retired {
        return Err(already(present.id.as_str()));
    }
    let mut fields = AuthorFields::from(present.clone());
    fields.retired = true;
    for listed in core::mem::take(&mut fields.keys) {
        let fingerprint = StandardCrypto.fingerprint(&listed.key);
        let pages = foresee::counting(work, &present.id, fingerprint);
        fields.former.push(FormerKey {
            key: listed.key,
            pages: pages.into_iter().collect(),
        });
    }
    let author = Author::new(fields).map_err(CommandError::usage)?;
    let (_, signer) = keys::signer(&step.key, work.people())?;
    let proposal = Amendment {
        authors: vec![author.clone()],
        ..Amendment::default()
    };
    let restated = Restated {
        subject: Subject::Author(author.id.clone()),
        place: place::author(&author.id),
        before: Some(present),
        after: &author,
        leaves: signer == author.id,
    };
    restate::finish(tree, work, restated, &proposal, step)
}

fn retire_team(tree: &Tree, work: &Work, present: &Team, step: &Step) -> Result<()> {
    if present.retired {
        return Err(already(present.id.as_str()));
    }
    let mut fields = TeamFields::from(present.clone());
    fields.retired = true;
    let team = Team::new(fields).map_err(CommandError::usage)?;
    let proposal = Amendment {
        teams: vec![team.clone()],
        ..Amendment::default()
    };
    let restated = Restated {
        subject: Subject::Team(team.id.clone()),
        place: place::team(&team.id),
        before: Some(present),
        after: &team,
        leaves: false,
    };
    restate::finish(tree, work, restated, &proposal, step)
}

fn retire_package(tree: &Tree, work: &Work, present: &Authorisation, step: &Step) -> Result<()> {
    let name = &present.package;
    let epoch = claims::least_epoch(work, name);
    if present.retired && present.epoch == epoch {
        return Err(already(name.as_str()));
    }
    let releases = Subject::Releases(name.clone());
    let mut findings = work.report.findings.iter();
    if findings.any(|finding| finding.subject == releases && finding.present) {
        return Err(
            CommandError::refused(format_args!("{name} still has releases")).hint(format_args!(
                "remove them first, and have that approved: conex approve {name}"
            )),
        );
    }
    let mut fields = AuthorisationFields::from(present.clone());
    fields.retired = true;
    fields.epoch = epoch;
    let authorisation = Authorisation::new(fields).map_err(CommandError::usage)?;
    let proposal = Amendment {
        authorisations: vec![authorisation.clone()],
        ..Amendment::default()
    };
    let restated = Restated {
        subject: Subject::Authorisation(name.clone()),
        place: place::authorisation(name),
        before: Some(present),
        after: &authorisation,
        leaves: false,
    };
    restate::finish(tree, work, restated, &proposal, step)
}
