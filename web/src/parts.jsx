// SPDX-License-Identifier: Apache-2.0
// Small things that several views are made of.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { get, useAsk } from "./api.js";
import { wordAt } from "./filter.js";
import { ago, bytes, moment, NONE, rate, seconds } from "./format.js";
import { change } from "./route.js";

export const cls = (...names) => names.filter(Boolean).join(" ");

/** What the browser keeps for this page; nothing where it may not. */
export const kept = {
	get(key, otherwise) {
		try {
			return JSON.parse(localStorage.getItem("egret." + key)) ?? otherwise;
		} catch {
			return otherwise;
		}
	},
	set(key, value) {
		try {
			localStorage.setItem("egret." + key, JSON.stringify(value));
		} catch { /* private windows have no store: it is asked again next time */ }
	},
};

export function useKept(key, otherwise) {
	const [value, set] = useState(() => kept.get(key, otherwise));
	return [value, (v) => {
		kept.set(key, v);
		set(v);
	}];
}

/** The time, twice a second while `on`. */
export function useNow(on) {
	const [now, set] = useState(() => Date.now() / 1000);
	useEffect(() => {
		if (!on) return undefined;
		const timer = setInterval(() => set(Date.now() / 1000), 500);
		return () => clearInterval(timer);
	}, [on]);
	return now;
}

export const Up = ({ n, per }) => <span class="up">{per ? rate(n) : bytes(n)}</span>;
export const Down = ({ n, per }) => <span class="down">{per ? rate(n) : bytes(n)}</span>;

export const Chip = ({ kind, children, title }) => <span class={cls("chip", kind)} title={title}>{children}</span>;

const LEVELS = { critical: "▲▲", high: "▲", medium: "◆", low: "▽" };
export const Level = ({ level }) => (
	<span class={cls("level", level)}><span aria-hidden="true">{LEVELS[level] ?? ""} </span>{level}</span>
);

export function Verdict({ record }) {
	const { verdict, would_deny: would } = record.egret ?? {};
	if (!verdict) return <span class="dim">{NONE}</span>;
	if (would || verdict === "audit") return <Chip kind="warn">would {verdict === "audit" ? "deny" : verdict}</Chip>;
	return verdict === "allow" ? <span class="dim">allow</span> : <Chip kind="bad">{verdict}</Chip>;
}

export const Time = ({ at, relative }) => {
	const t = seconds(at);
	return Number.isFinite(t) ? <time dateTime={new Date(t * 1000).toISOString()} title={moment(t)}>{relative ? ago(t) : moment(t)}</time> : NONE;
};

export function Note({ kind = "info", children, role }) {
	return <div class={cls("note", kind)} role={role ?? (kind === "bad" ? "alert" : undefined)}>{children}</div>;
}

/** What is wrong with an answer, in words that say what to do. `said`: a question that makes no sense is told by the filter box. */
export function Trouble({ problem, said }) {
	if (!problem || (said && problem.status === 400) || problem.status === 0 || problem.status >= 502) return null; // the banner says so
	return <Note kind="bad">{problem.message}</Note>;
}

export const Empty = ({ title, children }) => <div class="empty"><strong>{title}</strong>{children && <p>{children}</p>}</div>;

