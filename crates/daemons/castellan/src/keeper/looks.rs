//! Looks at components: each a task of its own with a deadline, so that none waits for another.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use sanctum_host::port::{self, Port};
use sanctum_host::probe::{self, LookError};
use sanctum_host::process;
use sanctum_model::{Command, ErrorChain, HttpTarget, Probe};
use sanctum_plan::supervise::{Event, Exit, Phase, Seen};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Awaited, Keeper, News, Occurrence};
use crate::notify::Said;
use crate::output;

/// What is shown of what a probing program wrote.
const SAID_BYTES_MAX: usize = 400;
/// Processor time of a program that only waits, in clock ticks.
pub(super) const IDLE_TICKS_MAX: u64 = 5;

impl Keeper {
    /// Begins a look; one that needs nobody else is answered at once.
    pub(super) fn look(&mut self, index: usize) -> Option<Event> {
        if self.kept[index].child.is_none() {
            "its service manager has not said that it runs"
                .clone_into(&mut self.kept[index].last_look);
            return Some(Event::Looked(Seen::Bad));
        }
        let readiness = self.kept[index].component.readiness.clone();
        let run = self.kept[index].run;
        let (sender, end) = (self.occurrences.0.clone(), self.tasks.token());
        let place = Place { index, run };
        match readiness.probe {
            Probe::Alive => Some(Event::Looked(Seen::Good)),
            Probe::Notify { .. } => Some(Event::Looked(self.has_said(index))),
            Probe::Exec(command) => {
                let (reply, answer) = oneshot::channel();
                let started = start_probe(&command);
                let (pid, said) = match started {
                    Ok(started) => started,
                    Err(error) => {
                        self.kept[index].last_look = ErrorChain(&error).to_string();
                        return Some(Event::Looked(Seen::Unknown));
                    }
                };
                self.awaited.insert(pid, Awaited::Probe(reply));
                let program = command.program;
                self.tasks.spawn(async move {
                    let look = exec(pid, &program, said, answer, readiness.watch.timeout);
                    tokio::select! {
                        (seen, note) = look => place.tell(&sender, seen, note).await,
                        () = end.cancelled() => process::kill_group(pid),
                    }
                });
                None
            }
            probe @ (Probe::Tcp { .. } | Probe::Http { .. }) => {
                self.tasks.spawn(async move {
                    let look = outside(&probe, Instant::now() + readiness.watch.timeout);
                    let found = tokio::select! {
                        found = look => found,
                        () = end.cancelled() => return,
                    };
                    let (seen, note) = match found {
                        Ok(()) => (Seen::Good, String::new()),
                        Err(error) => (Seen::Bad, ErrorChain(&error).to_string()),
                    };
                    place.tell(&sender, seen, note).await;
                });
                None
            }
        }
    }

    pub(super) fn on_look(&mut self, index: usize, seen: Seen, note: String) {
        let phase = self.fleet.members()[index].phase();
        if matches!(phase, Phase::Stopping { .. }) {
            return;
        }
        let (mut seen, mut note) = (seen, note);
        if seen == Seen::Good && !self.kept[index].port_seen && !self.is_foreign(index) {
            match self.stranger(index) {
                Some(stranger) => (seen, note) = (Seen::Bad, stranger),
                None => self.kept[index].port_seen = true,
            }
        }
        self.kept[index].last_look = note;
        self.happen(index, Event::Looked(seen));
    }

    /// Who holds a port of a component that answers well and is not it. Whose holder cannot be
    /// told is not called a stranger.
    fn stranger(&self, index: usize) -> Option<String> {
        let name = self.kept[index].name();
        self.kept[index].component.ports.iter().find_map(|claim| {
            let Port::Held(holder) = port::look(claim.address.port()) else { return None };
            let owner = self.owner_of(holder.pid, holder.group);
            (owner.as_deref() != Some(name)).then(|| {
                format!(
                    "{} answers, but it is {} (pid {}), not this component",
                    claim.address, holder.name, holder.pid
                )
            })
        })
    }

    pub(super) fn on_said(&mut self, index: usize, all: Vec<Said>) {
        for said in all {
            let now = self.now();
            let spoken = &mut self.kept[index].said;
            match said {
                Said::Ready | Said::Watchdog => {
                    spoken.is_ready |= said == Said::Ready;
                    spoken.at = Some(now);
                    if spoken.is_ready {
                        self.kept[index].last_look.clear();
                        self.happen(index, Event::Looked(Seen::Good));
                    }
                }
                Said::Stopping => {
                    let name = self.kept[index].component.name.clone();
                    self.journal.add(name.as_str(), "leaving", "it said that it is about to end");
                    self.happen(index, Event::Leaving);
                }
                Said::Extend(time) => self.happen(index, Event::Extend(time)),
                Said::Status(status) => spoken.status = status,
            }
        }
    }

