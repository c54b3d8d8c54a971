//! That a secret shows nothing, and that nothing of it stays.

use zeroize::ZeroizeOnDrop;

use super::*;

#[test]
fn a_secret_shows_nothing_of_itself() {
    let secret = Secret::from("hunter2");
    assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(redacted) Some(Secret(redacted))");
    assert_eq!(secret.expose(), "hunter2");
}

#[test]
fn what_holds_it_wipes_itself_and_its_clones_hold_no_second_one() {
    fn wipes_itself<T: ZeroizeOnDrop>(_: &T) {}
    let secret = Secret::from("hunter2");
    let Secret(shared) = &secret;
    wipes_itself(&**shared);
    let clone = secret.clone();
    assert_eq!(clone.expose().as_ptr(), secret.expose().as_ptr());
}

#[cfg(target_os = "linux")]
#[test]
fn its_memory_holds_nothing_of_it_once_the_last_clone_is_gone() {
    let needle = memory::Needle::new(1);
    let secret = Secret::new(needle.text());
    let clone = secret.clone();
    drop(secret);
    assert_ne!(needle.copies(), 0, "it is there while a clone is");
    drop(clone);
    assert_eq!(needle.copies(), 0);
}

/// What lies in the memory of this process, by the system's own account; freed memory, too.
#[cfg(target_os = "linux")]
pub(crate) mod memory {
    use std::{
        fs::{self, File},
        os::unix::fs::FileExt,
    };

    use zeroize::Zeroizing;

    const PAGE: usize = 4096;

    /// A text that nobody else has, and that is not even here: what is written of it is not the text itself.
    pub(crate) struct Needle {
        veiled: Vec<u8>,
    }

    impl Needle {
        const LENGTH: usize = 128;
        const VEIL: u8 = 0x80;

        /// Each test has a number of its own.
        pub(crate) fn new(number: u8) -> Self {
            let letter = |n| b'a' + (number as usize * 7 + n * n + n / 5) as u8 % 26;
            Self { veiled: (0..Self::LENGTH).map(|n| letter(n) | Self::VEIL).collect() }
        }

        /// It in the open, in memory that holds nothing else.
        pub(crate) fn text(&self) -> String {
            let mut text = String::with_capacity(Self::LENGTH);
            text.extend(self.veiled.iter().map(|byte| char::from(byte & !Self::VEIL)));
            text
        }

        /// In how many pages its middle lies. Its ends may be overwritten by who keeps the books of the heap.
        pub(crate) fn copies(&self) -> usize {
            let memory = File::open("/proc/self/mem").unwrap();
            let maps = fs::read_to_string("/proc/self/maps").unwrap();
            // What is read is a copy as well: into one place, that is wiped.
            let mut page = Zeroizing::new(vec![0; PAGE + Self::LENGTH]);
            let mut found = 0;
            for map in maps.lines().filter(|map| map.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
                let (begin, end) = map.split(' ').next().unwrap().split_once('-').unwrap();
                let [begin, end] = [begin, end].map(|at| u64::from_str_radix(at, 16).unwrap());
                for at in (begin..end).step_by(PAGE) {
                    page.fill(0);
                    // It may be unmapped by now, or end after this page.
                    let read = memory.read_at(&mut page, at).unwrap_or(0);
                    found += usize::from(self.is_in(&page[..read]));
                }
            }
            found
        }

        fn is_in(&self, page: &[u8]) -> bool {
            let middle = &self.veiled[Self::LENGTH / 4..Self::LENGTH * 3 / 4];
            let first = middle[0] & !Self::VEIL;
            let starts = page.iter().enumerate().filter(|(_, byte)| **byte == first).map(|(at, _)| at);
            let is = |at: usize| page[at..].iter().zip(middle).all(|(byte, veiled)| byte | Self::VEIL == *veiled);
            starts.take_while(|at| at + middle.len() <= page.len()).any(is)
        }
    }
}
