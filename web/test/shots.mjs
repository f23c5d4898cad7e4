// SPDX-License-Identifier: Apache-2.0
// Pictures of the page for the documents, of real traffic: tests/e2e/page.py --shots FOLDER.
import { createRequire } from "node:module";
import path from "node:path";

const { PAGE_URL, PAGE_NPM, PAGE_CHROMIUM, PAGE_SHOTS } = process.env;
const { chromium } = createRequire(PAGE_NPM + "/")("playwright-core");
const WIDE = { viewport: { width: 1280, height: 800 } };

const browser = await chromium.launch({ executablePath: PAGE_CHROMIUM, args: ["--no-sandbox"] });

async function shot(name, options, hash, ready, prepare = async () => {}) {
	const page = await browser.newPage(options);
	await page.goto(PAGE_URL + "/" + hash);
	await page.waitForSelector(ready, { state: "attached" });
	await prepare(page);
	await page.evaluate(() => document.activeElement?.blur());
	await page.screenshot({ path: path.join(PAGE_SHOTS, `page-${name}.png`) });
	await page.close();
}

/** Until the chart of rates is as long as it is wide. */
const minute = (page) => page.waitForFunction(() => document.querySelector(".rates .chart")?.dataset.points > 58, null, { timeout: 90000 });
const open = (what) => async (page) => {
	await page.locator("tr.opens", { hasText: what }).first().click();
	await page.waitForSelector(".drawer .facts");
};

await Promise.all([
	shot("now", { ...WIDE, colorScheme: "light" }, "#/now", ".band", minute),
	shot("now-dark", { ...WIDE, colorScheme: "dark" }, "#/now", ".band", minute),
]);
await shot("flows", { ...WIDE, colorScheme: "light" }, "#/flows?last=15m&filter=port:443%20or%20port:7001", "tr.opens", async (page) => {
	await open("curl")(page);
	await page.getByRole("button", { name: /^Why/ }).click();
	await page.waitForSelector(".why");
});
await shot("findings", { viewport: { width: 1280, height: 735 }, colorScheme: "dark" }, "#/findings", "tr.opens", open("socat"));

await browser.close();
process.exit(0);
