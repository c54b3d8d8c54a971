//! Leaks that are planted, and names that may stand where they stand.

use super::*;

const HEAD: &str = "
    use russh::{client, keys::{self, PublicKey as Key}, Channel};
    pub struct Open { pub name: String, channel: Channel }
    pub(crate) struct Inside;
    trait Within {}
";

fn leaks_with(body: &str) -> Vec<String> {
    let file = |name: &str, text: String| (format!("xec-pool-ssh/src/{name}.rs"), text);
    let other = "type Agent = russh::keys::agent::client::AgentClient<u8>;".to_owned();
    leaks(&[file("agent", other), file("open", format!("{HEAD}{body}"))])
}

#[test]
fn what_is_hidden_does_not_come_out_at_any_door() {
    for door in [
        "pub fn key() -> russh::keys::PublicKey { todo() }",
        "pub fn key(\n    name: &str,\n) -> Result<\n    Key,\n    String,\n> { todo() }",
        "pub fn key<T>(of: T) where T: client::Handler {}",
        "pub fn keys(of: &[Box<dyn Fn(keys::Error) -> u8>]) {}",
        "pub struct Two(pub u8, pub Channel);",
        "pub struct Two { pub channel: Option<Channel> }",
        "pub struct Two<H: client::Handler>(H);",
        "pub enum Failure { Protocol(russh::Error) }",
        "pub enum Failure { Protocol { source: ::russh::Error } }",
        "pub type Failure = russh::Error;",
        "pub const LIMIT: russh::Limits = limits();",
        "pub static LIMIT: russh::Limits = limits();",
        "pub trait Look: client::Handler {}",
        "pub trait Look { fn look(&self) -> Key; }",
        "pub trait Look { type Of: Into<Key>; }",
        "pub use russh::Error;",
        "pub use client;",
        "pub mod inner { pub fn key() -> russh::keys::PublicKey { todo() } }",
        "impl Open { pub async fn channel(&mut self) -> Channel { todo() } }",
        "impl Open { pub const LIMIT: Option<russh::Limits> = None; }",
        "impl From<russh::Error> for Open { fn from(_: russh::Error) -> Self { todo() } }",
        "impl From<Open> for russh::Error { fn from(_: Open) -> Self { todo() } }",
        "impl client::Handler for Open {}",
        "impl Iterator for Open { type Item = Channel; }",
        "impl<T: client::Handler> Iterator for Open { type Item = u8; }",
        "pub fn agent() -> crate::agent::Agent { todo() }",
        "pub fn agent() -> Agent { todo() }",
    ] {
        assert!(!leaks_with(door).is_empty(), "not seen: {door}");
    }
}

#[test]
fn what_stays_inside_may_be_named() {
    for room in [
        "pub fn key(name: &str) -> String { let key: russh::keys::PublicKey = todo(); key.to_string() }",
        "pub(crate) fn key() -> russh::keys::PublicKey { todo() }",
        "fn key() -> Key { todo() }",
        "pub struct Two { pub(crate) channel: Channel, client: u8 }",
        "impl Open { pub(crate) fn channel(&self) -> &Channel { &self.channel } fn own(self) -> Channel { todo() } }",
        "impl From<russh::Error> for Inside { fn from(_: russh::Error) -> Self { todo() } }",
        "impl client::Handler for Inside { type Error = russh::Error; }",
        "impl Within for Open { fn f() -> Channel { todo() } }",
        "pub(crate) use russh::Error;",
        "pub fn client() -> Open { todo() }",
        "#[cfg(test)] mod tests { pub fn key() -> russh::keys::PublicKey { todo() } }",
    ] {
        assert_eq!(leaks_with(room), Vec::<String>::new(), "{room}");
    }
}

#[test]
fn a_leak_is_told_with_its_place_and_only_where_it_is_one() {
    let leak = "pub fn manager() -> deadpool::managed::Manager { todo() }".to_owned();
    let core = ("xec-pool-core/src/shelf.rs".to_owned(), leak.clone());
    let said = "xec-pool-core/src/shelf.rs: public, and names what is hidden: `deadpool` in `manager`";
    assert_eq!(leaks(&[core]), [said]);
    assert_eq!(leaks(&[("xec-pool-core/benches/src/lib.rs".to_owned(), leak)]), Vec::<String>::new());
}
