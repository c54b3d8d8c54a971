//! The reader against the programs that own the format.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::{KnownHosts, line::Claim};

fn ssh_keygen(arguments: &[&str]) -> Output {
    Command::new("ssh-keygen")
        .args(arguments)
        .output()
        .expect("these tests need ssh-keygen (apt-get install openssh-client)")
}

fn key(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(format!("{name}.pub"));
    std::fs::read_to_string(path).unwrap().trim_end().to_owned()
}

/// Lines of every kind, none of which two names share by accident.
fn file() -> (tempfile::TempDir, PathBuf) {
    let lines = [
        format!("web1,web2 {}", key("id_ed25519")),
        format!("[web1]:2222\t{}", key("id_ecdsa")),
        format!("*.Example.com,!b.example.com {}", key("id_rsa")),
        format!("@revoked db? {}", key("id_ed25519")),
        format!("@cert-authority *.internal {}", key("ca")),
        // Of a name of its own: ssh-keygen finds a line by its host, whether or not it has a key.
        "web9 ssh-ed25519 broken".to_owned(),
        format!("# web3 {}", key("ca")),
        format!("[::1]:2222 {}", key("ca")),
    ];
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("known_hosts");
    std::fs::write(&path, lines.join("\n")).unwrap();
    (directory, path)
}

const NAMES: [&str; 12] = [
    "web1",
    "web2",
    "web3",
    "[web1]:2222",
    "[web2]:2222",
    "a.example.com",
    "b.example.com",
    "example.com",
    "db1",
    "db12",
    "x.internal",
    "[::1]:2222",
];

/// The numbers of the lines we find for a name.
fn ours(path: &Path, name: &str) -> Vec<usize> {
    let file = KnownHosts::parse(path, &std::fs::read(path).unwrap());
    let mut numbers: Vec<_> = [Claim::HostKey, Claim::Authority, Claim::Revoked]
        .into_iter()
        .flat_map(|claim| file.about(claim, &[name]).map(|line| line.number).collect::<Vec<_>>())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// The same by `ssh-keygen -F`, which says «# Host NAME found: line N …».
fn theirs(path: &Path, name: &str) -> Vec<usize> {
    let output = ssh_keygen(&["-F", name, "-f", &path.display().to_string()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let found = text.lines().filter_map(|line| line.split_once(" found: line "));
    found.map(|(_, rest)| rest.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

#[test]
fn we_find_the_lines_that_ssh_keygen_finds() {
    let (_directory, path) = file();
    let found: Vec<_> = NAMES.iter().map(|name| ours(&path, name)).collect();
    let expected: Vec<_> = NAMES.iter().map(|name| theirs(&path, name)).collect();
    assert_eq!(found, expected, "{NAMES:?}");
    assert!(found.iter().filter(|lines| !lines.is_empty()).count() >= 7, "{found:?}");
}

#[test]
fn we_find_the_names_that_ssh_keygen_hashed() {
    let (_directory, path) = file();
    // Without the lines that it refuses to hash: those it cannot read.
    let readable = std::fs::read_to_string(&path).unwrap().replace("web9 ssh-ed25519 broken\n", "");
    std::fs::write(&path, readable).unwrap();
    let before: Vec<_> = NAMES.iter().map(|name| !ours(&path, name).is_empty()).collect();
    let hashed = ssh_keygen(&["-H", "-f", &path.display().to_string()]);
    assert!(hashed.status.success(), "{hashed:?}");
    let content = std::fs::read_to_string(&path).unwrap();
    assert!(content.matches("|1|").count() >= 4 && !content.contains("web1"), "{content}");
    let after: Vec<_> = NAMES.iter().map(|name| !ours(&path, name).is_empty()).collect();
    assert_eq!(before, after, "{NAMES:?}\n{content}");
}
