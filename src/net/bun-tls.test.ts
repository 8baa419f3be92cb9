import { describe, expect, test } from "bun:test";
import { constants } from "node:crypto";
import { makeKey } from "../security/make-key.ts";
import { parseAddress } from "./address.ts";
import { BunTransport } from "./bun.ts";
import { tlsReason } from "./reasons.ts";
import { RenewableTls } from "./renewable-tls.ts";
import { secured } from "./secured.ts";
import type { Stream, StreamEvents, TlsMaterial, Transport } from "./transport.ts";

const DEADLINE_MS = 20_000;
const DAY_MS = 86_400_000;
const ANY_PORT = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
const FOREIGN = "no secured connection: its certificate is of another cluster";

async function until(condition: () => boolean): Promise<void> {
  const limit = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > limit) throw new Error("it never happened");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** The events of one side, so that a test can check them later. */
class Side implements StreamEvents {
  isOpen = false;
  receivedBytes = 0;
  reason = "";

  onOpen(stream: Stream): void {
    this.isOpen = true;
    stream.write(new Uint8Array(64).fill(120), 0, 64);
  }

  onData(_stream: Stream, chunk: Uint8Array): void {
    this.receivedBytes += chunk.byteLength;
  }

  onDrain(): void {}

  onClose(_stream: Stream, reason: string): void {
    this.reason = reason;
  }
}

/** Connects, and sends nothing. */
class SilentSide extends Side {
  override onOpen(): void {
    this.isOpen = true;
  }
}

/** One side dials the other and writes at once. `server` closes the stream, or it never opens. */
async function meet(server: Transport, client: Transport): Promise<{ there: Side; here: Side }> {
  const there = new Side();
  const here = new Side();
  const listener = await server.listen(ANY_PORT, () => there);
  const stream = client.connect(parseAddress(listener.address), here);
  await until(() => there.reason !== "" || here.reason !== "");
  stream.terminate();
  await until(() => there.reason !== "" && here.reason !== "");
  listener.close();
  return { there, here };
}

const clear = new BunTransport();
const { tls } = await makeKey({ nowMs: Date.now(), days: 1 });
const { tls: otherTls } = await makeKey({ nowMs: Date.now(), days: 1 });
const ours = secured(clear, tls);

/** Trusts our authority, and presents a certificate of another one. */
function impostor(from: TlsMaterial): Transport {
  return secured(clear, { ...from, authority: tls.authority });
}

describe("TLS", () => {
  test("both sides refuse a node of another cluster, and the one that rejects it says why", async () => {
    const { there, here } = await meet(ours, secured(clear, otherTls));
    expect(here).toMatchObject({ isOpen: false, receivedBytes: 0, reason: FOREIGN });
    expect(there).toMatchObject({
      isOpen: false,
      receivedBytes: 0,
      reason: tlsReason("ECONNRESET"),
    });
  });

  test("a stream never opens to a dialler with a certificate of another cluster", async () => {
    const { there, here } = await meet(ours, impostor(otherTls));
    expect(there).toMatchObject({ isOpen: false, receivedBytes: 0, reason: FOREIGN });
    expect(here.receivedBytes).toBe(0);
  });

  test("a stream never opens to a listener with a certificate of another cluster", async () => {
    const { there, here } = await meet(impostor(otherTls), ours);
    expect(here).toMatchObject({ isOpen: false, receivedBytes: 0, reason: FOREIGN });
    expect(there).toMatchObject({ isOpen: false, receivedBytes: 0 });
  });

  test("refuses an expired certificate and one that is not valid yet", async () => {
    const old = secured(clear, (await makeKey({ nowMs: Date.now() - 10 * DAY_MS, days: 1 })).tls);
    const expired = await meet(old, old);
    expect(expired.here.reason).toBe("no secured connection: its certificate has expired");
    const early = secured(clear, (await makeKey({ nowMs: Date.now() + 10 * DAY_MS, days: 1 })).tls);
    const notYet = await meet(early, early);
    expect(notYet.here.reason).toBe("no secured connection: its certificate is not valid yet");
    const sides = [expired.here, expired.there, notYet.here, notYet.there];
    expect(sides.some((side) => side.isOpen)).toBe(false);
  });

  test("refuses a dialler without TLS", async () => {
    const { there } = await meet(ours, clear);
    expect(there).toMatchObject({ isOpen: false, reason: tlsReason("EPROTO") });
  });

  test("refuses a listener without TLS", async () => {
    const { here } = await meet(clear, ours);
    expect(here).toMatchObject({ isOpen: false, reason: tlsReason("EPROTO") });
  });

  test("refuses a side without a certificate", async () => {
    const there = new Side();
    const listener = await ours.listen(ANY_PORT, () => there);
    const { port } = parseAddress(listener.address) as typeof ANY_PORT;
    let received = 0;
    const options = { ca: tls.authority, serverName: "ramster" };
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      tls: options,
      socket: {
        handshake: (it) => void it.write("x".repeat(64)),
        data: () => {
          received += 1;
        },
        error: () => {},
      },
    });
    await until(() => there.reason !== "");
    expect(there).toMatchObject({ isOpen: false, receivedBytes: 0, reason: tlsReason("EPROTO") });
    expect(received).toBe(0);
    socket.terminate();
    listener.close();
  });

  test("gives up a silent connection", async () => {
    const there = new Side();
    const listener = await ours.listen(ANY_PORT, () => there);
    const stream = clear.connect(parseAddress(listener.address), new SilentSide());
    await until(() => there.reason !== "");
    expect(there.reason).toMatch(/^no secured connection within \d+ ms$/);
    expect(there.isOpen).toBe(false);
    stream.terminate();
    listener.close();
  });

  test("a unix socket has no TLS: its file permissions protect it", () => {
    const seen: unknown[] = [];
    const recording = { connect: (...given: unknown[]) => seen.push(given[2]) };
    const transport = secured(recording as unknown as Transport, tls);
    transport.connect({ kind: "unix", path: "/nowhere" }, new Side());
    transport.connect(ANY_PORT, new Side());
    expect(seen).toEqual([{}, { tls }]);
  });
});

