#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a month cost in a running egretd: by set, list and segment, to the byte of eve.json; budgets that are passed are told once, over kill -9;
what is wrong with them is told with its line."""
import csv
import decimal
import io
import json
import os
import re
import subprocess
import sys
import time

import lab
from guarded import Guarded
from lab import S4, S6

CASES = lab.golden.Cases()
PORT, SIXTH = 7301, 7302
SENT = 200_000
# 1 USD for each kB and the like, so that a test costs money.
POLICY = """segment lab = {S4}/32
list region = file "{region}"
set free = 192.0.2.0/24
price set free = 0.00 USD/GB
price list region = 2000 EUR/MB
price lab = 0.00 USD/MB, 1000 USD/MB after 100 kB, 500 USD/MB after 150 kB
budget all = 1000000 USD/month
budget tight = 20 USD/month for lab
budget region = 0.5 EUR/month for list region
default allow
"""


def lines(done):
    return [json.loads(x, parse_float=decimal.Decimal) for x in done.stdout.splitlines()]


def cost(d, *argv):
    done = d.egret("cost", "--json", *argv)
    if not CASES.check(f"egret cost --json {' '.join(argv)}", done.returncode == 0 and done.stdout, done):
        return [], {}
    got = lines(done)
    return got[:-1], got[-1]


def up(d, port):
    return sum(r["flow"]["bytes_toserver"] for r in lab.last_flows(d.records()) if r.get("dest_port") == port)


def tiers(n):
    """Of the price for lab, in 10^-9 USD."""
    return max(0, min(n, 150_000) - 100_000) * 1_000_000 + max(0, n - 150_000) * 500_000


def send(n, to, port):
    n.python("import socket,sys\ns=socket.create_connection((sys.argv[1],int(sys.argv[2])))\n"
             f"s.sendall(bytes({SENT}))\ns.shutdown(socket.SHUT_WR)\nwhile s.recv(65536): pass", to, port)


def money(c):
    return int(decimal.Decimal(c["amount"]) * 10**9), c["currency"]


def answers(d):
    usd, eur = tiers(up(d, PORT)), up(d, SIXTH) * 2_000_000
    rows, end = cost(d, "--by", "port")
    CASES.equal("by price, as eve.json", [(p["price"], p["up"], money(p["cost"])) for p in end.get("prices", [])],
                [("set free", 0, (0, "USD")), ("list region", up(d, SIXTH), (eur, "EUR")), ("lab", up(d, PORT), (usd, "USD"))])
    CASES.equal("by port, the dearest first", [(r["port"], money(r["cost"])) for r in rows if "cost" in r],
                sorted([(str(PORT), (usd, "USD")), (str(SIXTH), (eur, "EUR"))], key=lambda x: -x[1][0]))
    CASES.equal("usage says the same", cost(d)[1].get("totals"), lines(d.egret("usage", "--json", "--last", "1h"))[-1]["totals"])
    CASES.check("the month is one of UTC, until it ends", time.gmtime(end["from"])[2:5] == (1, 0, 0) and
                time.gmtime(end["to"])[2:5] == (1, 0, 0) and end["from"] < time.time() < end["to"], end)
    CASES.equal("budgets", [(b["budget"], b["currency"], b["of"], int(b["used"] * 10**9), b["line"]) for b in end.get("budgets", [])],
                [("all", "USD", 1000000, usd, 7), ("tight", "USD", 20, usd, 8), ("region", "EUR", decimal.Decimal("0.5"), eur, 9)])
    CASES.check("budgets: states", [b["state"] for b in end["budgets"]][1:] == ["over", "over"], end)
    rows, end = cost(d, "--last", "month")
    CASES.check("last month: the whole one before, in which nothing was", not rows and end["to"] <= time.time() and
                time.gmtime(end["to"])[2:5] == (1, 0, 0) and time.gmtime(end["to"] - 1)[1] == time.gmtime(end["from"])[1] and
                [b["used"] for b in end["budgets"]] == [0, 0, 0], rows, end)
    text = d.egret("cost", "--by", "app,port").stdout
    CASES.check("for people", all(re.search(x, text, re.M) for x in (
        r"^APP +PORT +FLOWS +UP +DOWN +COST +LAST$", rf"^\S*python\S* +{PORT} ", r"^PRICE +UP +COST$", r"^set free +0 B +0\.00 USD$",
        r"^BUDGET +MONTH +OF +USED +FORECAST +STATE$", r"^tight +\d{4}-\d\d +20\.00 USD .* is passed$")), text)
    done = d.egret("cost", "--csv", "--by", "port")
    CASES.equal("CSV", {r["port"]: (r["cost"], r["currency"]) for r in csv.DictReader(io.StringIO(done.stdout)) if r["cost"]},
                {str(r["port"]): (str(r["cost"]["amount"]), r["cost"]["currency"]) for r in cost(d, "--by", "port")[0] if "cost" in r})
    for argv in (("--last", "year"), ("--period", "year"), ("--sort", "x", "--colour"), ("port:x",)):
        done = d.egret("cost", *argv)
        CASES.check(f"egret cost {' '.join(argv)}: wrong call", done.returncode == 2 and done.stderr and not done.stdout, done)


def told(d):
    return sorted(re.findall(r"loaded\.egret:\d+: the budget '\w+' is passed", d.messages()))


def budgets(d):
    both = ["loaded.egret:8: the budget 'tight' is passed", "loaded.egret:9: the budget 'region' is passed"]
    lab.wait_for("the log to tell of budgets", lambda: len(told(d)) >= 2, 20)
    CASES.equal("each budget that is passed is told once", told(d), both)
    CASES.check("with figures", re.search(r"'tight' is passed: \d+\.\d\d of 20\.00 USD are used, until \d{4}-\d\d-01 00:00 UTC", d.messages()),
                d.messages())
    metrics = d.egret("status", "--metrics").stdout
    CASES.check("metrics", re.search(r'^egret_budget_limit\{budget="tight",currency="USD"\} 20\.0+$', metrics, re.M) and
                re.search(r'^egret_budget_used\{budget="tight",currency="USD"\} [4-9]\d\.', metrics, re.M), metrics)
    CASES.equal("the quota verb has them", [b["budget"] for b in json.loads(d.egret("quota", "--json").stdout)["budgets"]],
                ["all", "tight", "region"])
    d.kill()
    d.start()
    lab.wait_for("it to be reckoned again", lambda: "egret_budget_used{" in d.egret("status", "--metrics").stdout, 20)
    CASES.equal("kill -9: not told again", told(d), [])


def wrong(n, d, policy):
    done = d.load(policy.replace("budget tight = 20 USD", "budget tight = 20 GBP"), "--watch")
    CASES.check("a currency that no price has: refused with the line", done.returncode and
                "loaded.egret:8:33: error: the price for this is in USD, the budget in GBP" in done.stderr + done.stdout, done)
    CASES.equal("and what was in force stays", len(json.loads(d.egret("quota", "--json").stdout)["budgets"]), 3)
    nothing = Guarded(n)
    nothing.start()
    done = nothing.load(policy, "--watch")
    CASES.check("no history: loading says so, with the line", done.returncode in (0, 1) and re.search(
        r"loaded\.egret:8:8: warning: a budget needs the history", done.stderr + done.stdout), done)
    nothing.stop()


def scenario(n):
    region = os.path.join(n.tmp, "region.txt")
    with open(region, "w", encoding="ascii") as f:
        f.write(f"# a region\n{S6}/128\n")
    policy = POLICY.format(S4=S4, region=region)
    d = Guarded(n, conf="store sqlite\n")
    d.start()
    CASES.check("without a price a note says so", "no policy with a price is in force" in d.egret("cost").stdout)
    done = d.load(policy, "--watch")
    CASES.check("load", done.returncode == 0 and "budget" not in done.stderr, done)
    lab.wait_for("budgets to be reckoned", lambda: "egret_budget_used{" in d.egret("status", "--metrics").stdout)
    CASES.equal("nothing was spent: nothing is told", told(d), [])
    send(n, S4, PORT)
    send(n, S6, SIXTH)
    n.wait_quiet()
    lab.wait_for("both flows in eve.json", lambda: up(d, PORT) > SENT and up(d, SIXTH) > SENT)
    lab.wait_for("both flows in the history", lambda: lines(d.egret("usage", "--json", "--last", "1h"))[-1]["totals"]["up"] >=
                 up(d, PORT) + up(d, SIXTH), 10)
    answers(d)
    d.load(policy, "--watch")  # else they are reckoned a minute after the last time
    budgets(d)
    wrong(n, d, policy)
    CASES.equal("ends well", d.stop(), 0)


def main():
    lab.need(CASES, "nsenter", "unshare")
    os.environ["LC_ALL"] = "C.UTF-8"
    n = lab.Lab("cos")
    try:
        n.sink(PORT)
        n.sink(SIXTH)
        scenario(n)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError, ValueError, KeyError) as e:
        CASES.check("scenario", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
