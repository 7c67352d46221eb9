//! The guest under Lima, on a Mac.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::{Value, json};

/// A virtual machine that Lima runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lima {
    /// Virtual processors.
    pub cpus: u32,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Disk, in GiB.
    pub disk_gib: u32,
    /// The image, on this machine.
    pub image: String,
    /// The image's SHA-256, 64 hexadecimal digits.
    pub image_sha256: String,
    /// The host port that leads to the guest's sshd.
    pub ssh_port: u16,
    /// What makes the guest itself: keys and configuration.
    pub files: Vec<LimaFile>,
}

/// A file that the guest gets at every boot, before its units start.
#[derive(Clone, PartialEq, Eq)]
pub struct LimaFile {
    /// Where it goes, below `/`.
    pub path: String,
    /// The whole text; it may hold a secret.
    pub content: String,
    /// Its owner, `user:group`.
    pub owner: String,
    /// Its mode, octal.
    pub mode: String,
}

impl core::fmt::Debug for LimaFile {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("LimaFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Renders `lima.yaml`. It holds the secrets of the instance: mode 600.
///
/// `plain`: no mounts, no agent of Lima's in the guest, no forwards of its own making. The two
/// rules that ignore every port are needed all the same: Lima adds one at the end that forwards
/// whatever the guest listens on. Strings are quoted as JSON, which YAML reads.
pub fn lima_yaml(lima: &Lima) -> String {
    let mut lines: Vec<String> = [
        "# Written by sanctum from its manifest; changes here are lost.",
        "minimumLimaVersion: 2.0.0",
        "vmType: vz",
        "arch: aarch64",
        "plain: true",
        "mounts: []",
        "propagateProxyEnv: false",
    ]
    .map(String::from)
    .into();
    lines.extend(
        [
            ("cpus", json!(lima.cpus)),
            ("memory", json!(format!("{}MiB", lima.memory_mib))),
            ("disk", json!(format!("{}GiB", lima.disk_gib))),
            ("containerd", json!({ "system": false, "user": false })),
            ("hostResolver", json!({ "enabled": false })),
            ("ssh", ssh(lima.ssh_port)),
            ("images", json!([image(lima)])),
        ]
        .map(|(key, value)| format!("{key}: {value}")),
    );
    lines.push("provision:".to_string());
    lines.extend(lima.files.iter().map(|file| format!("  - {}", provision(file))));
    lines.push("portForwards:".to_string());
    lines.extend(
        [forward_nothing("127.0.0.1"), forward_nothing("0.0.0.0")]
            .map(|rule| format!("  - {rule}")),
    );
    lines.push(String::new());
    lines.join("\n")
}

fn ssh(port: u16) -> Value {
    json!({
        "forwardAgent": false,
        "forwardX11": false,
        "loadDotSSHPubKeys": false,
        "localPort": port,
        "overVsock": false,
    })
}

fn image(lima: &Lima) -> Value {
    json!({
        "arch": "aarch64",
        "digest": format!("sha256:{}", lima.image_sha256),
        "location": lima.image,
    })
}

fn provision(file: &LimaFile) -> Value {
    json!({
        "content": file.content,
        "mode": "data",
        "owner": file.owner,
        "path": file.path,
        "permissions": file.mode,
    })
}

fn forward_nothing(address: &str) -> Value {
    let mut rule = json!({
        "guestIP": address,
        "guestPortRange": [1, 65535],
        "ignore": true,
        "proto": "any",
    });
    if address == "0.0.0.0" {
        // Else the rule is for listeners on all addresses alone.
        rule["guestIPMustBeZero"] = json!(false);
    }
    rule
}
