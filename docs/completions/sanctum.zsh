#compdef sanctum

autoload -U is-at-least

_sanctum() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_sanctum_commands" \
"*::: :->sanctum" \
&& ret=0
    case $state in
    (sanctum)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sanctum-command-$line[1]:"
        case $line[1] in
            (init)
_arguments "${_arguments_options[@]}" : \
'--yes[Ask nothing\: a small local model, and a guest of the default size]' \
'(--yes)--resume[Go on where an earlier run stopped, with the answers it had got]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(plan)
_arguments "${_arguments_options[@]}" : \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(up)
_arguments "${_arguments_options[@]}" : \
'--no-ask[Do not ask the agent a first question at the end]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(apply)
_arguments "${_arguments_options[@]}" : \
'--yes[Do not ask, also where something is stopped or restarted]' \
'(--yes)--dry-run[Show what would be done, and do nothing]' \
'-h[Print help]' \
'--help[Print help]' \
'::file -- The manifest; the state directory'\''s, as it was edited, unless told:_files' \
&& ret=0
;;
(down)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
'(--json)--all[Show those too that are down only because something they need is]' \
'--json[Print JSON\: the snapshot as castellan gives it]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':component -- The component'\''s name, as `sanctum status` shows it:_default' \
&& ret=0
;;
(ask)
_arguments "${_arguments_options[@]}" : \
'--agent=[The agent that is asked, by its name in OpenClaw]:NAME:_default' \
'--patience=[Seconds to wait for the first word. Under emulation the first turn takes minutes]:SECONDS:_default' \
'--json[Print the whole answer as one JSON object instead of streaming it]' \
'-h[Print help]' \
'--help[Print help]' \
'*::question -- The question; without it, or with `-`, standard input is read:_default' \
&& ret=0
;;
(logs)
_arguments "${_arguments_options[@]}" : \
'-n+[How many lines from the end, older files included; 40, or with --since all, unless told]:LINES:_default' \
'--lines=[How many lines from the end, older files included; 40, or with --since all, unless told]:LINES:_default' \
'--since=[Only lines since\: 10m, 2h, 3d, a time or a date and time. What has no time of its own in it counts as the line before it]:WHEN:_default' \
'-f[Go on showing what is written]' \
'--follow[Go on showing what is written]' \
'-h[Print help]' \
'--help[Print help]' \
'*::components -- The components, or `castellan`; all of them if none is named:_default' \
&& ret=0
;;
(chitti)
_arguments "${_arguments_options[@]}" : \
'--since=[Only what happened since\: 10m, 2h, 3d, a time (08\:30) or a date and time (2026-01-31T08\:30)]:WHEN:_default' \
'(-f --follow)--until=[Only what happened before]:WHEN:_default' \
'*-c+[Only of this component; may be given several times]:NAME:_default' \
'*--component=[Only of this component; may be given several times]:NAME:_default' \
'*-k+[Only this kind of event\: spawned, exited, phase, …; may be given several times]:WORD:_default' \
'*--kind=[Only this kind of event\: spawned, exited, phase, …; may be given several times]:WORD:_default' \
'-n+[How many events from the end; 40, or with --since all, unless told]:LINES:_default' \
'--lines=[How many events from the end; 40, or with --since all, unless told]:LINES:_default' \
'-f[Go on showing what happens]' \
'--follow[Go on showing what happens]' \
'--json[Print each event as it is written, one JSON object a line]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(start)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':component -- The component'\''s name, as `sanctum status` shows it:_default' \
&& ret=0
;;
(stop)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':component -- The component'\''s name, as `sanctum status` shows it:_default' \
&& ret=0
;;
(restart)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':component -- The component'\''s name, as `sanctum status` shows it:_default' \
&& ret=0
;;
(guest)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
":: :_sanctum__subcmd__guest_commands" \
"*::: :->guest" \
&& ret=0

    case $state in
    (guest)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sanctum-guest-command-$line[1]:"
        case $line[1] in
            (build)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(start)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(stop)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(ssh)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
