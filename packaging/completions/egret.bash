# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of egret and egretd for bash; tests/docs.py compares it with what the programs say.

_egret_filter_keys='host: proc: parent: args: pid: user: unit: container: cgroup: name: domain: source: addr: segment: country: asn: src: machine: nat: natport: port: proto: app: protocol:
	dir: state: up: down: bytes: packets: age: rtt: ja3: ja4: verdict: rule: refused:'

# Words of `$1` that begin with what was typed.
_egret_words() {
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

# Keys of the filter language are followed by a value, not by a blank.
_egret_filter() {
	_egret_words "$_egret_filter_keys"
	compopt -o nospace
}

_egret_command() {
	local command='' i=1

	while [ "$i" -lt "$cword" ]; do
		case ${words[i]} in
		--run | --console | --token-file | --ca) i=$((i + 1)) ;;
		-*) ;;
		*)
			command=${words[i]}
			break
			;;
		esac
		i=$((i + 1))
	done
	egret_command=$command
	egret_command_at=$i
}

# `egret policy` has commands of its own.
_egret_policy() {
	local verb=${words[egret_command_at + 1]-}

	if [ "$cword" -eq $((egret_command_at + 1)) ]; then
		_egret_words 'check load confirm show diff learn replay clear'
		return
	fi
	case $verb:$cur in
	check:-*) _egret_words '--at --config --quiet' ;;
	load:-*) _egret_words '--watch --enforce --confirm --force' ;;
	show:*) _egret_words '--json --text' ;;
	diff:-*) _egret_words '--against --no-traffic --last --inside --all --json' ;;
	learn:-*) _egret_words '--last --app --segments --policy --inside' ;;
	replay:-*) _egret_words '--last --inside --agree --all --json' ;;
	check:* | load:* | diff:* | learn:* | replay:*) _filedir ;;
	esac
}

# What `egret exec` runs has completions of its own.
_egret_exec() {
	local at=$((egret_command_at + 1))

	while [ "$at" -lt "$cword" ]; do
		case ${words[at]} in
		--json | --user | --policy | -j | -u) at=$((at + 2)) ;;
		--)
			at=$((at + 1))
			break
			;;
		-*) at=$((at + 1)) ;;
		*) break ;;
		esac
	done
	if [ "$at" -le "$cword" ] && { [ "$at" -lt "$cword" ] || [[ $cur != -* ]]; }; then
		_command_offset "$at"
		return
	fi
	_egret_words '--policy --watch --json --user --wait --quiet --help --'
}

_egret() {
	local cur prev words cword egret_command egret_command_at

	_init_completion -n : || return
	_egret_command
	case $prev in
	--run | --zeek)
		_filedir -d
		return
		;;
	--json)
		if [ "$egret_command" = exec ]; then
			_filedir
			return
		fi
		;;
	--user)
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return
		;;
	--by)
		if [ "$egret_command" = top ]; then
			_egret_words 'program user unit container name address host protocol'
		else
			_egret_words 'app user unit container segment name domain country asn protocol direction rule verdict address port proto host from to'
		fi
		return
		;;
	--sort)
		if [ "$egret_command" = top ]; then
			_egret_words 'rate up down bytes flows label'
		elif [ "$egret_command" = usage ] || [ "$egret_command" = cost ]; then
			_egret_words 'bytes up down flows cost last'
		else
			_egret_words 'start up down bytes packets last'
		fi
		return
		;;
	--period)
		_egret_words 'day week month'
		return
		;;
	--filter)
		_egret_filter
		return
		;;
	--console) return ;;
	--app | --policy | --config | --token-file | --ca | --against | --intel | --exe)
		_filedir
		return
		;;
	--limit | --inside | --for | --note | --rule | --unit | --from | --address | --speaking | --confirm | --at | --last | --to | --after | --step)
		return
		;;
	esac
	case $egret_command in
	'') _egret_words 'top flows usage cost segments timeline who status exec read findings finding ack intel explain policy block unblock quota why disarm fleet page doctor help --run --console --token-file --ca --version --help' ;;
	top)
		case $cur in
		-*) _egret_words '--by --sort --once --limit --help' ;;
		*) _egret_filter ;;
		esac
		;;
	flows)
		case $cur in
		-*) _egret_words '--ended --follow --sort --last --from --to --period --after --limit --json --csv --help' ;;
		*) _egret_filter ;;
		esac
		;;
	usage)
		case $cur in
		-*) _egret_words '--by --last --from --to --period --sort --limit --json --csv --help' ;;
		*) _egret_filter ;;
		esac
		;;
	cost)
		case $cur in
		-*) _egret_words '--by --last --from --to --period --sort --limit --json --csv --help' ;;
		*) _egret_filter ;;
		esac
		;;
	segments)
		case $cur in
		-*) _egret_words '--last --from --to --period --json --csv --help' ;;
		*) _egret_filter ;;
		esac
		;;
	timeline)
		case $cur in
		-*) _egret_words '--app --by --step --last --from --to --period --limit --json --csv --help' ;;
		*) _egret_filter ;;
		esac
		;;
	who) _egret_words '--last --from --to --period --json --help' ;;
	status) _egret_words '--json --metrics --help' ;;
	exec) _egret_exec ;;
	read)
		case $cur in
		-*) _egret_words '--json --zeek --filter --policy --inside --intel --low --all --no-findings --quiet --help' ;;
		*) _filedir ;;
		esac
		;;
	findings)
		case $cur in
		-*) _egret_words '--last --class --detector --severity --low --long --json --help' ;;
		*) _egret_filter ;;
		esac
		;;
	finding) _egret_words '--json --help' ;;
	ack) _egret_words '--benign --scope --exe --peer --detector --for --note --list --remove --help' ;;
	intel)
		case $cur in
		-*) _egret_words '--class --format --confidence --expire --nowait --json --help' ;;
		*) _filedir ;;
		esac
		;;
	explain) _egret_words '--help' ;;
	policy) _egret_policy ;;
	block)
		case $cur in
		-*) _egret_words '--app --user --for --note --reject --help' ;;
		esac
		;;
	unblock) _egret_words '--app --user --rule --reject --all --help' ;;
	quota) _egret_words '--json --help' ;;
	fleet) _egret_words 'status policy pack show try --last --config --json --help' ;;
	why) _egret_words '--app --user --unit --from --address --speaking --policy --json --help' ;;
	disarm) _egret_words '--help' ;;
	page) _egret_words '--change --for --revoke --json --help' ;;
	doctor) _egret_words '--help' ;;
	help) _egret_words 'top flows usage cost segments timeline who status exec read findings finding ack intel explain policy block unblock quota why disarm fleet page doctor help' ;;
	esac
}

_egretd() {
	local cur prev words cword

	_init_completion || return
	case $prev in
	-c | --config) _filedir ;;
	*) _egret_words '--console --collector --config -T --foreground --verbose --version --help' ;;
	esac
}

complete -F _egret egret
complete -F _egretd egretd
