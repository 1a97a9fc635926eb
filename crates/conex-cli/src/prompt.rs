//! Prompts, and their replacements in scripts.

use core::sync::atomic::{AtomicBool, Ordering};
use std::io::{self, BufRead as _, ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::os::fd::RawFd;
use std::sync::{Arc, LazyLock};

use signal_hook::consts::SIGINT;
use zeroize::Zeroizing;

use crate::error::{CommandError, Result};
use crate::output;

/// The environment variable that holds a passphrase for scripts.
pub(crate) const PASSPHRASE: &str = "CONEX_PASSPHRASE";

/// Whether there is a terminal to ask on.
pub(crate) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question. Any answer other than `y` or `yes` ends the command.
pub(crate) fn confirm(question: &str) -> Result<()> {
    if ask(question)? {
        Ok(())
    } else {
        Err(CommandError::refused(
            "not confirmed; nothing was signed or written",
        ))
    }
}

/// Asks a question. Only `y` or `yes` count as agreement.
pub(crate) fn ask(question: &str) -> Result<bool> {
    if !is_possible() {
        return Err(CommandError::usage(
            "this has to be confirmed, and there is no terminal to ask on",
        )
        .hint("look at it with --dry-run, then give --yes"));
    }
    let mut err = output::stderr();
    let _ = write!(err, "{question} [y/N] ");
    let _ = err.flush();
    let mut answer = Vec::new();
    io::stdin()
        .lock()
        .read_until(b'\n', &mut answer)
        .map_err(|error| {
            CommandError::io(format_args!("standard input: {error}"))
                .hint("nothing was signed or written; run it again")
        })?;
    Ok(is_yes(&answer))
}

/// Any other answer means no, including one that is not text.
fn is_yes(answer: &[u8]) -> bool {
    matches!(answer.trim_ascii(), b"y" | b"Y" | b"yes")
}

/// Returns a passphrase provided for scripts, by file descriptor or environment variable.
pub(crate) fn scripted_passphrase(descriptor: Option<RawFd>) -> Result<Option<Zeroizing<Vec<u8>>>> {
    if let Some(descriptor) = descriptor {
        let mut text = Zeroizing::new(Vec::new());
        read_descriptor(descriptor, &mut text)?;
        while matches!(text.last(), Some(b'\n' | b'\r')) {
            text.pop();
        }
        return Ok(Some(text));
    }
    Ok(std::env::var(PASSPHRASE)
        .ok()
        .map(|text| Zeroizing::new(text.into_bytes())))
}

fn read_descriptor(descriptor: RawFd, text: &mut Vec<u8>) -> Result<()> {
    // The path is the kernel's view of our own descriptors, so this needs no unsafe code.
    let path = format!("/dev/fd/{descriptor}");
    let file = std::fs::File::open(&path).map_err(|error| {
        CommandError::usage(format_args!("--passphrase-fd {descriptor}: {error}"))
            .hint("for example: conex approve --passphrase-fd 3 3<secret")
    })?;
    file.take(4_096)
        .read_to_end(text)
        .map_err(|error| CommandError::io(format_args!("{path}: {error}")))?;
    Ok(())
}

/// Asks for a passphrase without showing it.
pub(crate) fn passphrase(question: &str) -> Result<Zeroizing<Vec<u8>>> {
    if !is_possible() {
        return Err(CommandError::usage(
            "a passphrase is needed, and there is no terminal to ask on",
        )
        .hint(format_args!("set {PASSPHRASE}, or give --passphrase-fd N")));
    }
    ENDS.store(false, Ordering::SeqCst);
    let typed = rpassword::prompt_password(question);
    ENDS.store(true, Ordering::SeqCst);
    typed
        .map(|text| Zeroizing::new(text.into_bytes()))
        .map_err(|error| match error.kind() {
            // Ctrl-C and Ctrl-D.
            ErrorKind::Interrupted | ErrorKind::UnexpectedEof => {
                CommandError::refused("not confirmed; nothing was signed or written")
            }
            _ => CommandError::io(format_args!("the terminal: {error}")).hint(
                "a passphrase that is no UTF-8 is read from a file: --passphrase-fd 3 3<FILE",
            ),
        })
}

/// Whether Ctrl-C ends the program. It does, except while a passphrase is typed: rpassword has to restore
/// the terminal first, which would otherwise stay without echo.
static ENDS: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| {
    let ends = Arc::new(AtomicBool::new(true));
    // If this fails, Ctrl-C keeps its usual behaviour.
    let _ = signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&ends));
    ends
});

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_yes_is_yes() {
        for (answer, yes) in [
            (&b"y\n"[..], true),
            (b" yes \r\n", true),
            (b"Y", true),
            (b"", false),
            (b"\n", false),
            (b"yy\n", false),
            (b"\xff\n", false),
            (b"y\xff\n", false),
        ] {
            assert_eq!(is_yes(answer), yes, "{}", answer.escape_ascii());
        }
    }
}
