//! What happens on a main line, honest or not: releases before and after their approval, approvals
//! whose content never comes, strangers' edits, claims, people and roots.
#![allow(
    clippy::indexing_slicing,
    reason = "steps are made for the packages that there are"
)]

use conex_core::model::vouch::{Kind, Vouch};

use crate::community::{Community, fingerprint, former, id, opam_file, version};

/// The packages that things happen to.
pub const NAMES: [&str; 4] = ["foo", "lib", "bar", "new"];

/// Something that happens. Packages are given by their position in [`NAMES`].
#[derive(Debug, Clone)]
pub enum Happening {
    /// A release of that number is merged; nobody approved it yet.
    Merge(usize, u8),
    /// A release of that number is approved by whoever owns it; its content comes later, or never.
    Ahead(usize, u8),
    /// Content that was approved ahead comes.
    Arrive,
    /// A stranger changes a bound of the first release.
    Bound(usize),
    /// A stranger changes what the first release builds.
    Source(usize),
    /// The first release goes.
    Remove(usize),
    /// All releases go.
    RemoveAll(usize),
    /// Whoever owns a package approves it as it is now.
    Approve(usize),
    /// One janitor approves a package as it is now.
    Upkeep(usize),
    /// A package is claimed for dave; a quorum approves it, and perhaps he does.
    Claim(usize, bool),
    /// The epoch of a claimed package is raised by a quorum.
    Raise(usize),
    /// An author comes, approved by that many janitors.
    Enrol(u8, u8),
    /// Dave changes his key, approved by that many janitors. One who would approve it without his pages
    /// stays alone.
    Rotate(bool, u8),
    /// Erin joins or leaves her team, approved by a quorum.
    Team,
    /// A root that revokes some key, signed by that many.
    Root(u8),
    /// One page of alice's takes the place of all.
    Compact,
    /// Junk is merged.
    Junk(usize),
    /// A page is forged, in the name of somebody who comes later.
    Forge(u8),
}

/// A main line.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// As it is now.
    pub main: Community,
    /// What was approved and did not come: files with their text.
    coming: Vec<(String, String)>,
    count: usize,
    keys: usize,
}

impl Traffic {
    /// Begins with a settled community.
    pub fn new(settled: &Community) -> Self {
        Self {
            main: settled.clone(),
            coming: Vec::new(),
            count: 0,
            keys: 1,
        }
    }

    fn dave(&self) -> String {
        match self.keys {
            1 => "dave".into(),
            number => format!("dave#{number}"),
        }
    }

    fn owner(&self, name: &str) -> String {
        let claimed = format!("conex/packages/{name}.toml");
        match name {
            "foo" => self.dave(),
            "lib" => "erin".into(),
            _ if self.main.tree.get(&claimed).is_some() => self.dave(),
            _ => "alice".into(),
        }
    }

    fn releases(&self, name: &str) -> Vec<String> {
        let directory = format!("packages/{name}/");
        let files = self.main.tree.files().map(|(file, _)| file.to_owned());
        files
            .filter(|file| file.starts_with(&directory) && file.ends_with("/opam"))
            .collect()
    }

    fn text(&self) -> String {
        opam_file("4.14", &format!("dune{}", self.count))
    }

