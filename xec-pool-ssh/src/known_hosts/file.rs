//! The files as they are on disk: parsed once, and again only when they changed.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::SystemTime,
};

use super::KnownHosts;

/// How many files are remembered. More are in use only where every host has files of its own.
const MAX_REMEMBERED: usize = 64;

type Remembered = HashMap<PathBuf, (Stamp, Arc<KnownHosts>)>;

static REMEMBERED: LazyLock<Mutex<Remembered>> = LazyLock::new(Mutex::default);

/// By what a changed file is told from an unchanged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    place: (u64, u64),
    modified: Option<SystemTime>,
    length_bytes: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { place: place(metadata), modified: metadata.modified().ok(), length_bytes: metadata.len() }
    }
}

#[cfg(unix)]
fn place(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn place(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

/// Reads a file. One that does not exist is empty; one that cannot be read is an error, since what it revokes is
/// not known. Blocking.
pub(crate) fn load(path: &Path) -> io::Result<Arc<KnownHosts>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Arc::new(KnownHosts::parse(path, b"")));
        }
        Err(error) => return Err(error),
    };
    // Taken before the content, so that a change while it is read makes the next load read again.
    let stamp = Stamp::of(&file.metadata()?);
    if let Some((known, file)) = remembered().get(path)
        && *known == stamp
    {
        return Ok(file.clone());
    }
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    let parsed = Arc::new(KnownHosts::parse(path, &content));
    let mut remembered = remembered();
    if remembered.len() >= MAX_REMEMBERED {
        remembered.clear();
    }
    remembered.insert(path.to_owned(), (stamp, parsed.clone()));
    Ok(parsed)
}

fn remembered() -> std::sync::MutexGuard<'static, Remembered> {
    // Nothing can panic half-way through a change of the map.
    REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The user's own file, where there is a home.
pub(crate) fn user_file() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".ssh").join("known_hosts"))
}

/// The file of the whole machine.
pub(crate) fn global_file() -> PathBuf {
    PathBuf::from("/etc/ssh/ssh_known_hosts")
}

/// Opens a file to append to it, and makes it (0600) and its directory (0700) where they are missing.
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        make_directory(directory)?;
    }
    let mut options = fs::OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "web1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio\n";

    #[test]
    fn a_file_is_parsed_again_only_when_it_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known_hosts");
        fs::write(&path, LINE).unwrap();
        let first = load(&path).unwrap();
        assert!(Arc::ptr_eq(&first, &load(&path).unwrap()));
        fs::write(&path, LINE.repeat(2)).unwrap();
        let second = load(&path).unwrap();
        assert_eq!((first.lines.len(), second.lines.len()), (1, 2));
        // The same length and the same moment, but another file.
        let other = directory.path().join("other");
        fs::write(&other, LINE.repeat(2).replace("web1", "web2")).unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(load(&path).unwrap().lines[0].hosts.match_name("web2"));
    }

    #[test]
    fn a_file_that_is_not_there_is_empty_and_one_that_cannot_be_read_is_not() {
        let directory = tempfile::tempdir().unwrap();
        assert!(load(&directory.path().join("none")).unwrap().lines.is_empty());
        assert!(load(&directory.path().join("none/of/them")).unwrap().lines.is_empty());
        assert!(load(directory.path()).is_err());
        #[cfg(unix)]
        {
            // Nobody can open it, whatever their rights.
            let circle = directory.path().join("circle");
            std::os::unix::fs::symlink(&circle, &circle).unwrap();
            assert!(load(&circle).is_err());
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_costs_only_itself() {
        let content = [b"\xff\xfe web1\nweb1 ssh-ed25519 AAAA\n# comment\r\n".as_slice(), LINE.as_bytes()].concat();
        let file = KnownHosts::parse(Path::new("f"), &content);
        assert_eq!(file.lines.iter().map(|line| line.number).collect::<Vec<_>>(), [4]);
    }
}
