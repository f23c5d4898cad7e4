# SPDX-License-Identifier: Apache-2.0
# Completion of egret for fish; tests/docs.py compares it with what the programs say.

set -l commands top flows usage cost segments timeline who status exec read findings finding ack intel explain policy block unblock quota why disarm fleet page doctor help
set -l verbs check load confirm show diff learn replay clear
set -l none "not __fish_seen_subcommand_from $commands"

complete -c egret -f
complete -c egret -n $none -l run -r -F -d 'Folder of the control socket'
complete -c egret -n $none -l version -d 'Print the version'
complete -c egret -l help -d 'Print a short help'

complete -c egret -n $none -a top -d 'Live view of what leaves'
complete -c egret -n $none -a flows -d 'The flows of a running egretd, now or of a time'
complete -c egret -n $none -a usage -d 'What left in a time, and what it cost'
complete -c egret -n $none -a cost -d 'What a month cost, and how budgets stand'
complete -c egret -n $none -a segments -d 'Which segment opened flows to which, and what was refused'
complete -c egret -n $none -a timeline -d 'When it left, as a chart'
complete -c egret -n $none -a who -d 'Everything known of an address or a name'
complete -c egret -n $none -a status -d 'What egretd watches, saw and lost'
complete -c egret -n $none -a exec -d 'Run a command and show what it contacted'
complete -c egret -n $none -a read -d 'The same for captures and Zeek logs'
complete -c egret -n $none -a findings -d 'What should worry you'
complete -c egret -n $none -a finding -d 'Everything behind one of them'
complete -c egret -n $none -a ack -d 'This is ordinary here'
complete -c egret -n $none -a intel -d 'Feeds of what others call bad'
complete -c egret -n $none -a explain -d 'What a detector sees'
complete -c egret -n $none -a policy -d 'Check, load, show and try out what may leave'
complete -c egret -n $none -a block -d 'Refuse something at once, for a while'
complete -c egret -n $none -a unblock -d 'Take that away again'
complete -c egret -n $none -a quota -d 'What rules have used of their quotas'
complete -c egret -n $none -a why -d 'Would this leave, and which line decides'
complete -c egret -n $none -a disarm -d 'Nothing is refused any more'
complete -c egret -n $none -a fleet -d 'The machines that send to one ClickHouse'
complete -c egret -n $none -a page -d 'The address of the page, with a token in it'
complete -c egret -n $none -a doctor -d 'What this kernel offers'
complete -c egret -n $none -a help -d 'The list of commands, or how to use one'

complete -c egret -n '__fish_seen_subcommand_from top' -l by -x -a 'program user unit container name address host protocol' -d 'Group rows'
complete -c egret -n '__fish_seen_subcommand_from top' -l sort -x -a 'rate up down bytes flows label' -d 'Order of rows'
complete -c egret -n '__fish_seen_subcommand_from top' -l once -d 'Print one picture and end'
complete -c egret -n '__fish_seen_subcommand_from top' -l limit -x -d 'At most so many rows'

complete -c egret -n '__fish_seen_subcommand_from flows' -l ended -d 'Also those that ended lately'
complete -c egret -n '__fish_seen_subcommand_from flows' -l follow -d 'Print each flow when it ends'
complete -c egret -n '__fish_seen_subcommand_from flows' -l sort -x -a 'start up down bytes packets last' -d 'Largest first'
complete -c egret -n '__fish_seen_subcommand_from flows' -l limit -x -d 'At most so many flows'
complete -c egret -n '__fish_seen_subcommand_from flows' -l json -d 'EVE records'
complete -c egret -n '__fish_seen_subcommand_from flows' -l csv -d 'Comma-separated values'
complete -c egret -n '__fish_seen_subcommand_from flows' -l last -x -a '1h 24h 7d 30d' -d 'The time up to now'
complete -c egret -n '__fish_seen_subcommand_from flows' -l from -x -d 'From this time on'
complete -c egret -n '__fish_seen_subcommand_from flows' -l to -x -d 'Up to this time'
complete -c egret -n '__fish_seen_subcommand_from flows' -l period -x -a 'day week month' -d 'The current one'
complete -c egret -n '__fish_seen_subcommand_from flows' -l after -x -d 'The next page of kept flows'

