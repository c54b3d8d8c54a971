//! Why nobody was let in.

use std::fmt;

/// Why the server did not let the user in. Trying again would not help, and might lock the account.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// There was nothing to try.
    #[error(
        "there is nothing to authenticate with{}; start an agent, make a key with `ssh-keygen`, or configure one",
        Tried(tried)
    )]
    #[non_exhaustive]
    NothingToOffer {
        /// What was looked for, and why it did not serve.
        tried: Vec<String>,
    },
    /// The server refused everything it was offered.
    #[error("the server refuses {user}{}{}", Tried(tried), Remaining(remaining, *partial))]
    #[non_exhaustive]
    Refused {
        /// The user.
        user: String,
        /// What was tried, in order, and what was passed over and why.
        tried: Vec<String>,
        /// What the server would still take: `publickey`, `password`, ….
        remaining: Vec<String>,
        /// Whether the server accepted something and asks for more.
        partial: bool,
    },
}

struct Tried<'a>(&'a [String]);

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            tried => write!(f, " (tried: {})", tried.join("; ")),
        }
    }
}

struct Remaining<'a>(&'a [String], bool);

impl fmt::Display for Remaining<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            ([], _) => Ok(()),
            (methods, true) => write!(f, "; it wants {} as well", methods.join(" or ")),
            (methods, false) => write!(f, "; it would take {}", methods.join(" or ")),
        }
    }
}
