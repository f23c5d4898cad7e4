// SPDX-License-Identifier: Apache-2.0
// What leaves at this moment.
import { useMemo, useRef, useState } from "preact/hooks";
import { useAsk, useEvents } from "../api.js";
import { Chart, seatsOf, useColours } from "../chart.jsx";
import { add, dimTerm } from "../filter.js";
import { count, plural, rate } from "../format.js";
import { Bar, Choice, Down, Empty, Figure, FilterBox, Panel, Switch, Time, Trouble, Up, useKept } from "../parts.jsx";
import { change, format } from "../route.js";
import { Sankey } from "../sankey.jsx";
import { Recent, rowOfFlow, sankeyData, sorted, stack } from "../sums.js";
import { Table } from "../table.jsx";

export const BY = [["program", "program"], ["name", "name"], ["user", "user"], ["unit", "unit"], ["container", "container"],
	["app", "protocol"], ["address", "address"], ["host", "host"]];
/** What "top" calls a dimension and what filters and history call it. */
const dimOf = (by) => ({ program: "app", app: "protocol" })[by] ?? by;
const RIGHT = [["name", "name"], ["domain", "domain"], ["segment", "segment"], ["country", "country"]];
const SERIES = 5;

function Rates({ recent, tick, onPick }) {
	const colours = useColours();
	const lines = useMemo(() => recent.heaviest(SERIES), [tick]);
	const times = useMemo(() => recent.times.map((t) => Math.round(t / 1000)), [tick]);
	const end = times[times.length - 1] ?? 0, begin = Math.max(end - 300, Math.min(times[0] ?? 0, end - 60));
	const range = useMemo(() => [begin, end], [begin, end]);
	const seats = seatsOf(lines.map((l) => l.label).filter((l) => l !== null));
	const colour = (l) => (l.label === null ? colours.others : colours.series[seats.get(l.label)]);
	const series = lines.map((l) => ({ label: l.label ?? "others", stroke: colour(l), fill: colour(l), width: 0 }));
	const pane = (side, title) => {
		const last = lines.reduce((n, l) => n + (l[side][l[side].length - 1] ?? 0), 0);
		return (
			<div class="pane">
				<h3><span class={side}>{title}</span></h3>
				<Chart data={[times, ...stack(lines.map((l) => l[side]))]} series={series} height={142} unit={rate} sync="now" range={range}
					text={`${title} over the last minutes; now ${rate(last)}`} />
			</div>
		);
	};
	return (
		<>
			{pane("up", "leaving")}
			{pane("down", "coming in")}
			<ul class="legend">
				{lines.map((l) => (
					<li key={l.label ?? "\u0000"}>
						<i class={l.label === null ? "c0" : `c${seats.get(l.label) + 1}`} aria-hidden="true" />
						{l.label === null ? "others" : <button type="button" class="link" onClick={() => onPick(l.label)}>{l.label}</button>}
					</li>
				))}
			</ul>
		</>
	);
}

function Diagram({ q, kept }) {
	const [right, setRight] = useKept("sankey", "name");
	const [measure, setMeasure] = useKept("sankey-measure", "up");
	const past = useAsk(kept ? "/history/usage" : "", { by: `app,${right}`, last: "1h", filter: q.filter, limit: 500, sort: measure }, 10000);
	const living = useAsk(kept ? "" : "/flows", { ended: 1, filter: q.filter, limit: 2000, sort: "bytes" }, 5000);
	const rows = kept ? past.data?.rows : living.data?.rows.map(rowOfFlow);
	const key = kept || right === "name" || right === "domain" ? right : "name";
	const data = useMemo(() => sankeyData(rows ?? [], "app", key, measure), [rows, key, measure]);
	const what = `Bytes by program and ${key}, ${kept ? "last hour" : "living flows and those that ended lately"}`;
	return (
		<Panel title="Who to whom" class="diagram" aside={
			<>
				<Choice hidden label="Right side" value={key} options={kept ? RIGHT : RIGHT.slice(0, 2)} onChange={setRight} />
				<Switch label="Measure" value={measure} onChange={setMeasure} options={[["up", "out"], ["down", "in"], ["bytes", "both"]]} />
			</>
		}>
			{data.links.length ? <Sankey data={data} what={what} link={(n) => {
				const t = n.key ? dimTerm(n.side === "l" ? "app" : key, n.key) : "";
				return t ? format("now", { ...q, filter: add(q.filter, t) }) : "";
			}} /> : <Empty title={rows ? "Nothing moved" : "…"} />}
			<p class="source dim">{kept ? "last hour" : "living flows and those that ended lately"}</p>
		</Panel>
	);
}

