//! The grammar of `controlMaster`, `controlPath` and `controlPersist`, checked although they do nothing yet: an
//! object that is accepted today must not be refused tomorrow.

use std::time::Duration;

use super::SshConfigError;

/// What follows a `%` in a path. From: ssh_config(5), TOKENS, the list for ControlPath.
const TOKENS: &str = "%CdhijkLlnpru";

/// Whether a word switches sharing on. From: ssh_config(5), ControlMaster.
pub(crate) fn master_word(text: &str) -> Result<bool, SshConfigError> {
    match text {
        "no" | "false" => Ok(false),
        "yes" | "true" | "ask" | "auto" | "autoask" => Ok(true),
        _ => Err(wrong("controlMaster", text, "it is one of yes, no, auto, ask and autoask")),
    }
}

/// From: ssh_config(5), ControlPath.
pub(crate) fn check_path(text: &str) -> Result<(), SshConfigError> {
    let problem = |problem| Err(wrong("controlPath", text, problem));
    if text.is_empty() || text.contains('\0') {
        return problem("it must be a path");
    }
    let mut rest = text;
    while let Some(at) = rest.find(['%', '$']) {
        let (sign, after) = (rest.as_bytes()[at], &rest[at + 1..]);
        rest = match (sign, after.chars().next()) {
            (b'%', Some(token)) if TOKENS.contains(token) => &after[1..],
            (b'%', _) => return problem("a '%' must be followed by one of the letters %CdhijkLlnpru"),
            (_, Some('{')) => match after.split_once('}') {
                Some((name, after)) if name.len() > 1 => after,
                Some(_) | None => return problem("a '${' must be followed by a name and a '}'"),
            },
            (_, Some(_) | None) => after,
        };
    }
    Ok(())
}

/// How long a connection is kept after its last use: `Ok(None)` is for ever. From: ssh_config(5), ControlPersist and
/// TIME FORMATS; a bare number is seconds.
pub(crate) fn persist_word(text: &str) -> Result<Option<Duration>, SshConfigError> {
    match text {
        "yes" | "true" => Ok(None),
        "no" | "false" => Ok(Some(Duration::ZERO)),
        text => match seconds(text) {
            // From: ssh_config(5) — zero is for ever, like yes.
            Some(0) => Ok(None),
            Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
            None => Err(wrong("controlPersist", text, "it is yes, no, a number of seconds, or a time like 1h30m")),
        },
    }
}

fn seconds(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = text;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().ok()?;
        let mut after = rest[digits..].chars();
        let unit = match after.next().map(|c| c.to_ascii_lowercase()) {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 60 * 60,
            Some('d') => 24 * 60 * 60,
            Some('w') => 7 * 24 * 60 * 60,
            Some(_) => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = after.as_str();
        if rest.is_empty() {
            return Some(total);
        }
    }
}

fn wrong(field: &'static str, text: &str, problem: &'static str) -> SshConfigError {
    SshConfigError::Grammar { field, text: text.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_to_persist_is_read_as_ssh_reads_it() {
        let cases = [
            ("yes", None),
            ("0", None),
            ("no", Some(0)),
            ("10m", Some(600)),
            ("600", Some(600)),
            ("1h30m", Some(5_400)),
            ("1W2d", Some(777_600)),
            ("1m30", Some(90)),
        ];
        for (text, seconds) in cases {
            assert_eq!(persist_word(text).unwrap(), seconds.map(Duration::from_secs), "{text}");
        }
        for text in ["", "m", "10x", "-1", "1.5h", "10 m", "18446744073709551615w", "99999999999999999999"] {
            let error = persist_word(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`controlPersist` is {text:?}")), "{error}");
        }
    }

    #[test]
    fn a_path_may_have_the_tokens_of_ssh_and_no_others() {
        for good in ["~/.ssh/cm_%r@%h:%p", "/run/%C", "${XDG_RUNTIME_DIR}/x%%", "none", "/a$b"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        for bad in ["", "/x%", "/x%z", "/%é", "/${}", "/${HOME", "/a\0b"] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_master_is_on_in_every_way_ssh_can_switch_it_on() {
        assert_eq!(["no", "yes", "auto"].map(|word| master_word(word).unwrap()), [false, true, true]);
        assert!(master_word("maybe").unwrap_err().to_string().starts_with("`controlMaster` is \"maybe\""));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,20}|[0-9smhdw%${}~/]{0,20}") {
            let _ = (persist_word(&text), check_path(&text), master_word(&text));
        }
    }
}
