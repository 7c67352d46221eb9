//! Stands in for the programs castellan keeps, by the name it is started as.
//!
//! | started as | listens on | answers |
//! |---|---|---|
//! | `sanctum-mlx --listen ADDRESS` | that address | `GET /health` |
//! | `proxyd --config FILE` | the file's `listen` | `GET /health` |
//! | `sanctum guest run --ssh-port PORT` | the port, through an `emulator` it starts | `SSH-2.0-fake` |
//! | `sanctum guest follow openclaw` | – | – |
//! | `ssh -p PORT -L … -R …` | the near end of each `-L` | on a port as the agent, on a unix socket as what is behind `-R` |
//! | `reaper` | – | ends everything on the list of starts, and removes the castle, once its input ends |
//! | anything else `[--port PORT]` | the port, if any | `GET /health` |
//!
//! Faults are files in the directory `FAKE_CONTROL`, looked for again and again:
//! `NAME.unhealthy` (a wrong answer), `NAME.mute` (no answer), `NAME.crash` (ends with 1),
//! `NAME.ignore-term`, `NAME.grandchild` (starts one that ignores SIGTERM, too).

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sanctum_host::cgroup::Hierarchy;
use sanctum_testkit::Starts;
use tokio::signal::unix::{SignalKind, signal};

/// How often the switches are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// What the guest takes to end once it is told.
const GUEST_END: Duration = Duration::from_millis(100);
/// What an `ssh` without its connection ends with.
const LOST: u8 = 255;

const HEALTHY: &str = "{\"status\":\"ok\"}";
const LIVE: &str = "{\"ok\":true,\"status\":\"live\"}";

/// Why the program ends.
enum End {
    Told,
    Lost,
}

/// Who this is, and where its faults are switched.
#[derive(Clone)]
struct Fake {
    name: String,
    control: PathBuf,
}

fn main() -> ExitCode {
    match play() {
        Ok(code) => code,
        Err(error) => {
            writeln!(io::stderr(), "fake: {error:#}").ok();
            ExitCode::from(LOST)
        }
    }
}

