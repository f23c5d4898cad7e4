// SPDX-License-Identifier: Apache-2.0
// One flow's whole record: who, to whom, what moved, who allowed it.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, useAsk } from "./api.js";
import { Chart, useColours } from "./chart.jsx";
import { add, term } from "./filter.js";
import { bytes, count, duration, NONE, seconds } from "./format.js";
import { Down, Empty, Facts, Note, Time, Trouble, Up, Verdict } from "./parts.jsx";
import { format, parse } from "./route.js";

/** Up and down of a record: `src` opened it, and ours is the other side where it came in. */
export function moved(r) {
	const f = r.flow ?? {}, inward = r.egret?.direction === "ingress";
	return inward ? { up: f.bytes_toclient, down: f.bytes_toserver, upPackets: f.pkts_toclient, downPackets: f.pkts_toserver } :
		{ up: f.bytes_toserver, down: f.bytes_toclient, upPackets: f.pkts_toserver, downPackets: f.pkts_toclient };
}

export const program = (r) => r.process?.executable ?? r.process?.name ?? "";
export const peer = (r) => (r.egret?.direction === "ingress" ? r.src_ip : r.dest_ip) ?? "";
const ends = (ip, port) => (ip ? (ip.includes(":") ? `[${ip}]` : ip) + (port !== undefined ? `:${port}` : "") : undefined);

/** A value that can be filtered for. */
function Value({ k, children, value = children }) {
	const t = term(k, value), { q } = parse(location.hash);
	if (value === undefined || value === null || value === "") return null;
	if (!t) return <span>{children}</span>;
	return <a class="quiet" href={format("flows", { last: q.last, from: q.from, to: q.to, filter: add(q.filter, t) })} title={`filter: ${t}`}>{children}</a>;
}

/** The process with those that started it, init first. */
export function ProcessTree({ process }) {
	if (!process) return <p class="dim">The process is not known.</p>;
	const line = [...(process.ancestors ?? [])].reverse();
	return (
		<ul class="tree">
			{line.map((a, i) => (
				<li key={i} style={{ "--depth": String(i) }}><code>{a.executable ?? a.name}</code> <span class="dim">{a.pid}</span></li>
			))}
			<li style={{ "--depth": String(line.length) }} class="self">
				<code>{process.executable ?? process.name}</code> <span class="dim">{process.pid}</span>
				{process.command_line && <pre class="args">{process.command_line}</pre>}
			</li>
		</ul>
	);
}

function Step({ step }) {
	return (
		<li>
			<code>{step.text}</code>{step.line ? <span class="dim"> line {step.line}</span> : null}
			{step.why && <span>: {step.why}</span>}{step.possible && <span class="dim"> (possible)</span>}
		</li>
	);
}

/** The question that `egret why` asks, for this flow. */
function whyOf(r) {
	const out = r.egret?.direction !== "ingress";
	const q = { to: r.egret?.name ?? peer(r), port: out ? r.dest_port : r.src_port, app: program(r).startsWith("/") ? program(r) : undefined, user: r.user?.name ?? r.user?.id, address: peer(r) };
	if (r.proto && r.proto !== "TCP") q.proto = r.proto.toLowerCase();
	if (r.service?.name) q.unit = r.service.name;
	if (r.app_proto && r.app_proto !== "unknown") q.speaking = r.app_proto;
	return q;
}

function Why({ record, far }) {
	const [answer, setAnswer] = useState(null);
	const egret = record.egret ?? {};
	useEffect(() => setAnswer(null), [record.flow_id]);
	const ask = async () => {
		setAnswer({ busy: true });
		try {
			setAnswer(await get("/why", whyOf(record)));
		} catch (e) {
			setAnswer({ error: e.message });
		}
	};
	const refused = egret.verdict === "deny" || egret.verdict === "reject";
	return (
		<>
			{egret.rule && (
				<p class="rule"><Verdict record={record} /> <code>{egret.rule.text}</code>
					{egret.rule.line && <span class="dim"> {egret.rule.file}:{egret.rule.line}</span>}
					{egret.rule.note && <span> “{egret.rule.note}”</span>}</p>
			)}
			{!egret.rule && <p class="dim">No policy judged this flow.</p>}
			{!far && <button type="button" onClick={ask} disabled={answer?.busy}>{refused ? "Why was this refused?" : "Why was this allowed?"}</button>}
			<div aria-live="polite">
				{answer?.error && <Note kind="bad">{answer.error}</Note>}
				{answer?.verdict && (
					<div class="why">
						<p>Asked now, the policy in force says <strong>{answer.verdict}</strong>{answer.would_refuse ? ", and refuses nothing because it watches only" : ""}.</p>
						{answer.rule && <p>It decides: <code>{answer.rule.text}</code>{answer.rule.line ? <span class="dim"> {answer.rule.file}:{answer.rule.line}</span> : null}</p>}
						{answer.passed_over?.length > 0 && <><h4>Rules before it that do not match</h4><ol>{answer.passed_over.map((s, i) => <Step key={i} step={s} />)}</ol></>}
						{answer.assumed?.length > 0 && <details><summary>What was assumed</summary><ul>{answer.assumed.map((a) => <li key={a}>{a}</li>)}</ul></details>}
					</div>
				)}
			</div>
		</>
	);
}

