//! `conex rotate`.

use std::path::Path;

use conex_core::model::crypto::Digests as _;
use conex_core::model::name::Id;
use conex_core::model::statement::{Author, AuthorFields, AuthorKey, FormerKey};
use conex_core::model::stored::Stored as _;
use conex_core::model::vouch::Subject;
use conex_core::tools::compose::INLINE;
use conex_core::tools::forecast::{Amendment, Outlook};
use conex_core::tree::metadata::place;
use conex_crypto::StandardCrypto;

use crate::error::{CommandError, Result};
use crate::foresee::{self, Accepted, Step};
use crate::keys::{self, Locked};
use crate::lock;
use crate::output::{self, line};
use crate::signing;
use crate::tree::{Tree, Work};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Whose key changes [default: the holder of the key given with --key]
    #[arg(required_if_eq("lost", "true"))]
    id: Option<Id>,

    /// The new key, which proves that you hold it: a name in the key directory, or the path of an
    /// OpenSSH private key
    #[arg(long, value_name = "KEY")]
    new: String,

    /// The old key is lost or stolen, so you cannot sign with it
    #[arg(long)]
    lost: bool,

    #[command(flatten)]
    accepted: Accepted,

    #[command(flatten)]
    step: Step,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let tree = Tree::open(repo)?;
    let _lock = lock::take(&tree)?;
    let work = tree.examine()?;
    let (present, old) = who(work, arguments)?;
    let id = &present.id;
    let new = new_key(work, present, arguments)?;

    // The pages of the old keys, and those of them that continue to count.
    let mut fields = AuthorFields::from(present.clone());
    let mut dropped = Amendment::default();
    let (gone, kept): (Vec<AuthorKey>, Vec<AuthorKey>) = fields
        .keys
        .into_iter()
        .partition(|listed| old.as_ref().is_none_or(|old| listed.key == *old.public()));
    fields.keys = kept;
    for listed in gone {
        let fingerprint = StandardCrypto.fingerprint(&listed.key);
        let mut pages = foresee::counting(work, id, fingerprint);
        if arguments.accepted.is_given() {
            // A revoked key's pages count for nothing now, and some may have to again.
            let all = work.report.metadata().pages.iter().filter(|stored| {
                stored.page.body().signer() == id && stored.page.body().key() == fingerprint
            });
            let all = all.map(|stored| stored.digest).collect();
            let chosen = arguments.accepted.choose(&tree, id, &all)?;
            dropped.deleted.extend(pages.difference(&chosen));
            pages = chosen;
        }
        fields.former.push(FormerKey {
            key: listed.key,
            pages: pages.into_iter().collect(),
        });
    }

    let mut out = output::stdout();
    line(
        &mut out,
        format_args!("{id} gets the key {}", new.fingerprint()),
    );
    for former in &fields.former {
        line(
            &mut out,
            format_args!(
                "  {} signs nothing new; pages that go on counting: {}",
                StandardCrypto.fingerprint(&former.key),
                former.pages.len()
            ),
        );
    }
    let signer = Some(id);
    let adoption = &arguments.step.adoption;
    let foreseen = foresee::foresee(&mut out, (&tree, work), &dropped, signer, adoption)?;
    if arguments.step.dry_run {
        return Ok(());
    }
    let page = signing::compose(work, id, new.fingerprint(), &foreseen.vouches, INLINE)?;
    let secret = new.confirm(
        &arguments.step.key,
        &format!("Prove that this key is {id}'s?"),
    )?;
    let origin = &work.head.root().origin;
    fields
        .keys
        .push(AuthorKey::prove(origin, id, &secret).map_err(CommandError::refused)?);
    let author = Author::new(fields).map_err(CommandError::usage)?;
    if let Some(outlook) = Outlook::new(&work.report, &StandardCrypto) {
        let proposal = Amendment {
            authors: vec![author.clone()],
            ..Amendment::default()
        };
        foresee::refuse_problems(&mut out, &outlook.forecast(&proposal))?;
    }
    let mut files = vec![(place::author(id), author.to_text().into_bytes())];
    files.extend(page.sign(work, &secret)?);
    tree.write(files)?;
    foresee::tell_what_waits(&mut out, &tree, &[Subject::Author(id.clone())])
}

/// Returns the author, and the old key if it is at hand.
fn who<'w>(work: &'w Work, arguments: &Arguments) -> Result<(&'w Author, Option<Locked>)> {
    let (id, old) = if arguments.lost {
        (arguments.id.clone(), None)
    } else {
        let (old, holder) = keys::signer(&arguments.step.key, work.people())?;
        if arguments.id.as_ref().is_some_and(|id| *id != holder) {
            return Err(CommandError::refused(format_args!(
                "that key is {holder}'s: everybody changes their own"
            ))
            .hint("if the old key is lost or stolen: --lost"));
        }
        (Some(holder), Some(old))
    };
    let id = id.ok_or_else(|| {
        CommandError::usage("whose key is lost?").hint("conex rotate ID --lost --new KEY")
    })?;
    let author = work.report.metadata().authors.get(&id).ok_or_else(|| {
        CommandError::usage(format_args!("there is no author {id}")).hint(format_args!(
            "a janitor's key changes with: conex root rotate {id} --new KEY"
        ))
    })?;
    let listed = |old: &Locked| author.keys.iter().any(|listed| listed.key == *old.public());
    if old.as_ref().is_some_and(|old| !listed(old)) {
        return Err(
            CommandError::usage(format_args!("that is {id}'s key as a janitor"))
                .hint(format_args!("conex root rotate {id} --new KEY")),
        );
    }
    if author.retired {
        return Err(
            CommandError::refused(format_args!("{id} is retired, for ever"))
                .hint("enrol under another id"),
        );
    }
    Ok((author, old))
}

/// Returns the new key, which nobody here may have yet.
fn new_key(work: &Work, author: &Author, arguments: &Arguments) -> Result<Locked> {
    let new = keys::find(&arguments.new)?;
    let fingerprint = new.fingerprint();
    let former = author
        .former
        .iter()
        .any(|former| former.key == *new.public());
    let refusal = if work.head.root().revoked.contains(&fingerprint) {
        Some(format!("{fingerprint} is revoked"))
    } else if let Some(holder) = work.people().holder(fingerprint) {
        Some(format!("{fingerprint} is a key of {holder} already"))
    } else if former {
        Some(format!("{fingerprint} is a former key of {}", author.id))
    } else {
        None
    };
    match refusal {
        Some(why) => Err(CommandError::refused(why).hint("conex key new makes another one")),
        None => Ok(new),
    }
}
