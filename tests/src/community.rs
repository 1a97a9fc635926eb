//! A community and its repository, told step by step.

use std::fs;

use conex_core::model::crypto::Digests as _;
use conex_core::model::digest::{Context, Digest};
use conex_core::model::encoding;
use conex_core::model::key::Fingerprint;
use conex_core::model::name::{Id, Origin, PackageName, ReleaseName};
use conex_core::model::page::{Batch, BatchRef, Page, PageBody};
use conex_core::model::path::{Path, Pattern};
use conex_core::model::statement::{
    Author, AuthorFields, AuthorKey, Authorisation, AuthorisationFields, Checkpoints, FormerKey,
    Janitor, Root, RootFields, RootNumber, Scheme, Team, TeamFields,
};
use conex_core::model::stored::Stored;
use conex_core::model::version::{Threshold, Version};
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::state::chain::{AnchorKeys, Trust};
use conex_core::state::finding::Finding;
use conex_core::tools::compose::{Composition, Draft, INLINE, is_pending, is_unapproved};
use conex_core::tools::pre_approval::outstanding;
use conex_core::tree::content::{Checksums, Releases};
use conex_core::tree::metadata::place;
use conex_core::tree::store::MemoryStore;
use conex_core::verify::{Mode, Report};
use conex_crypto::{SecretKey, StandardCrypto};

use crate::client::Follower;
use crate::verdict::{Verdict, verify};

/// The key of a person, by name: `alice` is her first, `alice#2` another one of hers.
pub fn secret(who: &str) -> SecretKey {
    SecretKey::from_seed(*StandardCrypto.sha256(who.as_bytes()).as_bytes())
}

/// The fingerprint of a person's key.
pub fn fingerprint(who: &str) -> Fingerprint {
    StandardCrypto.fingerprint(secret(who).public_key())
}

/// The id of whoever holds a key named as for [`secret`].
pub fn id(who: &str) -> Id {
    let name = who.split('#').next().unwrap_or(who);
    Id::parse(name).expect("stories use valid ids")
}

/// A package's name.
pub fn package(name: &str) -> PackageName {
    PackageName::parse(name).expect("stories use valid names of packages")
}

/// A path.
pub fn path(text: &str) -> Path {
    Path::parse(text).expect("stories use valid paths")
}

/// The key of that name as a former one, with the pages that go on counting, by their places.
pub fn former(key: &str, pages: &[String]) -> FormerKey {
    let name = |place: &String| path(place).file_name().replace(".toml", "");
    let digest = |place: &String| Digest::parse(&name(place)).expect("pages are named so");
    FormerKey {
        key: secret(key).public_key().clone(),
        pages: pages.iter().map(digest).collect(),
    }
}

/// What a vouch is about, such as `foo releases` or `foo/1.0 checksums`.
pub fn subject(text: &str) -> Subject {
    text.parse().expect("stories use valid subjects")
}

/// A version, such as `0.3`.
pub fn version(text: &str) -> Version {
    Version::parse(text).expect("stories use valid versions")
}

fn threshold(people: u16) -> Threshold {
    Threshold::new(people).expect("stories use thresholds above zero")
}

/// An opam file of a release, with the lower bound of its compiler and its build command.
pub fn opam_file(compiler: &str, build: &str) -> String {
    format!(
        r#"opam-version: "2.0"
synopsis: "A library of a story"
maintainer: "dave@example.org"
depends: [
  "ocaml" {{>= "{compiler}"}}
  "dune" {{build}}
]
build: ["{build}" "build" "-p" name]
url {{
  src: "https://example.org/foo.tar.gz"
  checksum: "sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
}}
"#
    )
}

/// A community with its repository. Everything it does is honest, as long as nobody uses
/// [`Community::write`], [`Community::remove`] or [`Community::vouch`] to other ends.
#[derive(Debug, Clone)]
pub struct Community {
    /// The repository.
    pub tree: MemoryStore,
    root: Root,
    first: Digest,
    follower: Follower,
}

