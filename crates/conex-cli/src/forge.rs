//! Public keys published elsewhere: a forge's `/<name>.keys`, or a file like it.

use core::time::Duration;
use std::fs;
use std::io::{self, Read as _};

use conex_core::model::key::PublicKey;

use crate::error::{CommandError, Result, at};
use crate::output::plain;

/// The longest list of keys to read, in bytes. A forge allows a few dozen keys.
const LIMIT: u64 = 64 << 10;

/// The timeout for a forge.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads keys from an `https://` address or from a file.
///
/// Skips lines with keys that cannot be used here. Refuses a list without a single key.
pub(crate) fn published(source: &str) -> Result<Vec<PublicKey>> {
    let text = if source.contains("://") {
        fetch(source)?
    } else {
        read(source).map_err(|error| {
            at(plain(source))(error)
                .hint("give a file with one OpenSSH public key on each line, or an https address")
        })?
    };
    let shown = plain(source);
    if text.trim_start().starts_with('<') {
        return Err(CommandError::refused(format_args!(
            "{shown} is a web page, not a list of keys"
        ))
        .hint("give the address that lists keys, which on most forges ends in NAME.keys"));
    }
    let keys = conex_crypto::public_keys(&text).map_err(|error| {
        CommandError::refused(format_args!("{shown}: {error}"))
            .hint("the list has one OpenSSH public key on each line")
    })?;
    if keys.is_empty() {
        return Err(CommandError::refused(format_args!("{shown} lists no key"))
            .hint("add your public key to the account first, as for git over ssh"));
    }
    Ok(keys)
}

fn read(file: &str) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(file)?
        .take(LIMIT)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Whether an address is protected against changes in transit.
fn is_protected(address: &str) -> bool {
    // Text before an `@` only looks like a host.
    let is_local = |rest: &str| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let name = host.split(':').next().unwrap_or_default();
        !host.contains('@') && ["127.0.0.1", "localhost"].contains(&name)
    };
    address.starts_with("https://") || address.strip_prefix("http://").is_some_and(is_local)
}

fn fetch(address: &str) -> Result<String> {
    if !is_protected(address) {
        return Err(CommandError::usage(format_args!(
            "{} would be read over an unprotected connection",
            plain(address)
        ))
        .hint("give an address that begins with https://, or a file"));
    }
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .max_redirects(3)
        // Redirects must not lead to an unprotected address either.
        .https_only(address.starts_with("https://"))
        .build()
        .into();
    let failed = |error: ureq::Error| {
        CommandError::io(format_args!("{}: {error}", plain(address)))
            .hint("save the list to a file yourself, and give the file")
    };
    agent
        .get(address)
        .call()
        .map_err(failed)?
        .body_mut()
        .with_config()
        .limit(LIMIT)
        .read_to_string()
        .map_err(failed)
}
