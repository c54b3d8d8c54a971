//! Remembering a host seen for the first time: one whole line at the end of the file, once.

use std::{
    io::{self, Read, Write},
    path::Path,
    sync::Arc,
};

use russh::keys::{PublicKey, PublicKeyOrCertificate};

use super::{KnownHosts, Names, file::open_to_append, verdict::judge};
use crate::HostKeyError;

/// Adds the key under the host's own name, unless somebody else did so meanwhile. Blocking.
///
/// The file is locked from the last look to the write, so of two first sights at once only one is the first: the
/// other finds the host known, by this key or by another.
pub(crate) fn learn(path: &Path, names: &Names, key: &PublicKey) -> Result<(), HostKeyError> {
    let not_saved = |source| HostKeyError::NotSaved { host: names.own().to_owned(), file: path.to_owned(), source };
    let mut file = open_to_append(path).map_err(not_saved)?;
    // Let go when the file is closed, at every way out of here.
    file.lock().map_err(not_saved)?;
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(not_saved)?;
    let now = Arc::new(KnownHosts::parse(path, &content));
    match judge(&[now], names, &PublicKeyOrCertificate::from(key.clone()), 0) {
        Err(HostKeyError::Unknown { .. }) => {}
        settled => return settled,
    }
    let line = line(names, key, content.last()).map_err(not_saved)?;
    // One write, since who reads without the lock must find whole lines.
    file.write_all(line.as_bytes()).and_then(|()| file.flush()).map_err(not_saved)
}

fn line(names: &Names, key: &PublicKey, last_byte: Option<&u8>) -> io::Result<String> {
    let mut key = key.clone();
    key.set_comment("");
    let text = key.to_openssh().map_err(io::Error::other)?;
    let break_first = if last_byte.is_some_and(|byte| *byte != b'\n') { "\n" } else { "" };
    Ok(format!("{break_first}{} {}\n", names.own(), text.trim_end()))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Barrier, thread};

    use super::*;

    fn key(name: &str) -> PublicKey {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name);
        PublicKey::read_openssh_file(&path).unwrap()
    }

    #[test]
    fn a_new_host_is_written_below_a_line_that_was_never_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/.ssh/known_hosts");
        learn(&path, &Names::new("web1", 22), &key("id_ed25519.pub")).unwrap();
        fs::write(&path, format!("{}# end", fs::read_to_string(&path).unwrap())).unwrap();
        learn(&path, &Names::new("::1", 2222), &key("id_ecdsa.pub")).unwrap();
        let content = fs::read_to_string(&path).unwrap();
        let hosts: Vec<_> = content.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(hosts, ["web1", "#", "[::1]:2222"]);
        assert!(content.ends_with('\n'));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_made_is_for_the_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".ssh/known_hosts");
        learn(&path, &Names::new("web1", 22), &key("id_ed25519.pub")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn of_many_first_sights_at_once_every_host_is_written_whole_and_once() {
        for _ in 0..25 {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("known_hosts");
            let hosts = ["a", "b", "c", "a", "b", "c", "a", "b", "c", "a", "b", "c"];
            let together = Barrier::new(hosts.len());
            thread::scope(|scope| {
                for host in hosts {
                    scope.spawn(|| {
                        together.wait();
                        learn(&path, &Names::new(host, 22), &key("id_ed25519.pub")).unwrap();
                    });
                }
            });
            let content = fs::read_to_string(&path).unwrap();
            let mut hosts: Vec<_> = content.lines().map(|line| line.split(' ').next().unwrap()).collect();
            hosts.sort_unstable();
            assert_eq!(hosts, ["a", "b", "c"]);
            assert_eq!(KnownHosts::parse(&path, content.as_bytes()).lines.len(), 3);
        }
    }

    #[test]
    fn a_host_that_another_learned_by_another_key_meanwhile_is_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known_hosts");
        learn(&path, &Names::new("web1", 22), &key("id_ed25519.pub")).unwrap();
        let error = learn(&path, &Names::new("web1", 22), &key("id_ecdsa.pub")).unwrap_err();
        assert!(matches!(error, HostKeyError::Changed { line: 1, .. }), "{error:?}");
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[test]
    fn what_cannot_be_remembered_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let error = learn(directory.path(), &Names::new("web1", 22), &key("id_ed25519.pub")).unwrap_err();
        assert!(matches!(error, HostKeyError::NotSaved { .. }), "{error:?}");
    }
}
