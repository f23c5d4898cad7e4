#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the documents say against what the programs do.

usage: docs.py [--write]      --write makes the generated parts of docs/records.md and docs/metrics.md anew; `git diff` is the review

Commands and options: help texts, man pages and completions name the same ones, and the programs take them. Examples of
`egret read` run on the committed captures and print what is shown below them. Files and functions that are mentioned
exist. docs/records.md has every field of the schema and valid examples.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "golden"))

import golden                       # noqa: E402

SOURCE, BUILD, EGRET = golden.SOURCE, golden.BUILD, golden.EGRET
EGRETD = os.path.join(BUILD, "src", "egretd")
CASES = golden.Cases()
OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][a-z-]*")


def text_of(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
        return f.read()


def listed(folder, suffix):
    return sorted(os.path.join(folder, x) for x in os.listdir(os.path.join(SOURCE, folder)) if x.endswith(suffix))


def run(*argv, **kw):
    return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, cwd=SOURCE, **kw)


def pages():
    return {os.path.basename(p)[:-len(".scd")]: text_of(p) for p in listed("docs/man", ".scd")}


def documents():
    """Every document, by its path."""
    paths = listed("docs", ".md") + listed("docs/recipes", ".md") + listed("docs/man", ".scd") + ["CHANGELOG.md"]
    return {p: text_of(p) for p in paths + [x for x in ("README.md",) if os.path.exists(os.path.join(SOURCE, x))]}


# --- commands and options -----------------------------------------------------------------------------------------------

def commands_of_help():
    return re.findall(r"^  ([a-z]+) {2,}", run(EGRET, "help").stdout, re.M)


def options_shown(*argv):
    """Long options, and short ones that have no long name, of a help text."""
    return set(OPTION.findall(run(*argv).stdout)) - {"--help"}


def options_of_man(page, text):
    """The same of SYNOPSIS and OPTIONS; and short names of long ones."""
    body = "".join(re.findall(r"^# (?:SYNOPSIS|OPTIONS)\n(.*?)(?=^# |\Z)", text, re.M | re.S))
    found = set(re.findall(r"\*(--?[A-Za-z][a-z-]*)\*", body))
    aliases = set(re.findall(r"^\*(-[a-z])\*, \*--", body, re.M))
    return found - aliases - {"--help", "--run" if page != "egret.1" else ""}, aliases


def block(text, name):
    """A branch of a case statement in the body of a function: from `name)` to its `;;`."""
    m = re.search(rf"^\t{name}\)(?: (.*);;$|\n((?s:.*?))^\t\t;;$)", text, re.M)
    return (m.group(1) or m.group(2)) if m else ""


def options_of_bash(text, command):
    if command == "egretd":
        branch = text[text.index("\n_egretd()"):]
    elif command == "exec":
        branch = text[text.index("\n_egret_exec()"):text.index("\n_egret()")]
    elif command:
        branch = block(text[text.index("case $egret_command in"):text.index("\n_egretd()")], command)
    else:
        branch = re.search(r"^\tcase \$egret_command in\n(.*)$", text, re.M).group(1)
    return set(OPTION.findall(" ".join(re.findall("_egret_words '(.*)'", branch)))) - {"--help"}


def options_of_zsh(text, command):
    if command == "egretd":
        branch = text[text.index("_egretd() {"):text.index("_egret() {")]
    elif command:
        branch = block(text[text.index("_egret_command() {"):text.index("_egretd() {")], command)
    else:
        branch = text[text.index("_egret() {"):]
    return set(re.findall(r"'(?:\([^)]*\)|\*)*(--?[A-Za-z][a-z-]*)\[", branch)) - {"--help"}


