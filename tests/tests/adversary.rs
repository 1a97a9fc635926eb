//! Random communities with an attacker, held against a second verifier; and what was found so, by name.

use conex_tests::adversary::{Coverage, Plan, Scheme, Settings, Step, shrink};
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
