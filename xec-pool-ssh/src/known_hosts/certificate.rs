//! Whether a host certificate is good: for this host, now, and by an authority that may say so.

use russh::keys::{
    Algorithm, Certificate,
    ssh_key::{certificate::CertType, public::KeyData},
};

use super::pattern::matches_glob;

/// Why a certificate proves nothing, in a sentence that goes on after «because».
pub(crate) fn flaw(
    certificate: &Certificate,
    host: &str,
    now_unix_seconds: u64,
    is_authority: impl FnOnce(&KeyData) -> bool,
) -> Option<String> {
    if !is_authority(certificate.signature_key()) {
        return Some("no @cert-authority line trusts its signer for this host".to_owned());
    }
    // Who may sign is settled before what is said, so that a stranger's words are never weighed.
    if let Some(flaw) = signature_flaw(certificate) {
        return Some(flaw);
    }
    if certificate.cert_type() != CertType::Host {
        return Some("it is a user's certificate, not a host's".to_owned());
    }
    let (from, until) = (certificate.valid_after(), certificate.valid_before());
    if now_unix_seconds < from {
        return Some(format!("it is valid only from {from} on (Unix time), and now is {now_unix_seconds}"));
    }
    if now_unix_seconds >= until {
        return Some(format!("it expired at {until} (Unix time), and now is {now_unix_seconds}"));
    }
    if let Some((option, _)) = certificate.critical_options().iter().next() {
        return Some(format!("it has the critical option {option:?}, and none is known for hosts"));
    }
    principal_flaw(certificate.valid_principals(), host)
}

/// From: OpenSSH `sshkey_cert_check_host` — the principals of a host may be patterns. One thing is stricter here, as
/// it is in OpenSSH from 10.3 on: a certificate that names no host is not one for every host.
fn principal_flaw(principals: &[String], host: &str) -> Option<String> {
    let names_host = |principal: &String| matches_glob(&principal.to_ascii_lowercase(), host);
    if principals.iter().any(names_host) {
        return None;
    }
    Some(match principals {
        [] => "it names no host at all".to_owned(),
        principals => format!("it is for {}, not for {host}", principals.join(", ")),
    })
}

fn signature_flaw(certificate: &Certificate) -> Option<String> {
    // SHA-1 can be made to collide, so a signature over it proves nothing.
    if certificate.signature().algorithm() == (Algorithm::Rsa { hash: None }) {
        return Some("it is signed with SHA-1".to_owned());
    }
    certificate.verify_signature().is_err().then(|| "its signature is wrong".to_owned())
}
