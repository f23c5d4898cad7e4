// SPDX-License-Identifier: Apache-2.0
// How much, by whom, in which span, and what it costs.
import { useMemo } from "preact/hooks";
import { useAsk } from "../api.js";
import { Chart, seatsOf, useColours } from "../chart.jsx";
import { add, dimTerm, pairTerm } from "../filter.js";
import { base, bytes, count, duration, money, NONE, plural } from "../format.js";
import { Bar, Choice, Down, Empty, Figure, FilterBox, Note, Panel, Source, SpanBox, Switch, Time, Trouble, Up } from "../parts.jsx";
import { change, format, span } from "../route.js";
import { matrix, stack } from "../sums.js";
import { Table } from "../table.jsx";

const DIMS = ["app", "name", "domain", "user", "unit", "container", "segment", "country", "asn", "protocol", "direction", "rule", "verdict", "address", "port", "proto", "host"];
const TITLES = { app: "program", asn: "network (AS)" };
const title = (d) => TITLES[d] ?? d;
const SORTS = { bytes: "both", up: "out", down: "in", flows: "flows", cost: "cost", last: "last" };

function OverTime({ q, asked, by, measure }) {
	const colours = useColours();
	const { data } = useAsk("/history/timeline", { ...asked, by, filter: q.filter, limit: 5 });
	const drawn = useMemo(() => {
		if (!data?.points || !data.rows.length) return null;
		const rows = data.rows.map((r) => r[measure === "down" ? "down" : "up"].map((v, i) => (measure === "bytes" ? v + r.down[i] : v)));
		return { data: [Array.from({ length: data.points }, (_, i) => data.start + i * data.step), ...stack(rows)], names: data.rows.map((r) => (r.others ? null : r.key[by])) };
	}, [data, measure]);
	if (!drawn) return null;
	const short = (n) => (by === "app" ? base(n) : n);
	const seats = seatsOf(drawn.names.filter((n) => n !== null).map(short));
	const colour = (name) => (name === null ? colours.others : colours.series[seats.get(short(name))]);
	return (
		<Panel title="Over time" aside={<span class="dim">{duration(data.step)} a step</span>}>
			<Chart data={drawn.data} height={150} text={`Bytes over time by ${title(by)}, the heaviest ${drawn.names.length}`}
				series={drawn.names.map((n) => ({ label: n ?? "others", stroke: colour(n), fill: colour(n), width: 0, stepped: true }))}
				onSpan={(from, to) => change({ from, to, last: undefined, period: undefined })} />
			<ul class="legend">{drawn.names.map((n, i) => <li key={i}><i class={n === null ? "c0" : `c${seats.get(short(n)) + 1}`} aria-hidden="true" />{n === null ? "others" : short(n) || "(not known)"}</li>)}</ul>
		</Panel>
	);
}

const flowsOf = (q, terms) => format("flows", { last: q.last, from: q.from, to: q.to, filter: terms.reduce(add, q.filter ?? "") });

function Matrix({ q, rows }) {
	const m = matrix(rows);
	return (
		<table class="plain matrix">
			<caption class="sr">Who opens flows to whom, by segments</caption>
			<thead><tr><th scope="col">from</th>{m.to.map((t) => <th key={t} scope="col" class="num">to {t}</th>)}</tr></thead>
			<tbody>{m.from.map((f) => <tr key={f}><th scope="row">{f}</th>{m.to.map((t) => {
				const r = m.at(f, t);
				return <td key={t} class="num">{r ? <><a href={flowsOf(q, [pairTerm(f, t)])}>{bytes(r.up + r.down)}</a><br /><span class="dim">{plural(r.flows, "flow")}</span>
					{r.refused > 0 && <><br /><span class="bad">{count(r.refused)} refused</span></>}</> : NONE}</td>;
			})}</tr>)}</tbody>
		</table>
	);
}

