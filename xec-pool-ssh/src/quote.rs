//! What a command line looks like when a POSIX shell must read back exactly what was meant.

use std::fmt::Write as _;

/// Appends `word` so that a POSIX shell reads it as that one word, whatever is in it.
pub(crate) fn quote_into(line: &mut String, word: &str) {
    if !word.is_empty() && word.bytes().all(is_plain) {
        line.push_str(word);
        return;
    }
    line.push('\'');
    for (index, piece) in word.split('\'').enumerate() {
        if index > 0 {
            // A quote cannot stand in quotes: leave them, write it escaped, enter them again.
            line.push_str("'\\''");
        }
        line.push_str(piece);
    }
    line.push('\'');
}

/// What no shell gives a meaning to, wherever it stands. `~`, `=` and `%` are left out on purpose.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b':' | b',' | b'@' | b'+')
}

/// Whether the shell takes it as the name of a variable.
pub(crate) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Appends `NAME='value'` for each variable, a space after each.
pub(crate) fn assign_into(line: &mut String, variables: &[(String, String)]) {
    for (name, value) in variables {
        line.push_str(name);
        line.push('=');
        quote_into(line, value);
        line.push(' ');
    }
}

/// Appends `cd -- 'directory'`, such that `-` and `CDPATH` have no say in where it leads.
pub(crate) fn change_into(line: &mut String, directory: &str) {
    let here = if directory.starts_with(['/', '.']) { "" } else { "./" };
    let mut quoted = String::with_capacity(directory.len() + 4);
    quote_into(&mut quoted, &format!("{here}{directory}"));
    let _ = write!(line, "cd -- {quoted}");
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn quoted(word: &str) -> String {
        let mut line = String::new();
        quote_into(&mut line, word);
        line
    }

    #[test]
    fn plain_words_stay_as_they_are() {
        assert_eq!(quoted("/usr/bin/env-2.0"), "/usr/bin/env-2.0");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("~"), "'~'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_real_shell_reads_back_every_ascii_character() {
        let every: String = (1..=127_u8).map(char::from).collect();
        for word in [every.as_str(), "", "'", "''", "-n", "a b", "$(id)", "\\", "!", "ü\u{1F980}", "\n", "a\nb\n."] {
            let script = format!("printf %s {}", quoted(word));
            let said = Command::new("sh").arg("-c").arg(&script).output().expect("every unix has a shell");
            assert_eq!(String::from_utf8(said.stdout).unwrap(), word, "{script}");
        }
    }

    #[test]
    fn names_of_variables_are_checked() {
        assert!(is_variable_name("_A9"));
        for bad in ["", "9A", "A-B", "A=B", "A B", "Ä", "A\0"] {
            assert!(!is_variable_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_directory_is_never_an_option_nor_the_last_one() {
        let mut line = String::new();
        change_into(&mut line, "-");
        assert_eq!(line, "cd -- ./-");
    }
}
