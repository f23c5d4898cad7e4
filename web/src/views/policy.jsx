// SPDX-License-Identifier: Apache-2.0
// What may leave: the rules in force, what they did, and an edited policy tried on the past before it is loaded.
import { useState } from "preact/hooks";
import { post, useAsk } from "../api.js";
import { base, bytes, count, duration, money, NONE, plural, seconds } from "../format.js";
import { Act, Chip, Choice, Down, Empty, Figure, Head, Note, Panel, Time, Trouble, Up, useNow } from "../parts.jsx";
import { format } from "../route.js";

function Confirm({ policy, may, again }) {
	const by = seconds(policy.confirm_by), now = useNow(Number.isFinite(by));
	if (!Number.isFinite(by)) return null;
	return (
		<Note kind="warn" role="status">
			<strong>This policy waits to be confirmed.</strong> In {duration(Math.max(0, Math.ceil(by - now)))} the one before it comes back.{" "}
			<Act kind="main" disabled={!may} run={async () => {
				const r = await post("/policy/confirm", {});
				again();
				return r;
			}}>Confirm: I can still work</Act>
		</Note>
	);
}

function Rules({ policy }) {
	return (
		<table class="plain rules">
			<caption class="sr">Rules in the order in which they are asked</caption>
			<Head of="#line|rule|#hits|#refused|#out|#~in|#~last match" />
			<tbody>
				{policy.rules.map((r, i) => {
					const refused = r.refused_calls + r.refused_packets;
					return (
						<tr key={i} class={r.hits ? "" : "idle"}>
							<td class="num dim">{r.line ?? (r.block ? "dated" : "")}</td>
							<td class="wrap"><code>{r.text}</code>{r.until && <span class="dim"> until <Time at={r.until} /></span>}{r.implied && <span class="dim"> implied</span>}</td>
							<td class="num">{count(r.hits)}</td>
							<td class="num">{refused ? count(refused) : NONE}</td>
							<td class="num"><Up n={r.bytes_up} /></td>
							<td class="num less1"><Down n={r.bytes_down} /></td>
							<td class="num less1">{r.last ? <Time at={r.last} relative /> : "never"}</td>
						</tr>
					);
				})}
			</tbody>
		</table>
	);
}

function Blocks({ policy, may, again }) {
	if (!policy.blocks?.length) return null;
	return (
		<Panel title="Dated rules in front" aside={<Act disabled={!may} run={async () => {
			const r = await post("/policy/unblock", { all: true });
			again();
			return r;
		}}>Take all away</Act>}>
			<ul class="list">
				{policy.blocks.map((b) => (
					<li key={b.rule}>
						<code>{b.rule}</code> {b.note && <span class="dim">“{b.note}”</span>} {b.until ? <>until <Time at={b.until} /></> : "until it is taken away"}{" "}
						<Act disabled={!may} run={async () => {
							const r = await post("/policy/unblock", { rule: b.rule });
							again();
							return r;
						}}>Take away</Act>
					</li>
				))}
			</ul>
		</Panel>
	);
}

const STATES = { spent: "bad", over: "bad", warned: "warn", ahead: "warn" };
const State = ({ of, children }) => (STATES[of] ? <Chip kind={STATES[of]}>{children ?? of}</Chip> : of);

/** Bytes of rules, and money of a month: how much is used, and when it is gone. */
function Quotas() {
	const { data } = useAsk("/policy/quota", {}, 5000);
	const quotas = data?.quotas ?? [], budgets = data?.budgets ?? [];
	const amount = (b, n) => (n === undefined ? NONE : money({ amount: n, currency: b.currency }));
	if (!quotas.length && !budgets.length) return null;
	return (
		<Panel title="Quotas and budgets">
			<table class="plain">
				<Head of="what|used|#~left|#~until|~runs out|state" />
				<tbody>
					{quotas.map((x, i) => (
						<tr key={i}><td class="wrap"><code>{x.text}</code></td><td>{bytes(x.used)} of {bytes(x.of)}</td><td class="num less1">{bytes(x.left)}</td>
							<td class="num less1"><Time at={x.ends} /></td><td class="less1">{x.left ? x.runs_out ? <Time at={x.runs_out} /> : "not before it ends" : "it has"}</td><td><State of={x.state}>{x.then && x.state === "spent" && `${data.mode === "watch" ? "would " : ""}${x.then}`}</State></td></tr>
					))}
					{budgets.map((b) => (
						<tr key={b.text}><td class="wrap"><code>budget {b.text}</code></td><td>{amount(b, b.used)} of {amount(b, b.of)}</td><td class="num less1">{amount(b, Math.max(0, b.of - b.used))}</td>
							<td class="num less1"><Time at={b.to} /></td><td class="less1">{b.state === "over" ? "it has" : b.forecast === undefined ? NONE : `${amount(b, b.forecast)} by its end`}</td><td><State of={b.state} /></td></tr>
					))}
				</tbody>
			</table>
		</Panel>
	);
}

