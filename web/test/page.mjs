// SPDX-License-Identifier: Apache-2.0
// What tests/e2e/page.py looks at through a browser. Says "OK name" or "FAIL name<TAB>why", and "DO deed" when the rig is to do
// something; each waits for what it needs, none for a time.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { PAGE_URL, PAGE_EMPTY, PAGE_NPM, PAGE_CHROMIUM, PAGE_STRANGER, PAGE_FOLDER, PAGE_HOSTILE } = process.env;
const require = createRequire(PAGE_NPM + "/");
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const VIEWS = ["now", "flows", "findings", "policy", "usage", "health"];
const SOON = 20000;

// --- cases and deeds -------------------------------------------------------------------------------------------------------

const say = (line) => process.stdout.write(line + "\n");
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function rig(deed) {
	say(`DO ${deed}`);
	return (await answers.next()).value;
}

const check = (name, ok, why = "") => say(ok ? `OK ${name}` : `FAIL ${name}\t${String(why).replace(/\s+/g, " ").slice(0, 600)}`);

/** A case that holds when what it does comes to its end; the value of it is what is right. */
async function holds(name, deed) {
	try {
		const got = await deed();
		check(name, got === undefined || got === true, `got ${JSON.stringify(got)}`);
	} catch (e) {
		check(name, false, e.message);
	}
}

// --- browsers: what they complain of is kept ---------------------------------------------------------------------------------

const complaints = [], elsewhere = [];
let expected = null; // while a test provokes an answer that the browser notes as an error

function watch(page, url) {
	page.on("console", (m) => {
		if (["error", "warning"].includes(m.type()) && !expected?.test(m.text())) complaints.push(`${m.type()}: ${m.text()} (${m.location().url} on ${page.url()})`);
	});
	page.on("pageerror", (e) => complaints.push(`exception: ${e.stack} (${page.url()})`));
	page.on("request", (r) => {
		if (!r.url().startsWith(url + "/") && r.url() !== "about:blank") elsewhere.push(r.url());
	});
	page.setDefaultTimeout(SOON);
	return page;
}

async function opened(page, hash, ready) {
	await page.goto("about:blank"); // else only the hash would change, and what was there before be taken for what comes
	await page.goto(PAGE_URL + "/" + hash);
	await page.waitForSelector(ready);
}

const rows = (page, label) => page.locator(`table[aria-label="${label}"] tbody tr:not(.gap)`);
const query = async (page) => new URLSearchParams((await page.evaluate(() => location.hash)).split("?")[1]);
const until = (page, what, arg) => page.waitForFunction(what, arg, { timeout: SOON, polling: 100 }).then(() => true);

