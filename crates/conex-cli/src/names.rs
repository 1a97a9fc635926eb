//! Names that people could mistake for one another.

use std::collections::BTreeMap;

use conex_core::model::name::PackageName;

/// Names up to this length are all one edit apart.
const SHORT: usize = 4;

/// Returns, for each new name that could be mistaken for an old one, the old name and the reason.
pub(crate) fn lookalikes<'n>(
    new: &[&'n PackageName],
    old: &[&'n PackageName],
) -> Vec<(&'n PackageName, &'n PackageName, &'static str)> {
    let skeletons: BTreeMap<String, &PackageName> =
        old.iter().map(|name| (skeleton(name), *name)).collect();
    let mut found = Vec::new();
    for name in new {
        if let Some(like) = skeletons.get(&skeleton(name)) {
            found.push((*name, *like, "looks like"));
            continue;
        }
        if name.as_str().len() < SHORT {
            continue;
        }
        let near = old.iter().find(|other| {
            other.as_str().len().abs_diff(name.as_str().len()) <= 1
                && strsim::osa_distance(name.as_str(), other.as_str()) == 1
        });
        if let Some(near) = near {
            found.push((*name, *near, "is one letter away from"));
        }
    }
    found
}

/// Reduces a name to what people notice: characters that look alike become the same, and easily overlooked
/// ones are dropped.
fn skeleton(name: &PackageName) -> String {
    name.as_str()
        .to_ascii_lowercase()
        .replace("rn", "m")
        .replace("vv", "w")
        .chars()
        .filter_map(|letter| match letter {
            '-' | '_' | '+' | '.' => None,
            '0' => Some('o'),
            '1' | 'i' => Some('l'),
            '5' => Some('s'),
            other => Some(other),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squatting() {
        let parse = |name: &&str| PackageName::parse(name).unwrap();
        let old: Vec<PackageName> = ["lwt", "cohttp", "ocaml-lsp", "z3", "alcotest", "fmt"]
            .iter()
            .map(parse)
            .collect();
        let old: Vec<&PackageName> = old.iter().collect();
        for (name, like) in [
            ("c0http", Some("cohttp")),
            ("cohtpp", Some("cohttp")),
            ("cohttps", Some("cohttp")),
            ("ocaml_lsp", Some("ocaml-lsp")),
            ("a1cotest", Some("alcotest")),
            ("frnt", Some("fmt")),
            ("httpaf", None),
            ("lvt", None), // three letters: nearly every such name is one edit from another
        ] {
            let new = PackageName::parse(name).unwrap();
            let found = lookalikes(&[&new], &old);
            assert_eq!(found.first().map(|found| found.1.as_str()), like, "{name}");
        }
    }
}
