//! Claims of packages, from whichever command: shows them, checks them against the rules, and publishes
//! them together.

use std::collections::BTreeSet;
use std::io::Write;

use conex_core::model::name::{Id, PackageName};
use conex_core::model::statement::{Authorisation, AuthorisationFields};
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Threshold;
use conex_core::model::vouch::{Kind, Subject, Vouch};
use conex_core::state::approval::Standing;
use conex_core::state::finding::Finding;
use conex_core::tools::compose::{Draft, Files, INLINE, is_unapproved};
use conex_core::tools::forecast::{Amendment, Change, Outlook};
use conex_core::tree::metadata::place;
use conex_crypto::StandardCrypto;

use crate::error::{CommandError, Result};
use crate::foresee;
use crate::keys::KeyArguments;
use crate::output::{BOLD, RED, RESET, line};
use crate::signing::{Member, Publication};
use crate::tree::{Tree, Work};

/// Claims that one person makes with one signature.
pub(crate) struct Claims<'w> {
    work: &'w Work,
    member: &'w Member,
    claimed: Vec<Authorisation>,
    /// The approved content of the packages that the person would own.
    content: Vec<&'w Finding>,
    /// Packages that begin a new epoch: all of their content needs new vouches.
    renewed: BTreeSet<PackageName>,
}

/// The future owners of a package.
#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    pub(crate) owners: Vec<Id>,
    pub(crate) threshold: Threshold,
    /// Whether to begin a new epoch even if a present owner remains.
    pub(crate) new_epoch: bool,
}

impl<'w> Claims<'w> {
    /// Creates an empty set of claims.
    pub(crate) fn new(work: &'w Work, member: &'w Member) -> Self {
        Self {
            work,
            member,
            claimed: Vec::new(),
            content: Vec::new(),
            renewed: BTreeSet::new(),
        }
    }

    /// Adds the claim of one package and shows it.
    pub(crate) fn add(
        &mut self,
        out: &mut impl Write,
        package: &PackageName,
        claimed: &Claimed,
    ) -> Result<()> {
        refuse_confusable(self.work, package)?;
        let (after, approved) = claim(out, self.work, package, claimed)?;
        let before = self.work.report.metadata().authorisations.get(package);
        let is_new = after.epoch > before.map_or(0, |it| it.epoch);
        self.claimed.push(after);
        if is_new {
            self.renewed.insert(package.clone());
            return Ok(());
        }
        let owners = &claimed.owners;
        // The owner vouches for the existing content from the first day, so it does not lose its approval
        // when the claim is approved.
        if self.owns(owners) {
            let person = self.work.people().find(&self.member.id);
            let lacks = |finding: &&Finding| {
                person.is_none_or(|person| !finding.assessment.is_supported_by(person))
            };
            self.content.extend(approved.into_iter().filter(lacks));
        }
        Ok(())
    }

    fn owns(&self, owners: &[Id]) -> bool {
        let (teams, id) = (&self.work.report.metadata().teams, &self.member.id);
        let mut teams = owners.iter().filter_map(|owner| teams.get(owner));
        owners.contains(id) || teams.any(|team| team.members.contains(id))
    }

    /// Returns the vouches that keep the approved content approved in a new epoch, as far as this person
    /// can give them.
    fn renewed(&self, out: &mut impl Write) -> Vec<Vouch> {
        let proposal = Amendment {
            authorisations: self.claimed.clone(),
            ..Amendment::default()
        };
        let Some(outlook) =
            Outlook::new(&self.work.report, &StandardCrypto).filter(|_| !self.renewed.is_empty())
        else {
            return Vec::new();
        };
        let forecast = outlook.forecast(&proposal);
        let is_renewed = |change: &&Change| {
            let package = change.subject.package();
            package.is_some_and(|package| self.renewed.contains(package))
        };
        let (own, others): (Vec<&Change>, Vec<&Change>) = forecast
            .lost()
            .filter(is_renewed)
            .partition(|change| foresee::is_asked(change, &self.member.id));
        if let Some(first) = others.first() {
            line(
                out,
                format_args!(
                    "  {RED}nothing is approved in a new epoch{RESET} until its owners say so: conex approve {}",
                    first.subject.name()
                ),
            );
        }
        own.into_iter().filter_map(|it| it.vouch.clone()).collect()
    }