export function Now({ q, kept }) {
	const by = BY.some(([v]) => v === q.by) ? q.by : "program";
	const recent = useRef(null), [top, setTop] = useState(null);
	const shown = JSON.stringify([by, q.filter]);
	if (recent.current?.key !== shown) recent.current = { key: shown, data: new Recent() };
	const problem = useEvents("/live/top", { by, filter: q.filter }, ["top"], "/top", (_, answer) => {
		recent.current.data.push(answer.time_ms, answer.rows);
		setTop({ ...answer, key: shown });
	});
	const live = top?.key === shown ? top : null;
	const pick = (label) => change({ filter: add(q.filter, dimTerm(dimOf(by), label)) });
	const columns = [
		{ key: "label", title: BY.find(([v]) => v === by)[1], grow: true, render: (r) => r.label },
		{ key: "up_rate", title: "out/s", num: true, render: (r) => <Up n={r.up_rate} per /> },
		{ key: "down_rate", title: "in/s", num: true, render: (r) => <Down n={r.down_rate} per /> },
		{ key: "share", title: "share out", less: 2, sortable: false, render: (r) => <Bar kind="up" share={live.totals.up ? r.up / live.totals.up : 0} /> },
		{ key: "up", title: "out", num: true, render: (r) => <Up n={r.up} /> },
		{ key: "down", title: "in", num: true, less: 1, render: (r) => <Down n={r.down} /> },
		{ key: "flows", title: "flows", num: true, less: 2, render: (r) => count(r.flows) },
		{ key: "last_ms", title: "last", num: true, less: 1, render: (r) => <Time at={r.last_ms / 1000} relative /> },
	];
	const sort = q.sort ?? "up_rate";
	const rows = useMemo(() => (live ? sorted(live.rows, sort, columns) : []), [live, sort]);
	return (
		<>
			<div class="tools">
				<FilterBox filter={q.filter} problem={problem} />
				<Choice label="by" value={by} options={BY} onChange={(v) => change({ by: v === "program" ? undefined : v, sort: undefined })} />
			</div>
			<dl class="figures" data-live={live ? live.time_ms : undefined}>
				<Figure label="leaving" kind="up">{rate(live?.totals.up_rate)}</Figure>
				<Figure label="coming in" kind="down">{rate(live?.totals.down_rate)}</Figure>
				<Figure label="flows that live">{count(live?.flows_now)}</Figure>
				<Figure label={plural(2, BY.find(([v]) => v === by)[1]).slice(2)}>{count(live?.totals.groups)}</Figure>
				<Figure label="findings open" kind={live?.findings?.open ? "bad" : ""}><a href="#/findings">{count(live?.findings?.open ?? 0)}</a></Figure>
			</dl>
			<Trouble problem={problem} said />
			<div class="two">
				<Panel title="Rate" class="rates" aside={<span class="dim">by {BY.find(([v]) => v === by)[1]}, 5 minutes</span>}>
					<Rates recent={recent.current.data} tick={live?.time_ms} onPick={pick} />
				</Panel>
				<Diagram q={q} kept={kept} />
			</div>
			<Panel title={`By ${BY.find(([v]) => v === by)[1]}`} aside={<span class="dim">flows that live, and those that ended while you look</span>}>
				{live && !rows.length ? <Empty title={q.filter ? "No flow matches the filter" : "Nothing has left yet"}>
					{q.filter ? "Change it, or clear it with ×." : "As soon as a program opens a connection it stands here."}</Empty> :
					<Table label="Live sums" columns={columns} rows={rows} rowKey={(r) => r.label} sort={sort} onSort={(s) => change({ sort: s }, true)}
						onOpen={(r) => {
							const t = dimTerm(dimOf(by), r.label);
							location.hash = format("flows", { filter: add(q.filter, t), last: "1h" });
						}} />}
			</Panel>
		</>
	);
}
