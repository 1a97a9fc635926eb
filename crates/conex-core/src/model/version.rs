//! Versions of statements, and thresholds of approval (spec section 3).

use core::fmt;
use core::num::NonZeroU16;

use serde::Serialize;

/// Why a text is not a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version is `epoch.counter`, two numbers without leading zeros, the counter at least 1")]
pub struct VersionError;

/// The version of a statement: the package's epoch, then a counter that starts at 1.
///
/// Ordered by epoch first. Roots have numbers instead; people, teams and the repository files
/// have epoch 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Version {
    epoch: u32,
    counter: u64,
}

impl Version {
    /// The first version in an epoch.
    pub const fn first(epoch: u32) -> Self {
        Self { epoch, counter: 1 }
    }

    /// Parses `epoch.counter`.
    ///
    /// # Errors
    /// [`VersionError`] for any other spelling, or numbers out of range.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let (epoch, counter) = text.split_once('.').ok_or(VersionError)?;
        let plain = |digits: &str| {
            digits.bytes().all(|digit| digit.is_ascii_digit())
                && (digits.len() == 1 || !digits.starts_with('0'))
        };
        if !plain(epoch) || !plain(counter) {
            return Err(VersionError);
        }
        let epoch = epoch.parse().map_err(|_| VersionError)?;
        let counter = counter.parse().map_err(|_| VersionError)?;
        if counter == 0 {
            return Err(VersionError);
        }
        Ok(Self { epoch, counter })
    }

    /// The epoch.
    pub const fn epoch(self) -> u32 {
        self.epoch
    }

    /// The counter, at least 1.
    pub const fn counter(self) -> u64 {
        self.counter
    }

    /// The next version in this epoch; `None` when the counter is exhausted, which only a raised
    /// epoch or a revoked key mends.
    pub const fn next(self) -> Option<Self> {
        match self.counter.checked_add(1) {
            Some(counter) => Some(Self {
                epoch: self.epoch,
                counter,
            }),
            None => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.counter)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How many distinct people have to stand behind something: never zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Threshold(NonZeroU16);

impl Threshold {
    /// The greatest.
    pub const MAX: Self = Self(NonZeroU16::MAX);

    /// Takes a number of people; `None` for zero.
    pub const fn new(people: u16) -> Option<Self> {
        match NonZeroU16::new(people) {
            Some(people) => Some(Self(people)),
            None => None,
        }
    }

    /// The number of people.
    pub const fn people(self) -> usize {
        self.0.get() as usize
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_version_has_one_spelling() {
        for text in ["0.1", "3.18446744073709551615", "4294967295.7"] {
            assert_eq!(Version::parse(text).unwrap().to_string(), text);
        }
        for bad in [
            "",
            "1",
            "0.0",
            "0.01",
            "00.1",
            "+0.1",
            "0.+1",
            "0.1.1",
            "-1.1",
            "0. 1",
            "0.",
            "0.18446744073709551616",
            "4294967296.1",
        ] {
            assert_eq!(Version::parse(bad), Err(VersionError), "{bad}");
        }
    }

    #[test]
    fn epochs_go_before_counters_and_counters_never_wrap() {
        let last = Version::parse("0.18446744073709551615").unwrap();
        assert!(last < Version::first(1));
        assert_eq!(last.next(), None);
        assert_eq!(Version::first(2).next(), Version::parse("2.2").ok());
    }

    #[test]
    fn zero_threshold() {
        assert_eq!(Threshold::new(0), None);
        assert_eq!(Threshold::new(1).map(Threshold::people), Some(1));
    }
}