complete -c egret -n '__fish_seen_subcommand_from usage' -l by -x -a 'app user unit container segment name domain country asn protocol direction rule verdict address port proto host from to' -d 'Up to four, with commas'
complete -c egret -n '__fish_seen_subcommand_from usage' -l last -x -a '1h 24h 7d 30d' -d 'The time up to now'
complete -c egret -n '__fish_seen_subcommand_from usage' -l from -x -d 'From this time on'
complete -c egret -n '__fish_seen_subcommand_from usage' -l to -x -d 'Up to this time'
complete -c egret -n '__fish_seen_subcommand_from usage' -l period -x -a 'day week month' -d 'The current one'
complete -c egret -n '__fish_seen_subcommand_from usage' -l sort -x -a 'bytes up down flows cost last' -d 'Largest first'
complete -c egret -n '__fish_seen_subcommand_from usage' -l limit -x -d 'At most so many rows'
complete -c egret -n '__fish_seen_subcommand_from usage' -l json -d 'The answer as JSON'
complete -c egret -n '__fish_seen_subcommand_from usage' -l csv -d 'Comma-separated values'
complete -c egret -n '__fish_seen_subcommand_from cost' -l by -x -a 'app user unit container segment name domain country asn protocol direction rule verdict address port proto host from to' -d 'Up to four, with commas'
complete -c egret -n '__fish_seen_subcommand_from cost' -l last -x -a 'month week day 7d 30d' -d 'The time up to now'
complete -c egret -n '__fish_seen_subcommand_from cost' -l from -x -d 'From this time on'
complete -c egret -n '__fish_seen_subcommand_from cost' -l to -x -d 'Up to this time'
complete -c egret -n '__fish_seen_subcommand_from cost' -l period -x -a 'day week month' -d 'The current one'
complete -c egret -n '__fish_seen_subcommand_from cost' -l sort -x -a 'bytes up down flows cost last' -d 'Largest first'
complete -c egret -n '__fish_seen_subcommand_from cost' -l limit -x -d 'At most so many rows'
complete -c egret -n '__fish_seen_subcommand_from cost' -l json -d 'The answer as JSON'
complete -c egret -n '__fish_seen_subcommand_from cost' -l csv -d 'Comma-separated values'

complete -c egret -n '__fish_seen_subcommand_from segments' -l last -x -a '1h 24h 7d 30d' -d 'The time up to now'
complete -c egret -n '__fish_seen_subcommand_from segments' -l from -x -d 'From this time on'
complete -c egret -n '__fish_seen_subcommand_from segments' -l to -x -d 'Up to this time'
complete -c egret -n '__fish_seen_subcommand_from segments' -l period -x -a 'day week month' -d 'The current one'
complete -c egret -n '__fish_seen_subcommand_from segments' -l json -d 'The answer as JSON'
complete -c egret -n '__fish_seen_subcommand_from segments' -l csv -d 'Comma-separated values'

complete -c egret -n '__fish_seen_subcommand_from timeline' -l app -r -F -d 'Only of this program'
complete -c egret -n '__fish_seen_subcommand_from timeline' -l by -x -a 'app user unit container segment name domain country asn protocol direction rule verdict address port proto host from to' -d 'A row for each, up to two, with commas'
complete -c egret -n '__fish_seen_subcommand_from timeline' -l step -x -a '1m 5m 1h 1d' -d 'Time of a point'
complete -c egret -n '__fish_seen_subcommand_from timeline' -l last -x -a '1h 24h 7d 30d' -d 'The time up to now'
complete -c egret -n '__fish_seen_subcommand_from timeline' -l from -x -d 'From this time on'
complete -c egret -n '__fish_seen_subcommand_from timeline' -l to -x -d 'Up to this time'
complete -c egret -n '__fish_seen_subcommand_from timeline' -l period -x -a 'day week month' -d 'The current one'
complete -c egret -n '__fish_seen_subcommand_from timeline' -l limit -x -d 'So many rows'
complete -c egret -n '__fish_seen_subcommand_from timeline' -l json -d 'The answer as JSON'
complete -c egret -n '__fish_seen_subcommand_from timeline' -l csv -d 'Comma-separated values'

