/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what we ask of a kernel. A row is found by trying; versions are text for people. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "attach/features.h"
#include "attach/cgroup2.h"
#include "base/cleanup.h"

struct probe {
	const char *name, *used_for, *lost, *remedy, *since;
	enum feature_state (*try)(const struct probe *p, char detail[128]);
	int number;         /* of a program type, map type or helper */
	int other;          /* program type that calls the helper */
	const char *btf;    /* or a function of the kernel … */
	const char *module; /* … and where it is when it is not built in */
};

static enum feature_state told(int r, char detail[128])
{
	if (r > 0)
		return FEATURE_YES;
	if (r == -EPERM || r == -EACCES) {
		snprintf(detail, 128, "could not be tried: %s", strerror(-r));
		return FEATURE_NO_RIGHTS;
	}
	if (r < 0)
		snprintf(detail, 128, "%s", strerror(-r));
	return FEATURE_NO;
}

static bool may_bpf(void)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	_cleanup_close_ int fd = -1;

	fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, NULL, "GPL", insns, ARRAY_SIZE(insns), NULL);
	return fd >= 0 || (errno != EPERM && errno != EACCES);
}

static enum feature_state try_prog(const struct probe *p, char detail[128])
{
	return told(may_bpf() ? libbpf_probe_bpf_prog_type(p->number, NULL) : -EPERM, detail);
}

static enum feature_state try_map(const struct probe *p, char detail[128])
{
	return told(may_bpf() ? libbpf_probe_bpf_map_type(p->number, NULL) : -EPERM, detail);
}

static enum feature_state try_helper(const struct probe *p, char detail[128])
{
	return told(may_bpf() ? libbpf_probe_bpf_helper(p->other, p->number, NULL) : -EPERM,
		    detail);
}

static enum feature_state try_rights(const struct probe *p, char detail[128])
{
	(void)p;
	return told(may_bpf() ? 1 : -EPERM, detail);
}

static enum feature_state try_cgroup2(const struct probe *p, char detail[128])
{
	char path[4096];

	(void)p;
	if (cgroup2_mount_path(path, sizeof(path)))
		return FEATURE_NO;
	snprintf(detail, 128, "%.127s", path);
	return FEATURE_YES;
}

/* A kernel function, or (as btf_trace_…) a tracepoint, that BTF knows. */
static enum feature_state try_btf(const struct probe *p, char detail[128])
{
	struct btf *btf = btf__load_vmlinux_btf();
	int id;

	if (libbpf_get_error(btf)) {
		snprintf(detail, 128, "no /sys/kernel/btf/vmlinux");
		return FEATURE_NO;
	}
	id = p->btf ? btf__find_by_name_kind(btf, p->btf, p->number) : 1;
	btf__free(btf);
	return id > 0 ? FEATURE_YES : FEATURE_NO;
}

static enum feature_state try_bpffs(const struct probe *p, char detail[128])
{
	struct statfs s;

	(void)p;
	if (statfs("/sys/fs/bpf", &s)) {
		snprintf(detail, 128, "/sys/fs/bpf: %s", strerror(errno));
		return FEATURE_NO;
	}
	if (s.f_type != 0xcafe4a11) {
		snprintf(detail, 128, "/sys/fs/bpf is not a bpf file system");
		return FEATURE_NO;
	}
	snprintf(detail, 128, "/sys/fs/bpf");
	return FEATURE_YES;
}

static enum feature_state try_jit(const struct probe *p, char detail[128])
{
	_cleanup_fclose_ FILE *f = fopen("/proc/sys/net/core/bpf_jit_enable", "re");
	int on = f ? fgetc(f) : EOF;

	(void)p;
	if (on == EOF) {
		snprintf(detail, 128, "net.core.bpf_jit_enable cannot be read");
		return FEATURE_NO_RIGHTS;
	}
	snprintf(detail, 128, "net.core.bpf_jit_enable = %c", on);
	return on == '0' ? FEATURE_NO : FEATURE_YES;
}

static bool file_says(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[1024];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, text))
			return true;
	return false;
}

/* Built in or loaded; or there to be loaded. */
static enum feature_state try_function(const struct probe *p, char detail[128])
{
	struct utsname uts;
	char text[128];

	snprintf(text, sizeof(text), " %s", p->btf);
	if (file_says("/proc/kallsyms", text))
		return FEATURE_YES;
	uname(&uts);
	snprintf(text, sizeof(text), "/lib/modules/%.100s/modules.dep", uts.release);
	snprintf(detail, 128, "module %s", p->module);
	return file_says(text, p->module) ? FEATURE_YES : FEATURE_NO;
}

#define NEEDS_KERNEL "a newer kernel"

