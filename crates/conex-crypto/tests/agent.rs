//! Signing through agents: the real ssh-agent, checked by the real ssh-keygen, and a token made of
//! software, touched and untouched.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use core::time::Duration;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use conex_core::model::crypto::{Namespace, Signatures as _, Signer as _};
use conex_core::model::key::PublicKey;
use conex_crypto::StandardCrypto;
use conex_crypto::agent::{AgentError, AgentKey, Transport, identities};
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

const MESSAGE: &[u8] = b"signer = \"bob\"\n";

#[derive(Clone)]
struct Socket(PathBuf);

impl Transport for Socket {
    type Error = io::Error;

    fn exchange(&self, message: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.0)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(&u32::try_from(message.len()).unwrap().to_be_bytes())?;
        stream.write_all(message)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

/// Ends with the test.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_the_real_agent_signs_the_real_ssh_keygen_accepts() {
    let scratch = tempfile::tempdir().unwrap();
    let socket = scratch.path().join("agent");
    let run = |program: &str, arguments: &[&str], input: &[u8]| {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(scratch.path())
            .env("SSH_AUTH_SOCK", &socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("OpenSSH is installed");
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
        child.wait().unwrap().success()
    };
    let _agent = Agent(
        Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent is installed"),
    );
    let started = Instant::now();
    while UnixStream::connect(&socket).is_err() {
        assert!(started.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(10));
    }
    for (name, options) in [
        ("ed25519", ["-t", "ed25519", "-b", "256"]),
        ("ecdsa", ["-t", "ecdsa", "-b", "256"]),
        ("rsa", ["-t", "rsa", "-b", "2048"]),
    ] {
        let file = ["-q", "-N", "", "-C", name, "-f", name];
        assert!(run("ssh-keygen", &[&file[..], &options].concat(), b""));
        assert!(run("ssh-add", &["-q", name], b""));
    }
    let agent = Socket(socket.clone());
    let held = identities(&agent).unwrap();
    let names: Vec<_> = held.iter().map(|identity| &*identity.comment).collect();
    assert_eq!(names, ["ed25519", "ecdsa", "rsa"]);
    for identity in held {
        let key = AgentKey::new(agent.clone(), identity.key.clone());
        let allowed = format!("bob {}\n", identity.key);
        fs::write(scratch.path().join("allowed"), allowed).unwrap();
        for namespace in [Namespace::Page, Namespace::Root, Namespace::Possession] {
            let signature = key.sign(namespace, MESSAGE).unwrap();
            let verdict = StandardCrypto.verify(&identity.key, namespace, MESSAGE, &signature);
            assert_eq!(verdict, Ok(()));
            fs::write(scratch.path().join("sig"), signature.armour()).unwrap();
            let name = namespace.as_str();
            let verify = [
                "-Y", "verify", "-f", "allowed", "-I", "bob", "-n", name, "-s", "sig",
            ];
            assert!(run("ssh-keygen", &verify, MESSAGE), "{}", identity.comment);
            assert!(!run("ssh-keygen", &verify, b"another"));
        }
    }
    // A key it does not hold, or holds no more.
    let stranger = conex_crypto::SecretKey::from_seed([9; 32]);
    let refused =
        AgentKey::new(agent.clone(), stranger.public_key().clone()).sign(Namespace::Page, MESSAGE);
    assert!(matches!(refused, Err(AgentError::Refused)));
    assert!(run("ssh-add", &["-q", "-D"], b""));
    assert_eq!(identities(&agent).unwrap(), []);
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

const NAME: &[u8] = b"sk-ssh-ed25519@openssh.com";

/// An agent with a security key in it, which is touched or not.
struct Token {
    secret: SigningKey,
    touched: bool,
}

impl Token {
    fn new(touched: bool) -> Self {
        Self {
            secret: SigningKey::from_bytes(&[3; 32]),
            touched,
        }
    }

    fn public(&self) -> PublicKey {
        let point = self.secret.verifying_key();
        let blob = [string(NAME), string(point.as_bytes()), string(b"ssh:")].concat();
        PublicKey::from_blob(blob).unwrap()
    }
}

impl Transport for Token {
    type Error = io::Error;

    fn exchange(&self, message: &[u8]) -> io::Result<Vec<u8>> {
        // 13, the key, the bytes to be signed, four bytes of flags.
        let key = string(self.public().blob());
        let data = message
            .strip_prefix(&[&[13][..], &key].concat()[..])
            .unwrap();
        let data = &data[4..data.len() - 4];
        let tail = [u8::from(self.touched), 0, 0, 0, 42];
        let signed = [&Sha256::digest(b"ssh:")[..], &tail, &Sha256::digest(data)].concat();
        let value = self.secret.sign(&signed).to_bytes();
        let inner = [&string(NAME), &string(&value), &tail[..]].concat();
        Ok([&[14][..], &string(&inner)].concat())
    }
}

#[test]
fn a_security_key_signs_if_it_is_touched() {
    let key = Token::new(true).public();
    let signature = AgentKey::new(Token::new(true), key.clone())
        .sign(Namespace::Page, MESSAGE)
        .unwrap();
    assert_eq!(
        StandardCrypto.verify(&key, Namespace::Page, MESSAGE, &signature),
        Ok(())
    );
    let untouched = AgentKey::new(Token::new(false), key).sign(Namespace::Page, MESSAGE);
    assert!(matches!(untouched, Err(AgentError::Signature)));
}
