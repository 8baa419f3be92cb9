/**
 * The package of the client library, packed and installed with npm, on Bun and on the Node of this
 * machine. The other runtimes are in client.long.ts.
 */
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ProcessWorld } from "../processes/process-world.ts";
import { ClientDoors } from "./client-doors.ts";
import { makeClientPackage, pack } from "./client-package.ts";
import { BUN, Consumer } from "./consumer.ts";

const TEST_MS = 120_000;

test(
  "the package works on Bun and on Node, with and without a key",
  async () => {
    await using world = new ProcessWorld();
    const [consumer, doors] = await Promise.all([Consumer.open(world), ClientDoors.open(world)]);
    for (const runtime of [BUN, ["node"]]) {
      for (const argv of doors.all) expect(await consumer.suite(runtime, ...argv)).toBe(12);
    }
  },
  TEST_MS,
);
