//! Every chore of this workspace.
fn main() {}
