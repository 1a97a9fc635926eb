//! The connection to ssh-agent. [`conex_crypto::agent`] defines the messages.

use core::fmt;
use core::time::Duration;
use std::env;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use conex_crypto::agent::{AgentError, Identity, MAX_MESSAGE, Transport, identities};

use crate::error::CommandError;
use crate::output;

/// The environment variable that names the agent's socket.
const SOCKET: &str = "SSH_AUTH_SOCK";
/// The environment variable that overrides how many seconds to wait for an agent.
const TIMEOUT: &str = "CONEX_AGENT_TIMEOUT";
/// Timeout for listing keys, which needs no answer from the user.
const LISTING: Duration = Duration::from_secs(5);
/// Timeout for signing, which may wait for a touch, a PIN or a confirmation.
const SIGNING: Duration = Duration::from_secs(60);

/// An agent behind a socket, and how long to wait for each of its answers.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    socket: PathBuf,
    patience: Duration,
}

/// The reasons why no answer came.
#[derive(Debug)]
pub(crate) enum SocketError {
    /// Nothing listens on the socket.
    Nobody(PathBuf, io::Error),
    /// The agent accepted the connection but did not answer in time.
    Silent(Duration),
    /// The connection broke, or the answer ended early.
    Broken(io::Error),
    /// The answer claims this length in bytes, which is not acceptable.
    Size(u32),
}

pub(crate) type Error = AgentError<SocketError>;

impl Agent {
    /// Returns the agent of this session, if there is one.
    pub(crate) fn of_session() -> Option<Self> {
        let socket = env::var_os(SOCKET).filter(|value| !value.is_empty())?;
        Some(Self {
            socket: socket.into(),
            patience: patience(LISTING),
        })
    }

    /// Lists the keys that the agent holds.
    pub(crate) fn identities(&self) -> Result<Vec<Identity>, Error> {
        identities(self)
    }

    /// Returns the same agent with the timeout for signing.
    pub(crate) fn for_signing(&self) -> Self {
        Self {
            patience: patience(SIGNING),
            ..self.clone()
        }
    }
}

fn patience(usual: Duration) -> Duration {
    env::var(TIMEOUT)
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .map_or(usual, Duration::from_secs)
}

impl Transport for Agent {
    type Error = SocketError;

    /// Sends one message over a connection of its own and reads the answer.
    ///
    /// It runs in a thread of its own, so one deadline covers connecting, writing and reading. A thread
    /// that hangs ends with the program.
    fn exchange(&self, message: &[u8]) -> Result<Vec<u8>, SocketError> {
        let (sender, receiver) = mpsc::channel();
        let (socket, message) = (self.socket.clone(), message.to_vec());
        thread::Builder::new()
            .spawn(move || sender.send(talk(&socket, &message)))
            .map_err(SocketError::Broken)?;
        receiver
            .recv_timeout(self.patience)
            .unwrap_or(Err(SocketError::Silent(self.patience)))
    }
}

fn talk(socket: &Path, message: &[u8]) -> Result<Vec<u8>, SocketError> {
    let mut stream = UnixStream::connect(socket)
        .map_err(|error| SocketError::Nobody(socket.to_owned(), error))?;
    let length = u32::try_from(message.len()).map_err(|_| SocketError::Size(u32::MAX))?;
    let mut length = length.to_be_bytes();
    stream.write_all(&length).map_err(SocketError::Broken)?;
    stream.write_all(message).map_err(SocketError::Broken)?;
    stream
        .read_exact(&mut length)
        .map_err(SocketError::Broken)?;
    let length = u32::from_be_bytes(length);
    if length == 0 || length as usize > MAX_MESSAGE {
        return Err(SocketError::Size(length));
    }
    let mut answer = vec![0; length as usize];
    stream
        .read_exact(&mut answer)
        .map_err(SocketError::Broken)?;
    Ok(answer)
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody(socket, error) => {
                write!(f, "no ssh-agent at {}: {error}", socket.display())
            }
            Self::Silent(patience) => {
                write!(f, "ssh-agent did not answer for {} s", patience.as_secs())
            }
            Self::Broken(error) => write!(f, "the connection to ssh-agent broke: {error}"),
            Self::Size(length) => write!(f, "ssh-agent sent an invalid answer of {length} bytes"),
        }
    }
}

/// Whether there is no agent at all, for example because it has ended.
pub(crate) fn is_absent(error: &Error) -> bool {
    matches!(error, AgentError::Transport(SocketError::Nobody(..)))
}

/// Returns what the reader can do about an error.
pub(crate) fn advice(error: &Error) -> String {
    match error {
        AgentError::Transport(SocketError::Nobody(..)) => {
            format!("start one with eval $(ssh-agent), or give a key file with --key; {SOCKET} says where it is")
        }
        AgentError::Transport(SocketError::Silent(_)) => format!(
            "it may be waiting for a touch, a PIN or a confirmation; {TIMEOUT} sets how many seconds to wait. If ssh-add -l does not answer either, restart the agent"
        ),
        AgentError::Refused => {
            "the key may be gone, the agent locked (ssh-add -X), the question denied, or the token not there: ssh-add -l lists what it holds".into()
        }
        AgentError::Key(_) => "choose another key: conex key list shows yours".into(),
        AgentError::Signature => {
            "nothing was written; a security key has to be touched for each signature, so one made with no-touch-required cannot be used".into()
        }
        _ => format!("look at what answers at {SOCKET}: ssh-add -l should list its keys"),
    }
}

/// Turns an error of the agent into the error of a command.
pub(crate) fn explain(error: &Error) -> CommandError {
    CommandError::io(output::plain(&error.to_string())).hint(advice(error))
}
