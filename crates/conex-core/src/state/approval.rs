//! The one place where approvals are counted (spec sections 3 and 6).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::model::digest::Digest;
use crate::model::name::Id;
use crate::model::version::{Threshold, Version};
use crate::state::people::{Owners, People, PersonIndex, Voter};
use crate::tree::problem::Missing;

/// Who may approve a statement: owners to their threshold, or janitors to theirs. The two never
/// add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The owners' way, where there are owners.
    pub owners: Option<(Owners, Threshold)>,
    /// The janitors' way.
    pub janitors: Threshold,
    /// Which versions count.
    pub epoch: Epoch,
}

/// Which epochs of versions count for a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epoch {
    /// Only this one; vouches below and above it are inert.
    Only(u32),
    /// All, for an authorisation, which sets its package's epoch: content with this epoch counts
    /// under versions of this epoch only.
    Sets(u32),
}

impl Epoch {
    const fn of_content(self) -> u32 {
        match self {
            Self::Only(epoch) | Self::Sets(epoch) => epoch,
        }
    }
}

/// Somebody's vote for a version and digest of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote {
    /// The version.
    pub version: Version,
    /// The digest.
    pub digest: Digest,
    /// Who votes.
    pub voter: Voter,
}

/// A version of a statement that enough people stand behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedVersion {
    /// The version.
    pub version: Version,
    /// The digest.
    pub digest: Digest,
    /// The eligible people who stand behind it.
    pub by: Vec<PersonIndex>,
    /// How many people there are more than needed.
    pub margin: usize,
}

impl ApprovedVersion {
    /// Whether it is this content in this version, or any content in a greater one (spec section 9.3, rule 1).
    pub(crate) fn reaches(&self, version: Version, digest: Digest) -> bool {
        self.version > version || (self.version == version && self.digest == digest)
    }
}

/// Where the content of a statement stands among what people vouched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is the greatest approved version.
    Approved(ApprovedVersion),
    /// It is approved, but so is something greater.
    Behind {
        /// The version of the content.
        version: Version,
        /// The greatest approved.
        newest: ApprovedVersion,
    },
    /// Something else is approved.
    Differs {
        /// The greatest approved.
        newest: ApprovedVersion,
    },
    /// The greatest approved version is approved with two contents.
    Equivocal {
        /// That version.
        version: Version,
    },
    /// Nothing is approved.
    Pending,
}

/// All that the votes say of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// Where the content stands.
    pub standing: Standing,
    /// The version under which to vouch for the content; `None` when counters are exhausted.
    pub proposed: Option<Version>,
    /// Who already vouches for content that is not approved, in the proposed version, eligible or
    /// not, sorted. Empty for approved content.
    pub vouched: Vec<Voter>,
}

impl Assessment {
    /// Whether somebody stands behind the content in the proposed version.
    pub fn is_supported_by(&self, person: PersonIndex) -> bool {
        match &self.standing {
            Standing::Approved(approved) => approved.by.contains(&person),
            _ => self.vouched.iter().any(|voter| voter.person == person),
        }
    }

    /// Who stands behind the content in the proposed version.
    pub fn supporters(&self) -> Vec<PersonIndex> {
        match &self.standing {
            Standing::Approved(approved) => approved.by.clone(),
            _ => self.vouched.iter().map(|voter| voter.person).collect(),
        }
    }
}

/// How far above what is approved a counter may be for tools to follow it.
///
/// People count one by one; who jumps further wants to run the counter to its end, and whoever
/// joined them there would help. Exhausting counters in jumps of this size takes billions of
/// approvals.
const NEAR: u64 = 1 << 32;

/// Whether tools follow a version, given the greatest approved one (spec section 6.4).
pub(crate) fn is_near(version: Version, approved: Option<Version>) -> bool {
    let base = approved
        .filter(|approved| approved.epoch() == version.epoch())
        .map_or(0, Version::counter);
    version.counter().saturating_sub(base) <= NEAR
}

