//! Checks the parser that the target is named after.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| conex_tests::parsers::check(env!("CARGO_BIN_NAME"), input));
