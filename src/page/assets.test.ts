import { expect, test } from "bun:test";
import { ASSET_HEADERS, ASSETS } from "./assets.ts";

const BYTES_MAX = 150 * 1024;

test("the page is small", () => {
  const bytes = [...ASSETS.values()].map(({ text }) => Buffer.byteLength(text));
  expect(bytes.reduce((sum, it) => sum + it, 0)).toBeLessThan(BYTES_MAX);
});

test("the page needs nothing from elsewhere", () => {
  for (const [path, { text }] of ASSETS) {
    const addresses = text.match(/(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}[^"'\s)]*/gi) ?? [];
    // The name of a namespace is never fetched.
    expect({ path, addresses: [...new Set(addresses)] }).toEqual({
      path,
      addresses: path === "/page.js" ? ["http://www.w3.org/2000/svg"] : [],
    });
  }
});

test("the page has no inline script or style, which its policy forbids", () => {
  const page = ASSETS.get("/")?.text ?? "";
  expect(page).not.toMatch(/<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:/i);
  expect(ASSET_HEADERS.join()).not.toMatch(/unsafe|\*/);
});

test("every file that the page names is there", () => {
  const page = ASSETS.get("/")?.text ?? "";
  const names = [...page.matchAll(/(?:src|href)="([^"#:]+)"/g)].map(([, name]) => `/${name}`);
  const others = ["/status.json", "/metrics"];
  expect(names.filter((name) => !others.includes(name)).sort()).toEqual(["/page.css", "/page.js"]);
});
