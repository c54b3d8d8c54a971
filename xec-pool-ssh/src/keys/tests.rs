//! Keys as they lie about: of every kind and format, locked, spoilt, and wiped when they are done with.

#[cfg(target_os = "linux")]
use std::io::Write as _;

use super::*;
#[cfg(target_os = "linux")]
use crate::secret::tests::memory::Needle;

fn file(name: &str) -> KeySource {
    KeySource::File(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name))
}

fn refused(source: &KeySource, passphrase: Option<&str>) -> String {
    let error = load(source, passphrase.map(Secret::from).as_ref()).unwrap_err();
    error.to_string().replace(env!("CARGO_MANIFEST_DIR"), "…")
}

#[test]
fn keys_of_every_kind_and_format_are_read() {
    let cases = [
        ("id_ed25519", None, Algorithm::Ed25519),
        ("id_ecdsa", None, Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 }),
        ("id_ecdsa_pkcs8", None, Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 }),
        ("id_rsa", None, Algorithm::Rsa { hash: None }),
        ("id_rsa_pem", None, Algorithm::Rsa { hash: None }),
        ("id_encrypted", Some("open sesame"), Algorithm::Ed25519),
        ("id_encrypted_pkcs8", Some("open sesame"), Algorithm::Rsa { hash: None }),
        ("id_encrypted_pem", Some("open sesame"), Algorithm::Rsa { hash: None }),
        // One that is not needed does no harm.
        ("id_ecdsa_pkcs8", Some("open sesame"), Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 }),
        ("id_ed25519", Some("open sesame"), Algorithm::Ed25519),
    ];
    for (name, passphrase, algorithm) in cases {
        let key = load(&file(name), passphrase.map(Secret::from).as_ref()).unwrap();
        assert_eq!(key.key.algorithm(), algorithm, "{name}");
    }
}

#[test]
fn a_key_given_as_text_is_read_and_never_shown() {
    let source = KeySource::Text(Secret::from(include_str!("../../tests/keys/id_ed25519")));
    let key = load(&source, None).unwrap();
    assert_eq!(key.name, "(given as text)");
    let public = PublicKey::from_openssh(include_str!("../../tests/keys/id_ed25519.pub")).unwrap();
    assert_eq!(key.fingerprint, fingerprint(&public));
    assert_eq!(format!("{source:?}"), "Text(Secret(redacted))");
    assert!(!format!("{key:?}").contains("PRIVATE"));
}

#[test]
fn a_key_that_cannot_be_used_says_which_and_what_to_do() {
    for name in ["id_encrypted", "id_encrypted_pkcs8", "id_encrypted_pem"] {
        assert_eq!(
            refused(&file(name), None),
            format!("the key …/tests/keys/{name} is encrypted; give its passphrase, or `ssh-add` it and use the agent")
        );
        let wrong = refused(&file(name), Some("xyzzy"));
        assert_eq!(wrong, format!("the passphrase does not open the key …/tests/keys/{name}"));
    }
    assert_eq!(
        refused(&file("no_such_key"), None),
        "there is no key file …/tests/keys/no_such_key; check the path, or make one with `ssh-keygen`"
    );
    assert_eq!(
        refused(&file("id_ed25519.pub"), None),
        "the key …/tests/keys/id_ed25519.pub is a public key; give the private one, whose name has no .pub"
    );
    assert_eq!(
        refused(&file("../../Cargo.toml"), None),
        "the key …/tests/keys/../../Cargo.toml is not a private key in OpenSSH's or a PEM format"
    );
    assert_eq!(
        refused(&KeySource::Text(Secret::from("hunter2")), None),
        "the key (given as text) is not a private key in OpenSSH's or a PEM format"
    );
}

#[test]
fn what_is_there_but_cannot_be_read_is_not_called_missing() {
    // A directory, since no mode keeps a superuser out of a file.
    let error = load(&file(""), None).unwrap_err();
    assert!(matches!(error, KeyError::Unreadable { .. }), "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
}

/// This one opens for everybody, a superuser or not, and nobody can read its beginning.
#[cfg(target_os = "linux")]
#[test]
fn what_opens_and_cannot_be_read_says_what_the_system_says() {
    let error = load(&KeySource::File("/proc/self/mem".into()), None).unwrap_err();
    let KeyError::Unreadable { path, source } = &error else { panic!("{error:?}") };
    assert_eq!((path.as_path(), source.raw_os_error()), (Path::new("/proc/self/mem"), Some(5)), "EIO");
    assert_eq!(error.to_string(), "cannot read the key file /proc/self/mem; check its owner and mode");
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_of_a_key_file_s_text_stays_in_memory() {
    let (needle, file) = (Needle::new(2), tempfile::NamedTempFile::new().unwrap());
    let key = include_str!("../../tests/keys/id_ed25519");
    for rest in ["", key] {
        let text = Zeroizing::new(needle.text());
        let mut open = fs::File::create(file.path()).unwrap();
        // Deep inside, where what is allocated later does not write over it.
        open.write_all("\n".repeat(48 * 1024).as_bytes()).unwrap();
        open.write_all(text.as_bytes()).and_then(|()| open.write_all(b"\n")).unwrap();
        open.write_all(rest.as_bytes()).unwrap();
        assert_ne!(needle.copies(), 0, "it is there while we have it");
        drop(text);
        assert_eq!(needle.copies(), 0);
        let loaded = load(&KeySource::File(file.path().to_owned()), None);
        assert_eq!(needle.copies(), 0, "{loaded:?}");
        assert_eq!(loaded.is_ok(), !rest.is_empty(), "both ends of the way were gone: {loaded:?}");
    }
}

#[test]
fn a_file_too_long_for_a_key_is_not_read_to_its_end() {
    let long = tempfile::NamedTempFile::new().unwrap();
    fs::write(long.path(), "x".repeat(MAX_KEY_BYTES as usize + 1)).unwrap();
    let error = load(&KeySource::File(long.path().to_owned()), None).unwrap_err();
    assert!(matches!(error, KeyError::NotAKey { .. }), "{error:?}");
}

#[test]
fn the_public_half_of_an_encrypted_key_needs_no_passphrase() {
    let KeySource::File(path) = file("id_encrypted") else { unreachable!("it is a file") };
    let whole = load(&KeySource::File(path.clone()), Some(&Secret::from("open sesame"))).unwrap();
    assert_eq!(fingerprint(&public_half(&path).unwrap()), whole.fingerprint);
}
