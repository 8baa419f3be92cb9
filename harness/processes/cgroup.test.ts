/** A lender in a cgroup with a limit, in the version that this machine uses for memory. */
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseMounts } from "../../src/core/mounts.ts";
import { memoryCgroup } from "../../src/memory/cgroups.ts";
import { parseCgroups } from "../../src/memory/proc-text.ts";
import { counter, ProcessWorld, until } from "./process-world.ts";

const MIB = 2 ** 20;
const LIMIT_BYTES = 160 * MIB;

/** Makes a cgroup with a limit below the root. @returns its folder; null: not allowed here. */
function newGroup(): string | null {
  const cgroups = parseCgroups(readFileSync("/proc/self/cgroup", "utf8"));
  const own = memoryCgroup(cgroups, parseMounts(readFileSync("/proc/self/mountinfo", "utf8")));
  const top = own?.folders.at(-1);
  if (own === null || top === undefined) return null;
  const folder = join(top, `ramster-test-${process.pid}`);
  const file = own.version === 1 ? "memory.limit_in_bytes" : "memory.max";
  try {
    mkdirSync(folder);
  } catch {
    return null;
  }
  try {
    writeFileSync(join(folder, file), String(LIMIT_BYTES));
    return folder;
  } catch {
    rmdirSync(folder);
    return null;
  }
}

const folder = newGroup();
const it = test.skipIf(folder === null);

it("a lender sees the limit of its own cgroup, also when it is moved there later", async () => {
  await using world = new ProcessWorld();
  const path = folder ?? "";
  world.onEnd(() => rmdirSync(path));
  const lender = await world.start("server", 0, ["--memory=1GiB", "--reserve=auto"]);
  writeFileSync(join(path, "cgroup.procs"), String(lender.pid));
  const client = await world.connect(lender);
  await until("it has looked", async () => {
    return (await counter(client, "machine_total_bytes")) === LIMIT_BYTES;
  });
  const lent = 4096 * (await counter(client, "lend_limit_frames"));
  expect(lent).toBeLessThan(LIMIT_BYTES);
  expect(lender.stderr.join("\n")).toContain(
    `lending is limited by cgroup "${path}", which has 160 MiB`,
  );
});
