// SPDX-License-Identifier: Apache-2.0
// Cases: what was found, on which evidence, and what to do about it.
import { useEffect, useRef, useState } from "preact/hooks";
import { post, useAsk } from "../api.js";
import { dimTerm } from "../filter.js";
import { bytes, count, duration, NONE, seconds } from "../format.js";
import { Act, Bar, Chip, Choice, Copy, Empty, Facts, FilterBox, Head, Level, Note, Panel, Time, Trouble } from "../parts.jsx";
import { ProcessTree } from "../record.jsx";
import { change, format } from "../route.js";
import { Table } from "../table.jsx";
import { denyRule, strip } from "../finding.js";

const idOf = (r) => r.egret.finding.id;
const FORS = [["86400", "1 day"], ["604800", "7 days"], ["2592000", "30 days"], ["31536000", "1 year"]];

const COLUMNS = [
	{ key: "level", title: "level", render: (r) => <Level level={r.egret.finding.level} /> },
	{ key: "host", title: "host", far: true, render: (r) => r.host },
	{ key: "who", title: "who", render: (r) => <span title={r.egret.finding.entity}>{r.egret.finding.entity}</span> },
	{ key: "whom", title: "to whom", grow: true, render: (r) => <span title={r.egret.finding.peer}>{r.egret.finding.peer}</span> },
	{ key: "detector", title: "found by", less: 2, render: (r) => r.egret.finding.detector },
	{ key: "state", title: "state", less: 1, render: (r) => (r.egret.finding.acked ? <Chip>acknowledged</Chip> : r.egret.finding.state === "closed" ? <Chip>closed</Chip> : <Chip kind="warn">open</Chip>) },
	{ key: "flows", title: "flows", num: true, less: 2, render: (r) => count(r.egret.finding.flows_total) },
	{ key: "last", title: "last seen", num: true, less: 1, render: (r) => <Time at={r.egret.finding.last_seen} relative /> },
];

/** What several machines show: one line a peer and detector. */
const FLEET = [
	{ key: "level", title: "level", render: (r) => <Level level={r.level} /> },
	{ key: "hosts", title: "hosts", num: true, render: (r) => <span title={r.some_hosts.join(", ")}>{count(r.hosts)}</span> },
	{ key: "peer", title: "to whom", grow: true, render: (r) => r.peer },
	{ key: "programs", title: "programs", less: 2, render: (r) => r.programs.join(", ") },
	{ key: "detector", title: "found by", less: 1, render: (r) => r.detector },
	{ key: "first", title: "since", num: true, less: 2, render: (r) => <Time at={r.first} relative /> },
	{ key: "last", title: "last seen", num: true, less: 1, render: (r) => <Time at={r.last} relative /> },
];

function Fleet({ q }) {
	const { data, problem } = useAsk("/fleet/findings", { last: "7d", filter: q.filter, limit: 1000 }, 30000);
	const rows = data?.rows ?? [];
	return (
		<Panel title="In the fleet" aside={<span class="dim">by peer, in 7 days</span>}>
			{data && !rows.length ? <Empty title="Nothing was found" /> : <Table label="In the fleet" tall={false} columns={FLEET} rows={rows} rowKey={(r) => r.detector + " " + r.peer}
				onOpen={(r) => change({ filter: dimTerm("name", r.peer) })} />}
			<Trouble problem={problem} said />
		</Panel>
	);
}

/** Check-ins as ticks on a line of time, or amounts as columns; the dashed line is their median. */
function Plot({ plot }) {
	const drawn = strip(plot);
	if (!drawn) return null;
	const { kind, marks, median, text } = drawn;
	return (
		<figure class="plot">
			<svg viewBox="0 0 640 72" preserveAspectRatio="none" role="img" aria-label={text}>
				{kind === "ticks" ? marks.map((x, i) => <line key={i} x1={4 + x * 632} x2={4 + x * 632} y1="12" y2="60" class="tick" />) :
					marks.map((h, i) => <rect key={i} x={4 + (i * 632) / marks.length} width={Math.max(1, 632 / marks.length - 2)} y={66 - h * 60} height={Math.max(1, h * 60)} class="column" />)}
				{kind === "columns" && <line x1="0" x2="640" y1={66 - median * 60} y2={66 - median * 60} class="median" />}
				<line x1="0" x2="640" y1="66" y2="66" class="base" />
			</svg>
			<figcaption>{text}</figcaption>
		</figure>
	);
}

