// SPDX-License-Identifier: Apache-2.0
// The flows of any span that is kept, and the whole record of one.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, useAsk } from "../api.js";
import { Chart, useColours } from "../chart.jsx";
import { base, bytes, count, duration, NONE, seconds, when } from "../format.js";
import { Down, Empty, FilterBox, Note, Panel, Source, SpanBox, Trouble, Up, useKept, Verdict } from "../parts.jsx";
import { FlowRecord, moved, nameOf, peer, program } from "../record.jsx";
import { change, span } from "../route.js";
import { sorted } from "../sums.js";
import { Table } from "../table.jsx";

const FIRST = 500, MORE = 2500, MOST = 10000;

const COLUMNS = [
	{ key: "start", title: "began", value: (r) => seconds(r.flow.start), num: true, render: (r) => when(seconds(r.flow.start)) },
	{ key: "host", title: "host", less: 1, off: true, value: (r) => r.host, render: (r) => r.host },
	{ key: "app", title: "program", value: (r) => base(program(r)), render: (r) => <span title={program(r)}>{base(program(r)) || NONE}</span> },
	{ key: "user", title: "user", less: 2, value: (r) => r.user?.name, render: (r) => r.user?.name ?? r.user?.id ?? NONE },
	{ key: "name", title: "name", grow: true, value: nameOf, render: (r) => <span title={nameOf(r)}>{nameOf(r)}</span> },
	{ key: "address", title: "address", less: 2, value: peer, render: (r) => peer(r) },
	{ key: "port", title: "port", num: true, less: 1, value: (r) => r.dest_port, render: (r) => r.dest_port ?? NONE },
	{ key: "protocol", title: "protocol", less: 2, value: (r) => r.app_proto ?? r.proto, render: (r) => r.app_proto ?? r.proto?.toLowerCase() ?? NONE },
	{ key: "up", title: "out", num: true, value: (r) => moved(r).up, render: (r) => <Up n={moved(r).up} /> },
	{ key: "down", title: "in", num: true, less: 1, value: (r) => moved(r).down, render: (r) => <Down n={moved(r).down} /> },
	{ key: "took", title: "took", num: true, less: 2, value: (r) => seconds(r.flow.end) - seconds(r.flow.start), render: (r) => duration(Math.round((seconds(r.flow.end) - seconds(r.flow.start)) * 1000) / 1000) },
	{ key: "verdict", title: "verdict", less: 1, value: (r) => r.egret?.verdict, render: (r) => <Verdict record={r} /> },
	{ key: "unit", title: "unit", less: 2, off: true, value: (r) => r.service?.name, render: (r) => r.service?.name ?? NONE },
	{ key: "container", title: "container", less: 2, off: true, value: (r) => r.container?.name, render: (r) => r.container?.name ?? NONE },
	{ key: "domain", title: "domain", less: 2, off: true, value: (r) => r.egret?.registered_domain, render: (r) => r.egret?.registered_domain ?? NONE },
	{ key: "rule", title: "rule", less: 2, off: true, value: (r) => r.egret?.rule?.text, render: (r) => r.egret?.rule?.text ?? NONE },
	{ key: "state", title: "state", less: 2, off: true, value: (r) => r.flow.reason ?? r.flow.state, render: (r) => r.flow.reason ?? r.flow.state },
	{ key: "pid", title: "pid", num: true, less: 2, off: true, value: (r) => r.process?.pid, render: (r) => r.process?.pid ?? NONE },
];

/** Pages of history, more of them on demand. Where none is kept: what lives, and what ended lately. */
function useFlows(q, kept) {
	const asked = { ...span(q), filter: q.filter, limit: FIRST };
	const firstPage = useAsk(kept ? "/history/flows" : "/flows", kept ? asked : { ended: 1, filter: q.filter, sort: "last", limit: MOST / 2 });
	const [more, setMore] = useState({ of: null, rows: [], next: undefined });
	const busy = useRef(false);
	useEffect(() => setMore({ of: firstPage.data, rows: [], next: firstPage.data?.next }), [firstPage.data]);
	const current = more.of === firstPage.data ? more : { rows: [], next: firstPage.data?.next };
	const rows = useMemo(() => [...(firstPage.data?.rows ?? []), ...current.rows], [firstPage.data, current.rows]);
	const load = async () => {
		if (busy.current || !current.next) return;
		busy.current = true;
		try {
			const page = await get("/history/flows", { ...asked, limit: MORE, after: current.next });
			setMore((m) => (m.of === firstPage.data ? { ...m, rows: [...m.rows, ...page.rows], next: page.next } : m));
		} catch (e) {
			setMore((m) => ({ ...m, problem: e }));
		}
		busy.current = false;
	};
	return { ...firstPage, rows, next: current.next, load, problem: firstPage.problem ?? current.problem };
}

