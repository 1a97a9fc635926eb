//! `conex enroll`.

use std::path::Path;

use conex_core::model::crypto::Digests as _;
use conex_core::model::name::Id;
use conex_core::model::statement::{Account, Author, AuthorFields, AuthorKey};
use conex_core::model::stored::Stored as _;
use conex_core::tools::compose::Files;
use conex_core::tree::metadata::place;
use conex_crypto::StandardCrypto;

use crate::error::{CommandError, Result};
use crate::keys::{self, KeyArguments};
use crate::output::{self, BOLD, RESET, line};
use crate::tree::{Tree, Work};
use crate::{forge, lock};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Your id, which you keep for ever: lower-case letters, digits, `-`, `_`
    id: Id,

    /// Your account on GitHub, which has to list the key already
    #[arg(long, value_name = "NAME")]
    github: Option<String>,

    /// Where else your keys are published: an https address that ends in NAME.keys on
    /// most forges, or a file
    #[arg(long, value_name = "ADDRESS", conflicts_with = "github")]
    keys: Option<String>,

    /// An account to show to the janitors, such as gitlab.com/NAME
    #[arg(long, value_name = "ACCOUNT", value_parser = Account::parse)]
    account: Vec<Account>,

    /// Say what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    key: KeyArguments,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let tree = Tree::open(repo)?;
    let _lock = lock::take(&tree)?;
    let work = tree.examine()?;
    let id = &arguments.id;
    refuse_taken(work, id)?;
    let known = work.report.metadata().authors.get(id);
    let locked = own_key(arguments)?;
    // Includes authors who are not approved yet: once two prove to hold a key, neither of them has it.
    let origin = &work.head.root().origin;
    let holds_it = |author: &&Author| {
        author.id != *id
            && author.keys.iter().any(|it| {
                it.key == *locked.public() && it.verify(origin, &author.id, &StandardCrypto).is_ok()
            })
    };
    let pending = || work.report.metadata().authors.values().find(holds_it);
    if let Some(holder) = work
        .people()
        .holder(locked.fingerprint())
        .filter(|holder| *holder != id)
        .or_else(|| pending().map(|author| &author.id))
    {
        return Err(CommandError::refused(format_args!(
            "{} is {holder}'s key here, and one key is one person",
            locked.fingerprint()
        ))
        .hint("make another one: conex key new"));
    }
    if known.is_some_and(|author| author.keys.iter().any(|it| it.key == *locked.public())) {
        return Err(
            CommandError::refused(format_args!("{id} is enrolled with this key already"))
                .hint(format_args!("conex status {id} says who has to approve it")),
        );
    }
    let accounts = accounts(arguments, &locked)?;

    let mut out = output::stdout();
    let fingerprint = StandardCrypto.fingerprint(locked.public());
    match known {
        None => line(
            &mut out,
            format_args!("{BOLD}{id}{RESET} with the key {fingerprint}"),
        ),
        Some(author) => line(
            &mut out,
            format_args!(
                "{BOLD}{id}{RESET} gets one more key, beside {}: {fingerprint}",
                author.keys.len()
            ),
        ),
    }
    for account in &accounts {
        line(&mut out, format_args!("  account {account}"));
    }
    if arguments.dry_run {
        return Ok(());
    }
    let question = format!("Prove to {origin} that this key is {id}'s?");
    let secret = locked.confirm(&arguments.key, &question)?;
    let proven = AuthorKey::prove(origin, id, &secret).map_err(CommandError::refused)?;
    proven.verify(origin, id, &StandardCrypto).map_err(|_| {
        CommandError::refused("the key gave a signature that does not verify; nothing was written")
    })?;
    let mut fields = known.map_or_else(
        || AuthorFields {
            id: id.clone(),
            accounts: Vec::new(),
            keys: Vec::new(),
            former: Vec::new(),
            retired: false,
        },
        |author| AuthorFields::from(author.clone()),
    );
    fields.keys.push(proven);
    fields.accounts.extend(accounts);
    fields.accounts.sort();
    fields.accounts.dedup();
    let author = Author::new(fields).map_err(CommandError::usage)?;
    let files: Files = vec![(place::author(id), author.to_text().into_bytes())];
    tree.write(files)?;
    line(&mut out, place::author(id));
    line(
        &mut out,
        format_args!(
            "{} janitors have to approve it: conex approve {id}",
            work.head.root().quorum
        ),
    );
    line(&mut out, "next: conex claim PACKAGE, conex publish RELEASE");
    Ok(())
}

/// Returns the requested key, or the one named after the id, or the only one.
fn own_key(arguments: &Arguments) -> Result<keys::Locked> {
    let id = &arguments.id;
    if let Some(key) = arguments.key.asked() {
        return keys::find(key);
    }
    if keys::file(id.as_str())?.is_some() {
        return keys::find(id.as_str());
    }
    let mut all = keys::all()?;
    if all.len() > 1 {
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        return Err(CommandError::usage(format_args!(
            "you have more than one key, and none named {id}"
        ))
        .hint(format_args!("choose one with --key: {}", names.join(", ")))
        .hint(format_args!("or make one: conex key new {id}")));
    }
    all.pop().ok_or_else(|| {
        CommandError::usage("you have no key, neither in the key directory nor in ssh-agent")
            .hint("give an SSH key that you have with --key, such as ~/.ssh/id_ed25519")
            .hint(format_args!("or make one: conex key new {id}"))
    })
}

fn refuse_taken(work: &Work, id: &Id) -> Result<()> {
    let metadata = &work.report.metadata();
    let taken = if id.is_janitors() || metadata.teams.contains_key(id) {
        "a team"
    } else if metadata
        .authors
        .get(id)
        .is_some_and(|author| author.retired)
    {
        "a retired author"
    } else {
        return Ok(());
    };
    Err(
        CommandError::refused(format_args!("{id} is {taken}, and names are for ever"))
            .hint("choose another id"),
    )
}

/// Returns the accounts to store. Those that publish keys have to publish this one.
fn accounts(arguments: &Arguments, locked: &keys::Locked) -> Result<Vec<Account>> {
    let (source, account) = match (&arguments.github, &arguments.keys) {
        (Some(name), _) => (
            format!("https://github.com/{name}.keys"),
            Some(format!("github.com/{name}")),
        ),
        (None, Some(source)) => (
            source.clone(),
            source
                .strip_prefix("https://")
                .map(|rest| rest.strip_suffix(".keys").unwrap_or(rest).to_owned()),
        ),
        (None, None) => return Ok(arguments.account.clone()),
    };
    if arguments.github.as_ref().is_some_and(|name| {
        name.is_empty()
            || !name
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'-')
    }) {
        return Err(
            CommandError::usage("that is no name of an account on GitHub")
                .hint("names there are of letters, digits and `-`"),
        );
    }
    let published = forge::published(&source)?;
    if !published.contains(locked.public()) {
        let others: Vec<String> = published
            .iter()
            .map(|key| StandardCrypto.fingerprint(key).to_string())
            .collect();
        return Err(CommandError::refused(format_args!(
            "{source} does not list your key {}",
            locked.fingerprint()
        ))
        .hint(format_args!("it lists {}", others.join(", ")))
        .hint("add the key to the account, or choose one of these with --key"));
    }
    let mut accounts = arguments.account.clone();
    if let Some(account) = account {
        accounts.push(Account::parse(&account).map_err(CommandError::usage)?);
    }
    Ok(accounts)
}
