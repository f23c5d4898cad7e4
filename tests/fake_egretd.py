#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for egretd's control socket (src/serve/control.h), for looking at what the commands of egret show.

usage: fake_egretd.py DIR [--groups N] [--flows N] [--lost] [--cost] [--for SECONDS]

Its rows hold what a terminal must not be given as it is: control characters, wide characters, right-to-left marks.
"""
import argparse
import json
import os
import select
import socket
import time

NAMES = ["curl", "apt-get", "firefox", "sshd", "日本語プログラム", "evil\x1b[31m\x1b]0;title\x07", "naïve", "a\u202egnp.exe",
         "very-long-program-name-that-goes-on-and-on-and-on", "c1\u009b31m", "tab\tnew\nline", "node", "python3"]
SORTS = {"up": "up", "down": "down", "flows": "flows", "bytes": "bytes", "rate": "up_rate", "label": "label"}


def groups(n, step):
    rows = []
    for i in range(n):
        label = NAMES[i % len(NAMES)] + ("" if i < len(NAMES) else f"-{i}")
        up, down = (i * 7919 + step * 1000 * (i % 5)), i * 104729 * (1 + step)
        rows.append({"label": label, "flows": i + 1, "up": up, "down": down, "bytes": up + down, "up_packets": up // 100,
                     "down_packets": down // 1000, "up_rate": (i % 5) * 1000.0, "down_rate": i * 104729.0, "last_ms": 0})
    return rows


def top(q, args, step):
    rows = groups(args.groups, step)
    key = SORTS[q.get("sort", "rate")]
    rows.sort(key=lambda r: r[key], reverse=key != "label")
    sums = {k: sum(r[k] for r in rows) for k in ("flows", "up", "down", "up_packets", "down_packets", "up_rate", "down_rate")}
    lost = {"ring-flow": 12, "eve-write": 3} if args.lost else {}
    limit = q.get("limit", 1000) or len(rows)
    return {"time_ms": int(time.time() * 1000), "by": q.get("by", "program"), "flows_now": args.flows, "lost": lost,
            "rows": rows[:limit], "totals": {"groups": len(rows), **sums}}


def stamp(t):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + ".000000+0000"


def flow(i, now, label):
    ended = i % 3 == 0
    r = {"timestamp": stamp(now), "flow_id": 1000 + i, "event_type": "flow", "src_ip": "10.0.0.5", "src_port": 40000 + i,
         "dest_ip": "2001:db8:1:2:3:4:5:6" if i % 4 == 1 else f"198.51.100.{i % 256}", "dest_port": 443, "proto": "TCP",
         "app_proto": "tls", "community_id": "1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "host": "fake",
         "flow": {"pkts_toserver": i, "pkts_toclient": 2 * i, "bytes_toserver": 100 * i, "bytes_toclient": 7000 * i,
                  "start": stamp(now - 60 * i), "end": stamp(now), "age": 60 * i, "state": "established", "alerted": False},
         "tcp": {"state": "established"},
         "process": {"pid": 100 + i, "name": label, "executable": "/usr/bin/" + label,
                     "command_line": label + " --url https://api.example.org/\x1b[2J"},
         "user": {"id": "1000", "name": "alice"},
         "egret": {"direction": "egress", "vantage": "host", "mid_stream": False, "seq": 0}}
    if i % 2:
        r["egret"].update(name=f"host{i}.\x1b[5mexample.org", name_source="dns")
    if ended:
        r["flow"].update(state="closed", reason="tcp_fin")
    return r


def flows(q, args):
    now, n = time.time(), args.flows
    label = q.get("group", {}).get("label", "curl")
    limit = min(q.get("limit", 1000) or n, n)
    return [flow(i, now, label) for i in range(limit)] + [{"end": True, "matched": n, "shown": limit}]


def status(args):
    return {"time": stamp(time.time()), "lost_total": 15 if args.lost else 0,
            "lost": {"ring-flow": 12 if args.lost else 0, "eve-write": 3 if args.lost else 0, "from-a-newer-egretd": 0},
            "losses": [{"reason": "ring-flow", "lost": 12, "means": "told late", "helps": "time"},
                       {"reason": "eve-write", "lost": 3, "means": "not in eve.json\x1b[31m", "helps": "room"}] if args.lost else [],
            "unreported": {"pkts_tx": 0, "bytes_tx": 0, "pkts_rx": 0, "bytes_rx": 0}, "flows_now": args.flows,
            "flows_total": 123456, "packets": 99999999, "bytes": 123456789012, "memory_bytes": 12345678, "rss_bytes": 45678901,
            "clients": 1, "version": "0.1.0", "host": "fake\x1b[31m", "watch": "host", "cgroup": "/", "eve": "off",
            "pid": os.getpid(), "uptime_s": 4000, "kernel_bytes": 1234567,
            "maps": {"sockets": {"entries": 12, "max": 131072}, "peers": {"entries": 3, "max": 65536}},
            "features": [{"name": "BTF", "there": True, "text": "types"}, {"name": "new", "there": False, "text": "less"}],
            "feeds": [{"kind": "list", "name": "bad", "from": "x", "entries": 7, "age_s": 90, "expired": True, "problem": "\x1b[m"}]}


# --- the history -----------------------------------------------------------------------------------------------------------

EVIL = ["/usr/bin/curl", "=cmd|' /C calc'!A0", "/opt/evil\x1b[2J\u202e,\"x\"", "/usr/bin/日本語"]
WORDS = {"app": EVIL, "user": ["alice", "root"], "name": ["example.org", "@host\x9b31m.example", "", "203.0.113.9"], "country": ["DE", "US"],
         "asn": ["64500"], "port": ["443"]}


def amounts(i, first, last):
    return {"flows": i + 1, "up": 1000 * (i + 1), "down": 70000 * i, "packets_up": 10 * (i + 1), "packets_down": 70 * i, "refused": i % 2,
            "first": first, "last": last}


def kept_usage(q, args):
    by, n = q.get("by", "app").split(","), min(args.groups, q.get("limit", 100))
    rows = [{**{k: WORDS.get(k, ["x"])[i % len(WORDS.get(k, ["x"]))] for k in by}, **amounts(i, q["from"], q["from"] + 60 * i)}
            for i in range(args.groups)]
    keys = ("flows", "up", "down", "packets_up", "packets_down", "refused")
    totals = {k: sum(r[k] for r in rows) for k in keys}
    end = {"end": True, "rows": len(rows), "shown": n, "totals": totals, "from": q["from"], "to": q["to"], "oldest": q["from"],
           "source": "days", "notes": ["days are whole days of UTC", "evil\x1b[2Jnote"]}
    if args.cost:
        for i, r in enumerate(rows):
            r["cost"] = {"amount": i / 1000, "currency": "USD"}
        totals["cost"] = [{"amount": 12.5, "currency": "USD"}, {"amount": 0.25, "currency": "EUR"}]
    if q["to"] > time.time() + 5:
        end["forecast"] = {"up": 2 * totals["up"], "down": 2 * totals["down"], **({"cost": rows[1]["cost"]} if args.cost else {})}
    return rows[:n] + [end]


def kept_timeline(q, args):
    step = q.get("step") or 3600
    start = q["from"] // step * step
    points = (q["to"] - 1) // step - start // step + 1
    by = [x for x in q.get("by", "").split(",") if x]

    def series(i):
        return {"key": {k: WORDS.get(k, ["x"])[i % len(WORDS.get(k, ["x"]))] for k in by},
                "up": [0 if p % 5 == 0 else (i + 1) * 1000 * (p % 9) for p in range(points)],
                "down": [0 if p < points // 2 else 10 ** (3 + i) for p in range(points)], "flows": [1 if p % 5 else 0 for p in range(points)]}
    rows = [series(i) for i in range(3 if by else 1)]
    if by:
        rows.append({**series(3), "key": {}, "others": True})
    return rows + [{"end": True, "start": start, "step": step, "points": points, "from": q["from"], "to": q["to"], "source": "hours",
                    "totals": {k: sum(sum(r[k]) for r in rows) for k in ("up", "down", "flows")}, "notes": []}]


def kept_who(q, args):
    now = int(time.time())
    sums = amounts(3, now - 9000, now)
    return [{"what": q["what"], "kind": "address", "domain": "example.org", "segment": "internet", "country": "DE", "asn": 64500,
             "as_org": "Evil\x1b[31m Org", **sums,
             "names": [{"name": "host\u202e.example.org", "source": "dns", **sums}, {"name": "example.org", "source": "sni", **sums}],
             "addresses": [{"address": "203.0.113.9", **sums}], "apps": [{"app": a, "user": "alice", **sums} for a in EVIL],
             "ports": [{"port": "443", "proto": "TCP", "protocol": "tls", **sums}, {"proto": "ICMP", **sums}],
             "rules": [{"rule": "policy.egret:12", "verdict": "allow", **sums}], "findings": [],
             "timeline": {"start": now - 3600, "step": 60, "up": list(range(60)), "down": [0] * 60},
             "flows_recent": [flow(i, now, "curl") for i in range(args.flows)][:20],
             "from": q["from"], "to": q["to"], "oldest": q["from"], "source": "flows", "notes": []}]


def kept_flows(q, args):
    n, skip = q.get("limit", 100), int(q.get("after", "0").split(".")[0])
    all_flows = [flow(i, time.time() - 86400 * (i // 10), "curl") for i in range(args.flows)]
    page = all_flows[skip:skip + n]
    end = {"end": True, "shown": len(page), "more": skip + n < len(all_flows), "from": q["from"], "to": q["to"], "oldest": q["from"],
           "source": "flows", "notes": []}
    if end["more"]:
        end["next"] = f"{skip + n}.1.2"
    else:
        end["matched"] = len(page)
    return page + [end]


KEPT = {"usage": kept_usage, "timeline": kept_timeline, "who": kept_who, "flows": kept_flows}


def answer(line, args):
    """The lines of the answer, and whether more follow each second."""
    q = json.loads(line)
    if q["ask"] == "status":
        return [status(args)], None
    if q["ask"] == "flows":
        return flows(q, args), None
    if q["ask"] == "history":
        return KEPT[q["do"]](q, args), None
    if q["ask"] == "top":
        return [top(q, args, 0)], q
    return [flow(1, time.time(), "curl")], q


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dir")
    p.add_argument("--groups", type=int, default=40)
    p.add_argument("--flows", type=int, default=60)
    p.add_argument("--lost", action="store_true")
    p.add_argument("--cost", action="store_true")
    p.add_argument("--for", type=float, default=0, dest="seconds")
    args = p.parse_args()
    path = os.path.join(args.dir, "egret.sock")
    if os.path.exists(path):
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(16)
    clients, running = {}, {}
    began, next_tick, step = time.time(), time.time() + 1, 0
    try:
        while not args.seconds or time.time() < began + args.seconds:
            ready = select.select([server, *clients], [], [], max(0, next_tick - time.time()))[0]
            for s in ready:
                if s is server:
                    c = server.accept()[0]
                    clients[c] = b""
                    continue
                try:
                    data = s.recv(65536)
                    clients[s] += data
                    while b"\n" in clients[s]:
                        line, clients[s] = clients[s].split(b"\n", 1)
                        lines, more = answer(line, args)
                        running[s] = more
                        s.sendall(b"".join(json.dumps(x, ensure_ascii=False).encode() + b"\n" for x in lines))
                except OSError:
                    data = b""
                if not data:
                    running.pop(s, None)
                    del clients[s]
                    s.close()
            if time.time() >= next_tick:
                next_tick += 1
                step += 1
                for s, q in list(running.items()):
                    if q:
                        x = top(q, args, step) if q["ask"] == "top" else flow(step, time.time(), "curl")
                        try:
                            s.sendall(json.dumps(x, ensure_ascii=False).encode() + b"\n")
                        except OSError:
                            running.pop(s)
    finally:
        os.unlink(path)


if __name__ == "__main__":
    main()