    /// Asks once, then signs and writes all claims, or none.
    pub(crate) fn publish(
        self,
        out: &mut impl Write,
        tree: &Tree,
        key: &KeyArguments,
        dry_run: bool,
    ) -> Result<()> {
        let (work, member) = (self.work, self.member);
        let renewed = self.renewed(out);
        let vouches = self.content.len() + renewed.len();
        if vouches > 0 {
            line(
                out,
                format_args!(
                    "  with your vouch for the {vouches} statements that are approved now"
                ),
            );
        }
        let ownership = own_vouches(work, member, &self.claimed);
        if dry_run {
            return Ok(());
        }
        let stored = |it: &Authorisation| (place::authorisation(&it.package), it.to_text().into());
        let files: Files = self.claimed.iter().map(stored).collect();
        let drafts: Vec<Draft<'_>> = self
            .content
            .into_iter()
            .filter_map(Draft::of)
            .chain(renewed.iter().map(Draft::from))
            .chain(ownership.iter().map(Draft::from))
            .collect();
        let what = match self.claimed.as_slice() {
            [one] => one.package.to_string(),
            many => format!("these {} packages", many.len()),
        };
        Publication {
            files,
            drafts,
            inline: INLINE,
            question: format!("Claim {what} as {}?", member.id),
        }
        .sign(tree, work, member, key)?;
        let packages: Vec<&str> = self.claimed.iter().map(|it| it.package.as_str()).collect();
        let how = match packages.as_slice() {
            few @ [..] if few.len() <= SHOWN => few.join(" "),
            _ => "--kind authorisation".to_owned(),
        };
        line(
            out,
            format_args!(
                "{} janitors have to approve it: conex approve {how}",
                work.head.root().quorum,
            ),
        );
        Ok(())
    }
}

/// The most names to repeat in a suggested command line.
const SHOWN: usize = 20;

