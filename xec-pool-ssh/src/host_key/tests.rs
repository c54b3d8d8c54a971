//! Policies against keys and certificates.

use std::path::Path;

use russh::keys::{
    Certificate, PrivateKey, PublicKey,
    ssh_key::certificate::{Builder, CertType},
};

use super::*;

const YEAR: u64 = 365 * 24 * 60 * 60;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)
}

fn public(name: &str) -> PublicKey {
    let mut key = PublicKey::read_openssh_file(path(&format!("{name}.pub"))).unwrap();
    key.set_comment("");
    key
}

/// A file with these lines, in which `{name}` stands for the key of that name.
fn file(lines: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("known_hosts");
    std::fs::write(&path, with_keys(lines)).unwrap();
    (directory, path)
}

fn with_keys(lines: &str) -> String {
    ["id_ed25519", "id_ecdsa", "id_rsa", "ca"].iter().fold(lines.to_owned(), |lines, name| {
        lines.replace(&format!("{{{name}}}"), &public(name).to_openssh().unwrap())
    })
}

async fn ask(
    target: &str,
    policy: HostKeyPolicy,
    lines: &str,
    shown: impl Into<PublicKeyOrCertificate>,
) -> Result<(), HostKeyError> {
    let (_directory, path) = file(lines);
    let check = HostKeyCheck::new(&target.parse().unwrap(), &policy, &[path]).unwrap();
    check.check(&shown.into()).await
}

/// The verdict in a word, with the line where there is one.
fn word(verdict: &Result<(), HostKeyError>) -> String {
    match verdict {
        Ok(()) => "ok".to_owned(),
        Err(HostKeyError::Revoked { line, .. }) => format!("revoked {line}"),
        Err(HostKeyError::Changed { line, .. }) => format!("changed {line}"),
        Err(HostKeyError::Unknown { .. }) => "unknown".to_owned(),
        Err(HostKeyError::NotPinned { .. }) => "not pinned".to_owned(),
        Err(HostKeyError::Certificate { reason, .. }) => reason.clone(),
        Err(HostKeyError::Unreadable { .. }) => "unreadable".to_owned(),
        Err(HostKeyError::NotSaved { .. }) => "not saved".to_owned(),
    }
}

