//! The host column of a line: patterns with `*`, `?` and `!`, or one name as a salted hash.

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::HostPatterns;
use sha1::Sha1;

/// Whom a line is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hosts(HostPatterns);

impl Hosts {
    /// Reads the column. `None` where no host can be meant by it.
    pub(crate) fn parse(column: &str) -> Option<Self> {
        if !column.starts_with("|1|") && (column.is_empty() || column.contains('|')) {
            return None;
        }
        match column.parse().ok()? {
            HostPatterns::Patterns(patterns) => {
                let lower = patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
                Some(Self(HostPatterns::Patterns(lower)))
            }
            hashed @ HostPatterns::HashedName { .. } => {
                // The parser fills up a hash that is too short with zeros; whole ones alone read back as written.
                (hashed.to_string() == column).then_some(Self(hashed))
            }
        }
    }

    /// Whether the line is about this name, which is in lower case and has its port on it: `[host]:2222`.
    pub(crate) fn match_name(&self, name: &str) -> bool {
        match &self.0 {
            HostPatterns::Patterns(patterns) => match_list(patterns, name),
            HostPatterns::HashedName { salt, hash } => match Hmac::<Sha1>::new_from_slice(salt) {
                // Compared in constant time, not that a file of one's own would be attacked so.
                Ok(mac) => mac.chain_update(name).verify_slice(hash).is_ok(),
                Err(_) => false,
            },
        }
    }
}

/// From: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT — a negated pattern that matches ends the matter, whatever else does.
fn match_list(patterns: &[String], name: &str) -> bool {
    let mut matched = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches_glob(negated, name) => return false,
            Some(_) => {}
            None => matched |= matches_glob(pattern, name),
        }
    }
    matched
}

/// `*` is any run of characters, `?` any one; nothing else is special, brackets neither.
///
/// No recursion: on a mismatch the last star takes one character more, and stars before it need not be tried again.
pub(crate) fn matches_glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut last_star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            Some(_) | None => {
                let Some((star, taken)) = last_star else { return false };
                last_star = Some((star, taken + 1));
                p = star + 1;
                n = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_column_matches_as_ssh_matches_it() {
        let cases = [
            ("web1", "web1", true),
            ("web1", "web10", false),
            ("WEB1.Example.com", "web1.example.com", true),
            ("web1,web2", "web2", true),
            ("web?", "web1", true),
            ("web?", "web", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*", "[web1]:2222", true),
            ("web1", "[web1]:2222", false),
            ("[web1]:2222", "[web1]:2222", true),
            ("[*.example.com]:2222", "[a.example.com]:2222", true),
            ("[web1]:2222", "web1", false),
            ("*.example.com,!bad.example.com", "bad.example.com", false),
            ("!bad.example.com,*.example.com", "bad.example.com", false),
            ("!bad.example.com,*.example.com", "good.example.com", true),
            ("!bad.example.com", "good.example.com", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("::1", "::1", true),
            // From: ssh-keygen(1) -H, run over the names «web1» and «[web1]:2222».
            // From: ssh-keygen(1) -H, run over the name «web1» and over «[web1]:2222».
            ("|1|pxaXLOkpmSmX4D62CKOz6ATwwAQ=|9vf0F1ieJvX3U1Kw1QSzgjBT7bw=", "web1", true),
            ("|1|pxaXLOkpmSmX4D62CKOz6ATwwAQ=|9vf0F1ieJvX3U1Kw1QSzgjBT7bw=", "web2", false),
            ("|1|BXpywpYS4a6+qDnD1KMaQ2/FbS0=|hLwLn04UBOaK1CMs3FUREVSvKPo=", "[web1]:2222", true),
            ("|1|BXpywpYS4a6+qDnD1KMaQ2/FbS0=|hLwLn04UBOaK1CMs3FUREVSvKPo=", "web1", false),
        ];
        for (column, name, matched) in cases {
            assert_eq!(Hosts::parse(column).unwrap().match_name(name), matched, "{column} {name}");
        }
    }

    #[test]
    fn a_column_that_means_nobody_is_none() {
        for column in ["", "|1|", "|1|x", "|1|AAAA|AAAA", "|2|AAAA|AAAA", "!|1|AAAA|AAAA", "web1,|1|AAAA|AAAA"] {
            assert_eq!(Hosts::parse(column), None, "{column}");
        }
    }

    proptest! {
        #[test]
        fn no_column_panics(column in "\\PC{0,60}", name in "\\PC{0,30}") {
            if let Some(hosts) = Hosts::parse(&column) {
                let _ = hosts.match_name(&name);
            }
        }

        #[test]
        fn a_glob_agrees_with_its_definition(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            fn by_definition(pattern: &[u8], name: &[u8]) -> bool {
                match (pattern.split_first(), name.split_first()) {
                    (None, _) => name.is_empty(),
                    (Some((b'*', rest)), _) => (0..=name.len()).any(|taken| by_definition(rest, &name[taken..])),
                    (Some((p, rest)), Some((n, others))) => (*p == b'?' || p == n) && by_definition(rest, others),
                    (Some(_), None) => false,
                }
            }
            prop_assert_eq!(matches_glob(&pattern, &name), by_definition(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