function WouldDeny({ kept }) {
	const asked = useAsk(kept ? "/history/usage" : "", { by: "app,name,rule", last: "24h", filter: "verdict:would-deny", sort: "flows", limit: 50 }, 30000);
	const living = useAsk(kept ? "" : "/flows", { ended: 1, filter: "verdict:would-deny", sort: "last", limit: 200 }, 10000);
	const rows = asked.data?.rows;
	const from = (r) => format("flows", { filter: `verdict:would-deny proc:"${r.app.replace(/"/g, "?")}"`, last: "24h" });
	return (
		<Panel title="Would have been refused" aside={<span class="dim">{kept ? "last 24 hours" : "living flows and those that ended lately"}</span>}>
			{rows?.length > 0 && (
				<table class="plain">
					<Head of="program|name|by the rule|#flows|#out" />
					<tbody>{rows.map((r, i) => (
						<tr key={i}><td><a href={from(r)} title={r.app}>{base(r.app) || NONE}</a></td><td>{r.name || NONE}</td><td class="wrap"><code>{r.rule}</code></td><td class="num">{count(r.flows)}</td><td class="num"><Up n={r.up} /></td></tr>
					))}</tbody>
				</table>
			)}
			{!kept && living.data && <p>{living.data.matched ? <a href={format("flows", { filter: "verdict:would-deny" })}>{plural(living.data.matched, "flow")}</a> : "Nothing."}</p>}
			{kept && rows?.length === 0 && <Empty title="Nothing">In 24 hours no flow met a rule that would refuse it.</Empty>}
			<Trouble problem={asked.problem} />
		</Panel>
	);
}

function Changed({ title, rows, all }) {
	if (!rows?.length) return null;
	return (
		<table class="plain">
			<caption>{title}{all > rows.length ? `: ${count(all)}, the heaviest ${count(rows.length)}` : ""}</caption>
			<Head of="program|to|port|#flows|by the rule" />
			<tbody>{rows.map((r, i) => <tr key={i}><td>{r.program}</td><td>{r.to}</td><td>{r.port}</td><td class="num">{count(r.flows + r.attempts)}</td><td class="wrap"><code>{r.rule}</code></td></tr>)}</tbody>
		</table>
	);
}

/** What changes, as `egret policy diff` says it: statements, and what was recorded judged anew. */
function Replay({ answer }) {
	const e = answer.effect;
	return (
		<div class="replay">
			{answer.messages && <pre class="messages" tabIndex={0}>{answer.messages}</pre>}
			{answer.statements?.length === 0 && <p>It says what is in force.</p>}
			<ul class="list">{(answer.statements ?? []).map((s, i) => (
				<li key={i}><Chip kind={s.kind === "removed" ? "bad" : s.kind === "added" ? "ok" : "warn"}>{s.kind}</Chip>{" "}
					{s.before && <><span class="dim">{s.before.line}</span> <code>{s.kind === "added" || s.kind === "removed" ? s.before.text : <del>{s.before.text}</del>}</code> </>}
					{s.after && <><span class="dim">{s.after.line}</span> <code>{s.after.text}</code></>}</li>
			))}</ul>
			{e && (
				<>
					<p><strong>Of {plural(e.flows, "recorded flow")}, {count(e.refused_now)} would be refused that passed, {count(e.passed_now)} would pass that were refused</strong>; {count(e.same)} end
						as they did{e.other_rule ? `, ${count(e.other_rule)} of them by another rule` : ""}{e.unknown ? `; of ${count(e.unknown)} too little is known` : ""}.</p>
					<Changed title="Refused from now on" rows={e.top_refused_now} all={e.refused_now} />
					<Changed title="Let through from now on" rows={e.top_passed_now} all={e.passed_now} />
				</>
			)}
		</div>
	);
}

