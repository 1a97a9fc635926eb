//! Completions and manual pages: of every command, and readable by those who read them.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

fn conex(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_conex"))
        .args(arguments)
        .stdin(Stdio::null())
        .env_clear()
        .output()
        .unwrap()
}

/// The commands below one, as the program's own help lists them.
fn commands(below: &[&str]) -> Vec<String> {
    let help = conex(&[below, &["--help"]].concat());
    let help = String::from_utf8(help.stdout).unwrap();
    let Some((_, list)) = help.split_once("Commands:\n") else {
        return Vec::new();
    };
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_has_a_page_that_names_its_options() {
    let directory = tempfile::tempdir().unwrap();
    let manual = directory.path().join("made/man1");
    let output = conex(&["man", manual.to_str().unwrap()]);
    assert!(output.status.success());
    let mut expected = vec![vec![]];
    for first in commands(&[]) {
        expected.push(vec![first.clone()]);
        for second in commands(&[&first]) {
            expected.push(vec![first.clone(), second]);
        }
    }
    assert!(expected.len() > 25);
    for command in &expected {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let name = [&["conex"], &*command].concat().join("-");
        let page = fs::read_to_string(manual.join(format!("{name}.1"))).unwrap();
        let help = conex(&[&*command, &["--help"]].concat());
        let help = String::from_utf8(help.stdout).unwrap();
        for option in help.split_whitespace().filter(|it| it.starts_with("--")) {
            let option = option.trim_matches(|it: char| !it.is_ascii_alphanumeric());
            let spelled = option.replace('-', "\\-");
            assert!(page.contains(&spelled), "{name}: {option}");
        }
    }
    assert_eq!(fs::read_dir(&manual).unwrap().count(), expected.len());
    // A file where the directory should be is said so.
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let output = conex(&["man", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn every_shell_is_given_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = conex(&["completions", shell]);
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        for command in commands(&[]).iter().chain(&commands(&["root"])) {
            assert!(script.contains(command.as_str()), "{shell}: {command}");
        }
        assert!(script.contains("trust-anchors"), "{shell}");
    }
    assert_eq!(conex(&["completions", "cmd.exe"]).status.code(), Some(2));
}

/// What bash offers after words of a command line.
fn bash(script: &str, words: &str) -> Option<String> {
    let asked = format!(
        "{script}\nCOMP_WORDS=({words} ''); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); \
         _conex conex '' \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\"\n"
    );
    let mut bash = Command::new("bash")
        .args(["--norc", "-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?; // no bash here
    let mut input = bash.stdin.take().unwrap();
    input.write_all(asked.as_bytes()).unwrap();
    drop(input);
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn bash_completes_commands_and_options() {
    let script = String::from_utf8(conex(&["completions", "bash"]).stdout).unwrap();
    for (words, offered) in [
        ("conex", ["publish", "approve"]),
        ("conex root", ["join", "leave"]),
        ("conex verify --mode", ["enforce", "observe"]),
    ] {
        let Some(said) = bash(&script, words) else {
            return;
        };
        for one in offered {
            assert!(
                said.split_whitespace().any(|it| it == one),
                "{words}: {said}"
            );
        }
    }
}
