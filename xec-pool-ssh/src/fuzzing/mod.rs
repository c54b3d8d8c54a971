//! What every text from outside may be expected to do to its parser: one property for each, that panics where it does
//! not hold. Tests drive them with a few hundred texts, `cargo xtask fuzz` with millions.

// A real shell that stays.
mod shell;

#[cfg(test)]
mod tests;

use std::{fmt::Write as _, path::Path, sync::Arc};

use russh::keys::{PublicKey, PublicKeyOrCertificate};

use self::shell::Shell;
use crate::{
    HostKeyError, KeySource, SshTarget, keys,
    known_hosts::{KnownHosts, Names, verdict::judge},
    quote::{assign_into, change_into, quote_into},
};

/// The key a server shows. Texts that are to be believed have it in them.
const SHOWN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";

/// `known_hosts`: the first line is the host, the others are the file.
pub fn known_hosts(bytes: &[u8]) {
    let split = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let host = std::str::from_utf8(&bytes[..split]).unwrap_or_default();
    let Ok(target) = host.parse::<SshTarget>() else { return };
    let file = bytes.get(split + 1..).unwrap_or_default();
    let names = Names::new(target.host(), target.port());
    let said = verdict(&[file], &names);
    let unwell = |what: &str| panic!("{what}: {said:?} of {names:?} by {:?}", String::from_utf8_lossy(file));

    let lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').collect();
    let alone: Vec<Word> = lines.iter().map(|line| verdict(&[line], &names)).collect();
    let revoked = alone.contains(&Word::Revoked);
    let known = alone.contains(&Word::Known);
    if (said == Word::Revoked) != revoked || (said == Word::Known) != (known && !revoked) {
        unwell("the file says something that no line of it says");
    }
    if verdict(&lines, &names) != said {
        unwell("it matters how lines are spread over files");
    }
    let with = |line: String| verdict(&[file, line.as_bytes()], &names);
    if with(format!("@revoked * {SHOWN}")) != Word::Revoked {
        unwell("a revocation is overruled");
    }
    let own = with(format!("{} {SHOWN}", names.own()));
    if own != if revoked { Word::Revoked } else { Word::Known } {
        unwell("a line of its own does not count");
    }
    if with(format!("# {} {SHOWN}", names.own())) != said {
        unwell("a comment counts");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Known,
    Revoked,
    Changed,
    Unknown,
}

fn verdict(files: &[&[u8]], names: &Names) -> Word {
    let shown = PublicKeyOrCertificate::from(PublicKey::from_openssh(SHOWN).expect("it is one"));
    let parse = |file: &&[u8]| Arc::new(KnownHosts::parse(Path::new("known_hosts"), file));
    let files: Vec<_> = files.iter().map(parse).collect();
    match judge(&files, names, &shown, 0) {
        Ok(()) => Word::Known,
        Err(HostKeyError::Revoked { .. }) => Word::Revoked,
        Err(HostKeyError::Changed { .. }) => Word::Changed,
        Err(HostKeyError::Unknown { .. }) => Word::Unknown,
        Err(other) => panic!("a key that is no certificate and is not pinned: {other}"),
    }
}

/// A target: what is accepted reads back as itself and is harmless in every other grammar it will stand in.
pub fn target(text: &str) {
    let Ok(target) = text.parse::<SshTarget>() else { return };
    let again: SshTarget = target.to_string().parse().unwrap_or_else(|error| panic!("{text:?}: {target}: {error}"));
    assert_eq!(again, target, "{text:?}");
    assert_ne!(target.port(), 0, "{text:?}");
    for word in [Some(target.host()), target.user()].into_iter().flatten() {
        assert!(!word.is_empty() && !word.starts_with('-'), "{text:?}: {word:?} is an option");
        assert!(!word.contains(|c: char| c.is_whitespace() || c.is_control()), "{text:?}: {word:?} is two words");
    }
    assert!(!target.host().contains(['*', '?', '!', ',', '|', '@', '#', '[', ']', '/']), "{text:?} means others too");
}

/// Quoting: the text without its NULs comes back from a real shell as an argument, a variable and a directory.
pub fn quoting(text: &str) {
    let word = text.replace('\0', "");
    let mut script = String::from("printf %s ");
    quote_into(&mut script, &word);
    assert_eq!(Shell::run(&script), word, "{script}");

    script.clear();
    assign_into(&mut script, &[("WORD".to_owned(), word.clone())]);
    let _ = write!(script, "; printf %s \"$WORD\"");
    assert_eq!(Shell::run(&script), word, "{script}");

    script = String::from("cd() { printf '%s\\n%s' \"$1\" \"$2\"; }; ");
    change_into(&mut script, &word);
    let here = if word.starts_with(['/', '.']) { "" } else { "./" };
    assert_eq!(Shell::run(&script), format!("--\n{here}{word}"), "{script}");
}

/// A private key: read or refused, and a refusal shows nothing of it.
pub fn private_key(text: &str) {
    if let Err(error) = keys::load(&KeySource::Text(text.into()), None) {
        let said = format!("{error} {error:?}");
        let shown = text.split_whitespace().find(|word| word.len() > 20 && said.contains(word));
        assert_eq!(shown, None, "{said}");
    }
}

/// A configuration: read or refused, and neither shows a secret.
#[cfg(feature = "serde")]
pub fn config(text: &str) {
    let read: Result<crate::SshConfig, _> = serde_json::from_str(text);
    let said = match &read {
        Ok(config) => {
            let target = config.target().to_string();
            assert_eq!(target.parse::<SshTarget>().as_ref(), Ok(config.target()), "{text}");
            assert!(!config.connect_timeout().is_zero() && !config.auth_timeout().is_zero(), "{text}");
            format!("{config:?}")
        }
        Err(error) => format!("{error} {error:?}"),
    };
    let Ok(written) = serde_json::from_str::<serde_json::Value>(text) else { return };
    for field in ["password", "passphrase"] {
        let Some(secret) = written[field].as_str().filter(|secret| secret.len() > 8) else { continue };
        // A text that stands elsewhere too is not secret there.
        assert!(text.matches(secret).count() != 1 || !said.contains(secret), "{field} is shown: {said}");
    }
}

/// The grammar of `controlMaster`, `controlPath` and `controlPersist`: a time reads back as itself.
#[cfg(feature = "serde")]
pub fn control(text: &str) {
    use crate::config::control::{check_path, master_word, persist_word};

    let _ = (master_word(text), check_path(text));
    if let Ok(Some(time)) = persist_word(text)
        && !time.is_zero()
    {
        assert_eq!(persist_word(&time.as_secs().to_string()), Ok(Some(time)), "{text:?}");
    }
}
