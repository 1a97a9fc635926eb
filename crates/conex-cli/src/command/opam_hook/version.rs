//! How the installed opam handles updates, as far as that depends on its version.

use core::fmt;
use std::process::{Command, Stdio};

/// The oldest and the newest minor version tested with conex. The behaviour of those between them is known,
/// too.
const KNOWN: [(u32, u32); 2] = [(2, 1), (2, 6)];

/// The versions tested with conex, in words.
pub(super) const TESTED: &str = "2.1, 2.3, 2.5 and 2.6";

/// The version of an opam.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    text: String,
    minor: (u32, u32),
}

impl Version {
    /// Returns the version of the opam on the PATH, if it reports one.
    pub(super) fn find() -> Option<Self> {
        let asked = Command::new("opam")
            .arg("--version")
            .stdin(Stdio::null())
            .output();
        let said = asked.ok().filter(|said| said.status.success())?;
        Self::parse(core::str::from_utf8(&said.stdout).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut numbers = text.split(['.', '~', '-', '+']);
        let mut next = || numbers.next()?.parse().ok();
        Some(Self {
            minor: (next()?, next()?),
            text: text.to_owned(),
        })
    }

    /// Whether the behaviour of this minor version of opam is known.
    pub(super) fn is_known(&self) -> bool {
        let [oldest, newest] = KNOWN;
        (oldest..=newest).contains(&self.minor)
    }

    /// Whether opam applies patches itself. Such an opam reads a file that is renamed and edited
    /// differently from git.
    fn applies_patches(&self) -> bool {
        self.minor >= (2, 4)
    }

    /// Whether opam hides the user's and the system's settings from git.
    pub(super) fn hides_git_settings(&self) -> bool {
        self.minor >= (2, 6)
    }

    /// Describes the behaviour, for people who investigate a refusal.
    pub(super) fn does(&self) -> String {
        let patches = if self.applies_patches() {
            "makes patches itself or has git make them, and applies them itself"
        } else {
            "has diff or git make patches, and patch apply them; it does not notice empty files that come or go, but over git"
        };
        let packed = match self.minor {
            (2, 0 | 1) => "keeps repositories packed",
            minor if minor < (2, 6) => "keeps repositories as directories",
            _ => "keeps repositories that come over http packed",
        };
        let settings = if self.hides_git_settings() {
            "runs git without the settings of its user"
        } else {
            "runs git with the settings of its user"
        };
        format!("{patches}; {packed}; {settings}")
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_as_opam_says_them() {
        for (text, is_known, applies, hides) in [
            ("2.0.10", false, false, false),
            ("2.1.2\n", true, false, false),
            ("2.3.0", true, false, false),
            ("2.4.0~alpha1", true, true, false),
            ("2.5.2", true, true, false),
            ("2.6.0-beta1", true, true, true),
            ("2.7", false, true, true),
            ("2.10.0", false, true, true),
            ("3.0.0", false, true, true),
        ] {
            let version = version(text);
            assert_eq!(version.is_known(), is_known, "{text}");
            assert_eq!(version.applies_patches(), applies, "{text}");
            assert_eq!(version.hides_git_settings(), hides, "{text}");
        }
        for text in ["", "opam", "2", "2.x", "two.six"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
