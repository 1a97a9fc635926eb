//! `conex approve`.

mod pulls;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use conex_core::model::digest::Digest;
use conex_core::model::name::{Id, PackageName};
use conex_core::model::page::Batch;
use conex_core::model::path::Path as TreePath;
use conex_core::model::vouch::{Kind, Subject, Vouch};
use conex_core::state::approval::Standing;
use conex_core::state::finding::Finding;
use conex_core::state::people::PersonIndex;
use conex_core::tools::compose::{Draft, is_pending, is_unapproved};
use conex_core::tools::forecast::Amendment;
use conex_crypto::StandardCrypto;
use conex_repo::changes::changed;

use crate::command::publish::exhausted;
use crate::error::{CommandError, Result};
use crate::foresee::{self, Adoption};
use crate::keys::KeyArguments;
use crate::lock;
use crate::output::{self, BOLD, RED, RESET, line};
use crate::review::input::PullRequests;
use crate::signing::{Member, Publication};
use crate::tree::{Tree, Work};
use crate::{names, prompt};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Names of packages, releases (foo/1.0), people or teams; `*` stands for any characters. A name also
    /// approves a removal, or the return of older content
    #[arg(value_name = "PATTERN", conflicts_with_all = ["numbers", "branches"])]
    patterns: Vec<String>,

    /// Everything that is pending
    #[arg(long, conflicts_with_all = ["patterns", "numbers", "branches"])]
    all: bool,

    /// Only statements of this kind
    #[arg(long, value_name = "KIND", value_parser = parse_kind, conflicts_with_all = ["numbers", "branches"])]
    kind: Vec<Kind>,

    /// Whatever this batch vouches for that is still the present content, even if it is approved already: a
    /// digest, its first digits, or `all`
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["patterns", "all", "kind", "numbers", "branches"])]
    batch: Option<String>,

    /// Only what changed since a git revision (A), or between two (A..B); B need not be checked out
    #[arg(long, value_name = "RANGE", conflicts_with_all = ["batch", "numbers", "branches"])]
    changed: Option<String>,

    #[command(flatten)]
    ahead: Ahead,

    /// Ask about each statement separately, and sign once for those you agreed to
    #[arg(long, conflicts_with_all = ["yes", "numbers", "branches"])]
    each: bool,

    #[command(flatten)]
    adoption: Adoption,

    /// Say what would be signed, and sign nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    key: KeyArguments,
}

/// The changes to approve ahead of their merge.
#[derive(Debug, clap::Args)]
struct Ahead {
    #[command(flatten)]
    pulls: PullRequests,

    /// Branches or other revisions that are not merged yet, separated by commas
    #[arg(long = "branch", value_name = "REVISIONS", value_delimiter = ',')]
    branches: Vec<String>,

    /// One page for all pull requests or branches, instead of one for each
    #[arg(long)]
    one_page: bool,
}

