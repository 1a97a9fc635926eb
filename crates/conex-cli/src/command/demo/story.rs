//! The story of the demo: honest people first, then six attacks on a mirror of their work.

use crate::command::demo::sample::{ASTRING, FIRST, HEX};
use crate::command::demo::stage::{MIRROR, REPO, Stage, say};
use crate::error::Result;

const HEX_OLD: &str = "packages/hex/hex.1.4.0/opam";
const BOUND: (&str, &str) = (
    "\"cstruct\" {>= \"1.7.0\"}",
    "\"cstruct\" {>= \"1.7.0\" & < \"7\"}",
);
const SOURCE: (&str, &str) = (
    "https://github.com/mirage/ocaml-hex/releases/",
    "https://mirror.example.org/ocaml-hex/",
);

/// Builds a community from nothing until everything is signed.
pub(super) fn people(stage: &mut Stage) -> Result<()> {
    stage.step(
        "Keys",
        &[
            "alice, bob and carol are janitors of a small package repository; dave and erin write packages.",
            "Every command shows what it would sign and asks once; in this demo the answer is yes.",
        ],
    );
    for file in FIRST {
        stage.put(REPO, *file)?;
    }
    for who in ["alice", "bob", "carol", "dave", "erin"] {
        stage.run(who, &format!("key new {who} --no-passphrase"))?;
    }

    stage.step(
        "The root: who the janitors are",
        &["Two of three decide about people, ownership and sources; one may repair version bounds."],
    );
    let said = stage.run(
        "alice",
        "init --origin demo --janitor alice --janitor bob --janitor carol --quorum 2 --upkeep 1",
    )?;
    stage.run("bob", "root sign")?;
    stage.anchor(&said)?;

    stage.step(
        "Day zero: all that is there, signed by two",
        &["Clients know the digest of the root (CONEX_TRUST_ANCHORS=root:...), and nothing else."],
    );
    stage.run("alice", "bootstrap")?;
    stage.run("bob", "approve --all")?;
    stage.accepted(REPO)?;

    stage.step("Authors: who they are, and what is theirs", &[]);
    stage.run("dave", "enroll dave")?;
    stage.run("erin", "enroll erin")?;
    stage.run("dave", "claim hex")?;
    stage.run("alice", "approve --all")?;
    stage.run("bob", "approve --all")?;

    stage.step("A team, and its package", &[]);
    stage.run("alice", "team makers --create --add dave --add erin")?;
    stage.run("bob", "approve makers")?;
    stage.run("erin", "claim astring --owner makers")?;
    stage.run("alice", "approve astring")?;
    stage.run("bob", "approve astring")?;
    stage.accepted(REPO)?;

    stage.step(
        "Releases: one command and one new file each, and no janitor is needed",
        &[],
    );
    stage.add(REPO, HEX)?;
    stage.run("dave", "publish hex.1.5.0")?;
    stage.add(REPO, ASTRING)?;
    stage.run("erin", "publish astring.0.8.5")?;
    stage.accepted(REPO)?;

    stage.step(
        "A janitor mends a version bound of dave's package",
        &["Bounds are upkeep: here one janitor is enough, and dave need not do anything."],
    );
    stage.edit(REPO, HEX_OLD, BOUND.0, BOUND.1)?;
    stage.run("carol", "approve hex/1.4.0")?;
    stage.accepted(REPO)?;
    stage.run("bob", "status hex")?;

    stage.step(
        "The same janitor changes where the source comes from",
        &["What is fetched, built or run needs the owner, or a quorum: carol alone is neither."],
    );
    stage.edit(REPO, HEX.0, SOURCE.0, SOURCE.1)?;
    stage.run("carol", "approve hex")?;
    stage.refused(REPO, "content-differs: hex releases")?;
    say("The edit is undone, and carol takes her approval of it back:");
    stage.edit(REPO, HEX.0, SOURCE.1, SOURCE.0)?;
    stage.run("carol", "retract hex")?;
    stage.accepted(REPO)
}

/// Serves something other than what people signed, in six ways.
pub(super) fn attacks(stage: &mut Stage) -> Result<()> {
    stage.step(
        "A mirror, as it should be",
        &["Whoever serves the repository may change anything in it. First, nothing is changed."],
    );
    stage.mirror()?;
    stage.accepted(MIRROR)?;

    stage.step("Attack 1 of 6: one changed byte", &[]);
    stage.edit(MIRROR, HEX.0, "sha256=2e67", "sha256=2e66")?;
    stage.refused(MIRROR, "content-differs: hex releases")?;

    stage.step("Attack 2 of 6: one more file, that opam would read", &[]);
    stage.mirror()?;
    let file = "packages/hex/hex.1.5.0/files/hex.install";
    stage.add(MIRROR, (file, "bin: [\"sh\" {\"hex\"}]\n"))?;
    stage.refused(MIRROR, "content-differs: hex releases")?;

    stage.step("Attack 3 of 6: the author's signatures are stripped", &[]);
    stage.mirror()?;
    stage.strip("dave")?;
    stage.refused(MIRROR, "content-differs: hex releases")?;

    stage.step(
        "Attack 4 of 6: older content, from before the bound was mended",
        &[],
    );
    stage.mirror()?;
    stage.edit(MIRROR, HEX_OLD, BOUND.1, BOUND.0)?;
    stage.refused(MIRROR, "behind: hex/1.4.0 checksums")?;

    stage.step(
        "Attack 5 of 6: the same release at a second place, which opam would take instead",
        &[],
    );
    stage.mirror()?;
    stage.add(MIRROR, ("packages/aaa/hex.1.5.0/opam", HEX.1))?;
    stage.refused(MIRROR, "packages/aaa")?;

    stage.step(
        "Attack 6 of 6: a stranger makes a key, a claim and a release, all well signed",
        &["No janitor approved mallory, so nothing of mallory's counts."],
    );
    stage.mirror()?;
    stage.run_in(MIRROR, "mallory", "key new mallory --no-passphrase")?;
    stage.run_in(MIRROR, "mallory", "enroll mallory")?;
    stage.run_in(MIRROR, "mallory", "claim base64")?;
    stage.add(MIRROR, ("packages/base64/base64.9.9.9/opam", HEX.1))?;
    stage.run_in(MIRROR, "mallory", "publish base64.9.9.9")?;
    stage.refused(MIRROR, "not-approved: mallory author")?;

    stage.clear()?;
    stage.step("Afterwards", &["What people work on is as it was."]);
    stage.accepted(REPO)
}