def options_of_fish(text, command):
    if command == "egretd":
        text = text_of("packaging/completions/egretd.fish")
        pattern = r"^complete -c egretd"
    elif command:
        pattern = rf"^complete -c egret -n '__fish_seen_subcommand_from {command}'"
    else:
        pattern = r"^complete -c egret -n \$none"
    found = re.findall(pattern + r" -(l|s) ([\w-]+)", text, re.M)
    return {("--" if kind == "l" else "-") + name for kind, name in found} - {"--help"}


def takes(argv, option):
    """The program knows the option, whatever else it then misses."""
    done = run(*argv, option)
    return not re.search("unrecognized option|invalid option|ambiguous", done.stderr)


def check_options():
    commands = commands_of_help()
    CASES.check("egret help lists commands", len(commands) >= 7, commands)
    man = pages()
    shells = {"bash": (options_of_bash, text_of("packaging/completions/egret.bash")),
              "zsh": (options_of_zsh, text_of("packaging/completions/_egret")),
              "fish": (options_of_fish, text_of("packaging/completions/egret.fish"))}
    empty = os.path.join(tempfile.gettempdir(), f"egret-docs-{os.getpid()}.conf")
    with open(empty, "w", encoding="ascii"):
        pass
    rows = [(c, f"egret-{c}.1", [EGRET, c, "--help"], [EGRET, "--run", "/nonexistent", c]) for c in commands
            if c != "help"]
    rows += [("", "egret.1", [EGRET, "help"], [EGRET]), ("egretd", "egretd.8", [EGRETD, "--help"],
                                                        [EGRETD, "-T", "-c", empty])]
    for command, page, help_argv, argv in rows:
        name = command or "egret"
        shown = options_shown(*help_argv)
        if not command:
            shown -= {"--json", "--benign"}  # of commands, in their rows
        elif command != "egretd":
            shown -= {"--console"}           # of egret itself
        CASES.equal(f"{name}: --help works", run(*argv[:1], *argv[1:] if command != "egretd" else [], "--help").returncode,
                    0)
        if not CASES.check(f"{name}: has a man page", page in man):
            continue
        wanted, aliases = options_of_man(page, man[page])
        CASES.same_set(f"{name}: options of the help text and of {page}", wanted, shown)
        for option in sorted(wanted | aliases):
            CASES.check(f"{name}: takes {option}", takes(argv, option))
        for shell, (options, text) in shells.items():
            CASES.same_set(f"{name}: options of the help text and of completion in {shell}", options(text, command), shown)
    os.unlink(empty)
    CASES.same_set("egret(1) lists the commands", re.findall(r"^\*([a-z]+)\*", section(man["egret.1"], "COMMANDS"), re.M),
                   commands)
    bash, zsh, fish = (shells[x][1] for x in ("bash", "zsh", "fish"))
    CASES.same_set("bash completes the commands", [w for w in re.search(r"^\t''\) _egret_words '(.*)'", bash, re.M)
                                                   .group(1).split() if w[0] != "-"], commands)
    CASES.same_set("zsh completes the commands", re.findall(r"^\t\t'([a-z]+):", zsh[zsh.index("commands=("):], re.M),
                   commands)
    CASES.same_set("fish completes the commands", re.findall(r"-n \$none -a (\w+)", fish), commands)


def section(text, name):
    return re.search(rf"^# {name}\n(.*?)(?=^# |\Z)", text, re.M | re.S).group(1)


