// SPDX-License-Identifier: Apache-2.0
// Whether egret sees everything: losses first.
import { useAsk } from "../api.js";
import { bytes, count, duration, moment, NONE } from "../format.js";
import { Bar, Chip, Facts, Figure, Note, Panel, Time, Trouble } from "../parts.jsx";

const LOSSES = {
	"ring-flow": "notices of flows the kernel had no room for", "ring-payload": "first bytes of flows the kernel had no room for",
	"ring-dns": "DNS messages the kernel had no room for", "ring-proc": "notices of processes the kernel had no room for",
	"map-flows": "peers of an unconnected socket without an entry of their own", "map-sockets": "sockets without counters",
	"map-handshake": "counts of an inbound handshake overwritten", "map-judge": "flows refused because there was no buffer to judge them",
	"map-who": "programs, paths or groups that policy could not know", "table-flows": "flows ended early because the table was full",
	"table-streams": "split hellos that could not be joined", "table-names": "names forgotten early", "table-procs": "processes that found no place",
	"table-texts": "texts left out of records", fragments: "fragments never completed", "client-queue": "records a slow client did not get",
	"eve-write": "records that could not be written", "alert-send": "alerts that found no room to wait",
};
const words = (key) => key.replace(/_s$/, "").replace(/[_-]/g, " ");

/** A number in the unit that its name ends in. */
function said(key, v) {
	if (v === null || v === undefined) return undefined;
	if (typeof v === "boolean") return v ? "yes" : "no";
	if (typeof v === "number") return /bytes|_size$/.test(key) ? bytes(v) : /_ns(_|$)/.test(key) ? duration(v / 1e9) : /_s$/.test(key) ? duration(v) : count(v);
	if (typeof v === "string") return /^\d{4}-\d\d-\d\dT/.test(v) ? <Time at={v} /> : v;
	return undefined;
}
const General = ({ of, without = [] }) => <Facts rows={Object.entries(of ?? {}).filter(([k]) => !without.includes(k)).map(([k, v]) => [words(k), said(k, v)])} />;

function Losses({ status }) {
	const lost = Object.entries(status.lost ?? {}).filter(([, n]) => n > 0);
	return (
		<Panel title="Losses">
			{!lost.length ? <p class="good"><span aria-hidden="true">✓ </span>Nothing was lost since egretd started, {duration(status.uptime_s)} ago.</p> : (
				<table class="plain"><thead><tr><th scope="col">what</th><th scope="col">reason</th><th scope="col" class="num">how many</th></tr></thead>
					<tbody>{lost.map(([k, n]) => <tr key={k}><td>{LOSSES[k] ?? words(k)}</td><td><code>{k}</code></td><td class="num bad">{count(n)}</td></tr>)}</tbody></table>
			)}
			{Object.values(status.unreported ?? {}).some((n) => n > 0) && <p>Counted by the kernel and never told of a flow: {bytes(status.unreported.bytes_tx)} out, {bytes(status.unreported.bytes_rx)} in.</p>}
		</Panel>
	);
}

/** Whatever says how full it is: {used, max}, or members NAME and NAME_max. */
function fills(status) {
	const out = Object.entries(status.maps ?? {}).map(([name, m]) => [name, m.used ?? m.entries ?? m.now, m.max]);
	if (!out.length && status.kernel_peers_max) out.push(["peers of unconnected sockets", status.kernel_peers, status.kernel_peers_max]);
	return out.filter(([, used, max]) => Number.isFinite(used) && max > 0);
}

function Feeds() {
	const { data, problem } = useAsk("/intel", {}, 30000);
	if (problem || !data) return null;
	return (
		<Panel title="Feeds" aside={<span class="dim">{count(data.indicators)} indicators, {count(data.matched)} matched</span>}>
			{!data.feeds?.length ? <p class="dim">There are none: <code>egret intel add</code>.</p> : (
				<table class="plain"><thead><tr><th scope="col">feed</th><th scope="col">class</th><th scope="col" class="num">entries</th><th scope="col">age</th><th scope="col">problem</th></tr></thead>
					<tbody>{data.feeds.map((f) => <tr key={f.name}><td>{f.name}</td><td>{f.class}</td><td class="num">{count(f.entries)}</td><td>{f.age_s !== undefined ? duration(f.age_s) : NONE}{f.expired && <Chip kind="bad">expired</Chip>}</td><td>{f.problem ?? NONE}</td></tr>)}</tbody></table>
			)}
		</Panel>
	);
}

export function Health({ asked }) {
	const s = asked.data;
	if (!s) return <><Trouble problem={asked.problem} /><p class="dim">…</p></>;
	const full = fills(s), h = s.history;
	return (
		<>
			<dl class="figures">
				<Figure label="lost" kind={s.lost_total ? "bad" : "ok"}>{count(s.lost_total)}</Figure>
				<Figure label="running for">{duration(s.uptime_s)}</Figure>
				<Figure label="flows seen">{count(s.flows_total)}</Figure>
				<Figure label="packets">{count(s.packets)}</Figure>
				<Figure label="memory">{bytes(s.rss_bytes)}</Figure>
			</dl>
			<Losses status={s} />
			<div class="two">
				<Panel title="History">
					{!h ? <p class="dim">No history is kept (<code>store off</code>).</p> : (
						<>
							{h.problem && <Note kind="bad">{h.problem}</Note>}
							<Facts rows={[["on disk", said("bytes", h.disk_bytes)], ["oldest", h.oldest ? (typeof h.oldest === "number" ? moment(h.oldest) : said("oldest", h.oldest)) : undefined]]} />
							<General of={h} without={["disk_bytes", "oldest", "problem"]} />
						</>
					)}
				</Panel>
				<Panel title="Tables in the kernel">
					{!full.length && <p class="dim">Nothing to tell.</p>}
					<ul class="fills">{full.map(([name, used, max]) => (
						<li key={name}><span>{words(name)}</span><Bar share={used / max} kind={used / max > 0.8 ? "bad" : ""} /><span class="num">{count(used)} of {count(max)}</span></li>
					))}</ul>
					<Facts rows={[["sockets", count(s.kernel_sockets)], ["memory", bytes(s.kernel_bytes)]]} />
				</Panel>
			</div>
			<div class="two">
				<Panel title="Detection">
					<General of={s.detect} without={["learning"]} />
					{s.detect?.learning && <p class="dim">Still learning what is ordinary here.</p>}
				</Panel>
				<Panel title="Kernel and host">
					<Facts rows={[["host", s.host], ["version", s.version], ["watches", s.watch], ["cgroup", s.cgroup], ["process", s.pid], ["backstop at the device", said("", s.backstop)]]} />
					{s.features && <ul class="features">{(Array.isArray(s.features) ? s.features.map((f) => [f.name, f.there ?? f.ok, f.text]) : Object.entries(s.features).map(([k, v]) => [k, v === true || v === "yes", typeof v === "string" ? v : ""])).map(([name, there, text]) => (
						<li key={name} class={there ? "ok" : "off"}><span aria-hidden="true">{there ? "✓" : "–"} </span>{words(name)}{there ? "" : <span class="dim"> not here</span>}{text ? <span class="dim"> {text}</span> : null}</li>
					))}</ul>}
				</Panel>
			</div>
			<div class="two">
				<Feeds />
				<Panel title="Who looks">
					<Facts rows={[["clients of the control socket", count(s.clients)], ["you are", s.you?.how], ["you may", s.you?.change ? "read and change" : "read"]]} />
					<General of={s.page} />
				</Panel>
			</div>
			<Trouble problem={asked.problem} />
		</>
	);
}