    /// Lets something happen.
    pub fn happen(&mut self, happening: &Happening) {
        self.count += 1;
        match happening {
            Happening::Merge(at, number) => {
                let text = self.text();
                self.main.release(NAMES[*at], &number.to_string(), &text);
            }
            Happening::Ahead(at, number) => {
                let (name, text) = (NAMES[*at], self.text());
                let mut branch = self.main.clone();
                branch.release(name, &number.to_string(), &text);
                let owner = self.owner(name);
                let page = branch.approve_all(&owner, |found| found.subject.name() == name);
                if let Some(page) = page {
                    self.main.write(&page, branch.read(&page));
                    let file = branch.release_file(name, &number.to_string());
                    self.coming.push((file, text));
                }
            }
            Happening::Arrive => {
                if let Some((file, text)) = self.coming.pop() {
                    self.main.write(&file, text);
                }
            }
            Happening::Bound(at) => {
                if let Some(file) = self.releases(NAMES[*at]).first() {
                    let old = self.main.read(file);
                    let new = old.replacen("4.", &format!("4.{}.", self.count), 1);
                    self.main.write(file, new);
                }
            }
            Happening::Source(at) => {
                if let Some(file) = self.releases(NAMES[*at]).first() {
                    let text = opam_file("4.14", &format!("evil{}", self.count));
                    self.main.write(file, text);
                }
            }
            Happening::Remove(at) => {
                if let Some(file) = self.releases(NAMES[*at]).first() {
                    self.main.remove(file);
                }
            }
            Happening::RemoveAll(at) => {
                for file in self.releases(NAMES[*at]) {
                    self.main.remove(&file);
                }
            }
            Happening::Approve(at) => {
                let owner = self.owner(NAMES[*at]);
                self.main.restore(&owner, NAMES[*at]);
            }
            Happening::Upkeep(at) => {
                self.main.restore("carol", NAMES[*at]);
            }
            Happening::Junk(at) => {
                let file = match self.count % 4 {
                    0 => format!("packages/{}/README", NAMES[*at]),
                    1 => "Makefile".into(),
                    2 => "conex/notes".into(),
                    _ => format!("packages/{}/{}.1.0/junk", NAMES[*at], NAMES[*at]),
                };
                self.main.write(&file, "junk\n");
            }
            _ => self.happen_to_people(happening),
        }
    }

    fn happen_to_people(&mut self, happening: &Happening) {
        match happening {
            Happening::Claim(at, stand) => {
                let name = NAMES[*at];
                let place = format!("conex/packages/{name}.toml");
                if self.main.tree.get(&place).is_none() && !self.releases(name).is_empty() {
                    self.main.claim(name, &["dave"]);
                    let about = format!("{name} authorisation");
                    for who in ["alice", "bob"] {
                        self.main
                            .approve_all(who, |found| found.subject.to_string() == about);
                    }
                    if *stand {
                        self.main.restore(&self.dave(), name);
                    }
                }
            }
            Happening::Raise(at) => {
                let name = NAMES[*at];
                let place = format!("conex/packages/{name}.toml");
                if self.main.tree.get(&place).is_some() {
                    self.main.edit_claim(name, |claim| claim.epoch += 1);
                    let about = format!("{name} authorisation");
                    for who in ["alice", "bob"] {
                        self.main
                            .approve_all(who, |found| found.subject.to_string() == about);
                    }
                }
            }
            Happening::Enrol(number, janitors) => {
                let who = format!("author{number}");
                self.main.author(&who);
                self.approve_by(*janitors, &who);
            }
            Happening::Rotate(true, janitors) => self.rotate(true, *janitors),
            Happening::Rotate(false, _) => self.rotate(false, 1),
            Happening::Team => {
                self.main.edit_team("makers", |team| {
                    let bob = id("bob");
                    if team.members.contains(&bob) {
                        team.members.retain(|member| *member != bob);
                    } else {
                        team.members.push(bob);
                    }
                });
                for who in ["alice", "carol"] {
                    self.main.restore(who, "makers");
                }
            }
            Happening::Root(signatures) => self.root(*signatures),
            Happening::Compact => self.main.compact("alice"),
            Happening::Forge(number) => {
                let who = format!("author{number}");
                let gone = self.main.gone("foo", "0.9");
                let page = self.main.vouch(&who, &[gone]);
                let text = self.main.read(&page);
                self.main.remove(&page);
                let forged = text.replace("foo releases 0.9", "foo releases 0.8");
                self.main.plant(&forged);
            }
            _ => {}
        }
    }

