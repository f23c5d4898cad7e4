/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "web/route.h"

#define TEN_YEARS_S (3660ULL * 86400)
#define FILTER_MAX 4096

/* clang-format off */
#define FILTER { "filter", WEB_STRING, false, FILTER_MAX, NULL, "the filter language, as proc:curl port:443" }
#define LIMIT(most) { "limit", WEB_NUMBER, false, most, NULL, "at most so many rows" }
#define FROM { "from", WEB_TIME, false, 0, NULL, "from then on" }
#define TO { "to", WEB_TIME, false, 0, NULL, "before then" }
#define LAST { "last", WEB_SPAN, false, TEN_YEARS_S, NULL, "so long up to now; the last 24 h when nothing is said" }
#define TOP_SORTS "rate up down bytes flows label"
#define BY(help) { "by", WEB_STRING, false, 128, NULL, help }
#define EVENT_TYPES "flow dns tls quic http smtp ssh stats notice drop alert"

static const struct web_param flows_params[] = {
	FILTER, LIMIT(10000),
	{ "sort", WEB_WORD, false, 0, "none start up down bytes packets last", "what comes first; by id when not said" },
	{ "ended", WEB_FLAG, false, 0, NULL, "those that ended lately, too" },
	{ 0 },
};

static const struct web_param top_params[] = {
	BY("what to group by: program user unit container name host port …"),
	FILTER, LIMIT(5000),
	{ "sort", WEB_WORD, false, 0, TOP_SORTS, "what comes first" },
	{ 0 },
};

static const struct web_param events_params[] = {
	FILTER,
	{ "types", WEB_LIST, false, 0, EVENT_TYPES, "only these kinds of records" },
	{ 0 },
};

static const struct web_param history_flows_params[] = {
	FROM, TO, LAST, FILTER, LIMIT(10000),
	{ "after", WEB_STRING, false, 128, NULL, "go on where an answer ended: its `next`" },
	{ 0 },
};

static const struct web_param usage_params[] = {
	FROM, TO, LAST, FILTER, LIMIT(10000),
	BY("1 to 4 dimensions, commas between: app user unit container segment name domain country asn rule address …; from,to: who opens flows to whom, by segments"),
	{ "sort", WEB_WORD, false, 0, "bytes up down flows cost last", "what comes first" },
	{ "period", WEB_WORD, false, 0, "month", "the calendar month so far, with a forecast" },
	{ 0 },
};

static const struct web_param timeline_params[] = {
	FROM, TO, LAST, FILTER, LIMIT(50),
	BY("0 to 2 dimensions, commas between; totals when not said"),
	{ "step", WEB_NUMBER, false, 86400, NULL, "seconds a point; chosen when not said" },
	{ 0 },
};

static const struct web_param flow_params[] = {
	{ "id", WEB_NUMBER, true, INT64_MAX, NULL, "flow_id of a record" },
	{ 0 },
};

static const struct web_param who_params[] = {
	{ "what", WEB_STRING, true, 255, NULL, "an address or a name" },
	FROM, TO, LAST,
	{ 0 },
};

static const struct web_param why_params[] = {
	{ "to", WEB_STRING, true, 255, NULL, "name or address that would be contacted" },
	{ "port", WEB_NUMBER, false, 65535, NULL, "its port" },
	{ "proto", WEB_WORD, false, 0, "tcp udp sctp icmp icmp6", "tcp when not said" },
	{ "app", WEB_STRING, false, 1023, NULL, "the program, with its path" },
	{ "user", WEB_STRING, false, 63, NULL, "who runs it" },
	{ "unit", WEB_STRING, false, 255, NULL, "its systemd unit" },
	{ "address", WEB_STRING, false, 63, NULL, "the address that the name leads to" },
	{ "from", WEB_STRING, false, 63, NULL, "the address that it leaves from" },
	{ "speaking", WEB_STRING, false, 31, NULL, "the application protocol" },
	{ 0 },
};

#define DETECTOR { "detector", WEB_STRING, false, 31, NULL, "only of this detector" }

static const struct web_param findings_params[] = {
	{ "last", WEB_SPAN, false, TEN_YEARS_S, NULL, "that were open within so long" },
	{ "low", WEB_FLAG, false, 0, NULL, "those that are only for the log, too" },
	FILTER,
	{ "id", WEB_STRING, false, 15, NULL, "only this one" },
	DETECTOR,
	{ "class", WEB_STRING, false, 15, NULL, "only of this class" },
	{ "level", WEB_STRING, false, 15, NULL, "of this level or above" },
	LIMIT(10000),
	{ 0 },
};

static const struct web_param ack_params[] = {
	{ "id", WEB_STRING, false, 15, NULL, "the finding; or entity, peer and detector" },
	{ "entity", WEB_STRING, false, 255, NULL, "whose" },
	{ "peer", WEB_STRING, false, 255, NULL, "towards whom" },
	DETECTOR,
	{ "for", WEB_SPAN, false, TEN_YEARS_S, NULL, "how long it holds" },
	{ "note", WEB_STRING, false, 255, NULL, "why" },
	{ 0 },
};

