/** Reports of nodes that break the protocol, and of large clusters. */
import { describe, expect, test } from "bun:test";
import { outcomeOf } from "../../harness/sim/client-world.ts";
import type { Frame } from "../wire/framer.ts";
import { Client } from "./client.ts";
import type { Connection } from "./connection.ts";
import type { Request } from "./requester.ts";

/** A client of a node that answers with these texts. */
function clientOf(answer: (from: number) => string): Client {
  const request = async ({ count, read }: Request): Promise<void> => {
    const bytes = new TextEncoder().encode(answer(count));
    read({ bytes, bodyAt: 0, bodyBytes: bytes.byteLength, handlerStatus: 0 } as Frame);
  };
  return new Client({ requester: { request } } as unknown as Connection);
}

describe("a report", () => {
  test.each([
    "{nope",
    "",
    "null",
    "7",
    "[]",
    "{}",
    '{"members":[],"peers":[]}',
    '{"members":[null],"peers":[],"more":0}',
    '{"members":{},"peers":[],"more":0}',
    '{"members":[],"peers":[5],"more":0}',
  ])("%p is none", async (text) => {
    expect(await outcomeOf(clientOf(() => text).stats())).toBe("BAD_FRAME");
    expect(await outcomeOf(clientOf(() => text).events())).toBe("BAD_FRAME");
  });

  test("in many parts is one, and has an end", async () => {
    const members = Array.from({ length: 300 }, (_, i) => ({ name: `m${i}` }));
    const some = (from: number): string => {
      const part = members.slice(from, from + 7);
      return JSON.stringify({ members: part, peers: [], more: 300 - from - part.length });
    };
    const { members: listed } = await clientOf(some).stats();
    expect(listed.map(({ name }) => name)).toEqual(members.map(({ name }) => name));
    let asked = 0;
    const endless = (from: number): string => {
      asked += 1;
      return JSON.stringify({ members: [{ name: `m${from}` }], peers: [], more: 1 });
    };
    expect(await outcomeOf(clientOf(endless).stats())).toBe("BAD_FRAME");
    expect(asked).toBeLessThan(5000);
    const nothing = { members: [], peers: [], more: 1 };
    expect((await clientOf(() => JSON.stringify(nothing)).stats()).members).toEqual([]);
  });
});
