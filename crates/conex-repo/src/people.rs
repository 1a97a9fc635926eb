//! People as data and history name them: names, addresses, accounts on forges.
//!
//! All of this is evidence of who somebody is, and none of it is proof: anybody can write any address into
//! a file or a commit. For conex, a person is identified by keys.

use core::fmt;

/// A person as an opam file or a commit names them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Person {
    /// The name; empty if there is only an address.
    pub name: String,
    /// The address, if there is one.
    pub address: Option<Address>,
}

impl Person {
    /// Parses `Name <address>`, even if the bracket is never closed, `Name address`, an address, or a name.
    pub fn parse(text: &str) -> Self {
        let (name, address) = if let Some((name, rest)) = text.split_once('<') {
            let address = rest.split_once('>').map_or(rest, |(inside, _)| inside);
            (name, address)
        } else {
            let text = text.trim_end();
            let last = text.rfind(' ').map_or(0, |at| at + 1);
            text.split_at_checked(last).unwrap_or(("", text))
        };
        match Address::parse(address) {
            Some(address) => Self {
                name: spaced(name),
                address: Some(address),
            },
            None => Self {
                name: spaced(text),
                address: None,
            },
        }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Some(address) if self.name.is_empty() => write!(f, "{address}"),
            Some(address) => write!(f, "{} <{address}>", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// An e-mail address in lower case. It is evidence of who somebody is, and never proof.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

impl Address {
    /// Accepts text that has an `@` with something on both sides of it, and no space or bracket.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (user, host) = text.rsplit_once('@')?;
        let odd = |found: char| {
            found.is_whitespace()
                || found.is_control()
                || matches!(found, '<' | '>' | ',' | ';' | '/')
        };
        if user.is_empty() || host.is_empty() || text.contains(odd) {
            return None;
        }
        Some(Self(text.to_lowercase()))
    }

    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the account, if this is an address that a forge generates for commits.
    pub fn account(&self) -> Option<Home> {
        let user = self.0.strip_suffix("@users.noreply.github.com")?;
        let account = user.split_once('+').map_or(user, |(_, account)| account);
        Home::new("github.com", account)
    }

    /// Whether it looks like a mailing list, which belongs to no single person.
    pub fn is_list(&self) -> bool {
        let (user, host) = self.0.rsplit_once('@').unwrap_or(("", &self.0));
        let on_host = host
            .split('.')
            .any(|part| matches!(part, "lists" | "list" | "googlegroups"));
        on_host || user.ends_with("-devel") || user.ends_with("-list")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account of a person or a group on a forge, such as `github.com/bob`, in lower case. Authors' own
/// accounts are written in the same way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home(String);

impl Home {
    /// Returns the account in an address on a forge: `git+https://github.com/bob/foo.git`,
    /// `git@github.com:bob/foo`, `https://bob.github.io/foo`.
    pub fn parse(address: &str) -> Option<Self> {
        let address = address.trim().to_lowercase();
        let rest = match address.split_once("://") {
            Some((_, rest)) => rest,
            None => address.as_str(),
        };
        let (host, path) = rest.split_at(rest.find(['/', ':']).unwrap_or(rest.len()));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let host = host.strip_prefix("www.").unwrap_or(host);
        if let Some((account, forge)) = PAGES
            .iter()
            .find_map(|(pages, forge)| Some((host.strip_suffix(pages)?, forge)))
        {
            return Self::new(forge, account);
        }
        let is_forge = FORGES.contains(&host) || host.starts_with("gitlab.");
        // A port or the path itself follows the colon.
        let behind_port =
            |rest: &'_ str| rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let path = match path.strip_prefix(':') {
            Some(rest) => rest.get(rest.len() - behind_port(rest)..)?,
            None => path,
        };
        let account = path.split('/').find(|part| !part.is_empty())?;
        is_forge.then(|| Self::new(host, account))?
    }

    fn new(forge: &str, account: &str) -> Option<Self> {
        let legal =
            |found: char| found.is_ascii_alphanumeric() || matches!(found, '-' | '_' | '.' | '~');
        let sound = !account.is_empty() && account.chars().all(legal);
        sound.then(|| Self(format!("{forge}/{account}")))
    }

    /// Returns the account.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the account's name, without its forge.
    pub fn account(&self) -> &str {
        self.0
            .rsplit_once('/')
            .map_or(&self.0, |(_, account)| account)
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hosts on which the first part of a path is an account, in addition to all hosts named `gitlab.`.
const FORGES: [&str; 7] = [
    "github.com",
    "codeberg.org",
    "bitbucket.org",
    "framagit.org",
    "git.sr.ht",
    "sr.ht",
    "salsa.debian.org",
];

/// The domains under which forges publish the pages of an account, with the forge.
const PAGES: [(&str, &str); 4] = [
    (".github.io", "github.com"),
    (".gitlab.io", "gitlab.com"),
    (".frama.io", "framagit.org"),
    (".codeberg.page", "codeberg.org"),
];

/// The identification of a person in the evidence. It is foreign text and has to be escaped for display.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handle {
    /// An e-mail address.
    Address(Address),
    /// An account on a forge.
    Account(Home),
    /// A name without anything else, in lower case.
    Name(String),
}

impl Handle {
    /// Parses an address, an account such as `github.com/bob`, or a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::of(&Person::parse(text)).map(|handle| match handle {
            Self::Name(name) => match Home::parse(&name) {
                Some(home) if home.as_str() == name => Self::Account(home),
                _ => Self::Name(name),
            },
            other => other,
        })
    }

    /// Returns the best identification of a person: the address, or the account if a forge generated the
    /// address.
    pub fn of(person: &Person) -> Option<Self> {
        match &person.address {
            Some(address) => Some(
                address
                    .account()
                    .map_or_else(|| Self::Address(address.clone()), Self::Account),
            ),
            None if person.name.is_empty() => None,
            None => Some(Self::Name(person.name.to_lowercase())),
        }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => fmt::Display::fmt(address, f),
            Self::Account(account) => fmt::Display::fmt(account, f),
            Self::Name(name) => write!(f, "\"{name}\""),
        }
    }
}

