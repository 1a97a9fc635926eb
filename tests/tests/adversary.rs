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
    let plan = Plan {
        settings: VILLAGE,
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
