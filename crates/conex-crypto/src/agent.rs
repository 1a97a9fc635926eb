//! The ssh-agent protocol (OpenSSH `PROTOCOL.agent`, draft-ietf-sshm-ssh-agent) as bytes: the two messages
//! that signing needs.
//!
//! The program provides the socket, as a [`Transport`]. Nothing that an agent answers is trusted: a
//! signature is verified with the public key before anybody gets it.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use conex_core::model::crypto::{BadKey, Namespace, Signer};
use conex_core::model::key::{PublicKey, Signature};

use crate::scheme::{Scheme, rsa};
use crate::sshsig;
use crate::wire::{Reader, push_string};

/// The largest message and answer, in bytes: the limit of OpenSSH's own agent.
pub const MAX_MESSAGE: usize = 256 << 10;

/// The numbers of messages and answers.
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// The number of a refusal, and two used by older agents.
const FAILURES: [u8; 3] = [5, 30, 102];

/// Requests SHA-512 if an RSA key signs. Without it, agents use SHA-1.
const RSA_SHA2_512: u32 = 4;

/// Carries a message to an agent and returns its answer.
pub trait Transport {
    /// The reason for a failure.
    type Error: fmt::Display;

    /// Sends one message and waits for the answer, both without the length prefix. The answer has 1 to
    /// [`MAX_MESSAGE`] bytes.
    ///
    /// # Errors
    /// Any failure to obtain the answer.
    fn exchange(&self, message: &[u8]) -> Result<Vec<u8>, Self::Error>;
}

/// The reasons why an agent did not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError<E> {
    /// No answer came.
    #[error("{0}")]
    Transport(E),
    /// The agent is locked, the user refused, or a token is missing.
    #[error("ssh-agent refuses")]
    Refused,
    /// The answer does not fit the request.
    #[error("ssh-agent sent an invalid answer")]
    Nonsense,
    /// The key cannot be used.
    #[error("{0}")]
    Key(BadKey),
    /// The signature does not verify with the public key.
    #[error("ssh-agent gave a signature that is not valid")]
    Signature,
}

/// A key that an agent holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The public key, of any algorithm.
    pub key: PublicKey,
    /// The agent's name for it. It may contain anything and is escaped for display.
    pub comment: String,
}

/// Lists the keys of an agent, in its order, without duplicates.
///
/// # Errors
/// [`AgentError::Transport`], [`AgentError::Refused`] and [`AgentError::Nonsense`].
pub fn identities<T: Transport>(agent: &T) -> Result<Vec<Identity>, AgentError<T::Error>> {
    let answer = ask(agent, &[REQUEST_IDENTITIES], IDENTITIES)?;
    parse_identities(&answer).ok_or(AgentError::Nonsense)
}

fn parse_identities(answer: &[u8]) -> Option<Vec<Identity>> {
    let mut reader = Reader::new(answer);
    let count = reader.uint32()?;
    let mut identities: Vec<Identity> = Vec::new();
    for _ in 0..count {
        let key = PublicKey::from_blob(reader.string()?.into()).ok()?;
        let comment = String::from_utf8_lossy(reader.string()?).into_owned();
        if identities.iter().all(|known| known.key != key) {
            identities.push(Identity { key, comment });
        }
    }
    reader.end()?;
    Some(identities)
}

/// A key in an agent that is used for signing.
#[derive(Debug, Clone)]
pub struct AgentKey<T> {
    agent: T,
    key: PublicKey,
}

impl<T: Transport> AgentKey<T> {
    /// Creates a signer for this public key. Signing fails if the agent does not hold it.
    pub fn new(agent: T, key: PublicKey) -> Self {
        Self { agent, key }
    }
}

