//! What is said of the guest, as whole texts.

use sanctum_model::manifest::ToolProfile;

use super::*;

const RECIPE: &str = include_str!("../../../../../guest/recipe.toml");
const LOCKFILE: &str = include_str!("../../../../../guest/openclaw/package-lock.json");
const PUBLIC_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPinnedKeyOfTheGuest sanctum\n";

fn machine(accelerator: Accelerator) -> Machine {
    Machine {
        arch: Arch::X86_64,
        accelerator,
        cpus: 2,
        memory_mib: 2048,
        ssh_port: 1922,
        machine_id: "0123456789abcdef0123456789abcdef".to_owned(),
    }
}

fn files() -> MachineFiles {
    let at = |name: &str| format!("/home/anna/.sanctum/guest/main/{name}");
    MachineFiles {
        kernel: "/home/anna/.cache/sanctum/images/abc/vmlinuz".to_owned(),
        initrd: "/home/anna/.cache/sanctum/images/abc/initrd".to_owned(),
        disk: at("disk.qcow2"),
        instance_tar: at("instance.tar"),
        qmp_socket: at("qmp.sock"),
        guest_agent_socket: at("qga.sock"),
    }
}

/// One argument a line, so that a change is seen where it is.
fn lines(command: &sanctum_model::Command) -> Vec<u8> {
    let mut words = vec![command.program.clone()];
    words.extend(command.arguments.iter().cloned());
    (words.join("\n") + "\n").into_bytes()
}

fn agent(tools: ToolProfile) -> String {
    openclaw_json(&Agent {
        gateway_token: "the-gateway-token",
        caller_key: "the-caller-key",
        model: "council-brain",
        tools,
        context_tokens: 8192,
        answer_tokens_max: 1024,
    })
}

#[test]
fn the_emulator_is_told_all_it_may_do() {
    let kvm = qemu_command(&machine(Accelerator::Kvm), &files());
    insta::assert_binary_snapshot!("qemu-kvm.txt", lines(&kvm));
    let tcg = qemu_command(&machine(Accelerator::Tcg), &files());
    insta::assert_binary_snapshot!("qemu-tcg.txt", lines(&tcg));
    let probe = probe_command(Arch::X86_64, "/images/abc/vmlinuz");
    insta::assert_binary_snapshot!("qemu-probe.txt", lines(&probe));
}

#[test]
fn a_comma_in_a_path_stays_in_the_path() {
    let mut files = files();
    files.disk = "/home/a,b/disk.qcow2".to_owned();
    let command = qemu_command(&machine(Accelerator::Tcg), &files);
    assert!(command.arguments.iter().any(|it| it.starts_with("file=/home/a,,b/disk.qcow2,if=")));
}

#[test]
fn the_emulator_listens_on_loopback_and_lets_nothing_out() {
    for accelerator in [Accelerator::Kvm, Accelerator::Tcg] {
        let command = qemu_command(&machine(accelerator), &files());
        let nets: Vec<_> = command.arguments.iter().filter(|it| it.starts_with("user,")).collect();
        assert_eq!(
            nets,
            ["user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:1922-10.0.2.15:22"]
        );
    }
}

#[test]
fn the_umbilical_is_one_pinned_ssh_with_every_forward() {
    let command = umbilical(&Umbilical {
        identity: "/home/anna/.sanctum/guest/main/tunnel".to_owned(),
        known_hosts: "/home/anna/.sanctum/guest/main/known_hosts".to_owned(),
        proof_socket: "/home/anna/.sanctum/guest/main/proof-4040.sock".to_owned(),
        ssh_port: 1922,
        agent_port: 11977,
        gateway_port: 14040,
    });
    insta::assert_binary_snapshot!("umbilical.txt", lines(&command));
}

#[test]
fn the_owner_gets_a_shell_without_forwards() {
    let admin = Admin {
        identity: "/home/anna/.sanctum/guest/main/admin".to_owned(),
        known_hosts: "/home/anna/.sanctum/guest/main/known_hosts".to_owned(),
        ssh_port: 1922,
    };
    let command = admin_ssh(&admin, &["systemctl".to_owned(), "is-system-running".to_owned()]);
    insta::assert_binary_snapshot!("admin-ssh.txt", lines(&command));
}

