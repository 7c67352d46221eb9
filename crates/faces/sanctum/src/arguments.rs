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
  3   `status`: something is on its way up or down
  4   `status`: something is unhealthy or was restarted and is not back
  5   `status`: something is given up or not running that should be
  69  castellan is not running
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
    /// Stop everything in order.
    Down,
    /// Show every component, the worst first.
    Status(Json),
    /// Ask the agent, and stream its answer.
    Ask(Ask),
    /// Show what components wrote.
    Logs(Logs),
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
    /// How many lines from the end.
    #[arg(short = 'n', long, default_value_t = 40)]
    pub(crate) lines: usize,
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