fn parse_kind(text: &str) -> core::result::Result<Kind, String> {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| {
            let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("kinds are: {}", all.join(", "))
        })
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let Ahead {
        pulls,
        branches,
        one_page,
    } = &arguments.ahead;
    if !pulls.numbers.is_empty() || !branches.is_empty() {
        return pulls::run(repo, arguments);
    }
    if pulls.base.is_some() || !pulls.pr_refs.is_empty() || *one_page {
        return Err(CommandError::usage(
            "--base, --pr-refs and --one-page are for what is not merged yet",
        )
        .hint("say what: --pr NUMBERS, or --branch REVISIONS"));
    }
    let working = Tree::open(repo)?;
    let _lock = lock::take(&working)?;
    let (tree, range) = match &arguments.changed {
        None => (working, None),
        Some(range) => {
            let (tree, range) = changes(working, range)?;
            (tree, Some(range))
        }
    };
    let work = tree.examine()?;
    let changed = range.map(|range| range.changes(&tree, work)).transpose()?;
    let member = Member::known(&arguments.key, work.people())?;
    let id = &member.id;
    let person = work.people().find(id);
    let chosen: Vec<&Finding> = match &arguments.batch {
        Some(batch) => of_batch(work, batch)?,
        None => candidates(work, id)
            .into_iter()
            .filter(|finding| matches(arguments, changed.as_ref(), finding))
            .collect(),
    };
    let mut chosen: Vec<&Finding> = chosen
        .into_iter()
        .filter(|finding| lacks(finding, person))
        .collect();
    if chosen.is_empty() {
        readable(&tree, work, arguments)?;
        return Err(
            CommandError::refused(format_args!("nothing that waits for {id} matches"))
                .hint("conex status says what is pending, and whose vouch it needs"),
        );
    }
    let mut out = output::stdout();
    if arguments.each {
        chosen = each(&mut out, work, chosen)?;
    } else {
        print(&mut out, work, &chosen);
    }
    if !arguments.says_what() && !arguments.dry_run {
        return Err(CommandError::usage(format_args!(
            "this is what waits for {id}; nothing was signed"
        ))
        .hint("give names, or --all, or --each to be asked about each"));
    }
    let adopted = foretell(&mut out, (&tree, work), &chosen, id, &arguments.adoption)?;
    let mut drafts = Vec::with_capacity(chosen.len());
    for finding in &chosen {
        drafts.push(Draft::of(finding).ok_or_else(|| exhausted(&finding.subject))?);
    }
    drafts.extend(adopted.iter().map(Draft::from));
    if arguments.dry_run {
        return Ok(());
    }
    Publication::of(drafts, id).sign(&tree, work, &member, &arguments.key)
}

impl Arguments {
    /// Whether the user said what to approve. Otherwise the command only shows what is pending.
    fn says_what(&self) -> bool {
        let named = !self.patterns.is_empty() || !self.kind.is_empty();
        named || self.all || self.each || self.batch.is_some() || self.changed.is_some()
    }
}

/// Refuses a package that was given by name but cannot be read, with the reason.
fn readable(tree: &Tree, work: &Work, arguments: &Arguments) -> Result<()> {
    for package in &work.report.unreadable {
        let named = |pattern: &String| {
            let name = pattern.split('/').next().unwrap_or_default();
            glob(name, package.as_str())
        };
        if arguments.patterns.iter().any(named) {
            tree.package(&work.head, package)?;
        }
    }
    Ok(())
}

/// The tree at the beginning of a range, and the paths that changed in it.
struct Range {
    old: Tree,
    paths: BTreeSet<TreePath>,
}

/// The changes in a range.
struct Changes {
    paths: BTreeSet<TreePath>,
    /// Packages that existed at the beginning of the range.
    packages: BTreeSet<PackageName>,
    /// The checksums of releases that existed at the beginning of the range but not at its end.
    gone: BTreeSet<Subject>,
    /// Packages that the changed paths belong to, as far as the layout can tell.
    concerned: BTreeSet<PackageName>,
    /// Whether a repository file is among the changed paths.
    repository: bool,
}

impl Range {
    fn changes(self, tree: &Tree, work: &Work) -> Result<Changes> {
        let root = work.head.root();
        let mut files = tree.top(root)?.repository;
        files.extend(self.old.top(root)?.repository);
        let packages = self.old.packages(&work.head)?;
        let concerned = Tree::concerned(&work.head, &self.paths)?;
        let mut gone = BTreeSet::new();
        for package in concerned.intersection(&packages) {
            let before = self.old.checksums(&work.head, package)?;
            let after = tree.checksums(&work.head, package)?;
            gone.extend(before.difference(&after).cloned());
        }
        Ok(Changes {
            packages,
            gone,
            concerned,
            repository: files.iter().any(|file| self.paths.contains(file)),
            paths: self.paths,
        })
    }
}