#[test]
fn a_key_may_do_what_its_line_says_and_no_more() {
    let both = authorized_keys_tunnel(PUBLIC_KEY) + &authorized_keys_admin(PUBLIC_KEY);
    insta::assert_binary_snapshot!("authorized_keys.txt", both.into_bytes());
    assert_eq!(
        known_hosts_line(1922, PUBLIC_KEY),
        "[127.0.0.1]:1922 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPinnedKeyOfTheGuest\n"
    );
}

#[test]
fn the_agent_is_bound_to_loopback_and_to_one_provider() {
    insta::assert_binary_snapshot!(
        "openclaw-minimal.json",
        agent(ToolProfile::Minimal).into_bytes()
    );
    insta::assert_binary_snapshot!("openclaw-full.json", agent(ToolProfile::Full).into_bytes());
}

#[test]
fn what_is_known_about_an_agent_is_shown_without_its_secrets() {
    let agent = Agent {
        gateway_token: "one-secret",
        caller_key: "another-secret",
        model: "council-brain",
        tools: ToolProfile::Full,
        context_tokens: 1,
        answer_tokens_max: 1,
    };
    assert!(!format!("{agent:?}").contains("secret"));
}

#[test]
fn lima_forwards_nothing_of_its_own() {
    let text = lima_yaml(&Lima {
        cpus: 4,
        memory_mib: 4096,
        disk_gib: 8,
        image: "/Users/anna/Library/Caches/sanctum/images/abc/base.qcow2".to_owned(),
        image_sha256: "ab".repeat(32),
        ssh_port: 1922,
        files: vec![
            LimaFile {
                path: "/etc/sanctum/ssh_host_ed25519_key".to_owned(),
                content: "-----BEGIN OPENSSH PRIVATE KEY-----\nab: \"c\"\n".to_owned(),
                owner: "root:root".to_owned(),
                mode: "600".to_owned(),
            },
            LimaFile {
                path: "/var/lib/openclaw/openclaw.json".to_owned(),
                content: "{}\n".to_owned(),
                owner: "openclaw:openclaw".to_owned(),
                mode: "600".to_owned(),
            },
        ],
    });
    insta::assert_binary_snapshot!("lima.yaml", text.into_bytes());
}

#[test]
fn the_sshd_of_the_guest_says_what_the_keys_say() {
    let text = include_str!("../../../../../guest/files/etc/ssh/sshd_config");
    for line in [
        "PermitOpen 127.0.0.1:1977 127.0.0.1:4040",
        "PermitListen 127.0.0.1:4040",
        "ForceCommand /usr/sbin/nologin",
        "PasswordAuthentication no",
        "GatewayPorts no",
        "AllowStreamLocalForwarding no",
        "DisableForwarding yes",
        "AllowUsers sanctum root",
    ] {
        assert!(text.lines().any(|it| it.trim() == line), "{line}");
    }
}

#[test]
fn the_recipe_and_its_lockfile_agree() {
    let recipe = Recipe::parse(RECIPE).unwrap();
    check_lockfile(&recipe, LOCKFILE).unwrap();
    assert!(recipe.packages(Arch::Aarch64).contains(&"linux-image-cloud-arm64".to_owned()));
}

#[test]
fn the_lockfile_names_no_host_to_download_from() {
    assert!(!LOCKFILE.contains("\"resolved\""));
}

#[test]
fn a_lockfile_that_pins_another_agent_is_refused() {
    let mut recipe = Recipe::parse(RECIPE).unwrap();
    "2026.9.7".clone_into(&mut recipe.openclaw.version);
    let error = check_lockfile(&recipe, LOCKFILE).unwrap_err().to_string();
    assert!(error.contains("2026.9.7") && error.contains("2026.9.6"), "{error}");
}

