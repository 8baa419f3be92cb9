/** PROTOCOL.md describes the code: its numbers and names are compared with the tables. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { goodFixtures } from "../../harness/wire/fixtures.ts";
import * as limits from "../core/limits.ts";
import { STATUS } from "../core/status.ts";
import { ROLE } from "./handshake.ts";
import { GOODBYE, MESSAGE, replyBytesMax } from "./messages.ts";
import { TRANSPORT_STATUS } from "./status.ts";

const text = readFileSync(new URL("./PROTOCOL.md", import.meta.url), "utf8");

/** Rows of the table under the heading whose first cell is a name and whose second is a number. */
function numbered(header: string): Record<string, number> {
  const from = text.indexOf(`\n| ${header} |`);
  expect(from).toBeGreaterThan(0);
  const table = text.slice(from + 1).split("\n\n")[0] ?? "";
  const rows = [...table.matchAll(/^\| ([\w ]+) \| (\d+) \|/gm)];
  return Object.fromEntries(rows.map(([, name, number]) => [name, Number(number)]));
}

describe("PROTOCOL.md has the numbers of", () => {
  test("messages", () => {
    const rows = [...text.matchAll(/^\| (\d+) \| ([A-Z_]+) \|/gm)];
    const found = Object.fromEntries(rows.map(([, number, name]) => [name, Number(number)]));
    expect(found).toEqual(MESSAGE);
  });

  test("transport statuses", () => expect(numbered("transport status")).toEqual(TRANSPORT_STATUS));
  test("handler statuses", () => expect(numbered("status")).toEqual(STATUS));
  test("goodbye codes", () => expect(numbered("code")).toEqual(GOODBYE));

  test("roles", () => {
    const { PEER, CLIENT, CLIENT_DOOR } = ROLE;
    expect(numbered("role")).toEqual({ peer: PEER, client: CLIENT, "client door": CLIENT_DOOR });
  });

  test("limits, and names no other", () => {
    const known: Readonly<Record<string, unknown>> = { ...limits };
    const found = numbered("limit");
    expect(Object.keys(found).length).toBeGreaterThan(20);
    for (const [name, value] of Object.entries(found)) expect(known[name]).toBe(value);
    for (const [name] of text.matchAll(/\b[A-Z]+_[A-Z_]+_(MAX|BYTES|MS|END)\b/g)) {
      expect(Object.keys(found)).toContain(name);
    }
  });

  test("the longest replies", () => {
    expect(replyBytesMax(MESSAGE.GET, 1)).toBe(4112);
    expect(replyBytesMax(MESSAGE.PAGE_GET, 1)).toBe(4097);
    for (const name of ["PUT", "FLUSH", "PAGE_PUT", "PAGE_FLUSH", "OBJECT_FLUSH"] as const) {
      expect(replyBytesMax(MESSAGE[name], 9)).toBe(9);
    }
    const pools = ["NEW_POOL", "DESTROY_POOL", "FLUSH_POOL", "POOL_TOKEN", "OPEN_POOL"] as const;
    for (const name of ["HELLO", ...pools] as const) {
      expect(replyBytesMax(MESSAGE[name], 0)).toBe(1024);
    }
    for (const name of ["KNOB_GET", "KNOB_SET"] as const) {
      expect(replyBytesMax(MESSAGE[name], 0)).toBe(262_144);
    }
    expect(replyBytesMax(MESSAGE.STATS, 0)).toBe(limits.BODY_BYTES_MAX);
  });
});

test("PROTOCOL.md names every golden frame, and no other", () => {
  const quoted = [...text.matchAll(/`([a-z-]+-(?:request|reply)[a-z-]*)`/g)].map(
    ([, name]) => name,
  );
  expect([...new Set(quoted)].sort()).toEqual(goodFixtures().map(({ name }) => name));
});
