//! What people see who sit at a terminal: a real one, on which they answer.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use conex_tests::secret;
use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

mod session;

use session::Session;

/// One person at a terminal, with a key of their own and nobody else's.
struct Person<'s> {
    session: &'s Session,
    home: PathBuf,
    environment: Vec<(&'static str, &'static str)>,
}

/// What was said, with what was typed and shown in it, and how it ended.
#[derive(Debug)]
struct Said {
    text: String,
    /// The exit code; none after a signal.
    code: Option<i32>,
}

impl Said {
    /// How often somebody was asked.
    fn prompts(&self) -> usize {
        self.text.matches("[y/N]").count() + self.text.matches("Passphrase of").count()
    }
}

impl<'s> Person<'s> {
    fn new(session: &'s Session, who: &str, passphrase: Option<&[u8]>) -> Self {
        let home = session.directory.path().join(format!("home-of-{who}"));
        let keys = home.join("keys");
        fs::create_dir_all(&keys).unwrap();
        let text = secret(who).write(who, passphrase).unwrap();
        fs::write(keys.join(who), text.as_bytes()).unwrap();
        fs::set_permissions(keys.join(who), fs::Permissions::from_mode(0o600)).unwrap();
        Self {
            session,
            home,
            environment: Vec::new(),
        }
    }

    /// Types a line for the shell, in the repository; `conex` is the program.
    fn begin(&self, line: &str) -> PtySession {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_conex"));
        let path = std::env::var("PATH").unwrap();
        // Whoever runs the tests in the background ignores Ctrl-C, and so would all below them.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", "sh", "-c"]);
        // A terminal as people have it shows what they type.
        command
            .arg(format!("stty echo cols 100; {line}"))
            .current_dir(self.session.tree())
            .env_clear()
            .env(
                "PATH",
                format!("{}:{path}", program.parent().unwrap().display()),
            )
            .env("TERM", "xterm")
            .env("CONEX_HOME", &self.home)
            .env("CONEX_STATE", &self.home)
            .envs(self.environment.iter().copied());
        spawn_command(command, Some(30_000)).unwrap()
    }

    /// Types a line, and an answer whenever its question comes.
    fn types(&self, line: &str, answers: &[(&str, &str)]) -> Said {
        let mut terminal = self.begin(line);
        let mut text = String::new();
        for (question, answer) in answers {
            match terminal.exp_string(question) {
                Ok(before) => text.push_str(&before),
                Err(error) => panic!("{line}: no {question:?}\n{text}\n{error}"),
            }
            text.push_str(question);
            terminal.send_line(answer).unwrap();
        }
        end(terminal, text)
    }

    /// Types a line and an answer, and sees that nothing is written.
    fn changes_nothing(&self, line: &str, answers: &[(&str, &str)]) -> Said {
        let before = self.session.files();
        let said = self.types(line, answers);
        assert_ne!(said.code, Some(0), "{said:?}");
        assert_eq!(self.session.files(), before, "{said:?}");
        said
    }
}

fn end(mut terminal: PtySession, mut text: String) -> Said {
    text.push_str(&terminal.exp_eof().unwrap());
    let code = match terminal.process().wait().unwrap() {
        WaitStatus::Exited(_, code) => Some(code),
        _ => None,
    };
    Said { text, code }
}

#[test]
fn an_author_types_one_command_and_answers_one_prompt() {
    let mut session = Session::settled();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    let before = session.files();
    let dave = Person::new(&session, "dave", None);
    let said = dave.types(
        "conex publish foo/3.0",
        &[("Publish foo/3.0 as dave? [y/N] ", "y")],
    );
    assert_eq!((said.code, said.prompts()), (Some(0), 1), "{said:?}");
    // What is signed was shown before it was asked.
    let (shown, _) = said.text.split_once("Publish").unwrap();
    assert!(shown.contains("foo/3.0"), "{shown}");
    // One file more, and not a byte of another one changed.
    let after = session.files();
    assert_eq!(after.len(), before.len() + 1);
    assert!(before.iter().all(|(path, bytes)| after[path] == *bytes));
    session.accepted();
}