impl Rule {
    /// Counts the people among votes for one version and digest who are eligible in each way, and
    /// says by how many people the rule is exceeded; `None` where it is not met. This is the only
    /// function that counts.
    ///
    /// The votes are sorted, so that one person's stand together: a person counts once, however
    /// many keys or pages they signed with. One key belongs to one person ([`People`] sees to
    /// that), so distinct people have distinct keys.
    fn margin(&self, votes: &[Vote]) -> Option<usize> {
        let distinct = |eligible: &dyn Fn(&Voter) -> bool| {
            votes
                .chunk_by(|a, b| a.voter.person == b.voter.person)
                .filter(|person| person.iter().any(|vote| eligible(&vote.voter)))
                .count()
        };
        let janitors = distinct(&|voter| voter.janitor).checked_sub(self.janitors.people());
        let owners = self.owners.as_ref().and_then(|(owners, threshold)| {
            distinct(&|voter| owns(owners, *voter)).checked_sub(threshold.people())
        });
        // `None` is less than any margin.
        janitors.max(owners)
    }

    pub(crate) fn is_eligible(&self, vote: &Vote) -> bool {
        self.has_epoch(vote)
            && (vote.voter.janitor
                || self
                    .owners
                    .as_ref()
                    .is_some_and(|(owners, _)| owns(owners, vote.voter)))
    }

    fn has_epoch(&self, vote: &Vote) -> bool {
        self.fits(vote.version)
    }

    /// Whether versions of this epoch say anything.
    fn fits(&self, version: Version) -> bool {
        match self.epoch {
            Epoch::Only(epoch) => version.epoch() == epoch,
            Epoch::Sets(_) => true,
        }
    }

    /// The approved versions, greatest first.
    pub fn approved(&self, votes: &[Vote]) -> Vec<ApprovedVersion> {
        let mut votes: Vec<Vote> = votes
            .iter()
            .filter(|vote| self.has_epoch(vote))
            .copied()
            .collect();
        votes.sort_unstable_by(|a, b| b.cmp(a));
        votes
            .chunk_by(|a, b| (a.version, a.digest) == (b.version, b.digest))
            .filter_map(|group| {
                let (first, margin) = (group.first()?, self.margin(group)?);
                let eligible = group.iter().filter(|vote| self.is_eligible(vote));
                let mut by: Vec<PersonIndex> = eligible.map(|vote| vote.voter.person).collect();
                by.sort_unstable();
                by.dedup();
                Some(ApprovedVersion {
                    version: first.version,
                    digest: first.digest,
                    by,
                    margin,
                })
            })
            .collect()
    }

    /// Assesses content that has any of `digests`, which are digests of the same content under
    /// the projections that the root allows.
    pub fn assess(&self, votes: &[Vote], digests: &[Digest]) -> Assessment {
        self.assess_above(votes, digests, None)
    }

    /// Assesses content of a main line that reaches clients only above the version that they have, or in that
    /// version if it is what they have (spec section 6.4). A version of another epoch sets no bound.
    pub(crate) fn assess_above(
        &self,
        votes: &[Vote],
        digests: &[Digest],
        floor: Option<&ApprovedVersion>,
    ) -> Assessment {
        let epoch = self.epoch.of_content();
        let misfits = |vote: &Vote| vote.version.epoch() != epoch && digests.contains(&vote.digest);
        let fitting: Vec<Vote>;
        let votes = if votes.iter().any(misfits) {
            fitting = votes
                .iter()
                .filter(|vote| !misfits(vote))
                .copied()
                .collect();
            &fitting
        } else {
            votes
        };
        let mut approved = self.approved(votes);
        let floor = floor.filter(|floor| {
            let newest = approved.first();
            self.fits(floor.version)
                && newest.is_none_or(|newest| !newest.reaches(floor.version, floor.digest))
        });
        // What they have themselves is not approved by it here.
        let same = floor.filter(|floor| digests.contains(&floor.digest));
        if same.is_none() {
            approved.splice(..0, floor.cloned());
        }
        let mut standing = match approved.as_slice() {
            [] => Standing::Pending,
            [newest, rest @ ..] => {
                let ours = approved
                    .iter()
                    .find(|version| digests.contains(&version.digest));
                // With two projections one content has two digests; those do not contradict.
                let rival = rest.iter().find(|other| {
                    other.version == newest.version
                        && !(digests.contains(&other.digest) && digests.contains(&newest.digest))
                });
                match (rival, ours) {
                    (Some(_), _) => Standing::Equivocal {
                        version: newest.version,
                    },
                    (None, Some(ours)) if ours.version == newest.version => {
                        Standing::Approved(ours.clone())
                    }
                    (None, Some(ours)) => Standing::Behind {
                        version: ours.version,
                        newest: newest.clone(),
                    },
                    (None, None) => Standing::Differs {
                        newest: newest.clone(),
                    },
                }
            }
        };
        if same.is_some() && matches!(standing, Standing::Approved(_)) {
            standing = Standing::Pending;
        }
        let least = same.map(|floor| floor.version);
        let proposed = self.propose(votes, digests, (&standing, least));
        let mut vouched: Vec<Voter> = Vec::new();
        if !matches!(standing, Standing::Approved(_)) {
            let same =
                |vote: &&Vote| Some(vote.version) == proposed && digests.contains(&vote.digest);
            vouched.extend(votes.iter().filter(same).map(|vote| vote.voter));
            vouched.sort_unstable();
            vouched.dedup();
        }
        Assessment {
            standing,
            proposed,
            vouched,
        }
    }