export function Usage({ q, kept }) {
	const pairs = q.by === "segments";
	const by = pairs ? "from" : DIMS.includes(q.by) ? q.by : "app", then = pairs ? "to" : DIMS.includes(q.then) && q.then !== by ? q.then : "";
	const month = q.period === "month", asked = month ? { period: "month" } : span(q);
	const sort = SORTS[q.sort] ? q.sort : "bytes", measure = sort === "up" || sort === "down" ? sort : "bytes";
	const { data, problem } = useAsk(kept ? "/history/usage" : "", { ...asked, by: then ? `${by},${then}` : by, filter: q.filter, sort, limit: 1000 }, 60000);
	if (!kept) return <Note>No history is kept (<code>store off</code> in egret.conf), so there is nothing to add up. <code>store sqlite</code> keeps it.</Note>;
	const rows = data?.rows ?? [], totals = data?.totals, all = totals ? totals.up + totals.down : 0;
	const costs = totals?.cost || rows.some((r) => r.cost);
	const forecast = data?.forecast;
	const value = (d) => (r) => <span title={r[d]}>{(d === "app" ? base(r[d] ?? "") : r[d]) || <span class="dim">(not known)</span>}</span>;
	const columns = [
		{ key: by, title: title(by), grow: !then, sortable: false, render: value(by) },
		...(then ? [{ key: then, title: title(then), grow: true, sortable: false, render: value(then) }] : []),
		{ key: "share", title: "share", less: 2, sortable: false, render: (r) => <Bar kind="up" share={all ? (r.up + r.down) / all : 0} /> },
		{ key: "up", title: "out", num: true, render: (r) => <Up n={r.up} /> },
		{ key: "down", title: "in", num: true, less: 1, render: (r) => <Down n={r.down} /> },
		{ key: "bytes", title: "both", num: true, less: 2, render: (r) => bytes(r.up + r.down) },
		{ key: "flows", title: "flows", num: true, less: 1, render: (r) => count(r.flows) },
		{ key: "refused", title: "refused", num: true, less: 2, sortable: false, render: (r) => (r.refused ? count(r.refused) : NONE) },
		...(costs ? [{ key: "cost", title: "cost", num: true, render: (r) => money(r.cost) }] : []),
		{ key: "last", title: "last", num: true, less: 2, render: (r) => <Time at={r.last} relative /> },
	];
	return (
		<>
			<div class="tools">
				<FilterBox filter={q.filter} problem={problem} />
				<Switch label="Period" value={month ? "month" : "span"} options={[["span", "span"], ["month", "this month"]]} onChange={(v) => change({ period: v === "month" ? "month" : undefined })} />
				{!month && <SpanBox q={q} />}
				<Choice label="by" value={pairs ? q.by : by} options={[...DIMS.map((d) => [d, title(d)]), ["segments", "segment × segment"]]} onChange={(v) => change({ by: v === "app" ? undefined : v, then: then === v ? undefined : then || undefined })} />
				{!pairs && <Choice label="and" value={then} options={[["", "nothing else"], ...DIMS.filter((d) => d !== by).map((d) => [d, title(d)])]} onChange={(v) => change({ then: v || undefined })} />}
			</div>
			<dl class="figures">
				<Figure label="left" kind="up" note={forecast && `${bytes(forecast.up)} by the end of the month`}>{bytes(totals?.up)}</Figure>
				<Figure label="came in" kind="down" note={forecast && `${bytes(forecast.down)} by the end of the month`}>{bytes(totals?.down)}</Figure>
				<Figure label="flows">{count(totals?.flows)}</Figure>
				<Figure label="refused">{count(totals?.refused)}</Figure>
				{costs && <Figure label="cost" note={forecast?.cost && `${money(forecast.cost)} by the end of the month`}>{money(totals?.cost)}</Figure>}
			</dl>
			{!pairs && <OverTime q={q} asked={month ? { from: data?.from, to: data?.to } : asked} by={by} measure={measure} />}
			<Panel title="Sums" aside={<span class="dim" role="status">{data && `${count(rows.length)} rows, most ${sort === "bytes" ? "bytes" : SORTS[sort]} first`}</span>}>
				{data && !rows.length ? <Empty title="Nothing moved in this span">{q.filter ? "No flow matches the filter." : "Take a longer span."}</Empty> : pairs ? <Matrix q={q} rows={rows} /> :
					<Table label="Sums" columns={columns} rows={rows} rowKey={(r) => `${r[by]}\u0000${then ? r[then] : ""}`} sort={sort}
						onSort={(s) => change({ sort: s.replace(/^-/, "") }, true)} onOpen={(r) => {
							location.hash = flowsOf(q, [dimTerm(by, r[by]), then && dimTerm(then, r[then])].filter(Boolean));
						}} />}
				<Source data={data} />
				<Trouble problem={problem} said />
			</Panel>
		</>
	);
}
