/**
 * What commands print when a node answers with text that is none of a node: nothing that a terminal
 * takes for more than text, and no bug of this program.
 */
import { expect, test } from "bun:test";
import { createConnection, createServer } from "node:net";
import { HEADER_BYTES } from "../../src/core/limits.ts";
import { FLAG_REPLY, HEADER } from "../../src/wire/header.ts";
import { MESSAGE } from "../../src/wire/messages.ts";
import { ProcessWorld } from "./process-world.ts";

const EVIL = "\u001b[31mEVIL\u001b]0;title\u0007\nline2\u202e\u009b";
const UNPRINTABLE = /[^\n\P{C}]/u;
const TEST_MS = 60_000;

const TEXTS: readonly number[] = [MESSAGE.KNOB_GET, MESSAGE.KNOB_SET];
const REPORTS: readonly number[] = [MESSAGE.STATS, MESSAGE.EVENTS];

/** Between a command and a node: it replaces the bodies of some replies. @returns its address. */
async function between(world: ProcessWorld, node: string, change: (type: number) => string | null) {
  const path = world.path("between.sock");
  const server = createServer((client) => {
    const up = createConnection(node.replace(/^unix:/, ""));
    let rest = Buffer.alloc(0);
    client.on("data", (bytes) => up.write(bytes));
    up.on("data", (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      for (;;) {
        if (rest.byteLength < HEADER_BYTES) return;
        const end = HEADER_BYTES + rest.readUInt32BE(HEADER.BODY_BYTES);
        if (rest.byteLength < end) return;
        const header = Buffer.from(rest.subarray(0, HEADER_BYTES));
        const isReply = (header[HEADER.FLAGS] ?? 0) === FLAG_REPLY;
        const text = isReply ? change(header[HEADER.TYPE] ?? 0) : null;
        const body = text === null ? rest.subarray(HEADER_BYTES, end) : Buffer.from(text);
        header.writeUInt32BE(body.byteLength, HEADER.BODY_BYTES);
        if (text !== null) header[HEADER.HANDLER_STATUS] = 0;
        client.write(Buffer.concat([header, body]));
        rest = rest.subarray(end);
      }
    });
    const end = (): void => {
      client.destroy();
      up.destroy();
    };
    for (const socket of [client, up]) {
      socket.on("close", end);
      socket.on("error", end);
    }
  });
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  world.onEnd(() => server.close());
  return `unix:${path}`;
}

test(
  "text of a node stays on its line, and reports that are none are refused in one line",
  async () => {
    await using world = new ProcessWorld();
    const { client } = await world.start("node", 1, ["--memory=1MiB"]);
    let change: (type: number) => string | null = () => null;
    const door = await between(world, client, (type) => change(type));
    const run = async (command: string) => {
      const { stdout, stderr, code } = await world.run([...command.split(" "), "--client", door]);
      const text = stdout + stderr;
      expect({ command, text, has: UNPRINTABLE.exec(text)?.[0] }).toMatchObject({ has: undefined });
      expect(text).not.toContain("A bug");
      return { text, lines: text.trimEnd().split("\n").length, code };
    };
    expect((await run("status")).code).toBe(0);

    change = (type) => (TEXTS.includes(type) ? EVIL : null);
    for (const command of ["key list", "key add", "get idle", "set idle 1s"]) {
      expect(await run(command)).toMatchObject({ code: 0 });
    }
    expect((await run("key rotate")).text).toBe(
      "ramster: Cannot read the answer of the node: it is not a report about gossip keys\n",
    );
    expect((await run("key reload")).text).toBe(
      "ramster: Cannot read the answer of the node: it is not a report about a key file\n",
    );
    change = (type) => {
      const report = { file: EVIL, changed: true, valid_until: EVIL };
      return type === MESSAGE.KNOB_SET ? JSON.stringify(report) : null;
    };
    expect(await run("key reload")).toMatchObject({ code: 0 });

    const plain = JSON.parse(
      (await world.run(["stats", "--json", "--client", client])).stdout,
    ) as Record<string, unknown>;
    const named = { ...(plain["node"] as object), name: EVIL };
    const evil = { ...plain, node: named, nowhere: EVIL, knobs: { [EVIL]: EVIL }, more: 0 };
    const event = { number: 1, kind: EVIL, text: EVIL, age_ms: 1 };
    const events = JSON.stringify({ boot_id: EVIL, events: [event] });
    change = (type) => {
      if (type === MESSAGE.EVENTS) return events;
      return type === MESSAGE.STATS ? JSON.stringify(evil) : null;
    };
    const shown = ["status", "status --json", "stats", "stats --json", "get", "get --json"];
    for (const command of [...shown, "monitor --once", "monitor --once --json", "top --once"]) {
      expect({ command, ...(await run(command)) }).toMatchObject({ code: 0 });
    }

    for (const report of ['{"node":1}', "[]", EVIL, '{"events":[{}]}', "null"]) {
      change = (type) => (REPORTS.includes(type) ? report : null);
      const commands = ["status", "stats", "get", "drain", "monitor --once", "top --once"];
      for (const command of [...commands, "status --json", "status --check"]) {
        const { text, lines, code } = await run(command);
        expect({ command, report, lines, code }).toEqual({ command, report, lines: 1, code: 1 });
        expect(text).toStartWith("ramster: Cannot read the answer of the node: it is not a ");
      }
    }
  },
  TEST_MS,
);
