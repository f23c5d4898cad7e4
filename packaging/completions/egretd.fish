# SPDX-License-Identifier: Apache-2.0
# Completion of egretd for fish; tests/docs.py compares it with what the program says.

complete -c egretd -f
complete -c egretd -l console -d 'Serve page and API over the ClickHouse of a fleet'
complete -c egretd -l collector -d 'Take batches of other machines'
complete -c egretd -l config -r -F -d 'Configuration'
complete -c egretd -s T -d 'Test the configuration and exit'
complete -c egretd -l foreground -d 'Stay'
complete -c egretd -l verbose -d 'Say more'
complete -c egretd -l version -d 'Print the version'
complete -c egretd -l help -d 'Print a short help'