/// Shows the claim of one package. Returns it together with the approved content of the package.
fn claim<'w>(
    out: &mut impl Write,
    work: &'w Work,
    package: &PackageName,
    claimed: &Claimed,
) -> Result<(Authorisation, Vec<&'w Finding>)> {
    let before = work.report.metadata().authorisations.get(package);
    let (owners, threshold) = (&claimed.owners, claimed.threshold);
    let epoch = least_epoch(work, package);
    let after = Authorisation::new(AuthorisationFields {
        package: package.clone(),
        owners: owners.clone(),
        threshold,
        epoch: if is_renewed(work, package, claimed) {
            epoch.checked_add(1).ok_or_else(|| {
                CommandError::refused(format_args!("{package} is in its last epoch"))
                    .hint("give it back, and publish under another name")
            })?
        } else {
            epoch
        },
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
    let of_package = |finding: &&Finding| finding.subject.package() == Some(package);
    let all = || work.report.findings.iter().filter(of_package);
    // An unapproved authorisation that somebody else wrote must not look like the present state.
    let is_waiting =
        all().any(|it| matches!(it.subject, Subject::Authorisation(_)) && is_unapproved(it));
    let said = before.map_or_else(
        || "unclaimed".to_owned(),
        |it| {
            let waits = if is_waiting { ", not approved" } else { "" };
            format!("{} of {}{waits}", it.threshold, names(&it.owners))
        },
    );
    let epoch = match after.epoch {
        0 => String::new(),
        epoch => format!(", in epoch {epoch}"),
    };
    line(
        out,
        format_args!(
            "{BOLD}{package}{RESET} owned by {threshold} of {}{epoch}; before: {said}",
            names(owners)
        ),
    );
    if epoch_is_new(work, &after) {
        line(
            out,
            format_args!(
                "  {RED}the epoch was raised{RESET}, and nobody approved that: all approvals of its content would be void"
            ),
        );
    }
    // Approved absence is content, too.
    let theirs = all().filter(|finding| {
        matches!(finding.subject.kind(), Kind::Releases | Kind::Checksums)
            && (finding.present || !is_unapproved(finding))
    });
    if all().all(|finding| !finding.present || finding.subject.kind().is_about_people()) {
        line(out, "  there is no such package yet");
    }
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

/// Whether a claim begins a new epoch: on request, or when no present owner of the package remains. In the
/// new epoch nothing counts that the former owners signed, published or not.
fn is_renewed(work: &Work, package: &PackageName, claimed: &Claimed) -> bool {
    let subject = Subject::Authorisation(package.clone());
    let before = work.report.metadata().authorisations.get(package);
    let is_approved = work
        .report
        .finding(&subject)
        .is_some_and(|it| !is_unapproved(it));
    let goes_on = |before: &Authorisation| {
        let mut owners = before.owners.iter();
        owners.any(|owner| claimed.owners.contains(owner))
    };
    claimed.new_epoch || before.is_some_and(|before| is_approved && !goes_on(before))
}

/// Returns the least epoch in which a claim of a package can be approved: its present epoch, or, where a
/// merge restored an older claim, the epoch of the newest approved claim.
pub(crate) fn least_epoch(work: &Work, package: &PackageName) -> u32 {
    let stored = work.report.metadata().authorisations.get(package);
    let stored = stored.map_or(0, |it| it.epoch);
    let finding = work
        .report
        .finding(&Subject::Authorisation(package.clone()));
    let newest = finding.map(|finding| match &finding.assessment.standing {
        Standing::Behind { newest, .. } | Standing::Differs { newest } => newest.version.epoch(),
        Standing::Equivocal { version } => version.epoch(),
        Standing::Approved(_) | Standing::Pending => 0,
    });
    stored.max(newest.unwrap_or(0))
}

/// Whether the epoch that the claim would keep is newer than that of the last approved claim.
fn epoch_is_new(work: &Work, after: &Authorisation) -> bool {
    let subject = Subject::Authorisation(after.package.clone());
    let mut findings = work.report.findings.iter();
    let found = findings.find(|finding| finding.subject == subject);
    found.is_some_and(|finding| match &finding.assessment.standing {
        Standing::Differs { newest } => newest.version.epoch() != after.epoch,
        Standing::Pending => after.epoch != 0,
        _ => false,
    })
}

/// Refuses a package name that differs from an existing one only in case.
fn refuse_confusable(work: &Work, package: &PackageName) -> Result<()> {
    let report = &work.report;
    let found = report
        .findings
        .iter()
        .filter_map(|finding| finding.subject.package())
        .chain(report.metadata().authorisations.keys())
        .find(|other| *other != package && other.as_str().eq_ignore_ascii_case(package.as_str()));
    match found {
        None => Ok(()),
        Some(other) => Err(CommandError::refused(format_args!(
            "{package} is {other} where case is ignored, and names like that do not stand together"
        ))
        .hint(format_args!("did you mean {other}?"))),
    }
}

/// Returns the vouches of a janitor for their own claims: they approve them with the same signature.
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

/// Refuses an owner who is unknown here or retired.
pub(crate) fn refuse_unknown(work: &Work, owner: &Id) -> Result<()> {
    let metadata = &work.report.metadata();
    let retired = metadata.authors.get(owner).is_some_and(|it| it.retired)
        || metadata.teams.get(owner).is_some_and(|it| it.retired);
    if retired {
        return Err(CommandError::refused(format_args!("{owner} is retired"))
            .hint("choose an owner who is there"));
    }
    let known = owner.is_janitors()
        || work.people().find(owner).is_some()
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