#[test]
fn a_janitor_types_one_command_and_answers_one_prompt_for_any_number() {
    const MANY: usize = 300;
    let mut session = Session::settled();
    for count in 0..MANY {
        session.write(&format!("many{count:03}/1.0/data"), "new\n");
    }
    for who in ["alice", "bob"] {
        let pages = session.pages(who);
        let janitor = Person::new(&session, who, None);
        let said = janitor.types(
            "conex approve --all",
            &[(&format!("statements as {who}? [y/N] "), "yes")],
        );
        assert_eq!((said.code, said.prompts()), (Some(0), 1), "{said:?}");
        assert!(said.text.contains("300 packages"), "{said:?}");
        assert_eq!(session.pages(who), pages + 1);
    }
    session.accepted();
}

#[test]
fn a_key_with_a_passphrase_asks_for_it_and_for_nothing_else() {
    const PASSPHRASE: &str = "correct horse";
    let mut session = Session::settled();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    let dave = Person::new(&session, "dave", Some(PASSPHRASE.as_bytes()));
    let prompt = "dave (empty: no): ";
    let line = "conex publish foo/3.0";
    let wrong = dave.changes_nothing(line, &[(prompt, "battery staple")]);
    assert_eq!((wrong.code, wrong.prompts()), (Some(1), 1), "{wrong:?}");
    assert!(
        wrong.text.contains("nothing was signed or written"),
        "{wrong:?}"
    );
    let empty = dave.changes_nothing(line, &[(prompt, "")]);
    assert_eq!((empty.code, empty.prompts()), (Some(1), 1), "{empty:?}");
    assert!(empty.text.contains("not confirmed"), "{empty:?}");
    let pages = session.pages("dave");
    let right = dave.types(line, &[(prompt, PASSPHRASE)]);
    assert_eq!((right.code, right.prompts()), (Some(0), 1), "{right:?}");
    // The question stands there, and nobody who looks on reads the passphrase.
    assert!(right.text.contains("Publish foo/3.0 as dave?"), "{right:?}");
    assert!(!right.text.contains(PASSPHRASE), "{right:?}");
    assert_eq!(session.pages("dave"), pages + 1);
    session.accepted();
}

#[test]
fn who_does_not_say_yes_signs_nothing() {
    let session = Session::settled();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    let dave = Person::new(&session, "dave", None);
    let line = "conex publish foo/3.0";
    for answer in ["n", "", "no", "yess", "Y n"] {
        let said = dave.changes_nothing(line, &[("[y/N] ", answer)]);
        assert_eq!((said.code, said.prompts()), (Some(1), 1), "{said:?}");
        let told = "not confirmed; nothing was signed or written";
        assert!(said.text.contains(told), "{said:?}");
        // What is typed can be read, other than a passphrase.
        assert!(said.text.contains(&format!("{answer}\r\n")), "{said:?}");
    }
    // Nor who closes the terminal's input, or interrupts.
    for key in ['d', 'c'] {
        let before = session.files();
        let mut terminal = dave.begin(line);
        let text = terminal.exp_string("[y/N] ").unwrap();
        terminal.send_control(key).unwrap();
        let said = end(terminal, text);
        assert_ne!(said.code, Some(0), "{said:?}");
        assert_eq!(session.files(), before);
    }
}