/** "what|#how many|~less1": the first line of a plain table; #: numbers, ~: not on narrow screens, .: heard, not seen. */
export const Head = ({ of }) => (
	<thead><tr>{of.split("|").map((t) => {
		const text = t.replace(/^[#~.]+/, "");
		return <th key={t} scope="col" class={cls(/^#/.test(t) && "num", /^#?~/.test(t) && "less1")}>{t[0] === "." ? <span class="sr">{text}</span> : text}</th>;
	})}</tr></thead>
);

export function Panel({ title, aside, children, class: extra, label }) {
	const id = useId();
	return (
		<section class={cls("panel", extra)} aria-labelledby={title ? id : undefined} aria-label={title ? undefined : label}>
			{(title || aside) && <header><h2 id={id}>{title}</h2>{aside && <div class="aside">{aside}</div>}</header>}
			{children}
		</section>
	);
}

export function Choice({ label, value, options, onChange, hidden }) {
	const id = useId();
	return (
		<span class="field">
			<label for={id} class={hidden ? "sr" : ""}>{label}</label>
			<select id={id} value={value} onChange={(e) => onChange(e.currentTarget.value)}>
				{options.map((o) => {
					const [v, text] = Array.isArray(o) ? o : [o, o];
					return <option key={v} value={v}>{text}</option>;
				})}
			</select>
		</span>
	);
}

/** One of few: buttons in a row. */
export function Switch({ label, value, options, onChange }) {
	return (
		<span class="switch" role="group" aria-label={label}>
			{options.map(([v, text]) => (
				<button key={v} type="button" aria-pressed={v === value} onClick={() => onChange(v)}>{text}</button>
			))}
		</span>
	);
}

export const Figure = ({ label, children, kind, note }) => (
	<div class={cls("figure", kind)}><dt>{label}</dt><dd>{children}{note && <small>{note}</small>}</dd></div>
);

export const Facts = ({ rows }) => (
	<dl class="facts">
		{rows.filter((r) => r && r[1] !== undefined && r[1] !== null && r[1] !== false && r[1] !== "").map(([name, value]) => (
			<div key={name}><dt>{name}</dt><dd>{value}</dd></div>
		))}
	</dl>
);

export function Bar({ share, kind }) {
	return <span class={cls("bar", kind)} aria-hidden="true"><i style={{ width: `${Math.min(100, Math.max(0, share * 100)).toFixed(1)}%` }} /></span>;
}

/** Puts a text on the clipboard; where the browser has none (plain HTTP elsewhere than loopback), shows it to be copied. */
export function Copy({ text, children }) {
	const [state, setState] = useState("");
	const copy = async () => {
		try {
			await navigator.clipboard.writeText(text);
			setState("done");
		} catch {
			setState("show");
		}
	};
	return (
		<>
			<button type="button" onClick={copy}>{children}</button>
			<span role="status" class="dim">{state === "done" ? "copied" : ""}</span>
			{state === "show" && <textarea class="code" readOnly rows={2} aria-label="To be copied" ref={(e) => e?.select()}>{text}</textarea>}
		</>
	);
}

/** Whatever was asked to be changed: a button that says what came of it. */
export function Act({ run, children, kind, disabled, title }) {
	const [state, setState] = useState(null);
	const act = async () => {
		setState({ busy: true });
		try {
			const r = await run();
			setState(r && r.done === false ? { bad: r.messages ?? "it was not done" } : { good: typeof r === "string" ? r : "done" });
		} catch (e) {
			setState({ bad: e.message });
		}
	};
	return (
		<span class="act">
			<button type="button" class={kind} disabled={disabled || state?.busy} title={title} onClick={act}>{children}</button>
			<span role="status">{state?.good ?? ""}</span>
			{state?.bad && <Note kind="bad">{state.bad}</Note>}
		</span>
	);
}

// --- the filter box ------------------------------------------------------------------------------------------------------

let keys = null;

export function FilterBox({ filter, problem: asked, onFilter = (f) => change({ filter: f || undefined, open: undefined }) }) {
	const problem = asked?.status === 400 && asked.message;
	const [text, setText] = useState(filter ?? "");
	const [known, setKnown] = useState(keys ?? []);
	const [open, setOpen] = useState(null);
	const [at, setAt] = useState(-1);
	const input = useRef(null), id = useId();
	useEffect(() => setText(filter ?? ""), [filter]);
	const offers = open ? known.filter((k) => k.key.startsWith(open.word)).slice(0, 30) : [];
	const learn = () => keys ?? get("/filter/keys").then((r) => setKnown((keys = r.rows ?? r))).catch(() => {});
	const look = (e) => {
		const caret = e.currentTarget.selectionStart ?? 0, word = wordAt(e.currentTarget.value, caret);
		setOpen(word && (word.word || word.negated) ? { ...word, caret } : null);
		setAt(-1);
	};
	const pick = (key) => {
		const next = text.slice(0, open.from) + key + ":" + text.slice(open.caret), caret = open.from + key.length + 1;
		// At once: whoever types on must not find the caret moved under the next letters.
		input.current.focus();
		input.current.value = next;
		input.current.setSelectionRange(caret, caret);
		setText(next);
		setOpen(null);
	};
	const onKey = (e) => {
		const move = { ArrowDown: 1, ArrowUp: -1 }[e.key];
		if (offers.length && move) {
			e.preventDefault();
			setAt((at + move + offers.length) % offers.length);
		} else if (offers.length && (e.key === "Tab" || e.key === "Enter") && at >= 0) {
			e.preventDefault();
			pick(offers[at].key);
		} else if (e.key === "Escape") {
			if (open) setOpen(null);
			else if (text) {
				setText("");
				onFilter("");
			}
			e.stopPropagation();
		}
	};
	return (
		<form class="filter" role="search" onSubmit={(e) => {
			e.preventDefault();
			setOpen(null);
			onFilter(text.trim());
		}}>
			<label for={id} class="sr">Filter</label>
			<div class="box">
				<input id={id} ref={input} type="text" data-filter spellcheck={false} autocomplete="off" autocapitalize="off"
					placeholder="filter: proc:curl name:*.example.org port:443 up:>1mb" value={text} role="combobox"
					aria-expanded={offers.length > 0} aria-controls={id + "l"} aria-autocomplete="list" maxLength={4096}
					aria-activedescendant={at >= 0 ? `${id}o${at}` : undefined} aria-invalid={problem ? "true" : undefined}
					aria-describedby={problem ? id + "p" : undefined}
					onFocus={learn} onInput={(e) => {
						setText(e.currentTarget.value);
						look(e);
					}} onKeyDown={onKey} onBlur={() => setTimeout(() => setOpen(null), 150)} />
				<kbd aria-hidden="true">/</kbd>
				{text && <button type="button" class="clear" aria-label="Clear the filter" onClick={() => {
					setText("");
					onFilter("");
					input.current.focus();
				}}>×</button>}
				<ul id={id + "l"} role="listbox" aria-label="Keys" hidden={!offers.length}>
					{offers.map((k, i) => (
						<li key={k.key} id={`${id}o${i}`} role="option" aria-selected={i === at} onMouseDown={(e) => {
							e.preventDefault();
							pick(k.key);
						}}><code>{k.key}</code> <span>{k.help}</span></li>
					))}
				</ul>
			</div>
			<button type="submit">Apply</button>
			{problem && <p class="wrong" id={id + "p"} role="alert">{problem}</p>}
		</form>
	);
}

const SPANS = [["15m", "15 minutes"], ["1h", "1 hour"], ["24h", "24 hours"], ["7d", "7 days"], ["30d", "30 days"], ["400d", "400 days"]];

/** The span of time: last so long, or from and to. */
export function SpanBox({ q, usual = "24h" }) {
	const fixed = q.from || q.to;
	const local = (t) => (t ? moment(Number(t)).replace(" ", "T") : "");
	const set = (key) => (e) => {
		const t = Date.parse(e.currentTarget.value) / 1000;
		if (Number.isFinite(t)) change({ [key]: Math.floor(t), last: undefined });
	};
	const id = useId();
	return (
		<span class="span">
			<Choice label="Span" hidden value={fixed ? "fixed" : q.last ?? usual}
				options={[...SPANS.map(([v, t]) => [v, `last ${t}`]), ...(SPANS.some(([v]) => v === (q.last ?? usual)) ? [] : [[q.last, `last ${q.last}`]]),
					["fixed", "from … to …"]]}
				onChange={(v) => change(v === "fixed" ? { from: Math.floor(Date.now() / 1000 - 86400), to: Math.floor(Date.now() / 1000), last: undefined } :
					{ last: v, from: undefined, to: undefined })} />
			{fixed && (
				<>
					<label for={id + "f"} class="sr">From</label>
					<input id={id + "f"} type="datetime-local" step="1" value={local(q.from)} onChange={set("from")} />
					<label for={id + "t"} class="sr">To</label>
					<input id={id + "t"} type="datetime-local" step="1" value={local(q.to)} onChange={set("to")} />
				</>
			)}
		</span>
	);
}

/** What an answer says of itself: where it comes from, how far back it reaches. */
export function Source({ data }) {
	if (!data) return null;
	const notes = [...(data.notes ?? [])];
	if (data.oldest && data.from && data.oldest > data.from + 60) notes.unshift(`nothing is kept from before ${moment(data.oldest, false)}`);
	return notes.length ? <p class="source dim">{notes.join("; ")}</p> : null;
}

export function useStatus() {
	return useAsk("/status", {}, 5000);
}
