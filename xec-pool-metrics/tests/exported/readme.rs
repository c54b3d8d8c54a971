//! The parts of README.md that follow from the code. `UPDATE_EXPECT=1` writes them anew.

use std::{env, fmt::Write as _, fs, path::Path};

use xec_pool_metrics::names::{self, attribute};

/// Checks what stands between `<!-- name -->` and `<!-- /name -->`.
pub(crate) fn assert_section(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&file).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = readme.split_once(&begin).unwrap_or_else(|| panic!("README.md has no {begin}"));
    let (found, after) = rest.split_once(&end).unwrap_or_else(|| panic!("README.md has no {end}"));
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&file, format!("{before}{begin}{text}{end}{after}")).unwrap();
    } else {
        assert_eq!(found, text, "README.md, «{name}»; UPDATE_EXPECT=1 writes it anew");
    }
}

fn code_list(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_table_of_metrics_is_that_of_the_code() {
    let mut table = "| metric | instrument | unit | attributes | what it tells |\n|---|---|---|---|---|\n".to_owned();
    for row in &names::INSTRUMENTS {
        let others: Vec<_> = row.attributes.iter().copied().filter(|key| *key != attribute::POOL).collect();
        let (kind, keys) = (row.kind.as_str(), code_list(&others));
        writeln!(table, "| `{}` | {kind} | `{}` | {keys} | {} |", row.name, row.unit, row.about).unwrap();
    }
    assert_section("metrics", &table);
}

#[test]
fn the_table_of_spans_is_that_of_the_code() {
    let mut table = "| span | kind | attributes | what it is |\n|---|---|---|---|\n".to_owned();
    for row in &names::SPANS {
        let keys = code_list(row.attributes);
        let about = if row.opt_in { format!("{} (on request)", row.about) } else { row.about.to_owned() };
        writeln!(table, "| `{}` | {:?} | {keys} | {about} |", row.name, row.kind).unwrap();
    }
    assert_section("spans", &table);
}