static const struct web_param unack_params[] = {
	{ "number", WEB_NUMBER, true, UINT32_MAX, NULL, "of the exception" },
	{ 0 },
};

static const struct web_param load_params[] = {
	{ "text", WEB_FILE, true, 256 << 10, NULL, "the policy" },
	{ "mode", WEB_WORD, true, 0, "watch enforce", "refuse, or only say what would be refused" },
	{ "confirm", WEB_SPAN, false, 86400, NULL, "roll back after so long unless it is confirmed" },
	{ "force", WEB_FLAG, false, 0, NULL, "in spite of expectations that fail" },
	{ 0 },
};

static const struct web_param replay_params[] = {
	{ "text", WEB_FILE, true, 256 << 10, NULL, "the policy" },
	FROM, TO, LAST, FILTER,
	{ 0 },
};

static const struct web_param block_params[] = {
	{ "rule", WEB_STRING, true, 1023, NULL, "as in a policy, as deny to 203.0.113.9" },
	{ "for", WEB_SPAN, false, TEN_YEARS_S, NULL, "how long; until it is taken away when not said" },
	{ "note", WEB_STRING, false, 255, NULL, "why" },
	{ 0 },
};

static const struct web_param unblock_params[] = {
	{ "rule", WEB_STRING, false, 1023, NULL, "as it was given; or all" },
	{ "all", WEB_FLAG, false, 0, NULL, "all dated rules" },
	{ 0 },
};

static const struct web_param intel_params[] = {
	{ "indicator", WEB_STRING, true, 1023, NULL, "an address, name, URL or hash" },
	{ 0 },
};

static const struct web_param hosts_params[] = {
	FROM, TO, LAST, FILTER, LIMIT(10000),
	{ 0 },
};

#define EVE_ROW "timestamp:s event_type:s"
#define SUMS "flows:i up:i down:i"
#define DONE "done:b ?messages:s ?again:b ?mode:s ?gen:i"