/// Returns the tree at the end of a range, and the changes in the range.
///
/// The page goes into the working copy, so it has to fit what was signed there: two changes of one package
/// that are approved one after the other get different versions.
fn changes(working: Tree, range: &str) -> Result<(Tree, Range)> {
    if range.contains("...") {
        return Err(
            CommandError::usage("a range has two dots: A..B").hint(
                "to approve what a branch changed since it left A, give their common ancestor: git merge-base A B",
            ),
        );
    }
    let (from, to) = match range.split_once("..") {
        Some((from, to)) => (from, Some(to).filter(|to| !to.is_empty())),
        None => (range, None),
    };
    let old = Tree::at_revision(working.path(), from)?;
    let Some(to) = to else {
        let paths = changed(old.store(), working.store()).map_err(CommandError::io)?;
        return Ok((working, Range { old, paths }));
    };
    let new = Tree::at_revision(working.path(), to)?;
    let paths = changed(old.store(), new.store()).map_err(CommandError::io)?;
    Ok((new.with_pages_of(&working)?, Range { old, paths }))
}

/// Asks about each statement and returns those that the user agreed to.
fn each<'w>(
    out: &mut impl Write,
    work: &Work,
    chosen: Vec<&'w Finding>,
) -> Result<Vec<&'w Finding>> {
    let mut agreed = Vec::new();
    for finding in chosen {
        print(out, work, &[finding]);
        if prompt::ask("Approve it?")? {
            agreed.push(finding);
        }
    }
    if agreed.is_empty() {
        return Err(CommandError::refused(
            "nothing was agreed to, so nothing was signed",
        ));
    }
    Ok(agreed)
}

/// Shows what else would lose its approval through the chosen changes of people or ownership. Returns the
/// vouches that adopt it.
fn foretell(
    out: &mut impl Write,
    (tree, work): (&Tree, &Work),
    chosen: &[&Finding],
    id: &Id,
    adoption: &Adoption,
) -> Result<Vec<Vouch>> {
    let metadata = &work.report.metadata();
    let mut amendment = Amendment::default();
    for finding in chosen {
        match &finding.subject {
            Subject::Author(id) => amendment.authors.extend(metadata.authors.get(id).cloned()),
            Subject::Team(id) => amendment.teams.extend(metadata.teams.get(id).cloned()),
            Subject::Authorisation(package) => amendment
                .authorisations
                .extend(metadata.authorisations.get(package).cloned()),
            _ => {}
        }
    }
    let is_people = |finding: &&&Finding| finding.subject.kind().is_about_people();
    if !chosen.iter().any(|finding| is_people(&finding)) {
        return Ok(Vec::new());
    }
    // The vouches of the same page take effect together with the change.
    let vouches = chosen.iter().filter_map(|finding| Draft::of(finding));
    amendment.vouches = vec![(id.clone(), vouches.map(Draft::vouch).collect())];
    let foreseen = foresee::foresee(out, (tree, work), &amendment, Some(id), adoption)?;
    Ok(foreseen.vouches)
}

/// Returns what waits for a person: for a janitor everything that is pending, for others what they own.
pub(crate) fn pending<'w>(work: &'w Work, id: &Id) -> Vec<&'w Finding> {
    candidates(work, id)
        .into_iter()
        .filter(|finding| is_pending(finding))
        .collect()
}

/// Returns what a person could approve: pending statements, and those whose content is older than approved.
fn candidates<'w>(work: &'w Work, id: &Id) -> Vec<&'w Finding> {
    let person = work.people().find(id);
    work.report
        .findings
        .iter()
        .filter(|finding| {
            is_unapproved(finding) && is_entitled(work, id, finding) && lacks(finding, person)
        })
        .collect()
}

/// Whether a person's vouch for a statement counts. A janitor's counts for everything, an owner's for the
/// content of what they own.
fn is_entitled(work: &Work, id: &Id, finding: &Finding) -> bool {
    let person = work.people().find(id);
    let is_janitor = person.is_some_and(|person| work.people().janitors().contains(&person));
    let content = matches!(finding.subject.kind(), Kind::Releases | Kind::Checksums);
    let owners = finding
        .subject
        .package()
        .and_then(|package| work.state().owners(package));
    let owns = owners
        .is_some_and(|(owners, _)| person.is_some_and(|person| owners.people.contains(&person)));
    is_janitor || (content && owns)
}

/// Whether a person has not vouched for the present content yet.
fn lacks(finding: &Finding, person: Option<PersonIndex>) -> bool {
    person.is_none_or(|person| !finding.assessment.is_supported_by(person))
}

