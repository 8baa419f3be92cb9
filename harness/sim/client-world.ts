/** One node with a client door and a program connected to it, in virtual time. */
import { expect } from "bun:test";
import { type Client, type ConnectOptions, connectIn } from "../../src/client/client.ts";
import type { Oid } from "../../src/core/handle.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { HeapMemory } from "../../src/memory/heap-memory.ts";
import { type Address, formatAddress } from "../../src/net/address.ts";
import { fillTestPage, SimCluster } from "./cluster.ts";
import { drive } from "./drive.ts";

const MIB = 1024 * 1024;
const DOOR: Address = { kind: "tcp", host: "10.0.0.0", port: 7778 };
export const OID: Oid = [1n, 2n, 3n];
export const PROGRAM = "program";

export async function clientWorld(options: ConnectOptions = {}, seed = 3) {
  const sim = new SimCluster(seed);
  await sim.start([{ clients: [DOOR], lendBytes: 0, memoryBytes: 4 * MIB }]);
  const wait = <T>(promise: Promise<T>): Promise<T> => drive(sim.clock, promise);
  const dial = (more: ConnectOptions = {}): Promise<Client> => {
    const transport = sim.network.transport(PROGRAM);
    const random = new SeededRandom(seed);
    const env = { clock: sim.clock, transport, memory: new HeapMemory(), random };
    const all = { redial: true, timeoutMs: 2000, ...options, ...more };
    return wait(connectIn(env, `tcp:${formatAddress(DOOR)}`, all));
  };
  const client = await dial();
  const pool = await wait(client.newPool({ persistent: true }));
  const node = sim.node(0);
  /** Cuts the connection, which the client has noticed then. */
  const cut = (): void => {
    sim.network.cut(PROGRAM, node.host);
    expect(client.isConnected).toBe(false);
  };
  const end = async (): Promise<void> => {
    await wait(client.close());
    await sim.stop();
  };
  return { sim, node, wait, dial, client, pool, cut, end };
}

export function pageOf(number: number, generation = 1): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  fillTestPage(page, 0, 0, number, generation);
  return page;
}

/** The value, or the code of a RamsterError, or what else was thrown. */
export function outcomeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: { code?: string }) => error.code ?? error);
}
