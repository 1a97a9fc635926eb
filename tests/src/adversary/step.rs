//! What may happen, drawn at random.

use super::random::Random;

/// Something that happens. Numbers choose among what there is when it happens; `line` chooses the main
/// line or a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields say what they choose")]
pub enum Step {
    /// A release is written; so many people approve it.
    Publish {
        line: u8,
        package: u8,
        release: u8,
        text: u8,
        support: u8,
    },
    /// A release goes; so many people approve that.
    Remove {
        line: u8,
        package: u8,
        release: u8,
        support: u8,
    },
    /// All of a package goes.
    RemoveAll { line: u8, package: u8, support: u8 },
    /// A file of the repository changes.
    TopFile { line: u8, text: u8, support: u8 },
    /// A package is claimed, or gets other owners.
    Claim {
        line: u8,
        package: u8,
        owners: u8,
        threshold: u8,
        support: u8,
    },
    /// The epoch of a claimed package is raised.
    Raise { line: u8, package: u8, support: u8 },
    /// An author comes.
    Enrol { line: u8, who: u8, support: u8 },
    /// A team comes, or gets other members.
    Team { line: u8, members: u8, support: u8 },
    /// An author gets another key; the pages of the old one are listed, or not.
    Rotate {
        line: u8,
        who: u8,
        keep: bool,
        support: u8,
    },
    /// A package, an author or a team is retired.
    Retire { line: u8, what: u8, support: u8 },
    /// Whoever is asked approves whatever waits of a name.
    Approve { line: u8, name: u8, support: u8 },
    /// Content of the past is approved anew, above all that is ahead.
    Retract { line: u8, package: u8 },
    /// A page of one takes the place of all of theirs.
    Compact { line: u8, who: u8 },
    /// The next root: somebody joins, leaves, gets another key, or a rule changes. So many sign.
    Root {
        line: u8,
        change: u8,
        who: u8,
        keep: bool,
        support: u8,
    },
    /// A branch begins.
    Branch,
    /// A branch is merged.
    Merge { branch: u8 },
    /// Only the pages of a branch are merged: approval ahead.
    MergePages { branch: u8 },
    /// The followed state is advanced.
    Advance,
    /// Clients follow: one with a record, or a fresh one.
    Follow { client: u8, stage: u8 },
    /// The main line is put in order as the tools suggest, and advanced.
    Settle,
    /// Attack: the attacker gets hold of the key of somebody.
    Steal { who: u8 },
    /// The key of somebody from whom it was stolen is revoked.
    Revoke { who: u8, keep: bool },
    /// Attack: junk is merged.
    Junk { kind: u8, package: u8 },
    /// Attack: data of a package is changed, added or removed.
    Tamper { package: u8, how: u8 },
    /// Attack: an author, team or authorisation is changed or removed.
    Usurp { what: u8, how: u8 },
    /// Attack: a page under a key of the attacker's.
    Vouch {
        who: u8,
        subject: u8,
        version: u8,
        content: u8,
    },
    /// Attack: a page in somebody's name, whose signature is bad.
    Forge { who: u8, subject: u8 },
    /// Attack: something that was there once is merged again.
    Replay { file: u16 },
    /// Attack: a file is deleted from the main line.
    Delete { file: u16 },
    /// Attack: a root that the attacker signs alone.
    Coup { change: u8 },
    /// Attack: a mixture of whatever was seen is served to a client.
    Serve { client: u8, base: u8, seed: u64 },
}

/// Which attacks a history has, so that most leave something alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Menu(u16);

impl Menu {
    pub(super) fn draw(random: &mut Random) -> Self {
        let mask = random.next() & random.next();
        Self(u16::try_from(mask & 0x3ff).unwrap_or_default() | (1 << 9))
    }