fn play() -> Result<ExitCode> {
    let words: Vec<String> = env::args().collect();
    let program = Path::new(&words[0]).file_name().and_then(|name| name.to_str());
    let program = program.context("a program has a name")?;
    let control = PathBuf::from(env::var_os("FAKE_CONTROL").context("FAKE_CONTROL is not set")?);
    if program == "reaper" {
        io::copy(&mut io::stdin(), &mut io::sink())?;
        Starts::in_directory(&control).end_all();
        let castle = control.parent().context("the switches are a part of a castle")?;
        if let Ok(groups) = Hierarchy::make(&castle.join("home")) {
            groups.remove();
        }
        fs::remove_dir_all(castle)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (sender, ends) = mpsc::channel();
    let fake = Fake { name: name(program, &words), control };
    fake.hear_signals(sender.clone())?;
    if program != "emulator" {
        Starts::in_directory(&fake.control).add(&fake.name, std::process::id())?;
    }
    if fake.is("grandchild") {
        Command::new("sh").args(["-c", "trap '' TERM; exec sleep 600"]).spawn()?;
    }
    fake.work(program, &words, &sender)?;
    loop {
        match ends.recv_timeout(LOOK_INTERVAL) {
            // The machine goes with the group of the program that runs it.
            Ok(End::Told) if program == "emulator" => {}
            Ok(End::Told) if fake.name == "guest" => {
                thread::sleep(GUEST_END);
                return Ok(ExitCode::SUCCESS);
            }
            Ok(End::Told) => return Ok(ExitCode::SUCCESS),
            Ok(End::Lost) | Err(RecvTimeoutError::Disconnected) => return Ok(LOST.into()),
            Err(RecvTimeoutError::Timeout) if fake.is("crash") => return Ok(ExitCode::FAILURE),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// The component that a command line stands for.
fn name(program: &str, words: &[String]) -> String {
    let is = |word: &str| words.iter().any(|other| other == word);
    match program {
        "ssh" => "umbilical".to_owned(),
        "emulator" => "guest".to_owned(),
        "sanctum" if is("run") => "guest".to_owned(),
        "sanctum" => "openclaw".to_owned(),
        other => other.to_owned(),
    }
}

impl Fake {
    fn is(&self, fault: &str) -> bool {
        self.control.join(format!("{}.{fault}", self.name)).exists()
    }

    /// Tells of SIGTERM; whoever ignores it goes on as before.
    fn hear_signals(&self, ends: Sender<End>) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut terminate = {
            let _inside = runtime.enter();
            signal(SignalKind::terminate())?
        };
        let fake = self.clone();
        thread::spawn(move || {
            while runtime.block_on(terminate.recv()).is_some() {
                if !fake.is("ignore-term") && ends.send(End::Told).is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    fn work(&self, program: &str, words: &[String], ends: &Sender<End>) -> Result<()> {
        match program {
            "sanctum-mlx" => self.serve(value(words, "--listen")?.parse()?, &self.name, HEALTHY),
            "proxyd" => {
                let config = fs::read_to_string(value(words, "--config")?)?;
                let listen = config.lines().find_map(|line| line.strip_prefix("listen = "));
                let listen = listen.context("the configuration has no `listen`")?;
                self.serve(listen.trim_matches('"').parse()?, &self.name, HEALTHY)
            }
            "sanctum" if self.name == "guest" => {
                let mut emulator = Command::new(env::current_exe()?);
                let port = value(words, "--ssh-port")?;
                let mut emulator = emulator.arg0("emulator").args(["--ssh-port", port]).spawn()?;
                let ends = ends.clone();
                thread::spawn(move || {
                    emulator.wait().ok();
                    ends.send(End::Lost).ok();
                });
                Ok(())
            }
            "emulator" => self.greet(value(words, "--ssh-port")?.parse()?),
            "sanctum" => Ok(()),
            "ssh" => self.forward(words, ends.clone()),
            _ => match value(words, "--port") {
                Ok(port) => self.serve(loopback(port.parse()?), &self.name, HEALTHY),
                Err(_) => Ok(()),
            },
        }
    }

    /// Answers as `who`, whose faults those of the answer are.
    fn serve(&self, address: SocketAddr, who: &str, body: &'static str) -> Result<()> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        let fake = Self { name: who.to_owned(), control: self.control.clone() };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let fake = fake.clone();
                thread::spawn(move || fake.answer(stream, |_| Ok(reply(200, body))));
            }
        });
        Ok(())
    }

    fn answer(
        &self,
        mut stream: impl Read + Write,
        reply_to: impl FnOnce(&[u8]) -> Result<Vec<u8>>,
    ) -> Result<()> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            request.push(byte[0]);
        }
        while self.is("mute") {
            thread::sleep(LOOK_INTERVAL);
        }
        let answer = if self.is("unhealthy") {
            reply(503, "{\"status\":\"unwell\"}")
        } else if request.starts_with(b"GET /health ") {
            reply_to(&request)?
        } else {
            reply(404, "{}")
        };
        Ok(stream.write_all(&answer)?)
    }

    /// Speaks first, as sshd does, and then holds the connection.
    fn greet(&self, port: u16) -> Result<()> {
        let listener = TcpListener::bind(loopback(port))?;
        let fake = self.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let fake = fake.clone();
                thread::spawn(move || {
                    while fake.is("mute") {
                        thread::sleep(LOOK_INTERVAL);
                    }
                    let well = !fake.is("unhealthy");
                    let greeting = if well { "SSH-2.0-fake\r\n" } else { "no ssh here\r\n" };
                    stream.write_all(greeting.as_bytes()).ok();
                    io::copy(&mut stream, &mut io::sink()).ok();
                });
            }
        });
        Ok(())
    }

    /// Makes every forward, or fails; ends with the connection.
    fn forward(&self, words: &[String], ends: Sender<End>) -> Result<()> {
        let mut connection = TcpStream::connect(loopback(value(words, "-p")?.parse()?))?;
        let mut banner = [0; 4];
        connection.read_exact(&mut banner)?;
        ensure!(&banner == b"SSH-", "the guest does not speak as sshd");
        let behind = value(words, "-R")?.rsplit(':').next().context("an empty -R")?.parse()?;
        for pair in words.windows(2).filter(|pair| pair[0] == "-L") {
            match pair[1].split(':').collect::<Vec<_>>().as_slice() {
                ["127.0.0.1", port, _, _] => {
                    self.serve(loopback(port.parse()?), "openclaw", LIVE)?;
                }
                [path, _, _] => self.relay(Path::new(path), behind)?,
                _ => bail!("`-L {}` is not known here", pair[1]),
            }
        }
        thread::spawn(move || {
            io::copy(&mut connection, &mut io::sink()).ok();
            ends.send(End::Lost).ok();
        });
        Ok(())
    }

    /// Carries each question on the socket to the port behind the way out of the guest.
    fn relay(&self, path: &Path, behind: u16) -> Result<()> {
        fs::remove_file(path).ok();
        let listener = UnixListener::bind(path)?;
        let fake = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let fake = fake.clone();
                thread::spawn(move || {
                    fake.answer(stream, |request| {
                        let mut server = TcpStream::connect(loopback(behind))?;
                        server.write_all(request)?;
                        let mut answer = Vec::new();
                        server.read_to_end(&mut answer)?;
                        Ok(answer)
                    })
                });
            }
        });
        Ok(())
    }
}

fn reply(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
        .into_bytes()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn value<'a>(words: &'a [String], option: &str) -> Result<&'a str> {
    let at = words.iter().position(|word| word == option);
    let value = at.and_then(|at| words.get(at + 1));
    value.map(String::as_str).with_context(|| format!("`{option}` is missing"))
}
