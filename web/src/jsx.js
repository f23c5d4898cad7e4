// SPDX-License-Identifier: Apache-2.0
// What esbuild makes of <a>…</a>: web/build puts this in front of every file.
export { createElement, Fragment } from "preact";
