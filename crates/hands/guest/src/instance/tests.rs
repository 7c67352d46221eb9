//! What an instance is made of, and what of it stays when it is made again.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;

struct Machine {
    home: tempfile::TempDir,
    image: Image,
}

impl Machine {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("cache/images/abc123");
        fs::create_dir_all(&directory).unwrap();
        let image = Image { key: "abc123".to_owned(), directory };
        let create = Command::new("qemu-img")
            .arguments(["create", "-q", "-f", "qcow2"])
            .argument(image.disk().to_string_lossy())
            .argument("1M");
        tool::output(&create).unwrap();
        Self { home, image }
    }

    fn paths(&self) -> GuestPaths {
        GuestPaths::new(self.home.path())
    }

    fn prepare(&self, model: &str) -> Result<InstanceRecord, GuestError> {
        let settings = InstanceSettings {
            ssh_port: 1922,
            model,
            tools: ToolProfile::Minimal,
            context_tokens: 8192,
            answer_tokens_max: 1024,
        };
        let secrets = Secrets::at(self.home.path().join("secrets"));
        prepare(&self.paths(), &self.image, &secrets, &settings)
    }

    fn packed(&self) -> BTreeMap<String, (u32, u64, String)> {
        let mut archive = tar::Archive::new(fs::File::open(self.paths().instance_tar()).unwrap());
        let mut found = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let (mode, owner) = (entry.header().mode().unwrap(), entry.header().uid().unwrap());
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            found.insert(path, (mode, owner, content));
        }
        found
    }
}

#[test]
fn an_instance_is_private_and_whole() {
    let machine = Machine::new();
    machine.prepare("council-brain").unwrap();
    let paths = machine.paths();
    for path in [
        paths.disk(),
        paths.instance_tar(),
        paths.record(),
        paths.known_hosts(),
        paths.host_key(),
        paths.tunnel_key(),
        paths.admin_key(),
    ] {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600, "{}", path.display());
    }
    assert_eq!(fs::metadata(paths.directory()).unwrap().mode() & 0o777, 0o700);
    let packed = machine.packed();
    let about: Vec<_> = packed.iter().map(|(path, it)| (path.as_str(), it.0, it.1)).collect();
    assert_eq!(
        about,
        [
            ("etc/sanctum/authorized_keys.d/root", 0o644, 0),
            ("etc/sanctum/authorized_keys.d/sanctum", 0o644, 0),
            ("etc/sanctum/ssh_host_ed25519_key", 0o600, 0),
            ("var/lib/openclaw/openclaw.json", 0o600, 990),
        ]
    );
}

#[test]
fn the_guest_gets_no_private_key_but_its_own() {
    let machine = Machine::new();
    machine.prepare("council-brain").unwrap();
    let host_key = fs::read_to_string(machine.paths().host_key()).unwrap();
    for (path, (_, _, content)) in machine.packed() {
        let is_host_key = path == "etc/sanctum/ssh_host_ed25519_key";
        assert_eq!(content.contains("PRIVATE KEY"), is_host_key, "{path}");
        assert_eq!(content == host_key, is_host_key, "{path}");
    }
}

#[test]
fn preparing_twice_keeps_the_identity_and_renews_the_configuration() {
    let machine = Machine::new();
    let first = machine.prepare("council-brain").unwrap();
    let before = machine.packed();
    assert_eq!(machine.prepare("other-brain").unwrap(), first);
    let after = machine.packed();
    for (path, content) in &before {
        let changed = path == "var/lib/openclaw/openclaw.json";
        assert_eq!(after[path] != *content, changed, "{path}");
    }
    assert!(after["var/lib/openclaw/openclaw.json"].2.contains("sanctum/other-brain"));
}

#[test]
fn the_host_key_is_pinned_before_the_first_boot() {
    let machine = Machine::new();
    machine.prepare("council-brain").unwrap();
    let pin = fs::read_to_string(machine.paths().known_hosts()).unwrap();
    let public = fs::read_to_string(public(&machine.paths().host_key())).unwrap();
    let key = public.split_whitespace().nth(1).unwrap();
    assert_eq!(pin, format!("[127.0.0.1]:1922 ssh-ed25519 {key}\n"));
}

#[test]
fn a_disk_over_another_image_is_refused_and_left_as_it_is() {
    let mut machine = Machine::new();
    machine.prepare("council-brain").unwrap();
    machine.image.key = "def456".to_owned();
    let error = machine.prepare("council-brain").unwrap_err();
    assert!(matches!(&error, GuestError::ImageGone { image, .. } if image == "abc123"), "{error}");
    assert!(error.hint().unwrap().contains("sanctum guest reset"));
    assert!(machine.paths().disk().exists());
}

#[test]
fn a_reset_puts_the_disk_aside_and_deletes_nothing() {
    let machine = Machine::new();
    machine.prepare("council-brain").unwrap();
    let size = fs::metadata(machine.paths().disk()).unwrap().len();
    let aside = reset(&machine.paths()).unwrap().unwrap();
    assert_eq!(fs::metadata(&aside).unwrap().len(), size);
    assert!(!machine.paths().disk().exists());
    assert_eq!(reset(&machine.paths()).unwrap(), None);
    machine.prepare("council-brain").unwrap();
    assert!(machine.paths().disk().exists() && aside.exists());
}

#[test]
fn a_state_directory_with_too_long_a_path_is_refused_before_anything_is_made() {
    let machine = Machine::new();
    let long = machine.home.path().join("x".repeat(90));
    let paths = GuestPaths::new(&long);
    let secrets = Secrets::at(long.join("secrets"));
    let settings = InstanceSettings {
        ssh_port: 1922,
        model: "m",
        tools: ToolProfile::Full,
        context_tokens: 1,
        answer_tokens_max: 1,
    };
    let error = prepare(&paths, &machine.image, &secrets, &settings).unwrap_err();
    assert!(matches!(error, GuestError::SocketPath { .. }), "{error}");
    assert!(!paths.host_key().exists());
}

#[test]
fn a_secret_that_others_can_read_stops_the_instance() {
    let machine = Machine::new();
    machine.prepare("council-brain").unwrap();
    let token = machine.home.path().join("secrets").join(GATEWAY_SECRET);
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(machine.prepare("council-brain"), Err(GuestError::Secret(_))));
}
