//! Everything that can happen in a few steps, instead of some of what can happen in many.

use core::hash::{Hash as _, Hasher as _};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::rc::Rc;

use conex_core::tree::store::MemoryStore;
use conex_core::verify::Mode;

use super::Violation;
use super::check::high_water;
use super::clients::{Client, exchange};
use super::plan::Settings;
use super::scheme::Scheme;
use super::step::Step;
use super::world::{Done, World};

/// A community in which everything is tried: two of three janitors decide, one of whom is the attacker's; each of two
/// authors owns a package.
pub const SMALL: Settings = Settings {
    janitors: 3,
    quorum: 2,
    upkeep: 1,
    unclaimed: 1,
    complete: false,
    authors: 2,
    packages: 2,
    bad_janitors: 1,
    bad_authors: 0,
};

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Explored {
    /// Different states of the community.
    pub states: usize,
    /// Trees that were offered to a client.
    pub offers: usize,
    /// Of them, those that the client took.
    pub taken: usize,
}

/// Lets every sequence of at most `depth` of some moves happen in a community.
///
/// From each state that is reached, the main line is put in order as the tools suggest (invariant `f`); every followed
/// state is held against all before it (`d`); and every client of one of them is served every mixture of them, twice
/// in a row (`b` and `c`).
///
/// # Errors
/// The first violation.
pub fn explore(
    settings: &Settings,
    moves: &[Step],
    depth: usize,
    scheme: Scheme,
) -> Result<Explored, Box<Violation>> {
    let mut world = World::found(settings, scheme)?;
    world.is_thorough = true;
    let mut search = Search {
        moves,
        seen: HashMap::new(),
        explored: Explored::default(),
    };
    search.from(&world, depth)?;
    Ok(search.explored)
}

struct Search<'s> {
    moves: &'s [Step],
    /// The states, each with how many steps were tried from there.
    seen: HashMap<u64, usize>,
    explored: Explored,
}

impl Search<'_> {
    fn from(&mut self, world: &World, depth: usize) -> Done {
        let state = world.digest();
        let tried = self.seen.get(&state).copied();
        if tried.is_some_and(|tried| tried >= depth) {
            return Ok(());
        }
        self.seen.insert(state, depth);
        if tried.is_none() {
            self.explored.states += 1;
            world.clone().settle()?;
        }
        let Some(rest) = depth.checked_sub(1) else {
            return Ok(());
        };
        for step in self.moves {
            let mut next = world.clone();
            next.take(step)?;
            if next.stages.len() > world.stages.len() {
                self.serve(&next)?;
            }
            self.from(&next, rest)?;
        }
        Ok(())
    }

    /// Serves every mixture of the followed states to every client of one of them, and another one to who took it.
    fn serve(&mut self, world: &World) -> Done {
        let mixtures = world.mixtures();
        for at in 0..world.stages.len() {
            let mut before = world.clone();
            before.tell(format!("a client follows the state {at}"));
            before.clients = world.client_of(at).into_iter().collect();
            for (name, tree) in &mixtures {
                let mut first = before.clone();
                if !self.offer(&mut first, name, tree)? || world.is_stage(tree) {
                    continue;
                }
                for (name, tree) in &mixtures {
                    self.offer(&mut first.clone(), name, tree)?;
                }
            }
        }
        Ok(())
    }

    fn offer(
        &mut self,
        world: &mut World,
        name: &str,
        tree: &MemoryStore,
    ) -> Result<bool, Box<Violation>> {
        world.tell(format!("ATTACK: it is served {name}"));
        let taken = world.offer(0, tree, true)?;
        self.explored.offers += 1;
        self.explored.taken += usize::from(taken);
        Ok(taken)
    }
}

impl World {
    /// Every tree with the data of one followed state, the people and claims of one, and the pages of one, under the
    /// newest root of the three.
    fn mixtures(&self) -> Vec<(String, MemoryStore)> {
        let all = || (0..self.stages.len()).zip(&self.stages);
        let mut mixtures: Vec<(String, MemoryStore)> = Vec::new();
        for (a, data) in all() {
            for (b, people) in all() {
                for (c, pages) in all() {
                    let mut tree = (*data.tree).clone();
                    for directory in ["conex/authors/", "conex/teams/", "conex/packages/"] {
                        exchange(&mut tree, &people.tree, directory);
                    }
                    for directory in ["conex/index/", "conex/batches/"] {
                        exchange(&mut tree, &pages.tree, directory);
                    }
                    if let Some(newest) = self.stages.get(a.max(b).max(c)) {
                        exchange(&mut tree, &newest.tree, "conex/root/");
                    }
                    let is_known = mixtures
                        .iter()
                        .any(|(_, known)| known.files().eq(tree.files()));
                    if !is_known {
                        let name = format!("the data of {a}, the people of {b}, the pages of {c}");
                        mixtures.push((name, tree));
                    }
                }
            }
        }
        mixtures
    }

