//! Signatures of every algorithm, honest and hostile.
//!
//! They were made by the tests of `conex-crypto`, which compare the text with what its keys make.

use conex_core::model::crypto::Namespace;
use conex_core::model::key::{PublicKey, Signature};

use super::Cases;
use super::statements::signature_case;

const CASES: &str = include_str!("../../../crates/conex-crypto/tests/schemes.txt");

pub(super) fn add(cases: &mut Cases) {
    for case in CASES.split("\n\n").skip(1) {
        let mut parts = case.splitn(3, '\n');
        let mut part = || parts.next().expect("a case has three parts");
        let (name, key, armour) = (part(), part(), part());
        let key = PublicKey::parse(key).expect("the second line is a key");
        let signature =
            Signature::parse(&format!("{}\n", armour.trim_end())).expect("the rest is a signature");
        let case = signature_case(&key, Namespace::Page, b"message", &signature);
        cases.insert(format!("signatures/{name}"), case);
    }
}
