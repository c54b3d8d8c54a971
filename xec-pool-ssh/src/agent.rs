//! ssh-agent: one connection to it for each dial, and the keys it offers.

use std::{path::PathBuf, time::Duration};

use russh::{
    client::{Handle, Handler},
    keys::{
        Algorithm, HashAlg, PublicKey,
        agent::{
            AgentIdentity,
            client::{AgentClient, AgentStream},
        },
    },
};

use crate::keys::fingerprint;

/// How long the agent may take to answer and to list its keys. Signing may take longer: somebody may have to touch
/// a token.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A connection to an agent, whichever way it was reached.
pub(crate) type Agent = AgentClient<Box<dyn AgentStream + Send + Unpin>>;

/// Where `SSH_AUTH_SOCK` points.
pub(crate) fn socket_from_environment() -> Option<PathBuf> {
    let value = std::env::var_os("SSH_AUTH_SOCK").filter(|value| !value.is_empty());
    value.map(PathBuf::from).or_else(default_socket)
}

#[cfg(windows)]
fn default_socket() -> Option<PathBuf> {
    Some(PathBuf::from(r"\\.\pipe\openssh-ssh-agent"))
}

#[cfg(not(windows))]
fn default_socket() -> Option<PathBuf> {
    None
}

/// Reaches the agent and asks it for its keys, wanted ones first. The error is a note for the user.
pub(crate) async fn open<H: Handler>(
    socket: &PathBuf,
    handle: &Handle<H>,
    wanted: &[PublicKey],
) -> Result<(Agent, Vec<AgentIdentity>), String> {
    let unreachable = |why: &dyn std::fmt::Display| format!("agent at {}: {why}", socket.display());
    match tokio::time::timeout(ANSWER_WITHIN, identities(socket, handle)).await {
        Ok(Ok((_, identities))) if identities.is_empty() => Err(unreachable(&"it holds no keys")),
        Ok(Ok((agent, mut identities))) => {
            identities.retain(|identity| identity.public_key().algorithm() != Algorithm::Dsa);
            identities
                .sort_by_key(|identity| !wanted.iter().any(|key| key.key_data() == identity.public_key().key_data()));
            Ok((agent, identities))
        }
        Ok(Err(error)) => Err(unreachable(&error)),
        Err(_) => Err(unreachable(&format_args!("no answer within {} s", ANSWER_WITHIN.as_secs()))),
    }
}

async fn identities<H: Handler>(
    socket: &PathBuf,
    handle: &Handle<H>,
) -> Result<(Agent, Vec<AgentIdentity>), russh::keys::Error> {
    let mut agent = connect(socket).await?;
    if let Some(binding) = handle.agent_session_binding() {
        // Before the keys are listed: an agent shows keys that are bound to destinations only to who is bound. One
        // that does not know this request says no, and that is fine; one that hangs up is asked without it.
        if let Err(russh::keys::Error::IO(_)) = agent.bind_session(binding, false).await {
            agent = connect(socket).await?;
        }
    }
    let identities = agent.request_identities().await?;
    Ok((agent, identities))
}

#[cfg(unix)]
async fn connect(socket: &PathBuf) -> Result<Agent, russh::keys::Error> {
    Ok(AgentClient::connect_uds(socket).await?.dynamic())
}

#[cfg(windows)]
async fn connect(socket: &PathBuf) -> Result<Agent, russh::keys::Error> {
    Ok(AgentClient::connect_named_pipe(socket).await?.dynamic())
}

#[cfg(not(any(unix, windows)))]
async fn connect(_: &PathBuf) -> Result<Agent, russh::keys::Error> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported).into())
}

/// How a key of the agent's is called in errors: by its comment, as `ssh-add -l` shows it, and its fingerprint.
pub(crate) fn label(identity: &AgentIdentity) -> String {
    let kind = match identity {
        AgentIdentity::PublicKey { .. } => "key",
        AgentIdentity::Certificate { .. } => "certificate",
    };
    format!("agent {kind} {} {}", identity.comment(), fingerprint(&identity.public_key()))
}

/// Offers one of the agent's keys.
pub(crate) async fn offer<H: Handler>(
    handle: &mut Handle<H>,
    user: &str,
    agent: &mut Agent,
    identity: &AgentIdentity,
    hash: Option<HashAlg>,
) -> Result<russh::client::AuthResult, russh::AgentAuthError> {
    match identity {
        AgentIdentity::PublicKey { key, .. } => {
            handle.authenticate_publickey_with(user, key.clone(), hash, agent).await
        }
        AgentIdentity::Certificate { certificate, .. } => {
            handle.authenticate_certificate_with(user, certificate.clone(), hash, agent).await
        }
    }
}