describe("a listener whose certificate is replaced", () => {
  /** Whether a dialler is accepted. */
  async function isOpenTo(client: Transport, address: string): Promise<boolean> {
    const here = new Side();
    const stream = client.connect(parseAddress(address), here);
    await until(() => here.receivedBytes > 0 || here.reason !== "");
    stream.terminate();
    return here.receivedBytes > 0;
  }

  test("presents the new one at the same address, and keeps its streams", async () => {
    const own = new RenewableTls(tls);
    const failures: string[] = [];
    const there = new Side();
    const transport = secured(clear, own, (line) => failures.push(line));
    const listener = await transport.listen(ANY_PORT, () => there);
    const { address } = listener;
    const early = new Side();
    const kept = ours.connect(parseAddress(address), early);
    await until(() => early.receivedBytes > 0);
    expect(await isOpenTo(secured(clear, otherTls), address)).toBe(false);
    // Twice in one turn: the second listener must not find the address taken by the first.
    own.replace(tls);
    own.replace({ ...otherTls, authority: `${tls.authority}\n${otherTls.authority}` });
    await Bun.sleep(0);
    expect(await isOpenTo(secured(clear, otherTls), address)).toBe(true);
    expect(await isOpenTo(ours, address)).toBe(false);
    expect(failures).toEqual([]);
    expect(early.reason).toBe("");
    kept.terminate();
    listener.close();
    own.replace(tls);
    await Bun.sleep(0);
    expect(await isOpenTo(ours, address)).toBe(false);
  });

  test("trusts all of its authorities", async () => {
    const both = { ...tls, authority: `${tls.authority}\n${otherTls.authority}` };
    const listener = await secured(clear, both).listen(ANY_PORT, () => new Side());
    const trusting = { ...otherTls, authority: both.authority };
    expect(await isOpenTo(secured(clear, trusting), listener.address)).toBe(true);
    expect(await isOpenTo(ours, listener.address)).toBe(true);
    listener.close();
  });
});

describe("versions and suites", () => {
  const VERSION_1_2 = { secureOptions: constants.SSL_OP_NO_TLSv1_3 };
  const GCM = { ...VERSION_1_2, ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" };
  const CBC = { ...VERSION_1_2, ciphers: "ECDHE-ECDSA-AES128-SHA" };

  /** Whether a dialler with the key and these options is accepted. */
  async function isLetIn(address: string, options: object): Promise<boolean> {
    const { host, port } = parseAddress(address) as typeof ANY_PORT;
    const own = { ca: tls.authority, cert: tls.certificate, key: tls.key, serverName: "ramster" };
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = await Bun.connect({
      hostname: host,
      port,
      tls: { ...own, ...options },
      socket: { data: () => resolve(true), close: () => resolve(false), error: () => {} },
    });
    const isIn = await promise;
    socket.terminate();
    return isIn;
  }

  test("two ramster nodes use TLS 1.3 only", async () => {
    const listener = await ours.listen(ANY_PORT, () => new Side());
    expect(await isLetIn(listener.address, {})).toBe(true);
    expect(await isLetIn(listener.address, GCM)).toBe(false);
    expect(await isLetIn(listener.address, CBC)).toBe(false);
    listener.close();
  });

  test("other programs may use TLS 1.2 as well, without CBC", async () => {
    class Upgraded extends Side {
      private isSecured = false;

      override onOpen(stream: Stream): void {
        if (this.isSecured) return super.onOpen(stream);
        this.isSecured = true;
        stream.startTls(tls);
      }
    }
    const listener = await clear.listen(ANY_PORT, () => new Upgraded());
    expect(await isLetIn(listener.address, {})).toBe(true);
    expect(await isLetIn(listener.address, GCM)).toBe(true);
    expect(await isLetIn(listener.address, CBC)).toBe(false);
    listener.close();
  });
});