    fn attack(self, random: &mut Random) -> Step {
        let kinds: Vec<u16> = (0..10).filter(|bit| self.0 & (1 << bit) != 0).collect();
        let kind = random.one_of(&kinds).copied().unwrap_or(9);
        let (a, b, c, d) = (random.byte(), random.byte(), random.byte(), random.byte());
        let file = u16::from_le_bytes([a, b]);
        match kind {
            0 => Step::Steal { who: a },
            1 => Step::Junk {
                kind: a,
                package: b,
            },
            2 => Step::Tamper { package: a, how: b },
            3 => Step::Usurp { what: a, how: b },
            4 | 5 => Step::Vouch {
                who: a,
                subject: b,
                version: c,
                content: d,
            },
            6 => Step::Forge { who: a, subject: b },
            7 => Step::Replay { file },
            8 => {
                if random.one_in(3) {
                    Step::Coup { change: a }
                } else {
                    Step::Delete { file }
                }
            }
            _ => Step::Serve {
                client: a,
                base: b,
                seed: random.next(),
            },
        }
    }
}

impl Step {
    /// Draws a step.
    pub(super) fn draw(random: &mut Random, menu: Menu) -> Self {
        let (a, b, c, d) = (random.byte(), random.byte(), random.byte(), random.byte());
        let line = if random.one_in(3) { d } else { 0 };
        // Mostly as many as are needed.
        let support = if random.one_in(4) { c % 3 } else { 9 };
        let keep = !random.one_in(4);
        match random.below(64) {
            0..=6 => Self::Publish {
                line,
                package: a,
                release: b,
                text: d,
                support,
            },
            7..=8 => Self::Remove {
                line,
                package: a,
                release: b,
                support,
            },
            9 => Self::RemoveAll {
                line,
                package: a,
                support,
            },
            10..=11 => Self::TopFile {
                line,
                text: a,
                support,
            },
            12..=14 => Self::Claim {
                line,
                package: a,
                owners: b,
                threshold: d,
                support,
            },
            15 => Self::Raise {
                line,
                package: a,
                support,
            },
            16 => Self::Enrol {
                line,
                who: a,
                support,
            },
            17 => Self::Team {
                line,
                members: a,
                support,
            },
            18..=19 => Self::Rotate {
                line,
                who: a,
                keep,
                support,
            },
            20 => Self::Retire {
                line,
                what: a,
                support,
            },
            21..=23 => Self::Approve {
                line,
                name: a,
                support,
            },
            24..=25 => Self::Retract { line, package: a },
            26..=27 => Self::Compact { line, who: a },
            28..=30 => Self::Root {
                line,
                change: a,
                who: b,
                keep,
                support,
            },
            31..=32 => Self::Branch,
            33..=34 => Self::Merge { branch: a },
            35 => Self::MergePages { branch: a },
            36..=39 => Self::Advance,
            40..=41 => Self::Follow {
                client: a,
                stage: b,
            },
            42 => Self::Settle,
            43 => Self::Revoke { who: a, keep },
            44..=47 => Self::Serve {
                client: a,
                base: b,
                seed: random.next(),
            },
            _ => menu.attack(random),
        }
    }

    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "publish",
            Self::Remove { .. } => "remove",
            Self::RemoveAll { .. } => "remove-all",
            Self::TopFile { .. } => "top-file",
            Self::Claim { .. } => "claim",
            Self::Raise { .. } => "raise",
            Self::Enrol { .. } => "enrol",
            Self::Team { .. } => "team",
            Self::Rotate { .. } => "rotate",
            Self::Retire { .. } => "retire",
            Self::Approve { .. } => "approve",
            Self::Retract { .. } => "retract",
            Self::Compact { .. } => "compact",
            Self::Root { .. } => "root",
            Self::Branch => "branch",
            Self::Merge { .. } => "merge",
            Self::MergePages { .. } => "merge-pages",
            Self::Advance => "advance",
            Self::Follow { .. } => "follow",
            Self::Settle => "settle",
            Self::Steal { .. } => "steal",
            Self::Revoke { .. } => "revoke",
            Self::Junk { .. } => "junk",
            Self::Tamper { .. } => "tamper",
            Self::Usurp { .. } => "usurp",
            Self::Vouch { .. } => "vouch",
            Self::Forge { .. } => "forge",
            Self::Replay { .. } => "replay",
            Self::Delete { .. } => "delete",
            Self::Coup { .. } => "coup",
            Self::Serve { .. } => "serve",
        }
    }
}
