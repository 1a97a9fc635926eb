//! OpenSSH private key files (OpenSSH `PROTOCOL.key`) as bytes.
//!
//! The program reads and writes the files, checks their permissions and asks for passphrases.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;
use core::str;

use base64ct::{Base64, Encoding as _};
use conex_core::model::crypto::{Namespace, Signer};
use conex_core::model::key::{PublicKey, Signature};
use ed25519_dalek::SigningKey;
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData};
use ssh_key::public::Ed25519PublicKey;
use ssh_key::{Cipher, Kdf, LineEnding, PrivateKey};
use zeroize::{Zeroize as _, Zeroizing};

use crate::scheme::ed25519;
use crate::sshsig;
use crate::wire::Reader;

/// The reasons why a private key cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It is some other file, such as the public half or a key in an older format.
    #[error("this is not an OpenSSH private key file")]
    NotAKeyFile,
    /// It is a damaged private key file.
    #[error("the private key file is damaged")]
    Damaged,
    /// It is encrypted, and no passphrase was given.
    #[error("the private key is encrypted: its passphrase is needed")]
    Encrypted,
    /// The passphrase does not decrypt the file.
    #[error("the passphrase is wrong, or the private key file is damaged")]
    Passphrase,
    /// This build cannot sign with the key's algorithm.
    #[error("private keys of type {0} are not supported")]
    Unsupported(String),
    /// This build does not know the encryption.
    #[error("private keys encrypted with {0} are not supported")]
    Encryption(String),
    /// The passphrase to encrypt with is empty.
    #[error("an empty passphrase protects nothing")]
    EmptyPassphrase,
    /// The comment is more than one line of text.
    #[error("a comment is one line of text without control characters")]
    Comment,
    /// The operating system provided no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
}

/// A secret Ed25519 key, erased from memory when dropped. `Debug` shows only the public half.
pub struct SecretKey {
    secret: SigningKey,
    public: PublicKey,
}

impl SecretKey {
    /// Generates a key from the operating system's randomness.
    ///
    /// # Errors
    /// [`KeyFileError::Randomness`] if there is none.
    pub fn generate() -> Result<Self, KeyFileError> {
        let mut seed = Zeroizing::new([0; 32]);
        fill(&mut *seed)?;
        Ok(Self::new(SigningKey::from_bytes(&seed)))
    }

    /// Derives the key of a seed (RFC 8032 section 5.1.5), for test vectors and generated test data.
    /// Anybody who knows the seed has the key: for real keys, use [`generate`](Self::generate).
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        let secret = SigningKey::from_bytes(&seed);
        seed.zeroize();
        Self::new(secret)
    }

    /// Reads a private key file. The passphrase is ignored if the file is not encrypted.
    ///
    /// # Errors
    /// As [`KeyFile::parse`] and [`KeyFile::unlock`].
    pub fn read(file: &[u8], passphrase: Option<&[u8]>) -> Result<Self, KeyFileError> {
        KeyFile::parse(file)?.unlock(passphrase)
    }

    /// Writes a private key file as `ssh-keygen` does. With a passphrase it is encrypted by aes256-ctr
    /// under bcrypt-pbkdf with 24 rounds, otherwise it is plain text.
    ///
    /// # Errors
    /// [`KeyFileError::EmptyPassphrase`], [`KeyFileError::Comment`], and [`KeyFileError::Randomness`] if
    /// there is none for the salt.
    pub fn write(
        &self,
        comment: &str,
        passphrase: Option<&[u8]>,
    ) -> Result<Zeroizing<String>, KeyFileError> {
        if comment.chars().any(char::is_control) {
            return Err(KeyFileError::Comment);
        }
        let pair = Ed25519Keypair {
            public: Ed25519PublicKey(*self.secret.verifying_key().as_bytes()),
            private: Ed25519PrivateKey::from_bytes(self.secret.as_bytes()),
        };
        let mut key = PrivateKey::new(KeypairData::Ed25519(pair), comment)
            .map_err(|_| KeyFileError::Damaged)?;
        if let Some(passphrase) = passphrase {
            key = encrypt(&key, passphrase)?;
        }
        key.to_openssh(LineEnding::LF)
            .map_err(|_| KeyFileError::Damaged)
    }

    /// Returns the public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn new(secret: SigningKey) -> Self {
        let public = PublicKey::from_blob(ed25519::blob(&secret.verifying_key()))
            .expect("the blob begins with the algorithm's name");
        Self { secret, public }
    }
}

