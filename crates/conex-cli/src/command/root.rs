//! `conex root`.

use core::str::FromStr;
use std::path::Path;

use conex_core::crypto::Digests as _;
use conex_core::key::Fingerprint;
use conex_core::metadata::{StoredRoot, place};
use conex_core::name::Id;
use conex_core::path::Pattern;
use conex_core::spelling::Stored as _;
use conex_core::statement::{Janitor, Root, RootFields, RootSignature};
use conex_core::verify::{Mode, Report};
use conex_core::version::Threshold;
use conex_crypto::StandardCrypto;

use crate::error::{CommandError, Result};
use crate::keys::{KeyArguments, Locked};
use crate::tree::Tree;
use crate::{keys, output};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print the newest root
    Show,
    /// Propose the next root, and sign it
    Propose(Box<Changes>),
    /// Sign the root that waits for signatures
    Sign {
        #[command(flatten)]
        key: KeyArguments,
    },
}

/// What the next root changes.
#[derive(Debug, clap::Args)]
pub(crate) struct Changes {
    /// A janitor who joins, or whose keys change, such as dora=dora.pub
    #[arg(long = "janitor", value_name = "ID[=KEY]")]
    janitors: Vec<JanitorArgument>,
    /// A janitor who leaves
    #[arg(long, value_name = "ID")]
    remove: Vec<Id>,
    /// How many janitors decide about people, ownership and roots
    #[arg(long, value_name = "N")]
    quorum: Option<u16>,
    /// How many may change bounds and descriptions of owned packages
    #[arg(long, value_name = "N")]
    upkeep: Option<u16>,
    /// How many approve the content of packages nobody owns
    #[arg(long, value_name = "N")]
    unclaimed: Option<u16>,
    /// A top-level file or directory (as DIR/**) that clients need not read
    #[arg(long, value_name = "PATTERN")]
    ignore: Vec<Pattern>,
    /// Demand that every package is signed, from now on for ever
    #[arg(long)]
    complete: bool,
    /// A stolen key, which signs nothing any more
    #[arg(long, value_name = "SHA256:...", value_parser = parse_fingerprint)]
    revoke: Vec<Fingerprint>,
    #[command(flatten)]
    key: KeyArguments,
}

fn parse_fingerprint(text: &str) -> core::result::Result<Fingerprint, String> {
    Fingerprint::parse(text).map_err(|error| error.to_string())
}

/// `alice`, or `alice=path-of-public-key`.
#[derive(Debug, Clone)]
pub(crate) struct JanitorArgument {
    id: Id,
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
    match command {
        Command::Show => show(&tree),
        Command::Propose(changes) => propose(&tree, changes),
        Command::Sign { key } => sign_pending(&tree, key),
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

fn propose(tree: &Tree, changes: &Changes) -> Result<()> {
    let report = examine(tree)?;
    let newest = newest(&report)?;
    if let Some(waiting) = waiting(&report) {
        return Err(CommandError::refused(format_args!(
            "root {} waits for signatures",
            waiting.root.number
        ))
        .hint("sign it with conex root sign, or delete it and its signatures to propose another"));
    }
    let mut fields = RootFields::from(newest.root.clone());
    let number = fields
        .number
        .next()
        .ok_or_else(|| CommandError::refused("the chain of roots is at its limit"))?;
    fields.previous = Some(newest.root.digest(&StandardCrypto));
    fields.number = number;
    for joining in &changes.janitors {
        let janitor = joining.janitor()?;
        fields.janitors.retain(|present| present.id != janitor.id);
        fields.janitors.push(janitor);
    }
    for leaving in &changes.remove {
        if !fields.janitors.iter().any(|janitor| janitor.id == *leaving) {
            return Err(CommandError::usage(format_args!("{leaving} is no janitor"))
                .hint("conex root show lists them"));
        }
        fields.janitors.retain(|janitor| janitor.id != *leaving);
    }
    for (field, slot, people) in [
        ("quorum", &mut fields.quorum, changes.quorum),
        ("upkeep", &mut fields.upkeep, changes.upkeep),
        ("unclaimed", &mut fields.unclaimed, changes.unclaimed),
    ] {
        if let Some(people) = people {
            *slot = Threshold::new(people)
                .ok_or_else(|| CommandError::usage(format_args!("--{field} is at least 1")))?;
        }
    }
    for pattern in &changes.ignore {
        if !fields.ignore.contains(pattern) {
            fields.ignore.push(pattern.clone());
        }
    }
    for key in &changes.revoke {
        if !fields.revoked.contains(key) {
            fields.revoked.push(*key);
        }
    }
    fields.complete |= changes.complete;
    let root = Root::new(fields).map_err(CommandError::usage)?;

    let mut out = output::stdout();
    output::line(&mut out, root.to_text());
    let (_, signature) = sign(&root, Some(&newest.root), &changes.key)?;
    tree.write(vec![
        (place::root(root.number), root.to_text().into_bytes()),
        (
            place::root_signature(root.number, &signature),
            signature.to_text().into_bytes(),
        ),
    ])?;
    tell_what_lacks(tree)
}

fn sign_pending(tree: &Tree, key: &KeyArguments) -> Result<()> {
    let report = examine(tree)?;
    let waiting = waiting(&report).ok_or_else(|| {
        CommandError::refused("no root waits for signatures")
            .hint("conex root propose makes the next one")
    })?;
    let previous = report
        .roots
        .iter()
        .find(|stored| stored.root.number.next() == Some(waiting.root.number));
    let mut out = output::stdout();
    output::line(&mut out, waiting.root.to_text());
    let (_, signature) = sign(&waiting.root, previous.map(|stored| &stored.root), key)?;
    tree.write(vec![(
        place::root_signature(waiting.root.number, &signature),
        signature.to_text().into_bytes(),
    )])?;
    tell_what_lacks(tree)
}

/// Signs a root after one prompt; the signer is a janitor of it, or of the root before.
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

/// Roots may be examined before anything else is valid.
fn examine(tree: &Tree) -> Result<Report> {
    let report = tree.verify(
        &conex_core::chain::Trust::DangerousSelfAsserted,
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

/// The root behind the head, if there is one.
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

/// The fingerprints of a root's janitors, for `conex status`.
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
