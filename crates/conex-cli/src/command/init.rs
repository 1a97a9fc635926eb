//! `conex init`.

use std::collections::BTreeSet;
use std::path::Path;

use conex_core::model::name::{Id, Origin};
use conex_core::model::path::{Path as TreePath, Pattern};
use conex_core::model::statement::{Checkpoints, Janitor, Root, RootFields, RootNumber, Scheme};
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Threshold;
use conex_core::tree::layout::{Place, Schemes as _};
use conex_core::tree::metadata::{ATTRIBUTES, DIRECTORY, place};
use conex_core::tree::store::EntryKind;
use conex_crypto::StandardCrypto;
use conex_repo::KnownSchemes;

use crate::attributes;
use crate::command::root::{self, JanitorArgument};
use crate::error::{CommandError, Result};
use crate::keys::KeyArguments;
use crate::tree::Tree;
use crate::{lock, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The repository's own name, for ever: it is inside every signature
    #[arg(long, value_name = "NAME")]
    origin: Origin,

    /// A janitor and their public key, such as alice=alice.pub, or alice for the key of that name
    /// in your key directory; give it once for each
    #[arg(long = "janitor", value_name = "ID[=KEY]", required = true)]
    janitors: Vec<JanitorArgument>,

    /// How many janitors decide about people, ownership and roots
    #[arg(long, value_name = "N")]
    quorum: u16,

    /// How many may change bounds and descriptions of owned packages [default: the quorum]
    #[arg(long, value_name = "N")]
    upkeep: Option<u16>,

    /// How many approve the content of packages nobody owns [default: the quorum]
    #[arg(long, value_name = "N")]
    unclaimed: Option<u16>,

    /// What the tree looks like: opam or plain [default: opam if there is a directory packages]
    #[arg(long)]
    layout: Option<String>,

    /// A top-level file or directory (as DIR/**) that clients do not read [default: everything
    /// there is that the layout does not know]
    #[arg(long, value_name = "PATTERN")]
    ignore: Vec<Pattern>,

    /// Let packages that nobody vouched for coexist with signed ones
    #[arg(long)]
    gradual: bool,

    /// Write root 1 without signing it
    #[arg(long)]
    no_sign: bool,

    #[command(flatten)]
    key: KeyArguments,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let tree = Tree::open(repo)?;
    let _lock = lock::take(&tree)?;
    let started =
        TreePath::parse(DIRECTORY).is_ok_and(|directory| tree.store().list(&directory).is_ok());
    if started {
        return Err(CommandError::usage("there is a conex directory already")
            .hint("conex status says how things stand; conex root set changes the rules"));
    }
    let layout = layout(&tree, arguments)?;
    let threshold = |field: &str, people: u16| {
        Threshold::new(people)
            .ok_or_else(|| CommandError::usage(format_args!("--{field} is at least 1")))
    };
    let quorum = threshold("quorum", arguments.quorum)?;
    let janitors: Vec<Janitor> = arguments
        .janitors
        .iter()
        .map(JanitorArgument::janitor)
        .collect::<Result<_>>()?;
    let fields = RootFields {
        origin: arguments.origin.clone(),
        number: RootNumber::FIRST,
        previous: None,
        janitors,
        quorum,
        upkeep: arguments
            .upkeep
            .map_or(Ok(quorum), |people| threshold("upkeep", people))?,
        unclaimed: arguments
            .unclaimed
            .map_or(Ok(quorum), |people| threshold("unclaimed", people))?,
        projections: projections(&layout)?,
        ignore: patterns(&tree, arguments, &layout)?,
        layout,
        complete: !arguments.gradual,
        revoked: Vec::new(),
        floor: Vec::new(),
        former: Vec::new(),
        checkpoints: Checkpoints::default(),
    };
    let root = Root::new(fields).map_err(CommandError::usage)?;

    let mut out = output::stdout();
    output::line(&mut out, root.to_text());
    attributes::show(&attributes::notes(
        tree.store(),
        Some(&root),
        BTreeSet::new(),
    ));
    let attributes = TreePath::parse(ATTRIBUTES.0).map_err(CommandError::io)?;
    let mut files = vec![
        (attributes, ATTRIBUTES.1.as_bytes().to_vec()),
        (place::root(root.number), root.to_text().into_bytes()),
    ];
    let mut signed: Vec<Id> = Vec::new();
    if !arguments.no_sign {
        let (id, signature) = root::sign(&root, None, &arguments.key)?;
        files.push((
            place::root_signature(root.number, &signature),
            signature.to_text().into_bytes(),
        ));
        signed.push(id);
    }
    tree.write(files)?;

    let lacking = root.quorum.people().saturating_sub(signed.len());
    if lacking > 0 {
        output::line(
            &mut out,
            format_args!("{lacking} more of the janitors have to run: conex root sign"),
        );
    }
    output::line(&mut out, "then one of them runs: conex bootstrap");
    output::line(
        &mut out,
        format_args!(
            "trust anchor for clients: root:{}",
            root.digest(&StandardCrypto)
        ),
    );
    Ok(())
}

fn layout(tree: &Tree, arguments: &Arguments) -> Result<Scheme> {
    let name = arguments.layout.as_deref().unwrap_or_else(|| {
        let packages =
            TreePath::parse("packages").is_ok_and(|packages| tree.store().list(&packages).is_ok());
        if packages { "opam" } else { "plain" }
    });
    let layout = Scheme::parse(name).map_err(CommandError::usage)?;
    if KnownSchemes.layout(&layout).is_none() {
        return Err(
            CommandError::usage(format_args!("the layout {name} is not known"))
                .hint("layouts are: opam, plain"),
        );
    }
    Ok(layout)
}

fn projections(layout: &Scheme) -> Result<Vec<Scheme>> {
    match layout.as_str() {
        "opam" => Ok(vec![Scheme::parse("opam/1").map_err(CommandError::usage)?]),
        _ => Ok(Vec::new()),
    }
}

/// Returns the given patterns, or else one for each top-level entry that the layout does not know.
fn patterns(tree: &Tree, arguments: &Arguments, layout: &Scheme) -> Result<Vec<Pattern>> {
    for pattern in &arguments.ignore {
        root::may_ignore(layout, pattern)?;
    }
    if !arguments.ignore.is_empty() {
        return Ok(arguments.ignore.clone());
    }
    let Some(layout) = KnownSchemes.layout(layout) else {
        return Ok(Vec::new());
    };
    let entries = tree
        .store()
        .list(&TreePath::top())
        .map_err(CommandError::io)?;
    let unknown = entries.iter().filter(|entry| {
        // In any repository, a leading dot marks files for the repository's own upkeep.
        let hidden = entry.name.starts_with('.');
        hidden || layout.place(&entry.name, entry.kind, false) == Place::Other
    });
    unknown
        .map(|entry| {
            let pattern = match entry.kind {
                EntryKind::Directory => format!("{}/**", entry.name),
                _ => entry.name.clone(),
            };
            Pattern::parse(&pattern)
                .map_err(|error| CommandError::usage(format_args!("{}: {error}", entry.name)))
        })
        .collect()
}
