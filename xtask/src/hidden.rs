//! `hidden`: what we build on stays inside. No public signature of ours names a type of such a crate.
//!
//! It parses our source, and knows no more than is written there. So it cannot see what a macro makes, what stands
//! behind an `impl Trait` or another crate's associated type, and what a `use` in a second file makes another name of.
//! That `pub` means public is the business of the lint `unreachable_pub`.
#![expect(clippy::wildcard_enum_match_arm, reason = "most of the syntax tree, which grows, is no signature")]

use std::collections::BTreeSet;

use syn::{
    Attribute, Block, Expr, Field, File, Ident, ImplItem, Item, ItemEnum, ItemImpl, ItemUse, Meta, Path, Signature,
    Type, UseTree, Visibility,
    visit::{self, Visit},
};

/// The sources of a crate, and the crates that none of its public items names.
const HIDDEN: &[(&str, &[&str])] = &[
    ("xec-pool-core/src/", &["deadpool", "tokio", "tokio_util", "backon", "fastrand"]),
    ("xec-pool-ssh/src/", &["russh", "tokio", "tokio_util", "socket2", "hmac", "sha1", "zeroize"]),
];

/// The leaks of all crates in these files, given by name and text.
pub(crate) fn leaks(sources: &[(String, String)]) -> Vec<String> {
    let mut leaks = Vec::new();
    for (folder, hidden) in HIDDEN {
        let mut files = Vec::new();
        for (name, text) in sources.iter().filter(|(name, _)| name.starts_with(folder)) {
            match syn::parse_file(text) {
                Ok(file) => files.push((name, file)),
                Err(error) => leaks.push(format!("{name}: {error}")),
            }
        }
        let house = House::survey(files.iter().map(|(_, file)| file), hidden);
        for (name, file) in &files {
            leaks.extend(house.leaks(file).into_iter().map(|leak| format!("{name}: {leak}")));
        }
    }
    leaks
}

/// What there is to know of a whole crate before its signatures are read.
struct House {
    /// The hidden crates, and the aliases of what is theirs: the compiler lets a public signature use a private alias.
    hidden: BTreeSet<String>,
    /// Types and traits that no user can name.
    private: BTreeSet<String>,
}

impl House {
    fn survey<'a>(files: impl Iterator<Item = &'a File>, hidden: &[&str]) -> Self {
        let hidden = hidden.iter().map(|name| (*name).to_owned()).collect();
        let mut house = Self { hidden, private: BTreeSet::new() };
        let mut public = BTreeSet::new();
        for file in files {
            for item in &file.items {
                let (visibility, name) = match item {
                    Item::Struct(item) => (&item.vis, &item.ident),
                    Item::Enum(item) => (&item.vis, &item.ident),
                    Item::Trait(item) => (&item.vis, &item.ident),
                    Item::Type(item) => {
                        let mut face = Face::new(&house, file);
                        face.visit_type(&item.ty);
                        if !face.leaks.is_empty() {
                            house.hidden.insert(item.ident.to_string());
                        }
                        continue;
                    }
                    _ => continue,
                };
                let known = if is_public(visibility) { &mut public } else { &mut house.private };
                known.insert(name.to_string());
            }
        }
        // Where two have one name, one of them may be meant that is public.
        house.private.retain(|name| !public.contains(name));
        house
    }

    fn leaks(&self, file: &File) -> BTreeSet<String> {
        let mut face = Face::new(self, file);
        face.visit_file(file);
        face.leaks
    }

    fn is_private(&self, path: &Path) -> bool {
        path.segments.last().is_some_and(|last| self.private.contains(&last.ident.to_string()))
    }
}

/// A file as its users see it: walks what is public and passes over the rest.
struct Face<'a> {
    house: &'a House,
    /// What stands for something hidden in this file.
    names: BTreeSet<String>,
    /// The item it is at, for the reader of a leak.
    at: String,
    /// Nothing here says `pub`, and all of it is: the fields of an enum.
    all_public: bool,
    leaks: BTreeSet<String>,
}

impl<'a> Face<'a> {
    fn new(house: &'a House, file: &File) -> Self {
        let mut names = house.hidden.clone();
        for item in &file.items {
            if let Item::Use(ItemUse { tree, .. }) = item
                && stem(tree).is_some_and(|stem| house.hidden.contains(&stem.to_string()))
            {
                leaves(tree, None, &mut names);
            }
        }
        Self { house, names, at: String::new(), all_public: false, leaks: BTreeSet::new() }
    }