#[tokio::test]
async fn strict_believes_what_the_files_say_and_nothing_else() {
    let cases = [
        ("web1", "web1 {id_ed25519}", "id_ed25519", "ok"),
        ("web1", "WEB1 {id_ed25519}", "id_ed25519", "ok"),
        ("Web1", "web1 {id_ed25519}", "id_ed25519", "ok"),
        ("web1", "web1\t{id_ed25519}\tcomment", "id_ed25519", "ok"),
        ("web1", "", "id_ed25519", "unknown"),
        ("web1", "web2 {id_ed25519}", "id_ed25519", "unknown"),
        ("web1", "# web1 {id_ed25519}", "id_ed25519", "unknown"),
        ("web1", "web1 {id_ecdsa}\nweb1 {id_ed25519}", "id_ed25519", "ok"),
        // Changed: the line of the same kind is named, else the first.
        ("web1", "web1 {ca}", "id_ed25519", "changed 1"),
        ("web1", "web1 {id_rsa}\nweb1 {ca}", "id_ed25519", "changed 2"),
        ("web1", "web1 {id_rsa}", "id_ed25519", "changed 1"),
        // Ports: a line of its own, or the host's line with the same key, which cannot make it «changed».
        ("web1:2222", "[web1]:2222 {id_ed25519}", "id_ed25519", "ok"),
        ("web1:2222", "web1 {id_ed25519}", "id_ed25519", "ok"),
        ("web1:2222", "web1 {ca}", "id_ed25519", "unknown"),
        ("web1:2222", "[web1]:2222 {ca}\nweb1 {ca}", "id_ed25519", "changed 1"),
        ("web1", "[web1]:2222 {id_ed25519}", "id_ed25519", "unknown"),
        ("[::1]:2222", "[::1]:2222 {id_ed25519}", "id_ed25519", "ok"),
        ("::1", "::1 {id_ed25519}", "id_ed25519", "ok"),
        // Patterns.
        ("a.example.com", "*.example.com,!b.example.com {id_ed25519}", "id_ed25519", "ok"),
        ("b.example.com", "*.example.com,!b.example.com {id_ed25519}", "id_ed25519", "unknown"),
        // Hashed, by ssh-keygen -H.
        (
            "[web1]:2222",
            "|1|BXpywpYS4a6+qDnD1KMaQ2/FbS0=|hLwLn04UBOaK1CMs3FUREVSvKPo= {id_ed25519}",
            "id_ed25519",
            "ok",
        ),
        ("web1", "|1|pxaXLOkpmSmX4D62CKOz6ATwwAQ=|9vf0F1ieJvX3U1Kw1QSzgjBT7bw= {ca}", "id_ed25519", "changed 1"),
        // Revoked wins, wherever it stands and by whichever name.
        ("web1", "web1 {id_ed25519}\n@revoked * {id_ed25519}", "id_ed25519", "revoked 2"),
        ("web1:2222", "[web1]:2222 {id_ed25519}\n@revoked web1 {id_ed25519}", "id_ed25519", "revoked 2"),
        ("web1", "@revoked web2 {id_ed25519}\nweb1 {id_ed25519}", "id_ed25519", "ok"),
        // A bad line costs itself alone; an authority is no host.
        ("web1", "web1 ssh-ed25519 AAAA\n@odd web1 {id_ed25519}\nweb1 {id_ed25519}", "id_ed25519", "ok"),
        ("web1", "web1 ssh-ed25519 AAAA", "id_ed25519", "unknown"),
        ("web1", "@cert-authority web1 {id_ed25519}", "id_ed25519", "unknown"),
    ];
    for (target, lines, shown, expected) in cases {
        let verdict = ask(target, HostKeyPolicy::Strict, lines, public(shown)).await;
        assert_eq!(word(&verdict), expected, "{target}: {lines}");
    }
}

fn certificate(change: impl FnOnce(&mut Builder)) -> Certificate {
    let now = now();
    let mut builder = Builder::new([7; 16], public("id_ecdsa").key_data().clone(), now - 60, now + YEAR).unwrap();
    builder.key_id("web1").unwrap();
    change(&mut builder);
    builder.sign(&PrivateKey::read_openssh_file(path("ca")).unwrap()).unwrap()
}

fn host(builder: &mut Builder, principal: &str) {
    builder.cert_type(CertType::Host).unwrap().valid_principal(principal).unwrap();
}

#[tokio::test]
async fn a_certificate_is_believed_only_from_an_authority_for_this_host_now() {
    let good = || certificate(|builder| host(builder, "web1"));
    let authority = "@cert-authority web? {ca}";
    let stranger = "no @cert-authority line trusts its signer for this host";
    let cases = [
        ("web1", authority, good(), "ok"),
        ("web1:2222", authority, good(), "ok"),
        ("web1", authority, certificate(|builder| host(builder, "WEB*")), "ok"),
        ("web1", "", good(), stranger),
        ("web1", "@cert-authority web2 {ca}", good(), stranger),
        ("web1", "@cert-authority web1 {id_ed25519}", good(), stranger),
        // A plain line for the authority's key is not its authority.
        ("web1", "web1 {ca}", good(), stranger),
        ("web2", authority, good(), "it is for web1, not for web2"),
        ("web1", "@cert-authority * {ca}\n@revoked * {ca}", good(), "revoked 2"),
        ("web1", "@cert-authority * {ca}\n@revoked * {id_ecdsa}", good(), "revoked 2"),
        // It proved that the server holds the key, and that key is known.
        ("web1", "web1 {id_ecdsa}", good(), "ok"),
    ];
    for (target, lines, shown, expected) in cases {
        let verdict = ask(target, HostKeyPolicy::Strict, lines, shown).await;
        assert_eq!(word(&verdict), expected, "{target}: {lines}");
    }
}

