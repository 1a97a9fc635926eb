//! A person's keys, in the key directory and in ssh-agent, and the one key that a command signs with.

use core::fmt;
use std::fs;
use std::os::fd::RawFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use conex_core::model::crypto::{Digests as _, Namespace, Signatures as _, Signer};
use conex_core::model::key::{Fingerprint, PublicKey, Signature};
use conex_core::model::name::Id;
use conex_core::state::people::People;
use conex_crypto::{AgentKey, KeyFile, KeyFileError, SecretKey, StandardCrypto};

use crate::agent::{self, Agent};
use crate::error::{CommandError, Result, at};
use crate::{home, output, prompt};

/// Selects the key that signs, and how it is unlocked.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KeyArguments {
    /// The key to sign with: a name in the key directory, the path of an OpenSSH private key, or a
    /// key in ssh-agent by its fingerprint, its comment or the path of its .pub file. Without it,
    /// the one key of yours that this repository knows
    #[arg(long, env = "CONEX_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// Read the passphrase of the key from this file descriptor (for scripts)
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<RawFd>,

    /// Do not ask for confirmation
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
}

impl KeyArguments {
    /// Returns the requested key. An empty variable requests none.
    pub(crate) fn asked(&self) -> Option<&str> {
        self.key.as_deref().filter(|key| !key.is_empty())
    }
}

/// A private key that was found but not unlocked yet.
pub(crate) struct Locked {
    public: PublicKey,
    place: Place,
}

enum Place {
    File {
        path: PathBuf,
        bytes: zeroize::Zeroizing<Vec<u8>>,
        encrypted: bool,
    },
    Agent {
        agent: Agent,
        comment: String,
    },
}

/// A private key that is ready to sign.
pub(crate) enum Unlocked {
    File(SecretKey),
    Agent(AgentKey<Agent>),
}

impl Locked {
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let shown = path.display().to_string();
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
        accept(&shown, &public)?;
        Ok(Self {
            public,
            place: Place::File {
                path,
                bytes,
                encrypted,
            },
        })
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        StandardCrypto.fingerprint(&self.public)
    }

    /// Asks the one question before something is signed, and unlocks the key. Asks for the passphrase if
    /// the key has one that no script provided, otherwise for a plain confirmation.
    pub(crate) fn confirm(&self, arguments: &KeyArguments, question: &str) -> Result<Unlocked> {
        match &self.place {
            Place::File {
                path,
                bytes,
                encrypted,
            } => {
                let passphrase = confirm_file(path, *encrypted, arguments, question)?;
                SecretKey::read(bytes, passphrase.as_ref().map(|text| text.as_slice()))
                    .map(Unlocked::File)
                    .map_err(|error| explain(&path.display().to_string(), &error))
            }
            Place::Agent { agent, .. } => {
                if !arguments.yes {
                    prompt::confirm(question)?;
                }
                if self.public.algorithm().starts_with("sk-") {
                    output::line(&mut output::stderr(), "touch the security key");
                }
                let key = AgentKey::new(agent.for_signing(), self.public.clone());
                Ok(Unlocked::Agent(key))
            }
        }
    }
}

/// Returns the passphrase, if one is needed.
fn confirm_file(
    path: &Path,
    encrypted: bool,
    arguments: &KeyArguments,
    question: &str,
) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
    let scripted = prompt::scripted_passphrase(arguments.passphrase_fd)?;
    if encrypted && scripted.is_none() {
        let text = prompt::passphrase(&format!(
            "{question}\nPassphrase of {} (empty: no): ",
            path.display()
        ))?;
        if text.is_empty() {
            return Err(CommandError::refused(
                "not confirmed; nothing was signed or written",
            ));
        }
        return Ok(Some(text));
    }
    if !arguments.yes {
        prompt::confirm(question)?;
    }
    Ok(scripted.filter(|_| encrypted))
}

/// Shows where the key is.
impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { path, .. } => write!(f, "{}", path.display()),
            Place::Agent { .. } => write!(f, "{}", self.fingerprint()),
        }
    }
}

impl Signer for Unlocked {
    type Error = SigningError;

    fn public_key(&self) -> &PublicKey {
        match self {
            Self::File(key) => key.public_key(),
            Self::Agent(key) => key.public_key(),
        }
    }

    fn sign(
        &self,
        namespace: Namespace,
        message: &[u8],
    ) -> core::result::Result<Signature, SigningError> {
        match self {
            Self::File(key) => key.sign(namespace, message).map_err(|never| match never {}),
            Self::Agent(key) => key.sign(namespace, message).map_err(SigningError),
        }
    }
}

/// Why a key did not sign. Its text ends in a hint, because signers only pass it on.
#[derive(Debug)]
pub(crate) struct SigningError(agent::Error);

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(error) = self;
        write!(f, "{error}\nhint: {}", agent::advice(error))
    }
}

fn accept(shown: &str, key: &PublicKey) -> Result<()> {
    StandardCrypto.accept(key).map_err(|error| {
        CommandError::refused(format_args!("{shown}: {error}"))
            .hint("conex key new makes a key that works")
    })
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
        KeyFileError::Unsupported(_) => said.hint(format_args!(
            "let ssh-agent sign: ssh-add {shown}, then give --key {shown}.pub"
        )),
        _ => said.hint("conex key new makes a key that works"),
    }
}

/// Lists the private keys in the key directory, by name.
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

