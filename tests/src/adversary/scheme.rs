//! Signatures for tests: real ones, or cheap ones that anybody could make and nobody here forges.

use core::convert::Infallible;

use conex_core::model::crypto::{BadKey, BadSignature, Digests, Namespace, Signatures, Signer};
use conex_core::model::digest::{Context, Digest, FileDigest};
use conex_core::model::key::{PublicKey, Signature};
use conex_crypto::{SecretKey, StandardCrypto};

use crate::community::secret;

/// Which signatures a history is played with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// A digest of purpose, key and message.
    Toy,
    /// Ed25519.
    Real,
}

/// The algorithm of cheap keys.
const ALGORITHM: &str = "toy";

/// The key of somebody.
#[derive(Debug)]
pub struct Key {
    public: PublicKey,
    secret: Option<SecretKey>,
}

impl Scheme {
    /// The key of that name.
    pub fn key(self, name: &str) -> Key {
        match self {
            Self::Toy => {
                let mut blob = vec![0, 0, 0, 3];
                blob.extend_from_slice(ALGORITHM.as_bytes());
                blob.extend_from_slice(StandardCrypto.sha256(name.as_bytes()).as_bytes());
                let public = PublicKey::from_blob(blob).expect("it begins with an algorithm");
                Key {
                    public,
                    secret: None,
                }
            }
            Self::Real => {
                let secret = secret(name);
                Key {
                    public: secret.public_key().clone(),
                    secret: Some(secret),
                }
            }
        }
    }
}

fn toy(key: &PublicKey, namespace: Namespace, message: &[u8]) -> Signature {
    let mut bytes = namespace.as_str().as_bytes().to_vec();
    bytes.extend_from_slice(key.blob());
    bytes.extend_from_slice(message);
    let digest = StandardCrypto.blake3(Context::Source, &bytes);
    Signature::from_blob(digest.as_bytes().to_vec()).expect("32 bytes are not too many")
}

impl Digests for Scheme {
    fn sha256(&self, bytes: &[u8]) -> FileDigest {
        StandardCrypto.sha256(bytes)
    }

    fn blake3(&self, context: Context, bytes: &[u8]) -> Digest {
        StandardCrypto.blake3(context, bytes)
    }
}

impl Signatures for Scheme {
    fn accept(&self, key: &PublicKey) -> Result<(), BadKey> {
        match self {
            Self::Toy if key.algorithm() == ALGORITHM => Ok(()),
            Self::Toy => Err(BadKey::Unsupported(key.algorithm().to_owned())),
            Self::Real => StandardCrypto.accept(key),
        }
    }

    fn verify(
        &self,
        key: &PublicKey,
        namespace: Namespace,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        match self {
            Self::Toy if *signature == toy(key, namespace, message) => Ok(()),
            Self::Toy => Err(BadSignature),
            Self::Real => StandardCrypto.verify(key, namespace, message, signature),
        }
    }
}

impl Signer for Key {
    type Error = Infallible;

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, namespace: Namespace, message: &[u8]) -> Result<Signature, Infallible> {
        match &self.secret {
            Some(secret) => secret.sign(namespace, message),
            None => Ok(toy(&self.public, namespace, message)),
        }
    }
}
