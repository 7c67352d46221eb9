//! The walls, tried from inside and with every key there is.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::world::World;

/// Every attempt prints its name and `reached` or `refused`. TCP by bash, the rest by perl, which
/// every Debian has. The addresses are QEMU's own, and those set aside for documentation.
const PROBES: &str = r#"
tcp() { if timeout 5 bash -c "exec 3<>/dev/tcp/$2/$3" 2>/dev/null; then echo "$1 reached"; else echo "$1 refused"; fi; }
udp() { perl -MIO::Socket::INET -e '
  my $s = IO::Socket::INET->new(Proto=>"udp", PeerAddr=>$ARGV[1], PeerPort=>$ARGV[2]) or do { print "$ARGV[0] refused\n"; exit };
  $s->send("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01");
  my $r=""; vec($r,fileno($s),1)=1; my $n=select($r,undef,undef,3);
  print "$ARGV[0] ", ($n>0 && defined($s->recv(my $b,512)) && length $b) ? "reached" : "refused", "\n";' "$@"; }
icmp() { perl -MSocket -e '
  socket(my $s, PF_INET, SOCK_RAW, 1) or do { print "$ARGV[0] refused\n"; exit };
  my $m = pack("C2n3",8,0,0,7,1); my $c=0; $c+=$_ for unpack("n*",$m); $c=($c>>16)+($c&0xffff); $m=pack("C2n3",8,0,(~$c)&0xffff,7,1);
  my $ok = send($s,$m,0,pack_sockaddr_in(0,inet_aton($ARGV[1])));
  my $r=""; vec($r,fileno($s),1)=1; my $n=$ok ? select($r,undef,undef,3) : 0;
  print "$ARGV[0] ", $n>0 ? "reached" : "refused", "\n";' "$@"; }
getent hosts example.com >/dev/null && echo "dns-libc reached" || echo "dns-libc refused"
"#;

pub(crate) fn from_inside(world: &mut World) -> Result<()> {
    let ports = world.ports;
    let control = "timeout 20 bash -c 'exec 3<>/dev/tcp/127.0.0.1/4040; \
                   printf \"GET /health HTTP/1.0\\r\\nhost: 127.0.0.1:4040\\r\\n\\r\\n\" >&3; cat <&3'";
    let answer = world.in_guest(control)?;
    ensure!(answer.contains("\"status\":\"ok\""), "the positive control failed: {answer}");
    let mut script = PROBES.to_owned();
    for (name, address, port) in [
        ("gateway-ssh", "10.0.2.2", 22),
        ("gateway-hostfwd", "10.0.2.2", ports.ssh),
        ("gateway-proxyd", "10.0.2.2", ports.proxyd),
        ("gateway-seat", "10.0.2.2", ports.seat),
        ("gateway-agent", "10.0.2.2", ports.openclaw),
        ("dns-tcp", "10.0.2.3", 53),
        ("loopback-seat", "127.0.0.1", ports.seat),
        ("loopback-seat-default", "127.0.0.1", 1337),
        ("loopback-coder", "127.0.0.1", 3301),
        ("loopback-signal", "127.0.0.1", 8080),
        ("public-literal", "192.0.2.1", 443),
        ("ipv6-slirp", "fec0::2", 22),
        ("ipv6-public", "2001:db8::1", 443),
    ] {
        script.extend(["tcp ", name, " ", address, " ", &port.to_string(), "\n"]);
    }
    script += "udp dns-udp 10.0.2.3 53\nudp public-udp 192.0.2.1 53\nicmp icmp-public 192.0.2.1\n";
    // Root may give itself a route: there is still nothing behind it.
    script += "ip route add default via 10.0.2.2 2>/dev/null\n\
               tcp routed-literal 192.0.2.1 443\nudp routed-udp 192.0.2.1 53\nicmp routed-icmp 192.0.2.1\n\
               ip route del default 2>/dev/null\ntrue\n";
    let said = world.in_guest(&script)?;
    let verdicts: Vec<&str> = said
        .lines()
        .filter(|line| line.ends_with(" refused") || line.ends_with(" reached"))
        .collect();
    ensure!(verdicts.len() == 20, "20 probes, {} verdicts:\n{said}", verdicts.len());
    let reached: Vec<_> = verdicts.iter().filter(|line| line.ends_with(" reached")).collect();
    ensure!(reached.is_empty(), "{reached:?}");
    Ok(())
}

pub(crate) fn with_the_tunnel_key(world: &mut World) -> Result<()> {
    let ran = tunnel_ssh(world, &[], &["id"])?;
    ensure!(!ran.1.contains("uid="), "a command ran: {}", ran.1);
    ensure!(ran.0 != Some(0), "a command was accepted: {}", ran.1);
    let terminal = tunnel_ssh(world, &["-tt"], &[])?;
    ensure!(terminal.0 != Some(0), "a shell was given: {}", terminal.1);
    for listen in [
        "127.0.0.1:9999:127.0.0.1:9",
        "0.0.0.0:4041:127.0.0.1:9",
        "*:4040:127.0.0.1:9",
        "127.0.0.1:4040:127.0.0.1:9",
    ] {
        let refused =
            tunnel_ssh(world, &["-N", "-o", "ExitOnForwardFailure=yes", "-R", listen], &[])?;
        ensure!(refused.0 == Some(255), "-R {listen} was not refused: {refused:?}");
    }
    // A forward to a port that is not on the list is refused when it is used.
    let stdio = tunnel_ssh(world, &["-W", "127.0.0.1:22"], &[])?;
    ensure!(
        !stdio.1.contains("SSH-2.0"),
        "the guest's sshd was reached through its tunnel: {}",
        stdio.1
    );
    let altered = world.home().join("altered_hosts");
    let pinned = fs::read_to_string(world.home().join("guest/main/known_hosts"))?;
    let other = generated_host_key(world)?;
    let (host, _) = pinned.split_once(' ').context("a line of known_hosts")?;
    fs::write(&altered, format!("{host} {other}\n"))?;
    let option = format!("UserKnownHostsFile={}", altered.display());
    let mitm = tunnel_ssh_with(world, &option, &["-N"], &[])?;
    ensure!(
        mitm.0 == Some(255) && mitm.1.contains("verification failed"),
        "another host key was taken: {mitm:?}"
    );
    Ok(())
}

fn generated_host_key(world: &World) -> Result<String> {
    let key = world.home().join("other_host_key");
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()?;
    ensure!(status.success(), "ssh-keygen ended with {status}");
    let public = fs::read_to_string(key.with_extension("pub"))?;
    Ok(public.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

fn tunnel_ssh(world: &World, options: &[&str], command: &[&str]) -> Result<(Option<i32>, String)> {
    let hosts = world.home().join("guest/main/known_hosts");
    tunnel_ssh_with(world, &format!("UserKnownHostsFile={}", hosts.display()), options, command)
}

/// Runs ssh with the umbilical's key for at most half a minute; code and everything it said.
fn tunnel_ssh_with(
    world: &World,
    hosts: &str,
    options: &[&str],
    command: &[&str],
) -> Result<(Option<i32>, String)> {
    let key = world.home().join("guest/main/tunnel");
    let output = Command::new("timeout")
        .args(["30", "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
        .args(["-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none", "-o", hosts])
        .arg("-i")
        .arg(key)
        .args(["-p", &world.ports.ssh.to_string()])
        .args(options)
        .arg("sanctum@127.0.0.1")
        .args(command)
        .stdin(Stdio::null())
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

pub(crate) fn wrong_keys(world: &mut World) -> Result<()> {
    let ports = world.ports;
    let wrong =
        "authorization: Bearer 0000000000000000000000000000000000000000000000000000000000000000";
    for (hop, port) in [("agent", ports.openclaw), ("gateway", ports.proxyd), ("seat", ports.seat)]
    {
        for headers in [vec![], vec!["-H", wrong]] {
            let code = status(port, "/v1/chat/completions", &headers)?;
            ensure!(code == "401", "{hop} answered {code} with headers {headers:?}");
        }
        let page = status(
            port,
            "/v1/chat/completions",
            &["-H", "origin: http://evil.example", "-H", wrong],
        )?;
        ensure!(page != "200", "{hop} answered a web page");
    }
    // The positive control: the health of each is there for all.
    for port in [ports.openclaw, ports.proxyd, ports.seat] {
        let output = Command::new("curl")
            .args(["-s", "-m", "20", &format!("http://127.0.0.1:{port}/health")])
            .output()?;
        ensure!(output.status.success() && !output.stdout.is_empty(), "no health at {port}");
    }
    Ok(())
}

fn status(port: u16, path: &str, headers: &[&str]) -> Result<String> {
    let limit = Duration::from_mins(1).as_secs().to_string();
    let output = Command::new("curl")
        .args([
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-m",
            &limit,
            "-H",
            "content-type: application/json",
        ])
        .args(headers)
        .args(["-d", r#"{"model":"council-brain","messages":[{"role":"user","content":"hi"}]}"#])
        .arg(format!("http://127.0.0.1:{port}{path}"))
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