    fn check(&mut self, name: &Ident) {
        let name = name.to_string();
        if self.names.contains(&name) {
            self.leaks.insert(format!("public, and names what is hidden: `{name}` in `{}`", self.at));
        }
    }
}

impl<'ast> Visit<'ast> for Face<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (visibility, name, attributes) = match item {
            Item::Const(item) => (&item.vis, &item.ident, &item.attrs),
            Item::Enum(item) => (&item.vis, &item.ident, &item.attrs),
            Item::Fn(item) => (&item.vis, &item.sig.ident, &item.attrs),
            Item::Static(item) => (&item.vis, &item.ident, &item.attrs),
            Item::Struct(item) => (&item.vis, &item.ident, &item.attrs),
            Item::Trait(item) => (&item.vis, &item.ident, &item.attrs),
            Item::Type(item) => (&item.vis, &item.ident, &item.attrs),
            Item::Impl(item) => return self.visit_item_impl(item),
            Item::Use(item) if is_public(&item.vis) => {
                "pub use".clone_into(&mut self.at);
                return stem(&item.tree).into_iter().for_each(|name| self.check(name));
            }
            Item::Mod(item) if !is_for_tests(&item.attrs) => return visit::visit_item_mod(self, item),
            _ => return,
        };
        if is_public(visibility) && !is_for_tests(attributes) {
            self.at = name.to_string();
            visit::visit_item(self, item);
        }
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.all_public = true;
        visit::visit_item_enum(self, item);
        self.all_public = false;
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let Type::Path(of) = &*item.self_ty else { return };
        let of_a_private_trait = item.trait_.as_ref().is_some_and(|(path, ..)| self.house.is_private(path));
        if self.house.is_private(&of.path) || of_a_private_trait || is_for_tests(&item.attrs) {
            return;
        }
        self.at = of.path.segments.last().map(|last| format!("impl … {}", last.ident)).unwrap_or_default();
        if item.trait_.is_some() {
            return visit::visit_item_impl(self, item);
        }
        for item in &item.items {
            let visibility = match item {
                ImplItem::Const(item) => &item.vis,
                ImplItem::Fn(item) => &item.vis,
                ImplItem::Type(item) => &item.vis,
                _ => continue,
            };
            if is_public(visibility) {
                self.visit_impl_item(item);
            }
        }
    }

    fn visit_signature(&mut self, signature: &'ast Signature) {
        self.at = signature.ident.to_string();
        visit::visit_signature(self, signature);
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if self.all_public || is_public(&field.vis) {
            visit::visit_field(self, field);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        // `Stream` is whoever is imported under that name; `our::Stream` is ours, unless an alias hides what is theirs.
        let (first, last) = (path.segments.first(), path.segments.last());
        first.into_iter().for_each(|first| self.check(&first.ident));
        if path.segments.len() > 1
            && let Some(last) = last
            && self.house.hidden.contains(&last.ident.to_string())
        {
            self.check(&last.ident);
        }
        visit::visit_path(self, path);
    }

    // Nobody outside sees what is done, and what stands at an item is no part of its signature.
    fn visit_block(&mut self, _: &'ast Block) {}

    fn visit_expr(&mut self, _: &'ast Expr) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

pub(crate) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let is_test = |list: &syn::MetaList| list.path.is_ident("cfg") && list.tokens.to_string() == "test";
    attributes.iter().any(|attribute| matches!(&attribute.meta, Meta::List(list) if is_test(list)))
}

/// What a `use` begins with.
fn stem(tree: &UseTree) -> Option<&Ident> {
    match tree {
        UseTree::Path(path) => Some(&path.ident),
        UseTree::Name(name) => Some(&name.ident),
        UseTree::Rename(rename) => Some(&rename.ident),
        _ => None,
    }
}

/// The names that a `use` brings in; `self` is its parent's.
fn leaves(tree: &UseTree, parent: Option<&Ident>, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => leaves(&path.tree, Some(&path.ident), names),
        UseTree::Name(name) => {
            let name = if name.ident == "self" { parent.unwrap_or(&name.ident) } else { &name.ident };
            names.insert(name.to_string());
        }
        UseTree::Rename(rename) => _ = names.insert(rename.rename.to_string()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, parent, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