function Evidence({ f }) {
	const most = Math.max(1, ...f.evidence.map((e) => Math.abs(e.weight_db)));
	return (
		<table class="plain evidence">
			<caption class="sr">Evidence, heaviest first</caption>
			<Head of="evidence|what was measured|#weight" />
			<tbody>
				{f.evidence.map((e, i) => (
					<tr key={i}>
						<th scope="row"><code>{e.kind}</code><br /><small class="dim">{e.group}</small></th>
						<td>{e.what}{e.baseline && <><br /><small class="dim">{e.baseline}</small></>}</td>
						<td class="num">{e.weight_db > 0 ? "+" : ""}{e.weight_db} dB<Bar share={Math.abs(e.weight_db) / most} kind={e.weight_db < 0 ? "down" : "up"} /></td>
					</tr>
				))}
			</tbody>
		</table>
	);
}

function Acknowledge({ record, onDone }) {
	const f = record.egret.finding;
	const [scope, setScope] = useState("both"), [forS, setFor] = useState("2592000"), [detector, setDetector] = useState(false), [note, setNote] = useState("");
	return (
		<fieldset>
			<legend>This is ordinary</legend>
			<Choice label="What it covers" value={scope} onChange={setScope} options={[["both", "this program to this peer"], ["entity", "this program, anywhere"], ["peer", "any program to this peer"]]} />
			<Choice label="For" value={forS} onChange={setFor} options={FORS} />
			<label class="check"><input type="checkbox" checked={detector} onChange={() => setDetector(!detector)} /> only what <code>{f.detector}</code> finds</label>
			<label class="line">Note <input type="text" maxLength={200} value={note} onInput={(e) => setNote(e.currentTarget.value)} /></label>
			<Act kind="main" run={async () => {
				const entity = record.process?.executable ?? f.entity;
				const r = await post("/findings/ack", {
					...{ both: { id: f.id }, entity: { entity }, peer: { peer: f.peer } }[scope],
					for: Number(forS), ...(detector ? { detector: f.detector } : {}), ...(note ? { note } : {}),
				});
				if (r.done) onDone();
				return r;
			}}>Acknowledge</Act>
		</fieldset>
	);
}

function Case({ record, may, far, onDone, onClose }) {
	const f = record.egret.finding, rule = denyRule(record);
	const head = useRef(null);
	useEffect(() => head.current?.focus({ preventScroll: true }), [f.id]);
	return (
		<aside class="drawer" aria-label="Case" onKeyDown={(k) => k.key === "Escape" && onClose()}>
			<header>
				<h2 tabIndex={-1} ref={head}>{f.entity} <span class="arrow">→</span> {f.peer}</h2>
				<button type="button" onClick={onClose} aria-label="Close the case">×</button>
			</header>
			<div class="body">
				<p class="explain"><Level level={f.level} /> {f.explain}</p>
				{f.plot && <Plot plot={f.plot} />}
				<Evidence f={f} />
				<Facts rows={[
					["score", `${f.score_db > 0 ? "+" : ""}${f.score_db} dB`], ["class", f.class], ["ATT&CK", f.attack?.join(", ")],
					["name", f.name], ["shown by", f.entities > 1 && `${count(f.entities)} programs or machines`],
					["payload", `${bytes(f.payload_toserver)} out, ${bytes(f.payload_toclient)} in`],
					["flows", <a href={format("flows", { last: "7d", filter: [dimTerm("app", record.process?.executable), f.name ? dimTerm("name", f.name) : dimTerm("address", record.dest_ip)].filter(Boolean).join(" ") })}>{count(f.flows_total)} of this pair</a>],
					["first seen", <Time at={f.first_seen} />], ["told", <Time at={f.opened} />], ["last seen", <Time at={f.last_seen} />], ["response", f.response && <code>{f.response}</code>],
					["case", <code>{f.id}</code>],
				]} />
				<h3>Process</h3>
				<ProcessTree process={record.process} />
				<h3>What to do</h3>
				{far ? <Note>A console changes nothing: block and acknowledge on {record.host} itself.</Note> : !may && <Note>You may read but not change. As root: <code>sudo egret page</code> gives a page that may.</Note>}
				<div class="row">
					{!far && <Act disabled={!may || !rule} kind="danger" title={rule} run={async () => {
						const r = await post("/policy/block", { rule, for: 3600, note: `finding ${f.id}` });
						return r.done ? "blocked for an hour" : r;
					}}>Block for an hour</Act>}
					{rule && <Copy text={rule}>Copy as rule</Copy>}
				</div>
				{rule && <p><code>{rule}</code></p>}
				{may && !f.acked && <Acknowledge record={record} onDone={onDone} />}
			</div>
		</aside>
	);
}