/// Lists the usable keys in ssh-agent, with the agent's comments; empty without an agent.
///
/// # Errors
/// If there is an agent that does not answer properly.
fn in_agent() -> Result<Vec<Locked>> {
    let Some(agent) = Agent::of_session() else {
        return Ok(Vec::new());
    };
    match agent.identities() {
        Ok(identities) => Ok(identities
            .into_iter()
            .filter(|identity| StandardCrypto.accept(&identity.key).is_ok())
            .map(|identity| Locked {
                public: identity.key,
                place: Place::Agent {
                    agent: agent.clone(),
                    comment: identity.comment,
                },
            })
            .collect()),
        Err(error) if agent::is_absent(&error) => Ok(Vec::new()),
        Err(error) => Err(agent::explain(&error)),
    }
}

/// Lists all keys that could sign, each once: those in ssh-agent first, since they need no passphrase.
pub(crate) fn all() -> Result<Vec<Locked>> {
    let mut keys = in_agent()?;
    for (_, path) in list()? {
        if let Ok(locked) = Locked::open(path)
            && keys.iter().all(|known| known.public != locked.public)
        {
            keys.push(locked);
        }
    }
    Ok(keys)
}

/// Finds the key that `--key` refers to: a file, else a fingerprint, else a comment in ssh-agent.
pub(crate) fn find(key: &str) -> Result<Locked> {
    if let Some(path) = file(key)? {
        return if is_public(&path) {
            agent_half(&path)
        } else {
            Locked::open(path)
        };
    }
    if let Ok(fingerprint) = Fingerprint::parse(key) {
        return all()?
            .into_iter()
            .find(|locked| locked.fingerprint() == fingerprint)
            .ok_or_else(|| {
                CommandError::usage(format_args!(
                    "{key} is neither in the key directory nor in ssh-agent"
                ))
                .hint("conex key list shows your keys; ssh-add FILE gives one to the agent")
            });
    }
    let called =
        |locked: &Locked| matches!(&locked.place, Place::Agent { comment, .. } if comment == key);
    let mut called: Vec<Locked> = in_agent()?.into_iter().filter(called).collect();
    if called.len() > 1 {
        return Err(several(
            format_args!("ssh-agent calls more than one key {key}"),
            called.iter().map(ToString::to_string),
        ));
    }
    match called.pop() {
        Some(locked) => Ok(locked),
        // Opening it reports what is wrong with the file.
        None => Locked::open(PathBuf::from(key)),
    }
}

/// Returns the file that a name or path refers to, if it exists.
pub(crate) fn file(key: &str) -> Result<Option<PathBuf>> {
    let named = home::keys()?.join(key);
    if !key.contains('/') && named.is_file() {
        return Ok(Some(named));
    }
    Ok(Some(PathBuf::from(key)).filter(|path| path.is_file()))
}

pub(crate) fn is_public(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "pub")
}

/// Finds the key in ssh-agent whose public half is in a file.
fn agent_half(path: &Path) -> Result<Locked> {
    let wanted = read_public(path)?;
    let held = in_agent()?;
    held.into_iter()
        .find(|locked| wanted.contains(&locked.public))
        .ok_or_else(|| {
            let shown = path.display();
            let private = path.with_extension("");
            let private = private.display();
            CommandError::usage(format_args!(
                "{shown} is the public half of a key that is not in ssh-agent"
            ))
            .hint(format_args!(
                "give the private key, --key {private}, or add it: ssh-add {private}"
            ))
        })
}

fn several(message: impl fmt::Display, names: impl Iterator<Item = String>) -> CommandError {
    let names: Vec<String> = names.collect();
    CommandError::usage(message).hint(format_args!("choose one with --key: {}", names.join(", ")))
}

/// Returns the key to sign with in a repository, and its holder there.
pub(crate) fn signer(arguments: &KeyArguments, people: &People) -> Result<(Locked, Id)> {
    choose(arguments, "this repository", |locked| {
        people.holder(locked.fingerprint()).cloned()
    })
}

/// Returns the requested key, or else the only available key that has a holder. `holder` returns the holder
/// of a key; `place` names where holders are looked up.
pub(crate) fn choose(
    arguments: &KeyArguments,
    place: &str,
    holder: impl Fn(&Locked) -> Option<Id>,
) -> Result<(Locked, Id)> {
    if let Some(key) = arguments.asked() {
        let locked = find(key)?;
        let id = holder(&locked).ok_or_else(|| {
            CommandError::refused(format_args!(
                "{} is nobody's key in {place}",
                locked.fingerprint()
            ))
            .hint("conex status shows who is known; keys come with the root, or an approved author")
        })?;
        return Ok((locked, id));
    }
    let mut known: Vec<(Locked, Id)> = all()?
        .into_iter()
        .filter_map(|locked| {
            let id = holder(&locked)?;
            Some((locked, id))
        })
        .collect();
    if known.len() > 1 {
        return Err(several(
            format_args!("more than one of your keys is known in {place}"),
            known.iter().map(|(locked, id)| format!("{locked} ({id})")),
        ));
    }
    known.pop().ok_or_else(|| {
        CommandError::usage(format_args!("none of your keys is known in {place}"))
            .hint("give one with --key; conex key list shows yours, conex status who is known here")
    })
}

/// Lists the available keys that belong to people here, with their holders, as suggestions.
pub(crate) fn known(people: &People) -> Vec<String> {
    let all = all().unwrap_or_default().into_iter();
    all.filter_map(|locked| {
        let id = people.holder(locked.fingerprint())?;
        Some(format!("{locked} ({id})"))
    })
    .collect()
}

/// Reads a public key, given as a file (`.pub`) or as a name in the key directory.
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
        accept(&shown.to_string(), key)?;
    }
    Ok(keys)
}
