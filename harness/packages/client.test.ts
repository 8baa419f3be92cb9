/**
 * The package of the client library, packed and installed with npm, on Bun and on the Node of this
 * machine. The other runtimes are in client.long.ts.
 */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../checks/documents.ts";
import { ProcessWorld } from "../processes/process-world.ts";
import { ClientDoors } from "./client-doors.ts";
import { BUN, Consumer, NODE, SUITE_TESTS } from "./consumer.ts";

const TEST_MS = 120_000;
/** It is read by people, and loaded by small programs. */
const CODE_BYTES_MAX = 200_000;

test(
  "the package is one module and its declarations, and works on Bun and on Node",
  async () => {
    await using world = new ProcessWorld();
    const [consumer, doors] = await Promise.all([Consumer.open(world), ClientDoors.open(world)]);
    const [unix, , secured] = doors.all;
    const library = readFileSync(join(ROOT, "docs/library.md"), "utf8");
    const runs = [
      [BUN, secured],
      [NODE, unix],
      [NODE, secured],
    ] as const;
    const passed = await Promise.all(
      runs.map(([runtime, argv = []]) => consumer.suite(runtime, argv)),
    );
    expect(passed).toEqual(runs.map(() => SUITE_TESTS));

    const [, program = ""] = /\n```js \(needs a node\)\n(.*?)\n```\n/s.exec(library) ?? [];
    const [address = ""] = unix ?? [];
    const path = join(consumer.folder, "document.js");
    writeFileSync(path, program.replace("unix:/run/ramster/owner.sock", address));
    for (const runtime of [BUN, NODE]) {
      expect(await consumer.succeed([...runtime, path])).toBe("report 1000000\n");
    }

    const code = readFileSync(consumer.installed("index.js"), "utf8");
    const imported = [...code.matchAll(/^import .* from "(.*)";$/gm)].map(([, from = ""]) => from);
    expect(imported.length).toBeGreaterThan(3);
    expect(imported.filter((from) => !from.startsWith("node:"))).toEqual([]);
    expect(code.match(/\bBun\.|\bimport\(|\brequire\(/g)).toBeNull();
    expect(code.length).toBeLessThan(CODE_BYTES_MAX);
    const declarations = readFileSync(consumer.installed("index.d.ts"), "utf8");
    expect(declarations.match(/\b(?:Channel|Requester|Session|PoolLink|import)\b.*/g)).toEqual([
      'import { connect } from "@ramster/client"`. */',
    ]);
  },
  TEST_MS,
);