complete -c egret -n '__fish_seen_subcommand_from who' -l last -x -a '1h 24h 7d 30d' -d 'The time up to now'
complete -c egret -n '__fish_seen_subcommand_from who' -l from -x -d 'From this time on'
complete -c egret -n '__fish_seen_subcommand_from who' -l to -x -d 'Up to this time'
complete -c egret -n '__fish_seen_subcommand_from who' -l period -x -a 'day week month' -d 'The current one'
complete -c egret -n '__fish_seen_subcommand_from who' -l json -d 'The answer as JSON'

complete -c egret -n '__fish_seen_subcommand_from status' -l json -d 'Print the answer as JSON'
complete -c egret -n '__fish_seen_subcommand_from status' -l metrics -d 'As Prometheus reads it'

complete -c egret -n '__fish_seen_subcommand_from quota' -l json -d 'The answer as JSON'

complete -c egret -n '__fish_seen_subcommand_from fleet' -x -a status -d 'How they are'
complete -c egret -n '__fish_seen_subcommand_from fleet' -l last -x -d 'Machines that told anything in this time'
complete -c egret -n '__fish_seen_subcommand_from fleet' -l config -r -F -d 'Another egret.conf'
complete -c egret -n '__fish_seen_subcommand_from fleet' -l json -d 'One JSON object a machine'

complete -c egret -n '__fish_seen_subcommand_from exec' -l policy -r -F -d 'In force for the command'
complete -c egret -n '__fish_seen_subcommand_from exec' -l watch -d 'Refuse nothing'
complete -c egret -n '__fish_seen_subcommand_from exec' -l json -r -F -d 'Also write the records'
complete -c egret -n '__fish_seen_subcommand_from exec' -l user -x -a '(__fish_complete_users)' -d 'Run as this user'
complete -c egret -n '__fish_seen_subcommand_from exec' -l wait -d 'Wait for everything it started'
complete -c egret -n '__fish_seen_subcommand_from exec' -l quiet -d 'No table'
complete -c egret -n '__fish_seen_subcommand_from exec' -a '(__fish_complete_subcommand --fcs-skip=2)'

complete -c egret -n '__fish_seen_subcommand_from read' -l json -d 'EVE records instead of the summary'
complete -c egret -n '__fish_seen_subcommand_from read' -l zeek -x -a '(__fish_complete_directories)' -d 'Logs as Zeek writes them'
complete -c egret -n '__fish_seen_subcommand_from read' -l filter -x -d 'Only flows that match'
complete -c egret -n '__fish_seen_subcommand_from read' -l policy -r -F -d 'Judge each flow'
complete -c egret -n '__fish_seen_subcommand_from read' -l inside -x -d 'What counts as ours'
complete -c egret -n '__fish_seen_subcommand_from read' -l intel -r -F -d 'A feed'
complete -c egret -n '__fish_seen_subcommand_from read' -l low -d 'Also findings too light to be told'
complete -c egret -n '__fish_seen_subcommand_from read' -l all -d 'Every row of the summary'
complete -c egret -n '__fish_seen_subcommand_from read' -l no-findings -d 'What was there, not what to think of it'
complete -c egret -n '__fish_seen_subcommand_from read' -l quiet -d 'No progress bar'
complete -c egret -n '__fish_seen_subcommand_from read' -F

complete -c egret -n '__fish_seen_subcommand_from findings' -l last -x -d 'Seen within so long'
complete -c egret -n '__fish_seen_subcommand_from findings' -l class -x -a 'c2 exfil intel policy' -d 'Of this class'
complete -c egret -n '__fish_seen_subcommand_from findings' -l detector -x -d 'Of this detector'
complete -c egret -n '__fish_seen_subcommand_from findings' -l severity -x -a 'low medium high critical' -d 'At least'
complete -c egret -n '__fish_seen_subcommand_from findings' -l low -d 'Also what is too light to be told'
complete -c egret -n '__fish_seen_subcommand_from findings' -l long -d 'Everything behind each'
complete -c egret -n '__fish_seen_subcommand_from findings' -l json -d 'Alert records'

complete -c egret -n '__fish_seen_subcommand_from finding' -l json -d 'Alert records'

