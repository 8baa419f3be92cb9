import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatAddress } from "../net/address.ts";
import { BunTransport } from "../net/bun.ts";
import type { Listener } from "../net/transport.ts";
import { addressOf, defaultClients, parseNode, socketFolder } from "./local-nodes.ts";

const ID = process.getuid?.() ?? 0;
const transport = new BunTransport();

let folder: string;
let warnings: string[];
let listeners: Listener[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ramster-sockets-"));
  warnings = [];
  listeners = [];
});

afterEach(() => {
  for (const listener of listeners) listener.close();
  rmSync(folder, { recursive: true });
});

function user(runtime = folder) {
  return { id: ID, environment: { RUNTIME_DIRECTORY: runtime } };
}

async function placeFor(name: string, runtime = folder): Promise<string[]> {
  const warn = (line: string): void => void warnings.push(line);
  const addresses = await defaultClients(name, transport, warn, user(runtime));
  return addresses.map(formatAddress);
}

/** Runs a door of that name. */
async function run(name: string): Promise<string> {
  const [text = ""] = await placeFor(name);
  const listener = await transport.listen(parseNodeText(text), () => null);
  listeners.push(listener);
  return text;
}

function parseNodeText(text: string) {
  const address = parseNode({ flag: "client", text });
  if (address.kind === "local") throw new Error(text);
  return address;
}

/** Leaves the socket of a node that was killed. */
async function leave(file: string): Promise<void> {
  const path = join(folder, "before");
  const listener = await transport.listen({ kind: "unix", path }, () => null);
  renameSync(path, join(folder, file));
  listener.close();
}

async function found(name: string | null): Promise<string> {
  return formatAddress(await addressOf({ kind: "local", name }, user()));
}

test("sockets are in the folder of the service, of root, or of the user", () => {
  const folderOf = (id: number, environment: Record<string, string>) =>
    socketFolder({ id, environment });
  expect(folderOf(0, { XDG_RUNTIME_DIR: "/run/user/0" })).toBe("/run/ramster");
  expect(folderOf(7, { XDG_RUNTIME_DIR: "/run/user/7" })).toBe("/run/user/7/ramster");
  expect(folderOf(7, { RUNTIME_DIRECTORY: "/run/a:/run/b" })).toBe("/run/a");
  expect(folderOf(7, {})).toBe(null);
});

test("--client takes an address, or the name of a node", () => {
  const read = (text: string) => parseNode({ flag: "client", text });
  expect(read("n1")).toEqual({ kind: "local", name: "n1" });
  expect(read("unix:n1")).toEqual({ kind: "unix", path: "n1" });
  expect(read("a:1")).toEqual({ kind: "tcp", host: "a", port: 1 });
  expect(parseNode(null)).toEqual({ kind: "local", name: null });
  expect(() => read("/run/n1.sock")).toThrow('Cannot use --client "/run/n1.sock": ');
});

describe("a node", () => {
  test("has a socket with its name in a folder that it makes", async () => {
    const inside = join(folder, "new");
    expect(await placeFor("a/b", inside)).toEqual([`unix:${inside}/a%2Fb.sock`]);
    expect(statSync(inside).mode & 0o022).toBe(0);
    expect(warnings).toEqual([]);
  });

  test("takes over the socket of one that was killed", async () => {
    await leave("a.sock");
    expect(await placeFor("a")).toEqual([`unix:${folder}/a.sock`]);
  });

  const REFUSED: Array<[string, () => unknown, string]> = [
    ["another node has it", () => run("a"), "another process listens there"],
    ["it is no socket", () => writeFileSync(join(folder, "a.sock"), ""), "is not a socket"],
    ["others may write there", () => chmodSync(folder, 0o777), "other users can write to its"],
  ];
  test.each(REFUSED)("goes on without when %s, and says so", async (_, prepare, why) => {
    await prepare();
    expect(await placeFor("a")).toEqual([]);
    const what = `Cannot open the socket "${folder}/a.sock", so commands need --client: `;
    expect(warnings).toEqual([expect.stringContaining(what)]);
    expect(warnings[0]).toContain(why);
  });

  test("goes on without when the path would be too long", async () => {
    const name = "é".repeat(32);
    expect(await placeFor(name)).toEqual([]);
    expect(warnings[0]).toContain("so commands need --client: the socket path is longer");
  });
});

describe("a command", () => {
  test("finds the only node, and one of several by its name", async () => {
    const one = await run("one");
    expect(await found(null)).toBe(one);
    const two = await run("t w o");
    expect(await found("t w o")).toBe(two);
    expect(await found("one")).toBe(one);
    expect(found(null)).rejects.toThrow(
      'Cannot choose a node: "one", "t w o" run here, name one as in --client one',
    );
  });

  test("does not take a killed node, or another file, for a node", async () => {
    const one = await run("one");
    await leave("killed.sock");
    mkdirSync(join(folder, "y.sock"));
    writeFileSync(join(folder, "z.sock"), "");
    expect(await found(null)).toBe(one);
  });

  test("says what there is when the node is missing", async () => {
    const nobody = found("b").catch(({ code, message }) => [code, message]);
    expect(await nobody).toEqual([
      "ADDRESS_UNREACHABLE",
      expect.stringMatching(/^Cannot find node "b" on this machine: .*, or give an address with/),
    ]);
    await run("one");
    expect(found("b")).rejects.toThrow('Cannot find node "b" on this machine: there is "one"');
  });
});
