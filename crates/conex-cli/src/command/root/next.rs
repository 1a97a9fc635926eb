//! `conex root join`, `leave`, `rotate`, `revoke` and `set`: build the next root from the head.

use core::str::FromStr;

use conex_core::model::crypto::Digests as _;
use conex_core::model::key::{Fingerprint, PublicKey};
use conex_core::model::name::Id;
use conex_core::model::path::{Path, Pattern};
use conex_core::model::statement::{
    FormerJanitor, FormerKey, Janitor, Root, RootFields, Scheme, StatementError,
};
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Threshold;
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::state::chain::{Trust, follow};
use conex_core::tools::compose::{Files, INLINE, batches};
use conex_core::tools::forecast::Amendment;
use conex_core::tree::metadata::{StoredRoot, place};
use conex_crypto::StandardCrypto;

use super::{JanitorArgument, janitor_key, may_ignore, replace, stored, tell_what_lacks, waiting};
use crate::error::{CommandError, Result};
use crate::foresee::{self, Accepted, Adoption, Step};
use crate::keys;
use crate::output::{self, line};
use crate::signing;
use crate::tree::{Tree, Work};

#[derive(Debug, clap::Args)]
pub(crate) struct Join {
    /// Who, with their public key, such as dora=dora.pub
    #[arg(value_name = "ID=KEY")]
    janitor: JanitorArgument,