#[test]
fn one_by_one_is_asked_for_each_and_signed_once() {
    let mut session = Session::settled();
    session.write("bar/0.2/data", "bar in version 0.2\n");
    let pages = session.pages("alice");
    let alice = Person::new(&session, "alice", None);
    let said = alice.types(
        "conex approve --each",
        &[
            ("Approve it? [y/N] ", "y"),
            ("Approve it? [y/N] ", "y"),
            ("Vouch for these 2 statements as alice? [y/N] ", "y"),
        ],
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(session.pages("alice"), pages + 1);
    let bob = Person::new(&session, "bob", None);
    let no = ("Approve it? [y/N] ", "n");
    let said = bob.changes_nothing("conex approve --each", &[no, no]);
    assert!(said.text.contains("nothing was agreed to"), "{said:?}");
    bob.types(
        "conex approve --all",
        &[("Vouch for these 2 statements as bob? [y/N] ", "y")],
    );
    session.accepted();
}

#[test]
fn owners_are_agreed_to_in_bulk_or_one_by_one_and_signed_once() {
    let mut session = Session::inherited();
    let line = "conex bootstrap --infer --few 1 \
        --is bob=bob@example.org --is dave=dave@example.org --is erin=erin@example.org";
    let pages = session.pages("alice");
    let alice = Person::new(&session, "alice", None);
    let no = ("[y/N] ", "n");
    let said = alice.changes_nothing(line, &[no, no, no]);
    assert!(said.text.contains("nothing was agreed to"), "{said:?}");
    let said = alice.types(
        line,
        &[
            ("Agree to these 2 packages? [y/N] ", "y"),
            ("Claim pair for dave, erin? [y/N] ", "n"),
            ("Claim qux for erin? [y/N] ", "y"),
            ("Claim these 3 packages as alice? [y/N] ", "y"),
        ],
    );
    assert_eq!((said.code, said.prompts()), (Some(0), 4), "{said:?}");
    assert_eq!(session.pages("alice"), pages + 1);
    assert!(!session.tree().join("conex/packages/pair.toml").exists());
    let bob = Person::new(&session, "bob", None);
    bob.types(
        "conex approve --all",
        &[("Vouch for these 3 statements as bob? [y/N] ", "y")],
    );
    session.accepted();
}

#[test]
fn a_new_key_asks_for_its_passphrase_twice() {
    let session = Session::settled();
    let dave = Person::new(&session, "dave", None);
    let (first, second) = ("Passphrase for the new key: ", "The same again: ");
    let said = dave.changes_nothing("conex key new frank", &[(first, "one"), (second, "two")]);
    assert!(said.text.contains("no key was made"), "{said:?}");
    let said = dave.changes_nothing("conex key new frank", &[(first, ""), (second, "")]);
    assert!(said.text.contains("--no-passphrase"), "{said:?}");
    assert!(!dave.home.join("keys/frank").exists());
    let said = dave.types("conex key new frank", &[(first, "one"), (second, "one")]);
    assert_eq!(said.code, Some(0), "{said:?}");
    // With two keys, the one that this repository knows signs without being named.
    let said = dave.types("conex status", &[]);
    assert!(said.text.contains("you are dave"), "{said:?}");
}

#[test]
fn colour_is_for_terminals() {
    let session = Session::settled();
    let mut dave = Person::new(&session, "dave", None);
    let coloured = |said: &Said| said.text.contains("\x1b[");
    let shown = dave.types("conex status", &[]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(coloured(&shown), "{shown:?}");
    let piped = dave.types("conex status | cat", &[]);
    assert!(piped.text.contains("trust anchor"), "{piped:?}");
    assert!(!coloured(&piped), "{piped:?}");
    dave.environment = vec![("NO_COLOR", "1")];
    assert!(!coloured(&dave.types("conex status", &[])));
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let session = Session::settled();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    let dave = Person::new(&session, "dave", None);
    // Neither where the answer could not be typed, nor where the question could not be read.
    for line in [
        "conex publish foo/3.0 </dev/null",
        "conex publish foo/3.0 2>said; code=$?; cat said; rm said; exit $code",
    ] {
        let said = dave.changes_nothing(line, &[]);
        assert_eq!((said.code, said.prompts()), (Some(2), 0), "{said:?}");
        assert!(said.text.contains("--yes"), "{said:?}");
    }
}

#[test]
fn an_interrupted_passphrase_leaves_the_terminal_as_it_was() {
    let session = Session::settled();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    let dave = Person::new(&session, "dave", Some(b"correct horse"));
    let before = session.files();
    for key in ['c', 'd'] {
        // The shell itself goes on.
        let line = "trap : INT; conex publish foo/3.0; echo code $?; stty -a";
        let mut terminal = dave.begin(line);
        let text = terminal.exp_string("(empty: no): ").unwrap();
        terminal.send_control(key).unwrap();
        let said = end(terminal, text);
        assert!(said.text.contains("not confirmed"), "{said:?}");
        assert!(said.text.contains("code 1\r\n"), "{said:?}");
        assert!(said.text.contains("\nisig icanon iexten echo "), "{said:?}");
        assert_eq!(session.files(), before);
    }
}
