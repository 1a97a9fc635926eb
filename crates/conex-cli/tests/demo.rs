//! The demo plays, and says what it always says.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use core::fmt::Write as _;
use core::time::Duration;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

fn demo(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_conex"))
        .arg("demo")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .env_clear()
        .env("TMPDIR", directory)
        .output()
        .unwrap()
}

/// Keys are new each time, and so are the first digits of what is shown of them.
fn without_digits(said: &str) -> String {
    const SHOWN: usize = 8;
    let is_digit = |found: char| found.is_ascii_alphanumeric() || "+/".contains(found);
    let mut parts = said.split("...").peekable();
    let mut filtered = String::new();
    while let Some(part) = parts.next() {
        let digits = part.chars().rev().take_while(|found| is_digit(*found));
        if parts.peek().is_some() && digits.count() >= SHOWN {
            filtered.push_str(&part[..part.len() - SHOWN]);
            filtered.push_str("[........]");
        } else {
            filtered.push_str(part);
        }
        if parts.peek().is_some() {
            filtered.push_str("...");
        }
    }
    filtered
}

#[test]
fn the_demo_plays() {
    let directory = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let output = demo(directory.path(), &[]);
    let took = begin.elapsed();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(said.matches("\n  refused, ").count(), 7);
    assert!(!said.contains('\x1b'), "colour without a terminal");
    // Nothing is left behind.
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    insta::assert_snapshot!(without_digits(&said));
}

#[test]
fn what_is_kept_can_be_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let output = demo(directory.path(), &["--keep", "kept"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let (_, next) = said.split_once("What to try next\n").unwrap();
    // The commands as they are printed, with a change in between as it says.
    let mut script = String::from("set -e\n");
    for text in next.lines() {
        match text.strip_prefix("  ") {
            Some(command) if command.starts_with("conex approve") => {
                writeln!(script, "{command} --yes").unwrap();
            }
            Some(command) => writeln!(script, "{command}").unwrap(),
            None => script.push_str("sed -i 's/1.7.0/1.8.0/' packages/hex/hex.1.4.0/opam\n"),
        }
    }
    let program = Path::new(env!("CARGO_BIN_EXE_conex")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("PATH", format!("{}:{path}", program.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let tried = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{script}\n{tried}\n{output:?}");
    assert!(
        tried.contains("you are bob; 1 statement awaits you"),
        "{tried}"
    );
    assert!(tried.contains("conex/index/bob/"), "{tried}");
    // What is there is not written over.
    let again = demo(directory.path(), &["--keep", "kept"]);
    assert_eq!(again.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&again.stderr).contains("hint: "));
}
