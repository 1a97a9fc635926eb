//! `conex publish`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use conex_core::model::name::{PackageName, ReleaseName};
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::state::approval::Standing;
use conex_core::state::finding::Finding;
use conex_core::tools::compose::{Draft, Files, INLINE, is_unapproved};
use conex_core::tools::pre_approval::version_of;
use conex_core::tree::content::Release;

use crate::difference::{Difference, Edit};
use crate::error::{CommandError, Result};
use crate::keys::KeyArguments;
use crate::lock;
use crate::output::{self, BOLD, RED, RESET, line};
use crate::signing::{Member, Publication};
use crate::tree::{Tree, Work};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Releases that you added, changed or removed: foo.1.0 (in an opam repository) or foo/1.0
    #[arg(required = true, value_name = "RELEASE")]
    releases: Vec<String>,

    /// A git revision that has the package as it was last approved [default: the branch `signed`, else the
    /// last commit]
    #[arg(long, value_name = "REVISION")]
    base: Option<String>,

    /// Also vouch for everything else that changed in these packages
    #[arg(long, conflicts_with = "leave_others")]
    accept_others: bool,

    /// Publish only the named releases; other changes keep waiting for approval
    #[arg(long)]
    leave_others: bool,

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
    let mut named: BTreeMap<PackageName, BTreeSet<ReleaseName>> = BTreeMap::new();
    for text in &arguments.releases {
        let (package, release) = Tree::parse_release(&work.head, text)?;
        named.entry(package).or_default().insert(release);
    }
    let mut vouches: Vec<Vouch> = Vec::new();
    for (package, releases) in &named {
        vouches.extend(package_vouches(
            &tree, work, &member, package, releases, arguments,
        )?);
    }
    let mut out = output::stdout();
    if vouches.is_empty() {
        return Err(
            CommandError::refused("all of this is approved already, just as it is")
                .hint("conex status PACKAGE says by whom"),
        );
    }
    for package in named.keys().filter(|it| !member.decides(work, it)) {
        let id = &member.id;
        let claim = work.report.metadata().authorisations.get(package);
        if claim.is_some_and(|claim| member.is_among(work, &claim.owners)) {
            line(
                &mut out,
                format_args!(
                    "the claim of {package} by {id} is not approved yet; until it is, this counts for nothing"
                ),
            );
        } else {
            let entitled = match claim {
                Some(_) => "its owners, or the janitors, have",
                None => "nobody claimed it, so the janitors have",
            };
            line(
                &mut out,
                format_args!("{id} does not own {package}: {entitled} to approve this"),
            );
        }
    }
    if arguments.dry_run {
        return Ok(());
    }
    let what = match arguments.releases.as_slice() {
        [one] => one.clone(),
        many => format!("these {} releases", many.len()),
    };
    Publication {
        files: Files::new(),
        drafts: vouches.iter().map(Draft::from).collect(),
        inline: INLINE,
        question: format!("Publish {what} as {}?", member.id),
    }
    .sign(&tree, work, &member, &arguments.key)
}

