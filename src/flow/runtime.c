/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/runtime.h"

#include <glob.h>
#include <jansson.h>
#include <stdio.h>

#include "base/cleanup.h"

#define STATE_FILE_MAX (8 << 20)

static bool is_hex_id(struct str s)
{
	if (s.n != 64)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return true;
}

static bool cut_prefix(struct str *s, struct str prefix)
{
	if (!str_has_prefix(*s, prefix))
		return false;
	*s = str_sub(*s, prefix.n, s->n);
	return true;
}

static bool cut_suffix(struct str *s, struct str suffix)
{
	if (s->n < suffix.n || !str_eq(str_sub(*s, s->n - suffix.n, suffix.n), suffix))
		return false;
	s->n -= suffix.n;
	return true;
}

static void set_text(char to[CONTAINER_TEXT_MAX], struct str s)
{
	size_t n = MIN(s.n, (size_t)CONTAINER_TEXT_MAX - 1);

	memcpy(to, s.p, n);
	to[n] = 0;
}

/* systemd escapes what may not stand in a unit's name as \xNN. */
static void set_unescaped(char to[CONTAINER_TEXT_MAX], struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n && n < CONTAINER_TEXT_MAX - 1; i++) {
		unsigned int c;
		char hex[3] = { 0 };

		if (i + 3 < s.n && s.p[i] == '\\' && s.p[i + 1] == 'x') {
			memcpy(hex, s.p + i + 2, 2);
			if (sscanf(hex, "%2x", &c) == 1 && c) {
				to[n++] = (char)c;
				i += 3;
				continue;
			}
		}
		to[n++] = s.p[i];
	}
	to[n] = 0;
}

/* "docker-<id>.scope" and the like. */
static bool scope_of_runtime(struct str part, struct container *ret)
{
	static const struct {
		struct str prefix;
		const char *runtime;
	} scopes[] = {
		{ STR("docker-"), "docker" },      { STR("cri-containerd-"), "containerd" },
		{ STR("crio-"), "cri-o" },         { STR("libpod-"), "podman" },
		{ STR("nerdctl-"), "containerd" }, { STR("containerd-"), "containerd" },
	};

	if (!cut_suffix(&part, STR(".scope")))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
		struct str id = part;

		if (!cut_prefix(&id, scopes[i].prefix) || !is_hex_id(id))
			continue;
		ret->id = id;
		ret->runtime = scopes[i].runtime;
		ret->own_unit = true;
		return true;
	}
	return false;
}

static bool named(struct str name, const char *runtime, bool own_unit, struct container *ret)
{
	if (!name.n)
		return false;
	ret->id = name;
	ret->runtime = runtime;
	ret->own_unit = own_unit;
	set_unescaped(ret->name, name);
	return true;
}

static bool machine(struct str part, struct container *ret)
{
	struct str name = part;

	if (cut_prefix(&name, STR("systemd-nspawn@")) && cut_suffix(&name, STR(".service")))
		return named(name, "nspawn", false, ret);
	name = part;
	/* Virtual machines are registered the same way and are no containers. */
	if (cut_prefix(&name, STR("machine-")) && cut_suffix(&name, STR(".scope")) &&
	    !str_has_prefix(name, STR("qemu")))
		return named(name, "nspawn", true, ret);
	return false;
}

static const char *runtime_of_folder(struct str parent, struct str path)
{
	if (str_eq(parent, STR("docker")) || str_has_prefix(path, STR("/ecs/")))
		return "docker";
	if (str_eq(parent, STR("libpod_parent")))
		return "podman";
	return str_has_prefix(path, STR("/kubepods")) ? "containerd" : "oci";
}

bool container_of_path(struct str path, struct container *ret)
{
	struct str rest = path, part, parent = STR_NONE;
	bool found = false;

	*ret = (struct container){ 0 };
	/* The innermost counts: containers run in containers. */
	for (; str_cut(&rest, '/', &part); parent = part) {
		struct str name = part;
		struct container c = { 0 };

		if (scope_of_runtime(part, &c) || machine(part, &c)) {
			*ret = c;
			found = true;
		} else if (is_hex_id(part) ||
			   (cut_prefix(&name, STR("libpod-")) && is_hex_id(name))) {
			*ret = (struct container){ .id = name };
			ret->runtime =
				name.n == part.n ? runtime_of_folder(parent, path) : "podman";
			found = true;
		} else if (str_eq(parent, STR("lxc")) || str_eq(parent, STR("lxc.payload")) ||
			   cut_prefix(&name, STR("lxc.payload."))) {
			found |= named(name, "lxc", false, ret);
		}
	}
	return found;
}

