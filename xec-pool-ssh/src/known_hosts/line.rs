//! One line of a file: marker, hosts, key. What cannot be read is a reason, never a panic and never a key.

use russh::keys::{Algorithm, PublicKey, parse_public_key_base64};

use super::pattern::Hosts;

/// What a line says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is the host's.
    HostKey,
    /// It signs the certificates of hosts (`@cert-authority`).
    Authority,
    /// It must not be trusted any more (`@revoked`).
    Revoked,
}

/// A line that could be read.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Counted from 1, as editors do.
    pub(crate) number: usize,
    pub(crate) claim: Claim,
    pub(crate) hosts: Hosts,
    pub(crate) key: PublicKey,
}

impl Line {
    /// Reads a line. `Ok(None)` is a blank one or a comment; an error is why it is skipped.
    pub(crate) fn parse(number: usize, text: &str) -> Result<Option<Self>, &'static str> {
        let mut columns = text.split([' ', '\t', '\r']).filter(|column| !column.is_empty());
        let Some(mut first) = columns.next() else { return Ok(None) };
        if first.starts_with('#') {
            return Ok(None);
        }
        let claim = match first {
            "@cert-authority" => Claim::Authority,
            "@revoked" => Claim::Revoked,
            marker if marker.starts_with('@') => return Err("its marker is unknown"),
            _ => Claim::HostKey,
        };
        if claim != Claim::HostKey {
            first = columns.next().ok_or("it names no host")?;
        }
        let hosts = Hosts::parse(first).ok_or("its hosts cannot be read")?;
        let kind = columns.next().ok_or("it has no key")?;
        let kind = Algorithm::new(kind).map_err(|_| "its kind of key is unknown")?;
        let key = columns.next().ok_or("it has no key")?;
        let key = parse_public_key_base64(key).map_err(|_| "its key cannot be read")?;
        if key.algorithm() != kind {
            return Err("its key is of another kind than it says");
        }
        Ok(Some(Self { number, claim, hosts, key }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";

    fn claim_of(text: &str) -> Result<Option<Claim>, &'static str> {
        Line::parse(7, text).map(|line| line.map(|line| line.claim))
    }

    #[test]
    fn a_line_is_read_whatever_stands_between_its_columns() {
        let cases = [
            (format!("web1 {KEY}"), Claim::HostKey),
            (format!("web1 {KEY} a comment # with more"), Claim::HostKey),
            (format!("  \tweb1\t{}\t\r", KEY.replace(' ', "\t \t")), Claim::HostKey),
            (format!("@cert-authority *.example.com {KEY}"), Claim::Authority),
            (format!("@revoked\t* {KEY}"), Claim::Revoked),
        ];
        for (text, claim) in cases {
            assert_eq!(claim_of(&text), Ok(Some(claim)), "{text:?}");
        }
        for nothing in ["", "   \t", "# web1 ssh-ed25519", "  #", "\r"] {
            assert_eq!(claim_of(nothing), Ok(None), "{nothing:?}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_says_why() {
        let cases = [
            (format!("@trusted web1 {KEY}"), "its marker is unknown"),
            (format!("@Revoked web1 {KEY}"), "its marker is unknown"),
            ("@revoked".to_owned(), "it names no host"),
            (format!("|1|web1 {KEY}"), "its hosts cannot be read"),
            ("web1".to_owned(), "it has no key"),
            ("web1 ssh-ed25519".to_owned(), "it has no key"),
            ("web1 ssh-ed25519 !!!!".to_owned(), "its key cannot be read"),
            ("web1 ssh-ed25519 AAAA".to_owned(), "its key cannot be read"),
            (format!("web1 {}", KEY.replace("ssh-ed25519", "ssh-rsa")), "its key is of another kind than it says"),
            // The form of SSH 1: bits, exponent, modulus.
            ("web1 1024 37 1599".to_owned(), "its kind of key is unknown"),
        ];
        for (text, reason) in cases {
            assert_eq!(claim_of(&text), Err(reason), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(text in "\\PC{0,120}|(@revoked |@cert-authority )?[a-z*?!,|\\[\\]:0-9=]{0,20} ssh-[a-z0-9]{2,7} [A-Za-z0-9+/=]{0,90}") {
            let _ = Line::parse(1, &text);
        }

        #[test]
        fn no_key_of_any_bytes_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), prefix in 0_usize..80) {
            use russh::keys::ssh_key::public::KeyData;
            let mut blob = parse_public_key_base64(KEY.split_once(' ').unwrap().1).unwrap().to_bytes().unwrap();
            blob.truncate(prefix.min(blob.len()));
            blob.extend(bytes);
            let mut whole = String::from("web1 ssh-ed25519 ");
            whole.push_str(&base64(&blob));
            if let Ok(Some(line)) = Line::parse(1, &whole) {
                prop_assert!(matches!(line.key.key_data(), KeyData::Ed25519(_)));
            }
        }
    }

    fn base64(bytes: &[u8]) -> String {
        use russh::keys::ssh_encoding::base64::{Base64, Encoding};
        Base64::encode_string(bytes)
    }
}