/// Shows what changed in a package. Returns the vouches for the named releases.
fn package_vouches(
    tree: &Tree,
    work: &Work,
    member: &Member,
    package: &PackageName,
    named: &BTreeSet<ReleaseName>,
    arguments: &Arguments,
) -> Result<Vec<Vouch>> {
    let claims = &work.report.metadata().authorisations;
    if claims.get(package).is_some_and(|it| it.retired) {
        return Err(CommandError::refused(format_args!(
            "{package} is retired, and retired packages have no releases"
        ))
        .hint("choose another name"));
    }
    let find = |subject: &Subject| -> Option<&Finding> {
        work.report
            .findings
            .iter()
            .find(|finding| finding.subject == *subject)
    };
    let subject = Subject::Releases(package.clone());
    let releases = find(&subject);
    let base = arguments.base.as_deref();
    let difference = Difference::of(tree, work, package, member, named, base)?;
    let edits = difference.edits();
    for release in named {
        let is_there = difference
            .now
            .iter()
            .any(|it| it.checksums.release == *release);
        if !is_there && !edits.contains_key(release) {
            return Err(CommandError::usage(format_args!(
                "there is no release {release} of {package}, and there was none"
            ))
            .hint(format_args!("conex status {package} says what is there")));
        }
    }
    let mut out = output::stdout();
    for release in named {
        show(
            &mut out,
            package,
            release,
            edits.get(release).copied(),
            &difference,
        );
    }
    let others: Vec<(&&ReleaseName, &Edit)> = edits
        .iter()
        .filter(|(release, _)| !named.contains(release))
        .collect();
    for (release, edit) in &others {
        line(
            &mut out,
            format_args!(
                "{RED}not part of this{RESET}: {package}/{release} {}",
                edit.as_str()
            ),
        );
    }
    let strange = others.iter().any(|(_, edit)| edit.is_source());
    if strange && !arguments.accept_others && !arguments.leave_others {
        return Err(CommandError::refused(format_args!(
            "something else changed in {package} since it was last approved; nothing was signed"
        ))
        .hint(
            "--leave-others publishes only what you named; --accept-others stands behind all of it",
        ));
    }
    // If nothing is approved, the other releases have no approved state to keep. Signing would remove them.
    if strange && arguments.leave_others && difference.before.is_empty() {
        return Err(CommandError::refused(format_args!(
            "nothing of {package} is approved under your key yet, so the others cannot be left as they were"
        ))
        .hint(format_args!(
            "name every release that is yours, or wait until what is pending of {package} and of you is approved"
        )));
    }
    let mut wanted: Vec<ReleaseName> = named.iter().cloned().collect();
    if arguments.accept_others {
        wanted.extend(others.iter().map(|(release, _)| (**release).clone()));
    }
    let mut vouches: Vec<Vouch> = wanted
        .iter()
        .filter_map(|release| find(&Subject::Checksums(package.clone(), release.clone())))
        .filter(|finding| is_unapproved(finding))
        .map(vouch)
        .collect::<Result<_>>()?;
    let touched = wanted
        .iter()
        .any(|release| edits.get(release).is_some_and(|edit| edit.is_source()));
    let touched = touched || joins(&mut out, package, releases, &difference, &wanted);
    if touched && let Some(finding) = releases.filter(|finding| is_unapproved(finding)) {
        let mut whole = vouch(finding)?;
        if strange && arguments.leave_others {
            let only = difference.with_only(named);
            whole.digest = tree.releases_digest(&work.head, package, &only)?;
            // Another content than the one that stands there, and perhaps begun by another owner.
            whole.version = version_of(&work.report, &finding.subject, whole.digest)
                .ok_or_else(|| exhausted(&finding.subject))?;
        }
        vouches.push(whole);
    }
    Ok(vouches)
}

/// Whether the signer joins the others who vouched for the same, still pending state of the package. Naming
/// all of its releases means the package as a whole. Naming fewer does not, and the user is told so.
fn joins(
    out: &mut impl std::io::Write,
    package: &PackageName,
    releases: Option<&Finding>,
    difference: &Difference,
    wanted: &[ReleaseName],
) -> bool {
    if releases.is_none_or(|it| it.assessment.standing != Standing::Pending) {
        return false;
    }
    let is_wanted = |release: &Release| wanted.contains(&release.checksums.release);
    if difference.now.iter().all(is_wanted) {
        return true;
    }
    if difference.edits().is_empty() {
        line(
            out,
            format_args!(
                "{package} as a whole waits for approval, which this does not give: conex approve {package}"
            ),
        );
    }
    false
}

fn vouch(finding: &Finding) -> Result<Vouch> {
    Draft::of(finding)
        .map(Draft::vouch)
        .ok_or_else(|| exhausted(&finding.subject))
}

pub(crate) fn exhausted(subject: &Subject) -> CommandError {
    CommandError::refused(format_args!("{subject}: its counters are exhausted"))
        .hint("begin a new epoch of the package: conex claim PACKAGE --new-epoch")
        .hint("or revoke the key that ran them away: conex root revoke")
}

fn show(
    out: &mut impl std::io::Write,
    package: &PackageName,
    release: &ReleaseName,
    edit: Option<Edit>,
    difference: &Difference,
) {
    let what = edit.map_or("as it was", Edit::as_str);
    line(out, format_args!("{BOLD}{package}/{release}{RESET} {what}"));
    let files = difference
        .now
        .iter()
        .filter(|it| it.checksums.release == *release)
        .flat_map(|it| &it.checksums.files);
    for file in files {
        line(
            out,
            format_args!(
                "  {} {} bytes, sha256 {}",
                file.path, file.size, file.digest
            ),
        );
    }
}
