//! `conex root`.

use core::str::FromStr;
use std::path::Path;

use conex_core::model::crypto::Digests as _;
use conex_core::model::key::Fingerprint;
use conex_core::model::name::Id;
use conex_core::model::path::{Path as TreePath, Pattern};
use conex_core::model::statement::{Janitor, Root, RootSignature, Scheme};
use conex_core::model::stored::Stored as _;
use conex_core::state::chain::{Head, is_signed_by_member};
use conex_core::tools::compose::Files;
use conex_core::tree::inventory::cannot_ignore;
use conex_core::tree::layout::Schemes as _;
use conex_core::tree::metadata::{StoredRoot, place};
use conex_core::verify::{Mode, Report};
use conex_crypto::StandardCrypto;
use conex_repo::KnownSchemes;

use crate::error::{CommandError, Result};
use crate::foresee::Step;
use crate::keys::{KeyArguments, Locked};
use crate::tree::{Tree, Work};
use crate::{keys, lock, output};

mod next;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print the newest root
    Show,
    /// Propose that somebody becomes a janitor
    Join(next::Join),
    /// Propose that a janitor leaves; what they approved goes on counting
    Leave(next::Leave),
    /// Propose another key for a janitor; what they approved goes on counting
    Rotate(next::Rotate),
    /// Propose that a stolen key signs nothing any more; what it signed counts no longer
    Revoke(next::Revoke),
    /// Propose other rules, such as: quorum=3 upkeep=1
    Set(next::Set),
    /// Sign the root that waits for signatures
    Sign(Step),
}

/// `alice`, or `alice=PATH` with the path of her public key.
#[derive(Debug, Clone)]
pub(crate) struct JanitorArgument {
    pub(crate) id: Id,
    key: String,
}

impl FromStr for JanitorArgument {
    type Err = String;

    fn from_str(text: &str) -> core::result::Result<Self, String> {
        let (id, key) = text.split_once('=').unwrap_or((text, text));
        let id = Id::parse(id).map_err(|error| error.to_string())?;
        Ok(Self {
            id,
            key: key.into(),
        })
    }
}

impl JanitorArgument {
    pub(crate) fn janitor(&self) -> Result<Janitor> {
        Ok(Janitor {
            id: self.id.clone(),
            keys: keys::public(&self.key)?,
        })
    }
}

pub(crate) fn run(repo: &Path, command: &Command) -> Result<()> {
    let tree = Tree::open(repo)?;
    if matches!(command, Command::Show) {
        return show(&tree);
    }
    let _lock = lock::take(&tree)?;
    match command {
        Command::Show => show(&tree),
        Command::Join(arguments) => arguments.run(&tree),
        Command::Leave(arguments) => arguments.run(&tree),
        Command::Rotate(arguments) => arguments.run(&tree),
        Command::Revoke(arguments) => arguments.run(&tree),
        Command::Set(arguments) => arguments.run(&tree),
        Command::Sign(step) => sign_waiting(&tree, step),
    }
}

fn show(tree: &Tree) -> Result<()> {
    let report = examine(tree)?;
    let newest = newest(&report)?;
    let mut out = output::stdout();
    output::line(&mut out, newest.root.to_text());
    let signers: Vec<&str> = newest
        .signatures
        .iter()
        .map(|signature| signature.signer.as_str())
        .collect();
    output::line(
        &mut out,
        format_args!("# signed by: {}", signers.join(", ")),
    );
    output::line(
        &mut out,
        format_args!("# root:{}", newest.root.digest(&StandardCrypto)),
    );
    Ok(())
}

/// Signs the pending root, and adopts what would lose its approval through it.
fn sign_waiting(tree: &Tree, step: &Step) -> Result<()> {
    let report = examine(tree)?;
    let waiting = waiting(&report).ok_or_else(|| {
        CommandError::refused("no root waits for signatures")
            .hint("conex root join, leave, rotate, revoke or set proposes the next one")
    })?;
    let mut out = output::stdout();
    let head = report.head.as_ref().map(Head::root);
    let (waiting, stale) = without_stale(waiting, head);
    for path in &stale {
        output::line(
            &mut out,
            format_args!("{path} is not a signature of this root: it is removed"),
        );
    }
    let Ok(work) = Work::new(report) else {
        // Nothing is approved under a first root yet.
        output::line(&mut out, waiting.root.to_text());
        if step.dry_run {
            return Ok(());
        }
        let (_, signature) = sign(&waiting.root, None, &step.key)?;
        replace(tree, vec![stored(&waiting.root, &signature)], stale)?;
        return tell_what_lacks(tree);
    };
    next::finish(tree, &work, (&waiting, stale), step, false)
}

