/** Crowd: keeps a number of silent connections open at a port. */
import type { Address } from "../../src/net/address.ts";
import { NO_EVENTS, type Stream, type Transport } from "../../src/net/transport.ts";

/** Quick enough to fill all places again and again, slow enough to leave others the processor. */
const REDIAL_MS = 250;

export class Crowd {
  /** Connections made in total. */
  count = 0;
  private readonly transport: Transport;
  private readonly address: Address;
  private readonly streams = new Set<Stream>();
  private isOver = false;

  /** There are always `count`: one more is opened for each that is closed. */
  constructor(transport: Transport, address: Address, count: number) {
    this.transport = transport;
    this.address = address;
    for (let i = 0; i < count; i += 1) this.dial();
  }

  stop(): void {
    this.isOver = true;
    for (const stream of [...this.streams]) stream.terminate();
  }

  private dial(): void {
    if (this.isOver) return;
    this.count += 1;
    const onClose = (stream: Stream): void => {
      this.streams.delete(stream);
      setTimeout(() => this.dial(), REDIAL_MS);
    };
    this.streams.add(this.transport.connect(this.address, { ...NO_EVENTS, onClose }));
  }
}
