//! Random communities with an attacker, held against a second verifier; and what was found so, by name.

use conex_tests::adversary::{
    Coverage, Plan, SMALL, Scheme, Settings, Step, explore, shrink, themes,
};
use conex_tests::cases;

/// Plays histories from the seeds; the first violation is shrunk and told.
fn play(seeds: impl Iterator<Item = u64>, scheme: Scheme) {
    let mut coverage = Coverage::default();
    for seed in seeds {
        let plan = Plan::draw(seed, scheme);
        if let Err(violation) = plan.run(&mut coverage) {
            let (plan, violation) = shrink(&plan, &violation);
            panic!("seed {seed}:\n{violation}\n{plan:#?}");
        }
    }
}

/// A community of four janitors, two of whom decide, with three authors and three packages: a1 owns p1 and a2
/// owns p2.
const VILLAGE: Settings = Settings {
    janitors: 4,
    quorum: 2,
    upkeep: 1,
    unclaimed: 1,
    complete: false,
    authors: 3,
    packages: 3,
    bad_janitors: 0,
    bad_authors: 0,
};

#[test]
fn no_attacker_gets_anything_past_anybody() {
    play(0..u64::from(cases(30)), Scheme::Toy);
}

#[test]
fn with_real_keys() {
    play(0..u64::from(cases(2)), Scheme::Real);
}

/// All that can happen in three steps; `cargo xtask adversary --every 6` looks at more.
#[test]
fn every_short_sequence_holds() {
    for (theme, moves) in themes() {
        match explore(&SMALL, &moves, 3, Scheme::Toy) {
            Ok(explored) => assert!(explored.taken > 0, "{theme}: nothing was served"),
            Err(violation) => panic!("{theme}:\n{violation}"),
        }
    }
}

#[test]
fn an_absence_is_not_approved_in_one_version_with_content() {
    let remove = Step::Remove {
        line: 0,
        package: 2,
        release: 1,
        support: 9,
    };
    let publish = |line, release, text| Step::Publish {
        line,
        package: 2,
        release,
        text,
        support: 9,
    };
    let steps = [
        Step::Branch,
        remove,
        publish(1, 1, 5),
        Step::Advance,
        publish(0, 2, 0),
        Step::Merge { branch: 0 },
        Step::Advance,
    ];
    holds(&steps);
}

/// Lets steps happen in the village, which have to hold.
#[track_caller]
fn holds(steps: &[Step]) {
    holds_in(VILLAGE, steps);
}

/// Lets steps happen in a community, which have to hold.
#[track_caller]
fn holds_in(settings: Settings, steps: &[Step]) {
    let plan = Plan {
        settings,
        steps: steps.to_vec(),
        scheme: Scheme::Toy,
    };
    if let Err(violation) = plan.run(&mut Coverage::default()) {
        panic!("{violation}");
    }
}

#[test]
fn the_steps_of_a_story_hold() {
    let publish = |support| Step::Publish {
        line: 0,
        package: 0,
        release: 2,
        text: 1,
        support,
    };
    holds(&[
        publish(9),
        Step::Advance,
        publish(0),
        Step::Advance,
        Step::Settle,
    ]);
}

#[test]
fn when_everything_goes_the_rest_goes_ahead() {
    let gone = |package| Step::RemoveAll {
        line: 0,
        package,
        support: 9,
    };
    let file = Step::TopFile {
        line: 0,
        text: 1,
        support: 9,
    };
    holds(&[gone(0), gone(1), gone(2), file, Step::Advance]);
}

/// Where the votes for what clients have are not enough under the rule to come, it is asked for all the same.
#[test]
fn what_clients_have_is_asked_for_under_another_rule() {
    let removed_after_a_claim = [
        Step::Claim {
            line: 0,
            package: 167,
            owners: 48,
            threshold: 82,
            support: 0,
        },
        Step::Remove {
            line: 0,
            package: 91,
            release: 99,
            support: 0,
        },
        Step::Settle,
    ];
    let strict = Settings {
        quorum: 3,
        upkeep: 2,
        authors: 4,
        packages: 4,
        ..VILLAGE
    };
    holds_in(strict, &removed_after_a_claim);
}

/// Two contents in one version, by one janitor in two branches: the one that clients have is not overruled in
/// that version by more votes for the other.
#[test]
fn more_votes_do_not_take_over_a_version_that_clients_have() {
    let publish = |line, package, release, text, support| Step::Publish {
        line,
        package,
        release,
        text,
        support,
    };
    let steps = [
        Step::Branch,
        publish(25, 74, 240, 25, 1),
        publish(0, 174, 100, 100, 9),
        Step::Claim {
            line: 197,
            package: 18,
            owners: 233,
            threshold: 197,
            support: 1,
        },
        Step::Advance,
        Step::Settle,
    ];
    let strict = Settings {
        janitors: 5,
        quorum: 3,
        upkeep: 2,
        authors: 2,
        packages: 4,
        ..VILLAGE
    };
    holds_in(strict, &steps);
}

/// The people of the state that clients follow are no people of a main line with another root.
#[test]
fn what_clients_have_names_nobody_of_the_main_line() {
    let steps = [
        Step::Root {
            line: 0,
            change: 110,
            who: 173,
            keep: false,
            support: 0,
        },
        Step::RemoveAll {
            line: 178,
            package: 55,
            support: 2,
        },
        Step::Advance,
        Step::Settle,
    ];
    let few = Settings {
        janitors: 3,
        upkeep: 2,
        unclaimed: 2,
        packages: 2,
        bad_authors: 1,
        ..VILLAGE
    };
    holds_in(few, &steps);
}

