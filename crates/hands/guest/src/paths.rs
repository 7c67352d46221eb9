//! Where an instance keeps its files.

use std::path::{Path, PathBuf};

/// The directory of one guest, below the state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestPaths {
    directory: PathBuf,
}

impl GuestPaths {
    /// The files of the one guest there is, `guest/main` below the state directory.
    pub fn new(state_directory: &Path) -> Self {
        Self { directory: state_directory.join("guest").join("main") }
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The disk: what the guest changed of its image, the agent's state among it.
    pub fn disk(&self) -> PathBuf {
        self.directory.join("disk.qcow2")
    }

    /// What makes the guest itself, packed for its next boot. It holds secrets.
    pub fn instance_tar(&self) -> PathBuf {
        self.directory.join("instance.tar")
    }

    /// What is known about the instance.
    pub fn record(&self) -> PathBuf {
        self.directory.join("instance.json")
    }

    /// The pin of the guest's host key.
    pub fn known_hosts(&self) -> PathBuf {
        self.directory.join("known_hosts")
    }

    /// The guest's own host key, private.
    pub fn host_key(&self) -> PathBuf {
        self.directory.join("host")
    }

    /// The key of the umbilical, private.
    pub fn tunnel_key(&self) -> PathBuf {
        self.directory.join("tunnel")
    }

    /// The key of the guest's root, private.
    pub fn admin_key(&self) -> PathBuf {
        self.directory.join("admin")
    }

    /// What the guest's console printed since it was started, bounded.
    pub fn console_log(&self) -> PathBuf {
        self.directory.join("console.log")
    }

    /// The socket of the machine protocol.
    pub fn qmp_socket(&self) -> PathBuf {
        self.directory.join("qmp.sock")
    }

    /// The socket of QEMU's agent in the guest.
    pub fn guest_agent_socket(&self) -> PathBuf {
        self.directory.join("qga.sock")
    }

    /// The socket that leads into the guest and back out to proxyd.
    pub fn proof_socket(&self) -> PathBuf {
        self.directory.join("proof-4040.sock")
    }

    /// Which process runs the guest, and how.
    pub fn run_record(&self) -> PathBuf {
        self.directory.join("run.json")
    }

    /// The configuration of Lima, where Lima runs the guest. It holds secrets.
    pub fn lima_yaml(&self) -> PathBuf {
        self.directory.join("lima.yaml")
    }
}