function Exceptions({ may, round }) {
	const asked = useAsk("/findings/exceptions", { round: undefined });
	useEffect(() => {
		if (round) asked.again();
	}, [round]);
	const list = (asked.data?.exceptions ?? []).filter((e) => !e.over);
	if (!list.length) return null;
	return (
		<Panel title="Acknowledged" aside={<span class="dim">found and shown, not told</span>}>
			<table class="plain">
				<Head of="program|peer|detector|until|note|.take back" />
				<tbody>
					{list.map((e) => (
						<tr key={e.number}>
							<td>{e.entity || "any"}</td><td>{e.peer || "any"}</td><td>{e.detector || "any"}</td><td><Time at={e.until} /></td><td>{e.note || NONE}</td>
							<td><Act disabled={!may} run={async () => {
								const r = await post("/findings/unack", { number: e.number });
								asked.again();
								return r;
							}}>Take back</Act></td>
						</tr>
					))}
				</tbody>
			</table>
		</Panel>
	);
}

export function Findings({ q, status, far }) {
	const low = q.low === "1";
	const asked = useAsk("/findings", { low: low ? 1 : undefined, filter: q.filter, limit: 1000 }, 5000);
	const [round, setRound] = useState(0);
	const rows = asked.data?.rows ?? [], may = !far && !!status?.you?.change;
	const open = rows.find((r) => idOf(r) === q.open);
	const learning = status?.detect?.learning;
	return (
		<>
			<div class="tools">
				<FilterBox filter={q.filter} problem={asked.problem} />
				<label class="check"><input type="checkbox" checked={low} onChange={() => change({ low: low ? undefined : "1" }, true)} /> also the low ones</label>
			</div>
			{learning && <Note>egret learns what is ordinary here, for {duration(seconds(status.detect.learning_until) - Date.now() / 1000)} more: until then only what needs no comparison is told.</Note>}
			{far && <Fleet q={q} />}
			<div class={open ? "with-drawer" : ""}>
				<Panel title="Cases" aside={<span class="dim" role="status">{asked.data && `${count(rows.length)}${asked.data.matched > rows.length ? ` of ${count(asked.data.matched)}` : ""}, heaviest first`}</span>}>
					{asked.data && !rows.length ? <Empty title="Nothing was found">{q.filter ? "No case matches the filter." : "When a program does what should worry you, it stands here with the evidence."}</Empty> :
						<Table label="Cases" columns={COLUMNS.filter((c) => far || !c.far)} rows={rows} rowKey={idOf} open={q.open} onOpen={(r) => change({ open: idOf(r) })} />}
					<Trouble problem={asked.problem} said />
				</Panel>
				{open && <Case record={open} may={may} far={far} onClose={() => change({ open: undefined })} onDone={() => {
					asked.again();
					setRound((n) => n + 1);
				}} />}
				{q.open && !open && asked.data && <Note>Case <code>{q.open}</code> is not in this list{low ? "." : ": it may be a low one."}</Note>}
			</div>
			{!far && <Exceptions may={may} round={round} />}
		</>
	);
}
