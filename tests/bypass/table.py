# SPDX-License-Identifier: Apache-2.0
"""The attempts of the bypass suite in the order in which they run. What each one does is said at the head of its file."""

F4, F6, CDN4 = "10.77.0.3", "fd77::3", "10.77.0.4"
A4, A6 = "10.77.0.2", "fd77::2"


class Refused:
    """Nothing gets out, and there is a record of something refused to one of these addresses."""

    def __init__(self, *to):
        self.to = to


class Passes:
    """Allowed: shows that the policy does not simply stop everything."""


class Out:
    """Cannot be stopped; docs/limits.md says why under these words."""

    def __init__(self, why):
        self.why = why


class Attempt:
    def __init__(self, name, expect, argv=None, phase=None):
        self.name, self.expect, self.argv, self.phase = name, expect, argv, phase


FORBIDDEN = Refused(F4)
FORBIDDEN6 = Refused(F6)
TENANT = Refused(CDN4)

ATTEMPTS = [
    # what must go on working
    Attempt("control_courier", Passes()),
    Attempt("control_script", Passes()),
    Attempt("control_name", Passes()),
    Attempt("control_wildcard", Passes()),
    Attempt("control_user", Passes()),
    Attempt("control_quic", Passes()),
    # sockets
    Attempt("tcp_connect", FORBIDDEN),
    Attempt("tcp_connect6", FORBIDDEN6),
    Attempt("tcp_nonblocking", FORBIDDEN),
    Attempt("udp_unconnected", FORBIDDEN),
    Attempt("udp_connected", FORBIDDEN6),
    Attempt("udp_sendto_elsewhere", FORBIDDEN),
    Attempt("udp_af_unspec", FORBIDDEN),
    Attempt("udp_many_peers", FORBIDDEN),
    Attempt("udp_ancillary", FORBIDDEN),
    Attempt("udp_segmented", FORBIDDEN),
    Attempt("udp_corked", FORBIDDEN),
    Attempt("udp_zerocopy", FORBIDDEN),
    Attempt("udplite", FORBIDDEN),
    Attempt("dccp", FORBIDDEN),
    Attempt("sctp", FORBIDDEN),
    Attempt("mptcp", FORBIDDEN),
    Attempt("sendmmsg", FORBIDDEN, ["sendmmsg", "MARK", "PORT"]),
    Attempt("uring_connect", FORBIDDEN, ["uring", "tcp", "MARK", "PORT"]),
    Attempt("uring_sendmsg", FORBIDDEN, ["uring", "udp", "MARK", "PORT"]),
    Attempt("uring_kernel_thread", FORBIDDEN, ["uring", "poll", "MARK", "PORT"]),
    Attempt("tcp_fastopen", FORBIDDEN),
    Attempt("tcp_fastopen_connect", FORBIDDEN),
    Attempt("tcp_urgent", TENANT),
    Attempt("tcp_repair", FORBIDDEN),
    Attempt("tcp_sendfile", FORBIDDEN),
    Attempt("tcp_splice", FORBIDDEN),
    Attempt("source_address", FORBIDDEN),
    # addresses
    Attempt("v4_mapped", FORBIDDEN),
    Attempt("v4_mapped_udp", FORBIDDEN),
    Attempt("v4_in_v6_forms", Refused("64:ff9b::a4d:3", "2002:a4d:3::1", "64:ff9b::10.77.0.3")),
    Attempt("link_local", Refused("fe80::77:2")),
    Attempt("multicast", Refused("239.77.0.3")),
    Attempt("broadcast", Refused("10.77.0.255")),
    Attempt("v6_extension_headers", FORBIDDEN6),
    Attempt("v6_allowed_then_options", Refused(A6)),
    Attempt("v6_routing_header", FORBIDDEN6),
    Attempt("ip_source_route", FORBIDDEN),
    Attempt("nat_rewrite", FORBIDDEN),
    # beneath sockets
    Attempt("fragments", FORBIDDEN),
    Attempt("fragments6", FORBIDDEN6),
    Attempt("fragments_raw", FORBIDDEN),
    Attempt("fragment_tiny", Refused(A4)),
    Attempt("raw_ip", FORBIDDEN),
    Attempt("raw_ip_other_destination", FORBIDDEN),
    Attempt("raw_ip6", FORBIDDEN6),
    Attempt("raw_protocols", FORBIDDEN),
    Attempt("ip_in_ip_to_allowed", Refused(A4)),
    Attempt("raw_spoofed_flow", FORBIDDEN),
    Attempt("raw_tcp_order", TENANT),
    Attempt("packet_socket", FORBIDDEN),
    Attempt("packet_socket_cooked", FORBIDDEN),
    Attempt("packet_socket_bypass", Out("Packet sockets")),
    Attempt("icmp_payload", FORBIDDEN),
    Attempt("icmp6_payload", FORBIDDEN6),
    Attempt("icmp_reply", FORBIDDEN),
    Attempt("tun", FORBIDDEN),
    # names
    Attempt("dns_other_resolver", FORBIDDEN),
    Attempt("dns_over_tcp", FORBIDDEN),
    Attempt("dns_port_not_dns", FORBIDDEN6),
    Attempt("dns_tunnel", Out("Questions to the trusted resolver")),
    Attempt("dns_forged_by_loopback", FORBIDDEN),
    Attempt("dns_forged_raw", FORBIDDEN),
    Attempt("dns_forged_asked", FORBIDDEN),
    Attempt("dns_forged_wrong_port", FORBIDDEN),
    Attempt("dns_forged_veth", FORBIDDEN),
    Attempt("dns_forged_outside", FORBIDDEN, phase="forge"),
    Attempt("sni_stranger", FORBIDDEN),
    Attempt("sni_stranger_own_name", FORBIDDEN),
    Attempt("sni_other_tenant", TENANT),
    Attempt("sni_other_tenant_looked_up", TENANT),
    Attempt("sni_split_segments", TENANT),
    Attempt("sni_split_in_name", TENANT),
    Attempt("sni_split_records", TENANT),
    Attempt("sni_two_names", TENANT),
    Attempt("sni_far_behind", TENANT),
    Attempt("sni_case_and_dot", TENANT),
    Attempt("sni_idn", TENANT),
    Attempt("sni_allowed_inside", TENANT),
    Attempt("wildcard_edges", FORBIDDEN),
    Attempt("http_other_host", TENANT),
    Attempt("http_second_request", TENANT),
    Attempt("http_absolute_uri", TENANT),
    Attempt("http_two_hosts", TENANT),
    Attempt("http_odd_host", TENANT),
    Attempt("http_connect", TENANT),
    Attempt("http_split", TENANT),
    Attempt("http_pipelined", Out("Later requests and bytes that change")),
    Attempt("quic_other_sni", TENANT),
    Attempt("quic_second_initial", TENANT),
    Attempt("hello_unfinished", Out("A shared address without a name")),
    Attempt("no_sni", Out("A shared address without a name")),
    Attempt("starttls_other_name", Out("A shared address without a name")),
    Attempt("inside_tls", Out("Inside encryption")),
    # who it is
    Attempt("exe_copy", FORBIDDEN),
    Attempt("exe_argv", FORBIDDEN),
    Attempt("exe_hard_link", FORBIDDEN),
    Attempt("exe_bind_mount", FORBIDDEN),
    Attempt("exe_mount_namespace", FORBIDDEN),
    Attempt("exe_chroot", FORBIDDEN),
    Attempt("exe_overlay", FORBIDDEN),
    Attempt("exe_memfd", FORBIDDEN),
    Attempt("exe_deleted", FORBIDDEN),
    Attempt("exe_renamed_over", FORBIDDEN),
    Attempt("exe_loader", FORBIDDEN),
    Attempt("script_wrong_interpreter", FORBIDDEN),
    Attempt("script_same_name", FORBIDDEN),
    Attempt("script_relative", FORBIDDEN),
    Attempt("child_of_allowed", FORBIDDEN),
    Attempt("scm_rights_fresh", FORBIDDEN),
    Attempt("scm_rights_connected", Out("The allowed program's own work")),
    Attempt("reuseport_twin", FORBIDDEN),
    Attempt("ld_preload", Out("The allowed program's own work")),
    Attempt("ptrace", Out("The allowed program's own work"), ["ptrace", "COURIER", "F4", "7001", "MARK"]),
    Attempt("steal_socket", Out("The allowed program's own work")),
    Attempt("fork_setuid", FORBIDDEN),
    Attempt("userns_uid", FORBIDDEN),
    Attempt("userns_netns", FORBIDDEN),
    Attempt("new_netns", FORBIDDEN),
    Attempt("cgroup_nested", FORBIDDEN),
    Attempt("cgroup_moved", FORBIDDEN),
    Attempt("cgroup_namespace", FORBIDDEN),
    Attempt("container", FORBIDDEN),
    # time and memory
    Attempt("before_enforcement", FORBIDDEN, phase="before"),
    Attempt("before_enforcement_udp", FORBIDDEN, phase="before"),
    Attempt("reply_to_inbound", Out("Answers"), phase="inbound"),
    Attempt("fill_flows", FORBIDDEN),
    Attempt("fill_names", FORBIDDEN),
    Attempt("fill_processes", FORBIDDEN),
    Attempt("race_exec", FORBIDDEN),
    Attempt("race_swap", FORBIDDEN, phase="swap"),
    # by a machine behind a gateway
    Attempt("fragment_overlap", Refused(A4)),
    Attempt("tcp_without_syn", TENANT, phase="late"),
    Attempt("sni_decoy", TENANT),
    Attempt("sni_decoy_before", TENANT, ["sni_decoy.py", "before"]),
    Attempt("icmp_error_payload", FORBIDDEN),
    Attempt("icmp_error_elsewhere", FORBIDDEN),
    # last, because what it makes believe is believed from then on
    Attempt("dns_forged_on_link", Out("Answers in the resolver's name"), phase="forge"),
]

