//! What an update of a packed repository costs, beside unpacking the archive and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Table, as_f64};
use crate::measure::{Usage, measure, median};
use crate::scene::Scene;

/// Reads an archive, unpacks it with the decompressor of the program, and throws the data away.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The archive
    archive: PathBuf,
}

pub(crate) fn inflate(arguments: &Arguments) -> Result<()> {
    let packed = fs::read(&arguments.archive)?;
    // Those that `conex archive` and opam write have a header of ten bytes.
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

/// Measures an update of five packages, with the copy packed as opam 2.6 keeps it.
pub(super) fn real(
    scene: &Scene,
    anchor: &str,
    (old, patch): (&Path, &Path),
    before: Option<&Path>,
    runs: usize,
    table: &mut Table,
) -> Result<()> {
    let base = old.parent().context("a parent")?;
    let archive = base.join("packed.tar.gz");
    let new = base.join("packed.tar.gz.new");
    pack(scene, old, &archive)?;
    pack(scene, scene.tree(), &new)?;
    let archive = archive.display().to_string();
    let patch = patch.display().to_string();
    let enforce = ["verify", "--mode", "enforce", "--trust-anchors", anchor];
    let full = [&enforce[..], &["--dir", &archive]].concat();
    let update = [
        &enforce[..],
        &[
            "--fast",
            "--incremental",
            "--repository",
            &archive,
            "--patch",
            &patch,
        ],
    ]
    .concat();
    let (mut fast, mut plain, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    let (mut earlier, mut earlier_whole) = (Vec::new(), Vec::new());
    let mut memory = 0;
    for _ in 0..runs {
        // A record that is kept already is not written again.
        scene.forget_records()?;
        let verified = scene.measure(&full)?;
        let updated = scene.measure(&update)?;
        memory = updated.memory.max(memory);
        let unpacked = floor(&new)?;
        fast.push(updated.wall / unpacked.wall);
        plain.push((updated.wall, unpacked.wall));
        if let Some(before) = before {
            scene.forget_records()?;
            let verified_before = measure(&scene.command_of(before, old, &full))?;
            let updated_before = measure(&scene.command_of(before, old, &update))?;
            earlier.push(updated.wall / updated_before.wall);
            earlier_whole.push(verified.wall / verified_before.wall);
        }
        whole.push(verified.wall);
    }
    table.row("packed, fast / unpacking it", median(fast), 1.3);
    let (updated, unpacked): (Vec<f64>, Vec<f64>) = plain.into_iter().unzip();
    table.note(format_args!(
        "{:.1} ms, beside {:.1} ms; verified whole in {:.1} ms",
        median(updated) * 1e3,
        median(unpacked) * 1e3,
        median(whole) * 1e3
    ));
    if before.is_some() {
        table.row(
            "packed, fast / the build before",
            median(earlier),
            1.0 / 3.0,
        );
        let ratio = median(earlier_whole);
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

/// Writes what a server offers of a tree.
fn pack(scene: &Scene, tree: &Path, archive: &Path) -> Result<()> {
    let mut command = scene.command_of(scene.program(), tree, &["archive"]);
    let output = command.arg(archive).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "conex archive: {error}");
    Ok(())
}