/// Returns the findings whose present content a batch vouches for, approved or not.
fn of_batch<'w>(work: &'w Work, prefix: &str) -> Result<Vec<&'w Finding>> {
    if prefix.is_empty() {
        return Err(CommandError::usage("the digest of the batch is missing")
            .hint("give its first digits, or all"));
    }
    let prefix = if prefix == "all" { "" } else { prefix };
    let stored = &work.report.metadata().batches;
    let batches: Vec<&Batch> = stored
        .iter()
        .filter(|(digest, _)| digest.to_string().starts_with(prefix))
        .map(|(_, batch)| batch)
        .collect();
    if batches.is_empty() {
        return Err(
            CommandError::usage(format_args!("no batch begins with {prefix:?}"))
                .hint("batches are in conex/batches"),
        );
    }
    if batches.len() > 1 && !prefix.is_empty() {
        return Err(
            CommandError::usage(format_args!("more than one batch begins with {prefix}"))
                .hint("give more digits, or all"),
        );
    }
    let said: BTreeSet<(&Subject, Digest)> = batches
        .iter()
        .flat_map(|batch| batch.vouches())
        .map(|vouch| (&vouch.subject, vouch.digest))
        .collect();
    Ok(work
        .report
        .findings
        .iter()
        .filter(|finding| said.contains(&(&finding.subject, finding.digest)))
        .collect())
}

/// Whether a finding is selected. Absent content has to be named: it may just not be merged yet.
fn matches(arguments: &Arguments, changes: Option<&Changes>, finding: &Finding) -> bool {
    let in_range = changes.is_some_and(|changes| changes.touch(finding));
    if changes.is_some() && !in_range {
        return false;
    }
    let subject = &finding.subject;
    let kind = arguments.kind.is_empty() || arguments.kind.contains(&subject.kind());
    let named = |pattern: &String| {
        let full = subject.to_string();
        let name = full.split(' ').next().unwrap_or_default();
        glob(pattern, name) || glob(pattern, subject.name())
    };
    let named = arguments.patterns.iter().any(named);
    let meant = (finding.present || in_range) && is_pending(finding);
    kind && (named || (arguments.patterns.is_empty() && meant))
}