static const struct probe probes[] = {
	{ "rights", "to load and attach", NULL,
	  "run as root, or give CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN", "5.8", try_rights },
	{ "BTF", "to find fields of kernel structs", NULL,
	  "a kernel built with CONFIG_DEBUG_INFO_BTF", "5.2", try_btf },
	{ "cgroup v2", "what is watched is a cgroup v2 subtree", NULL,
	  "mount -t cgroup2 none /sys/fs/cgroup", "4.5", try_cgroup2 },
	{ "cgroup_skb", "counts packets and reads first bytes", NULL,
	  "a kernel with CONFIG_CGROUP_BPF", "4.10", try_prog, BPF_PROG_TYPE_CGROUP_SKB },
	{ "cgroup_sock_addr", "connect(): whose a flow is", NULL, "a kernel with CONFIG_CGROUP_BPF",
	  "4.17", try_prog, BPF_PROG_TYPE_CGROUP_SOCK_ADDR },
	{ "cgroup_sock", "bind() and close of datagram sockets", NULL,
	  "a kernel with CONFIG_CGROUP_BPF", "5.9", try_prog, BPF_PROG_TYPE_CGROUP_SOCK },
	{ "sock_ops", "paces connections that have a rate", NULL, "a kernel with CONFIG_CGROUP_BPF",
	  "5.3", try_prog, BPF_PROG_TYPE_SOCK_OPS },
	{ "socket storage", "counters live in the socket", NULL, NEEDS_KERNEL, "5.2", try_map,
	  BPF_MAP_TYPE_SK_STORAGE },
	{ "ring buffer", "notices and first bytes for user space", NULL, NEEDS_KERNEL, "5.8",
	  try_map, BPF_MAP_TYPE_RINGBUF },
	{ "bpf_loop", "reads DNS answers and paths in the kernel", NULL, NEEDS_KERNEL, "5.17",
	  try_helper, BPF_FUNC_loop, BPF_PROG_TYPE_CGROUP_SKB },
	{ "current task", "the process behind a packet", NULL, NEEDS_KERNEL, "6.1", try_helper,
	  BPF_FUNC_get_current_task_btf, BPF_PROG_TYPE_CGROUP_SOCK_ADDR },
	{ "tracepoint tcp_destroy_sock", "the end of a TCP flow and its last counters", NULL,
	  NEEDS_KERNEL, "4.16", try_btf, BTF_KIND_TYPEDEF, 0, "btf_trace_tcp_destroy_sock" },
	{ "tracepoint kfree_skb", "the peer's FIN after the socket is gone", NULL, NEEDS_KERNEL,
	  "2.6.30", try_btf, BTF_KIND_TYPEDEF, 0, "btf_trace_kfree_skb" },
	{ "tracepoint tcp_send_reset", "resets sent for a socket, not by it", NULL, NEEDS_KERNEL,
	  "4.16", try_btf, BTF_KIND_TYPEDEF, 0, "btf_trace_tcp_send_reset" },
	{ "tracepoints of processes", "programs that are gone before user space looks", NULL,
	  NEEDS_KERNEL, "2.6.30", try_btf, BTF_KIND_TYPEDEF, 0, "btf_trace_sched_process_exec" },
	{ "iterator over sockets", "the steady sweep of all counters", NULL, NEEDS_KERNEL, "5.9",
	  try_btf, BTF_KIND_FUNC, 0, "bpf_iter_bpf_sk_storage_map" },
	{ "iterator over open files", "sockets that were open before egret", NULL, NEEDS_KERNEL,
	  "5.8", try_btf, BTF_KIND_FUNC, 0, "bpf_iter_task_file" },
	{ "tracepoint cap_capable", "who opens a packet socket, at once",
	  "packet sockets are found by a look at open files every 10 s: short-lived ones are "
	  "missed",
	  NEEDS_KERNEL, "6.14", try_btf, BTF_KIND_TYPEDEF, 0, "btf_trace_cap_capable" },
	{ "bpf_cast_to_kern_ctx",
	  "packets on the wire behind one skb: fragments, segments of a device without offload",
	  "such packets count as one; sockets opened before egret may carry the wrong network "
	  "namespace",
	  NEEDS_KERNEL, "6.2", try_btf, BTF_KIND_FUNC, 0, "bpf_cast_to_kern_ctx" },
	{ "BPF JIT", "speed", "every packet costs several times as much",
	  "sysctl net.core.bpf_jit_enable=1", "3.0", try_jit },
	{ "bpf_sock_destroy", "ends open connections that a new policy refuses",
	  "their packets are dropped: the program notices only when it gives up waiting",
	  NEEDS_KERNEL, "6.5", try_btf, BTF_KIND_FUNC, 0, "bpf_sock_destroy" },
	{ "tc classifier",
	  "the gateway; the backstop: judges what packet sockets send (egret.conf: backstop on)",
	  "what is forwarded is not seen; what packet sockets send is not judged", NEEDS_KERNEL,
	  "4.1", try_prog, BPF_PROG_TYPE_SCHED_CLS },
	{ "HTB", "priorities (policy: link, priority)",
	  "priorities have no effect, and that is said", "a kernel with CONFIG_NET_SCH_HTB",
	  "2.4.20", try_function, 0, 0, "htb_enqueue", "sch_htb.ko" },
	{ "TBF", "the queues of a link", "as without HTB", "a kernel with CONFIG_NET_SCH_TBF",
	  "2.2", try_function, 0, 0, "tbf_enqueue", "sch_tbf.ko" },
	{ "conntrack over netlink", "what NAT makes of a gateway's flows",
	  "such flows do not say it", "a kernel with CONFIG_NF_CT_NETLINK", "2.6.14", try_function,
	  0, 0, "ctnetlink_dump_table", "nf_conntrack_netlink.ko" },
	{ "bpf file system", "enforcement that outlives egretd",
	  "a policy that is enforced ends with egretd", "mount -t bpf bpf /sys/fs/bpf", "4.4",
	  try_bpffs },
};

size_t features_probe(struct feature *ret, size_t max)
{
	for (size_t i = 0; i < ARRAY_SIZE(probes) && i < max; i++) {
		const struct probe *p = &probes[i];

		ret[i] = (struct feature){
			.name = p->name,
			.used_for = p->used_for,
			.lost = p->lost,
			.remedy = p->remedy,
			.since = p->since,
		};
		ret[i].state = p->try(p, ret[i].detail);
	}
	return ARRAY_SIZE(probes);
}
