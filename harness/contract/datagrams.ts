/**
 * The contract of Transport.bind and Transport.lookup (src/net/transport.ts), as a suite for the
 * real transport and the simulated one. The network must lose nothing during the run.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { RamsterError } from "../../src/core/errors.ts";
import type { TcpAddress } from "../../src/net/address.ts";
import type { DatagramPort, Transport } from "../../src/net/transport.ts";

export interface DatagramBench {
  readonly transport: Transport;
  /** The address to bind: port 0. */
  readonly address: TcpAddress;
  /** Runs the world until `condition` holds. Rejects when it never does. */
  until(condition: () => boolean): Promise<void>;
}

export function datagramContract(name: string, open: () => DatagramBench): void {
  describe(`${name} keeps the contract of datagrams`, () => {
    let bench: DatagramBench;
    const ports: DatagramPort[] = [];
    beforeEach(() => {
      bench = open();
    });
    afterEach(() => {
      for (const port of ports.splice(0)) port.close();
    });

    async function bind(onDatagram: (bytes: Uint8Array, from: TcpAddress) => void) {
      const port = await bench.transport.bind(bench.address, onDatagram);
      ports.push(port);
      return port;
    }

    test("a datagram arrives whole, with its source address, and may be answered there", async () => {
      const seen: Array<{ bytes: number[]; from: TcpAddress }> = [];
      let answered = "";
      const far = await bind((bytes, from) => {
        expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
        seen.push({ bytes: [...bytes], from });
        far.send(Uint8Array.of(9), 1, from);
      });
      const near = await bind((_, from) => {
        answered = `${from.host}:${from.port}`;
      });
      expect(far.address.port).not.toBe(0);
      const scratch = Uint8Array.of(1, 2, 3, 4);
      near.send(scratch, 3, far.address);
      scratch.fill(0); // The bytes were copied.
      await bench.until(() => answered !== "");
      expect(seen[0]).toEqual({ bytes: [1, 2, 3], from: near.address });
      expect(answered).toBe(`${far.address.host}:${far.address.port}`);
    });

    test("the longest datagram arrives; one to a closed port is dropped without an error", async () => {
      const lengths: number[] = [];
      const far = await bind((bytes) => void lengths.push(bytes.byteLength));
      const near = await bind(() => {});
      const dead = await bench.transport.bind(bench.address, () => {});
      dead.close();
      near.send(new Uint8Array(10), 10, dead.address);
      near.send(new Uint8Array(65_507), 65_507, far.address);
      await bench.until(() => lengths.length > 0);
      expect(lengths[0]).toBe(65_507);
    });

    test("a port in use is refused", async () => {
      const { address } = await bind(() => {});
      const second = bench.transport.bind(address, () => {});
      const error = await second.then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(RamsterError);
      expect((error as RamsterError).code).toBe("ADDRESS_IN_USE");
    });

    test("the lookup of an address gives the same address", async () => {
      expect(await bench.transport.lookup("127.0.0.1")).toEqual(["127.0.0.1"]);
    });
  });
}