    /// The version under which to vouch for content: the least one above everything approved that
    /// an eligible person already vouched for with this very digest, so that votes meet; else one
    /// more than the greatest vouch of anybody, so that two contents never share a version. Votes
    /// that are not [`NEAR`] are passed over. It is not less than `least`.
    fn propose(
        &self,
        votes: &[Vote],
        digests: &[Digest],
        (standing, least): (&Standing, Option<Version>),
    ) -> Option<Version> {
        let floor = match standing {
            Standing::Approved(approved) => return Some(approved.version),
            Standing::Pending => None,
            Standing::Behind { newest, .. } | Standing::Differs { newest } => Some(newest.version),
            Standing::Equivocal { version } => Some(*version),
        };
        let epoch = self.epoch.of_content();
        let near = votes.iter().filter(|vote| {
            vote.version.epoch() == epoch && is_near(vote.version, floor.max(least))
        });
        let begun = near
            .clone()
            .filter(|vote| {
                self.is_eligible(vote)
                    && digests.contains(&vote.digest)
                    && Some(vote.version) > floor
                    && Some(vote.version) >= least
            })
            .map(|vote| vote.version)
            .min();
        let greatest = near.map(|vote| vote.version).max().max(floor);
        begun.or_else(|| match greatest {
            greatest if greatest < least => least,
            Some(version) if version.epoch() == epoch => version.next(),
            // An epoch is never lowered.
            Some(version) if version.epoch() > epoch => None,
            _ => Some(Version::first(epoch)),
        })
    }

    /// Whose vouches would complete the rule, given who has vouched already. Former janitors
    /// whose accepted pages vouch are counted, and asked for nothing more.
    pub fn missing(&self, vouched: &[Voter], people: &People) -> Missing {
        let way = |members: &BTreeSet<PersonIndex>,
                   eligible: &dyn Fn(&Voter) -> bool,
                   threshold: Threshold| {
            let have: BTreeSet<PersonIndex> = vouched
                .iter()
                .filter(|voter| eligible(voter))
                .map(|voter| voter.person)
                .collect();
            let names: Vec<Id> = members
                .difference(&have)
                .map(|person| people.id(*person).clone())
                .collect();
            (threshold.people().saturating_sub(have.len()), names)
        };
        Missing {
            owners: self.owners.as_ref().map(|(owners, threshold)| {
                let mut members = owners.people.clone();
                if owners.janitors {
                    members.extend(people.janitors());
                }
                way(&members, &|voter| owns(owners, *voter), *threshold)
            }),
            janitors: Some(way(
                people.janitors(),
                &|voter| voter.janitor,
                self.janitors,
            )),
        }
    }
}

