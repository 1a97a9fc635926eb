//! Keys on disk: the key directory, and the one key a command signs with.

use std::fs;
use std::os::fd::RawFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use conex_core::crypto::{Digests as _, Signatures as _};
use conex_core::key::{Fingerprint, PublicKey};
use conex_core::name::Id;
use conex_core::people::People;
use conex_crypto::{KeyFile, KeyFileError, SecretKey, StandardCrypto};

use crate::error::{CommandError, Result, at};
use crate::{home, prompt};

/// Which key signs, and how it is unlocked.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KeyArguments {
    /// The key to sign with: a name in the key directory, or the path of an OpenSSH private key.
    /// Without it, the one key of yours that this repository knows
    #[arg(long, env = "CONEX_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// Read the passphrase of the key from this file descriptor (for scripts)
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<RawFd>,

    /// Ask nothing
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
}

/// A private key file that was found but not yet unlocked.
pub(crate) struct Locked {
    path: PathBuf,
    bytes: zeroize::Zeroizing<Vec<u8>>,
    public: PublicKey,
    encrypted: bool,
}

impl Locked {
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let shown = path.display().to_string();
        if path.extension().is_some_and(|extension| extension == "pub") {
            return Err(
                CommandError::usage(format_args!("{shown} is the public half of a key"))
                    .hint("give the private key: the same name without .pub"),
            );
        }
        let found = fs::metadata(&path).map_err(|error| {
            CommandError::io(format_args!("{shown}: {error}"))
                .hint("conex key list shows your keys; conex key new makes one")
        })?;
        if found.permissions().mode() & 0o077 != 0 {
            return Err(
                CommandError::refused(format_args!("{shown} can be read by others"))
                    .hint(format_args!("chmod 600 {shown}")),
            );
        }
        let bytes = zeroize::Zeroizing::new(fs::read(&path).map_err(at(&shown))?);
        let file = KeyFile::parse(&bytes).map_err(|error| explain(&shown, &error))?;
        let (public, encrypted) = (file.public_key().clone(), file.is_encrypted());
        StandardCrypto
            .accept(&public)
            .map_err(|error| CommandError::refused(format_args!("{shown}: {error}")))?;
        Ok(Self {
            path,
            bytes,
            public,
            encrypted,
        })
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        StandardCrypto.fingerprint(&self.public)
    }

    /// Asks the one question there is before something is signed, and unlocks the key: for the
    /// passphrase where the key has one that no script gave, else for a plain confirmation.
    pub(crate) fn confirm(&self, arguments: &KeyArguments, question: &str) -> Result<SecretKey> {
        let scripted = prompt::scripted_passphrase(arguments.passphrase_fd)?;
        let passphrase = match (self.encrypted, scripted) {
            (true, None) => {
                let text = prompt::passphrase(&format!(
                    "{question}\nPassphrase of {} (empty: no): ",
                    self.path.display()
                ))?;
                if text.is_empty() {
                    return Err(CommandError::refused(
                        "not confirmed; nothing was signed or written",
                    ));
                }
                Some(text)
            }
            (encrypted, scripted) => {
                if !arguments.yes {
                    prompt::confirm(question)?;
                }
                scripted.filter(|_| encrypted)
            }
        };
        SecretKey::read(&self.bytes, passphrase.as_ref().map(|text| text.as_slice()))
            .map_err(|error| explain(&self.path.display().to_string(), &error))
    }
}

fn explain(shown: &str, error: &KeyFileError) -> CommandError {
    let said = CommandError::refused(format_args!("{shown}: {error}"));
    match error {
        KeyFileError::NotAKeyFile => said.hint("give the private key, not its .pub half"),
        KeyFileError::Passphrase => said.hint("try again; nothing was signed or written"),
        KeyFileError::Encrypted => said.hint(format_args!(
            "set {}, or give --passphrase-fd N",
            prompt::PASSPHRASE
        )),
        _ => said.hint("conex key new makes a key that works"),
    }
}

/// The private keys in the key directory, by name.
pub(crate) fn list() -> Result<Vec<(String, PathBuf)>> {
    let directory = home::keys()?;
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(directory.display())(error)),
    };
    let mut keys = Vec::new();
    for entry in entries {
        let path = entry.map_err(at(directory.display()))?.path();
        if path.extension().is_none()
            && path.is_file()
            && let Some(name) = path.file_name().and_then(|name| name.to_str())
        {
            keys.push((name.to_owned(), path.clone()));
        }
    }
    keys.sort();
    Ok(keys)
}

/// The path that `--key` means.
pub(crate) fn find(key: &str) -> Result<PathBuf> {
    let named = home::keys()?.join(key);
    Ok(if !key.contains('/') && named.is_file() {
        named
    } else {
        PathBuf::from(key)
    })
}

/// The key to sign with in a repository, and whose it is there.
pub(crate) fn signer(arguments: &KeyArguments, people: &People) -> Result<(Locked, Id)> {
    choose(arguments, "this repository", |locked| {
        people.holder(locked.fingerprint()).cloned()
    })
}

/// The key that was asked for, or else the one of yours that has a holder; `holder` says whose a
/// key is, `place` where.
pub(crate) fn choose(
    arguments: &KeyArguments,
    place: &str,
    holder: impl Fn(&Locked) -> Option<Id>,
) -> Result<(Locked, Id)> {
    if let Some(key) = &arguments.key {
        let locked = Locked::open(find(key)?)?;
        let id = holder(&locked).ok_or_else(|| {
            CommandError::refused(format_args!(
                "{} is nobody's key in {place}",
                locked.fingerprint()
            ))
            .hint("conex status shows who is known; keys come with the root, or an approved author")
        })?;
        return Ok((locked, id));
    }
    let mut known: Vec<(Locked, Id)> = list()?
        .into_iter()
        .filter_map(|(_, path)| {
            let locked = Locked::open(path).ok()?;
            let id = holder(&locked)?;
            Some((locked, id))
        })
        .collect();
    if known.len() > 1 {
        let names: Vec<String> = known
            .iter()
            .map(|(locked, id)| format!("{} ({id})", locked.path.display()))
            .collect();
        return Err(CommandError::usage(format_args!(
            "more than one of your keys is known in {place}"
        ))
        .hint(format_args!("choose one with --key: {}", names.join(", "))));
    }
    known.pop().ok_or_else(|| {
        CommandError::usage(format_args!("none of your keys is known in {place}"))
            .hint("give one with --key; conex key list shows yours, conex status who is known here")
    })
}

/// Reads a public key given as a file (`.pub`), or as a name in the key directory.
pub(crate) fn public(text: &str) -> Result<Vec<PublicKey>> {
    let named = home::keys()?.join(format!("{text}.pub"));
    let path = if !text.contains('/') && named.is_file() {
        named
    } else {
        PathBuf::from(text)
    };
    read_public(&path)
}

fn read_public(path: &Path) -> Result<Vec<PublicKey>> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        CommandError::io(format_args!("{shown}: {error}"))
            .hint("give a .pub file, or the name of a key made with conex key new")
    })?;
    let keys = conex_crypto::public_keys(&text)
        .map_err(|error| CommandError::refused(format_args!("{shown}: {error}")))?;
    if keys.is_empty() {
        return Err(CommandError::refused(format_args!(
            "{shown} holds no public key"
        )));
    }
    for key in &keys {
        StandardCrypto
            .accept(key)
            .map_err(|error| CommandError::refused(format_args!("{shown}: {error}")))?;
    }
    Ok(keys)
}