static const struct web_route routes[] = {
	{ "GET", "/status", "\"ask\":\"status\"", WEB_OBJECT, NULL,
	  "time:s ?lost_total:i ?lost:o ?unreported:o ?flows_now:i ?flows_total:i ?packets:i ?bytes:i ?memory_bytes:i clients:i version:s "
	  "host:s ?console:b ?clickhouse:o uptime_s:i ?policy:o ?detect:o page:o you:o",
	  NULL, "What egretd watches, how much it saw and lost, or of a console whether its ClickHouse answers; `you`: what you may do." },
	{ "POST", "/ask", "", WEB_LINES, NULL, NULL, NULL,
	  "A request line of the control socket that only reads and ends, as it is, and its answer lines as they come." },
	{ "GET", "/flows", "\"ask\":\"flows\"", WEB_ROWS, flows_params, "matched:i shown:i", EVE_ROW " flow_id:i flow:o egret:o",
	  "The living flows, as `flow` records of eve.json." },
	{ "GET", "/top", "\"ask\":\"top\"", WEB_OBJECT, top_params,
	  "time_ms:i by:s flows_now:i lost:o ?findings:o rows:a totals:o", NULL, "Sums over the living flows, as `egret top` shows." },
	{ "GET", "/history/flows", "\"ask\":\"history\",\"do\":\"flows\"", WEB_ROWS, history_flows_params,
	  "matched:i shown:i ?next:s from:i to:i source:s", EVE_ROW " flow_id:i flow:o", "Flows of the past, newest first." },
	{ "GET", "/history/usage", "\"ask\":\"history\",\"do\":\"usage\"", WEB_ROWS, usage_params,
	  "matched:i shown:i totals:o source:s from:i to:i ?forecast:o ?prices:a ?budgets:a", SUMS " ?cost:o", "Bytes, flows and cost of the past by any dimension." },
	{ "GET", "/history/timeline", "\"ask\":\"history\",\"do\":\"timeline\"", WEB_ROWS, timeline_params,
	  "start:i step:i points:i totals:o source:s", "key:o up:a down:a flows:a ?others:b", "The past over time." },
	{ "GET", "/history/flow", "\"ask\":\"history\",\"do\":\"flow\"", WEB_OBJECT, flow_params, EVE_ROW " flow_id:i flow:o", NULL,
	  "One flow of the past with all its pieces." },
	{ "GET", "/fleet/hosts", "\"ask\":\"history\",\"do\":\"hosts\"", WEB_ROWS, hosts_params, "matched:i shown:i",
	  "host:s seen:i version:s policy_mode:s flows:i lost:i waiting:i spool_bytes:i", "On a console: the machines that send to its ClickHouse, as each told it last." },
	{ "GET", "/fleet/findings", "\"ask\":\"history\",\"do\":\"cases\"", WEB_ROWS, hosts_params, "matched:i shown:i",
	  "peer:s detector:s class:s level:s score:i hosts:i findings:i some_hosts:a programs:a ?contacted_by:i first:i last:i", "On a console: findings by peer and detector, with how many machines show them." },
	{ "GET", "/who", "\"ask\":\"history\",\"do\":\"who\"", WEB_OBJECT, who_params,
	  "what:s kind:s names:a addresses:a " SUMS " apps:a ports:a timeline:o", NULL, "All that is known of an address or a name." },
	{ "GET", "/why", "\"ask\":\"why\"", WEB_OBJECT, why_params, NULL, NULL, "Would this leave, and which rule decides?" },
	{ "GET", "/findings", "\"ask\":\"findings\"", WEB_ROWS, findings_params, "matched:i shown:i", EVE_ROW " alert:o",
	  "What should worry you, heaviest first, as `alert` records of eve.json." },
	{ "POST", "/findings/ack", "\"ask\":\"detect\",\"do\":\"ack\"", WEB_OBJECT, ack_params, NULL, NULL,
	  "This is ordinary here, until a day." },
	{ "POST", "/findings/unack", "\"ask\":\"detect\",\"do\":\"unack\"", WEB_OBJECT, unack_params, NULL, NULL,
	  "Takes an exception away." },
	{ "GET", "/findings/exceptions", "\"ask\":\"detect\",\"do\":\"exceptions\"", WEB_OBJECT, NULL, "exceptions:a", NULL,
	  "What was said to be ordinary." },
	{ "GET", "/policy", "\"ask\":\"policy\",\"do\":\"show\"", WEB_OBJECT, NULL, "mode:s ?rules:a", NULL,
	  "The policy in force: its rules with what each did." },
	{ "GET", "/policy/text", "\"ask\":\"policy\",\"do\":\"text\"", WEB_OBJECT, NULL, "text:s files:a", NULL, "Its text." },
	{ "GET", "/policy/quota", "\"ask\":\"policy\",\"do\":\"quota\"", WEB_OBJECT, NULL, "mode:s quotas:a ?budgets:a", NULL,
	  "What rules have used of their quotas, and how budgets stand." },
	{ "POST", "/policy/load", "\"ask\":\"policy\",\"do\":\"load\"", WEB_OBJECT, load_params, DONE, NULL,
	  "Puts a policy in force, all or nothing." },
	{ "POST", "/policy/confirm", "\"ask\":\"policy\",\"do\":\"confirm\"", WEB_OBJECT, NULL, DONE, NULL,
	  "Keeps the policy that was loaded with `confirm`." },
	{ "POST", "/policy/replay", "\"ask\":\"history\",\"do\":\"replay\"", WEB_OBJECT, replay_params, NULL, NULL,
	  "What a policy would have done to the flows of the past." },
	{ "POST", "/policy/block", "\"ask\":\"policy\",\"do\":\"block\"", WEB_OBJECT, block_params, DONE, NULL,
	  "Refuses something at once, for a while." },
	{ "POST", "/policy/unblock", "\"ask\":\"policy\",\"do\":\"unblock\"", WEB_OBJECT, unblock_params, DONE, NULL,
	  "Takes that away again." },
	{ "GET", "/intel", "\"ask\":\"detect\",\"do\":\"intel-list\"", WEB_OBJECT, NULL, NULL, NULL, "Feeds of what others call bad." },
	{ "GET", "/intel/check", "\"ask\":\"detect\",\"do\":\"intel-check\"", WEB_OBJECT, intel_params, NULL, NULL,
	  "Is this in a feed?" },
	{ "GET", "/filter/keys", "\"ask\":\"keys\"", WEB_OBJECT, NULL, NULL, NULL, "The keys of the filter language, each with its help." },
	{ "GET", "/live/top", "\"ask\":\"top\"", WEB_LIVE, top_params, NULL, NULL,
	  "Server-sent events `top`, each second: what /top answers." },
	{ "GET", "/live/events", "\"ask\":\"events\"", WEB_LIVE, events_params, NULL, NULL,
	  "Server-sent events named as the event_type of the record that each holds; `lost` when you are too slow." },
	{ "POST", "/session", NULL, WEB_LOCAL, NULL, "until:i", NULL,
	  "With a token: sets a cookie with which EventSource may open /live/…, which cannot send the token itself." },
	{ "GET", "/openapi.json", NULL, WEB_LOCAL, NULL, NULL, NULL, "This document." },
	{ "GET", "/metrics", "\"ask\":\"metrics\"", WEB_TEXT, NULL, NULL, NULL, "Prometheus text format.", true },
};
/* clang-format on */

const struct web_route *web_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}

const struct web_route *web_route_find(struct str method, struct str path, bool *ret_other)
{
	*ret_other = false;
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		const struct web_route *r = &routes[i];
		struct str rest = path;

		if (!r->bare) {
			if (!str_has_prefix(path, STR(API_BASE)))
				continue;
			rest = str_sub(path, sizeof(API_BASE) - 1, path.n);
		}
		if (!str_eq(rest, str_of(r->path)))
			continue;
		if (str_eq(method, str_of(r->method)) ||
		    (str_eq(method, STR("HEAD")) && r->method[0] == 'G' && r->shape != WEB_LIVE))
			return r;
		*ret_other = true;
	}
	return NULL;
}

bool web_word_known(const char *words, struct str word)
{
	struct str rest = str_of(words), one;

	while (str_cut(&rest, ' ', &one))
		if (str_eq(one, word))
			return true;
	return false;
}
