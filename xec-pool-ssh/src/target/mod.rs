//! Where to: `[user@]host[:port]`, checked before anything is sent anywhere.

mod error;

use std::{fmt, net::Ipv6Addr, str::FromStr};

use xec_pool_core::Endpoint;

pub use self::error::TargetError;

/// The port of an SSH server that says nothing else.
pub(crate) const DEFAULT_PORT: u16 = 22;

/// The longest name DNS knows.
const MAX_HOST_BYTES: usize = 253;

/// A host, a port and perhaps a user, written `[user@]host[:port]`.
///
/// An IPv6 address stands bare (`::1`) or, with a port, in brackets (`[::1]:2222`). The host is kept in lower case
/// and an IPv6 address in its shortest form, so that equal places are equal values.
///
/// # Examples
///
/// ```
/// use xec_pool_ssh::SshTarget;
///
/// let target: SshTarget = "deploy@Web1.example.com:2222".parse()?;
/// assert_eq!((target.user(), target.host(), target.port()), (Some("deploy"), "web1.example.com", 2222));
/// assert!("-oProxyCommand=reboot".parse::<SshTarget>().is_err());
/// # Ok::<(), xec_pool_ssh::TargetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SshTarget {
    user: Option<String>,
    host: String,
    port: u16,
}

impl SshTarget {
    /// A host at port 22. The text is a host alone: no user, no port, no brackets.
    ///
    /// # Errors
    ///
    /// Where the text is no host.
    pub fn new(host: &str) -> Result<Self, TargetError> {
        Ok(Self { user: None, host: checked_host(host)?, port: DEFAULT_PORT })
    }

    /// The same place as another user.
    ///
    /// # Errors
    ///
    /// Where the text is no user name.
    pub fn with_user(self, user: &str) -> Result<Self, TargetError> {
        Ok(Self { user: Some(checked_user(user)?), ..self })
    }

    /// The same host at another port.
    ///
    /// # Errors
    ///
    /// Where the port is 0.
    pub fn with_port(self, port: u16) -> Result<Self, TargetError> {
        if port == 0 {
            return Err(TargetError::Port { text: "0".to_owned() });
        }
        Ok(Self { port, ..self })
    }

    /// The user, where the target names one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The same as telemetry names it.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.host.clone(), self.port)
    }
}

impl FromStr for SshTarget {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        // The last one, like ssh: a user may have an @ in it, a host never.
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, text),
        };
        let (host, port) = split_port(place)?;
        let mut target = Self::new(host)?;
        if let Some(port) = port {
            target.port = checked_port(port)?;
        }
        match user {
            Some(user) => target.with_user(user),
            None => Ok(target),
        }
    }
}

impl TryFrom<&str> for SshTarget {
    type Error = TargetError;

    fn try_from(text: &str) -> Result<Self, TargetError> {
        text.parse()
    }
}

impl fmt::Display for SshTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match (self.port, self.host.contains(':')) {
            (DEFAULT_PORT, _) => f.write_str(&self.host),
            (port, true) => write!(f, "[{}]:{port}", self.host),
            (port, false) => write!(f, "{}:{port}", self.host),
        }
    }
}

fn split_port(place: &str) -> Result<(&str, Option<&str>), TargetError> {
    let not_an_address = || TargetError::Address { text: place.to_owned() };
    if let Some(rest) = place.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or_else(not_an_address)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((address, Some(port))),
            None if after.is_empty() => Ok((address, None)),
            None => Err(not_an_address()),
        };
    }
    match place.split_once(':') {
        // A second colon: a bare IPv6 address, whose last part is no port.
        Some((_, port)) if port.contains(':') => Ok((place, None)),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((place, None)),
    }
}

fn checked_host(host: &str) -> Result<String, TargetError> {
    if host.is_empty() {
        return Err(TargetError::NoHost);
    }
    if host.starts_with('-') {
        return Err(TargetError::HostDash { host: host.to_owned() });
    }
    if host.len() > MAX_HOST_BYTES {
        return Err(TargetError::HostTooLong { length_bytes: host.len() });
    }
    // Letters alone keep it out of every other grammar it will stand in: a `*` learned into known_hosts would trust
    // all hosts, a `,` a second one.
    let wrong = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%'));
    if let Some(character) = host.chars().find(wrong) {
        return Err(TargetError::HostCharacter { host: host.to_owned(), character });
    }
    if host.contains(':') {
        return checked_address(host);
    }
    match host.chars().find(|c| *c == '%') {
        Some(character) => Err(TargetError::HostCharacter { host: host.to_owned(), character }),
        None => Ok(host.to_ascii_lowercase()),
    }
}