function Overview({ q, data }) {
	const colours = useColours();
	const drawn = useMemo(() => {
		if (!data?.points) return null;
		const sum = (side) => Array.from({ length: data.points }, (_, i) => data.rows.reduce((n, r) => n + (r[side][i] ?? 0), 0));
		return [Array.from({ length: data.points }, (_, i) => data.start + i * data.step), sum("up"), sum("down")];
	}, [data]);
	if (!drawn) return null;
	const total = (i) => bytes(drawn[i].reduce((a, b) => a + b, 0));
	return (
		<Panel title="Over time" aside={<span class="dim">{duration(data.step)} a step; drag to look closer
			{(q.from || q.to) && <> <button type="button" onClick={() => change({ from: undefined, to: undefined, last: q.last })}>whole span</button></>}</span>}>
			<Chart data={drawn} height={130} text={`${total(1)} left and ${total(2)} came in, in steps of ${duration(data.step)}`}
				series={[{ label: "out", stroke: colours.up, fill: colours.up + "40", stepped: true, width: 1.5 }, { label: "in", stroke: colours.down, fill: colours.down + "22", stepped: true, width: 1.5 }]}
				onSpan={(from, to) => change({ from, to, last: undefined, open: undefined })} />
			<ul class="legend"><li><i class="up" aria-hidden="true" />out {total(1)}</li><li><i class="down" aria-hidden="true" />in {total(2)}</li></ul>
		</Panel>
	);
}

function ColumnsMenu({ shown, onChange }) {
	return (
		<details class="menu">
			<summary>Columns</summary>
			<div role="group" aria-label="Columns">
				{COLUMNS.map((c) => (
					<label key={c.key}>
						<input type="checkbox" checked={shown.includes(c.key)} onChange={() => onChange(shown.includes(c.key) ?
							shown.filter((k) => k !== c.key) : COLUMNS.map((x) => x.key).filter((k) => k === c.key || shown.includes(k)))} />
						{c.title}
					</label>
				))}
			</div>
		</details>
	);
}

export function Flows({ q, kept, far }) {
	const [shown, setShown] = useKept("columns", COLUMNS.filter((c) => !c.off || (far && c.key === "host")).map((c) => c.key));
	const flows = useFlows(q, kept);
	const columns = useMemo(() => COLUMNS.filter((c) => shown.includes(c.key)), [shown]);
	const rows = useMemo(() => sorted(flows.rows, q.sort, COLUMNS), [flows.rows, q.sort]);
	const overview = useAsk(kept ? "/history/timeline" : "", { ...span(q), filter: q.filter });
	// History tells how many flows began in the span, not how many moved in it: near enough to say how much is not shown.
	const total = Math.max(rows.length, flows.data?.matched ?? (flows.next ? overview.data?.totals.flows ?? 0 : 0));
	const part = rows.length < total || !!flows.next;
	return (
		<>
			<div class="tools">
				<FilterBox filter={q.filter} problem={flows.problem} />
				{kept && <SpanBox q={q} />}
				<ColumnsMenu shown={shown} onChange={setShown} />
			</div>
			{!kept && <Note>No history is kept (<code>store off</code> in egret.conf): these are the flows that live and those that ended lately.</Note>}
			<Overview q={q} data={overview.data} />
			<div class={q.open ? "with-drawer" : ""}>
				<Panel title="Flows" aside={
					<span class="dim" role="status">
						{flows.data && (part ? `${count(rows.length)} of ${kept ? "about " : ""}${count(total)}${q.sort ? ", sorted among those" : ", newest first"}` : count(total))}
						{flows.next && (rows.length < MOST ? <> <button type="button" onClick={flows.load}>{count(MORE)} more</button></> :
							`; more than ${count(MOST)} are not shown: narrow the filter or the span`)}
					</span>
				}>
					{flows.data && !rows.length ? <Empty title="No flow in this span">
						{q.filter ? "No flow matches the filter; change it, or clear it with ×." : "Take a longer span, or wait: a flow stands here a second after it moved."}</Empty> :
						<Table label="Flows" columns={columns} rows={rows} rowKey={(r) => r.flow_id} total={total} open={q.open}
							onOpen={(r) => change({ open: r.flow_id })} sort={q.sort} onSort={(s) => change({ sort: s }, true)} />}
					<Source data={flows.data} />
					<Trouble problem={flows.problem} said />
				</Panel>
				{q.open && <FlowRecord id={q.open} kept={kept} far={far} record={rows.find((r) => String(r.flow_id) === q.open)} onClose={() => change({ open: undefined })} />}
			</div>
		</>
	);
}