'*::command -- The command; a shell without it:_default' \
&& ret=0
;;
(console)
_arguments "${_arguments_options[@]}" : \
'-f[Go on showing what is written]' \
'--follow[Go on showing what is written]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(reset)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(run)
_arguments "${_arguments_options[@]}" : \
'--driver=[]:DRIVER:(auto qemu lima)' \
'--accelerator=[]:ACCELERATOR:(auto kvm tcg)' \
'--tools=[]:TOOLS:(minimal full)' \
'--cpus=[]:CPUS:_default' \
'--memory-mib=[]:MEMORY_MIB:_default' \
'--ssh-port=[]:SSH_PORT:_default' \
'--model=[]:MODEL:_default' \
'--context-tokens=[]:CONTEXT_TOKENS:_default' \
'--answer-tokens-max=[]:ANSWER_TOKENS_MAX:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(follow)
_arguments "${_arguments_options[@]}" : \
'--ssh-port=[The host port of the guest'\''s sshd]:SSH_PORT:_default' \
'-h[Print help]' \
'--help[Print help]' \
':unit -- The unit:_default' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_sanctum__subcmd__guest__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sanctum-guest-help-command-$line[1]:"
        case $line[1] in
            (build)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(start)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(stop)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(ssh)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(console)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(reset)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(run)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(follow)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(model)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
":: :_sanctum__subcmd__model_commands" \
"*::: :->model" \
&& ret=0

    case $state in
    (model)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sanctum-model-command-$line[1]:"
        case $line[1] in
            (pull)
_arguments "${_arguments_options[@]}" : \
'--name=[The name it gets in the store; the catalogue'\''s, or the file'\''s, unless told]:NAME:_default' \
'-h[Print help]' \
'--help[Print help]' \
':source -- What to get:_default' \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_sanctum__subcmd__model__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sanctum-model-help-command-$line[1]:"
        case $line[1] in
            (pull)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(doctor)
_arguments "${_arguments_options[@]}" : \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(sweep)
_arguments "${_arguments_options[@]}" : \
'--time=[Seconds that all of it may take]:SECONDS:_default' \
'--json[Print JSON]' \
'--only-declared[Only what \`\[component.NAME\]\` declares, as a castellan that was started so keeps it]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(probe)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
":: :_sanctum__subcmd__probe_commands" \
"*::: :->probe" \
&& ret=0

    case $state in
    (probe)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sanctum-probe-command-$line[1]:"
        case $line[1] in
            (model)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':route -- The route:_default' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_sanctum__subcmd__probe__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sanctum-probe-help-command-$line[1]:"
        case $line[1] in
            (model)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(completions)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':shell -- The shell:(bash elvish fish powershell zsh)' \
&& ret=0
;;
(man-pages)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':directory -- Where to:_files' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_sanctum__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sanctum-help-command-$line[1]:"
        case $line[1] in
            (init)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(plan)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(up)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(apply)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(down)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(ask)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(logs)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(chitti)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(start)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(stop)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(restart)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(guest)
_arguments "${_arguments_options[@]}" : \
":: :_sanctum__subcmd__help__subcmd__guest_commands" \
"*::: :->guest" \
&& ret=0

    case $state in
    (guest)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sanctum-help-guest-command-$line[1]:"
        case $line[1] in
            (build)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(start)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(stop)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(ssh)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(console)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(reset)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(run)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(follow)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(model)
_arguments "${_arguments_options[@]}" : \
":: :_sanctum__subcmd__help__subcmd__model_commands" \
"*::: :->model" \
&& ret=0

    case $state in
    (model)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sanctum-help-model-command-$line[1]:"
        case $line[1] in
            (pull)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(doctor)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(sweep)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(probe)
_arguments "${_arguments_options[@]}" : \
":: :_sanctum__subcmd__help__subcmd__probe_commands" \
"*::: :->probe" \
&& ret=0

    case $state in
    (probe)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sanctum-help-probe-command-$line[1]:"
        case $line[1] in
            (model)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(completions)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(man-pages)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
}

