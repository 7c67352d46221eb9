//! `guest`: the virtual machine, for those who want to see it.

use std::os::unix::process::CommandExt as _;
use std::process::{self, ExitCode};

use sanctum_guest::image::Image;
use sanctum_guest::{self as driver, Follow, MachineStatus, RunSettings, image, instance, lima};
use sanctum_model::manifest::Driver;
use sanctum_model::manifest::{AcceleratorChoice, ToolProfile};
use sanctum_model::{ByteSize, Command};

use super::{Outcome, block_on, orders, print_json};
use crate::arguments::{self, Guest, GuestRun};
use crate::failure::Failure;
use crate::output::Output;
use crate::place::Place;

pub(crate) fn run(place: &Place, output: &Output, command: Guest) -> Outcome {
    match command {
        Guest::Build => {
            let image = build(place, output)?;
            output.data(image.directory.display());
            Ok(ExitCode::SUCCESS)
        }
        Guest::Start => orders::start(place, output, "guest"),
        Guest::Stop => orders::stop(place, output, "guest"),
        Guest::Ssh { command } => {
            let port = place.load(output)?.manifest.guest().ssh_port;
            Err(become_program(&driver::ssh_command(&place.guest(), port, &command)))
        }
        Guest::Console { follow } => {
            let follow = if follow { Follow::Yes } else { Follow::No };
            driver::console(&place.guest(), follow, &mut std::io::stdout())
                .map_err(|error| failure(&error))?;
            Ok(ExitCode::SUCCESS)
        }
        Guest::Status(options) => status(place, output, options.json),
        Guest::Reset => reset(place, output),
        Guest::Run(options) => run_here(place, &options),
        Guest::Follow { unit, ssh_port } => {
            let paths = place.guest();
            block_on(async {
                driver::follow_unit(&paths, ssh_port, &unit).await.map_err(|error| failure(&error))
            })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Whether Lima runs the guest, and not QEMU.
pub(crate) fn is_lima(driver: Driver) -> bool {
    match driver {
        Driver::Lima => true,
        Driver::Qemu => false,
        Driver::Auto => cfg!(target_os = "macos"),
    }
}

/// The same by the manifest, or by this machine while there is no good one.
fn runs_in_lima(place: &Place, output: &Output) -> bool {
    let driver = place.load(output).map_or(Driver::Auto, |loaded| loaded.manifest.guest().driver);
    is_lima(driver)
}

/// Finds the image that the guest starts from, or builds it.
pub(crate) fn build(place: &Place, output: &Output) -> Result<Image, Failure> {
    if let Some(image) = find_image(place)? {
        return Ok(image);
    }
    let arch = driver::arch().map_err(|error| failure(&error))?;
    let mut step = output.step("guest image");
    let image = image::ensure(place.cache(), arch, &mut |progress| step.progress(progress))
        .map_err(|error| failure(&error))?;
    step.done(format!("built: {}", image.key));
    Ok(image)
}

/// The image that the instance lies over, or that a new one would: an instance stays with its
/// image, since the agent's memory is on its disk.
pub(crate) fn find_image(place: &Place) -> Result<Option<Image>, Failure> {
    let kept = instance::image(&place.guest(), place.cache()).map_err(|error| failure(&error))?;
    let arch = driver::arch().map_err(|error| failure(&error))?;
    Ok(kept.or_else(|| image::find(place.cache(), arch)))
}

/// A failure of the guest plane's hands, with what to do about it.
pub(crate) fn failure(error: &driver::GuestError) -> Failure {
    let failure = Failure::from_error(error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn run_here(place: &Place, options: &GuestRun) -> Outcome {
    let Some(image) = find_image(place)? else {
        return Err(
            Failure::new("the guest's image is not built").hint("`sanctum guest build` builds it")
        );
    };
    let paths = place.guest();
    let settings = instance::InstanceSettings {
        ssh_port: options.ssh_port,
        model: &options.model,
        tools: match options.tools {
            arguments::Tools::Minimal => ToolProfile::Minimal,
            arguments::Tools::Full => ToolProfile::Full,
        },
        context_tokens: options.context_tokens,
        answer_tokens_max: options.answer_tokens_max,
    };
    let driver = match options.driver {
        arguments::Driver::Auto => Driver::Auto,
        arguments::Driver::Qemu => Driver::Qemu,
        arguments::Driver::Lima => Driver::Lima,
    };
    let secrets = place.secrets();
    if is_lima(driver) {
        let (cpus, memory_mib) = (options.cpus, options.memory_mib);
        lima::prepare(&paths, &image, &secrets, &settings, cpus, memory_mib)
            .map_err(|error| failure(&error))?;
        block_on(async {
            lima::run(lima::LIMACTL, &paths).await.map_err(|error| failure(&error))
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    instance::prepare(&paths, &image, &secrets, &settings).map_err(|error| failure(&error))?;
    let settings = RunSettings {
        accelerator: match options.accelerator {
            arguments::Accelerator::Auto => AcceleratorChoice::Auto,
            arguments::Accelerator::Kvm => AcceleratorChoice::Kvm,
            arguments::Accelerator::Tcg => AcceleratorChoice::Tcg,
        },
        cpus: options.cpus,
        memory_mib: options.memory_mib,
        ssh_port: options.ssh_port,
        stop_max: None,
    };
    block_on(async {
        driver::run(&paths, &image, place.cache(), &settings).await.map_err(|error| failure(&error))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn status(place: &Place, output: &Output, json: bool) -> Outcome {
    let in_lima = runs_in_lima(place, output);
    let status = if in_lima {
        let seen = block_on(async { Ok(lima::state(lima::LIMACTL).await) })?;
        driver::status_in_lima(&place.guest(), place.cache(), seen)
    } else {
        driver::status(&place.guest(), place.cache())
    };
    let status = status.map_err(|error| failure(&error))?;
    if json {
        return print_json(output, &status);
    }
    let machine = match &status.machine {
        MachineStatus::Stopped => "stopped".to_owned(),
        MachineStatus::Running { run, machine } => format!(
            "{machine}, pid {}, on {} ({}), sshd at 127.0.0.1:{}",
            run.pid, run.accelerator, run.reason, run.ssh_port
        ),
        MachineStatus::Stuck { run, why } => format!("stuck, pid {}: {why}", run.pid),
        MachineStatus::InLima { ssh_port } => {
            format!("running in Lima, sshd at 127.0.0.1:{ssh_port}")
        }
        MachineStatus::Unclear { why } => format!("unclear: {why}"),
    };
    output.data(format!("machine   {machine}"));
    output.data(match &status.image {
        Some(image) => format!(
            "image     {}: Debian {}, Linux {}, Node.js {}, OpenClaw {}",
            image.key, image.suite, image.kernel, image.node, image.openclaw
        ),
        None => "image     not built".to_owned(),
    });
    output.data(match &status.instance {
        Some(_) => format!(
            "disk      {} in `{}`",
            ByteSize::from_bytes(status.disk_bytes),
            place.guest().disk().display()
        ),
        None if in_lima => format!("disk      Lima's, of its instance `{}`", lima::INSTANCE),
        None => "disk      none yet".to_owned(),
    });
    Ok(ExitCode::SUCCESS)
}

fn reset(place: &Place, output: &Output) -> Outcome {
    if runs_in_lima(place, output) {
        return Err(Failure::new("cannot set the guest's disk aside: it is Lima's").hint(format!(
            "`limactl delete {}` deletes it, and the agent's memory with it",
            lima::INSTANCE
        )));
    }
    match instance::reset(&place.guest()).map_err(|error| failure(&error))? {
        Some(aside) => output
            .say(format!("the old disk is kept as `{}`; the next start is fresh", aside.display())),
        None => output.say("there is no disk to set aside"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Becomes another program; comes back only when that cannot be.
fn become_program(command: &Command) -> Failure {
    let error = process::Command::new(&command.program)
        .args(&command.arguments)
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .exec();
    Failure::new(format!("cannot run `{}`: {error}", command.program))
}
