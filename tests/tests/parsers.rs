//! Honest inputs, edited without end: whatever comes out of a parser is one of the answers allowed.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use core::cell::Cell;

use conex_tests::parsers::{PARSERS, Parser};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// What tells parsers something.
const WORDS: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b"\t",
    b"\0",
    b" ",
    b"\"",
    b"\"\"\"",
    b"'",
    b"#",
    b"\\",
    b"/",
    b"..",
    b"[",
    b"]",
    b"{",
    b"}",
    b"(",
    b")",
    b",",
    b" = ",
    b"=",
    b":",
    b"-",
    b"~",
    b"+",
    b"0",
    b"1",
    b"18446744073709551616",
    b"-1",
    b"1.0",
    b"\xff",
    b"\xef\xbb\xbf",
    "\u{e9}".as_bytes(),
    b"--- a/x\n",
    b"+++ b/x\n",
    b"@@ -1 +1 @@\n",
    b"diff --git a/x b/x\n",
    b"(*",
    b"*)",
    b"&",
    b"|",
    b"\x00\x00\x00\x01",
    b"\xff\xff\xff\xff",
    b"\x1f\x8b\x08",
];

/// One edit of an input.
#[derive(Debug, Clone)]
enum Edit {
    Byte(Index, u8),
    Cut(Index, usize),
    Repeat(Index, usize, Index),
    Word(Index, usize),
    Splice(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<Index>;
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        (index(), 1..40_usize).prop_map(|(at, length)| Edit::Cut(at, length)),
        (index(), 1..80_usize, index()).prop_map(|(at, length, to)| Edit::Repeat(at, length, to)),
        (index(), 0..WORDS.len()).prop_map(|(at, word)| Edit::Word(at, word)),
        (index(), index(), index()).prop_map(|(at, seed, from)| Edit::Splice(at, seed, from)),
    ]
}

fn apply(edit: &Edit, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let place = |at: &Index, length: usize| at.index(length + 1);
    match edit {
        Edit::Byte(at, byte) if !input.is_empty() => {
            let at = at.index(input.len());
            input.splice(at..=at, [*byte]);
        }
        Edit::Byte(_, byte) => input.push(*byte),
        Edit::Cut(at, length) => {
            let at = place(at, input.len());
            input.drain(at..input.len().min(at + length));
        }
        Edit::Repeat(at, length, to) => {
            let at = place(at, input.len());
            let piece: Vec<u8> = input.iter().skip(at).take(*length).copied().collect();
            let to = place(to, input.len());
            input.splice(to..to, piece);
        }
        Edit::Word(at, word) => {
            let at = place(at, input.len());
            let word = WORDS.get(*word).copied().unwrap_or_default();
            input.splice(at..at, word.iter().copied());
        }
        Edit::Splice(at, seed, from) => {
            let seed = seed.get(seeds);
            let at = place(at, input.len());
            let from = place(from, seed.len());
            input.truncate(at);
            input.extend(seed.iter().skip(from));
        }
    }
}

/// As many cases as CI has time for, the same each time; `CONEX_CASES=20` makes it twenty times as many, others each time.
fn runner() -> TestRunner {
    let times = std::env::var("CONEX_CASES").ok();
    let config = |times: u32| Config {
        failure_persistence: None,
        ..Config::with_cases(2_000 * times)
    };
    match times {
        Some(times) => TestRunner::new(config(times.parse().expect("CONEX_CASES is a number"))),
        None => {
            TestRunner::new_with_rng(config(1), TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        }
    }
}

fn hold(parser: &Parser) {
    let seeds = (parser.seeds)();
    for seed in &seeds {
        let _ = (parser.check)(seed);
    }
    let inputs = (any::<Index>(), prop::collection::vec(edit(), 1..6));
    let accepted = Cell::new(0);
    let result = runner().run(&inputs, |(seed, edits)| {
        let mut input = seed.get(&seeds).clone();
        for edit in &edits {
            apply(edit, &mut input, &seeds);
        }
        let checked = std::panic::catch_unwind(|| (parser.check)(&input));
        let fault = || format!("{}: {}", parser.name, input.escape_ascii());
        let is_accepted = checked.map_err(|_| TestCaseError::fail(fault()))?;
        accepted.set(accepted.get() + u32::from(is_accepted));
        Ok(())
    });
    result.unwrap();
    // Where nothing edited is ever accepted, nothing was tried.
    assert_ne!(accepted.get(), 0, "{}", parser.name);
}

#[test]
fn whatever_the_bytes_the_answer_is_one_that_is_allowed() {
    for parser in PARSERS {
        hold(parser);
    }
}

/// There is a target for each parser, and for nothing else.
#[test]
fn a_fuzzer_finds_them_all() {
    let manifest = include_str!("../../fuzz/Cargo.toml");
    let targets: Vec<&str> = manifest
        .split("[[bin]]\nname = \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let names: Vec<&str> = PARSERS.iter().map(|parser| parser.name).collect();
    assert_eq!(targets, names);
}