function Pieces({ pieces }) {
	const colours = useColours();
	if (!pieces || pieces.length < 2) return null;
	const data = [pieces.map((p) => p.to), pieces.map((p) => p.up), pieces.map((p) => p.down)];
	return <Chart data={data} height={110} text={`What it moved in ${pieces.length} pieces`}
		series={[{ label: "up", stroke: colours.up, fill: colours.up + "33", stepped: true }, { label: "down", stroke: colours.down, stepped: true }]} />;
}

/** `id`: which flow; `record`: what the list had of it, shown until the whole record is there. */
export function FlowRecord({ id, record, onClose, kept, far }) {
	const asked = useAsk(kept ? "/history/flow" : "", { id });
	const r = asked.data?.event_type ? asked.data : record;
	const head = useRef(null);
	useEffect(() => head.current?.focus({ preventScroll: true }), [id]);
	const e = r?.egret ?? {}, f = r?.flow ?? {}, m = r ? moved(r) : {};
	const name = e.name ?? (r && peer(r));
	return (
		<aside class="drawer" aria-label="Record of a flow" onKeyDown={(k) => k.key === "Escape" && onClose()}>
			<header>
				<h2 tabIndex={-1} ref={head}>{r ? <>{r.process?.name ?? "a program that is not known"} <span class="arrow">→</span> {name}</> : `Flow ${id}`}</h2>
				<button type="button" onClick={onClose} aria-label="Close the record">×</button>
			</header>
			<div class="body">
				{!r && asked.busy && <p class="dim">…</p>}
				{!r && !asked.busy && <Empty title="This flow is not known any more">{asked.problem?.message ?? "History may have let it go."}</Empty>}
				{r && (
					<>
						<dl class="figures small">
							<div class="figure"><dt>out</dt><dd><Up n={m.up} /></dd></div>
							<div class="figure"><dt>in</dt><dd><Down n={m.down} /></dd></div>
							<div class="figure"><dt>took</dt><dd>{duration(seconds(f.end) - seconds(f.start))}</dd></div>
						</dl>
						<Pieces pieces={asked.data?.pieces} />
						<h3>Who</h3>
						<ProcessTree process={r.process} />
						<Facts rows={[
							["host", far && <Value k="host">{r.host}</Value>],
							["user", r.user && <Value k="user" value={r.user.name ?? r.user.id}>{r.user.name ?? r.user.id}</Value>],
							["unit", r.service?.name && <Value k="unit">{r.service.name}</Value>],
							["container", r.container && <Value k="container" value={r.container.name ?? r.container.id}>{r.container.name ?? r.container.id}</Value>],
							["image", r.container?.image?.name],
							["cgroup", r.cgroup],
						]} />
						<h3>To whom</h3>
						<Facts rows={[
							["name", e.name && <><Value k="name">{e.name}</Value> <span class="dim">by {e.name_source}</span></>],
							["other names", e.names?.filter((n) => n !== e.name).join(", ")],
							["domain", e.registered_domain], ["segment", e.segment], ["country", e.country], ["network", e.asn && `AS${e.asn} ${e.as_org ?? ""}`],
							["from", ends(r.src_ip, r.src_port)],
							["to", r.dest_ip && <Value k="addr" value={r.dest_ip}>{ends(r.dest_ip, r.dest_port)}</Value>],
							["protocol", [r.proto, r.app_proto].filter(Boolean).join(", ")], ["direction", e.direction],
						]} />
						<h3>What moved</h3>
						<Facts rows={[
							["began", <Time at={f.start} />], ["last packet", <Time at={f.end} />], ["state", [f.state, f.reason].filter(Boolean).join(", ")],
							["packets", `${count(m.upPackets)} out, ${count(m.downPackets)} in`],
							["payload", e.payload_toserver !== undefined && `${bytes(e.payload_toserver)} to the server, ${bytes(e.payload_toclient)} back`],
							["round trip", e.tcp?.rtt_us !== undefined && duration(e.tcp.rtt_us / 1e6)], ["retransmits", e.tcp?.retransmits],
							["JA4", e.ja4 && <Value k="ja4">{e.ja4}</Value>], ["JA3", e.ja3 && <Value k="ja3">{e.ja3}</Value>],
							["seen from its begin", e.mid_stream ? "no: it was there before egret" : undefined],
						]} />
						<h3>Verdict</h3>
						<Why record={r} far={far} />
						<details class="raw"><summary>The record as it is written</summary><pre tabIndex={0}>{JSON.stringify(r, null, 1)}</pre></details>
					</>
				)}
				<Trouble problem={r ? asked.problem : null} />
			</div>
		</aside>
	);
}

export const nameOf = (r) => r.egret?.name ?? peer(r) ?? NONE;
