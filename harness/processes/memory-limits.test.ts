/** A node that cannot have its memory exits with 3, and one line says what to do. */
import { describe, expect, test } from "bun:test";
import { totalmem } from "node:os";
import { MEMORY_BYTES_MAX } from "../../src/core/limits.ts";
import { ended, PROGRAM, ProcessWorld } from "./process-world.ts";
import { areToolsRequired, which } from "./tools.ts";

const GIB = 2 ** 30;
const isMissing = which("prlimit") === null && !areToolsRequired;
const FLAGS = ["--number=1", "--listen=127.0.0.1:0", "--gossip=none"];

describe.skipIf(isMissing)("under a limit of its addresses", () => {
  test.each([
    // Too little for the runtime as well, which then has no bun:ffi.
    ["data", "RLIMIT_DATA", "--memory=64MiB", 0.75 * GIB],
    ["data", "RLIMIT_DATA", "--memory=256GiB", 128 * GIB],
    ["as", "RLIMIT_AS", "--memory=256GiB", 128 * GIB],
  ])("%s, a lender says that %s is to be raised: %s", async (kind, name, memory, most) => {
    await using world = new ProcessWorld();
    const limited = ["prlimit", `--${kind}=${most}`, ...PROGRAM, "server", ...FLAGS, memory];
    const { stdout, stderr, code } = await ended(world.spawnCommand(limited));
    expect(stderr).toMatch(/^ramster: Cannot reserve \d+MiB of address space: raise .*\n$/m);
    expect(stderr).toContain(name);
    expect([stdout, code]).toEqual(["", 3]);
  });
});

const more = Math.ceil(totalmem() / GIB) + 1;

test.skipIf(more * GIB > MEMORY_BYTES_MAX)(
  "a node with more memory than the machine has",
  async () => {
    await using world = new ProcessWorld();
    const { stdout, stderr, code } = await world.run(["node", ...FLAGS, `--memory=${more}GiB`]);
    expect(stderr).toMatch(/^ramster: Cannot use \d+MiB: .* of memory, lower --memory\n$/);
    expect([stdout, code]).toEqual(["", 3]);
  },
);
