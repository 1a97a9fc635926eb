//! `conex claim`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use conex_core::model::name::{Id, PackageName};
use conex_core::model::version::Threshold;

use crate::claims::{Claimed, Claims, refuse_unknown};
use crate::error::{CommandError, Result};
use crate::keys::KeyArguments;
use crate::lock;
use crate::output::{self, RED, RESET, line};
use crate::signing::Member;
use crate::tree::{Tree, Work};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The packages to claim
    #[arg(required = true, value_name = "PACKAGE")]
    packages: Vec<PackageName>,

    /// Who owns them: authors and teams; `janitors` gives a package back [default: you]
    #[arg(long, value_name = "ID")]
    owner: Vec<Id>,

    /// How many owners have to approve a change [default: 1; for janitors as owners, as many as for
    /// packages nobody owns]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threshold: Option<u16>,

    /// Begin a new epoch, in which nothing signed so far counts. Use it when version counters ran away, or
    /// when owners cannot be trusted any more; without --owner, the owners stay
    #[arg(long)]
    new_epoch: bool,

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
    let mut out = output::stdout();
    let mut claims = Claims::new(work, &member);
    let packages: BTreeSet<&PackageName> = arguments.packages.iter().collect();
    let mut groups: BTreeSet<(Vec<Id>, Threshold)> = BTreeSet::new();
    for package in packages {
        let claimed = arguments.claimed(work, package, &member)?;
        for owner in &claimed.owners {
            refuse_unknown(work, owner)?;
        }
        claims.add(&mut out, package, &claimed)?;
        groups.insert((claimed.owners, claimed.threshold));
    }
    for (owners, threshold) in groups {
        warn_out_of_reach(&mut out, work, &owners, threshold);
    }
    claims.publish(&mut out, &tree, &arguments.key, arguments.dry_run)
}

impl Arguments {
    /// Returns the future owners of a package.
    fn claimed(&self, work: &Work, package: &PackageName, member: &Member) -> Result<Claimed> {
        let present = work.report.metadata().authorisations.get(package);
        let present = present.filter(|_| self.new_epoch);
        let owners = match (self.owner.as_slice(), present) {
            ([], Some(present)) => present.owners.clone(),
            ([], None) => vec![member.id.clone()],
            (owners, _) => owners.to_vec(),
        };
        let stays = present.filter(|present| present.owners == owners);
        // Giving a package back must not make it weaker than one that was never claimed.
        let threshold = match (self.threshold, stays) {
            (None, Some(present)) => present.threshold,
            (None, None) if owners.iter().all(Id::is_janitors) => work.head.root().unclaimed,
            (given, _) => Threshold::new(given.unwrap_or(1))
                .ok_or_else(|| CommandError::usage("the threshold is at least 1"))?,
        };
        Ok(Claimed {
            owners,
            threshold,
            new_epoch: self.new_epoch,
        })
    }
}

/// Warns if the owners alone could never approve anything.
fn warn_out_of_reach(out: &mut impl Write, work: &Work, owners: &[Id], threshold: Threshold) {
    let mut people: BTreeSet<&Id> = BTreeSet::new();
    for owner in owners {
        match work.report.metadata().teams.get(owner) {
            Some(team) => people.extend(&team.members),
            None if owner.is_janitors() => {
                people.extend(work.head.root().janitors.iter().map(|it| &it.id));
            }
            None => {
                people.insert(owner);
            }
        }
    }
    if people.len() < threshold.people() {
        line(
            out,
            format_args!(
                "  {RED}out of reach{RESET}: these are {} people, and {threshold} would have to approve each change",
                people.len()
            ),
        );
    }
}
