// SPDX-License-Identifier: Apache-2.0
// The page: where one is, what state egret is in, and the view that is open.
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { takeToken, useLink } from "./api.js";
import { ago, count, duration, plural } from "./format.js";
import { Chip, kept as store, Note, useNow, useStatus } from "./parts.jsx";
import { FAR_VIEWS, format, parse, VIEWS } from "./route.js";
import { Findings } from "./views/findings.jsx";
import { Flows } from "./views/flows.jsx";
import { Health } from "./views/health.jsx";
import { Hosts } from "./views/hosts.jsx";
import { Now } from "./views/now.jsx";
import { Policy } from "./views/policy.jsx";
import { Usage } from "./views/usage.jsx";
import "./app.css";

const SHOW = { now: Now, flows: Flows, findings: Findings, policy: Policy, usage: Usage, health: Health, hosts: Hosts };
const THEMES = { auto: "as the system", light: "light", dark: "dark" };

function useRoute() {
	const [route, setRoute] = useState(() => parse(location.hash));
	useEffect(() => {
		const on = () => setRoute(parse(location.hash));
		addEventListener("hashchange", on);
		return () => removeEventListener("hashchange", on);
	}, []);
	return route;
}

function setTheme(theme) {
	if (theme === "auto") delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = theme;
	store.set("theme", theme);
}

function Theme() {
	const [theme, set] = useState(() => store.get("theme", "auto"));
	const next = { auto: "light", light: "dark", dark: "auto" }[theme] ?? "auto";
	return (
		<button type="button" class="theme" title={`Colours: ${THEMES[theme]}`} aria-label={`Colours: ${THEMES[theme]}. Change to ${THEMES[next]}`} onClick={() => {
			set(next);
			setTheme(next);
		}}><span aria-hidden="true">{{ auto: "◐", light: "○", dark: "●" }[theme]}</span></button>
	);
}

function Gone({ link }) {
	useNow(true);
	return <Note kind="bad" role="alert"><strong>egretd does not answer</strong> since {ago(link.since).replace(" ago", "")}. What you see is old; it is asked again until it does.</Note>;
}

function NoRights({ problem }) {
	return (
		<Note kind="bad">
			<strong>You may not look here.</strong> {problem.message}
			<p>As root, <code>sudo egret page</code> opens a page that may; members of the group <code>egret</code> may read: <code>sudo adduser $USER egret</code>, then log in anew.</p>
		</Note>
	);
}

/** Keys that work everywhere: / to the filter, 1 to 6 for the views. */
function useKeys(views) {
	useEffect(() => {
		const on = (e) => {
			if (e.ctrlKey || e.altKey || e.metaKey || e.target.matches("input, textarea, select")) return;
			if (e.key === "/") {
				const box = document.querySelector("[data-filter]");
				if (box) {
					e.preventDefault();
					box.focus();
					box.select();
				}
			} else if (views[e.key - 1]) {
				location.hash = format(views[e.key - 1]);
			}
		};
		addEventListener("keydown", on);
		return () => removeEventListener("keydown", on);
	}, [views]);
}

function App() {
	const { view: wanted, q } = useRoute(), link = useLink(), asked = useStatus();
	const main = useRef(null), first = useRef(true);
	const s = asked.data, refused = asked.problem?.status === 401 || asked.problem?.status === 403;
	const far = !!s?.console, kept = far || !!s?.history?.kind;
	const views = far ? FAR_VIEWS : VIEWS, view = views.includes(wanted) ? wanted : views[0], View = SHOW[view];
	const name = far ? `console${s.clickhouse.hosts ? ` of ${plural(s.clickhouse.hosts, "host")}` : ""}` : s?.host;
	useKeys(views);
	useEffect(() => {
		document.title = `${view[0].toUpperCase() + view.slice(1)} · ${name ? name + " · " : ""}egret`;
	}, [view, name]);
	useEffect(() => {
		if (!first.current) {
			main.current?.focus({ preventScroll: true });
			scrollTo(0, 0);
		}
		first.current = false;
	}, [view]);
	const findings = s?.detect?.findings ?? 0;
	return (
		<>
			<a class="skip" href="#main" onClick={(e) => {
				e.preventDefault();
				main.current.focus();
			}}>To the content</a>
			<header class="top">
				<a class="brand" href={format(views[0])} aria-label={`egret, ${views[0]}`}><img src="favicon.svg" width="22" alt="" />egret</a>
				<nav aria-label="Views">
					{views.map((v) => (
						<a key={v} href={format(v)} aria-current={v === view ? "page" : undefined}>{v[0].toUpperCase() + v.slice(1)}
							{v === "findings" && findings > 0 && <span class="count" aria-label={`, ${findings} open`}>{count(findings)}</span>}</a>
					))}
				</nav>
				<div class="state">
					{s && <span class="host" title={`egret ${s.version}, runs ${duration(s.uptime_s)}`}>{name}</span>}
					{s && s.lost_total > 0 && <a href="#/health"><Chip kind="bad">{count(s.lost_total)} lost</Chip></a>}
					{s?.policy && <a href="#/policy"><Chip kind={s.policy.mode === "enforce" ? "ok" : s.policy.mode === "watch" ? "warn" : ""} title="the policy">{s.policy.mode === "off" ? "no policy" : s.policy.mode}</Chip></a>}
					<Theme />
				</div>
			</header>
			<main ref={main} id="main" tabIndex={-1} aria-label={view}>
				<h1 class="sr">{view[0].toUpperCase() + view.slice(1)}</h1>
				{!link.up && <Gone link={link} />}
				{s?.clickhouse?.answers === false && <Note kind="bad"><strong>ClickHouse does not answer:</strong> {s.clickhouse.problem}</Note>}
				{refused ? <NoRights problem={asked.problem} /> : s || !asked.busy ? <View q={q} status={s} kept={kept} far={far} asked={asked} /> : <p class="dim">…</p>}
			</main>
		</>
	);
}

setTheme(store.get("theme", "auto"));
takeToken();
render(<App />, document.getElementById("app"));
