//! One `sh` for many scripts: starting one for each would leave no time for the texts.

use std::{
    cell::RefCell,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

pub(super) struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

thread_local! {
    static SHELL: RefCell<Option<Shell>> = const { RefCell::new(None) };
}

impl Shell {
    /// What the script prints. A script that the shell does not read to its end, or that ends the shell, ends the
    /// test: it hangs or panics.
    pub(super) fn run(script: &str) -> String {
        SHELL.with_borrow_mut(|shell| shell.get_or_insert_with(Self::start).answer(script))
    }

    fn start() -> Self {
        let mut child =
            Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("every unix has a shell");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, input, output }
    }

    fn answer(&mut self, script: &str) -> String {
        // In a subshell: nothing that one script does lives on. NUL ends an answer; no argument can hold one.
        write!(self.input, "( {script}\n)\nprintf '\\0'\n").expect("the shell reads");
        let mut said = Vec::new();
        self.output.read_until(0, &mut said).expect("the shell answers");
        assert_eq!(said.pop(), Some(0), "the script ended the shell: {script}");
        String::from_utf8(said).expect("what went in is UTF-8")
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
