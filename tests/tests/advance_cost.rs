//! What advancing costs where much waits. Run with `--ignored --nocapture`.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::print_stdout, reason = "this measures")]

use std::time::Instant;

use conex_core::model::digest::Digest;
use conex_tests::{Community, Pilot, opam_file};

const PAGES: u32 = 2_000;

fn digest(number: u32) -> Digest {
    Digest::parse(&format!("{number:064x}")).unwrap()
}

/// Pages of one person that wait, in the ways in which they can.
fn scenes() -> Vec<(&'static str, Community)> {
    let settled = Community::settled("opam");
    let mut scenes = Vec::new();
    let mut scene = |name, vouch: &dyn Fn(&mut Community, u32)| {
        let mut main = settled.clone();
        for number in 1..=PAGES {
            vouch(&mut main, number);
        }
        main.release("bar", "0.2", &opam_file("4.14", "two"));
        main.approve("alice", "bar");
        scenes.push((name, main));
    };
    scene("one statement in many versions", &|main, number| {
        let mut vouch = main.gone("lib", &format!("0.{}", number + 5));
        vouch.digest = digest(number);
        main.vouch("erin", &[vouch]);
    });
    scene("one statement in one version", &|main, number| {
        let mut vouch = main.gone("lib", "0.7");
        vouch.digest = digest(number);
        main.vouch("erin", &[vouch]);
    });
    scene("a package for each page", &|main, number| {
        let mut vouch = main.gone(&format!("new{number}"), "0.1");
        vouch.digest = digest(number);
        main.vouch("alice", &[vouch]);
    });
    scene("a release for each page", &|main, number| {
        let mut vouch = main.release_gone("lib", &format!("9.{number}"), "0.1");
        vouch.digest = digest(number);
        let mut whole = main.gone("lib", &format!("0.{}", number + 5));
        whole.digest = digest(number);
        main.vouch("erin", &[whole, vouch]);
    });
    scene(
        "a package for each page and one for all",
        &|main, number| {
            let mut vouch = main.gone(&format!("new{number}"), "0.1");
            vouch.digest = digest(number);
            let mut whole = main.gone("foo", &format!("0.{}", number + 5));
            whole.digest = digest(number);
            main.vouch("alice", &[whole, vouch]);
        },
    );
    scene(
        "a package with unapproved data for each page",
        &|main, number| {
            let name = format!("new{number}");
            main.release(&name, "1", &opam_file("4.14", "one"));
            let mut vouch = main.gone(&name, "0.1");
            vouch.digest = digest(number);
            main.vouch("alice", &[vouch]);
        },
    );
    scenes
}

#[test]
#[ignore = "measures"]
fn cost_of_pages_that_wait() {
    for (name, main) in scenes() {
        let mut pilot = Pilot::of(&Community::settled("opam"));
        let start = Instant::now();
        let advanced = pilot.dry_run(&main);
        let taken = start.elapsed();
        println!(
            "{name}: {} ms, {} wait",
            taken.as_millis(),
            advanced.waiting.len()
        );
        pilot.advance(&main);
        assert!(pilot.signed.tree.get("packages/bar/bar.0.2/opam").is_some());
    }
}
