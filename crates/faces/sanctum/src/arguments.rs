//! What may be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// What every command's help ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0   done, or everything is as wanted
  1   failed; the reason is on standard error
  2   the command line cannot be understood
  3   `status`, `explain`: it is on its way up or down
  4   `status`, `explain`: it is unhealthy, or crashed and is not back; `sweep`: found so
  5   `status`, `explain`: it is given up, or has no room, or is stopped and should run;
      `sweep`: found so
  69  castellan is not running
  70  castellan listens and does not answer in time: whether it works is unknown
  78  the manifest or a secret cannot be used

Environment:
  SANCTUM_HOME   the state directory (~/.sanctum)
  SANCTUM_CACHE  images and downloads ($XDG_CACHE_HOME/sanctum, else ~/.cache/sanctum)
  NO_COLOR       no colours, if set and not empty";

/// Runs an agent you do not fully trust beside what you care about.
#[derive(Debug, Parser)]
#[command(name = "sanctum", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a manifest, asking at most three questions.
    Init(Init),
    /// Show what `up` would do. Touches nothing.
    Plan(Json),
    /// Build what is missing, start everything in order, and ask a first question.
    Up(Up),
    /// Put a changed manifest in force: only what differs is touched.
    Apply(Apply),
    /// Stop everything in order.
    Down,
    /// Show what is wrong, each root once, and every component, the worst first.
    Status(Status),
    /// Say why a component is not ready, from the root to it, and what would help.
    Explain(Explain),
    /// Ask the agent, and stream its answer.
    Ask(Ask),
    /// Show what components wrote.
    Logs(Logs),
    /// Show what happened: the event journal. Castellan need not run.
    Chitti(Chitti),
    /// Start a component, and what it needs.
    Start(Named),
    /// Stop a component, and what needs it.
    Stop(Named),
    /// Stop a component and start it again.
    Restart(Named),
    /// Build, run and enter the virtual machine.
    #[command(subcommand)]
    Guest(Guest),
    /// Get and list local models.
    #[command(subcommand)]
    Model(Model),
    /// Check the machine and every hop to the answer. Touches nothing.
    Doctor(Json),
    /// Look at everything from outside, once, without believing castellan.
    Sweep(Sweep),
    /// Take one look, for castellan: ends with 0 if it shows what it should.
    #[command(subcommand, hide = true)]
    Probe(Probe),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual pages.
    #[command(hide = true)]
    ManPages {
        /// Where to.
        directory: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Json {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// Ask nothing: a small local model, and a guest of the default size.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Go on where an earlier run stopped, with the answers it had got.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) resume: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// Do not ask the agent a first question at the end.
    #[arg(long)]
    pub(crate) no_ask: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Apply {
    /// The manifest; the state directory's, as it was edited, unless told.
    pub(crate) file: Option<PathBuf>,
    /// Do not ask, also where something is stopped or restarted.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Show what would be done, and do nothing.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Status {
    /// Show those too that are down only because something they need is.
    #[arg(long, conflicts_with = "json")]
    pub(crate) all: bool,
    /// Print JSON: the snapshot as castellan gives it.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// The component's name, as `sanctum status` shows it.
    pub(crate) component: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Chitti {
    /// Only what happened since: 10m, 2h, 3d, a time (08:30) or a date and time (2026-01-31T08:30).
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Only what happened before.
    #[arg(long, value_name = "WHEN", conflicts_with = "follow")]
    pub(crate) until: Option<String>,
    /// Only of this component; may be given several times.
    #[arg(short, long = "component", value_name = "NAME")]
    pub(crate) components: Vec<String>,
    /// Only this kind of event: spawned, exited, phase, …; may be given several times.
    #[arg(short, long = "kind", value_name = "WORD")]
    pub(crate) kinds: Vec<String>,
    /// Go on showing what happens.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many events from the end; 40, or with --since all, unless told.
    #[arg(short = 'n', long)]
    pub(crate) lines: Option<usize>,
    /// Print each event as it is written, one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Sweep {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Seconds that all of it may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) time: u64,
    /// Only what `[component.NAME]` declares, as a castellan that was started so keeps it.
    #[arg(long, hide = true)]
    pub(crate) only_declared: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Probe {
    /// Ask a model route for one token, through proxyd.
    Model {
        /// The route.
        route: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ask {
    /// The question; without it, or with `-`, standard input is read.
    #[arg(value_name = "QUESTION")]
    pub(crate) question: Vec<String>,
    /// The agent that is asked, by its name in OpenClaw.
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Print the whole answer as one JSON object instead of streaming it.
    #[arg(long)]
    pub(crate) json: bool,
    /// Seconds to wait for the first word. Under emulation the first turn takes minutes.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) patience: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    /// The components, or `castellan`; all of them if none is named.
    pub(crate) components: Vec<String>,
    /// Go on showing what is written.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many lines from the end, older files included; 40, or with --since all, unless told.
    #[arg(short = 'n', long)]
    pub(crate) lines: Option<usize>,
    /// Only lines since: 10m, 2h, 3d, a time or a date and time. What has no time of its own in
    /// it counts as the line before it.
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// The component's name, as `sanctum status` shows it.
    pub(crate) component: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Guest {
    /// Build the image the guest starts from, if it is not there.
    Build,
    /// Start the guest under castellan.
    Start,
    /// Shut the guest down in order, and what needs it.
    Stop,
    /// Open a root shell in the guest, or run a command there.
    Ssh {
        /// The command; a shell without it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Show what the guest wrote to its serial console.
    Console {
        /// Go on showing what is written.
        #[arg(short, long)]
        follow: bool,
    },
    /// Show image, instance and machine.
    Status(Json),
    /// Set the guest's disk aside, with the agent's memory on it, so that the next start is fresh.
    Reset,
    /// Run the guest in the foreground: what castellan starts.
    #[command(hide = true)]
    Run(GuestRun),
    /// Stand for a unit of the guest: what castellan starts.
    #[command(hide = true)]
    Follow {
        /// The unit.
        unit: String,
        /// The host port of the guest's sshd.
        #[arg(long)]
        ssh_port: u16,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct GuestRun {
    #[arg(long)]
    pub(crate) driver: Driver,
    #[arg(long)]
    pub(crate) accelerator: Accelerator,
    #[arg(long)]
    pub(crate) tools: Tools,
    #[arg(long)]
    pub(crate) cpus: u32,
    #[arg(long)]
    pub(crate) memory_mib: u32,
    #[arg(long)]
    pub(crate) ssh_port: u16,
    #[arg(long)]
    pub(crate) model: String,
    #[arg(long)]
    pub(crate) context_tokens: u32,
    #[arg(long)]
    pub(crate) answer_tokens_max: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Driver {
    Auto,
    Qemu,
    Lima,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Accelerator {
    Auto,
    Kvm,
    Tcg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Tools {
    Minimal,
    Full,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Model {
    /// Get a model into the store: a name of the catalogue, hf:ORG/REPO/FILE, or a path.
    Pull {
        /// What to get.
        source: String,
        /// The name it gets in the store; the catalogue's, or the file's, unless told.
        #[arg(long)]
        name: Option<String>,
    },
    /// List the store and the catalogue.
    List(Json),
}