impl<T: Transport> Signer for AgentKey<T> {
    type Error = AgentError<T::Error>;

    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Asks the agent to sign, and verifies the signature.
    fn sign(&self, namespace: Namespace, message: &[u8]) -> Result<Signature, Self::Error> {
        Scheme::of(&self.key).map_err(AgentError::Key)?;
        let flags = match self.key.algorithm() {
            rsa::NAME => RSA_SHA2_512,
            _ => 0,
        };
        let mut request = vec![SIGN_REQUEST];
        push_string(&mut request, self.key.blob());
        push_string(&mut request, &sshsig::signed_bytes(namespace, message));
        request.extend_from_slice(&flags.to_be_bytes());
        let answer = ask(&self.agent, &request, SIGN_RESPONSE)?;
        let inner = parse_signature(&answer).ok_or(AgentError::Nonsense)?;
        let signature =
            sshsig::wrap(&self.key, namespace, inner).map_err(|_| AgentError::Nonsense)?;
        sshsig::verify(&self.key, namespace, message, &signature)
            .map_err(|_| AgentError::Signature)?;
        Ok(signature)
    }
}

fn parse_signature(answer: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(answer);
    let inner = reader.string()?;
    reader.end()?;
    Some(inner)
}

/// Sends a request. Returns the contents of the answer, if it has the expected number.
fn ask<T: Transport>(
    agent: &T,
    message: &[u8],
    expected: u8,
) -> Result<Vec<u8>, AgentError<T::Error>> {
    let mut answer = agent.exchange(message).map_err(AgentError::Transport)?;
    match answer.first() {
        Some(number) if *number == expected => {
            answer.remove(0);
            Ok(answer)
        }
        Some(number) if FAILURES.contains(number) => Err(AgentError::Refused),
        _ => Err(AgentError::Nonsense),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SecretKey, StandardCrypto};
    use conex_core::model::crypto::Signatures as _;

    const MESSAGE: &[u8] = b"message";

    /// Gives the same answer to every message.
    struct Says(Vec<u8>);

    impl Transport for Says {
        type Error = &'static str;

        fn exchange(&self, _: &[u8]) -> Result<Vec<u8>, &'static str> {
            Ok(self.0.clone())
        }
    }

    struct Silent;

    impl Transport for Silent {
        type Error = &'static str;

        fn exchange(&self, _: &[u8]) -> Result<Vec<u8>, &'static str> {
            Err("no answer")
        }
    }

    /// Signs with its key, whatever key was requested.
    struct Holds(SecretKey);

    impl Transport for Holds {
        type Error = &'static str;

        fn exchange(&self, message: &[u8]) -> Result<Vec<u8>, &'static str> {
            let mut reader = Reader::new(message);
            assert_eq!(reader.byte(), Some(SIGN_REQUEST));
            assert!(reader.string().is_some());
            assert_eq!(
                reader.string(),
                Some(&sshsig::signed_bytes(Namespace::Page, MESSAGE)[..])
            );
            assert_eq!(reader.uint32(), Some(0));
            assert!(reader.end().is_some());
            let signature = self.0.sign(Namespace::Page, MESSAGE).unwrap();
            // The signature ends with the name as a `string` and 64 bytes.
            let inner = &signature.blob()[signature.blob().len() - 83..];
            let mut answer = vec![SIGN_RESPONSE];
            push_string(&mut answer, inner);
            Ok(answer)
        }
    }

    fn secret(seed: u8) -> SecretKey {
        SecretKey::from_seed([seed; 32])
    }

    fn listing(keys: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut answer = vec![IDENTITIES];
        answer.extend_from_slice(&u32::try_from(keys.len()).unwrap().to_be_bytes());
        for (blob, comment) in keys {
            push_string(&mut answer, blob);
            push_string(&mut answer, comment);
        }
        answer
    }

    #[test]
    fn keys_are_listed_once_each() {
        let (one, two) = (secret(1), secret(2));
        let blob = |secret: &SecretKey| secret.public_key().blob().to_vec();
        let answer = listing(&[
            (&blob(&one), b"bob@host"),
            (&blob(&two), b"\xff"),
            (&blob(&one), b"again"),
        ]);
        let listed = identities(&Says(answer)).unwrap();
        let told: Vec<_> = listed
            .iter()
            .map(|identity| (&identity.key, &*identity.comment))
            .collect();
        assert_eq!(
            told,
            [
                (one.public_key(), "bob@host"),
                (two.public_key(), "\u{fffd}")
            ]
        );
        assert_eq!(identities(&Says(listing(&[]))), Ok(Vec::new()));
    }

    #[test]
    fn other_answers_to_a_listing_are_told_apart() {
        let honest = listing(&[(secret(1).public_key().blob(), b"bob")]);
        assert!(identities(&Says(honest.clone())).is_ok());
        let count = |count: u32| [&[IDENTITIES][..], &count.to_be_bytes(), &honest[5..]].concat();
        let mut nonsense = vec![
            Vec::new(),
            vec![SIGN_RESPONSE, 0, 0, 0, 0],
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            [&honest[..], &[0]].concat(),
            count(0),
            count(2),
            count(u32::MAX),
            listing(&[(b"", b"empty")]),
        ];
        nonsense.extend((1..honest.len()).map(|length| honest[..length].to_vec()));
        for answer in nonsense {
            assert_eq!(
                identities(&Says(answer.clone())),
                Err(AgentError::Nonsense),
                "{answer:?}"
            );
        }
        for failure in FAILURES {
            assert_eq!(identities(&Says(vec![failure])), Err(AgentError::Refused));
        }
        assert_eq!(identities(&Silent), Err(AgentError::Transport("no answer")));
    }

    #[test]
    fn a_signature_is_given_only_if_it_verifies() {
        let key = secret(1).public_key().clone();
        let signed = AgentKey::new(Holds(secret(1)), key.clone())
            .sign(Namespace::Page, MESSAGE)
            .unwrap();
        assert_eq!(
            StandardCrypto.verify(&key, Namespace::Page, MESSAGE, &signed),
            Ok(())
        );
        assert_eq!(
            AgentKey::new(Holds(secret(2)), key).sign(Namespace::Page, MESSAGE),
            Err(AgentError::Signature)
        );
    }

    #[test]
    fn other_answers_to_a_request_to_sign_are_told_apart() {
        let key = secret(1).public_key().clone();
        let sign = |answer: Vec<u8>| {
            AgentKey::new(Says(answer), key.clone()).sign(Namespace::Page, MESSAGE)
        };
        let mut huge = vec![SIGN_RESPONSE];
        push_string(&mut huge, &vec![0; 100_000]);
        for nonsense in [
            vec![],
            vec![SIGN_RESPONSE],
            vec![SIGN_RESPONSE, 0, 0, 0, 9, 1],
            vec![SIGN_RESPONSE, 0, 0, 0, 0, 0],
            vec![6],
            listing(&[]),
            huge,
        ] {
            assert_eq!(sign(nonsense.clone()), Err(AgentError::Nonsense));
        }
        assert_eq!(
            sign(vec![SIGN_RESPONSE, 0, 0, 0, 0]),
            Err(AgentError::Signature)
        );
        assert_eq!(sign(vec![5]), Err(AgentError::Refused));
        let silent = AgentKey::new(Silent, key.clone()).sign(Namespace::Page, MESSAGE);
        assert_eq!(silent, Err(AgentError::Transport("no answer")));
    }

    #[test]
    fn an_agent_is_not_asked_to_sign_with_a_key_that_cannot_be_used() {
        let blob = b"\0\0\0\x07ssh-dss\0\0\0\x01\x01".to_vec();
        let key = PublicKey::from_blob(blob).unwrap();
        assert_eq!(
            AgentKey::new(Silent, key).sign(Namespace::Page, MESSAGE),
            Err(AgentError::Key(BadKey::Unsupported("ssh-dss".into())))
        );
    }
}
