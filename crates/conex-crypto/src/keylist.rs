//! Lists of public keys as people have them: `id_ed25519.pub`, a forge's `/<name>.keys`.

use alloc::vec::Vec;

use conex_core::model::key::{KeyError, PublicKey};

/// A line that is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not a public key with at most a comment")]
pub struct KeyListError {
    /// The line number, from 1.
    pub line: usize,
    /// The fault in the line.
    #[source]
    pub error: KeyError,
}

/// Parses lines of `ALGORITHM BASE64 [COMMENT]`, skipping blank lines and those that begin with `#`.
///
/// Fields are separated by spaces and tabs. Comments are dropped. A duplicate key is returned once, in its
/// first position. The keys are of any algorithm: [`conex_core::model::crypto::Signatures::accept`] says whether
/// one can be used.
///
/// # Errors
/// [`KeyListError`] with the first invalid line. Options before a key, as in `authorized_keys`, are
/// refused: they restrict the key, and nothing here would honour them.
pub fn public_keys(text: &str) -> Result<Vec<PublicKey>, KeyListError> {
    let mut keys = Vec::new();
    let mut seen = alloc::collections::BTreeSet::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = public_key(line).map_err(|error| KeyListError {
            line: at + 1,
            error,
        })?;
        if seen.insert(key.clone()) {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn public_key(line: &str) -> Result<PublicKey, KeyError> {
    let mut fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
    let algorithm = fields.next().ok_or(KeyError::Key)?;
    let base64 = fields.next().ok_or(KeyError::Key)?;
    PublicKey::parse(&alloc::format!("{algorithm} {base64}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;
    use alloc::format;
    use alloc::string::String;

    fn line(seed: u8) -> String {
        SecretKey::from_seed([seed; 32]).public_key().as_line()
    }

    #[test]
    fn lines_are_read_as_people_have_them() {
        let (one, two) = (line(1), line(2));
        let tabs = two.replace(' ', " \t ");
        for (text, expected) in [
            (String::new(), &[][..]),
            (one.clone(), &[1]),
            (format!("{one} bob@host\n"), &[1]),
            (
                format!("{one} \"a comment\" of, several words\r\n\r\n{two}\r\n"),
                &[1, 2],
            ),
            (
                format!("# keys of bob\n\n  {tabs}\n\t# more\n{one}\n"),
                &[2, 1],
            ),
            (format!("{one}\n{two}\n{one} again\n"), &[1, 2]),
        ] {
            let keys = public_keys(&text).unwrap();
            let keys: Vec<_> = keys.iter().map(PublicKey::as_line).collect();
            let expected: Vec<_> = expected.iter().map(|seed| line(*seed)).collect();
            assert_eq!(keys, expected, "{text:?}");
        }
    }

    #[test]
    fn keys_of_every_algorithm_are_read() {
        // The last line has a key of which only the name is checked here.
        let text =
            "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAAA== token";
        let keys = public_keys(text).unwrap();
        assert_eq!(keys[0].algorithm(), "sk-ssh-ed25519@openssh.com");
    }

    #[test]
    fn anything_else_is_refused_with_its_line() {
        let one = line(1);
        let base64 = one.split(' ').nth(1).unwrap();
        for bad in [
            format!("command=\"true\" {one}"),
            format!("no-pty {one}"),
            format!("restrict,cert-authority {one}"),
            format!("bob {one}"),
            format!("@cert-authority * {one}"),
            format!("ssh-rsa {base64}"),
            format!("ssh-ed25519 {base64}="),
            format!("ssh-ed25519 {}", &base64[..base64.len() - 1]),
            format!("\u{feff}{one}"),
            format!("\u{a0}{one}"),
            base64.into(),
            "ssh-ed25519".into(),
            "-----BEGIN OPENSSH PRIVATE KEY-----".into(),
            "<!DOCTYPE html>".into(),
            "Not Found".into(),
        ] {
            let error = public_keys(&format!("{one}\n# fine\n{bad}\n")).unwrap_err();
            assert_eq!(error.line, 3, "{bad}");
        }
    }
}
