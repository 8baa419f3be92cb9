/** Reports of nodes that break the protocol, and of large clusters. */
import { expect, test } from "bun:test";
import { outcomeOf } from "../../harness/sim/client-world.ts";
import { SimCluster } from "../../harness/sim/cluster.ts";
import { drive } from "../../harness/sim/drive.ts";
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

async function reportOfNode(): Promise<{ members: object[]; peers: object[] }> {
  const sim = new SimCluster(1);
  await sim.startGossiping([{}]);
  const report = JSON.parse(sim.node(0).node.admin.statsPart(0));
  await drive(sim.clock, sim.stop());
  return report;
}

test("a report in many parts is one, and has an end", async () => {
  const report = await reportOfNode();
  const [member] = report.members;
  const part = (names: readonly string[], more: number): string => {
    const members = names.map((name) => ({ ...member, name }));
    return JSON.stringify({ ...report, members, peers: [], more });
  };
  const names = Array.from({ length: 300 }, (_, i) => `m${i}`);
  const some = (from: number): string => {
    const these = names.slice(from, from + 7);
    return part(these, names.length - from - these.length);
  };
  const { members } = await clientOf(some).stats();
  expect(members.map(({ name }) => name)).toEqual(names);
  let askedCount = 0;
  const endless = (from: number): string => {
    askedCount += 1;
    return part([`m${from}`], 1);
  };
  expect(await outcomeOf(clientOf(endless).stats())).toBe("BAD_FRAME");
  expect(askedCount).toBeLessThan(5000);
  expect((await clientOf(() => part([], 1)).stats()).members).toEqual([]);
});

test.each(["{nope", "null", '{"members":[],"peers":[]}'])("%p is no report", async (text) => {
  expect(await outcomeOf(clientOf(() => text).stats())).toBe("BAD_FRAME");
  expect(await outcomeOf(clientOf(() => text).events())).toBe("BAD_FRAME");
});
