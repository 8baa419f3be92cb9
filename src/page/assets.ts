/**
 * The files of the page that the monitoring port shows, by their path. They are in the program
 * itself: the page needs nothing from elsewhere.
 *
 * Not here: the code that runs in the browser (browser/main.ts), what it is told
 * (monitoring/live.ts).
 */
import { bundledHtml, bundledScript, bundledStyle } from "./bundle.ts" with { type: "macro" };

export interface Asset {
  readonly type: string;
  readonly text: string;
}

export const ASSETS: ReadonlyMap<string, Asset> = new Map([
  ["/", { type: "text/html; charset=utf-8", text: bundledHtml() }],
  ["/page.js", { type: "text/javascript; charset=utf-8", text: bundledScript() }],
  ["/page.css", { type: "text/css; charset=utf-8", text: bundledStyle() }],
]);

/**
 * What a browser may do with the page: load its own files, and connect to the node that it came
 * from (Content Security Policy Level 3).
 */
export const ASSET_HEADERS: readonly string[] = [
  `Content-Security-Policy: ${[
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ")}`,
  "X-Frame-Options: DENY",
  "Referrer-Policy: no-referrer",
  "Cross-Origin-Opener-Policy: same-origin",
  "Cross-Origin-Resource-Policy: same-origin",
];
