//! The compressed layer: one gzip member, unpacked on a thread of its own while the caller reads.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender};

use conex_core::model::limits;
use zlib_rs::{Inflate, InflateFlush, Status};

use super::{ArchiveError, RATIO, UNPACKED};

/// The number of bytes handed over at once.
const PIECE: usize = 256 << 10;

/// The number of pieces in flight.
pub(super) const PIECES: usize = 4;

/// The most bytes of a name or comment in the header of a gzip file.
const TEXT: usize = 4 << 10;

/// A message from the unpacking thread.
pub(super) enum Piece {
    /// More data.
    Bytes(Vec<u8>),
    /// The end of the data, followed by nothing but zeros, with the required checksum and length.
    End { checksum: u32, length: u32 },
    /// Unpacking failed.
    Failed(ArchiveError),
}

/// Unpacks everything and hands it over. Returns early if the receiver is gone.
pub(super) fn unpack(input: impl Read, full: &SyncSender<Piece>, empty: &Receiver<Vec<u8>>) {
    let last = match all(Input::new(input), full, empty) {
        Ok(Some(end)) => end,
        Ok(None) => return,
        Err(error) => Piece::Failed(error),
    };
    // If the receiver is gone, nobody needs this message.
    let _ = full.send(last);
}

fn all(
    mut input: Input<impl Read>,
    full: &SyncSender<Piece>,
    empty: &Receiver<Vec<u8>>,
) -> Result<Option<Piece>, ArchiveError> {
    header(&mut input)?;
    let mut inflate = Inflate::new(false, 15);
    let mut ended = false;
    while !ended {
        let mut piece = empty.try_recv().unwrap_or_default();
        piece.resize(PIECE, 0);
        let mut filled = 0;
        while !ended && filled < PIECE {
            let packed = input.fill()?;
            let at_end = packed.is_empty();
            let Some(room) = piece.get_mut(filled..) else {
                break;
            };
            let (read, written) = (inflate.total_in(), inflate.total_out());
            let status = inflate
                .decompress(packed, room, InflateFlush::NoFlush)
                .map_err(|_| ArchiveError::Gzip("its data is damaged"))?;
            let count = |more: u64| usize::try_from(more).unwrap_or(usize::MAX);
            let (used, made) = (
                count(inflate.total_in() - read),
                count(inflate.total_out() - written),
            );
            input.consume(used);
            filled += made;
            ended = status == Status::StreamEnd;
            if !ended && used == 0 && made == 0 {
                return Err(if at_end {
                    ArchiveError::CutOff
                } else {
                    ArchiveError::Gzip("its data is damaged")
                });
            }
        }
        // A small output is harmless at any ratio.
        let most = input.count.saturating_mul(RATIO);
        if inflate.total_out() > most.clamp(limits::DATA_FILE, UNPACKED) {
            return Err(ArchiveError::TooLarge);
        }
        piece.truncate(filled);
        if full.send(Piece::Bytes(piece)).is_err() {
            return Ok(None);
        }
    }
    let checksum = input.number()?;
    let length = input.number()?;
    behind(&mut input)?;
    Ok(Some(Piece::End { checksum, length }))
}

/// Reads the header of a gzip file (RFC 1952, section 2.3), accepting only what every opam reads.
fn header(input: &mut Input<impl Read>) -> Result<(), ArchiveError> {
    let mut fixed = [0; 10];
    for byte in &mut fixed {
        *byte = match input.byte() {
            Err(ArchiveError::CutOff) => {
                return Err(ArchiveError::Gzip("it does not begin as one"));
            }
            other => other?,
        };
    }
    let [0x1f, 0x8b, 8, flags, ..] = fixed else {
        return Err(ArchiveError::Gzip("it does not begin as one"));
    };
    if flags & 0b1110_0000 != 0 {
        return Err(ArchiveError::Gzip(
            "its header has flags that are not known",
        ));
    }
    if flags & 0b0000_0010 != 0 {
        return Err(ArchiveError::Gzip(
            "its header has a checksum, which opam 2.6 cannot read",
        ));
    }
    if flags & 0b0000_0100 != 0 {
        return Err(ArchiveError::Gzip(
            "its header has an extra field, which opam 2.6 cannot read",
        ));
    }
    for text in [0b0000_1000, 0b0001_0000] {
        if flags & text == 0 {
            continue;
        }
        let mut length = 0;
        while input.byte()? != 0 {
            length += 1;
            if length > TEXT {
                return Err(ArchiveError::Gzip("its header has an endless name"));
            }
        }
    }
    Ok(())
}

/// Checks that only zeros follow the compressed data. All programs skip them.
fn behind(input: &mut Input<impl Read>) -> Result<(), ArchiveError> {
    let mut first = true;
    loop {
        let rest = input.fill()?;
        if rest.is_empty() {
            return Ok(());
        }
        if first && matches!(rest, [0x1f, 0x8b, ..] | [0x1f]) {
            return Err(ArchiveError::SecondMember);
        }
        if rest.iter().any(|byte| *byte != 0) {
            return Err(ArchiveError::Behind);
        }
        first = false;
        let count = rest.len();
        input.consume(count);
    }
}

/// The packed bytes, and how many of them have been read.
struct Input<R> {
    inner: R,
    buffer: Vec<u8>,
    at: usize,
    count: u64,
}

impl<R: Read> Input<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: Vec::new(),
            at: 0,
            count: 0,
        }
    }

    /// Returns the available bytes; empty only at the end.
    fn fill(&mut self) -> Result<&[u8], ArchiveError> {
        if self.at >= self.buffer.len() {
            self.buffer.resize(64 << 10, 0);
            let count = loop {
                match self.inner.read(&mut self.buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other.map_err(|error| ArchiveError::Io(error.to_string()))?,
                }
            };
            self.buffer.truncate(count);
            self.at = 0;
            self.count += count as u64;
        }
        Ok(self.buffer.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    fn byte(&mut self) -> Result<u8, ArchiveError> {
        let byte = *self.fill()?.first().ok_or(ArchiveError::CutOff)?;
        self.consume(1);
        Ok(byte)
    }

    /// Reads four bytes, the least significant first.
    fn number(&mut self) -> Result<u32, ArchiveError> {
        let mut bytes = [0; 4];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(u32::from_le_bytes(bytes))
    }
}
