#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/detect/popular_table.inc: the best known domains as sorted 32-bit FNV-1a hashes.

    tools/popular.py ../shared/data/lists/cloudflare-top10k.json > src/detect/popular_table.inc

The list is Cloudflare Radar's top 10,000 as MISP ships it (misp-warninglists, CC0-1.0). It has no order within itself. What
everybody's machine asks for unasked (CORE) is ours.
"""
import json
import sys

CORE = """akadns.net akamai.net akamaiedge.net akamaized.net amazon.com amazonaws.com apple.com aaplimg.com
apple-dns.net archlinux.org azure.com azureedge.net bing.com canonical.com centos.org cloudflare.com cloudflare.net cloudfront.net
debian.org digicert.com docker.com docker.io edgekey.net edgesuite.net facebook.com fastly.net fbcdn.net fedoraproject.org firefox.com
ggpht.com github.com githubusercontent.com globalsign.com gnome.org google.com googleapis.com googleusercontent.com googlevideo.com
gstatic.com gvt1.com gvt2.com icloud.com instagram.com kernel.org letsencrypt.org lencr.org linkedin.com live.com live.net
microsoft.com microsoftonline.com mozaws.net mozilla.com mozilla.net mozilla.org msedge.net msftconnecttest.com msftncsi.com msn.com
netflix.com nflxvideo.net npmjs.org ntp.org office.com office365.com office.net opensuse.org outlook.com pypi.org pythonhosted.org
redhat.com sectigo.com skype.com snapcraft.io spotify.com trafficmanager.net twitter.com ubuntu.com usertrust.com verisign.com
whatsapp.com whatsapp.net wikipedia.org wikimedia.org windows.com windows.net windowsupdate.com yahoo.com youtube.com ytimg.com""".split()


def fnv1a(text):
    h = 0x811c9dc5
    for byte in text.encode():
        h = (h ^ byte) * 0x01000193 & 0xffffffff
    return h


def table(name, names):
    hashes = sorted({fnv1a(n) for n in names})
    print(f"static const uint32_t {name}[] = {{")
    for i in range(0, len(hashes), 8):
        print("\t" + " ".join(f"0x{h:08x}," for h in hashes[i:i + 8]))
    print("};")


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        names = json.load(f)["list"]
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* Made by tools/popular.py from misp-warninglists' cloudflare-top10k (CC0-1.0); not to be edited. */")
    print()
    table("popular_core", CORE)
    print()
    table("popular_known", set(names) - set(CORE))


main()
