/**
 * Datagrams in memory under virtual time: each arrives late, twice, out of order or not at all, by
 * one Random. The network decides which hosts are down, and which cannot reach each other.
 */
import { assert } from "../../src/core/assert.ts";
import { RamsterError } from "../../src/core/errors.ts";
import { below, type Random } from "../../src/core/random.ts";
import { formatAddress, type TcpAddress } from "../../src/net/address.ts";
import type { DatagramPort, OnDatagram } from "../../src/net/transport.ts";
import type { SimClock } from "./clock.ts";

/** May change at any time. */
export interface DatagramSettings {
  latencyMinMs: number;
  latencyMaxMs: number;
  /** Percent of datagrams that are lost. */
  lossPercent: number;
  /** Percent of arriving datagrams that do so twice. */
  twicePercent: number;
}

/** The most that UDP over IPv4 carries. */
const DATAGRAM_BYTES_MAX = 65_507;

export class SimDatagrams {
  readonly settings: DatagramSettings;
  /** Bytes sent, by host, to measure the cost of gossip. */
  readonly bytesSent = new Map<string, number>();
  /** Called with every datagram that is sent. */
  onSend: ((bytes: Uint8Array, to: TcpAddress) => void) | null = null;
  private readonly clock: SimClock;
  private readonly random: Random;
  private readonly isBlocked: (from: string, to: string) => boolean;
  private readonly ports = new Map<string, SimPort>();

  constructor(
    env: { clock: SimClock; random: Random; isBlocked: (from: string, to: string) => boolean },
    settings: DatagramSettings,
  ) {
    this.clock = env.clock;
    this.random = env.random;
    this.isBlocked = env.isBlocked;
    this.settings = settings;
  }

  get portCount(): number {
    return this.ports.size;
  }

  bind(host: string, address: TcpAddress, onDatagram: OnDatagram): DatagramPort {
    const key = formatAddress(address);
    if (this.ports.has(key)) {
      throw new RamsterError("ADDRESS_IN_USE", `Cannot listen on "${key}": the address is in use`);
    }
    const port = new SimPort(this, host, address, onDatagram);
    this.ports.set(key, port);
    return port;
  }

  unbind(port: SimPort): void {
    this.ports.delete(formatAddress(port.address));
  }

  /** The host has lost its power. */
  unbindAll(host: string): void {
    for (const port of [...this.ports.values()]) if (port.host === host) this.unbind(port);
  }

  send(from: SimPort, bytes: Uint8Array, to: TcpAddress): void {
    assert(bytes.byteLength <= DATAGRAM_BYTES_MAX);
    this.onSend?.(bytes, to);
    this.bytesSent.set(from.host, (this.bytesSent.get(from.host) ?? 0) + bytes.byteLength);
    if (this.chance(this.settings.lossPercent)) return;
    this.deliverLate(from, bytes, to);
    if (this.chance(this.settings.twicePercent)) this.deliverLate(from, bytes, to);
  }

  private deliverLate(from: SimPort, bytes: Uint8Array, to: TcpAddress): void {
    const { latencyMinMs, latencyMaxMs } = this.settings;
    const share = below(this.random, 1000) / 1000;
    this.clock.after(latencyMinMs + share * (latencyMaxMs - latencyMinMs), () => {
      const port = this.ports.get(formatAddress(to));
      if (port === undefined || this.isBlocked(from.host, port.host)) return;
      port.onDatagram(bytes.slice(), from.address);
    });
  }

  private chance(percent: number): boolean {
    return percent > 0 && below(this.random, 10_000) < percent * 100;
  }
}

class SimPort implements DatagramPort {
  readonly address: TcpAddress;
  readonly host: string;
  readonly onDatagram: OnDatagram;
  private readonly datagrams: SimDatagrams;

  constructor(datagrams: SimDatagrams, host: string, address: TcpAddress, onDatagram: OnDatagram) {
    this.datagrams = datagrams;
    this.host = host;
    this.address = address;
    this.onDatagram = onDatagram;
  }

  send(bytes: Uint8Array, byteCount: number, to: TcpAddress): void {
    this.datagrams.send(this, bytes.slice(0, byteCount), to);
  }

  close(): void {
    this.datagrams.unbind(this);
  }
}
