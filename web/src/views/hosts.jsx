// SPDX-License-Identifier: Apache-2.0
// On a console: the machines of the fleet, as each told last how it is.
import { useMemo } from "preact/hooks";
import { useAsk } from "../api.js";
import { term } from "../filter.js";
import { bytes, count, duration } from "../format.js";
import { Chip, Empty, Figure, FilterBox, Panel, SpanBox, Time, Trouble } from "../parts.jsx";
import { change, format, span } from "../route.js";
import { sorted } from "../sums.js";
import { Table } from "../table.jsx";

const LATE_S = 180; // a machine tells each minute

const silent = (r) => r.now - r.seen > LATE_S;
const lost = (n) => (n ? <span class="bad">{count(n)}</span> : 0);
const COLUMNS = [
	{ key: "host", title: "host", grow: true, render: (r) => <a href={format("flows", { filter: term("host", r.host) })}>{r.host}</a> },
	{ key: "seen", title: "seen", num: true, render: (r) => (silent(r) ? <Chip kind="bad">silent for {duration(r.now - r.seen)}</Chip> : <Time at={r.seen} relative />) },
	{ key: "version", title: "version", less: 2, render: (r) => r.version },
	{ key: "policy_mode", title: "policy", less: 1, render: (r) => <><Chip kind={r.policy_mode === "enforce" ? "ok" : ""}>{r.policy_mode}</Chip> {r.policy_file && `${r.policy_file}, ${count(r.policy_rules)} rules`}</> },
	{ key: "uptime_s", title: "up for", num: true, less: 2, render: (r) => duration(r.uptime_s) },
	{ key: "flows", title: "flows", num: true, less: 2, render: (r) => count(r.flows) },
	{ key: "lost", title: "lost", num: true, render: (r) => lost(r.lost) },
	{ key: "waiting", title: "waiting", num: true, less: 2, render: (r) => count(r.waiting) },
	{ key: "spool_bytes", title: "spool", num: true, less: 1, render: (r) => bytes(r.spool_bytes) },
];

export function Hosts({ q }) {
	const { data, problem } = useAsk("/fleet/hosts", { ...span(q), filter: q.filter, limit: 10000 }, 30000);
	const rows = useMemo(() => sorted(data?.rows ?? [], q.sort ?? "host", COLUMNS), [data, q.sort]);
	const of = (what) => data && count(rows.filter(what).length);
	return (
		<>
			<div class="tools">
				<FilterBox filter={q.filter} problem={problem} />
				<SpanBox q={q} />
			</div>
			<dl class="figures">
				<Figure label="hosts">{count(data?.matched)}</Figure>
				<Figure label="silent">{of(silent)}</Figure>
				<Figure label="with losses">{of((r) => r.lost > 0)}</Figure>
				<Figure label="enforce">{of((r) => r.policy_mode === "enforce")}</Figure>
			</dl>
			<Panel title="Hosts">
				{data && !rows.length ? <Empty title="No machine told anything in this span" /> :
					<Table label="Hosts" columns={COLUMNS} rows={rows} rowKey={(r) => r.host} sort={q.sort} onSort={(s) => change({ sort: s }, true)} />}
				<Trouble problem={problem} said />
			</Panel>
		</>
	);
}
