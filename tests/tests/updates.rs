//! What holds for any update: the two laws of spec section 9.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use conex_core::problem::Code;
use conex_tests::{Client, Community};

#[test]
fn nothing_at_all_is_an_update() {
    for layout in ["plain", "opam"] {
        let community = Community::settled(layout);
        Client::of(&community).offered(&community).accepted();
    }
}

#[test]
fn a_release_is_an_update_that_is_told_by_what_changed() {
    let mut community = Community::settled("plain");
    let client = Client::of(&community);
    community.release("foo", "3.0", "three\n");
    community.approve("dave", "foo");
    client.offered(&community).accepted();
    client.part(&community.tree).unwrap().accepted();
    let back = Client::of(&community);
    back.judge(&client.tree).refused(&[(Code::Rollback, "foo")]);
}