def check_values():
    """--by and --sort take what help, man and completions say; the filter language has the keys they say."""
    bash, zsh, fish = (text_of("packaging/completions/" + x) for x in ("egret.bash", "_egret", "egret.fish"))
    man = pages()
    for command, option in (("top", "--by"), ("top", "--sort"), ("flows", "--sort")):
        line = re.search(rf"^  {option} [A-Z]+ +(.*)$", run(EGRET, command, "--help").stdout, re.M).group(1)
        values = re.findall(r"[a-z]+", line.split(";")[0].replace(" or ", " "))
        entry = re.search(rf"^\*{option}\* _\w+_\n((?:\t.*\n)+)", man[f"egret-{command}.1"], re.M).group(1)
        CASES.same_set(f"{command} {option}: help and man", re.findall(r"_([a-z]+)_", entry), values)
        joined = " ".join(values)
        CASES.check(f"{command} {option}: all completions", all(joined in x for x in (bash, zsh, fish)), joined)
    keys = re.findall(r'^\t\{ "([a-z0-9]+)",', text_of("src/flow/filter_keys.c"), re.M)
    CASES.check("filter keys are found in the source", len(keys) > 20, keys)
    CASES.same_set("filter keys: docs/filter.md", re.findall(r"^\| `(\w+)` \|", text_of("docs/filter.md"), re.M), keys)
    CASES.same_set("filter keys: egret(1)", re.findall(r"\*(\w+)\*", section(man["egret.1"], "FILTERS")
                                                       .split("Keys:")[1]), keys)
    CASES.same_set("filter keys: bash", re.findall(r"\b(\w+):", re.search(r"_egret_filter_keys='(.*?)'", bash, re.S)
                                                   .group(1)), keys)
    CASES.same_set("filter keys: zsh", re.findall(r"'(\w+):", zsh[zsh.index("keys=("):zsh.index("_describe -t filters")]),
                   keys)


# --- metrics ------------------------------------------------------------------------------------------------------------

METRIC_ROW = re.compile(r"(?:^\| `\w+` \|.*\n)+", re.M)


def metric_rows():
    """The table of docs/metrics.md, from the source."""
    body = re.search(r"#define METRICS\(X\)(.*?)\n\n", text_of("src/serve/metrics.h"), re.S).group(1).replace("\\\n", " ")
    rows = re.findall(r'X\(\w+,\s*"(\w+)",\s*"(\w+)",\s*"([^"]*)",\s*"([^"]*)"\)', body)
    CASES.equal("all metrics of the source are understood", len(rows), body.count("X("))
    return "".join(f"| `{name}` | {kind} | {' '.join(f'`{x}`' for x in labels.split())} | {what} |\n"
                   for name, kind, labels, what in rows)


def check_metrics():
    CASES.equal("docs/metrics.md is the table of the source", METRIC_ROW.findall(text_of("docs/metrics.md")), [metric_rows()])


