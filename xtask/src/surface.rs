//! What a file of ours offers its users, by name.

use std::collections::BTreeSet;

use syn::{ImplItem, Item, Type};

use crate::hidden::is_public;

/// The public items of a file, in its order; of an `impl` for a type from elsewhere, its public functions.
#[expect(clippy::wildcard_enum_match_arm, reason = "most of the syntax tree, which grows, is no item of a name")]
pub(crate) fn of(text: &str) -> syn::Result<Vec<String>> {
    let file = syn::parse_file(text)?;
    let mut here = BTreeSet::new();
    let mut names = Vec::new();
    for item in &file.items {
        let (visibility, name) = match item {
            Item::Const(item) => (&item.vis, &item.ident),
            Item::Enum(item) => (&item.vis, &item.ident),
            Item::Fn(item) => (&item.vis, &item.sig.ident),
            Item::Struct(item) => (&item.vis, &item.ident),
            Item::Trait(item) => (&item.vis, &item.ident),
            Item::Type(item) => (&item.vis, &item.ident),
            _ => continue,
        };
        here.insert(name.to_string());
        if is_public(visibility) {
            names.push(name.to_string());
        }
    }
    for item in &file.items {
        if let Item::Impl(item) = item
            && item.trait_.is_none()
            && let Type::Path(of) = &*item.self_ty
            && let Some(of) = of.path.segments.last().map(|last| last.ident.to_string())
            && !here.contains(&of)
        {
            let functions = item.items.iter().filter_map(|item| match item {
                ImplItem::Fn(function) if is_public(&function.vis) => Some(format!("{of}::{}", function.sig.ident)),
                _ => None,
            });
            names.extend(functions);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_what_is_public_and_has_a_name() {
        let file = "pub struct A; struct B; pub(crate) enum C {} pub fn d() {} use e::F;
            impl A { pub fn g(&self) {} } impl B { pub fn h(&self) {} } impl Clone for F { fn clone(&self) {} }
            impl<T: I> crate::Pool<T> { pub fn warm(&self) {} fn cool(&self) {} }";
        assert_eq!(super::of(file).expect("it is Rust"), ["A", "d", "Pool::warm"]);
        assert!(super::of("no Rust").is_err());
    }
}
