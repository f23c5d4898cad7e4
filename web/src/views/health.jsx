// SPDX-License-Identifier: Apache-2.0
// Whether egret sees everything: losses first.
import { useAsk } from "../api.js";
import { bytes, count, duration, NONE } from "../format.js";
import { Bar, Chip, Facts, Figure, Head, Note, Panel, Time, Trouble } from "../parts.jsx";

const words = (key) => key.replace(/_s$/, "").replace(/_bytes$/, "").replace(/_ms/, "").replace(/[_-]/g, " ");

/** A number in the unit that its name ends in. */
function said(key, v) {
	if (v === null || v === undefined) return undefined;
	if (typeof v === "boolean") return v ? "yes" : "no";
	if (typeof v === "number") return /bytes|_size$/.test(key) ? bytes(v) : /_ms(_|$)/.test(key) ? duration(v / 1e3) : /_s$/.test(key) ? duration(v) : count(v);
	if (typeof v === "string") return /^\d{4}-\d\d-\d\dT/.test(v) ? <Time at={v} /> : v;
	return undefined;
}
const General = ({ of, without = [] }) => <Facts rows={Object.entries(of ?? {}).filter(([k]) => !without.includes(k)).map(([k, v]) => [words(k), said(k, v)])} />;

function Losses({ status }) {
	const lost = status.losses ?? [];
	return (
		<Panel title="Losses">
			{!status.lost_total ? <p class="good"><span aria-hidden="true">✓ </span>Nothing was lost since egretd started, {duration(status.uptime_s)} ago.</p> : (
				<table class="plain"><Head of="#how many|what|what helps" />
					<tbody>{lost.map((l) => <tr key={l.reason}><td class="num bad">{count(l.lost)}</td><td class="wrap">{l.means} <code class="dim">{l.reason}</code></td><td class="wrap">{l.helps}</td></tr>)}</tbody></table>
			)}
			{Object.values(status.unreported ?? {}).some((n) => n > 0) && <p>Counted by the kernel and never told of a flow: {bytes(status.unreported.bytes_tx)} out, {bytes(status.unreported.bytes_rx)} in.</p>}
		</Panel>
	);
}

function Feeds() {
	const { data, problem } = useAsk("/intel", {}, 30000);
	if (problem || !data) return null;
	return (
		<Panel title="Feeds" aside={<span class="dim">{count(data.indicators)} indicators, {count(data.matched)} matched</span>}>
			{!data.feeds?.length ? <p class="dim">There are none: <code>egret intel add</code>.</p> : (
				<table class="plain"><Head of="feed|class|#entries|age|problem" />
					<tbody>{data.feeds.map((f) => <tr key={f.name}><td>{f.name}</td><td>{f.class}</td><td class="num">{count(f.entries)}</td><td>{f.age_s !== undefined ? duration(f.age_s) : NONE}{f.expired && <Chip kind="bad">expired</Chip>}</td><td>{f.problem ?? NONE}</td></tr>)}</tbody></table>
			)}
		</Panel>
	);
}

export function Health({ asked, far }) {
	const s = asked.data;
	if (!s) return <><Trouble problem={asked.problem} /><p class="dim">…</p></>;
	const h = s.history, looks = (
		<Panel title="Who looks">
			<Facts rows={[["clients of the control socket", count(s.clients)], ["you are", s.you?.how], ["you may", s.you?.change && !far ? "read and change" : "read"]]} />
			<General of={s.page} />
		</Panel>
	);
	if (far) {
		return (
			<div class="two">
				<Panel title="Console"><General of={s.clickhouse} /><Facts rows={[["running for", duration(s.uptime_s)], ["on", s.host], ["version", s.version], ["memory", bytes(s.rss_bytes)]]} /></Panel>
				{looks}
			</div>
		);
	}
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
					{!h?.kind ? <p class="dim">No history is kept (<code>store off</code>).</p> : (
						<>
							{h.problem && <Note kind="bad">{h.problem}</Note>}
							<Facts rows={[["on disk", said("bytes", h.disk_bytes)], ["oldest", said("oldest", h.oldest)]]} />
							<General of={h} without={["disk_bytes", "oldest", "problem"]} />
						</>
					)}
				</Panel>
				<Panel title="Tables in the kernel">
					<ul class="fills">{Object.entries(s.maps ?? {}).map(([name, m]) => (
						<li key={name}><span>{words(name)}</span><Bar share={m.entries / m.max} kind={m.entries > m.max * 0.8 ? "bad" : ""} /><span class="num">{said(name, m.entries)} of {said(name, m.max)}</span></li>
					))}</ul>
					<Facts rows={[["memory", bytes(s.kernel_bytes)]]} />
				</Panel>
			</div>
			<div class="two">
				<Panel title="Detection">
					<General of={s.detect} without={["learning"]} />
					{s.detect?.learning && <p class="dim">Still learning what is ordinary here.</p>}
				</Panel>
				<Panel title="Kernel and host">
					<Facts rows={[["host", s.host], ["version", s.version], ["watches", s.watch], ["cgroup", s.cgroup], ["process", s.pid], ["backstop at the device", said("", s.backstop)]]} />
					<ul class="features">{(s.features ?? []).map((f) => (
						<li key={f.name} class={f.there ? "ok" : "off"}><span aria-hidden="true">{f.there ? "✓" : "–"} </span>{f.name}{!f.there && " is not here"} <span class="dim">{f.text}</span></li>
					))}</ul>
				</Panel>
			</div>
			<div class="two">
				<Feeds />
				{looks}
			</div>
			<Trouble problem={asked.problem} />
		</>
	);
}
