//! `conex key`.

use std::fs;
use std::io::Write as _;
use std::os::fd::RawFd;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use conex_core::model::crypto::{Digests as _, Signatures as _};
use conex_core::model::name::Id;
use conex_crypto::agent::Identity;
use conex_crypto::{SecretKey, StandardCrypto};

use crate::agent::{self, Agent};
use crate::error::{CommandError, Result, at};
use crate::{home, keys, output, prompt};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key and keep it in the key directory
    New {
        /// Its name: your id in the repository
        name: Id,
        /// Do not protect it with a passphrase
        #[arg(long)]
        no_passphrase: bool,
        /// Read the passphrase from this file descriptor (for scripts)
        #[arg(long, value_name = "N", conflicts_with = "no_passphrase")]
        passphrase_fd: Option<RawFd>,
    },
    /// List the keys in the key directory and in ssh-agent
    List,
    /// Print a public key, to give to others
    Show {
        /// A name in the key directory, the path of a key, or a fingerprint or comment in ssh-agent
        key: String,
    },
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::New {
            name,
            no_passphrase,
            passphrase_fd,
        } => new(name, *no_passphrase, *passphrase_fd),
        Command::List => list(),
        Command::Show { key } => show(key),
    }
}

fn new(name: &Id, no_passphrase: bool, descriptor: Option<RawFd>) -> Result<()> {
    let directory = home::keys()?;
    let private = directory.join(name.as_str());
    let public = directory.join(format!("{name}.pub"));
    for path in [&private, &public] {
        if path.exists() {
            return Err(
                CommandError::usage(format_args!("{} is there already", path.display()))
                    .hint("choose another name, or move the old key away"),
            );
        }
    }
    let passphrase = if no_passphrase {
        None
    } else if let Some(text) = prompt::scripted_passphrase(descriptor)? {
        Some(text)
    } else {
        let first = prompt::passphrase("Passphrase for the new key: ")?;
        let second = prompt::passphrase("The same again: ")?;
        if first != second {
            return Err(CommandError::refused(
                "the passphrases differ; no key was made",
            ));
        }
        Some(first)
    };
    if passphrase.as_ref().is_some_and(|text| text.is_empty()) {
        return Err(
            CommandError::refused("the passphrase is empty; no key was made")
                .hint("--no-passphrase makes a key without one"),
        );
    }
    let failed = |error| CommandError::io(format_args!("{error}"));
    let secret = SecretKey::generate().map_err(failed)?;
    let text = secret
        .write(
            name.as_str(),
            passphrase.as_ref().map(|text| text.as_slice()),
        )
        .map_err(failed)?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(at(directory.display()))?;
    let line = format!("{} {name}\n", secret.public_key());
    // Write the public half first: without it, a private key could not be used with others.
    write(&directory, &public, line.as_bytes(), 0o644)?;
    write(&directory, &private, text.as_bytes(), 0o600)?;

    let mut out = output::stdout();
    output::line(&mut out, format_args!("{}", private.display()));
    output::line(
        &mut out,
        format_args!("{}", StandardCrypto.fingerprint(secret.public_key())),
    );
    output::line(
        &mut out,
        format_args!("give others the public half: {}", public.display()),
    );
    Ok(())
}

/// Writes a new file completely, with its final permissions from the start.
fn write(directory: &Path, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let store = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(mode))
            .tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        Ok(())
    };
    store().map_err(at(path.display()))
}

fn list() -> Result<()> {
    let mut out = output::stdout();
    let keys = keys::list()?;
    let agent = Agent::of_session().map(|agent| agent.identities());
    let in_agent = matches!(&agent, Some(Ok(identities)) if !identities.is_empty());
    if keys.is_empty() && !in_agent {
        output::line(
            &mut output::stderr(),
            format_args!(
                "no keys in {}; make one: conex key new NAME",
                home::keys()?.display()
            ),
        );
    }
    for (name, path) in keys {
        match keys::Locked::open(path) {
            Ok(locked) => output::line(&mut out, format_args!("{name}  {}", locked.fingerprint())),
            Err(error) => output::line(
                &mut out,
                format_args!("{name}  {}", output::escaped(&error.to_string())),
            ),
        }
    }
    match agent {
        None => {}
        Some(Ok(identities)) => {
            for identity in identities {
                line_of(&mut out, &identity);
            }
        }
        Some(Err(error)) if agent::is_absent(&error) => {
            output::line(&mut output::stderr(), output::plain(&error.to_string()));
        }
        Some(Err(error)) => return Err(agent::explain(&error)),
    }
    Ok(())
}

/// Prints a key of ssh-agent. A key that cannot be used is listed, too, with the reason.
fn line_of(out: &mut impl std::io::Write, identity: &Identity) {
    let fingerprint = StandardCrypto.fingerprint(&identity.key);
    let comment = output::plain(&identity.comment);
    match StandardCrypto.accept(&identity.key) {
        Ok(()) => output::line(out, format_args!("{comment}  {fingerprint}  in ssh-agent")),
        Err(error) => output::line(
            out,
            format_args!("{comment}  {fingerprint}  in ssh-agent, and not to be used: {error}"),
        ),
    }
}

fn show(key: &str) -> Result<()> {
    let mut out = output::stdout();
    let public = match keys::file(key)? {
        Some(path) if keys::is_public(&path) => keys::public(key)?,
        _ => vec![keys::find(key)?.public().clone()],
    };
    for key in public {
        output::line(&mut out, &key);
        // On standard error, so that redirected output contains the public key and nothing else.
        output::line(&mut output::stderr(), StandardCrypto.fingerprint(&key));
    }
    Ok(())
}