function Editor({ policy, may, again }) {
	const asked = useAsk(policy.rules ? "/policy/text" : "");
	const [text, setText] = useState(null), [replay, setReplay] = useState(null), [last, setLast] = useState("24h");
	const [mode, setMode] = useState(policy.mode === "enforce" ? "enforce" : "watch"), [confirm, setConfirm] = useState("60");
	const now = text ?? asked.data?.files?.[0]?.text ?? asked.data?.text ?? "";
	const several = (asked.data?.files?.length ?? 0) > 1;
	const tried = replay && replay.text === now && !replay.error;
	return (
		<Panel title="Edit and try" class="editor">
			{several && <Note>This policy is made of {count(asked.data.files.length)} files and is changed there: <code>egret policy load</code>. Here is its first one.</Note>}
			<label class="line" for="policy-text">The policy as text</label>
			<textarea id="policy-text" class="code" spellcheck={false} rows={Math.min(28, Math.max(10, now.split("\n").length + 1))} value={now}
				onInput={(e) => setText(e.currentTarget.value)} readOnly={!may || several} />
			<div class="row">
				<Choice label="Try it on the last" value={last} onChange={setLast} options={[["1h", "hour"], ["24h", "24 hours"], ["7d", "7 days"], ["30d", "30 days"]]} />
				<button type="button" disabled={!now || several || replay?.busy} onClick={async () => {
					setReplay({ busy: true, text: now });
					try {
						setReplay({ answer: await post("/policy/replay", { text: now, last }), text: now });
					} catch (e) {
						setReplay({ error: e.message, text: now });
					}
				}}>Replay</button>
				{text !== null && <button type="button" onClick={() => {
					setText(null);
					setReplay(null);
				}}>Back to what is in force</button>}
			</div>
			<div aria-live="polite">
				{replay?.busy && <p class="dim">…</p>}
				{replay?.error && <Note kind="bad"><pre>{replay.error}</pre></Note>}
				{replay?.answer && <Replay answer={replay.answer} />}
			</div>
			<div class="row">
				<Choice label="Load it to" value={mode} onChange={setMode} options={[["watch", "watch: refuses nothing"], ["enforce", "enforce"]]} />
				<Choice label="and take it back unless confirmed within" value={confirm} onChange={setConfirm} options={[["30", "30 s"], ["60", "1 min"], ["300", "5 min"]]} />
				<Act kind="main" disabled={!may || several || !tried} title={tried ? undefined : "Replay it first: what changes is shown before it is loaded"} run={async () => {
					const r = await post("/policy/load", { text: now, mode, confirm: Number(confirm) });
					again();
					return r;
				}}>Load</Act>
				{!tried && may && <span class="dim">after a replay of this text</span>}
			</div>
			<Trouble problem={asked.problem} said />
		</Panel>
	);
}

export function Policy({ status, kept }) {
	const asked = useAsk("/policy", {}, 3000);
	const policy = asked.data, may = !!status?.you?.change;
	if (!policy) return <><Trouble problem={asked.problem} /><p class="dim">…</p></>;
	const words = { watch: "watches: refuses nothing, notes what would be", enforce: "is enforced", off: "there is none" };
	return (
		<>
			<dl class="figures">
				<Figure label="policy" kind={policy.mode === "enforce" ? "ok" : ""} note={words[policy.mode]}>{policy.mode}</Figure>
				<Figure label="rules">{count(policy.n_rules)}</Figure>
				<Figure label="dated rules">{count(policy.n_blocks ?? 0)}</Figure>
				<Figure label="loaded">{policy.loaded ? <Time at={policy.loaded} relative /> : NONE}</Figure>
				<Figure label="survives egretd">{policy.pinned ? "yes" : "no"}</Figure>
			</dl>
			<Confirm policy={policy} may={may} again={asked.again} />
			{policy.problem && <Note kind="bad">{policy.problem}</Note>}
			{!may && <Note>You may read but not change. As root: <code>sudo egret page</code> gives a page that may.</Note>}
			{policy.rules ? <Panel title="Rules" aside={<span class="dim">{policy.file}</span>}><Rules policy={policy} />{policy.not_enforced && <p class="source dim">{policy.not_enforced}</p>}</Panel> :
				<Empty title="No policy is in force">Write one below, or let what was seen suggest it: <code>egret policy learn</code>.</Empty>}
			<Blocks policy={policy} may={may} again={asked.again} />
			{policy.rules && <Quotas />}
			{policy.lists?.length > 0 && (
				<Panel title="Lists">
					<table class="plain"><Head of="list|from|#entries|as of|problem" />
						<tbody>{policy.lists.map((l) => <tr key={l.name}><td>{l.name}</td><td class="wrap">{l.from}</td><td class="num">{count(l.entries)}</td><td>{l.as_of ? <Time at={l.as_of} relative /> : NONE}{l.expired && <Chip kind="bad">expired</Chip>}</td><td>{l.problem ?? NONE}</td></tr>)}</tbody></table>
				</Panel>
			)}
			<WouldDeny kept={kept} />
			<Editor policy={policy} may={may} again={asked.again} />
		</>
	);
}