/// Junk beside an approved absence, in the same version, keeps nobody from advancing.
#[test]
fn a_vote_for_files_that_are_gone_stops_nobody() {
    let steps = [
        Step::Remove {
            line: 0,
            package: 0,
            release: 1,
            support: 9,
        },
        Step::Advance,
        Step::Vouch {
            who: 0,
            subject: 7,
            version: 0,
            content: 6,
        },
        Step::Publish {
            line: 0,
            package: 2,
            release: 2,
            text: 0,
            support: 9,
        },
        Step::Advance,
        Step::Settle,
    ];
    let one_bad = Settings {
        bad_janitors: 1,
        ..VILLAGE
    };
    holds_in(one_bad, &steps);
}

/// A merge brings back a claim of an epoch that is past, as retired: it is retired in the epoch that was approved.
#[test]
fn a_claim_of_a_past_epoch_is_mended_by_the_epoch() {
    let steps = [
        Step::Branch,
        Step::Retire {
            line: 53,
            what: 204,
            support: 9,
        },
        Step::Raise {
            line: 0,
            package: 121,
            support: 9,
        },
        Step::Settle,
    ];
    let strict = Settings {
        complete: true,
        authors: 4,
        packages: 2,
        bad_janitors: 1,
        bad_authors: 1,
        ..VILLAGE
    };
    holds_in(strict, &steps);
}

/// A branch that began before a package was retired brings the claim back: nobody is asked to approve it.
#[test]
fn what_is_retired_for_clients_is_not_approved_again() {
    let steps = [
        Step::Claim {
            line: 0,
            package: 217,
            owners: 176,
            threshold: 30,
            support: 9,
        },
        Step::Branch,
        Step::Retire {
            line: 0,
            what: 113,
            support: 9,
        },
        Step::Publish {
            line: 50,
            package: 5,
            release: 52,
            text: 50,
            support: 0,
        },
        Step::Claim {
            line: 97,
            package: 160,
            owners: 203,
            threshold: 97,
            support: 9,
        },
        Step::Advance,
        Step::Settle,
    ];
    let settings = Settings {
        janitors: 5,
        unclaimed: 2,
        authors: 2,
        bad_janitors: 1,
        bad_authors: 1,
        ..VILLAGE
    };
    holds_in(settings, &steps);
}

/// The same of an author, whose new key and whose retirement are approved in one version in two branches.
#[test]
fn an_author_who_is_retired_for_clients_stays_so() {
    let steps = [
        Step::Tamper {
            package: 73,
            how: 100,
        },
        Step::Branch,
        Step::Publish {
            line: 0,
            package: 65,
            release: 42,
            text: 160,
            support: 9,
        },
        Step::Rotate {
            line: 21,
            who: 182,
            keep: true,
            support: 9,
        },
        Step::Retire {
            line: 0,
            what: 202,
            support: 9,
        },
        Step::Advance,
        Step::Settle,
    ];
    let settings = Settings {
        janitors: 5,
        quorum: 3,
        upkeep: 2,
        unclaimed: 2,
        complete: true,
        packages: 4,
        ..VILLAGE
    };
    holds_in(settings, &steps);
}

/// Whoever merges junk and approves it alone leaves nothing on the main line once that is taken away.
#[test]
fn approved_junk_that_was_taken_away_is_not_missed() {
    let steps = [
        Step::Junk {
            kind: 69,
            package: 215,
        },
        Step::Vouch {
            who: 26,
            subject: 47,
            version: 252,
            content: 181,
        },
        Step::Advance,
        Step::Settle,
    ];
    let settings = Settings {
        janitors: 5,
        quorum: 3,
        upkeep: 2,
        authors: 4,
        packages: 2,
        bad_janitors: 2,
        ..VILLAGE
    };
    holds_in(settings, &steps);
}

/// A retired package has the rules of one with owners: so a release that two of three janitors removed from it stays removed.
#[test]
fn what_is_said_of_a_retired_package_has_its_rules() {
    let steps = [
        Step::Claim {
            line: 120,
            package: 171,
            owners: 135,
            threshold: 120,
            support: 9,
        },
        Step::Root {
            line: 0,
            change: 83,
            who: 97,
            keep: true,
            support: 1,
        },
        Step::Retire {
            line: 0,
            what: 13,
            support: 9,
        },
        Step::Follow {
            client: 43,
            stage: 167,
        },
        Step::Settle,
        Step::Serve {
            client: 118,
            base: 250,
            seed: 9_441_241_944_600_305_860,
        },
    ];
    let settings = Settings {
        janitors: 5,
        quorum: 3,
        upkeep: 2,
        unclaimed: 2,
        authors: 2,
        packages: 4,
        bad_authors: 1,
        ..VILLAGE
    };
    holds_in(settings, &steps);
}

/// A name that is claimed in two cases is taken in each, also where one of them is that of the package.
#[test]
fn a_package_collides_with_a_claim_in_another_case_beside_its_own() {
    let steps = [
        Step::Junk {
            kind: 54,
            package: 0,
        },
        Step::Vouch {
            who: 236,
            subject: 157,
            version: 18,
            content: 3,
        },
        Step::Settle,
    ];
    let settings = Settings {
        upkeep: 2,
        complete: true,
        authors: 2,
        packages: 2,
        bad_janitors: 1,
        ..VILLAGE
    };
    holds_in(settings, &steps);
}