/// Whether somebody votes as an owner.
fn owns(owners: &Owners, voter: Voter) -> bool {
    owners.people.contains(&voter.person) || (owners.janitors && voter.janitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Digest = Digest::from_bytes([1; 32]);
    const OTHER: Digest = Digest::from_bytes([2; 32]);

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    /// Votes of one janitor, where one is enough.
    fn assess(votes: &[(&str, Digest)], floor: (&str, Digest)) -> (Standing, Option<Version>) {
        let root = crate::model::version::Threshold::new(1).unwrap();
        let rule = Rule {
            owners: None,
            janitors: root,
            epoch: Epoch::Only(0),
        };
        let votes = votes.iter().map(|(text, digest)| Vote {
            version: version(text),
            digest: *digest,
            voter: Voter {
                person: PersonIndex::of(0),
                janitor: true,
            },
        });
        let votes: Vec<Vote> = votes.collect();
        let floor = ApprovedVersion {
            version: version(floor.0),
            digest: floor.1,
            by: Vec::new(),
            margin: 0,
        };
        let found = rule.assess_above(&votes, &[OURS], Some(&floor));
        (found.standing, found.proposed)
    }

    #[test]
    fn content_reaches_clients_above_what_they_have_only() {
        // What they have is nothing here without votes, and its version is good enough for it.
        assert_eq!(
            assess(&[], ("0.3", OURS)),
            (Standing::Pending, Some(version("0.3")))
        );
        let (standing, proposed) = assess(&[("0.2", OURS)], ("0.3", OURS));
        assert_eq!(
            (standing, proposed),
            (Standing::Pending, Some(version("0.3")))
        );
        for votes in [[("0.3", OURS)], [("0.4", OURS)]] {
            let (standing, _) = assess(&votes, ("0.3", OURS));
            assert!(matches!(standing, Standing::Approved(_)), "{standing:?}");
        }
        let (standing, _) = assess(&[("0.2", OURS), ("0.4", OURS)], ("0.3", OURS));
        assert!(matches!(standing, Standing::Approved(_)), "{standing:?}");
        // Something else has to be above it.
        let (standing, proposed) = assess(&[], ("0.3", OTHER));
        assert!(matches!(standing, Standing::Differs { .. }), "{standing:?}");
        assert_eq!(proposed, Some(version("0.4")));
        let (standing, proposed) = assess(&[("0.2", OURS)], ("0.3", OTHER));
        assert!(matches!(standing, Standing::Behind { .. }), "{standing:?}");
        assert_eq!(proposed, Some(version("0.4")));
        let (standing, proposed) = assess(&[("0.3", OURS)], ("0.3", OTHER));
        assert!(
            matches!(standing, Standing::Equivocal { .. }),
            "{standing:?}"
        );
        assert_eq!(proposed, Some(version("0.4")));
        let (standing, _) = assess(&[("0.4", OURS)], ("0.3", OTHER));
        assert!(matches!(standing, Standing::Approved(_)), "{standing:?}");
        // Another epoch says nothing.
        let (standing, proposed) = assess(&[("0.1", OURS)], ("1.3", OTHER));
        assert!(matches!(standing, Standing::Approved(_)), "{standing:?}");
        assert_eq!(proposed, Some(version("0.1")));
    }

    fn person(number: u32, janitor: bool) -> Voter {
        Voter {
            person: PersonIndex::of(number),
            janitor,
        }
    }

    fn vote(text: &str, digest: Digest, voter: Voter) -> Vote {
        Vote {
            version: version(text),
            digest,
            voter,
        }
    }

    /// A package of the persons 0 and 1, both of whom are asked, and so are three janitors.
    fn owned() -> Rule {
        let owners = Owners {
            people: BTreeSet::from([PersonIndex::of(0), PersonIndex::of(1)]),
            janitors: false,
        };
        Rule {
            owners: Some((owners, Threshold::new(2).unwrap())),
            janitors: Threshold::new(3).unwrap(),
            epoch: Epoch::Only(0),
        }
    }

    #[test]
    fn people_are_counted_in_each_way_and_never_across() {
        let (dave, erin, bob) = (person(0, false), person(1, false), person(9, false));
        let [alice, carol, frank, grace] = [5, 6, 7, 8].map(|number| person(number, true));
        let cases: [(&[Voter], Option<usize>); 10] = [
            (&[], None),
            (&[dave], None),
            (&[dave, dave], None),
            (&[dave, bob], None),
            (&[dave, erin], Some(0)),
            (&[dave, erin, bob], Some(0)),
            (&[dave, alice, carol], None),
            (&[alice, carol, frank], Some(0)),
            (&[alice, carol, frank, grace], Some(1)),
            (&[dave, erin, alice, carol, frank, grace], Some(1)),
        ];
        for (voters, margin) in cases {
            let votes: Vec<Vote> = voters.iter().map(|it| vote("0.1", OURS, *it)).collect();
            let approved = owned().approved(&votes);
            let found = approved.first().map(|it| it.margin);
            assert_eq!(found, margin, "{voters:?}");
        }
        // Where janitors own a package, each of them is one of its owners, too.
        let mut rule = owned();
        if let Some((owners, _)) = &mut rule.owners {
            owners.janitors = true;
        }
        let votes = [vote("0.1", OURS, dave), vote("0.1", OURS, alice)];
        assert_eq!(rule.approved(&votes).len(), 1);
        assert!(rule.is_eligible(&vote("0.1", OURS, alice)));
        assert!(!rule.is_eligible(&vote("1.1", OURS, alice)));
        assert!(!rule.is_eligible(&vote("0.1", OURS, bob)));
        // One person counts once, also with several pages, and with keys of both kinds.
        rule.owners = None;
        rule.janitors = Threshold::new(1).unwrap();
        for kinds in [[false, true], [true, true]] {
            let votes = kinds.map(|janitor| vote("0.1", OURS, person(5, janitor)));
            let approved = rule.approved(&votes);
            let found = approved.first().map(|it| (it.margin, it.by.as_slice()));
            assert_eq!(found, Some((0, [PersonIndex::of(5)].as_slice())));
        }
        assert!(!rule.is_eligible(&vote("0.1", OURS, bob)));
    }

    #[test]
    fn votes_meet_in_one_version_only() {
        let (dave, erin) = (person(0, false), person(1, false));
        let apart: [[Vote; 2]; 3] = [
            [vote("0.1", OURS, dave), vote("0.2", OURS, erin)],
            [vote("0.1", OURS, dave), vote("0.1", OTHER, erin)],
            [vote("1.1", OURS, dave), vote("1.1", OURS, erin)],
        ];
        for votes in apart {
            assert_eq!(owned().approved(&votes), [], "{votes:?}");
        }
        let mut both = Vec::new();
        for text in ["0.1", "0.3", "0.2"] {
            both.extend([vote(text, OURS, dave), vote(text, OURS, erin)]);
        }
        let versions = owned().approved(&both).into_iter().map(|it| it.version);
        let versions: Vec<Version> = versions.collect();
        assert_eq!(versions, ["0.3", "0.2", "0.1"].map(version));
        // The authorisation of a package counts in all epochs.
        let sets = Rule {
            epoch: Epoch::Sets(0),
            ..owned()
        };
        let votes = [vote("1.1", OTHER, dave), vote("1.1", OTHER, erin)];
        assert_eq!(sets.approved(&votes).len(), 1);
        // But content is of its own epoch only, whatever others are voted for.
        let misfits = [dave, erin].map(|it| vote("1.1", OURS, it));
        let votes = [misfits[0], misfits[1], vote("0.1", OTHER, dave)];
        assert_eq!(sets.assess(&misfits, &[OURS]).standing, Standing::Pending);
        assert_eq!(sets.assess(&votes, &[OURS]).standing, Standing::Pending);
    }

    #[test]
    fn those_who_are_not_enough_yet_support_the_content() {
        let (dave, erin, bob) = (person(0, false), person(1, false), person(9, false));
        let votes = [
            vote("0.4", OURS, dave),
            vote("0.6", OURS, erin),
            vote("0.4", OTHER, bob),
        ];
        let begun = owned().assess(&votes, &[OURS]);
        assert_eq!(begun.standing, Standing::Pending);
        assert_eq!(begun.proposed, Some(version("0.4")));
        assert_eq!(begun.vouched, [dave]);
        assert_eq!(begun.supporters(), [PersonIndex::of(0)]);
        assert!(begun.is_supported_by(PersonIndex::of(0)));
        assert!(!begun.is_supported_by(PersonIndex::of(1)));
        let votes = [vote("0.4", OURS, dave), vote("0.4", OURS, person(9, false))];
        let two = owned().assess(&votes, &[OURS]);
        assert!(two.is_supported_by(PersonIndex::of(0)));
        let votes = [bob, dave, bob, dave].map(|voter| vote("0.4", OURS, voter));
        assert_eq!(owned().assess(&votes, &[OURS]).vouched, [dave, bob]);
        let votes = [dave, erin, bob].map(|voter| vote("0.4", OURS, voter));
        let approved = owned().assess(&votes, &[OURS]);
        assert_eq!(
            approved.supporters(),
            [PersonIndex::of(0), PersonIndex::of(1)]
        );
        assert!(approved.is_supported_by(PersonIndex::of(1)));
        assert!(!approved.is_supported_by(PersonIndex::of(9)));
        assert_eq!(approved.vouched, []);
    }

    #[test]
    fn the_proposed_version_is_where_votes_can_meet() {
        let (dave, erin, bob) = (person(0, false), person(1, false), person(9, false));
        let cases: [(&[Vote], Option<&str>); 8] = [
            (&[], Some("0.1")),
            // Above what is approved, and above whatever anybody says.
            (
                &[vote("0.4", OTHER, bob), vote("0.2", OTHER, dave)],
                Some("0.5"),
            ),
            (
                &[vote("0.4", OTHER, dave), vote("0.4", OTHER, erin)],
                Some("0.5"),
            ),
            // With who began, the first of several.
            (
                &[vote("0.7", OURS, dave), vote("0.5", OURS, erin)],
                Some("0.5"),
            ),
            // Nobody who counts began with it.
            (&[vote("0.7", OURS, bob)], Some("0.8")),
            // Too far above everything, and just not.
            (&[vote("0.4294967297", OTHER, bob)], Some("0.1")),
            (&[vote("0.4294967296", OTHER, bob)], Some("0.4294967297")),
            // Votes of another epoch say nothing.
            (&[vote("1.5", OTHER, dave)], Some("0.1")),
        ];
        for (votes, proposed) in cases {
            let found = owned().assess(votes, &[OURS]).proposed;
            assert_eq!(found, proposed.map(version), "{votes:?}");
        }
        // Near is what is near to what is approved.
        let high = [dave, erin].map(|voter| vote("0.4294967296", OTHER, voter));
        let votes = [high[0], high[1], vote("0.4294967300", OTHER, bob)];
        let found = owned().assess(&votes, &[OURS]).proposed;
        assert_eq!(found, Some(version("0.4294967301")));
        // Not below what clients have, and where others began with it.
        let above = |votes: &[Vote], floor: &str| {
            let floor = ApprovedVersion {
                version: version(floor),
                digest: OURS,
                by: Vec::new(),
                margin: 0,
            };
            owned().assess_above(votes, &[OURS], Some(&floor)).proposed
        };
        let began = [vote("0.3", OURS, dave)];
        assert_eq!(above(&began, "0.3"), Some(version("0.3")));
        let near = [vote("0.4294967300", OTHER, bob)];
        assert_eq!(above(&near, "0.4294967296"), Some(version("0.4294967301")));
        // An epoch is never lowered.
        let sets = Rule {
            epoch: Epoch::Sets(0),
            ..owned()
        };
        let later = [dave, erin].map(|voter| vote("1.1", OTHER, voter));
        assert_eq!(sets.assess(&later, &[OURS]).proposed, None);
        // The counter is at its end.
        let end = alloc::format!("0.{}", u64::MAX);
        let votes = [vote(&end, OTHER, dave), vote(&end, OTHER, erin)];
        assert_eq!(owned().assess(&votes, &[OURS]).proposed, None);
    }

    #[test]
    fn one_content_with_two_digests_does_not_contradict_itself() {
        let (dave, erin) = (person(0, false), person(1, false));
        let twice = [OURS, OTHER].map(|digest| [dave, erin].map(|it| vote("0.2", digest, it)));
        let votes = twice.as_flattened();
        let both = owned().assess(votes, &[OURS, OTHER]);
        assert!(matches!(both.standing, Standing::Approved(_)), "{both:?}");
        let one = owned().assess(votes, &[OURS]);
        assert_eq!(
            one.standing,
            Standing::Equivocal {
                version: version("0.2")
            }
        );
        assert_eq!(one.proposed, Some(version("0.3")));
    }
}