(( $+functions[_sanctum_commands] )) ||
_sanctum_commands() {
    local commands; commands=(
'init:Write a manifest, asking at most three questions' \
'plan:Show what \`up\` would do. Touches nothing' \
'up:Build what is missing, start everything in order, and ask a first question' \
'apply:Put a changed manifest in force\: only what differs is touched' \
'down:Stop everything in order' \
'status:Show what is wrong, each root once, and every component, the worst first' \
'explain:Say why a component is not ready, from the root to it, and what would help' \
'ask:Ask the agent, and stream its answer' \
'logs:Show what components wrote' \
'chitti:Show what happened\: the event journal. Castellan need not run' \
'start:Start a component, and what it needs' \
'stop:Stop a component, and what needs it' \
'restart:Stop a component and start it again' \
'guest:Build, run and enter the virtual machine' \
'model:Get and list local models' \
'doctor:Check the machine and every hop to the answer. Touches nothing' \
'sweep:Look at everything from outside, once, without believing castellan' \
'probe:Take one look, for castellan\: ends with 0 if it shows what it should' \
'completions:Print a completion script for a shell' \
'man-pages:Write the manual pages' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'sanctum commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__apply_commands] )) ||
_sanctum__subcmd__apply_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum apply commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__ask_commands] )) ||
_sanctum__subcmd__ask_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum ask commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__chitti_commands] )) ||
_sanctum__subcmd__chitti_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum chitti commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__completions_commands] )) ||
_sanctum__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum completions commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__doctor_commands] )) ||
_sanctum__subcmd__doctor_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum doctor commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__down_commands] )) ||
_sanctum__subcmd__down_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum down commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__explain_commands] )) ||
_sanctum__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum explain commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest_commands] )) ||
_sanctum__subcmd__guest_commands() {
    local commands; commands=(
'build:Build the image the guest starts from, if it is not there' \
'start:Start the guest under castellan' \
'stop:Shut the guest down in order, and what needs it' \
'ssh:Open a root shell in the guest, or run a command there' \
'console:Show what the guest wrote to its serial console' \
'status:Show image, instance and machine' \
'reset:Set the guest'\''s disk aside, with the agent'\''s memory on it, so that the next start is fresh' \
'run:Run the guest in the foreground\: what castellan starts' \
'follow:Stand for a unit of the guest\: what castellan starts' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'sanctum guest commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__build_commands] )) ||
_sanctum__subcmd__guest__subcmd__build_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest build commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__console_commands] )) ||
_sanctum__subcmd__guest__subcmd__console_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest console commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__follow_commands] )) ||
_sanctum__subcmd__guest__subcmd__follow_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest follow commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__help_commands] )) ||
_sanctum__subcmd__guest__subcmd__help_commands() {
    local commands; commands=(
'build:Build the image the guest starts from, if it is not there' \
'start:Start the guest under castellan' \
'stop:Shut the guest down in order, and what needs it' \
'ssh:Open a root shell in the guest, or run a command there' \
'console:Show what the guest wrote to its serial console' \
'status:Show image, instance and machine' \
'reset:Set the guest'\''s disk aside, with the agent'\''s memory on it, so that the next start is fresh' \
'run:Run the guest in the foreground\: what castellan starts' \
'follow:Stand for a unit of the guest\: what castellan starts' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'sanctum guest help commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__help__subcmd__build_commands] )) ||
_sanctum__subcmd__guest__subcmd__help__subcmd__build_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest help build commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__help__subcmd__console_commands] )) ||
_sanctum__subcmd__guest__subcmd__help__subcmd__console_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest help console commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__help__subcmd__follow_commands] )) ||
_sanctum__subcmd__guest__subcmd__help__subcmd__follow_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest help follow commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__help__subcmd__help_commands] )) ||
_sanctum__subcmd__guest__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest help help commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__help__subcmd__reset_commands] )) ||
_sanctum__subcmd__guest__subcmd__help__subcmd__reset_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest help reset commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__help__subcmd__run_commands] )) ||
_sanctum__subcmd__guest__subcmd__help__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest help run commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__help__subcmd__ssh_commands] )) ||
_sanctum__subcmd__guest__subcmd__help__subcmd__ssh_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest help ssh commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__help__subcmd__start_commands] )) ||
_sanctum__subcmd__guest__subcmd__help__subcmd__start_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest help start commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__help__subcmd__status_commands] )) ||
_sanctum__subcmd__guest__subcmd__help__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest help status commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__help__subcmd__stop_commands] )) ||
_sanctum__subcmd__guest__subcmd__help__subcmd__stop_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest help stop commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__reset_commands] )) ||
_sanctum__subcmd__guest__subcmd__reset_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest reset commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__run_commands] )) ||
_sanctum__subcmd__guest__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest run commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__ssh_commands] )) ||
_sanctum__subcmd__guest__subcmd__ssh_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest ssh commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__start_commands] )) ||
_sanctum__subcmd__guest__subcmd__start_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest start commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__status_commands] )) ||
_sanctum__subcmd__guest__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest status commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__guest__subcmd__stop_commands] )) ||
_sanctum__subcmd__guest__subcmd__stop_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum guest stop commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help_commands] )) ||
_sanctum__subcmd__help_commands() {
    local commands; commands=(
'init:Write a manifest, asking at most three questions' \
'plan:Show what \`up\` would do. Touches nothing' \
'up:Build what is missing, start everything in order, and ask a first question' \
'apply:Put a changed manifest in force\: only what differs is touched' \
'down:Stop everything in order' \
'status:Show what is wrong, each root once, and every component, the worst first' \
'explain:Say why a component is not ready, from the root to it, and what would help' \
'ask:Ask the agent, and stream its answer' \
'logs:Show what components wrote' \
'chitti:Show what happened\: the event journal. Castellan need not run' \
'start:Start a component, and what it needs' \
'stop:Stop a component, and what needs it' \
'restart:Stop a component and start it again' \
'guest:Build, run and enter the virtual machine' \
'model:Get and list local models' \
'doctor:Check the machine and every hop to the answer. Touches nothing' \
'sweep:Look at everything from outside, once, without believing castellan' \
'probe:Take one look, for castellan\: ends with 0 if it shows what it should' \
'completions:Print a completion script for a shell' \
'man-pages:Write the manual pages' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'sanctum help commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__apply_commands] )) ||
_sanctum__subcmd__help__subcmd__apply_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help apply commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__ask_commands] )) ||
_sanctum__subcmd__help__subcmd__ask_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help ask commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__chitti_commands] )) ||
_sanctum__subcmd__help__subcmd__chitti_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help chitti commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__completions_commands] )) ||
_sanctum__subcmd__help__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help completions commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__doctor_commands] )) ||
_sanctum__subcmd__help__subcmd__doctor_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help doctor commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__down_commands] )) ||
_sanctum__subcmd__help__subcmd__down_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help down commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__explain_commands] )) ||
_sanctum__subcmd__help__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help explain commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__guest_commands] )) ||
_sanctum__subcmd__help__subcmd__guest_commands() {
    local commands; commands=(
'build:Build the image the guest starts from, if it is not there' \
'start:Start the guest under castellan' \
'stop:Shut the guest down in order, and what needs it' \
'ssh:Open a root shell in the guest, or run a command there' \
'console:Show what the guest wrote to its serial console' \
'status:Show image, instance and machine' \
'reset:Set the guest'\''s disk aside, with the agent'\''s memory on it, so that the next start is fresh' \
'run:Run the guest in the foreground\: what castellan starts' \
'follow:Stand for a unit of the guest\: what castellan starts' \
    )
    _describe -t commands 'sanctum help guest commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__guest__subcmd__build_commands] )) ||
_sanctum__subcmd__help__subcmd__guest__subcmd__build_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help guest build commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__guest__subcmd__console_commands] )) ||
_sanctum__subcmd__help__subcmd__guest__subcmd__console_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help guest console commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__guest__subcmd__follow_commands] )) ||
_sanctum__subcmd__help__subcmd__guest__subcmd__follow_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help guest follow commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__guest__subcmd__reset_commands] )) ||
_sanctum__subcmd__help__subcmd__guest__subcmd__reset_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help guest reset commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__guest__subcmd__run_commands] )) ||
_sanctum__subcmd__help__subcmd__guest__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help guest run commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__guest__subcmd__ssh_commands] )) ||
_sanctum__subcmd__help__subcmd__guest__subcmd__ssh_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help guest ssh commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__guest__subcmd__start_commands] )) ||
_sanctum__subcmd__help__subcmd__guest__subcmd__start_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help guest start commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__guest__subcmd__status_commands] )) ||
_sanctum__subcmd__help__subcmd__guest__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help guest status commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__guest__subcmd__stop_commands] )) ||
_sanctum__subcmd__help__subcmd__guest__subcmd__stop_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help guest stop commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__help_commands] )) ||
_sanctum__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help help commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__init_commands] )) ||
_sanctum__subcmd__help__subcmd__init_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help init commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__logs_commands] )) ||
_sanctum__subcmd__help__subcmd__logs_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help logs commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__man-pages_commands] )) ||
_sanctum__subcmd__help__subcmd__man-pages_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help man-pages commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__model_commands] )) ||
_sanctum__subcmd__help__subcmd__model_commands() {
    local commands; commands=(
'pull:Get a model into the store\: a name of the catalogue, hf\:ORG/REPO/FILE, or a path' \
'list:List the store and the catalogue' \
    )
    _describe -t commands 'sanctum help model commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__model__subcmd__list_commands] )) ||
_sanctum__subcmd__help__subcmd__model__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help model list commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__model__subcmd__pull_commands] )) ||
_sanctum__subcmd__help__subcmd__model__subcmd__pull_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help model pull commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__plan_commands] )) ||
_sanctum__subcmd__help__subcmd__plan_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help plan commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__probe_commands] )) ||
_sanctum__subcmd__help__subcmd__probe_commands() {
    local commands; commands=(
'model:Ask a model route for one token, through proxyd' \
    )
    _describe -t commands 'sanctum help probe commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__probe__subcmd__model_commands] )) ||
_sanctum__subcmd__help__subcmd__probe__subcmd__model_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help probe model commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__restart_commands] )) ||
_sanctum__subcmd__help__subcmd__restart_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help restart commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__start_commands] )) ||
_sanctum__subcmd__help__subcmd__start_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help start commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__status_commands] )) ||
_sanctum__subcmd__help__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help status commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__stop_commands] )) ||
_sanctum__subcmd__help__subcmd__stop_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help stop commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__sweep_commands] )) ||
_sanctum__subcmd__help__subcmd__sweep_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help sweep commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__help__subcmd__up_commands] )) ||
_sanctum__subcmd__help__subcmd__up_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum help up commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__init_commands] )) ||
_sanctum__subcmd__init_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum init commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__logs_commands] )) ||
_sanctum__subcmd__logs_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum logs commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__man-pages_commands] )) ||
_sanctum__subcmd__man-pages_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum man-pages commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__model_commands] )) ||
_sanctum__subcmd__model_commands() {
    local commands; commands=(
'pull:Get a model into the store\: a name of the catalogue, hf\:ORG/REPO/FILE, or a path' \
'list:List the store and the catalogue' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'sanctum model commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__model__subcmd__help_commands] )) ||
_sanctum__subcmd__model__subcmd__help_commands() {
    local commands; commands=(
'pull:Get a model into the store\: a name of the catalogue, hf\:ORG/REPO/FILE, or a path' \
'list:List the store and the catalogue' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'sanctum model help commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__model__subcmd__help__subcmd__help_commands] )) ||
_sanctum__subcmd__model__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum model help help commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__model__subcmd__help__subcmd__list_commands] )) ||
_sanctum__subcmd__model__subcmd__help__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum model help list commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__model__subcmd__help__subcmd__pull_commands] )) ||
_sanctum__subcmd__model__subcmd__help__subcmd__pull_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum model help pull commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__model__subcmd__list_commands] )) ||
_sanctum__subcmd__model__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum model list commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__model__subcmd__pull_commands] )) ||
_sanctum__subcmd__model__subcmd__pull_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum model pull commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__plan_commands] )) ||
_sanctum__subcmd__plan_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum plan commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__probe_commands] )) ||
_sanctum__subcmd__probe_commands() {
    local commands; commands=(
'model:Ask a model route for one token, through proxyd' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'sanctum probe commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__probe__subcmd__help_commands] )) ||
_sanctum__subcmd__probe__subcmd__help_commands() {
    local commands; commands=(
'model:Ask a model route for one token, through proxyd' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'sanctum probe help commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__probe__subcmd__help__subcmd__help_commands] )) ||
_sanctum__subcmd__probe__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum probe help help commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__probe__subcmd__help__subcmd__model_commands] )) ||
_sanctum__subcmd__probe__subcmd__help__subcmd__model_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum probe help model commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__probe__subcmd__model_commands] )) ||
_sanctum__subcmd__probe__subcmd__model_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum probe model commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__restart_commands] )) ||
_sanctum__subcmd__restart_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum restart commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__start_commands] )) ||
_sanctum__subcmd__start_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum start commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__status_commands] )) ||
_sanctum__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum status commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__stop_commands] )) ||
_sanctum__subcmd__stop_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum stop commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__sweep_commands] )) ||
_sanctum__subcmd__sweep_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum sweep commands' commands "$@"
}
(( $+functions[_sanctum__subcmd__up_commands] )) ||
_sanctum__subcmd__up_commands() {
    local commands; commands=()
    _describe -t commands 'sanctum up commands' commands "$@"
}

if [ "$funcstack[1]" = "_sanctum" ]; then
    _sanctum "$@"
else
    compdef _sanctum sanctum
fi
