//! Reads the members of an archive in order from the unpacked pieces.

use std::sync::mpsc::{Receiver, Sender, SyncSender};

use conex_core::model::limits;
use conex_core::model::path::Path;

use super::files::{Clash, Files, Full};
use super::header::{BLOCK, Block, Extended, Header, long_name};
use super::unpack::Piece;
use super::{ArchiveError, MEMBERS};

/// The most bytes of an extension, which gives the next member a long name or other attributes.
const EXTENSION: u64 = 64 << 10;

/// The name that GNU tar gives to a member holding a long name.
const LONG_NAME: &[u8] = b"././@LongLink";

type Result<T> = core::result::Result<T, ArchiveError>;

/// Reads all members.
pub(super) fn read(
    pieces: Receiver<Piece>,
    back: SyncSender<Vec<u8>>,
    marker: Option<Sender<Full>>,
) -> Result<Files> {
    let mut stream = Stream::new(pieces, back);
    let mut files = Files::new(marker);
    let mut members = 0;
    // The extensions of the next member.
    let mut before: Option<Extended> = None;
    loop {
        let at = stream.position;
        let wrong = |what| ArchiveError::Header { at, what };
        let block = stream.block(ArchiveError::NoEnd)?;
        if block == [0; BLOCK] {
            if before.is_some() {
                return Err(wrong("an extension is followed by nothing"));
            }
            break;
        }
        members += 1;
        if members > MEMBERS {
            return Err(ArchiveError::TooMany);
        }
        let header = Header::parse(&block).map_err(wrong)?;
        let mut data = || -> Result<Vec<u8>> {
            if before.is_some() || header.size > EXTENSION {
                return Err(wrong("it has extensions that programs read differently"));
            }
            let mut data = Vec::new();
            stream.copy(header.size, &mut data)?;
            stream.pad(header.size)?;
            Ok(data)
        };
        match header.kind {
            b'g' => {
                Extended::only_comment(&data()?).map_err(wrong)?;
                continue;
            }
            b'x' => {
                before = Some(Extended::parse(&data()?).map_err(wrong)?);
                continue;
            }
            b'L' if header.name == LONG_NAME => {
                let path = Some(long_name(&data()?).map_err(wrong)?);
                before = Some(Extended { path, size: None });
                continue;
            }
            _ => {}
        }
        let before = before.take().unwrap_or_default();
        let name = before.path.unwrap_or(header.name);
        let size = before.size.unwrap_or(header.size);
        let Some(path) = path_of(&name, header.kind)? else {
            if size > 0 {
                return Err(ArchiveError::DirectoryData(Path::top()));
            }
            continue;
        };
        match header.kind {
            b'0' | 0 => {}
            b'5' if size == 0 => {
                files.add_directory(path.as_str());
                continue;
            }
            b'5' => return Err(ArchiveError::DirectoryData(path)),
            b'1' => return Err(ArchiveError::HardLink(path)),
            _ => return Err(ArchiveError::Special(path)),
        }
        if size > limits::DATA_FILE {
            return Err(ArchiveError::FileTooLarge(path));
        }
        let room = usize::try_from(size).unwrap_or_default();
        files.add(path.as_str(), room, |to| stream.copy(size, to))?;
        stream.pad(size)?;
    }
    stream.end()?;
    let parsed = |path: String| Path::parse(&path).unwrap_or_default();
    files.settle().map_err(|clash| match clash {
        Clash::Twice(path) => ArchiveError::Twice(parsed(path)),
        Clash::FileAndDirectory(path) => ArchiveError::FileAndDirectory(parsed(path)),
    })?;
    Ok(files)
}

/// Returns the path of a member, or `None` for the top itself.
fn path_of(name: &[u8], kind: u8) -> Result<Option<Path>> {
    let text = String::from_utf8_lossy(name);
    let mut inner: &str = &text;
    while let Some(rest) = inner.strip_prefix("./") {
        inner = rest;
    }
    if kind == b'5' {
        inner = inner.strip_suffix('/').unwrap_or(inner);
        if matches!(inner, "" | ".") && !name.is_empty() && !name.starts_with(b"/") {
            return Ok(None);
        }
    }
    Path::parse(inner)
        .map(Some)
        .map_err(|error| ArchiveError::Name {
            name: text.clone().into_owned(),
            error,
        })
}