    #[command(flatten)]
    step: Step,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Leave {
    /// Who leaves
    id: Id,

    #[command(flatten)]
    step: Step,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rotate {
    /// Whose key changes
    id: Id,

    /// Their new public key: a .pub file, or a name in the key directory
    #[arg(long, value_name = "KEY")]
    new: String,

    /// They keep the present keys, too
    #[arg(long, conflicts_with = "lost")]
    keep: bool,

    /// The old key is lost, and another janitor proposes this
    #[arg(long)]
    lost: bool,

    #[command(flatten)]
    step: Step,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Revoke {
    /// The stolen key
    #[arg(value_name = "SHA256:...", value_parser = parse_fingerprint)]
    stolen: Fingerprint,

    /// The janitor's new public key; without one, a janitor with no other key ceases to be a janitor
    #[arg(long, value_name = "KEY")]
    new: Option<String>,

    #[command(flatten)]
    accepted: Accepted,

    #[command(flatten)]
    step: Step,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Set {
    /// quorum=N, upkeep=N, unclaimed=N: how many janitors decide about people and ownership, about
    /// bounds of owned packages, about packages nobody owns. complete: every package has to be
    /// signed, from now on for ever. ignore=PATTERN, no-ignore=PATTERN: files at the top (or
    /// DIR/**) that clients do not read. projections=NAME or NAME,NAME: how source is told from
    /// upkeep
    #[arg(required = true, value_name = "SETTING")]
    settings: Vec<Setting>,

    #[command(flatten)]
    step: Step,
}

fn parse_fingerprint(text: &str) -> core::result::Result<Fingerprint, String> {
    Fingerprint::parse(text).map_err(|error| error.to_string())
}

/// One rule of the next root.
#[derive(Debug, Clone)]
enum Setting {
    Quorum(Threshold),
    Upkeep(Threshold),
    Unclaimed(Threshold),
    Complete,
    Ignore(Pattern),
    NoIgnore(Pattern),
    Projections(Vec<Scheme>),
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> core::result::Result<Self, String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let people = || {
            let people = value.parse().ok().and_then(Threshold::new);
            people.ok_or_else(|| format!("{name} is a number of people from 1 to 65535"))
        };
        let pattern = || Pattern::parse(value).map_err(|error| error.to_string());
        Ok(match name {
            "quorum" => Self::Quorum(people()?),
            "upkeep" => Self::Upkeep(people()?),
            "unclaimed" => Self::Unclaimed(people()?),
            "complete" if value.is_empty() => Self::Complete,
            "ignore" => Self::Ignore(pattern()?),
            "no-ignore" => Self::NoIgnore(pattern()?),
            "projections" => {
                let names = value.split(',').filter(|name| !name.is_empty());
                let names: core::result::Result<_, StatementError> =
                    names.map(Scheme::parse).collect();
                Self::Projections(names.map_err(|error| error.to_string())?)
            }
            _ => {
                return Err(
                    "settings are quorum=N, upkeep=N, unclaimed=N, complete, ignore=PATTERN, \
                     no-ignore=PATTERN and projections=NAME"
                        .into(),
                );
            }
        })
    }
}

impl Setting {
    fn apply(&self, fields: &mut RootFields) -> Result<()> {
        match self {
            Self::Quorum(people) => fields.quorum = *people,
            Self::Upkeep(people) => fields.upkeep = *people,
            Self::Unclaimed(people) => fields.unclaimed = *people,
            Self::Complete => fields.complete = true,
            Self::Ignore(pattern) => {
                may_ignore(&fields.layout, pattern)?;
                fields.ignore.retain(|present| present != pattern);
                fields.ignore.push(pattern.clone());
            }
            Self::NoIgnore(pattern) => {
                if !fields.ignore.contains(pattern) {
                    return Err(CommandError::usage(format_args!(
                        "the pattern {pattern} is not there"
                    ))
                    .hint("conex root show lists them"));
                }
                fields.ignore.retain(|present| present != pattern);
            }
            Self::Projections(names) => {
                let stays = |name: &Scheme| names.contains(name);
                if !fields.projections.is_empty() && !fields.projections.iter().any(stays) {
                    return Err(CommandError::usage(
                        "everything would have to be approved anew under other projections",
                    )
                    .hint("list the present one and the new one first: projections=OLD,NEW"));
                }
                fields.projections.clone_from(names);
            }
        }
        Ok(())
    }
}

impl Join {
    pub(super) fn run(&self, tree: &Tree) -> Result<()> {
        propose(tree, &self.step, |_, fields, _| {
            let janitor = self.janitor.janitor()?;
            if fields.janitors.iter().any(|other| other.id == janitor.id) {
                return Err(CommandError::usage(format_args!(
                    "{} is a janitor already",
                    janitor.id
                ))
                .hint(format_args!(
                    "another key for them: conex root rotate {} --new KEY",
                    janitor.id
                )));
            }
            for key in &janitor.keys {
                usable(fields, &janitor.id, key)?;
            }
            fields.janitors.push(janitor);
            Ok(())
        })
    }
}

impl Leave {
    pub(super) fn run(&self, tree: &Tree) -> Result<()> {
        propose(tree, &self.step, |work, fields, _| {
            let janitor = janitor(fields, &self.id)?;
            fields.janitors.retain(|other| other.id != self.id);
            for key in &janitor.keys {
                let pages = foresee::counting(work, &self.id, print(key));
                former(fields, &self.id, key, pages);
            }
            Ok(())
        })
    }
}

impl Rotate {
    pub(super) fn run(&self, tree: &Tree) -> Result<()> {
        propose(tree, &self.step, |work, fields, signer| {
            let present = janitor(fields, &self.id)?;
            if !self.lost && *signer != self.id {
                return Err(CommandError::refused(format_args!(
                    "{} changes their key themselves, and you are {signer}",
                    self.id
                ))
                .hint("if the old key is lost: --lost; if it is stolen: conex root revoke"));
            }
            let new = keys::public(&self.new)?;
            for key in &new {
                if present.keys.contains(key) {
                    return Err(CommandError::usage(format_args!(
                        "{} has that key already",
                        self.id
                    ))
                    .hint("give the new key with --new; conex key new makes one"));
                }
                usable(fields, &self.id, key)?;
            }
            if !self.keep {
                for key in &present.keys {
                    let pages = foresee::counting(work, &self.id, print(key));
                    former(fields, &self.id, key, pages);
                }
            }
            let keep = self.keep;
            for janitor in fields
                .janitors
                .iter_mut()
                .filter(|other| other.id == self.id)
            {
                if !keep {
                    janitor.keys.clear();
                }
                janitor.keys.extend(new.iter().cloned());
            }
            Ok(())
        })
    }
}

impl Revoke {
    pub(super) fn run(&self, tree: &Tree) -> Result<()> {
        propose(tree, &self.step, |work, fields, _| {
            if fields.revoked.contains(&self.stolen) {
                return Err(CommandError::usage(format_args!(
                    "{} is revoked already",
                    self.stolen
                ))
                .hint("conex root show lists revoked keys"));
            }
            fields.revoked.push(self.stolen);
            let current = fields.janitors.iter().find_map(|janitor| {
                let key = janitor.keys.iter().find(|key| print(key) == self.stolen)?;
                Some((janitor.id.clone(), key.clone()))
            });
            let past = fields
                .former
                .iter()
                .find(|former| print(&former.former.key) == self.stolen)
                .map(|former| (former.id.clone(), former.former.key.clone()));
            let Some((id, key)) = current.or(past) else {
                return self.not_a_janitors(work);
            };
            let counting = foresee::counting(work, &id, self.stolen);
            let pages = self.accepted.choose(tree, &id, &counting)?;
            for janitor in fields.janitors.iter_mut().filter(|other| other.id == id) {
                janitor.keys.retain(|other| *other != key);
                if let Some(new) = &self.new {
                    janitor.keys.extend(keys::public(new)?);
                }
            }
            fields.janitors.retain(|janitor| !janitor.keys.is_empty());
            former(fields, &id, &key, pages);
            Ok(())
        })
    }

    /// Handles a key that is an author's or nobody's here: a root can only revoke it.
    fn not_a_janitors(&self, work: &Work) -> Result<()> {
        if self.new.is_none() && !self.accepted.is_given() {
            return Ok(());
        }
        let whose = work
            .people()
            .holder(self.stolen)
            .map_or("an author", Id::as_str);
        Err(CommandError::usage(format_args!(
            "{} is no janitor's key: new keys and accepted pages of an author are not in the root",
            self.stolen
        ))
        .hint(format_args!(
            "revoke it, then: conex rotate {whose} --lost --new KEY --accept PAGE"
        )))
    }
}

impl Set {
    pub(super) fn run(&self, tree: &Tree) -> Result<()> {
        propose(tree, &self.step, |_, fields, _| {
            self.settings
                .iter()
                .try_for_each(|setting| setting.apply(fields))
        })
    }
}

fn print(key: &PublicKey) -> Fingerprint {
    StandardCrypto.fingerprint(key)
}

fn janitor(fields: &RootFields, id: &Id) -> Result<Janitor> {
    let found = fields.janitors.iter().find(|janitor| janitor.id == *id);
    found.cloned().ok_or_else(|| {
        CommandError::usage(format_args!("{id} is no janitor")).hint("conex root show lists them")
    })
}

/// Refuses a revoked key for a janitor. Any other key is removed from the janitor's former keys.
fn usable(fields: &mut RootFields, id: &Id, key: &PublicKey) -> Result<()> {
    if fields.revoked.contains(&print(key)) {
        return Err(
            CommandError::refused(format_args!("{} is revoked", print(key)))
                .hint("revoked keys stay revoked; conex key new makes another one"),
        );
    }
    fields
        .former
        .retain(|former| former.id != *id || former.former.key != *key);
    Ok(())
}

/// Lists a key as a former one, with the pages that still count. Replaces an earlier entry of that key.
fn former(
    fields: &mut RootFields,
    id: &Id,
    key: &PublicKey,
    pages: impl IntoIterator<Item = conex_core::model::digest::Digest>,
) {
    fields.former.retain(|former| former.former.key != *key);
    fields.former.push(FormerJanitor {
        id: id.clone(),
        former: FormerKey {
            key: key.clone(),
            pages: pages.into_iter().collect(),
        },
    });
}

/// Builds the next root from the head, shows it and goes on to sign it.
fn propose(
    tree: &Tree,
    step: &Step,
    edit: impl FnOnce(&Work, &mut RootFields, &Id) -> Result<()>,
) -> Result<()> {
    let work = tree.examine()?;
    let head = work.head.root();
    if let Some(waiting) = waiting(&work.report) {
        return Err(CommandError::refused(format_args!(
            "root {} waits for signatures",
            waiting.root.number
        ))
        .hint("sign it with conex root sign, or delete it and its signatures to propose another"));
    }
    let (_, signer) = janitor_key(head, None, &step.key)?;
    let mut fields = RootFields::from(head.clone());
    edit(work, &mut fields, &signer)?;
    if fields == **head {
        return Err(CommandError::usage("that is how it is already")
            .hint("conex root show prints the newest root"));
    }
    fields.number = (fields.number.next())
        .ok_or_else(|| CommandError::refused("the chain of roots is at its limit"))?;
    fields.previous = Some(work.head.digest());
    let root = Root::new(fields).map_err(|error| explain(&error))?;
    let proposed = StoredRoot {
        root,
        signatures: Vec::new(),
    };
    finish(tree, work, (&proposed, Vec::new()), step, true)
}

fn explain(error: &StatementError) -> CommandError {
    let said = CommandError::usage(error);
    match error {
        StatementError::Invalid {
            field: "quorum", ..
        } => said.hint("lower it first, conex root set quorum=N, or let somebody join first"),
        StatementError::Invalid {
            field: "upkeep" | "unclaimed",
            ..
        } => said
            .hint("set it together with the quorum: conex root set quorum=N upkeep=N unclaimed=N"),
        StatementError::Empty("janitors") => said.hint("let somebody join first"),
        _ => said.hint("conex root show prints the newest root"),
    }
}

/// Shows what a root changes and what it would undo. Then signs it with one prompt, together with what the
/// signer adopts.
pub(super) fn finish(
    tree: &Tree,
    work: &Work,
    (proposed, stale): (&StoredRoot, Vec<Path>),
    step: &Step,
    new: bool,
) -> Result<()> {
    let (root, head) = (&proposed.root, work.head.root());
    let mut out = output::stdout();
    let place = place::root(root.number);
    foresee::difference(&mut out, place.as_str(), &head.to_text(), &root.to_text());
    if head.ignore != root.ignore || head.projections != root.projections {
        refuse_other_files(tree, head, root, &step.adoption)?;
    }
    let (locked, id) = janitor_key(root, Some(head), &step.key)?;
    // Only a janitor of the next root can vouch under it, with the key that it lists.
    let stays = root
        .janitor(&id)
        .is_some_and(|janitor| janitor.keys.contains(locked.public()));
    let proposal = Amendment {
        root: Some(root.clone()),
        ..Amendment::default()
    };
    let signer = stays.then_some(&id);
    let foreseen = foresee::foresee(&mut out, (tree, work), &proposal, signer, &step.adoption)?;
    let mut complete = proposed.clone();
    let mut files = Files::new();
    if new && revokes(root, head) {
        let (root, stored) = with_floor(root, &foreseen.kept)?;
        if !stored.is_empty() {
            let many = output::count(foreseen.kept.len(), "statement");
            line(
                &mut out,
                format_args!("the root keeps {many} from falling below what is adopted"),
            );
        }
        complete.root = root;
        files.extend(stored);
    }
    let root = &complete.root.clone();
    if step.dry_run {
        return Ok(());
    }
    let mut question = format!("Sign root {} of {} as {id}", root.number, root.origin);
    if !foreseen.vouches.is_empty() {
        question.push_str(" and vouch for what is adopted");
    }
    let page = signing::compose(work, &id, locked.fingerprint(), &foreseen.vouches, INLINE)?;
    let secret = locked.confirm(&step.key, &format!("{question}?"))?;
    let signature = root
        .sign(id, &StandardCrypto, &secret)
        .map_err(CommandError::refused)?;
    complete.signatures.push(signature.clone());
    if is_head(work, complete) {
        foreseen.refuse_lacking("conex root sign --adopt")?;
    }
    files.extend(page.sign(work, &secret)?);
    if new {
        files.push((place, root.to_text().into_bytes()));
    }
    files.push(stored(root, &signature));
    replace(tree, files, stale)?;
    tell_what_lacks(tree)
}

/// Whether `root` revokes a key that `head` does not revoke.
fn revokes(root: &Root, head: &Root) -> bool {
    root.revoked.iter().any(|key| !head.revoked.contains(key))
}

/// Returns a root with batches of the vouches that it keeps from falling (spec section 4.5), and these
/// batches.
fn with_floor(root: &Root, kept: &[Vouch]) -> Result<(Root, Files)> {
    let mut fields = RootFields::from(root.clone());
    let mut files = Files::new();
    for batch in batches(kept.to_vec()).map_err(CommandError::refused)? {
        let reference = batch.reference(&root.origin, &StandardCrypto);
        files.push((
            place::batch(reference.digest()),
            batch.to_text().into_bytes(),
        ));
        fields.floor.push(reference);
    }
    fields.floor.sort();
    fields.floor.dedup();
    let root = Root::new(fields).map_err(|error| explain(&error))?;
    Ok((root, files))
}

/// Whether a root with these signatures is the newest valid one.
fn is_head(work: &Work, signed: StoredRoot) -> bool {
    let number = signed.root.number;
    let mut roots = work.report.roots.clone();
    roots.retain(|stored| stored.root.number < number);
    roots.push(signed);
    let (head, _) = follow(&roots, &Trust::DangerousSelfAsserted, &StandardCrypto);
    head.is_some_and(|head| head.root().number == number)
}

/// Refuses patterns that would leave a file unaccounted for or change the set of repository files.
fn refuse_other_files(tree: &Tree, head: &Root, root: &Root, adoption: &Adoption) -> Result<()> {
    let (before, after) = (tree.top(head)?, tree.top(root)?);
    let mut out = output::stdout();
    let mut problems = after.problems.iter();
    if let Some(problem) = problems.find(|problem| !before.problems.contains(problem)) {
        let said = output::plain(&problem.to_string());
        return Err(CommandError::refused(said).hint(problem.code.advice()));
    }
    let more = after
        .repository
        .iter()
        .filter(|path| !before.repository.contains(path));
    let less = before
        .repository
        .iter()
        .filter(|path| !after.repository.contains(path));
    let (more, less): (Vec<&Path>, Vec<&Path>) = (more.collect(), less.collect());
    for path in &more {
        line(
            &mut out,
            format_args!("{path} becomes a file that clients read"),
        );
    }
    for path in &less {
        line(
            &mut out,
            format_args!("{path} is no longer a file that clients read"),
        );
    }
    if more.is_empty() && less.is_empty() || adoption.lets_go(&Subject::Repository) {
        return Ok(());
    }
    Err(
        CommandError::refused("the repository files would have to be approved anew")
            .hint("--let-go . goes on; once the root is valid, the janitors run: conex approve ."),
    )
}
