/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/shell_join.h"

#include "base/time.h"

bool shell_feeds(const struct stdio *out, const struct stdio *in)
{
	if (out->kind != in->kind || !out->id || !in->id)
		return false;
	if (out->kind == STDIO_PIPE)
		return out->id == in->id;
	return out->kind == STDIO_UNIX && stdio_unix_peer(out) &&
	       stdio_unix_peer(out) == stdio_unix_inode(in);
}

bool shell_same_process(const struct proc *a, const struct proc *b)
{
	/* What /proc tells of a start is cut to 10 ms. */
	return a && b && a->pid == b->pid &&
	       (a->start_ns > b->start_ns ? a->start_ns - b->start_ns : b->start_ns - a->start_ns) <
		       10 * NSEC_PER_MSEC;
}

/* A pipe, a terminal or one end of a pair that `other` does not have there itself. */
static bool is_own(const struct stdio *s, const struct proc *other)
{
	if (s->kind != STDIO_PIPE && s->kind != STDIO_UNIX && s->kind != STDIO_TTY)
		return false;
	for (int i = 0; i < STDIO_COUNT; i++)
		if (other->stdio[i].kind == s->kind && other->stdio[i].id == s->id)
			return false;
	return true;
}

/* Also of one that the relay forked to start it, as system(3) and socat's SYSTEM do. */
static bool comes_from(const struct proc *shell, const struct proc *relay)
{
	const struct proc *p = shell->parent;

	for (int i = 0; i < 3 && p && !shell_same_process(p, relay) && p->exe == relay->exe; i++)
		p = p->parent;
	return shell_same_process(p, relay);
}

bool shell_is_child(const struct proc *shell, const struct proc *relay)
{
	return comes_from(shell, relay) && is_own(&shell->stdio[0], relay) &&
	       is_own(&shell->stdio[1], relay);
}

bool shell_writes_to(const struct proc *shell, const struct proc *relay)
{
	return shell_feeds(&shell->stdio[1], &relay->stdio[0]);
}

bool shell_reads_from(const struct proc *shell, const struct proc *relay)
{
	return shell_feeds(&relay->stdio[1], &shell->stdio[0]);
}

bool shell_on_socket(const struct stdio s[STDIO_COUNT], const struct stdio **ret)
{
	if (s[0].kind != STDIO_INET || s[1].kind != STDIO_INET)
		return false;
	if (s[0].id || s[1].id ? s[0].id != s[1].id
			       : s[0].lport != s[1].lport || s[0].rport != s[1].rport ||
					 !addr_eq(&s[0].remote, &s[1].remote))
		return false;
	*ret = &s[0];
	return true;
}