#[tokio::test]
async fn a_certificate_with_a_flaw_says_which() {
    let flawed = [
        (
            certificate(|builder| {
                builder.cert_type(CertType::User).unwrap().valid_principal("web1").unwrap();
            }),
            "it is a user's certificate, not a host's",
        ),
        (
            certificate(|builder| {
                builder.cert_type(CertType::Host).unwrap().all_principals_valid().unwrap();
            }),
            "it names no host at all",
        ),
        (
            certificate(|builder| {
                host(builder, "web1");
                builder.critical_option("force-command", "x").unwrap();
            }),
            "it has the critical option \"force-command\", and none is known for hosts",
        ),
    ];
    for (shown, expected) in flawed {
        let verdict = ask("web1", HostKeyPolicy::Strict, "@cert-authority web1 {ca}", shown).await;
        assert_eq!(word(&verdict), expected);
    }
    let ca = PrivateKey::read_openssh_file(path("ca")).unwrap();
    for (from, until, expected) in [(1, 2, "it expired at 2"), (now() + 60, now() + 120, "it is valid only from")] {
        let mut builder = Builder::new([7; 16], public("id_ecdsa").key_data().clone(), from, until).unwrap();
        host(&mut builder, "web1");
        let shown = builder.sign(&ca).unwrap();
        let verdict = ask("web1", HostKeyPolicy::Strict, "@cert-authority web1 {ca}", shown).await;
        assert!(word(&verdict).starts_with(expected), "{verdict:?}");
    }
}

#[tokio::test]
async fn a_forged_certificate_is_not_believed() {
    // The bytes of a good one, with the certified key's last byte changed.
    let good = certificate(|builder| host(builder, "web1"));
    let mut bytes = good.to_bytes().unwrap();
    let at = bytes.windows(4).position(|window| window == b"web1").unwrap();
    bytes[at] = b'W';
    let forged = Certificate::from_bytes(&bytes).unwrap();
    let verdict = ask("web1", HostKeyPolicy::Strict, "@cert-authority web1 {ca}", forged).await;
    assert_eq!(word(&verdict), "its signature is wrong");
}