/** Serious and critical findings of axe on what is shown. */
async function accessible(page, name) {
	await holds(`axe: ${name}`, async () => {
		await page.evaluate(axe);
		const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
		const bad = found.violations.filter((v) => v.impact === "serious" || v.impact === "critical");
		return bad.length ? bad.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + " " + (n.any[0]?.message ?? "")).join(" | ")}`) : true;
	});
}

// --- the views -----------------------------------------------------------------------------------------------------------------

async function now(page) {
	await opened(page, "", "[data-live]");
	await holds("now: says what leaves, anew each second", async () => {
		const first = await page.getAttribute("[data-live]", "data-live");
		return until(page, (t) => Number(document.querySelector("[data-live]").dataset.live) > Number(t) + 1500, first);
	});
	await holds("now: a program of the traffic stands in the table", () => rows(page, "Live sums").filter({ hasText: "curl" }).first().waitFor());
	await holds("now: the charts have points", () => until(page, () => [...document.querySelectorAll(".rates .chart")].every((c) => c.dataset.points > 2)));
	await holds("now: the diagram has bands from programs to names", async () => {
		await page.waitForSelector(".sankey path.band", { state: "attached" });
		const text = await page.locator(".sankey figcaption").textContent();
		return /curl to \S+shop\.example: [\d.]+\s\w?B/.test(text) || text;
	});
	await holds("now: by another dimension", async () => {
		await page.getByLabel("by", { exact: true }).selectOption("name");
		await rows(page, "Live sums").filter({ hasText: "www.shop.example" }).first().waitFor();
		return (await query(page)).get("by") === "name";
	});
	await page.goBack();
}

async function filters(page) {
	await opened(page, "#/now", "[data-live]");
	await holds("filter: / leads to it, keys are offered", async () => {
		await page.keyboard.press("/");
		await page.keyboard.type("pro");
		await page.locator("[role=option]", { hasText: "proc" }).first().waitFor();
		await page.keyboard.press("ArrowDown");
		await page.keyboard.press("Enter");
		return (await page.inputValue("[data-filter]")) === "proc:";
	});
	await holds("filter: what it says is all that is shown", async () => {
		await page.keyboard.type("curl");
		await page.keyboard.press("Enter");
		await until(page, () => {
			const all = [...document.querySelectorAll("table[aria-label='Live sums'] tbody tr:not(.gap)")];
			return all.length > 0 && all.every((r) => r.firstChild.textContent === "curl");
		});
		return (await query(page)).get("filter") === "proc:curl";
	});
	await holds("filter: a mistake is told with its column", async () => {
		expected = /status of 400/;
		await page.fill("[data-filter]", "prot:443");
		await page.keyboard.press("Enter");
		const text = await page.locator(".wrong[role=alert]").textContent();
		return /column 1.*did you mean/.test(text) || text;
	});
	await holds("filter: cleared, everything is back", async () => {
		await page.getByRole("button", { name: "Clear the filter" }).click();
		await rows(page, "Live sums").nth(2).waitFor();
		expected = null;
		return !(await query(page)).get("filter");
	});
}

async function flows(page) {
	await opened(page, "#/flows?last=1h", "table[aria-label=Flows] tbody tr");
	await holds("flows: how many of how many are shown", async () => {
		// known with the end of the answer, a moment after its first rows are drawn
		return until(page, () => Number(document.querySelector("table[aria-label=Flows]").getAttribute("data-total")) > 3000);
	});
	await holds("flows: more are fetched, and only those in sight are drawn", async () => {
		await page.getByRole("button", { name: /more$/ }).click();
		await until(page, () => Number(document.querySelector("table[aria-label=Flows]").getAttribute("aria-rowcount")) > 2500);
		const drawn = await rows(page, "Flows").count();
		return drawn < 100 || drawn;
	});
	await holds("flows: End leads to the last one, Home to the first", async () => {
		await rows(page, "Flows").first().focus();
		await page.keyboard.press("End");
		await until(page, () => document.activeElement.getAttribute("aria-rowindex") === document.querySelector("table[aria-label=Flows]").getAttribute("aria-rowcount"));
		await page.keyboard.press("Home");
		return until(page, () => document.activeElement.getAttribute("aria-rowindex") === "2");
	});
	await page.fill("[data-filter]", "proc:curl port:443");
	await page.keyboard.press("Enter");
	await until(page, () => [...document.querySelectorAll("table[aria-label=Flows] tbody tr:not(.gap)")].every((r) => r.textContent.includes("curl")));
	await holds("flows: arrow and Enter open the whole record", async () => {
		await rows(page, "Flows").first().focus();
		await page.keyboard.press("ArrowDown");
		await page.keyboard.press("Enter");
		const text = await page.locator(".drawer").textContent();
		return (text.includes("/usr/bin/curl") && text.includes("shop.example") && !!(await query(page)).get("open")) || text;
	});
	await holds("flows: why was this allowed? the rule with its line", async () => {
		await page.getByRole("button", { name: "Why was this allowed?" }).click();
		const text = await page.locator(".why").textContent();
		return (text.includes("allow app web to *.shop.example") && text.includes("policy.egret:8")) || text;
	});
	await holds("flows: a link shows the same", async () => {
		const link = await page.evaluate(() => location.href), other = watch(await page.context().newPage(), PAGE_URL);
		await other.goto(link);
		await other.locator(".drawer", { hasText: "/usr/bin/curl" }).waitFor();
		const filter = await other.inputValue("[data-filter]");
		await other.close();
		return filter === "proc:curl port:443" || filter;
	});
	await holds("flows: Escape closes the record", async () => {
		await page.locator(".drawer h2").focus();
		await page.keyboard.press("Escape");
		await page.locator(".drawer").waitFor({ state: "detached" });
	});
	await holds("flows: sorted by what left", async () => {
		await page.getByRole("button", { name: "out", exact: true }).click();
		await page.waitForSelector("th[aria-sort=descending]");
		return (await query(page)).get("sort") === "up";
	});
	await holds("flows: a column more", async () => {
		await page.locator(".menu summary").click();
		await page.locator(".menu").getByLabel("rule").check();
		await page.locator(".menu summary").click();
		await page.locator("table[aria-label=Flows] th", { hasText: "rule" }).waitFor();
	});
	await holds("flows: drawing on the chart is a span", async () => {
		const box = await page.locator(".chart .u-over").boundingBox();
		await page.mouse.move(box.x + box.width * 0.9, box.y + 40);
		await page.mouse.down();
		await page.mouse.move(box.x + box.width - 2, box.y + 40, { steps: 5 });
		await page.mouse.up();
		await until(page, () => location.hash.includes("from="));
		const q = await query(page);
		return Number(q.get("to")) - Number(q.get("from")) < 900 || q.toString();
	});
	await holds("flows: texts of strangers are texts", async () => {
		await opened(page, `#/flows?last=1h&filter=${encodeURIComponent('args:"*onerror*"')}`, "table[aria-label=Flows] tbody tr");
		await rows(page, "Flows").first().click();
		await page.locator(".drawer", { hasText: PAGE_HOSTILE }).waitFor();
		return (await page.locator("main img").count()) === 0 && (await page.title()) !== "1";
	});
}