impl Community {
    /// The three janitors of every story.
    pub const JANITORS: [&'static str; 3] = ["alice", "bob", "carol"];

    /// Founds a community: root 1, signed by all its janitors. Unless `change` says otherwise, it
    /// is alice, bob and carol with a quorum of two, one for upkeep and for unclaimed packages,
    /// who ignore `*.md` and `docs/**`.
    pub fn found(layout: &str, change: impl FnOnce(&mut RootFields)) -> Self {
        let scheme = |name: &str| Scheme::parse(name).expect("layouts have valid names");
        let pattern = |text: &str| Pattern::parse(text).expect("stories use valid patterns");
        let mut fields = RootFields {
            origin: Origin::parse("example").expect("`example` is a name"),
            number: RootNumber::FIRST,
            previous: None,
            janitors: Self::JANITORS.map(janitor).to_vec(),
            quorum: threshold(2),
            upkeep: threshold(1),
            unclaimed: threshold(1),
            layout: scheme(layout),
            projections: match layout {
                "opam" => vec![scheme("opam/1")],
                _ => Vec::new(),
            },
            ignore: vec![pattern("*.md"), pattern("docs/**")],
            complete: false,
            revoked: Vec::new(),
            floor: Vec::new(),
            former: Vec::new(),
            checkpoints: Checkpoints::default(),
        };
        change(&mut fields);
        let root = Root::new(fields).expect("the rules of a story make a root");
        let mut community = Self {
            tree: MemoryStore::new(),
            first: root.digest(&StandardCrypto),
            root: root.clone(),
            follower: Follower::default(),
        };
        community.write(place::root(root.number).as_str(), root.to_text());
        let janitors: Vec<Id> = root.janitors.iter().map(|j| j.id.clone()).collect();
        for janitor in janitors {
            community.sign_root(janitor.as_str());
        }
        community
    }

    /// As small as a signed repository gets: the author dave, his package `foo` with one release,
    /// and a file that is ignored.
    pub fn hamlet(layout: &str) -> Self {
        let mut community = Self::found(layout, |_| ());
        community.write("README.md", "Ignored.\n");
        community.author("dave");
        let text = match layout {
            "opam" => opam_file("4.08", "dune"),
            _ => "Some data.\n".into(),
        };
        community.release("foo", "1.0", &text);
        community.claim("foo", &["dave"]);
        for janitor in ["alice", "bob"] {
            community.approve_all(janitor, |finding| finding.subject.kind().is_about_people());
        }
        community.approve("dave", "foo");
        community.verify_in(Mode::Enforce).accepted();
        community
    }

    /// A community with everything in it, all approved: the authors dave and erin, their team
    /// `makers`, the package `foo` of dave with the releases 1.0 and 2.0, the package `lib` of the
    /// makers, the unclaimed package `bar`, a repository file, and a file that is ignored.
    pub fn settled(layout: &str) -> Self {
        Self::settled_by(layout, |_| ())
    }

    /// The same under other rules.
    pub fn settled_by(layout: &str, change: impl FnOnce(&mut RootFields)) -> Self {
        let mut community = Self::found(layout, change);
        community.write("repo", "stamp: \"1\"\n");
        community.write("README.md", "A repository.\n");
        community.author("dave");
        community.author("erin");
        community.team("makers", &["dave", "erin"]);
        for (name, releases) in [
            ("foo", &["1.0", "2.0"][..]),
            ("lib", &["1"]),
            ("bar", &["0.1"]),
        ] {
            for release in releases {
                let text = match layout {
                    "opam" => opam_file("4.08", "dune"),
                    _ => format!("{name} in version {release}\n"),
                };
                community.release(name, release, &text);
            }
        }
        community.claim("foo", &["dave"]);
        community.claim("lib", &["makers"]);
        // Claims first: they decide who approves the rest.
        for janitor in ["alice", "bob"] {
            community.approve_all(janitor, |finding| finding.subject.kind().is_about_people());
        }
        community.approve("dave", "foo");
        community.approve("erin", "lib");
        community.approve("alice", "*");
        community.approve("bob", "*");
        community.verify().accepted();
        community
    }

    // Data.

    /// Puts any file anywhere.
    pub fn write(&mut self, place: &str, bytes: impl Into<Vec<u8>>) {
        self.tree.insert(place, bytes);
    }

    /// Removes a file, or everything below a directory; there has to be something.
    pub fn remove(&mut self, place: &str) {
        assert!(self.tree.remove(place), "there is no {place}");
    }

    /// The text of a file.
    pub fn read(&self, place: &str) -> String {
        let bytes = self.tree.get(place).expect("stories read what is there");
        String::from_utf8(bytes.to_vec()).expect("stories read text")
    }

    /// Puts the file of a release where the layout has it.
    pub fn release(&mut self, name: &str, release: &str, text: &str) {
        let place = self.release_file(name, release);
        self.write(&place, text);
    }

    /// Where the file of a release is.
    pub fn release_file(&self, name: &str, release: &str) -> String {
        match self.root.layout.as_str() {
            "opam" => format!("packages/{name}/{name}.{release}/opam"),
            _ => format!("{name}/{release}/data"),
        }
    }

    /// Writes the tree below a directory.
    ///
    /// # Errors
    /// The system's.
    pub fn write_to(&self, directory: &std::path::Path) -> std::io::Result<()> {
        for (file, bytes) in self.tree.files() {
            let file = directory.join(file);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(file, bytes)?;
        }
        Ok(())
    }

    // People. Nothing of this is approved yet.

    /// Writes an author with the key of that name.
    pub fn author(&mut self, who: &str) {
        let fields = AuthorFields {
            id: id(who),
            accounts: Vec::new(),
            keys: vec![self.proven(who, who)],
            former: Vec::new(),
            retired: false,
        };
        let author = Author::new(fields).expect("an author with one key is valid");
        self.store(&place::author(&author.id), &author);
    }

    /// A key with the proof that `who` holds it.
    pub fn proven(&self, who: &str, key: &str) -> AuthorKey {
        let Ok(proven) = AuthorKey::prove(&self.root.origin, &id(who), &secret(key));
        proven
    }

    /// Changes an author.
    pub fn edit_author(&mut self, who: &str, change: impl FnOnce(&mut AuthorFields)) {
        let place = place::author(&id(who));
        let mut fields = AuthorFields::from(self.stored::<Author>(&place));
        change(&mut fields);
        let author = Author::new(fields).expect("the changed author is valid");
        self.store(&place, &author);
    }

    /// Writes a team.
    pub fn team(&mut self, name: &str, members: &[&str]) {
        let team = Team::new(TeamFields {
            id: id(name),
            members: members.iter().map(|who| id(who)).collect(),
            retired: false,
        });
        let team = team.expect("stories make valid teams");
        self.store(&place::team(&team.id), &team);
    }

    /// Changes a team.
    pub fn edit_team(&mut self, name: &str, change: impl FnOnce(&mut TeamFields)) {
        let place = place::team(&id(name));
        let mut fields = TeamFields::from(self.stored::<Team>(&place));
        change(&mut fields);
        let team = Team::new(fields).expect("the changed team is valid");
        self.store(&place, &team);
    }

    /// Writes an authorisation with a threshold of one.
    pub fn claim(&mut self, name: &str, owners: &[&str]) {
        let authorisation = Authorisation::new(AuthorisationFields {
            package: package(name),
            owners: owners.iter().map(|who| id(who)).collect(),
            threshold: threshold(1),
            epoch: 0,
            retired: false,
        });
        let authorisation = authorisation.expect("stories make valid authorisations");
        self.store(&place::authorisation(&package(name)), &authorisation);
    }

    /// Changes an authorisation.
    pub fn edit_claim(&mut self, name: &str, change: impl FnOnce(&mut AuthorisationFields)) {
        let place = place::authorisation(&package(name));
        let mut fields = AuthorisationFields::from(self.stored::<Authorisation>(&place));
        change(&mut fields);
        let authorisation = Authorisation::new(fields).expect("the changed claim is valid");
        self.store(&place, &authorisation);
    }

    fn store(&mut self, place: &Path, value: &impl Stored) {
        self.write(place.as_str(), value.to_text());
    }

    fn stored<T: Stored>(&self, place: &Path) -> T {
        T::from_bytes(self.read(place.as_str()).as_bytes()).expect("what was stored is readable")
    }

    // Roots.

    /// The newest root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The repository's own name.
    pub fn origin(&self) -> &Origin {
        &self.root.origin
    }

    /// Writes the next root, signed by nobody yet.
    pub fn propose_root(&mut self, change: impl FnOnce(&mut RootFields)) {
        let mut fields = RootFields::from(self.root.clone());
        fields.previous = Some(self.root.digest(&StandardCrypto));
        fields.number = fields.number.next().expect("stories are short");
        change(&mut fields);
        self.root = Root::new(fields).expect("the changed rules make a root");
        self.write(place::root(self.root.number).as_str(), self.root.to_text());
    }

    /// Takes the newest root as it stands in the tree, where a story wrote it by hand.
    pub fn reread_root(&mut self) {
        self.root = self.stored::<Root>(&place::root(self.root.number));
    }

    /// Signs the newest root.
    pub fn sign_root(&mut self, who: &str) {
        let Ok(signature) = self.root.sign(id(who), &StandardCrypto, &secret(who));
        let place = place::root_signature(self.root.number, &signature);
        self.store(&place, &signature);
    }

    /// Where a janitor's signature of a root stands.
    pub fn root_signature(number: u32, who: &str) -> String {
        let digits = fingerprint(who).to_hex();
        let name = who.split('#').next().unwrap_or_default();
        format!("conex/root/{number}/{name}-{}.toml", &digits[..16])
    }

    /// Writes and signs the next root.
    pub fn next_root(&mut self, signers: &[&str], change: impl FnOnce(&mut RootFields)) {
        self.propose_root(change);
        for who in signers {
            self.sign_root(who);
        }
    }

    // Vouching.

    /// Lets somebody approve whatever waits for approval and has a name or subject: `foo`,
    /// `foo/1.0 checksums`, or `*` for everything.
    pub fn approve(&mut self, who: &str, what: &str) -> String {
        let place = self.approve_all(who, |finding| {
            what == "*" || finding.subject.name() == what || finding.subject.to_string() == what
        });
        place.unwrap_or_else(|| panic!("nothing of {what} waits for {who}"))
    }

    /// Stores vouches as a batch that a root may name as its floor.
    pub fn keep(&mut self, vouches: &[Vouch]) -> Vec<BatchRef> {
        let batch = Batch::new(vouches.to_vec()).expect("stories keep something");
        let reference = batch.reference(self.origin(), &StandardCrypto);
        self.store(&place::batch(reference.digest()), &batch);
        vec![reference]
    }

    /// Lets several people approve the same.
    pub fn approve_by(&mut self, people: &[&str], what: &str) {
        for who in people {
            self.approve(who, what);
        }
    }

    /// Lets somebody approve whatever waits for approval and is wanted; the page's place, unless
    /// there is nothing.
    pub fn approve_all(&mut self, who: &str, wanted: impl Fn(&Finding) -> bool) -> Option<String> {
        let report = self.as_janitors_see_it();
        let wanted = report.findings.iter().filter(|finding| wanted(finding));
        let drafts: Vec<Draft<'_>> = wanted
            .filter(|finding| is_pending(finding))
            .filter_map(Draft::of)
            .collect();
        self.stand_behind(who, drafts, &report)
    }

    /// Lets somebody stand behind a package as it is, also where that is content of the past.
    pub fn restore(&mut self, who: &str, package: &str) -> Option<String> {
        let report = self.as_janitors_see_it();
        let named = report
            .findings
            .iter()
            .filter(|finding| finding.subject.name() == package);
        let drafts: Vec<Draft<'_>> = named
            .filter(|finding| is_unapproved(finding))
            .filter_map(Draft::of)
            .collect();
        self.stand_behind(who, drafts, &report)
    }

    fn stand_behind(
        &mut self,
        who: &str,
        drafts: Vec<Draft<'_>>,
        report: &Report,
    ) -> Option<String> {
        if drafts.is_empty() {
            return None;
        }
        let composed = Composition::new(
            self.origin(),
            &StandardCrypto,
            id(who),
            fingerprint(who),
            drafts,
            &report.metadata().batches,
            INLINE,
        );
        let composed = composed.expect("there are vouches, and no two contradict each other");
        let Ok((page, files)) = composed.sign(self.origin(), &StandardCrypto, &secret(who));
        for (place, bytes) in files {
            self.write(place.as_str(), bytes);
        }
        let digest = page.digest(self.origin(), &StandardCrypto);
        Some(place::page(&id(who), digest).as_str().into())
    }

    /// Publishes a page with any vouches at all; gives its place.
    pub fn vouch(&mut self, who: &str, vouches: &[Vouch]) -> String {
        let body = PageBody::new(id(who), fingerprint(who), Vec::new(), vouches.to_vec());
        self.publish(who, body.expect("stories make valid pages"))
    }

    /// Signs and publishes a page; gives its place.
    pub fn publish(&mut self, who: &str, body: PageBody) -> String {
        let signer = body.signer().clone();
        let Ok(page) = body.sign(self.origin(), &secret(who));
        let digest = page.digest(self.origin(), &StandardCrypto);
        let place = place::page(&signer, digest);
        self.store(&place, &page);
        place.as_str().into()
    }

    /// Publishes the text of a page under the name it has to have, whatever its signature.
    pub fn plant(&mut self, text: &str) -> String {
        let page = Page::from_bytes(text.as_bytes()).expect("stories forge readable pages");
        let digest = page.digest(self.origin(), &StandardCrypto);
        let place = place::page(page.body().signer(), digest);
        self.store(&place, &page);
        place.as_str().into()
    }

    /// Everything that is stated, with the digest of its present content.
    pub fn statements(&self) -> Vec<(Subject, Digest)> {
        let report = self.as_janitors_see_it();
        let findings = report.findings.iter();
        findings
            .map(|found| (found.subject.clone(), found.digest))
            .collect()
    }

    /// One page that says what all pages of a person say that do not run ahead of the content.
    ///
    /// # Panics
    /// Where one of them cannot be read.
    pub fn compact(&mut self, who: &str) {
        let ahead = outstanding(&self.as_janitors_see_it());
        let is_ahead = |vouch: &Vouch| {
            ahead.iter().any(|it| {
                (&it.subject, it.version, it.digest)
                    == (&vouch.subject, vouch.version, vouch.digest)
            })
        };
        let (mut vouches, mut batches) = (Vec::new(), Vec::new());
        let mut gone = Vec::new();
        for place in self.pages(who) {
            let page = Page::from_bytes(self.read(&place).as_bytes());
            let page = page.expect("what was published can be read");
            if !page.body().vouches().iter().any(is_ahead) {
                vouches.extend(page.body().vouches().iter().cloned());
                batches.extend(page.body().batches().iter().cloned());
                gone.push(place);
            }
        }
        vouches.sort();
        vouches.dedup();
        let body = PageBody::new(id(who), fingerprint(who), batches, vouches);
        if let Ok(body) = body
            && !gone.is_empty()
        {
            for place in &gone {
                self.remove(place);
            }
            self.publish(who, body);
        }
    }

    /// The places of all pages of somebody.
    pub fn pages(&self, who: &str) -> Vec<String> {
        let directory = format!("conex/index/{}/", id(who));
        let files = self.tree.files().map(|(file, _)| file.to_owned());
        files.filter(|file| file.starts_with(&directory)).collect()
    }

    /// A vouch for the present content of something, under any version.
    pub fn present(&self, what: &str, under: &str) -> Vouch {
        let about = subject(what);
        let report = self.as_janitors_see_it();
        let finding = report.findings.iter().find(|found| found.subject == about);
        Vouch {
            digest: finding
                .unwrap_or_else(|| panic!("there is no {what}:\n{}", report.told()))
                .digest,
            subject: about,
            version: version(under),
        }
    }

    /// A vouch for a package without any release.
    pub fn gone(&self, name: &str, under: &str) -> Vouch {
        let statement = Releases {
            package: package(name),
            releases: Vec::new(),
        };
        Vouch {
            subject: Subject::Releases(package(name)),
            version: version(under),
            digest: encoding::digest(
                &StandardCrypto,
                Context::Releases,
                self.origin(),
                &statement,
            ),
        }
    }

    /// A vouch for a release that is gone: it has no file.
    pub fn release_gone(&self, name: &str, release: &str, under: &str) -> Vouch {
        let release = ReleaseName::parse(release).expect("stories use valid names of releases");
        let statement = Checksums {
            package: package(name),
            release: release.clone(),
            files: Vec::new(),
        };
        Vouch {
            subject: Subject::Checksums(package(name), release),
            version: version(under),
            digest: encoding::digest(
                &StandardCrypto,
                Context::Checksums,
                self.origin(),
                &statement,
            ),
        }
    }

    // Verifying.

    /// What a client is given: the digest of the first root.
    pub fn anchor(&self) -> Trust {
        Trust::Root(self.first)
    }

    /// What a client is given instead: keys of janitors.
    pub fn anchor_keys(&self, keys: &[&str], quorum: u16) -> Trust {
        let keys = keys.iter().map(|who| fingerprint(who));
        let keys = AnchorKeys::new(self.origin().clone(), keys, threshold(quorum));
        Trust::Keys(keys.expect("stories use reachable anchors"))
    }

    /// Verifies as a fresh client does that only counts what is unsigned.
    #[track_caller]
    pub fn verify(&self) -> Verdict {
        self.verify_in(Mode::Warn)
    }

    /// Verifies as a fresh client does; a client with the state that was accepted last has to
    /// come to the same verdict, but for what only an update can be refused for.
    #[track_caller]
    pub fn verify_in(&self, mode: Mode) -> Verdict {
        let verdict = verify(&self.tree, &self.anchor(), mode, false);
        if mode != Mode::Observe {
            self.follower.observe(&self.tree, mode, &verdict);
        }
        verdict
    }

    /// Verifies with other anchors.
    pub fn verify_from(&self, trust: &Trust) -> Verdict {
        verify(&self.tree, trust, Mode::Warn, false)
    }

    /// Verifies as on a main line, where approvals may run ahead.
    pub fn verify_main(&self) -> Verdict {
        verify(&self.tree, &self.anchor(), Mode::Warn, true)
    }

    fn as_janitors_see_it(&self) -> Verdict {
        verify(
            &self.tree,
            &Trust::DangerousSelfAsserted,
            Mode::Observe,
            true,
        )
    }
}

/// A janitor with the one key of that name.
pub fn janitor(who: &str) -> Janitor {
    Janitor {
        id: id(who),
        keys: vec![secret(who).public_key().clone()],
    }
}
