//! The SSH data types that all formats here consist of (RFC 4251 section 5).

use alloc::vec::Vec;

/// Appends a length-prefixed string.
pub(crate) fn push_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("keys, names and signatures are small");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Reads from the front. Returns `None` if there is less than requested.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (value, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*value)
    }

    pub(crate) fn uint32(&mut self) -> Option<u32> {
        let (value, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*value))
    }

    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.uint32()?).ok()?;
        let (value, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(value)
    }

    /// Reads the magnitude of a positive `mpint`, big-endian and without leading zeros. Also returns `None`
    /// if it is not in its canonical, shortest encoding.
    pub(crate) fn positive(&mut self) -> Option<&'a [u8]> {
        match self.string()? {
            // A leading zero keeps the number positive, and is allowed only for that.
            [0, rest @ ..] => rest.first().filter(|byte| **byte >= 0x80).map(|_| rest),
            value @ [1..0x80, ..] => Some(value),
            _ => None,
        }
    }

    /// Checks that nothing is left.
    pub(crate) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_positive_number_has_one_encoding() {
        let read = |value: &[u8]| {
            let mut bytes = Vec::new();
            push_string(&mut bytes, value);
            let mut reader = Reader::new(&bytes);
            let read = reader.positive().map(<[u8]>::to_vec);
            assert!(reader.end().is_some());
            read
        };
        for (value, magnitude) in [
            (&[1][..], &[1][..]),
            (&[0x7f, 0], &[0x7f, 0]),
            (&[0, 0x80], &[0x80]),
            (&[0, 0xff, 0], &[0xff, 0]),
        ] {
            assert_eq!(read(value).as_deref(), Some(magnitude));
        }
        // Zero, zero spelled out, negative, an unnecessary zero, two zeros.
        for value in [
            &[][..],
            &[0],
            &[0x80],
            &[0xff, 1],
            &[0, 1],
            &[0, 0x7f, 1],
            &[0, 0, 0x80],
        ] {
            assert_eq!(read(value), None, "{value:?}");
        }
    }
}