async function findings(page) {
	await opened(page, "#/findings", "table[aria-label=Cases] tbody tr");
	await holds("findings: the case is open, with its evidence and the process", async () => {
		await rows(page, "Cases").filter({ hasText: "socat" }).first().click();
		const text = await page.locator(".drawer").textContent();
		return (/shell/.test(text) && /dB/.test(text) && text.includes("socat TCP:") && !!(await query(page)).get("open")) || text;
	});
	await holds("findings: as a rule, to be copied", async () => {
		await page.getByRole("button", { name: "Copy as rule" }).click();
		await page.getByText("copied").waitFor();
		const text = await page.evaluate(() => navigator.clipboard.readText());
		return /^deny app "\/usr\/bin\/socat[^"]*" to /.test(text) || text;
	});
	await holds("findings: blocked for an hour, seen in the policy, taken away", async () => {
		await page.getByRole("button", { name: "Block for an hour" }).click();
		await page.getByText("blocked for an hour").waitFor();
		await page.goto(PAGE_URL + "/#/policy");
		const block = page.locator(".list li", { hasText: "finding " });
		await block.getByRole("button", { name: "Take away" }).click();
		await block.waitFor({ state: "detached" });
	});
	await holds("findings: acknowledged, and that taken back", async () => {
		await page.goto(PAGE_URL + "/#/findings");
		await rows(page, "Cases").filter({ hasText: "socat" }).first().click();
		await page.getByLabel("For", { exact: true }).selectOption("604800");
		await page.getByLabel("Note").fill("a test");
		await page.getByRole("button", { name: "Acknowledge" }).click();
		await page.locator("tr", { hasText: "a test" }).waitFor();
		await rows(page, "Cases").filter({ hasText: "acknowledged" }).first().waitFor();
		await page.locator(".drawer").getByRole("button", { name: "Close the case" }).click();
		await page.getByRole("button", { name: "Take back" }).click();
		await page.locator("tr", { hasText: "a test" }).waitFor({ state: "detached" });
	});
}

