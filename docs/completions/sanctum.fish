# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sanctum_global_optspecs
    string join \n h/help V/version
end

function __fish_sanctum_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sanctum_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sanctum_using_subcommand
    set -l cmd (__fish_sanctum_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sanctum -n "__fish_sanctum_needs_command" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_needs_command" -s V -l version -d 'Print version'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "init" -d 'Write a manifest, asking at most three questions'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "plan" -d 'Show what `up` would do. Touches nothing'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "up" -d 'Build what is missing, start everything in order, and ask a first question'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "apply" -d 'Put a changed manifest in force: only what differs is touched'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "down" -d 'Stop everything in order'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "status" -d 'Show what is wrong, each root once, and every component, the worst first'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "explain" -d 'Say why a component is not ready, from the root to it, and what would help'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "ask" -d 'Ask the agent, and stream its answer'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "logs" -d 'Show what components wrote'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "chitti" -d 'Show what happened: the event journal. Castellan need not run'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "start" -d 'Start a component, and what it needs'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "stop" -d 'Stop a component, and what needs it'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "restart" -d 'Stop a component and start it again'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "guest" -d 'Build, run and enter the virtual machine'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "model" -d 'Get and list local models'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "doctor" -d 'Check the machine and every hop to the answer. Touches nothing'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "sweep" -d 'Look at everything from outside, once, without believing castellan'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "probe" -d 'Take one look, for castellan: ends with 0 if it shows what it should'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "man-pages" -d 'Write the manual pages'
complete -c sanctum -n "__fish_sanctum_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sanctum -n "__fish_sanctum_using_subcommand init" -l yes -d 'Ask nothing: a small local model, and a guest of the default size'
complete -c sanctum -n "__fish_sanctum_using_subcommand init" -l resume -d 'Go on where an earlier run stopped, with the answers it had got'
complete -c sanctum -n "__fish_sanctum_using_subcommand init" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand plan" -l json -d 'Print JSON'
complete -c sanctum -n "__fish_sanctum_using_subcommand plan" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand up" -l no-ask -d 'Do not ask the agent a first question at the end'
complete -c sanctum -n "__fish_sanctum_using_subcommand up" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand apply" -l yes -d 'Do not ask, also where something is stopped or restarted'
complete -c sanctum -n "__fish_sanctum_using_subcommand apply" -l dry-run -d 'Show what would be done, and do nothing'
complete -c sanctum -n "__fish_sanctum_using_subcommand apply" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand down" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand status" -l all -d 'Show those too that are down only because something they need is'
complete -c sanctum -n "__fish_sanctum_using_subcommand status" -l json -d 'Print JSON: the snapshot as castellan gives it'
complete -c sanctum -n "__fish_sanctum_using_subcommand status" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand explain" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand ask" -l agent -d 'The agent that is asked, by its name in OpenClaw' -r
complete -c sanctum -n "__fish_sanctum_using_subcommand ask" -l patience -d 'Seconds to wait for the first word. Under emulation the first turn takes minutes' -r
complete -c sanctum -n "__fish_sanctum_using_subcommand ask" -l json -d 'Print the whole answer as one JSON object instead of streaming it'
complete -c sanctum -n "__fish_sanctum_using_subcommand ask" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand logs" -s n -l lines -d 'How many lines from the end, older files included; 40, or with --since all, unless told' -r
complete -c sanctum -n "__fish_sanctum_using_subcommand logs" -l since -d 'Only lines since: 10m, 2h, 3d, a time or a date and time. What has no time of its own in it counts as the line before it' -r
complete -c sanctum -n "__fish_sanctum_using_subcommand logs" -s f -l follow -d 'Go on showing what is written'
complete -c sanctum -n "__fish_sanctum_using_subcommand logs" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand chitti" -l since -d 'Only what happened since: 10m, 2h, 3d, a time (08:30) or a date and time (2026-01-31T08:30)' -r
complete -c sanctum -n "__fish_sanctum_using_subcommand chitti" -l until -d 'Only what happened before' -r
complete -c sanctum -n "__fish_sanctum_using_subcommand chitti" -s c -l component -d 'Only of this component; may be given several times' -r
complete -c sanctum -n "__fish_sanctum_using_subcommand chitti" -s k -l kind -d 'Only this kind of event: spawned, exited, phase, …; may be given several times' -r
complete -c sanctum -n "__fish_sanctum_using_subcommand chitti" -s n -l lines -d 'How many events from the end; 40, or with --since all, unless told' -r
complete -c sanctum -n "__fish_sanctum_using_subcommand chitti" -s f -l follow -d 'Go on showing what happens'
complete -c sanctum -n "__fish_sanctum_using_subcommand chitti" -l json -d 'Print each event as it is written, one JSON object a line'
complete -c sanctum -n "__fish_sanctum_using_subcommand chitti" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand start" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand stop" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand restart" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and not __fish_seen_subcommand_from build start stop ssh console status reset run follow help" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and not __fish_seen_subcommand_from build start stop ssh console status reset run follow help" -f -a "build" -d 'Build the image the guest starts from, if it is not there'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and not __fish_seen_subcommand_from build start stop ssh console status reset run follow help" -f -a "start" -d 'Start the guest under castellan'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and not __fish_seen_subcommand_from build start stop ssh console status reset run follow help" -f -a "stop" -d 'Shut the guest down in order, and what needs it'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and not __fish_seen_subcommand_from build start stop ssh console status reset run follow help" -f -a "ssh" -d 'Open a root shell in the guest, or run a command there'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and not __fish_seen_subcommand_from build start stop ssh console status reset run follow help" -f -a "console" -d 'Show what the guest wrote to its serial console'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and not __fish_seen_subcommand_from build start stop ssh console status reset run follow help" -f -a "status" -d 'Show image, instance and machine'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and not __fish_seen_subcommand_from build start stop ssh console status reset run follow help" -f -a "reset" -d 'Set the guest\'s disk aside, with the agent\'s memory on it, so that the next start is fresh'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and not __fish_seen_subcommand_from build start stop ssh console status reset run follow help" -f -a "run" -d 'Run the guest in the foreground: what castellan starts'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and not __fish_seen_subcommand_from build start stop ssh console status reset run follow help" -f -a "follow" -d 'Stand for a unit of the guest: what castellan starts'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and not __fish_seen_subcommand_from build start stop ssh console status reset run follow help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from build" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from ssh" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from console" -s f -l follow -d 'Go on showing what is written'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from console" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from status" -l json -d 'Print JSON'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from run" -l driver -r -f -a "auto\t''
qemu\t''
lima\t''"
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from run" -l accelerator -r -f -a "auto\t''
kvm\t''
tcg\t''"
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from run" -l tools -r -f -a "minimal\t''
full\t''"
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from run" -l cpus -r
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from run" -l memory-mib -r
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from run" -l ssh-port -r
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from run" -l model -r
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from run" -l context-tokens -r
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from run" -l answer-tokens-max -r
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from follow" -l ssh-port -d 'The host port of the guest\'s sshd' -r
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from follow" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from help" -f -a "build" -d 'Build the image the guest starts from, if it is not there'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from help" -f -a "start" -d 'Start the guest under castellan'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from help" -f -a "stop" -d 'Shut the guest down in order, and what needs it'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from help" -f -a "ssh" -d 'Open a root shell in the guest, or run a command there'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from help" -f -a "console" -d 'Show what the guest wrote to its serial console'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show image, instance and machine'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from help" -f -a "reset" -d 'Set the guest\'s disk aside, with the agent\'s memory on it, so that the next start is fresh'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from help" -f -a "run" -d 'Run the guest in the foreground: what castellan starts'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from help" -f -a "follow" -d 'Stand for a unit of the guest: what castellan starts'
complete -c sanctum -n "__fish_sanctum_using_subcommand guest; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sanctum -n "__fish_sanctum_using_subcommand model; and not __fish_seen_subcommand_from pull list help" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand model; and not __fish_seen_subcommand_from pull list help" -f -a "pull" -d 'Get a model into the store: a name of the catalogue, hf:ORG/REPO/FILE, or a path'
complete -c sanctum -n "__fish_sanctum_using_subcommand model; and not __fish_seen_subcommand_from pull list help" -f -a "list" -d 'List the store and the catalogue'
complete -c sanctum -n "__fish_sanctum_using_subcommand model; and not __fish_seen_subcommand_from pull list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sanctum -n "__fish_sanctum_using_subcommand model; and __fish_seen_subcommand_from pull" -l name -d 'The name it gets in the store; the catalogue\'s, or the file\'s, unless told' -r
complete -c sanctum -n "__fish_sanctum_using_subcommand model; and __fish_seen_subcommand_from pull" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand model; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c sanctum -n "__fish_sanctum_using_subcommand model; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "pull" -d 'Get a model into the store: a name of the catalogue, hf:ORG/REPO/FILE, or a path'
complete -c sanctum -n "__fish_sanctum_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the store and the catalogue'
complete -c sanctum -n "__fish_sanctum_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sanctum -n "__fish_sanctum_using_subcommand doctor" -l json -d 'Print JSON'
complete -c sanctum -n "__fish_sanctum_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand sweep" -l time -d 'Seconds that all of it may take' -r
complete -c sanctum -n "__fish_sanctum_using_subcommand sweep" -l json -d 'Print JSON'
complete -c sanctum -n "__fish_sanctum_using_subcommand sweep" -l only-declared -d 'Only what `[component.NAME]` declares, as a castellan that was started so keeps it'
complete -c sanctum -n "__fish_sanctum_using_subcommand sweep" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand probe; and not __fish_seen_subcommand_from model help" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand probe; and not __fish_seen_subcommand_from model help" -f -a "model" -d 'Ask a model route for one token, through proxyd'
complete -c sanctum -n "__fish_sanctum_using_subcommand probe; and not __fish_seen_subcommand_from model help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sanctum -n "__fish_sanctum_using_subcommand probe; and __fish_seen_subcommand_from model" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "model" -d 'Ask a model route for one token, through proxyd'
complete -c sanctum -n "__fish_sanctum_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sanctum -n "__fish_sanctum_using_subcommand completions" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand man-pages" -s h -l help -d 'Print help'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "init" -d 'Write a manifest, asking at most three questions'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "plan" -d 'Show what `up` would do. Touches nothing'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "up" -d 'Build what is missing, start everything in order, and ask a first question'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "apply" -d 'Put a changed manifest in force: only what differs is touched'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "down" -d 'Stop everything in order'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "status" -d 'Show what is wrong, each root once, and every component, the worst first'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "explain" -d 'Say why a component is not ready, from the root to it, and what would help'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "ask" -d 'Ask the agent, and stream its answer'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "logs" -d 'Show what components wrote'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "chitti" -d 'Show what happened: the event journal. Castellan need not run'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "start" -d 'Start a component, and what it needs'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "stop" -d 'Stop a component, and what needs it'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "restart" -d 'Stop a component and start it again'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "guest" -d 'Build, run and enter the virtual machine'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "model" -d 'Get and list local models'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "doctor" -d 'Check the machine and every hop to the answer. Touches nothing'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "sweep" -d 'Look at everything from outside, once, without believing castellan'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "probe" -d 'Take one look, for castellan: ends with 0 if it shows what it should'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "completions" -d 'Print a completion script for a shell'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "man-pages" -d 'Write the manual pages'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and not __fish_seen_subcommand_from init plan up apply down status explain ask logs chitti start stop restart guest model doctor sweep probe completions man-pages help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and __fish_seen_subcommand_from guest" -f -a "build" -d 'Build the image the guest starts from, if it is not there'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and __fish_seen_subcommand_from guest" -f -a "start" -d 'Start the guest under castellan'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and __fish_seen_subcommand_from guest" -f -a "stop" -d 'Shut the guest down in order, and what needs it'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and __fish_seen_subcommand_from guest" -f -a "ssh" -d 'Open a root shell in the guest, or run a command there'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and __fish_seen_subcommand_from guest" -f -a "console" -d 'Show what the guest wrote to its serial console'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and __fish_seen_subcommand_from guest" -f -a "status" -d 'Show image, instance and machine'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and __fish_seen_subcommand_from guest" -f -a "reset" -d 'Set the guest\'s disk aside, with the agent\'s memory on it, so that the next start is fresh'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and __fish_seen_subcommand_from guest" -f -a "run" -d 'Run the guest in the foreground: what castellan starts'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and __fish_seen_subcommand_from guest" -f -a "follow" -d 'Stand for a unit of the guest: what castellan starts'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "pull" -d 'Get a model into the store: a name of the catalogue, hf:ORG/REPO/FILE, or a path'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "list" -d 'List the store and the catalogue'
complete -c sanctum -n "__fish_sanctum_using_subcommand help; and __fish_seen_subcommand_from probe" -f -a "model" -d 'Ask a model route for one token, through proxyd'
