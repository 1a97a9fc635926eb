//! A history before it happens.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use super::Violation;
use super::coverage::Coverage;
use super::random::Random;
use super::scheme::Scheme;
use super::step::{Menu, Step};
use super::world::World;

/// The community of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many janitors.
    pub janitors: u8,
    /// How many of them decide.
    pub quorum: u16,
    /// How many of them change checksums.
    pub upkeep: u16,
    /// How many of them approve what nobody claims.
    pub unclaimed: u16,
    /// Whether everything has to be signed.
    pub complete: bool,
    /// How many authors.
    pub authors: u8,
    /// How many packages.
    pub packages: u8,
    /// How many janitors are the attacker's.
    pub bad_janitors: u8,
    /// How many authors are the attacker's.
    pub bad_authors: u8,
}

impl Settings {
    fn draw(random: &mut Random) -> Self {
        let small =
            |random: &mut Random, limit| u8::try_from(random.below(limit)).unwrap_or_default();
        let janitors = 3 + small(random, 3);
        let quorum = 2 + u16::from(small(random, 2));
        let spare = u16::from(janitors).saturating_sub(quorum).min(quorum - 1);
        let authors = 2 + small(random, 3);
        Self {
            janitors,
            quorum,
            upkeep: 1 + u16::from(small(random, 2)),
            unclaimed: 1 + u16::from(small(random, 2)),
            complete: random.one_in(3),
            authors,
            packages: 2 + small(random, 3),
            bad_janitors: small(random, usize::from(spare) + 1),
            bad_authors: small(random, 2),
        }
    }
}

/// A history before it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The community.
    pub settings: Settings,
    /// What happens.
    pub steps: Vec<Step>,
    /// With which signatures.
    pub scheme: Scheme,
}

impl Plan {
    /// Draws a history of at least 20 steps.
    pub fn draw(seed: u64, scheme: Scheme) -> Self {
        let mut random = Random::new(seed);
        let settings = Settings::draw(&mut random);
        let menu = Menu::draw(&mut random);
        let length = 20 + random.below(12);
        let mut steps: Vec<Step> = (0..length).map(|_| Step::draw(&mut random, menu)).collect();
        steps.push(Step::Advance);
        steps.push(Step::Settle);
        Self {
            settings,
            steps,
            scheme,
        }
    }

    /// Lets it happen.
    ///
    /// # Errors
    /// The first violation.
    pub fn run(&self, coverage: &mut Coverage) -> Result<(), Box<Violation>> {
        let mut story = Vec::new();
        let run = catch_unwind(AssertUnwindSafe(|| self.play(coverage, &mut story)));
        run.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Box::new(Violation {
                invariant: 'p',
                kind: "a panic".to_owned(),
                detail: text.unwrap_or_default(),
                story: story.clone(),
            }))
        })
    }

    fn play(&self, coverage: &mut Coverage, story: &mut Vec<String>) -> Result<(), Box<Violation>> {
        let mut world = World::found(&self.settings, self.scheme)?;
        for step in &self.steps {
            coverage.step(step.kind());
            let done = world.take(step);
            story.clone_from(&world.story);
            done?;
        }
        coverage.add(&world.coverage);
        Ok(())
    }
}
