//! The cost of updating a packed repository, compared with unpacking the archive and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::updates::patched;
use super::{Table, as_f64};
use crate::measure::{Usage, measure, median};
use crate::scene::{self, Scene};

/// Reads an archive, unpacks it with the program's decompressor, and discards the data.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The archive
    archive: PathBuf,
}

pub(crate) fn inflate(arguments: &Arguments) -> Result<()> {
    let packed = fs::read(&arguments.archive)?;
    // Archives by `conex archive` and opam have a header of ten bytes.
    let mut rest = packed.get(10..).context("this is no archive")?;
    let mut inflate = zlib_rs::Inflate::new(false, 15);
    let mut piece = vec![0; 256 << 10];
    let mut checksum = 0;
    loop {
        let (read, written) = (inflate.total_in(), inflate.total_out());
        let status = inflate
            .decompress(rest, &mut piece, zlib_rs::InflateFlush::NoFlush)
            .map_err(|error| anyhow::anyhow!("{}", error.as_str()))?;
        let (used, made) = (inflate.total_in() - read, inflate.total_out() - written);
        rest = rest.get(usize::try_from(used)?..).unwrap_or_default();
        let made = piece.get(..usize::try_from(made)?).unwrap_or_default();
        checksum = zlib_rs::crc32::crc32(checksum, made);
        if status == zlib_rs::Status::StreamEnd {
            break;
        }
        ensure!(used > 0 || !made.is_empty(), "the archive is cut off");
    }
    let expected = rest.get(..4).context("the archive is cut off")?;
    ensure!(checksum.to_le_bytes() == expected, "the checksum is wrong");
    println!("{} bytes", inflate.total_out());
    Ok(())
}

/// A client whose copy is packed, as opam 2.6 keeps it, and an update of five packages.
pub(super) struct Packed<'a> {
    scene: &'a Scene,
    anchor: &'a str,
    archive: String,
    /// The result of the update.
    new: PathBuf,
    patch: String,
}

impl<'a> Packed<'a> {
    /// Packs the old tree, and the new one from the scene.
    pub(super) fn new(scene: &'a Scene, anchor: &'a str, old: &Path, patch: &Path) -> Result<Self> {
        let base = old.parent().context("a parent")?;
        let archive = base.join("packed.tar.gz");
        let new = base.join("packed.tar.gz.new");
        pack(scene, old, &archive)?;
        pack(scene, scene.tree(), &new)?;
        Ok(Self {
            scene,
            anchor,
            archive: archive.display().to_string(),
            new,
            patch: patch.display().to_string(),
        })
    }

    fn verify(&self, arguments: &[&str]) -> Result<Usage> {
        let enforce = [
            "verify",
            "--mode",
            "enforce",
            "--trust-anchors",
            self.anchor,
        ];
        self.scene.measure(&[&enforce, arguments].concat())
    }

    /// Verifies the whole archive without a record, and an update of it.
    fn whole_and_fast(&self) -> Result<(Usage, Usage)> {
        // An existing record is not written again.
        self.scene.forget_records()?;
        let whole = self.verify(&["--dir", &self.archive])?;
        let (archive, patch) = (self.archive.as_str(), self.patch.as_str());
        let update = ["--fast", "--incremental", "--repository", archive];
        let fast = self.verify(&[&update[..], &["--patch", patch]].concat())?;
        Ok((whole, fast))
    }
}

/// Like [`Packed`], with another build. It signs its own repository, because it may not know the roots and
/// projections of a newer one.
pub(super) struct Earlier {
    scene: Scene,
    anchor: String,
    old: PathBuf,
    patch: PathBuf,
}

impl Earlier {
    pub(super) fn new(program: &Path, base: &Path, bundle: &Path) -> Result<Self> {
        let scene = Scene::new(program.to_owned(), base.join("home"), base.join("tree"));
        fs::create_dir_all(base)?;
        scene::clone(bundle, scene.tree())?;
        let anchor = scene.found()?;
        scene.expect(&["bootstrap", "--key", "alice", "--yes"])?;
        scene.expect(&["approve", "--all", "--key", "bob", "--yes"])?;
        let (old, patch) = patched(&scene)?;
        Ok(Self {
            scene,
            anchor,
            old,
            patch,
        })
    }

    fn packed(&self) -> Result<Packed<'_>> {
        Packed::new(&self.scene, &self.anchor, &self.old, &self.patch)
    }
}

/// Measures an update of five packages, with the copy packed as opam 2.6 keeps it.
pub(super) fn real(
    packed: &Packed<'_>,
    earlier: Option<&Earlier>,
    runs: usize,
    table: &mut Table,
) -> Result<()> {
    let earlier = earlier.map(Earlier::packed).transpose()?;
    let (mut to_floor, mut plain, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    let (mut to_earlier, mut whole_to_earlier) = (Vec::new(), Vec::new());
    let mut memory = 0;
    for _ in 0..runs {
        let (verified, updated) = packed.whole_and_fast()?;
        memory = updated.memory.max(memory);
        let unpacked = floor(&packed.new)?;
        to_floor.push(updated.wall / unpacked.wall);
        plain.push((updated.wall, unpacked.wall));
        if let Some(earlier) = &earlier {
            let (verified_earlier, updated_earlier) = earlier.whole_and_fast()?;
            to_earlier.push(updated.wall / updated_earlier.wall);
            whole_to_earlier.push(verified.wall / verified_earlier.wall);
        }
        whole.push(verified.wall);
    }
    table.row("packed, fast / unpacking it", median(to_floor), 1.3);
    let (updated, unpacked): (Vec<f64>, Vec<f64>) = plain.into_iter().unzip();
    table.note(format_args!(
        "{:.1} ms, beside {:.1} ms; verified whole in {:.1} ms",
        median(updated) * 1e3,
        median(unpacked) * 1e3,
        median(whole) * 1e3
    ));
    if earlier.is_some() {
        let ratio = median(to_earlier);
        table.row("packed, fast / the build before", ratio, 1.0 / 3.0);
        let ratio = median(whole_to_earlier);
        table.row("packed, verified whole / the build before", ratio, 1.0);
    }
    table.row("peak memory of it, MB", as_f64(memory) / 1e6, 60.0);
    Ok(())
}

fn floor(archive: &Path) -> Result<Usage> {
    measure(
        Command::new(std::env::current_exe()?)
            .arg("inflate")
            .arg(archive),
    )
}

/// Writes the archive that a server would offer of a tree.
fn pack(scene: &Scene, tree: &Path, archive: &Path) -> Result<()> {
    let mut command = scene.command_of(scene.program(), tree, &["archive"]);
    let output = command.arg(archive).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "conex archive: {error}");
    Ok(())
}
