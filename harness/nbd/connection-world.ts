/** One NbdConnection with a fake stream and a fake handler. All that it sends is recorded. */
import { NBD_TICK_MS } from "../../src/core/limits.ts";
import { HeapMemory } from "../../src/memory/heap-memory.ts";
import { NbdConnection, type NbdHandler } from "../../src/nbd/connection.ts";
import type { Device } from "../../src/nbd/device.ts";
import { FairShare } from "../../src/nbd/fair-share.ts";
import type { TlsMode } from "../../src/nbd/handshake.ts";
import { KeptRequest } from "../../src/nbd/kept-request.ts";
import { COMMAND, ERRNO } from "../../src/nbd/protocol.ts";
import type { Request } from "../../src/nbd/request.ts";
import type { Stream, TlsMaterial } from "../../src/net/transport.ts";
import { SimClock } from "../sim/clock.ts";
import { type BareForm, bytesOf, greetingOf, type Piece } from "./bare-client.ts";

const MIB = 1024 * 1024;
export const DISK: Device = { name: "disk", description: "a disk", byteCount: 64 * MIB };
const OTHER: Device = { name: "ötherwise", description: "another", byteCount: 4096 };
const TLS: TlsMaterial = { authority: "", certificate: "", key: "" };

/** The connection's end of a stream. It keeps all that is written to it. */
class FakeStream implements Stream {
  readonly remote = "test";
  written = new Uint8Array(0);
  room = Number.POSITIVE_INFINITY;
  isPaused = false;
  isEnded = false;
  isTerminated = false;
  isSecured = false;
  onTerminate: () => void = () => {};

  write(bytes: Uint8Array, offset: number, byteCount: number): number {
    const taken = Math.min(byteCount, this.room);
    this.room -= taken;
    this.written = bytesOf(this.written, bytes.subarray(offset, offset + taken));
    return taken;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    this.isEnded = true;
  }

  startTls(): void {
    this.isSecured = true;
  }

  terminate(): void {
    if (this.isTerminated) return;
    this.isTerminated = true;
    this.onTerminate();
  }

  hex(): string {
    const text = Buffer.from(this.written).toString("hex");
    this.written = new Uint8Array(0);
    return text;
  }
}

export class ConnectionWorld implements NbdHandler {
  readonly clock = new SimClock();
  readonly stream = new FakeStream();
  readonly requests: string[] = [];
  readonly kept: KeptRequest[] = [];
  readonly connection: NbdConnection;
  isStopping = false;
  isClosed = false;
  largeBytes = 0;
  largeMax = 64 * MIB;
  keepsRequests = false;
  /** Replies to reads are sent from their own buffer. */
  sendsSeparately = false;
  /** The cost of each request, in the units of NBD_SLICE. */
  units = 0;

  constructor(tls: TlsMode = "none") {
    const world = this;
    const settings = {
      tls,
      devices: () => [DISK, OTHER],
      get isStopping(): boolean {
        return world.isStopping;
      },
    };
    const env = { clock: this.clock, memory: new HeapMemory(), fairShare: new FairShare() };
    this.connection = new NbdConnection(env, this, settings, TLS);
    this.stream.onTerminate = () => this.connection.onClose(this.stream, "closed here");
    this.connection.onOpen(this.stream);
  }

  onDevice(): void {}

  onRequest(connection: NbdConnection, it: Request): void {
    const data = Buffer.from(it.bytes.subarray(it.at, it.at + it.dataBytes));
    const shown = data.length <= 8 ? data.toString("hex") : `${data.length} bytes`;
    this.requests.push(`${it.type} ${it.offset}+${it.byteCount} ${shown}`.trim());
    if (it.byteCount > MIB && (it.type === COMMAND.READ || it.type === COMMAND.WRITE))
      this.largeBytes -= it.byteCount;
    connection.spend(this.units);
    if (this.keepsRequests) {
      const kept = new KeptRequest();
      this.kept.push(kept);
      connection.keep(kept, it, it.byteCount);
    } else if (it.type === COMMAND.READ) this.answerRead(connection, it);
    else connection.replies.empty(it, ERRNO.OK);
  }

  reserveLarge(_: NbdConnection, byteCount: number): boolean {
    if (this.largeBytes + byteCount > this.largeMax) return false;
    this.largeBytes += byteCount;
    return true;
  }

  releaseLarge(byteCount: number): void {
    this.largeBytes -= byteCount;
  }

  onClosed(): void {
    this.isClosed = true;
  }

  send(...pieces: readonly Piece[]): string {
    this.connection.onData(this.stream, bytesOf(...pieces));
    return this.stream.hex();
  }

  /** Does the handshake, up to the first request. */
  begin(form: BareForm = "simple"): this {
    for (const bytes of greetingOf({ form })) this.send(bytes);
    return this;
  }

  soon(): void {
    while (this.clock.step());
  }

  /** Advances the clock by `ms`, with the ticks that the door gives its connections. */
  tickFor(ms: number, othersWait: boolean): void {
    const end = this.clock.now() + ms;
    while (this.clock.now() < end && !this.isClosed) {
      this.clock.run(this.clock.now() + NBD_TICK_MS);
      this.connection.tick(NBD_TICK_MS, othersWait);
    }
  }

  private answerRead(connection: NbdConnection, it: Request): void {
    if (this.sendsSeparately) {
      const kept = new KeptRequest();
      kept.set(it);
      kept.prepareRead(it.byteCount, 0);
      connection.replies.keptRead(kept);
      return;
    }
    const { bytes, at } = connection.replies.beginRead(it.byteCount);
    bytes.fill(0xab, at, at + it.byteCount);
    connection.replies.finishRead(it, 0);
  }
}