async function policy(page) {
	await opened(page, "#/policy", ".rules");
	await holds("policy: rules with their hits", async () => {
		const text = await page.locator(".rules tr", { hasText: "allow app web" }).textContent();
		return Number((/\d+/.exec(text.replace(/^.*tools fetch"/, "")) ?? [0])[0]) > 0 || text;
	});
	await holds("policy: quotas with what is left, budgets with what is used", async () => {
		const panel = page.locator(".panel", { hasText: "Quotas and budgets" });
		const quota = await panel.locator("tr", { hasText: "quota 200gb/month" }).textContent();
		const budget = await panel.locator("tr", { hasText: "budget web = 5 USD/month" }).textContent();
		return (/B of 200\sGB.*not before it ends.*ok/.test(quota) && /USD of 5\.00\sUSD/.test(budget)) || quota + " | " + budget;
	});
	await holds("policy: what would have been refused", () => page.locator(".panel", { hasText: "Would have been refused" }).locator("tr", { hasText: "stats.vendor.example" }).first().waitFor());
	const text = await page.inputValue("#policy-text");
	await holds("policy: nothing is loaded that was not tried", () => page.getByRole("button", { name: "Load", exact: true }).isDisabled());
	await holds("policy: a mistake is told with its line", async () => {
		expected = /status of 400/;
		await page.fill("#policy-text", text + "allow nonsense\n");
		await page.getByRole("button", { name: "Replay" }).click();
		const said = await page.locator(".editor .messages, .editor .note.bad").first().textContent();
		expected = null;
		return /1[0-4]/.test(said) || said;
	});
	await holds("policy: an edited one is replayed: what changes is told", async () => {
		await page.fill("#policy-text", text.replace('"/usr/bin/curl", ', ""));
		await page.getByRole("button", { name: "Replay" }).click();
		const said = await page.locator(".replay").textContent();
		return /curl/.test(said) || said;
	});
	await holds("policy: loaded, it waits to be confirmed, and is", async () => {
		await page.getByRole("button", { name: "Load", exact: true }).click();
		await page.getByText("waits to be confirmed").waitFor();
		await page.getByRole("button", { name: /^Confirm/ }).click();
		await page.getByText("waits to be confirmed").waitFor({ state: "detached" });
		return (await page.locator(".rules").textContent()).includes("allow app web");
	});
}

async function usage(page) {
	await opened(page, "#/usage?last=1h", "table[aria-label=Sums] tbody tr");
	await holds("usage: bytes by program", async () => {
		const text = await rows(page, "Sums").filter({ hasText: "curl" }).first().textContent();
		return /[kM]B/.test(text) || text;
	});
	await holds("usage: and by name", async () => {
		await page.getByLabel("and", { exact: true }).selectOption("name");
		await rows(page, "Sums").filter({ hasText: "curl" }).filter({ hasText: "shop.example" }).first().waitFor();
		return (await query(page)).get("then") === "name";
	});
	await holds("usage: this month, with what it will come to", async () => {
		await page.getByRole("button", { name: "this month" }).click();
		await page.getByText("by the end of the month").first().waitFor();
	});
	await holds("usage: by segments, a line and a column for each", async () => {
		await page.getByRole("button", { name: "span" }).click();
		await page.getByLabel("by", { exact: true }).selectOption("segments");
		const cell = page.locator(".matrix tbody tr", { has: page.getByRole("rowheader", { name: "private", exact: true }) }).locator("td", { hasText: /flows?/ }).first();
		const text = await cell.textContent(), columns = await page.locator(".matrix thead").textContent();
		return (/[kMG]?B.*flow/.test(text) && columns.includes("to servers")) || text + " | " + columns;
	});
	await holds("usage: a pair of segments leads to its flows", async () => {
		await page.locator(".matrix td a").first().click();
		await page.waitForSelector("table[aria-label=Flows] tbody tr");
		const filter = (await query(page)).get("filter");
		await page.goBack();
		await page.locator(".matrix").waitFor();
		await page.getByLabel("by", { exact: true }).selectOption("app");
		await page.getByLabel("and", { exact: true }).selectOption("name");
		await rows(page, "Sums").filter({ hasText: "curl" }).filter({ hasText: "shop.example" }).first().waitFor();
		return /^\(\(segment:\w+ -dir:reply -dir:ingress\) or \(segment:\w+ \(dir:reply or dir:ingress\)\)\)$/.test(filter) || filter;
	});
	await holds("usage: a row leads to its flows", async () => {
		await rows(page, "Sums").filter({ hasText: "curl" }).first().click();
		await page.waitForSelector("table[aria-label=Flows] tbody tr");
		const filter = (await query(page)).get("filter");
		return /^proc:\/usr\/bin\/curl name:/.test(filter) || filter;
	});
}

async function health(page) {
	await opened(page, "#/health", ".good, .panel table");
	await holds("health: losses, history, feeds and who looks", async () => {
		const text = await page.locator("main").textContent();
		return (/Nothing was lost/.test(text) && /on disk/.test(text) && /user root/.test(text)) || text;
	});
}

// --- what goes wrong -----------------------------------------------------------------------------------------------------------

async function gone(page) {
	await opened(page, "#/now", "[data-live]");
	expected = /ERR_|status of 50\d|EventSource/;
	await rig("stop");
	await holds("daemon gone: it says so, and keeps what it had", async () => {
		await page.getByText("egretd does not answer").waitFor();
		return (await rows(page, "Live sums").count()) > 0;
	});
	await rig("start");
	await holds("daemon back: it goes on by itself", async () => {
		await page.getByText("egretd does not answer").waitFor({ state: "detached", timeout: 20000 });
		const t = Date.now();
		return until(page, (since) => Number(document.querySelector("[data-live]")?.dataset.live) > since, t);
	});
	expected = null;
}

async function empty(browser) {
	const page = watch(await browser.newPage(), PAGE_EMPTY);
	await holds("nothing there: now says so", async () => {
		await page.goto(PAGE_EMPTY + "/#/now");
		await page.getByText("Nothing has left yet").waitFor();
	});
	await holds("nothing there: flows says so", async () => {
		await page.goto(PAGE_EMPTY + "/#/flows");
		await page.getByText("No flow in this span").waitFor();
	});
	await holds("nothing there: usage says so", async () => {
		await page.goto(PAGE_EMPTY + "/#/usage");
		await page.getByText("Nothing moved in this span").waitFor();
	});
	await holds("nothing there: findings and policy say so", async () => {
		await page.goto(PAGE_EMPTY + "/#/findings");
		await page.getByText("Nothing was found").waitFor();
		await page.goto(PAGE_EMPTY + "/#/policy");
		await page.getByText("No policy is in force").waitFor();
	});
	await page.close();
}

async function rights() {
	const context = await chromium.launchPersistentContext(PAGE_FOLDER, { executablePath: PAGE_STRANGER, args: ["--no-sandbox"] });
	const page = watch(context.pages()[0] ?? await context.newPage(), PAGE_URL);
	expected = /status of 40[13]/;
	await holds("no rights: says what to do", async () => {
		await page.goto(PAGE_URL + "/");
		await page.getByText("You may not look here").waitFor();
		const text = await page.locator("main").textContent();
		return text.includes("sudo egret page") || text;
	});
	await holds("a link of `egret page`: live at once, and the token is out of the address", async () => {
		const link = await rig("link");
		if (!link.includes("token=")) return link;
		await page.goto("about:blank"); // what has no rights asks no more
		expected = null;
		await page.goto(link);
		await page.waitForSelector("[data-live]");
		return !page.url().includes("token") || page.url();
	});
	await holds("the token of this tab outlives a reload", async () => {
		await page.reload();
		await page.waitForSelector("[data-live]");
	});
	await context.close();
}

async function looks(browser) {
	for (const [name, options] of [
		["light", { colorScheme: "light", viewport: { width: 1360, height: 900 } }],
		["dark", { colorScheme: "dark", viewport: { width: 1360, height: 900 } }],
		["phone", { colorScheme: "light", viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }],
	]) {
		const page = watch(await browser.newPage(options), PAGE_URL);
		for (const view of VIEWS) {
			await opened(page, `#/${view}`, "main .panel");
			if (view === "flows" || view === "findings") {
				await page.locator("tr.opens").first().click();
				await page.waitForSelector(".drawer .facts");
			}
			await accessible(page, `${view}, ${name}`);
			if (name === "phone") await holds(`phone: ${view} is no wider than the screen`, () =>
				page.evaluate(() => document.documentElement.scrollWidth <= innerWidth || document.documentElement.scrollWidth));
		}
		await page.close();
	}
}

async function themes(page) {
	await opened(page, "#/health", "main .panel");
	await holds("colours: light and dark by the button, kept", async () => {
		const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
		await page.getByRole("button", { name: /^Colours/ }).click();
		const light = await ground();
		await page.getByRole("button", { name: /^Colours/ }).click();
		const dark = await ground();
		await page.reload();
		await page.waitForSelector("main .panel");
		return (light !== dark && (await ground()) === dark) || [light, dark];
	});
	await holds("keys: the skip link is the first stop, 1 to 6 are the views", async () => {
		await page.keyboard.press("Tab");
		const skip = await page.evaluate(() => document.activeElement.textContent);
		await page.keyboard.press("4");
		await page.waitForSelector(".rules");
		return skip === "To the content" || skip;
	});
}

const browser = await chromium.launch({ executablePath: PAGE_CHROMIUM, args: ["--no-sandbox"] });
const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, permissions: ["clipboard-read", "clipboard-write"] });
const page = watch(await context.newPage(), PAGE_URL);
for (const step of [now, filters, flows, findings, policy, usage, health, themes, () => looks(browser), () => empty(browser), rights, gone]) {
	try {
		await step(page);
	} catch (e) {
		check(`${step.name || "a step"}: comes to its end`, false, e.message);
	}
	expected = null;
}
check("no error and no warning on the console", !complaints.length, complaints.join(" ; "));
check("no request to another host", !elsewhere.length, elsewhere.join(" "));
await browser.close();
process.exit(0);