    /// What a component says of itself, when it is asked for.
    fn has_said(&mut self, index: usize) -> Seen {
        let silent = self.kept[index].said.at.map(|at| self.now() - at);
        let fault = match (silent, self.kept[index].watchdog()) {
            _ if !self.kept[index].said.is_ready => "it has not said READY=1".to_owned(),
            (Some(silent), Some(watchdog)) if silent > watchdog => {
                format!("it has not said WATCHDOG=1 for {silent:.1?}")
            }
            (Some(_) | None, Some(_) | None) => String::new(),
        };
        let seen = if fault.is_empty() { Seen::Good } else { Seen::Bad };
        self.kept[index].last_look = fault;
        seen
    }
}

/// Of which run of which component.
#[derive(Clone, Copy)]
struct Place {
    index: usize,
    run: u64,
}

impl Place {
    async fn tell(self, sender: &tokio::sync::mpsc::Sender<Occurrence>, seen: Seen, note: String) {
        let Self { index, run } = self;
        sender.send(Occurrence { index, run, news: News::Looked(seen, note) }).await.ok();
    }
}

fn start_probe(command: &Command) -> Result<(u32, std::fs::File), LookError> {
    let program = command.program.clone();
    let start = || {
        let (said, writer) = output::scratch()?;
        let child = Process::new(&command.program)
            .args(&command.arguments)
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .spawn()?;
        Ok((child.id(), said))
    };
    start().map_err(|source| LookError::Run { program, source })
}

/// Waits for the end of a probing program, within its time.
async fn exec(
    pid: u32,
    program: &str,
    mut said: std::fs::File,
    mut answer: oneshot::Receiver<(Exit, String)>,
    limit: Duration,
) -> (Seen, String) {
    let Ok(ended) = timeout(limit, &mut answer).await else {
        process::kill_group(pid); // not collected yet: nobody else can have this id
        answer.await.ok();
        return (Seen::Bad, format!("`{program}` did not end within {limit:?}"));
    };
    let (exit, how) = ended.unwrap_or((Exit::Unknown, "it was lost sight of".to_owned()));
    if exit == Exit::Code(0) {
        return (Seen::Good, String::new());
    }
    let mut text = vec![0; SAID_BYTES_MAX];
    let count = said.read(&mut text).unwrap_or(0);
    let text = String::from_utf8_lossy(&text[..count]);
    let words = text.trim();
    let colon = if words.is_empty() { "" } else { ": " };
    (Seen::Bad, format!("`{program}` ended with {how}{colon}{words}"))
}

async fn outside(probe: &Probe, deadline: Instant) -> Result<(), LookError> {
    match probe {
        Probe::Tcp { address, banner } => tcp(*address, banner, deadline).await,
        Probe::Http { target, host, path, status, body } => {
            let place = probe::place(target);
            let connected = |source| LookError::Connect { place: place.clone(), source };
            let request = probe::http_request(host, path);
            let answer = match target {
                HttpTarget::Tcp(address) => {
                    let stream =
                        within(deadline, TcpStream::connect(address)).await.map_err(connected)?;
                    within(deadline, exchange(stream, &request)).await
                }
                HttpTarget::Unix(path) => {
                    let stream =
                        within(deadline, UnixStream::connect(path)).await.map_err(connected)?;
                    within(deadline, exchange(stream, &request)).await
                }
            };
            let answer =
                answer.map_err(|source| LookError::Exchange { place: place.clone(), source })?;
            probe::judge_http(&answer, target, *status, body)
        }
        Probe::Alive | Probe::Exec(_) | Probe::Notify { .. } => Ok(()),
    }
}

/// What is not done by the deadline has failed.
async fn within<T>(deadline: Instant, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn tcp(address: SocketAddr, banner: &str, deadline: Instant) -> Result<(), LookError> {
    let place = address.to_string();
    let mut stream = within(deadline, TcpStream::connect(address))
        .await
        .map_err(|source| LookError::Connect { place: place.clone(), source })?;
    let mut found = vec![0; banner.len()];
    within(deadline, stream.read_exact(&mut found))
        .await
        .map_err(|source| LookError::Exchange { place, source })?;
    probe::judge_banner(address, &found, banner)
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    request: &str,
) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(1024);
    loop {
        match stream.read_buf(&mut answer).await? {
            0 if answer.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => return Ok(answer),
            _count if probe::is_complete(&answer) => return Ok(answer),
            _count => {}
        }
    }
}