fn checked_address(host: &str) -> Result<String, TargetError> {
    let not_an_address = |_| TargetError::Address { text: host.to_owned() };
    // A link-local address may name its interface, whose name is not ours to change.
    match host.split_once('%') {
        Some((_, "")) => Err(TargetError::Address { text: host.to_owned() }),
        Some((address, scope)) => {
            let address: Ipv6Addr = address.parse().map_err(not_an_address)?;
            Ok(format!("{address}%{scope}"))
        }
        None => host.parse().map_err(not_an_address).map(|address: Ipv6Addr| address.to_string()),
    }
}

fn checked_user(user: &str) -> Result<String, TargetError> {
    if user.is_empty() {
        return Err(TargetError::NoUser);
    }
    if user.starts_with('-') {
        return Err(TargetError::UserDash { user: user.to_owned() });
    }
    match user.chars().find(|c| c.is_whitespace() || c.is_control()) {
        Some(character) => Err(TargetError::UserCharacter { user: user.to_owned(), character }),
        None => Ok(user.to_owned()),
    }
}

fn checked_port(text: &str) -> Result<u16, TargetError> {
    // `parse` alone would take a "+22".
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port != 0 => Ok(port),
        _ => Err(TargetError::Port { text: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str) -> (Option<String>, String, u16) {
        let target: SshTarget = text.parse().unwrap();
        (target.user, target.host, target.port)
    }

    #[test]
    fn every_form_of_a_target_is_read() {
        let cases: [(&str, Option<&str>, &str, u16); 12] = [
            ("web1", None, "web1", 22),
            ("web1:2222", None, "web1", 2222),
            ("deploy@web1", Some("deploy"), "web1", 22),
            ("deploy@WEB1.Example.com:65535", Some("deploy"), "web1.example.com", 65535),
            ("a@corp.example@web1:1", Some("a@corp.example"), "web1", 1),
            ("CORP\\deploy@web1", Some("CORP\\deploy"), "web1", 22),
            ("10.0.0.7:22", None, "10.0.0.7", 22),
            ("::1", None, "::1", 22),
            ("[::1]", None, "::1", 22),
            ("root@[2001:DB8:0::7]:2222", Some("root"), "2001:db8::7", 2222),
            ("[fe80::1%eth0]:22", None, "fe80::1%eth0", 22),
            ("[web1]:2222", None, "web1", 2222),
        ];
        for (text, user, host, port) in cases {
            assert_eq!(parts(text), (user.map(str::to_owned), host.to_owned(), port), "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused_with_the_reason() {
        let cases = [
            ("", "the target names no host; write [user@]host[:port]"),
            ("deploy@", "the target names no host; write [user@]host[:port]"),
            (":22", "the target names no host; write [user@]host[:port]"),
            ("[]:22", "the target names no host; write [user@]host[:port]"),
            ("@web1", "the user before the '@' is empty"),
            ("-oProxyCommand=x", "the host \"-oProxyCommand=x\" begins with '-'"),
            ("a@-web1", "the host \"-web1\" begins with '-'"),
            ("-l@web1", "the user \"-l\" begins with '-'"),
            ("we b1", "the host \"we b1\" has ' ' in it"),
            ("web1\n", "the host \"web1\\n\" has '\\n' in it"),
            ("web\u{0}1", "the host \"web\\01\" has '\\0' in it"),
            ("*.example.com", "the host \"*.example.com\" has '*' in it"),
            ("a,b", "the host \"a,b\" has ',' in it"),
            ("web1%eth0", "the host \"web1%eth0\" has '%' in it"),
            ("dep loy@web1", "the user \"dep loy\" has ' ' in it"),
            ("dep\u{7f}loy@web1", "the user \"dep\\u{7f}loy\" has '\\u{7f}' in it"),
            ("web1:", "the port \"\" is not a number from 1 to 65535"),
            ("web1:0", "the port \"0\" is not a number from 1 to 65535"),
            ("web1:65536", "the port \"65536\" is not a number from 1 to 65535"),
            ("web1:+22", "the port \"+22\" is not a number from 1 to 65535"),
            ("web1:ssh", "the port \"ssh\" is not a number from 1 to 65535"),
            ("a:b:c", "\"a:b:c\" is no IPv6 address"),
            ("[::1", "\"[::1\" is no IPv6 address"),
            ("[::1]22", "\"[::1]22\" is no IPv6 address"),
            ("[fe80::1%]", "\"fe80::1%\" is no IPv6 address"),
        ];
        for (text, reason) in cases {
            let error = text.parse::<SshTarget>().unwrap_err().to_string();
            assert!(error.starts_with(reason), "{text:?}: {error}");
        }
        let long = "a".repeat(254);
        assert_eq!(long.parse::<SshTarget>(), Err(TargetError::HostTooLong { length_bytes: 254 }));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_a_target_reads_its_own_words(text in "\\PC{0,40}|[a-z@:\\[\\]0-9.%-]{0,24}") {
            if let Ok(target) = text.parse::<SshTarget>() {
                prop_assert_eq!(target.to_string().parse(), Ok(target));
            }
        }
    }
}