complete -c egret -n '__fish_seen_subcommand_from ack' -l benign -d 'It is ordinary'
complete -c egret -n '__fish_seen_subcommand_from ack' -l scope -x -a 'exe+peer exe peer' -d 'What of the finding'
complete -c egret -n '__fish_seen_subcommand_from ack' -l exe -r -F -d 'Program'
complete -c egret -n '__fish_seen_subcommand_from ack' -l peer -x -d 'Domain or address and port'
complete -c egret -n '__fish_seen_subcommand_from ack' -l detector -x -d 'Of this detector'
complete -c egret -n '__fish_seen_subcommand_from ack' -l for -x -d 'How long'
complete -c egret -n '__fish_seen_subcommand_from ack' -l note -x -d 'Kept with it'
complete -c egret -n '__fish_seen_subcommand_from ack' -l list -d 'The exceptions there are'
complete -c egret -n '__fish_seen_subcommand_from ack' -l remove -x -d 'Take one away'

complete -c egret -n '__fish_seen_subcommand_from intel' -l class -x -a 'c2 malware phishing tor scanner suspicious doh vpn mining allow' -d 'What it lists'
complete -c egret -n '__fish_seen_subcommand_from intel' -l format -x -a 'auto plain hosts adblock rpz csv stix misp' -d 'Of the feed'
complete -c egret -n '__fish_seen_subcommand_from intel' -l confidence -x -d '1 to 100'
complete -c egret -n '__fish_seen_subcommand_from intel' -l expire -x -d 'What is older is left out'
complete -c egret -n '__fish_seen_subcommand_from intel' -l nowait -d 'Return at once'
complete -c egret -n '__fish_seen_subcommand_from intel' -l json -d 'The answer as JSON'
complete -c egret -n '__fish_seen_subcommand_from intel' -a 'add list check stats remove refresh' -F

complete -c egret -n "__fish_seen_subcommand_from policy; and not __fish_seen_subcommand_from $verbs" -a "$verbs"
complete -c egret -n '__fish_seen_subcommand_from check load diff replay' -F

complete -c egret -n '__fish_seen_subcommand_from page' -l change -d 'It also lets change'
complete -c egret -n '__fish_seen_subcommand_from page' -l for -x -a '1h 8h 7d 30d' -d 'How long it holds'
complete -c egret -n '__fish_seen_subcommand_from page' -l revoke -d 'No token holds any more'
complete -c egret -n '__fish_seen_subcommand_from page' -l json -d 'Print the answer'
for c in block unblock
	complete -c egret -n "__fish_seen_subcommand_from $c" -x
end
complete -c egret -n '__fish_seen_subcommand_from block' -l app -r -F -d 'Path of the program'
complete -c egret -n '__fish_seen_subcommand_from block' -l user -x -a '(__fish_complete_users)' -d 'User'
complete -c egret -n '__fish_seen_subcommand_from block' -l for -x -d 'How long'
complete -c egret -n '__fish_seen_subcommand_from block' -l note -x -d 'Kept with the rule'
complete -c egret -n '__fish_seen_subcommand_from block' -l reject -d 'Answer with an error'

complete -c egret -n '__fish_seen_subcommand_from unblock' -l app -r -F -d 'Path of the program'
complete -c egret -n '__fish_seen_subcommand_from unblock' -l user -x -a '(__fish_complete_users)' -d 'User'
complete -c egret -n '__fish_seen_subcommand_from unblock' -l rule -x -d 'The rule with this text'
complete -c egret -n '__fish_seen_subcommand_from unblock' -l reject -d 'As it was blocked'
complete -c egret -n '__fish_seen_subcommand_from unblock' -l all -d 'All dated rules'

complete -c egret -n '__fish_seen_subcommand_from why' -l app -r -F -d 'The program'
complete -c egret -n '__fish_seen_subcommand_from why' -l user -x -a '(__fish_complete_users)' -d 'User'
complete -c egret -n '__fish_seen_subcommand_from why' -l unit -x -d 'Systemd unit'
complete -c egret -n '__fish_seen_subcommand_from why' -l from -x -d 'Local address'
complete -c egret -n '__fish_seen_subcommand_from why' -l address -x -d 'Where the name leads'
complete -c egret -n '__fish_seen_subcommand_from why' -l speaking -x -d 'Application protocol'
complete -c egret -n '__fish_seen_subcommand_from why' -l policy -r -F -d 'Ask this policy'
complete -c egret -n '__fish_seen_subcommand_from why' -l json -d 'Print the answer as JSON'

complete -c egret -n '__fish_seen_subcommand_from help' -a "$commands"