/// The unpacked archive as a stream.
struct Stream {
    pieces: Receiver<Piece>,
    back: SyncSender<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
    checksum: u32,
    length: u64,
    ended: bool,
    position: u64,
}

impl Stream {
    fn new(pieces: Receiver<Piece>, back: SyncSender<Vec<u8>>) -> Self {
        Self {
            pieces,
            back,
            piece: Vec::new(),
            at: 0,
            checksum: 0,
            length: 0,
            ended: false,
            position: 0,
        }
    }

    /// Returns the available bytes; empty only at the end.
    fn fill(&mut self) -> Result<&[u8]> {
        while self.at >= self.piece.len() && !self.ended {
            let gone = |_| ArchiveError::Io("the thread that unpacks it is gone".into());
            match self.pieces.recv().map_err(gone)? {
                Piece::Bytes(bytes) => {
                    let used = core::mem::replace(&mut self.piece, bytes);
                    // Reusing the buffer is only an optimisation.
                    let _ = self.back.try_send(used);
                    self.at = 0;
                    self.checksum = zlib_rs::crc32::crc32(self.checksum, &self.piece);
                    self.length += self.piece.len() as u64;
                }
                Piece::Failed(error) => return Err(error),
                Piece::End { checksum, length } => {
                    if checksum != self.checksum {
                        return Err(ArchiveError::Gzip("its checksum is wrong"));
                    }
                    if u64::from(length) != self.length % (1 << 32) {
                        return Err(ArchiveError::Gzip("its length is wrong"));
                    }
                    self.ended = true;
                }
            }
        }
        Ok(self.piece.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
        self.position += count as u64;
    }

    /// Reads a whole block, or returns the given error at the end.
    fn block(&mut self, none: ArchiveError) -> Result<Block> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(room) = block.get_mut(filled..).filter(|room| !room.is_empty()) {
            let there = self.fill()?;
            let count = room.len().min(there.len());
            if count == 0 {
                return Err(if filled == 0 {
                    none
                } else {
                    ArchiveError::CutOff
                });
            }
            for (to, from) in room.iter_mut().zip(there) {
                *to = *from;
            }
            filled += count;
            self.consume(count);
        }
        Ok(block)
    }

    /// Appends exactly `size` bytes.
    fn copy(&mut self, size: u64, to: &mut Vec<u8>) -> Result<()> {
        let mut left = usize::try_from(size).unwrap_or(usize::MAX);
        while left > 0 {
            let there = self.fill()?;
            let count = left.min(there.len());
            if count == 0 {
                return Err(ArchiveError::CutOff);
            }
            to.extend_from_slice(there.get(..count).unwrap_or_default());
            left -= count;
            self.consume(count);
        }
        Ok(())
    }

    /// Skips the padding after `size` bytes of data.
    fn pad(&mut self, size: u64) -> Result<()> {
        let last = usize::try_from(size % BLOCK as u64).unwrap_or_default();
        let mut left = (BLOCK - last) % BLOCK;
        while left > 0 {
            let count = left.min(self.fill()?.len());
            if count == 0 {
                return Err(ArchiveError::CutOff);
            }
            left -= count;
            self.consume(count);
        }
        Ok(())
    }

    /// Checks the end after the first block of zeros: a second one follows, then only zeros up to the end
    /// of the packed data.
    fn end(&mut self) -> Result<()> {
        if self.block(ArchiveError::NoEnd)? != [0; BLOCK] {
            return Err(ArchiveError::LoneZeros);
        }
        loop {
            let there = self.fill()?;
            let count = there.len();
            if count == 0 {
                return Ok(());
            }
            if there.iter().any(|byte| *byte != 0) {
                return Err(ArchiveError::Trailing);
            }
            self.consume(count);
        }
    }
}
