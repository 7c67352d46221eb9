//! The emulator's command line.

use alloc::format;
use alloc::string::{String, ToString as _};

use sanctum_model::Command;

use super::{Accelerator, Arch};

/// What the guest's kernel prints once it runs: the sign that an accelerator carries it.
pub const MARKER: &str = "Linux version";

/// Memory for translated code, in MiB. The agent's own code needs a good part of it.
const TRANSLATION_CACHE_MIB: u32 = 512;

/// A virtual machine, as far as its owner chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its processor family, which is the host's.
    pub arch: Arch,
    /// What carries its instructions out.
    pub accelerator: Accelerator,
    /// Virtual processors.
    pub cpus: u32,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// The host port on 127.0.0.1 that leads to its sshd.
    pub ssh_port: u16,
    /// The identity its system has, 32 hexadecimal digits; not a secret.
    pub machine_id: String,
}

/// The files that a virtual machine is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineFiles {
    /// The kernel.
    pub kernel: String,
    /// The first root, with the drivers that find the disk.
    pub initrd: String,
    /// The disk, qcow2, over the read-only image.
    pub disk: String,
    /// What makes the guest itself: keys and configuration.
    pub instance_tar: String,
    /// The socket of the machine protocol.
    pub qmp_socket: String,
    /// The socket of the agent of QEMU inside the guest.
    pub guest_agent_socket: String,
}

/// Renders the command that runs the guest.
///
/// The network has no way out: `restrict=on`, no IPv6, and one port of the host's loopback that
/// leads to sshd. QEMU is given no monitor but QMP on a socket, no display, and no configuration
/// of the user.
pub fn qemu_command(machine: &Machine, files: &MachineFiles) -> Command {
    let Machine { arch, accelerator, cpus, memory_mib, ssh_port, machine_id } = machine;
    Command::new(program(*arch))
        .arguments(["-name", "sanctum-guest"])
        .arguments(processor(*arch, *accelerator))
        .argument("-smp")
        .argument(cpus.to_string())
        .argument("-m")
        .argument(memory_mib.to_string())
        .arguments(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
        .arguments(["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny"])
        .arguments(["-kernel", &files.kernel, "-initrd", &files.initrd, "-append"])
        .argument(kernel_arguments(*arch, machine_id))
        .argument("-drive")
        .argument(format!(
            "file={},if=none,id=disk,format=qcow2,cache=writeback,discard=unmap",
            escaped(&files.disk)
        ))
        .arguments(["-device", "virtio-blk-pci,drive=disk,serial=sanctum-root"])
        .argument("-fw_cfg")
        .argument(format!("name=opt/sanctum/instance.tar,file={}", escaped(&files.instance_tar)))
        .argument("-netdev")
        .argument(format!(
            "user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:{ssh_port}-10.0.2.15:22"
        ))
        .arguments(["-device", "virtio-net-pci,netdev=net"])
        .arguments(["-device", "virtio-rng-pci"])
        .arguments(["-device", "virtio-serial-pci", "-chardev"])
        .argument(format!(
            "socket,id=agent,path={},server=on,wait=off",
            escaped(&files.guest_agent_socket)
        ))
        .arguments(["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"])
        .arguments(["-chardev".to_string(), {
            format!("socket,id=qmp,path={},server=on,wait=off", escaped(&files.qmp_socket))
        }])
        .arguments(["-mon", "chardev=qmp,mode=control"])
        // To standard output: whoever runs it keeps it bounded.
        .arguments(["-chardev", "stdio,id=console,signal=off"])
        .arguments(["-serial", "chardev:console", "-monitor", "none"])
}

/// Renders the command that shows whether KVM carries this kernel: it prints to standard output,
/// and [`MARKER`] among it is the only yes.
pub fn probe_command(arch: Arch, kernel: &str) -> Command {
    Command::new(program(arch))
        .arguments(processor(arch, Accelerator::Kvm))
        .arguments(["-m", "256", "-nodefaults", "-no-user-config", "-display", "none"])
        .arguments(["-no-reboot", "-kernel", kernel, "-append"])
        .argument(format!("console={} panic=-1", serial(arch)))
        .arguments(["-serial", "stdio", "-monitor", "none"])
}

fn program(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "qemu-system-x86_64",
        Arch::Aarch64 => "qemu-system-aarch64",
    }
}

fn processor(arch: Arch, accelerator: Accelerator) -> [String; 6] {
    let machine = match arch {
        Arch::X86_64 => "q35",
        Arch::Aarch64 => "virt",
    };
    let (accelerator, model) = match accelerator {
        Accelerator::Kvm => ("kvm".to_string(), "host"),
        Accelerator::Tcg => (
            format!("tcg,thread=multi,tb-size={TRANSLATION_CACHE_MIB}"),
            // An older model is translated to less code: a tenth sooner up than `max`.
            match arch {
                Arch::X86_64 => "Nehalem",
                Arch::Aarch64 => "max,pauth-impdef=on",
            },
        ),
    };
    ["-machine", machine, "-accel", &accelerator, "-cpu", model].map(String::from)
}

fn kernel_arguments(arch: Arch, machine_id: &str) -> String {
    // `mitigations=off`: the walls are around the guest, not in it. `net.ifnames=0`: one card,
    // one name.
    format!(
        "console={} root=/dev/vda rw rootfstype=ext4 quiet panic=-1 mitigations=off \
         net.ifnames=0 ipv6.disable=1 systemd.machine_id={machine_id}",
        serial(arch)
    )
}

fn serial(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "ttyS0",
        Arch::Aarch64 => "ttyAMA0",
    }
}

/// A path inside an option list: QEMU reads `,,` as one comma.
fn escaped(path: &str) -> String {
    path.replace(',', ",,")
}