#[tokio::test]
async fn accept_new_remembers_a_new_host_and_refuses_a_changed_one() {
    let (_directory, path) = file("web2 {id_ed25519}");
    let target: SshTarget = "web1:2222".parse().unwrap();
    let check = |key: &str| {
        let check = HostKeyCheck::new(&target, &HostKeyPolicy::AcceptNew, std::slice::from_ref(&path)).unwrap();
        let shown = PublicKeyOrCertificate::from(public(key));
        async move { check.check(&shown).await }
    };
    assert_eq!(word(&check("id_ed25519").await), "ok");
    let expected = with_keys("web2 {id_ed25519}\n[web1]:2222 {id_ed25519}\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(word(&check("id_ed25519").await), "ok");
    assert_eq!(word(&check("ca").await), "changed 2");
    // Another kind of key makes a known host no new one.
    assert_eq!(word(&check("id_rsa").await), "changed 2");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
}

#[tokio::test]
async fn accept_new_never_learns_what_is_revoked_or_badly_certified() {
    let revoked = ask("web1", HostKeyPolicy::AcceptNew, "@revoked * {id_ecdsa}", public("id_ecdsa")).await;
    assert_eq!(word(&revoked), "revoked 1");
    let shown = certificate(|builder| host(builder, "web2"));
    let verdict = ask("web1", HostKeyPolicy::AcceptNew, "@cert-authority * {ca}", shown).await;
    assert_eq!(word(&verdict), "it is for web2, not for web1");
}

#[tokio::test]
async fn pinned_and_any_read_no_file() {
    let nowhere = [PathBuf::from("/")];
    let target: SshTarget = "web1".parse().unwrap();
    let pinned = HostKeyPolicy::Pinned(vec![fingerprint(&public("id_rsa"))]);
    let check = HostKeyCheck::new(&target, &pinned, &nowhere).unwrap();
    assert_eq!(word(&check.check(&public("id_rsa").into()).await), "ok");
    assert_eq!(word(&check.check(&public("id_ecdsa").into()).await), "not pinned");
    let any = HostKeyCheck::new(&target, &HostKeyPolicy::DangerAcceptAnyHostKey, &nowhere).unwrap();
    assert_eq!(word(&any.check(&public("id_ecdsa").into()).await), "ok");
    let strict = HostKeyCheck::new(&target, &HostKeyPolicy::Strict, &nowhere);
    assert!(matches!(strict, Err(HostKeyError::Unreadable { .. })));
}

#[tokio::test]
async fn the_second_file_counts_like_the_first() {
    let (_one, first) = file("web1 {id_ed25519}");
    let (_two, second) = file("\n@revoked * {id_ed25519}\nweb2 {id_rsa}");
    let files = [first, second.clone()];
    let ask = |host: &str| {
        let check = HostKeyCheck::new(&host.parse().unwrap(), &HostKeyPolicy::Strict, &files).unwrap();
        async move { check.check(&public("id_ed25519").into()).await.unwrap_err() }
    };
    let HostKeyError::Revoked { file, line, .. } = ask("web1").await else { panic!("it is revoked") };
    assert_eq!((file, line), (second, 2));
}

#[test]
fn the_kinds_a_host_is_known_by_are_asked_for_first_and_sha1_never() {
    let preferred = |lines: &str, target: &str| {
        let (_directory, path) = file(lines);
        let check = HostKeyCheck::new(&target.parse().unwrap(), &HostKeyPolicy::Strict, &[path]).unwrap();
        let names = |kinds: Vec<Algorithm>| kinds.iter().map(ToString::to_string).collect::<Vec<_>>();
        (names(check.preferred_keys()), names(check.preferred_certificates()))
    };
    let (keys, certificates) = preferred("web1 {id_rsa}", "web1");
    assert_eq!(keys[..3], ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
    assert!(certificates.is_empty());
    assert_eq!(preferred("web1 {id_ecdsa}", "web1:2222").0[0], "ecdsa-sha2-nistp256");
    assert_eq!(preferred("[web1]:2222 {id_rsa}\nweb1 {id_ecdsa}", "web1:2222").0[0], "rsa-sha2-512");
    let (keys, certificates) = preferred("@cert-authority web1 {ca}\n@revoked web1 {id_rsa}", "web1");
    assert_eq!(keys[0], "ssh-ed25519");
    assert_eq!(keys, certificates);
    assert!(!keys.contains(&"ssh-rsa".to_owned()));
    assert_eq!(keys.len(), 6);
}

#[tokio::test]
async fn an_error_says_where_what_and_what_to_do() {
    let (_directory, path) = file("\nweb1 {id_ecdsa}");
    let check = |host: &str| {
        HostKeyCheck::new(&host.parse().unwrap(), &HostKeyPolicy::Strict, std::slice::from_ref(&path)).unwrap()
    };
    let shown = PublicKeyOrCertificate::from(public("id_rsa"));
    let text = |error: HostKeyError| error.to_string().replace(&path.display().to_string(), "FILE");
    let (rsa, ecdsa) = (describe(&public("id_rsa")), describe(&public("id_ecdsa")));
    assert!(rsa.starts_with("ssh-rsa SHA256:") && ecdsa.starts_with("ecdsa-sha2-nistp256 SHA256:"));
    assert_eq!(
        text(check("web1").check(&shown).await.unwrap_err()),
        format!(
            "the host key of web1 has changed: FILE:2 has {ecdsa}, the server has {rsa}; somebody may be in between, \
             so ask the host's owner; if it is meant so, remove the line with `ssh-keygen -f 'FILE' -R 'web1'`"
        )
    );
    assert_eq!(
        text(check("web2:2222").check(&shown).await.unwrap_err()),
        format!(
            "the host key of [web2]:2222 is not known: {rsa} stands in none of FILE; compare it with what the host's \
             owner says, then add it (`ssh` to the host once), or set another host key policy"
        )
    );
}

#[test]
fn a_fingerprint_is_read_as_it_is_printed_and_nothing_else_is() {
    let good = fingerprint(&public("id_rsa"));
    assert_eq!(parse_fingerprint(&format!(" {good}= ")), Some(good));
    for bad in ["", "SHA256:", "SHA256:abc", "MD5:00:11", "sha256:xyz", "hunter2"] {
        assert_eq!(parse_fingerprint(bad), None, "{bad}");
    }
}
