/**
 * A cluster of nodes and members of memberlist itself, with and without label and key. Either side
 * joins the other. It builds a Go program, so it has its own command:
 *
 *     bun test ./harness/gossip/memberlist.ts
 *
 * It is skipped where Go or Debian's golang-github-hashicorp-memberlist-dev is missing.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { parseKeyFile } from "../../src/security/key-file.ts";
import { logged, ProcessWorld } from "../processes/process-world.ts";
import { areToolsRequired } from "../processes/tools.ts";
import { MemberlistProgram } from "./memberlist-peer.ts";

const TEST_MS = 60_000;
const BUILD_MS = 300_000;
const isSkipped = !MemberlistProgram.isAvailable && !areToolsRequired;

describe.skipIf(isSkipped)("memberlist", () => {
  let program: MemberlistProgram;

  beforeAll(() => {
    program = new MemberlistProgram();
  }, BUILD_MS);

  afterAll(() => program[Symbol.dispose]());

  test.each([
    ["in clear", "", false, false],
    ["with a label", "blue", false, false],
    ["with a key", "", true, false],
    ["with a label and a key", "blue", true, false],
    ["with a label and a key, compressed", "blue", true, true],
  ] as const)(
    "memberlist and ramster join each other, %s",
    async (_, label, isKeyed, isCompressed) => {
      await using world = new ProcessWorld();
      const flags = ["--gossip=127.0.0.1:0", "--memory=8MiB", `--gossip-label=${label}`];
      let key = "";
      if (isKeyed) {
        const path = world.path("key");
        await world.run(["keygen", `--out=${path}`]);
        flags.push(`--key=${path}`);
        const [first] = parseKeyFile(readFileSync(path, "utf8"), Date.now()).gossipKeys;
        key = Buffer.from(first ?? []).toString("base64");
      }
      const options = { label, key, flags: isCompressed ? ["-compress"] : [] };
      const seed = await world.start("server", 0, flags);
      // memberlist dials the node.
      const guest = await program.start("guest", { ...options, join: seed.gossip });
      await guest.printed("join n0");
      await logged(seed, /member "guest" has joined/);
      // The node dials memberlist.
      const other = await world.start("server", 1, [...flags, `--join=${guest.address}`]);
      await guest.printed("join n1");
      await logged(other, /member "n0" has joined/);
      await other.kill();
      await guest.printed("leave n1");
      await guest.leave();
      await logged(seed, /member "guest" has left/);
    },
    TEST_MS,
  );

  test(
    "a member without Serf's versions is refused with the reason, and others still join",
    async () => {
      await using world = new ProcessWorld();
      const seed = await world.start("server", 0, ["--gossip=127.0.0.1:0", "--memory=8MiB"]);
      const plain = await program.start("plain", { join: seed.gossip, flags: ["-delegate=0"] });
      await expect(plain.printed("join n0")).rejects.toThrow("it speaks delegate protocol 0");
      await logged(seed, /Cannot accept member "plain": it speaks delegate protocol 0/);
      const guest = await program.start("guest", { join: seed.gossip });
      await guest.printed("join n0");
      await guest.leave();
    },
    TEST_MS,
  );

  test(
    "members with different labels cannot join each other, from either side",
    async () => {
      await using world = new ProcessWorld();
      const flags = ["--gossip=127.0.0.1:0", "--memory=8MiB"];
      const seed = await world.start("server", 0, [...flags, "--gossip-label=blue"]);
      for (const label of ["green", ""]) {
        const stranger = await program.start("stranger", { label, join: seed.gossip });
        await expect(stranger.printed("join n0")).rejects.toThrow();
      }
      const peer = await program.start("peer", { label: "green" });
      const joining = [...flags, `--join=${peer.address}`, "--join-timeout=1s"];
      await expect(world.start("server", 1, joining)).rejects.toThrow("Cannot join the cluster");
    },
    TEST_MS,
  );
});