    fn approve_by(&mut self, janitors: u8, what: &str) {
        for who in Community::JANITORS.iter().take(janitors.into()) {
            self.main.restore(who, what);
        }
    }

    fn rotate(&mut self, with_pages: bool, janitors: u8) {
        self.keys += 1;
        let key = self.main.proven("dave", &self.dave());
        self.main.edit_author("dave", |author| {
            author.keys = vec![key];
            author.former.clear();
        });
        if with_pages {
            self.list_pages();
        }
        self.approve_by(janitors, "dave");
    }

    /// All pages of dave's are listed under all keys that he had.
    fn list_pages(&mut self) {
        let (keys, pages) = (self.keys, self.main.pages("dave"));
        self.main.edit_author("dave", |author| {
            let names = (1..keys).map(|number| match number {
                1 => "dave".into(),
                _ => format!("dave#{number}"),
            });
            author.former = names.map(|name| former(&name, &pages)).collect();
        });
    }

    /// The next root, unless the last one still waits for signatures.
    fn root(&mut self, signatures: u8) {
        let number = self.main.root().number.as_u32();
        let signed = Community::JANITORS.map(|who| Community::root_signature(number, who));
        let there = signed.iter().filter(|it| self.main.tree.get(it).is_some());
        if there.count() >= 2 {
            let count = self.count % 200;
            self.main.propose_root(|root| {
                root.revoked.push(fingerprint(&format!("stolen{count}")));
                root.revoked.sort();
                root.revoked.dedup();
            });
        }
        for who in Community::JANITORS.iter().take(signatures.into()) {
            self.main.sign_root(who);
        }
    }

    /// A quorum stands behind a package as it is, in a version above all others.
    pub fn insist(&mut self, name: &str) {
        self.count += 1000;
        let claim = format!("conex/packages/{name}.toml");
        let claim = self.main.tree.get(&claim).map(String::from_utf8_lossy);
        let claim = claim.unwrap_or_default();
        let epoch = claim
            .lines()
            .find_map(|line| line.strip_prefix("epoch = "))
            .unwrap_or("0");
        let under = version(&format!("{epoch}.{}", self.count));
        let statements = self.main.statements().into_iter();
        let statements = statements
            .filter(|(subject, _)| subject.name() == name && !subject.kind().is_about_people());
        let mut vouches: Vec<Vouch> = statements
            .map(|(subject, digest)| Vouch {
                subject,
                version: under,
                digest,
            })
            .collect();
        if !vouches.iter().any(|it| it.subject.kind() == Kind::Releases) {
            vouches.push(self.main.gone(name, &under.to_string()));
        }
        for who in ["alice", "bob"] {
            self.main.vouch(who, &vouches);
        }
    }

    /// In the end everything is approved, or gone: junk is removed, what was approved ahead and did not
    /// come is taken back.
    pub fn settle(&mut self) {
        let junk = |file: &&str| {
            let file = *file;
            let is_data = file.starts_with("packages/") && !file.ends_with("/opam");
            is_data || file == "Makefile" || file == "conex/notes"
        };
        let files = self.main.tree.files().map(|(file, _)| file);
        let junk: Vec<String> = files.filter(junk).map(ToOwned::to_owned).collect();
        for file in junk {
            self.main.remove(&file);
        }
        for number in 0..4 {
            for page in self.main.pages(&format!("author{number}")) {
                self.main.remove(&page);
            }
        }
        for who in ["alice", "bob"] {
            self.main.sign_root(who);
        }
        self.list_pages();
        for _ in 0..2 {
            let names: Vec<String> = self
                .main
                .statements()
                .into_iter()
                .map(|(subject, _)| subject.name().to_owned())
                .chain(NAMES.map(str::to_owned))
                .collect();
            for who in ["alice", "bob"] {
                for name in &names {
                    self.main.restore(who, name);
                }
            }
        }
    }
}