GATEWAY_ONLY = ("fragment_overlap", "tcp_without_syn", "sni_decoy", "sni_decoy_before", "icmp_error_payload",
                "icmp_error_elsewhere")

# What a machine behind a gateway may try: it has all rights there, so the kernel beneath a program is its own. None: as on a host.
GATEWAY = {
    **dict.fromkeys((
        "control_name", "control_wildcard", "control_quic", "tcp_connect", "tcp_connect6", "udp_unconnected", "udp_connected",
        "udp_segmented", "udplite", "dccp", "sctp", "mptcp", "tcp_fastopen", "tcp_urgent", "v4_mapped", "v6_extension_headers",
        "v6_routing_header", "fragments", "fragments6", "fragments_raw", "raw_ip", "raw_ip_other_destination", "raw_ip6",
        "raw_protocols", "ip_in_ip_to_allowed", "icmp_payload", "icmp6_payload", "icmp_reply",
        "dns_other_resolver", "dns_over_tcp", "dns_port_not_dns", "dns_tunnel", "sni_stranger", "sni_stranger_own_name",
        "sni_other_tenant", "sni_other_tenant_looked_up", "sni_split_segments", "sni_split_in_name", "sni_split_records",
        "sni_two_names", "sni_far_behind", "sni_case_and_dot", "sni_idn", "sni_allowed_inside", "wildcard_edges",
        "http_other_host", "http_second_request", "http_absolute_uri", "http_two_hosts", "http_odd_host", "http_connect",
        "http_split", "http_pipelined", "quic_other_sni", "quic_second_initial", "hello_unfinished", "no_sni",
        "starttls_other_name", "inside_tls", "fill_flows", "fill_names", "race_swap", "fragment_tiny", "before_enforcement",
        *GATEWAY_ONLY)),
    "raw_tcp_order": Out("A shared address without a name"),
}


def behind_a_gateway():
    by_name = {a.name: a for a in ATTEMPTS}
    return [Attempt(name, expect or by_name[name].expect, by_name[name].argv, by_name[name].phase)
            for name, expect in GATEWAY.items()]