/// Collapses white space into single spaces.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, address: &str) -> Person {
        Person {
            name: name.into(),
            address: Address::parse(address),
        }
    }

    #[test]
    fn an_address_is_found_in_what_people_write() {
        for (text, name, address) in [
            ("Bob <bob@x.org>", "Bob", "bob@x.org"),
            ("Bob  B <bob@x.org> (work)", "Bob B", "bob@x.org"),
            ("<bob@x.org>", "", "bob@x.org"),
            (" BOB@x.org ", "", "bob@x.org"),
            ("bob AT x dot org", "bob AT x dot org", ""),
            ("Bob <at home>", "Bob <at home>", ""),
            ("Bob <bob@x.org", "Bob", "bob@x.org"),
            ("Bob B<bob@x.org>", "Bob B", "bob@x.org"),
            ("Bob B bob@x.org", "Bob B", "bob@x.org"),
            // An address with a space in it is a typo, and nobody knows what was meant.
            ("Bob <bo b@x.org>", "Bob <bo b@x.org>", ""),
            ("bob@", "bob@", ""),
            ("https://x.org/@bob", "https://x.org/@bob", ""),
            ("", "", ""),
        ] {
            assert_eq!(Person::parse(text), person(name, address), "{text}");
        }
    }

    #[test]
    fn an_account_is_found_in_an_address_on_a_forge() {
        for (address, home) in [
            ("git+https://github.com/Bob/foo.git", Some("github.com/bob")),
            ("git://github.com/bob/foo", Some("github.com/bob")),
            ("git+ssh://git@github.com/bob/foo", Some("github.com/bob")),
            ("git@github.com:bob/foo.git", Some("github.com/bob")),
            ("https://www.github.com/bob", Some("github.com/bob")),
            (
                "https://gitlab.example.org:8443/a/b",
                Some("gitlab.example.org/a"),
            ),
            ("git+https://git.sr.ht/~bob/foo", Some("git.sr.ht/~bob")),
            ("https://bob.github.io/foo", Some("github.com/bob")),
            ("https://bob.github.io", Some("github.com/bob")),
            ("https://github.com/", None),
            ("https://github.com", None),
            ("https://github.com/b%6fb/foo", None),
            ("https://example.org/bob/foo", None),
            ("https://.github.io/", None),
            ("", None),
        ] {
            let found = Home::parse(address);
            assert_eq!(found.as_ref().map(Home::as_str), home, "{address}");
        }
    }

    #[test]
    fn a_handle_is_the_best_there_is() {
        for (text, handle) in [
            ("Bob <bob@x.org>", Some("bob@x.org")),
            ("1+Bob@users.noreply.github.com", Some("github.com/bob")),
            ("bob@users.noreply.github.com", Some("github.com/bob")),
            ("github.com/bob", Some("github.com/bob")),
            ("The Foo Team", Some("\"the foo team\"")),
            ("", None),
        ] {
            let found = Handle::parse(text).map(|handle| handle.to_string());
            assert_eq!(found.as_deref(), handle, "{text}");
        }
    }

    #[test]
    fn a_mailing_list_is_nobody() {
        for (text, list) in [
            ("dev@lists.x.org", true),
            ("foo-devel@x.org", true),
            ("foo@googlegroups.com", true),
            ("devel@x.org", false),
            ("bob@listserv.org", false),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.is_list(), list, "{text}");
        }
    }
}
