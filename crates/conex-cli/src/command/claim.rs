//! `conex claim`.

use std::io::Write;
use std::path::Path;

use conex_core::compose::{Draft, Files, INLINE, is_unapproved};
use conex_core::forecast::{Amendment, Outlook};
use conex_core::metadata::place;
use conex_core::name::{Id, PackageName};
use conex_core::spelling::Stored as _;
use conex_core::statement::{Authorisation, AuthorisationFields};
use conex_core::verify::Finding;
use conex_core::version::Threshold;
use conex_core::vouch::{Kind, Vouch};
use conex_crypto::StandardCrypto;

use crate::error::{CommandError, Result};
use crate::keys::KeyArguments;
use crate::lock;
use crate::output::{self, BOLD, RESET, line};
use crate::signing::{Member, Publication};
use crate::tree::{Tree, Work};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The packages to claim
    #[arg(required = true, value_name = "PACKAGE")]
    packages: Vec<PackageName>,

    /// Who owns them: authors and teams; `janitors` gives a package back [default: you]
    #[arg(long, value_name = "ID")]
    owner: Vec<Id>,

    /// How many owners have to approve a change [default: 1; where the janitors own it, as many of
    /// them as for packages nobody owns]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threshold: Option<u16>,

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
    let member = Member::known_or_enrolled(&arguments.key, work)?;
    let owners = match arguments.owner.as_slice() {
        [] => vec![member.id.clone()],
        owners => owners.to_vec(),
    };
    for owner in &owners {
        refuse_unknown(work, owner)?;
    }
    // Who gives a package back must not make it weaker than one that nobody ever claimed.
    let threshold = match arguments.threshold {
        None if owners.iter().all(Id::is_janitors) => work.head.root().unclaimed,
        given => Threshold::new(given.unwrap_or(1))
            .ok_or_else(|| CommandError::usage("the threshold is at least 1"))?,
    };

    let mut out = output::stdout();
    let mut claimed: Vec<Authorisation> = Vec::new();
    let mut content: Vec<&Finding> = Vec::new();
    for package in &arguments.packages {
        let (after, approved) = claim(&mut out, work, package, &owners, threshold)?;
        claimed.push(after);
        content.extend(approved);
    }
    // The owner stands behind what there is from the first day, so that nothing hangs in the air
    // when the claim is approved.
    let owns = owners.contains(&member.id);
    let person = work.people.find(&member.id);
    content.retain(|finding| {
        owns && person.is_none_or(|person| !finding.assessment.is_supported_by(person))
    });
    if !content.is_empty() {
        line(
            &mut out,
            format_args!(
                "  with your vouch for the {} statements that are approved now",
                content.len()
            ),
        );
    }
    let ownership = own_vouches(work, &member, &claimed);
    if arguments.dry_run {
        return Ok(());
    }
    let files: Files = claimed
        .iter()
        .map(|it| (place::authorisation(&it.package), it.to_text().into_bytes()))
        .collect();
    let drafts: Vec<Draft<'_>> = content
        .into_iter()
        .filter_map(Draft::of)
        .chain(ownership.iter().map(Draft::from))
        .collect();
    let what = match arguments.packages.as_slice() {
        [one] => one.to_string(),
        many => format!("these {} packages", many.len()),
    };
    Publication {
        files,
        drafts,
        inline: INLINE,
        question: format!("Claim {what} as {}?", member.id),
    }
    .sign(&tree, work, &member, &arguments.key)?;
    line(
        &mut out,
        format_args!(
            "{} janitors have to approve it: conex approve {}",
            work.head.root().quorum,
            arguments
                .packages
                .iter()
                .map(PackageName::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        ),
    );
    Ok(())
}

/// Shows the claim of one package; gives it, and what of the package is approved now.
fn claim<'w>(
    out: &mut impl Write,
    work: &'w Work,
    package: &PackageName,
    owners: &[Id],
    threshold: Threshold,
) -> Result<(Authorisation, Vec<&'w Finding>)> {
    let before = work.report.metadata.authorisations.get(package);
    let after = Authorisation::new(AuthorisationFields {
        package: package.clone(),
        owners: owners.to_vec(),
        threshold,
        epoch: before.map_or(0, |it| it.epoch),
        retired: false,
    })
    .map_err(CommandError::usage)?;
    if before.is_some_and(|it| it.retired) {
        return Err(CommandError::refused(format_args!(
            "{package} is retired, and retired packages stay so"
        ))
        .hint("choose another name"));
    }
    if before == Some(&after) {
        return Err(
            CommandError::refused(format_args!("{package} is owned so already"))
                .hint(format_args!("conex status {package} says who approved it")),
        );
    }
    let said = before.map_or_else(
        || "unclaimed".to_owned(),
        |it| format!("{} of {}", it.threshold, names(&it.owners)),
    );
    line(
        out,
        format_args!(
            "{BOLD}{package}{RESET} owned by {threshold} of {}; before: {said}",
            names(owners)
        ),
    );
    let theirs = work.report.findings.iter().filter(|finding| {
        matches!(finding.subject.kind(), Kind::Releases | Kind::Checksums)
            && finding.subject.package() == Some(package)
            && finding.present
    });
    let (pending, approved): (Vec<&Finding>, Vec<&Finding>) =
        theirs.partition(|finding| is_unapproved(finding));
    for finding in pending {
        line(
            out,
            format_args!(
                "  left out, since it is not approved yet: {}",
                finding.subject
            ),
        );
    }
    Ok((after, approved))
}

/// A janitor who claims approves the claim with the same signature.
fn own_vouches(work: &Work, member: &Member, claimed: &[Authorisation]) -> Vec<Vouch> {
    let is_janitor = work
        .head
        .root()
        .janitors
        .iter()
        .any(|janitor| janitor.keys.contains(member.locked.public()));
    if !is_janitor {
        return Vec::new();
    }
    let proposal = Amendment {
        authorisations: claimed.to_vec(),
        ..Amendment::default()
    };
    Outlook::new(&work.report, &StandardCrypto)
        .map_or_else(Vec::new, |outlook| outlook.approvals(&proposal))
}

fn refuse_unknown(work: &Work, owner: &Id) -> Result<()> {
    let metadata = &work.report.metadata;
    let retired = metadata.authors.get(owner).is_some_and(|it| it.retired)
        || metadata.teams.get(owner).is_some_and(|it| it.retired);
    if retired {
        return Err(CommandError::refused(format_args!("{owner} is retired"))
            .hint("choose an owner who is there"));
    }
    let known = owner.is_janitors()
        || work.people.find(owner).is_some()
        || metadata.authors.contains_key(owner)
        || metadata.teams.contains_key(owner);
    if known {
        return Ok(());
    }
    Err(
        CommandError::refused(format_args!("nobody here is called {owner}")).hint(format_args!(
            "they enroll first: conex enroll {owner}; or a team is made: conex team {owner}"
        )),
    )
}

fn names(ids: &[Id]) -> String {
    ids.iter().map(Id::as_str).collect::<Vec<_>>().join(", ")
}