#[test]
fn a_lockfile_without_a_hash_is_refused() {
    let recipe = Recipe::parse(RECIPE).unwrap();
    let lockfile = LOCKFILE.replacen("\"integrity\"", "\"was\"", 1);
    let error = check_lockfile(&recipe, &lockfile).unwrap_err();
    assert!(matches!(error, RecipeError::Unchecked { .. }), "{error}");
    let error = check_lockfile(&recipe, "{").unwrap_err();
    assert!(matches!(error, RecipeError::Lockfile(_)), "{error}");
}

#[test]
fn every_fault_of_a_recipe_is_reported_at_once() {
    let broken = RECIPE
        .replace("suite = \"bookworm\"", "suite = \"Book worm\"")
        .replace("\"git\"", "\"git;rm\"")
        .replace("size_gib = 8", "size_gib = 1")
        .replace("\"openclaw.service\"", "\"openclaw\"")
        .replace("\"openclaw/docs\"", "\"../docs\"");
    let error = Recipe::parse(&broken).unwrap_err().to_string();
    for what in ["`Book worm`", "`git;rm`", "`size_gib` is 1", "`openclaw`", "`../docs`"] {
        assert!(error.contains(what), "{what}: {error}");
    }
}

#[test]
fn an_unknown_field_of_a_recipe_is_refused() {
    let error = Recipe::parse(&RECIPE.replace("suite =", "suit =")).unwrap_err();
    assert!(matches!(error, RecipeError::Syntax(_)), "{error}");
}

#[test]
fn a_patch_counts_the_places_it_is_made_in() {
    let patch = Patch {
        files: vec!["openclaw/dist/a-*.mjs".to_owned()],
        find: "5e3".to_owned(),
        replace: "180000".to_owned(),
        count: 2,
    };
    assert_eq!(patch.apply("a = 5e3; b = 5e3"), ("a = 180000; b = 180000".to_owned(), 2));
    assert_eq!(patch.check(2), Ok(()));
    let error = patch.check(1).unwrap_err().to_string();
    assert!(error.contains("`5e3` 2 times and finds it 1 times"), "{error}");
}

#[test]
fn a_star_stands_for_a_part_of_one_name() {
    let names = Patch::names;
    assert!(names("openclaw/dist/a-*.mjs", "openclaw/dist/a-D6j.mjs"));
    assert!(!names("openclaw/dist/a-*.mjs", "openclaw/dist/a-x/y.mjs"));
    assert!(!names("openclaw/dist/a-*.mjs", "openclaw/dist/a-.js"));
    assert!(names("openclaw/x.js", "openclaw/x.js"));
}

#[test]
fn the_machines_own_mirror_is_used_in_both_formats() {
    let components = ["main".to_owned()];
    let deb822 = "Types: deb\n# old\nURIs: http://mirror.lan/debian\nSuites: trixie\n\
                  Components: main\n\nTypes: deb\nURIs: http://mirror.lan/debian-security\n\
                  Suites: trixie-security\nComponents: main\n";
    let one_line = "deb [arch=amd64] http://mirror.lan/debian trixie main\n\
                    deb http://mirror.lan/debian-security trixie-security main\n\
                    deb-src http://other/debian trixie main\n";
    for text in [deb822, one_line] {
        let lines = sources_for(&parse_sources(text), "bookworm", &components);
        let ends: Vec<_> = lines.iter().map(|line| line.split_once("] ").unwrap().1).collect();
        assert_eq!(
            ends,
            [
                "http://mirror.lan/debian bookworm main",
                "http://mirror.lan/debian bookworm-updates main",
                "http://mirror.lan/debian-security bookworm-security main",
            ]
        );
    }
}

#[test]
fn a_machine_that_is_not_debian_uses_the_public_archive() {
    let components = ["main".to_owned()];
    let ubuntu = "Types: deb\nURIs: http://archive.ubuntu.com/ubuntu\nSuites: noble\n";
    let off = "Types: deb\nEnabled: no\nURIs: http://mirror.lan/debian\nSuites: trixie\n";
    for text in [ubuntu, off, ""] {
        let lines = sources_for(&parse_sources(text), "bookworm", &components);
        assert!(lines[0].contains(" http://deb.debian.org/debian bookworm main"), "{lines:?}");
        assert!(lines[0].contains("[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"));
    }
}