    /// A client that follows one state, and knows of no other.
    fn client_of(&self, at: usize) -> Option<Client> {
        let stage = self.stages.get(at)?;
        Some(Client {
            tree: Rc::clone(&stage.tree),
            record: stage.record.clone(),
            state: Rc::clone(&stage.state),
            mode: Mode::Warn,
            high: high_water(&stage.state),
            misled: false,
        })
    }

    fn is_stage(&self, tree: &MemoryStore) -> bool {
        let mut stages = self.stages.iter();
        stages.any(|stage| stage.tree.files().eq(tree.files()))
    }

    /// All that what happens next depends on, but for what the main line was before.
    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut add = |tree: &MemoryStore| {
            for file in tree.files() {
                file.hash(&mut hasher);
            }
            0xff_u8.hash(&mut hasher);
        };
        add(&self.main);
        for stage in &self.stages {
            add(&stage.tree);
        }
        for branch in &self.branches {
            add(&branch.base);
            add(&branch.tree);
        }
        (&self.bad_keys, &self.removed, &self.keys, &self.wanted).hash(&mut hasher);
        hasher.finish()
    }
}

/// Moves that belong together, of which all short sequences are worth a look: a word for them, and the moves. The
/// first author owns the first package.
pub fn themes() -> [(&'static str, Vec<Step>); 5] {
    [
        (
            "absences",
            vec![
                publish(0, 1),
                REMOVE,
                REMOVE_ALL,
                give(LINE),
                RAISE,
                Step::Advance,
            ],
        ),
        (
            "people",
            vec![
                publish(1, 1),
                give(LINE),
                ROTATE,
                retire(0),
                retire(2),
                Step::Advance,
            ],
        ),
        (
            "branches",
            vec![
                Step::Branch,
                Step::Merge { branch: 0 },
                publish(0, 1),
                give(1),
                retire(0),
                Step::Advance,
            ],
        ),
        (
            "roots",
            vec![
                Step::Steal { who: 0 },
                REVOKE,
                ROOT,
                REMOVE_ALL,
                publish(0, 1),
                Step::Advance,
            ],
        ),
        (
            "junk",
            vec![
                vouch(2, 6),
                vouch(0, 4),
                publish(0, 1),
                REMOVE,
                TAMPER,
                Step::Advance,
            ],
        ),
    ]
}

/// The main line.
const LINE: u8 = 0;

/// The first package, which all of it is about.
const PACKAGE: u8 = 0;

/// Everybody approves what is done.
const SUPPORT: u8 = 9;

const REMOVE: Step = Step::Remove {
    line: LINE,
    package: PACKAGE,
    release: 0,
    support: SUPPORT,
};

const REMOVE_ALL: Step = Step::RemoveAll {
    line: LINE,
    package: PACKAGE,
    support: SUPPORT,
};

const RAISE: Step = Step::Raise {
    line: LINE,
    package: PACKAGE,
    support: SUPPORT,
};

const ROTATE: Step = Step::Rotate {
    line: LINE,
    who: 0,
    keep: false,
    support: SUPPORT,
};

const ROOT: Step = Step::Root {
    line: LINE,
    change: 52,
    who: 0,
    keep: false,
    support: SUPPORT,
};

const REVOKE: Step = Step::Revoke {
    who: 0,
    keep: false,
};

const TAMPER: Step = Step::Tamper {
    package: PACKAGE,
    how: 0,
};

const fn publish(release: u8, text: u8) -> Step {
    Step::Publish {
        line: LINE,
        package: PACKAGE,
        release,
        text,
        support: SUPPORT,
    }
}

/// The package is given to somebody else.
const fn give(line: u8) -> Step {
    Step::Claim {
        line,
        package: PACKAGE,
        owners: 3,
        threshold: 1,
        support: SUPPORT,
    }
}

const fn retire(what: u8) -> Step {
    Step::Retire {
        line: LINE,
        what,
        support: SUPPORT,
    }
}

/// The attacker's janitor signs something of the first package, in a page that is merged.
const fn vouch(version: u8, content: u8) -> Step {
    Step::Vouch {
        who: 0,
        subject: 5,
        version,
        content,
    }
}