def check_shells():
    for shell, path in (("bash", "egret.bash"), ("zsh", "_egret"), ("fish", "egret.fish"), ("fish", "egretd.fish")):
        if not shutil.which(shell):
            CASES.skip(f"syntax of {path}", f"no {shell} here")
            continue
        done = run(shell, "-n", os.path.join("packaging/completions", path))
        CASES.check(f"syntax of {path}", done.returncode == 0, done.stderr)
    frame = "/usr/share/bash-completion/bash_completion"
    if not os.path.exists(frame):
        CASES.skip("completion in bash", "no bash-completion here")
        return
    for words, want in ((["egret", "st"], ["status"]), (["egret", "top", "--b"], ["--by"]),
                        (["egret", "top", "--sort", "ra"], ["rate"]), (["egret", "--run", "/x", "flows", "--sort", "la"],
                                                                      ["last"]),
                        (["egret", "flows", "por"], ["port:"]), (["egret", "exec", "--us"], ["--user"]),
                        (["egretd", "--fo"], ["--foreground"])):
        script = (f". {frame}; . packaging/completions/egret.bash; COMP_WORDS=({' '.join(words)}); "
                  f"COMP_CWORD={len(words) - 1}; COMP_LINE='{' '.join(words)}'; COMP_POINT=${{#COMP_LINE}}; "
                  f"compopt() {{ :; }}; _{words[0]}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        CASES.equal(f"bash completes {' '.join(words)}", run("bash", "-c", script).stdout.split(), want)


# --- man pages and packaging --------------------------------------------------------------------------------------------

def check_pages():
    man = pages()
    build = text_of("docs/meson.build")
    CASES.same_set("docs/meson.build installs every page", re.findall(r"'(egret[\w.-]*\.[158])'", build), man)
    for name, text in man.items():
        stem, number = name.rsplit(".", 1)
        CASES.check(f"{name}: its head", text.startswith(f"{stem}({number})\n"), text[:40])
        CASES.check(f"{name}: exit status", number == "5" or "# EXIT STATUS" in text)
        for other, n in re.findall(r"\*(egret[\w.-]*)\*\((\d)\)", text):
            CASES.check(f"{name} refers to {other}({n})", f"{other}.{n}" in man)
    if shutil.which("scdoc"):
        for path in listed("docs/man", ".scd"):
            done = subprocess.run(["scdoc"], input=text_of(path), capture_output=True, text=True)
            CASES.check(f"scdoc takes {path}", done.returncode == 0 and ".TH" in done.stdout, done.stderr)
    else:
        CASES.skip("scdoc", "no scdoc here")


def check_unit():
    text = text_of("packaging/systemd/egretd.service.in")
    kept = re.search(r"keep\[\] = \{(.*?)\}", text_of("src/daemonize.c"), re.S).group(1)
    for line in ("AmbientCapabilities", "CapabilityBoundingSet"):
        CASES.same_set(f"{line}: what egretd keeps", re.search(rf"^{line}=(.*)$", text, re.M).group(1).split(),
                       re.findall(r"CAP_\w+", kept))
    if not shutil.which("systemd-analyze"):
        CASES.skip("systemd-analyze verify", "no systemd-analyze here")
        return
    for unit in listed("packaging/systemd", ".service.in"):
        with tempfile.TemporaryDirectory() as tmp:
            path = os.path.join(tmp, os.path.basename(unit)[:-len(".in")])
            with open(path, "w", encoding="utf-8") as f:
                f.write(text_of(unit).replace("@sbindir@", os.path.dirname(EGRETD)))
            done = run("systemd-analyze", "verify", "--man=no", path)
        CASES.check(f"systemd-analyze verify {unit}", done.returncode == 0 and not done.stderr.strip(), done.stderr)


# --- examples, files, names ---------------------------------------------------------------------------------------------

def examples(text, is_man):
    """(command, output shown below it or None) of code blocks."""
    if is_man:
        for line in re.findall(r"^\t(egret read .*)$", text, re.M):
            yield line.replace("\\", ""), None
        return
    for body in re.findall(r"^```[^\n]*\n(.*?)^```", text, re.M | re.S) + [
            re.sub(r"^ {4}", "", m, flags=re.M) for m in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", text, re.M)]:
        command, output = None, []
        for line in body.rstrip("\n").split("\n") + ["$ "]:
            if line.startswith("$ "):
                if command:
                    yield command, "\n".join(output).strip("\n") or None
                command, output = line[2:], []
            else:
                output.append(line)


def start_fake_egretd(folder):
    """For as long as a command takes."""
    subprocess.Popen([sys.executable, os.path.join(SOURCE, "tests", "fake_egretd.py"), folder, "--for", "2"],
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 10
    while not os.path.exists(os.path.join(folder, "egret.sock")) and time.monotonic() < end:
        time.sleep(0.02)


def check_conf():
    """Statements of egret.conf in documents are right."""
    n = 0
    for path, text in documents().items():
        for body in re.findall(r"^```egret\.conf\n(.*?)^```", text, re.M | re.S):
            with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as f:
                f.write("policy off\n" + body)
                f.flush()
                done = run(EGRETD, "-T", "-c", f.name)
                said = [x for x in done.stderr.splitlines() if "has no effect without --collector" not in x]
            CASES.check(f"{path}: egretd -T takes {body.splitlines()[0]}", done.returncode == 0 and not said, done.stderr)
            n += 1
    CASES.check("there are statements that are tested", n >= 2, n)


def check_example(path, command, output):
    wants_error = bool(output) and output.startswith("egret: error")
    files = re.findall(r"tests/golden/captures/\S+", command)
    if not re.match(r"egret (read|help|--version|flows --csv)\b", command) or ("read" in command and not files and
                                                                                not wants_error):
        return 0
    if re.search(r"\| *jq\b", command) and not shutil.which("jq"):
        command = command.split("|")[0]
    with tempfile.TemporaryDirectory() as tmp:
        for entry in os.listdir(SOURCE):    # what a command writes stays in there
            os.symlink(os.path.join(SOURCE, entry), os.path.join(tmp, entry))
        if "flows" in command:
            start_fake_egretd(tmp)
            command = command.replace("egret ", f"egret --run {tmp} ")
        done = run("sh", "-c", f"cd {tmp} && {command} 2>&1", env={**os.environ, "PATH": os.path.dirname(EGRET) + ":" +
                                                                   os.environ["PATH"]})
    name = f"{path}: {command}"
    if not wants_error:
        CASES.check(name + ": runs", done.returncode == 0 and done.stdout.strip(), done.stdout)
    if output:
        CASES.equal(name + ": prints what is shown", [x.rstrip() for x in done.stdout.strip("\n").split("\n")],
                    [x.rstrip() for x in output.split("\n")])
    return 1


def check_examples():
    n = sum(check_example(path, *x) for path, text in documents().items() for x in examples(text, path.endswith(".scd")))
    CASES.check("there are examples that run", n >= 3, n)


def all_code():
    for folder in ("src", "bpf", "tests"):
        for where, _, names in os.walk(os.path.join(SOURCE, folder)):
            for name in names:
                if name.endswith((".c", ".h", ".py")):
                    with open(os.path.join(where, name), encoding="utf-8") as f:
                        yield f.read()


def check_mentions():
    code = "\n".join(all_code())
    top = "src|bpf|docs|tests|fuzz|bench|packaging|tools|LICENSES"
    for path, text in documents().items():
        if path == "docs/records.md":
            text = text.split("## Examples")[0]
        mentioned = set(re.findall(rf"(?<![\w/])((?:{top})/[\w./-]*[A-Za-z0-9])(?![\w<])_?", text))
        mentioned |= {os.path.normpath(os.path.join(os.path.dirname(path), x))
                      for x in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)}
        lost = sorted(x for x in mentioned if not os.path.exists(os.path.join(SOURCE, x)))
        CASES.check(f"{path}: files it mentions exist", not lost, lost)
        if path.endswith(".md"):
            called = set(re.findall(r"`(\w+)\(\)`", text))
            lost = sorted(x for x in called if not re.search(rf"\b{x}\b", code) and "_x" not in x)
            CASES.check(f"{path}: functions it mentions exist", not lost, lost)
    schema = json.loads(text_of("docs/eve.schema.json"))
    lost = set(schema["$defs"]["stats"]["properties"]["lost"]["properties"])
    table = text_of("docs/ARCHITECTURE.md").split("## What is bounded")[1].split("\n## ")[0]
    CASES.same_set("ARCHITECTURE.md explains every loss counter", re.findall(r"\| `([a-z-]+)` \|$", table, re.M), lost)
    features = set(re.findall(r'^\t\{ "([^"]+)",', text_of("src/attach/features.c"), re.M))
    rows = text_of("docs/limits.md").split("## When a kernel")[1]
    missing = [f for f in features if f.replace("tracepoint ", "").replace("tracepoints ", "").replace("iterator over ", "")
               .lower() not in rows.lower()]
    CASES.check("limits.md has every feature of egret doctor", features and not missing, missing)


# --- docs/records.md ----------------------------------------------------------------------------------------------------

def field_rows(schema, node, path):
    for key, value in node.get("properties", {}).items():
        value = schema["$defs"][value["$ref"].rsplit("/", 1)[1]] if "$ref" in value else value
        name, inner = f"{path}{key}", value
        kind = value.get("type") or {int: "integer", bool: "boolean"}[type(value["const"])]
        if kind == "array":
            inner = value["items"]
            inner = schema["$defs"][inner["$ref"].rsplit("/", 1)[1]] if "$ref" in inner else inner
            kind, name = f"array of {inner['type']}", name + "[]"
        words = value["description"]
        if "enum" in value:
            words += " One of " + ", ".join(f"`{x}`" for x in value["enum"]) + "."
        yield f"| `{name}` | {kind} | {words} |"
        yield from field_rows(schema, inner, name + ".")


def field_tables(schema):
    out = []

    def table(title, note, rows):
        rows = list(rows)
        out.extend([f"### {title}", ""] + ([note, ""] if note else []) + (["| field | type | |", "|---|---|---|"] if rows
                                                                          else []) + rows + [""])

    own = {k: v for k, v in schema["properties"].items() if "$ref" not in v}
    table("Every record", "", field_rows(schema, {"properties": own}, ""))
    for key in (k for k, v in schema["properties"].items() if "$ref" in v):
        node = schema["$defs"][schema["properties"][key]["$ref"].rsplit("/", 1)[1]]
        table(f"`{key}`", node["description"], field_rows(schema, node, key + "."))
    return "\n".join(out).rstrip("\n") + "\n"


def show(record):
    lines = [f'  "{k}": {json.dumps(v, ensure_ascii=False)}' for k, v in record.items()]
    return "```json\n{\n" + ",\n".join(lines) + "\n}\n```\n"


def generated(text):
    """docs/records.md with its tables and its examples from captures as they should be."""
    schema = json.loads(text_of("docs/eve.schema.json"))

    def example(m):
        kind, path, number = m.group(1), m.group(2), int(m.group(3))
        records = [json.loads(x) for x in run(EGRET, "read", "--json", path).stdout.splitlines()]
        return m.group(0).split("\n")[0] + "\n" + show([r for r in records if r["event_type"] == kind][number - 1])

    text = re.sub(r"^<!-- example (\w+) (\S+) (\d+) -->\n(?:```json\n.*?^```\n)?", example, text, flags=re.M | re.S)
    head = text[:text.index("<!-- fields -->")]
    return head + "<!-- fields -->\n" + field_tables(schema)


def check_records():
    text = text_of("docs/records.md")
    want = generated(text)
    differ = [f"{a!r} should be {b!r}" for a, b in zip(text.split("\n"), want.split("\n")) if a != b][:5]
    CASES.check("docs/records.md is as docs.py --write makes it", text == want, *differ)
    shown = [json.loads(x) for x in re.findall(r"^```json\n(.*?)^```", text, re.M | re.S)]
    golden.check_schema(CASES, "examples of docs/records.md", [json.dumps(r).encode() for r in shown])
    schema = json.loads(text_of("docs/eve.schema.json"))
    kinds = schema["properties"]["event_type"]["enum"]
    CASES.same_set("an example of each event_type", {r["event_type"] for r in shown}, kinds)
    CASES.same_set("each event_type is explained", re.findall(r"^\| `(\w+)` \| (?:when|for|every)", text, re.M), kinds)


def main():
    if sys.argv[1:] == ["--write"]:
        text = generated(text_of("docs/records.md"))
        with open(os.path.join(SOURCE, "docs/records.md"), "w", encoding="utf-8") as f:
            f.write(text)
        text = METRIC_ROW.sub(lambda _: metric_rows(), text_of("docs/metrics.md"))
        with open(os.path.join(SOURCE, "docs/metrics.md"), "w", encoding="utf-8") as f:
            f.write(text)
        return 0
    for part in (check_options, check_values, check_metrics, check_shells, check_pages, check_unit, check_examples, check_conf, check_mentions,
                 check_records):
        part()
    return CASES.end()


sys.exit(main())