impl Signer for SecretKey {
    type Error = Infallible;

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, namespace: Namespace, message: &[u8]) -> Result<Signature, Infallible> {
        let inner = ed25519::sign(&self.secret, &sshsig::signed_bytes(namespace, message));
        Ok(sshsig::wrap(&self.public, namespace, &inner)
            .expect("an Ed25519 signature has some 200 bytes, far below the limit"))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// A private key file, parsed as far as possible without its passphrase.
pub struct KeyFile {
    public: PublicKey,
    encrypted: bool,
    binary: Zeroizing<Vec<u8>>,
}

impl KeyFile {
    /// Parses a file with one Ed25519 key in OpenSSH's own format.
    ///
    /// # Errors
    /// [`KeyFileError::NotAKeyFile`], [`KeyFileError::Damaged`], [`KeyFileError::Unsupported`] for a key of
    /// another algorithm, [`KeyFileError::Encryption`] for an unknown cipher or more than [`MAX_ROUNDS`]
    /// rounds.
    pub fn parse(file: &[u8]) -> Result<Self, KeyFileError> {
        let binary = unarmour(file)?;
        let envelope = Envelope::parse(&binary).ok_or(KeyFileError::Damaged)?;
        let public =
            PublicKey::from_blob(envelope.public.into()).map_err(|_| KeyFileError::Damaged)?;
        if public.algorithm() != ed25519::NAME {
            return Err(KeyFileError::Unsupported(public.algorithm().into()));
        }
        let encrypted = envelope.is_encrypted()?;
        Ok(Self {
            public,
            encrypted,
            binary,
        })
    }

    /// Whether [`unlock`](Self::unlock) needs a passphrase.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Returns the public half that the file claims, for display. If the file is encrypted, it is reliable
    /// only after [`unlock`](Self::unlock) has compared it.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Decrypts the secret key. The passphrase is ignored if the file is not encrypted.
    ///
    /// # Errors
    /// [`KeyFileError::Encrypted`] if a passphrase is needed, [`KeyFileError::Passphrase`] if it is the
    /// wrong one, [`KeyFileError::Damaged`] if the halves do not belong together.
    pub fn unlock(&self, passphrase: Option<&[u8]>) -> Result<SecretKey, KeyFileError> {
        let mut key = PrivateKey::from_bytes(&self.binary).map_err(|_| KeyFileError::Damaged)?;
        if self.encrypted {
            let passphrase = passphrase.ok_or(KeyFileError::Encrypted)?;
            key = key.decrypt(passphrase).map_err(|error| match error {
                ssh_key::Error::Crypto => KeyFileError::Passphrase,
                _ => KeyFileError::Damaged,
            })?;
        }
        let KeypairData::Ed25519(pair) = key.key_data() else {
            return Err(KeyFileError::Damaged);
        };
        let secret = SecretKey::new(SigningKey::from_bytes(pair.private.as_ref()));
        // So far, nothing has compared the secret half with the public one.
        if secret.public != self.public {
            return Err(KeyFileError::Damaged);
        }
        Ok(secret)
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile")
            .field("public", &self.public)
            .field("encrypted", &self.encrypted)
            .finish_non_exhaustive()
    }
}

/// The most rounds of bcrypt-pbkdf that a file may ask for: about half a minute of work. Files have 16 or
/// 24; one that asks for four billion would never open.
pub const MAX_ROUNDS: u32 = 4_096;

/// The number of rounds in newer versions of `ssh-keygen`. Older ones use 16.
const ROUNDS: u32 = 24;
const SALT: usize = 16;
/// The largest private key file, in bytes: one of RSA-16384 has some 13 KiB.
const MAX_FILE: usize = 64 << 10;
/// The ciphers that `ssh-keygen -Z` offers and this build can decrypt. The default of `ssh-keygen` is
/// aes256-ctr.
const CIPHERS: [&str; 9] = [
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
    "aes256-cbc",
    "aes192-cbc",
    "aes128-cbc",
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
];
const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";

fn encrypt(key: &PrivateKey, passphrase: &[u8]) -> Result<PrivateKey, KeyFileError> {
    if passphrase.is_empty() {
        return Err(KeyFileError::EmptyPassphrase);
    }
    let mut salt = [0; SALT];
    let mut check = [0; 4];
    fill(&mut salt)?;
    fill(&mut check)?;
    let kdf = Kdf::Bcrypt {
        salt: salt.to_vec(),
        rounds: ROUNDS,
    };
    key.encrypt_with(
        Cipher::Aes256Ctr,
        kdf,
        u32::from_be_bytes(check),
        passphrase,
    )
    .map_err(|_| KeyFileError::Damaged)
}

fn fill(bytes: &mut [u8]) -> Result<(), KeyFileError> {
    getrandom::fill(bytes).map_err(|_| KeyFileError::Randomness)
}

/// Decodes the binary inside the armour. Line breaks may be anywhere, as in `ssh-keygen`.
fn unarmour(file: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let body = str::from_utf8(file)
        .ok()
        .filter(|text| text.len() <= MAX_FILE)
        .and_then(|text| text.strip_prefix(BEGIN))
        .ok_or(KeyFileError::NotAKeyFile)?;
    let body = body
        .trim_ascii_end()
        .strip_suffix(END)
        .ok_or(KeyFileError::Damaged)?;
    // Allocate the final size at once: growing would leave copies behind.
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.chars().filter(|c| !matches!(c, '\n' | '\r')));
    Base64::decode_vec(&base64)
        .map(Zeroizing::new)
        .map_err(|_| KeyFileError::Damaged)
}

