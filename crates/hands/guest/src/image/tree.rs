//! The agent's program as npm left it: pruned and patched in a copy.

use std::fs;
use std::path::{Path, PathBuf};

use sanctum_plan::guest::{OpenClaw, Patch, PatchError};

use super::super::GuestError;

/// Directories below one another that are gone into; npm's own trees are far flatter.
const DEPTH_MAX: usize = 64;

/// Removes what the recipe leaves out, and the index of programs, which the guest does not use.
pub(super) fn prune(tree: &Path, openclaw: &OpenClaw) -> Result<(), GuestError> {
    for path in openclaw.prune.iter().map(String::as_str).chain([".bin", ".package-lock.json"]) {
        let path = tree.join(path);
        match fs::symlink_metadata(&path) {
            Ok(about) if about.is_dir() => {
                fs::remove_dir_all(&path).map_err(GuestError::file("remove", &path))?;
            }
            Ok(_) => fs::remove_file(&path).map_err(GuestError::file("remove", &path))?,
            Err(_) => {}
        }
    }
    let mut files = Vec::new();
    walk(tree, DEPTH_MAX, &mut files)?;
    for path in files {
        let name = path.to_string_lossy();
        if openclaw.prune_endings.iter().any(|ending| name.ends_with(ending.as_str())) {
            fs::remove_file(&path).map_err(GuestError::file("remove", &path))?;
        }
    }
    Ok(())
}

/// Makes the patches, and makes sure that each was made as often as it says.
///
/// The files may share their content with another tree by hard links: each is written anew and
/// renamed into place.
pub(super) fn patch(tree: &Path, patches: &[Patch]) -> Result<(), GuestError> {
    for patch in patches {
        let mut found = 0;
        for pattern in &patch.files {
            let files = named(tree, pattern)?;
            if files.is_empty() {
                return Err(PatchError::NoFile { pattern: pattern.clone() }.into());
            }
            for path in files {
                found += patch_file(&path, patch)?;
            }
        }
        patch.check(found)?;
    }
    Ok(())
}

fn patch_file(file: &Path, patch: &Patch) -> Result<usize, GuestError> {
    // Programs are not always text to the last byte: what is replaced is, and the rest stays.
    let bytes = fs::read(file).map_err(GuestError::file("read", file))?;
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let (patched, count) = patch.apply(&text);
    if count > 0 {
        let bytes: Vec<u8> = patched.chars().filter_map(|c| u8::try_from(c).ok()).collect();
        let beside = file.with_extension("patched");
        fs::write(&beside, bytes).map_err(GuestError::file("write", &beside))?;
        fs::rename(&beside, file).map_err(GuestError::file("replace", file))?;
    }
    Ok(count)
}

fn named(tree: &Path, pattern: &str) -> Result<Vec<PathBuf>, GuestError> {
    let directory = match pattern.rsplit_once('/') {
        Some((directory, _)) => tree.join(directory),
        None => tree.to_owned(),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(&directory).into_iter().flatten() {
        let path = entry.map_err(GuestError::file("read", &directory))?.path();
        let inside = path.strip_prefix(tree).unwrap_or(&path).to_string_lossy().into_owned();
        if path.is_file() && Patch::names(pattern, &inside) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn walk(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), GuestError> {
    for entry in fs::read_dir(directory).map_err(GuestError::file("read", directory))? {
        let entry = entry.map_err(GuestError::file("read", directory))?;
        let kind = entry.file_type().map_err(GuestError::file("read", &entry.path()))?;
        if kind.is_file() {
            found.push(entry.path());
        } else if kind.is_dir() && depth > 0 {
            walk(&entry.path(), depth - 1, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let dist = tree.path().join("openclaw/dist");
        fs::create_dir_all(dist.join("docs")).unwrap();
        fs::write(dist.join("lease-Ab1.mjs"), b"LIMIT = 5e3; \xff LIMIT = 5e3").unwrap();
        fs::write(dist.join("types.d.ts"), "type").unwrap();
        fs::write(dist.join("docs/a.md"), "text").unwrap();
        tree
    }

    fn a_patch(count: usize, file: &str) -> Patch {
        Patch {
            files: vec![file.to_owned()],
            find: "LIMIT = 5e3".to_owned(),
            replace: "LIMIT = 180000".to_owned(),
            count,
        }
    }

    #[test]
    fn a_patch_that_fits_changes_its_text_and_no_other_byte() {
        let tree = a_tree();
        patch(tree.path(), &[a_patch(2, "openclaw/dist/lease-*.mjs")]).unwrap();
        let bytes = fs::read(tree.path().join("openclaw/dist/lease-Ab1.mjs")).unwrap();
        assert_eq!(bytes, b"LIMIT = 180000; \xff LIMIT = 180000");
    }

    #[test]
    fn a_patch_that_fits_more_or_less_often_fails_the_build() {
        let tree = a_tree();
        let error = patch(tree.path(), &[a_patch(1, "openclaw/dist/lease-*.mjs")]).unwrap_err();
        assert!(matches!(
            error,
            GuestError::Patch(PatchError::Count { expected: 1, found: 2, .. })
        ));
    }

    #[test]
    fn a_patch_without_a_file_fails_the_build() {
        let tree = a_tree();
        let error = patch(tree.path(), &[a_patch(1, "openclaw/dist/gone-*.mjs")]).unwrap_err();
        assert!(matches!(error, GuestError::Patch(PatchError::NoFile { .. })));
    }

    #[test]
    fn a_patched_file_leaves_its_hard_link_alone() {
        let tree = a_tree();
        let original = tree.path().join("original");
        let file = tree.path().join("openclaw/dist/lease-Ab1.mjs");
        fs::hard_link(&file, &original).unwrap();
        patch(tree.path(), &[a_patch(2, "openclaw/dist/lease-*.mjs")]).unwrap();
        assert_eq!(fs::read(original).unwrap(), b"LIMIT = 5e3; \xff LIMIT = 5e3");
    }

    #[test]
    fn what_the_recipe_leaves_out_is_gone() {
        let tree = a_tree();
        let openclaw = OpenClaw {
            version: "1".to_owned(),
            prune: vec!["openclaw/dist/docs".to_owned(), "not-there".to_owned()],
            prune_endings: vec![".d.ts".to_owned()],
        };
        prune(tree.path(), &openclaw).unwrap();
        let dist = tree.path().join("openclaw/dist");
        assert!(!dist.join("docs").exists() && !dist.join("types.d.ts").exists());
        assert!(dist.join("lease-Ab1.mjs").exists());
    }
}
