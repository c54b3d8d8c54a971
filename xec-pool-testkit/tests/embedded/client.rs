//! A small russh client, as plain as can be.

use std::sync::Arc;

use russh::{
    Channel, ChannelMsg, Error, Sig,
    client::{self, AuthResult, Handle, Msg},
    keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate},
};
use tokio::io::{AsyncRead, AsyncWrite};
use xec_pool_testkit::{
    EmbeddedSsh,
    keys::{self, TestKey},
};

/// Trusts the testkit's host keys.
pub(crate) struct Trusting;

impl client::Handler for Trusting {
    type Error = Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let known = [keys::HOST_ED25519, keys::HOST_ECDSA, keys::HOST_RSA];
        Ok(known.iter().any(|host| key.to_openssh().is_ok_and(|text| host.public.starts_with(&text))))
    }
}

pub(crate) fn config() -> Arc<client::Config> {
    Arc::new(client::Config { nodelay: true, ..client::Config::default() })
}

pub(crate) async fn connect(server: &EmbeddedSsh) -> Result<Handle<Trusting>, Error> {
    client::connect(config(), server.addr(), Trusting).await
}

pub(crate) async fn connect_stream<S>(stream: S) -> Result<Handle<Trusting>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    client::connect_stream(config(), stream, Trusting).await
}

pub(crate) fn private(key: TestKey) -> Arc<PrivateKey> {
    let locked = PrivateKey::from_openssh(key.private).expect("a committed key parses");
    Arc::new(match key.passphrase {
        Some(passphrase) => locked.decrypt(passphrase).expect("the passphrase opens it"),
        None => locked,
    })
}

pub(crate) async fn offer(handle: &mut Handle<Trusting>, user: &str, key: TestKey) -> Result<AuthResult, Error> {
    let hash = Some(russh::keys::HashAlg::Sha256);
    handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(private(key), hash)).await
}

pub(crate) async fn login(server: &EmbeddedSsh) -> Handle<Trusting> {
    let mut handle = connect(server).await.expect("it listens");
    assert!(offer(&mut handle, "ada", keys::USER_ED25519).await.expect("it answers").success());
    handle
}

/// All that came of a command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) started: Option<bool>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) code: Option<u32>,
    pub(crate) signal: Option<String>,
    /// Whether the channel was closed in good order.
    pub(crate) closed: bool,
}

impl Came {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

pub(crate) async fn run(handle: &Handle<Trusting>, command: &str) -> Came {
    let mut channel = handle.channel_open_session().await.expect("there is room");
    channel.exec(true, command).await.expect("the session lives");
    listen(&mut channel).await
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only what a command sends is of interest")]
pub(crate) async fn listen(channel: &mut Channel<Msg>) -> Came {
    let mut came = Came::default();
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Success => came.started = Some(true),
            ChannelMsg::Failure => came.started = Some(false),
            ChannelMsg::Data { data } => came.stdout.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, ext: 1 } => came.stderr.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => came.code = Some(exit_status),
            ChannelMsg::ExitSignal { signal_name, .. } => came.signal = Some(name(&signal_name)),
            ChannelMsg::Close => came.closed = true,
            _ => {}
        }
    }
    came
}

fn name(signal: &Sig) -> String {
    if let Sig::Custom(name) = signal { name.clone() } else { format!("{signal:?}") }
}
