import { afterEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { transportContract } from "../../harness/contract/transport.ts";
import { makeKey } from "../security/make-key.ts";
import { parseAddress } from "./address.ts";
import { BunTransport } from "./bun.ts";
import { NodeDialler } from "./node.ts";
import { secured, securedDialler } from "./secured.ts";
import type { Dialler, Stream, StreamEvents, TlsMaterial, Transport } from "./transport.ts";

const DEADLINE_MS = 10_000;
const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) fs.rmSync(directory, { recursive: true });
});

async function until(condition: () => boolean): Promise<void> {
  const limit = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > limit) throw new Error("it never happened");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function quiet(): Promise<void> {
  for (let i = 0; i < 30; i += 1) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** The dialler with what it lacks of a Transport. The listening side is a node's. */
function withListener(dialler: Dialler, transport: Transport): Transport {
  return {
    listen: (address, accept) => transport.listen(address, accept),
    connect: (address, events) => dialler.connect(address, events),
    bind: (address, onDatagram) => transport.bind(address, onDatagram),
    lookup: (host) => transport.lookup(host),
  };
}

const bench = { until, quiet, close: async () => {} };

const onTcp = {
  address: () => ({ kind: "tcp", host: "127.0.0.1", port: 0 }) as const,
  deadAddress: () => ({ kind: "tcp", host: "127.0.0.1", port: 1 }) as const,
};

transportContract("NodeDialler on TCP", async () => ({
  transport: withListener(new NodeDialler(), new BunTransport()),
  ...onTcp,
  ...bench,
}));

const { tls } = await makeKey({ nowMs: Date.now(), days: 1 });

transportContract("NodeDialler under TLS", async () => ({
  transport: withListener(securedDialler(new NodeDialler(), tls), secured(new BunTransport(), tls)),
  ...onTcp,
  ...bench,
}));

transportContract("NodeDialler on unix sockets", async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ramster-test-"));
  directories.push(directory);
  return {
    transport: withListener(new NodeDialler(), new BunTransport()),
    address: () => ({ kind: "unix", path: path.join(directory, "listen.sock") }),
    deadAddress: () => ({ kind: "unix", path: path.join(directory, "dead.sock") }),
    ...bench,
  };
});

describe("NodeDialler under TLS", () => {
  const DAY_MS = 86_400_000;

  /** Dials a listener. @returns the reason why the stream was closed, and what each side has got. */
  async function meet(theirs: TlsMaterial | null, ours: TlsMaterial | null) {
    const got = { here: 0, there: 0, reason: "", opened: false };
    const events = (side: "here" | "there"): StreamEvents => ({
      onOpen: (stream: Stream) => {
        if (side === "here") got.opened = true;
        stream.write(new Uint8Array(64).fill(120), 0, 64);
      },
      onData: (_stream, chunk) => {
        got[side] += chunk.byteLength;
      },
      onDrain: () => {},
      onClose: (_stream, reason) => {
        if (side === "here") got.reason = reason;
      },
    });
    const clear = new BunTransport();
    const transport = theirs === null ? clear : secured(clear, theirs);
    const address = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
    const listener = await transport.listen(address, () => events("there"));
    const node = new NodeDialler();
    const dialler = ours === null ? node : securedDialler(node, ours);
    const stream = dialler.connect(parseAddress(listener.address), events("here"));
    await until(() => got.reason !== "" || got.here > 0);
    stream.terminate();
    listener.close();
    return got;
  }

  test("meets a node of its cluster", async () => {
    const { opened, here } = await meet(tls, tls);
    expect({ opened, here }).toEqual({ opened: true, here: 64 });
  });

  test("refuses a node of another cluster, and one whose certificate is out of date", async () => {
    const { tls: other } = await makeKey({ nowMs: Date.now(), days: 1 });
    const old = (await makeKey({ nowMs: Date.now() - 10 * DAY_MS, days: 1 })).tls;
    const early = (await makeKey({ nowMs: Date.now() + 10 * DAY_MS, days: 1 })).tls;
    const foreign = { ...other, authority: tls.authority };
    const refused = { opened: false, here: 0, there: 0 };
    const reason = (why: string): string => `no secured connection: its certificate ${why}`;
    expect(await meet(foreign, tls)).toEqual({
      ...refused,
      reason: reason("is of another cluster"),
    });
    expect(await meet(old, old)).toEqual({ ...refused, reason: reason("has expired") });
    expect(await meet(early, early)).toEqual({ ...refused, reason: reason("is not valid yet") });
  });

  test("is refused with a certificate of another cluster, and without TLS", async () => {
    const { tls: other } = await makeKey({ nowMs: Date.now(), days: 1 });
    const foreign = await meet(tls, { ...other, authority: tls.authority });
    expect(foreign).toMatchObject({ here: 0, there: 0 });
    expect(foreign.reason).toMatch(/refused the certificate|(?:closed|reset) by the other side/);
    expect(await meet(tls, null)).toMatchObject({ there: 0 }); // Here an alert of TLS arrives.
    const plain = await meet(null, tls);
    expect(plain).toMatchObject({ opened: false, here: 0 });
    expect(plain.reason).toMatch(/^no secured connection: the other side/);
  });
});