/// Separates a pending root from signatures of another root, and returns their places. Somebody proposed
/// that root in another branch under the same number, and it was not merged.
fn without_stale(waiting: &StoredRoot, head: Option<&Root>) -> (StoredRoot, Vec<TreePath>) {
    let root = &waiting.root;
    let signatures = waiting.signatures.iter().cloned();
    let (good, stale): (Vec<_>, Vec<_>) = signatures
        .partition(|signature| is_signed_by_member(root, head, signature, &StandardCrypto));
    let places = stale.iter();
    let places = places.map(|signature| place::root_signature(root.number, signature));
    let places = places.collect();
    let root = StoredRoot {
        root: root.clone(),
        signatures: good,
    };
    (root, places)
}

/// Writes files and deletes others, except those that are also written.
fn replace(tree: &Tree, files: Files, mut gone: Vec<TreePath>) -> Result<()> {
    gone.retain(|path| files.iter().all(|(written, _)| written != path));
    tree.replace(files, gone)
}

fn stored(root: &Root, signature: &RootSignature) -> (TreePath, Vec<u8>) {
    let place = place::root_signature(root.number, signature);
    (place, signature.to_text().into_bytes())
}

/// Signs a root after one prompt. The signer is a janitor of this root or of the one before.
pub(crate) fn sign(
    root: &Root,
    previous: Option<&Root>,
    arguments: &KeyArguments,
) -> Result<(Id, RootSignature)> {
    let (locked, id) = janitor_key(root, previous, arguments)?;
    let secret = locked.confirm(
        arguments,
        &format!("Sign root {} of {} as {id}?", root.number, root.origin),
    )?;
    let signature = root
        .sign(id.clone(), &StandardCrypto, &secret)
        .map_err(CommandError::refused)?;
    Ok((id, signature))
}

fn janitor_key(
    root: &Root,
    previous: Option<&Root>,
    arguments: &KeyArguments,
) -> Result<(Locked, Id)> {
    let holder = |locked: &Locked| {
        let janitors = root
            .janitors
            .iter()
            .chain(previous.into_iter().flat_map(|root| &root.janitors));
        janitors
            .clone()
            .find(|janitor| janitor.keys.contains(locked.public()))
            .map(|janitor| janitor.id.clone())
    };
    keys::choose(arguments, "this root", holder)
}

/// Examines the roots, even if nothing else is valid yet.
fn examine(tree: &Tree) -> Result<Report> {
    let report = tree.verify(
        &conex_core::state::chain::Trust::DangerousSelfAsserted,
        Mode::Observe,
        true,
    );
    if report.roots.is_empty() {
        let first = report
            .problems
            .first()
            .map_or_else(String::new, ToString::to_string);
        return Err(
            CommandError::refused(format_args!("there is no root: {first}"))
                .hint("start with conex init"),
        );
    }
    Ok(report)
}

fn newest(report: &Report) -> Result<&StoredRoot> {
    report
        .roots
        .last()
        .ok_or_else(|| CommandError::refused("there is no root").hint("start with conex init"))
}

/// Returns the root after the head, if there is one.
fn waiting(report: &Report) -> Option<&StoredRoot> {
    let head = report
        .head
        .as_ref()
        .map_or(0, |head| head.root().number.as_u32());
    report.roots.get(head as usize)
}

fn tell_what_lacks(tree: &Tree) -> Result<()> {
    let report = examine(tree)?;
    let mut out = output::stdout();
    match waiting(&report) {
        Some(stored) => {
            let place = place::root(stored.root.number);
            for problem in report
                .problems
                .iter()
                .chain(&report.notes)
                .filter(|problem| *problem.place == *place.as_str())
            {
                output::line(&mut out, format_args!("still missing: {problem}"));
            }
        }
        None => {
            if let Some(head) = &report.head {
                output::line(
                    &mut out,
                    format_args!(
                        "root {} is valid: root:{}",
                        head.root().number,
                        head.digest()
                    ),
                );
            }
        }
    }
    Ok(())
}

/// Returns the fingerprints of a root's janitors, for `conex status`.
pub(crate) fn fingerprints(root: &Root) -> Vec<(Id, Fingerprint)> {
    let of = |janitor: &Janitor| -> Vec<(Id, Fingerprint)> {
        janitor
            .keys
            .iter()
            .map(|key| (janitor.id.clone(), StandardCrypto.fingerprint(key)))
            .collect()
    };
    root.janitors.iter().flat_map(of).collect()
}

/// Refuses a pattern that would ignore nothing.
///
/// # Errors
/// Says why the layout gives the pattern no effect.
pub(crate) fn may_ignore(layout: &Scheme, pattern: &Pattern) -> Result<()> {
    let Some(layout) = KnownSchemes.layout(layout) else {
        return Ok(());
    };
    match cannot_ignore(&*layout, pattern) {
        None => Ok(()),
        Some(reason) => Err(CommandError::usage(format_args!(
            "the pattern {pattern} would have no effect: {reason}"
        ))
        .hint("leave it out: what stands there is approved, as it is (conex approve)")
        .hint("patterns name what clients do not read, such as README.md or docs/**")),
    }
}