impl Changes {
    /// Whether a statement's content changed.
    fn touch(&self, finding: &Finding) -> bool {
        let place = finding.place.as_str();
        let is_below = |path: &TreePath| {
            path.as_str()
                .strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match &finding.subject {
            // Absent content has no place in the tree. It changed if it existed when the range began.
            Subject::Releases(package) if !finding.present => self.packages.contains(package),
            Subject::Checksums(..) if !finding.present => self.gone.contains(&finding.subject),
            // A package may have several directories, and a repository several files.
            Subject::Releases(package) if self.concerned.contains(package) => true,
            Subject::Repository => self.repository,
            _ => self.paths.iter().any(is_below),
        }
    }
}

/// Matches a pattern in which `*` matches any characters, including none.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part).and_then(|at| rest.get(at + part.len()..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The most content statements to list one by one.
const SHOWN: usize = 40;

/// Shows what will be signed: people and ownership in full, content only by name.
fn print(out: &mut impl Write, work: &Work, chosen: &[&Finding]) {
    let (people, content): (Vec<&Finding>, Vec<&Finding>) = chosen
        .iter()
        .copied()
        .partition(|finding| finding.subject.kind().is_about_people());
    for finding in people {
        line(
            out,
            format_args!("{BOLD}{}{RESET} {}", finding.subject, state(finding)),
        );
        if let Some(text) = stored_text(work, &finding.subject) {
            let proves = proofs(work, &finding.subject);
            let mut proves = proves.iter().copied();
            let mut inside = false;
            for stored in text.lines() {
                // People cannot check a signature by reading it, so show the program's verdict instead.
                if stored == "proof = \"\"\"" {
                    inside = true;
                    match proves.next() {
                        Some(true) => line(out, "    proof = (valid)"),
                        _ => line(out, format_args!("    proof = {RED}NOT VALID{RESET}")),
                    }
                }
                if !inside {
                    line(out, format_args!("    {stored}"));
                }
                inside &= stored != "\"\"\"";
            }
        }
    }
    for (new, like, why) in lookalikes(work, &content) {
        line(
            out,
            format_args!("{RED}warning{RESET}: the new name {new} {why} {like}"),
        );
    }
    for finding in content.iter().take(SHOWN) {
        line(
            out,
            format_args!(
                "{BOLD}{}{RESET} {} ({})",
                finding.subject,
                state(finding),
                finding.place
            ),
        );
    }
    if content.len() > SHOWN {
        let releases = content
            .iter()
            .filter(|finding| finding.subject.kind() == Kind::Checksums)
            .count();
        let mut packages: Vec<&PackageName> = content
            .iter()
            .filter_map(|finding| finding.subject.package())
            .collect();
        packages.dedup();
        line(
            out,
            format_args!(
                "... and {} more: in all {} packages, {releases} releases",
                content.len() - SHOWN,
                packages.len()
            ),
        );
    }
}

/// Returns, for each key of an author, whether its proof of possession is valid.
fn proofs(work: &Work, subject: &Subject) -> Vec<bool> {
    let author = match subject {
        Subject::Author(id) => work.report.metadata().authors.get(id),
        _ => None,
    };
    let origin = &work.head.root().origin;
    author
        .into_iter()
        .flat_map(|author| author.keys.iter().map(|key| (key, &author.id)))
        .map(|(key, id)| key.verify(origin, id, &StandardCrypto).is_ok())
        .collect()
}

/// Returns new packages whose names could be mistaken for others, with the names they resemble.
fn lookalikes<'w>(
    work: &'w Work,
    content: &[&'w Finding],
) -> Vec<(&'w PackageName, &'w PackageName, &'static str)> {
    let is_new = |finding: &&Finding| {
        finding.present
            && matches!(finding.subject, Subject::Releases(_))
            && finding.assessment.standing == Standing::Pending
    };
    let (mut new, mut old): (Vec<&PackageName>, Vec<&PackageName>) = (Vec::new(), Vec::new());
    for finding in &work.report.findings {
        if let Subject::Releases(package) = &finding.subject {
            if is_new(&finding) {
                new.push(package);
            } else {
                old.push(package);
            }
        }
    }
    // On day zero every package is new, so there is nothing to resemble.
    if old.is_empty() {
        return Vec::new();
    }
    let asked: BTreeSet<&PackageName> = content
        .iter()
        .copied()
        .filter(is_new)
        .filter_map(|finding| finding.subject.package())
        .collect();
    new.retain(|package| asked.contains(package));
    names::lookalikes(&new, &old)
}

/// Describes what an approval would do to a statement.
fn state(finding: &Finding) -> String {
    let version = finding
        .assessment
        .proposed
        .map_or_else(|| "-".into(), |version| version.to_string());
    match &finding.assessment.standing {
        Standing::Differs { .. } if !finding.present => format!("{version}, REMOVED"),
        Standing::Differs { newest } => format!("{version}, changed since {}", newest.version),
        Standing::Equivocal { .. } => format!("{version}, settles a contradiction"),
        Standing::Approved(_) => format!("{version}, approved already"),
        Standing::Behind {
            version: old,
            newest,
        } => {
            format!(
                "{version}, OLDER: brings {old} back in place of {}",
                newest.version
            )
        }
        Standing::Pending => format!("{version}, new"),
    }
}

/// Returns the stored text of a statement about people or ownership.
pub(crate) fn stored_text(work: &Work, subject: &Subject) -> Option<String> {
    let metadata = &work.report.metadata();
    match subject {
        Subject::Author(id) => metadata
            .authors
            .get(id)
            .map(conex_core::model::stored::Stored::to_text),
        Subject::Team(id) => metadata
            .teams
            .get(id)
            .map(conex_core::model::stored::Stored::to_text),
        Subject::Authorisation(package) => metadata
            .authorisations
            .get(package)
            .map(conex_core::model::stored::Stored::to_text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, text, expected) in [
            ("foo", "foo", true),
            ("foo", "foo/1.0", false),
            ("foo/*", "foo/1.0", true),
            ("*", "x", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
