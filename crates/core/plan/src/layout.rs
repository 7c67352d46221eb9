//! Where things are kept: the state directory, the cache, and our own programs.

use alloc::format;
use alloc::string::String;

use sanctum_model::ComponentName;

/// The directories everything else is found in. Absolute paths, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The state directory, `~/.sanctum` unless told otherwise. What is lost with it is lost.
    pub home: String,
    /// What can be made again: images, downloads.
    pub cache: String,
    /// The directory of our own programs.
    pub programs: String,
}

impl Layout {
    /// The manifest.
    pub fn manifest(&self) -> String {
        format!("{}/sanctum.toml", self.home)
    }

    /// The manifest that was last applied.
    pub fn last_good(&self) -> String {
        format!("{}/sanctum.last-good.toml", self.home)
    }

    /// The directory of secrets, mode 700.
    pub fn secrets(&self) -> String {
        format!("{}/secrets", self.home)
    }

    /// The configuration files rendered from the manifest.
    pub fn config(&self, file: &str) -> String {
        format!("{}/config/{file}", self.home)
    }

    /// The guest's instance: its disk, its identity, its sockets.
    pub fn guest(&self) -> String {
        format!("{}/guest/main", self.home)
    }

    /// What lives no longer than the processes: sockets, locks, castellan's record.
    pub fn run(&self, file: &str) -> String {
        format!("{}/run/{file}", self.home)
    }

    /// Castellan's control socket.
    pub fn socket(&self) -> String {
        self.run("castellan.sock")
    }

    /// A component's log.
    pub fn log(&self, component: &ComponentName) -> String {
        format!("{}/logs/{component}.log", self.home)
    }

    /// Castellan's own log.
    pub fn castellan_log(&self) -> String {
        format!("{}/logs/castellan.log", self.home)
    }

    /// Chitti, the event journal.
    pub fn chitti(&self) -> String {
        format!("{}/chitti/events.jsonl", self.home)
    }

    /// The model store.
    pub fn models(&self) -> String {
        format!("{}/models", self.home)
    }

    /// The file of a model: of the store by its name, else the path that was given.
    pub fn model_file(&self, model: &str) -> String {
        if model.contains('/') {
            String::from(model)
        } else {
            format!("{}/{model}/model.gguf", self.models())
        }
    }

    /// One of our own programs.
    pub fn program(&self, name: &str) -> String {
        format!("{}/{name}", self.programs)
    }
}