/// The unencrypted beginning of every private key file.
struct Envelope<'a> {
    cipher: &'a [u8],
    kdf: &'a [u8],
    kdf_options: &'a [u8],
    public: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn parse(binary: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(binary.strip_prefix(MAGIC)?);
        let envelope = Self {
            cipher: reader.string()?,
            kdf: reader.string()?,
            kdf_options: reader.string()?,
            public: {
                let keys = reader.uint32()?;
                reader.string().filter(|_| keys == 1)?
            },
        };
        Some(envelope)
    }

    fn is_encrypted(&self) -> Result<bool, KeyFileError> {
        match (self.cipher, self.kdf) {
            (b"none", b"none") => Ok(false),
            (cipher, b"bcrypt") => {
                let name = printable(cipher)?;
                if !CIPHERS.contains(&name) {
                    return Err(KeyFileError::Encryption(name.to_string()));
                }
                let mut options = Reader::new(self.kdf_options);
                let rounds = options
                    .string()
                    .and_then(|_salt| options.uint32())
                    .ok_or(KeyFileError::Damaged)?;
                if rounds > MAX_ROUNDS {
                    let many = alloc::format!("{rounds} rounds of bcrypt");
                    return Err(KeyFileError::Encryption(many));
                }
                Ok(true)
            }
            (_, kdf) => Err(KeyFileError::Encryption(printable(kdf)?.to_string())),
        }
    }
}

/// Returns a name from the file, if it is safe to show in a message.
fn printable(name: &[u8]) -> Result<&str, KeyFileError> {
    str::from_utf8(name)
        .ok()
        .filter(|name| (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic()))
        .ok_or(KeyFileError::Damaged)
}