/* --- state files -------------------------------------------------------------------------------------------------- */

static void json_freep(json_t **j)
{
	json_decref(*j);
}

static json_t *load(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	long n;

	/* A runtime's file of many megabytes is not ours to read on the way of a flow. */
	if (!f || fseek(f, 0, SEEK_END) < 0 || (n = ftell(f)) < 0 || n > STATE_FILE_MAX)
		return NULL;
	rewind(f);
	return json_loadf(f, 0, NULL);
}

static void take(char to[CONTAINER_TEXT_MAX], const json_t *v)
{
	const char *s = json_string_value(v);

	if (s && !to[0])
		set_text(to, str_of(s[0] == '/' ? s + 1 : s));
}

static void read_docker(const char *root, struct container *c)
{
	_cleanup_(json_freep) json_t *j = NULL;
	char path[512];

	snprintf(path, sizeof(path), "%s/var/lib/docker/containers/%.*s/config.v2.json", root,
		 STR_FMT(c->id));
	j = load(path);
	take(c->name, json_object_get(j, "Name"));
	take(c->image, json_object_get(json_object_get(j, "Config"), "Image"));
}

static void read_containerd(const char *root, struct container *c)
{
	static const char *const names[] = { "io.kubernetes.cri.container-name", "nerdctl/name" };
	static const char *const images[] = { "io.kubernetes.cri.image-name",
					      "nerdctl/image-name" };
	_cleanup_(json_freep) json_t *j = NULL;
	json_t *notes;
	char pattern[512];
	glob_t g;

	snprintf(pattern, sizeof(pattern),
		 "%s/run/containerd/io.containerd.runtime.v2.task/*/%.*s/config.json", root,
		 STR_FMT(c->id));
	if (glob(pattern, GLOB_NOSORT, NULL, &g) != 0)
		return;
	j = load(g.gl_pathv[0]);
	globfree(&g);
	notes = json_object_get(j, "annotations");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		take(c->name, json_object_get(notes, names[i]));
		take(c->image, json_object_get(notes, images[i]));
	}
}

/* The list of containers/storage, of Podman and CRI-O; `metadata` is JSON within a string. */
static void read_storage(const char *path, struct container *c)
{
	_cleanup_(json_freep) json_t *list = load(path);
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item)
	{
		const char *id = json_string_value(json_object_get(item, "id"));
		const char *text = json_string_value(json_object_get(item, "metadata"));
		_cleanup_(json_freep) json_t *meta = text ? json_loads(text, 0, NULL) : NULL;

		if (!id || !str_eq(str_of(id), c->id))
			continue;
		take(c->name, json_object_get(meta, "container-name"));
		take(c->name, json_object_get(meta, "name"));
		take(c->name, json_array_get(json_object_get(item, "names"), 0));
		take(c->image, json_object_get(meta, "image-name"));
		return;
	}
}

static void read_podman(const char *root, struct container *c)
{
	static const char *const places[] = { "var/lib/containers/storage",
					      "run/containers/storage" };
	static const char *const kinds[] = { "overlay-containers/containers.json",
					     "overlay-containers/volatile-containers.json",
					     "vfs-containers/containers.json" };
	char path[512];

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(kinds) && !c->name[0]; k++) {
			snprintf(path, sizeof(path), "%s/%s/%s", root, places[i], kinds[k]);
			read_storage(path, c);
		}
	}
}

bool container_read_state(const char *root, struct container *c)
{
	struct str runtime = str_of(c->runtime);

	if (str_eq(runtime, STR("docker")))
		read_docker(root, c);
	else if (str_eq(runtime, STR("containerd")))
		read_containerd(root, c);
	else if (str_eq(runtime, STR("podman")) || str_eq(runtime, STR("cri-o")))
		read_podman(root, c);
	if (!c->name[0] && is_hex_id(c->id) && !str_eq(runtime, STR("docker"))) {
		/* The path did not tell whose it is, or told the wrong one: an id is only known to its own runtime. */
		read_containerd(root, c);
		if (!c->name[0])
			read_podman(root, c);
		if (!c->name[0])
			read_docker(root, c);
	}
	return c->name[0] || c->image[0];
}
