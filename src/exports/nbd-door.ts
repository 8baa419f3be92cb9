/**
 * NbdDoor: serves exports as network block devices, so that a kernel or a virtual machine can swap
 * to the cluster.
 *
 *     client -- NbdConnection (src/nbd) --> NbdIo --> ramster
 *                                             \-> NbdRunner: pending requests
 *
 * Each export has a pool of its own for as long as the node runs. A client that connects again
 * finds its data.
 *
 * With a cluster key, TLS is offered on TCP, and required unless both ends are on this machine. On
 * a unix socket, file permissions decide who may connect.
 *
 * Not here: bytes of the protocol (src/nbd), what requests do (io.ts).
 */
import { assert } from "../core/assert.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { RamsterError } from "../core/errors.ts";
import {
  GOODBYE_TIMEOUT_MS,
  NBD_TICK_MS,
  NBD_TICK_MS_MAX,
  PAGE_BYTES,
  PAGES_PER_NODE_MAX,
} from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Memory } from "../core/memory.ts";
import { formatSize } from "../core/units.ts";
import { NbdConnection, type NbdHandler } from "../nbd/connection.ts";
import { FairShare } from "../nbd/fair-share.ts";
import type { TlsMode } from "../nbd/handshake.ts";
import type { KernelNbd } from "../nbd/kernel-nbd.ts";
import type { Request } from "../nbd/request.ts";
import { type Address, isLoopback } from "../net/address.ts";
import { Admission } from "../net/admission.ts";
import { DOOR_LIMITS, type DoorLimits } from "../net/door-limits.ts";
import {
  type Listener,
  NO_EVENTS,
  type Stream,
  type StreamEvents,
  type TlsMaterial,
  type Transport,
} from "../net/transport.ts";
import type { Ramster } from "../ramster/ramster.ts";
import { type ExportReport, NbdCounters, type NbdReport } from "./counters.ts";
import { type ExportConfig, NbdExport, OBJECTS_PER_EXPORT } from "./export.ts";
import { NbdIo } from "./io.ts";
import { type DeviceTimeouts, KernelDevices } from "./kernel-devices.ts";
import { LargeRequestBudget } from "./large-request-budget.ts";
import { openExport } from "./open-export.ts";
import { NbdPages } from "./pages.ts";
import { NbdPrefetch } from "./prefetch.ts";
import { ReadFailures } from "./read-failures.ts";
import { NbdRunner } from "./runner.ts";
import { SpaceMonitor } from "./space-monitor.ts";

export interface NbdDoorParts {
  clock: Clock;
  memory: Memory;
  /** Plain streams: TLS is started within the NBD protocol. */
  transport: Transport;
  /** From the cluster's key; null if the node has none. */
  tls: TlsMaterial | null;
  ramster: Ramster;
  log: Log;
  limits?: DoorLimits;
  /** Bytes that this machine's kernel swaps on exports, by their names. */
  swapUse?: () => ReadonlyMap<string, number>;
  /** The nbd devices of this machine's kernel. Null: they cannot be used. */
  kernel?: KernelAccess | null;
}

/** How a node serves devices of the kernel without a client in between. */
export interface KernelAccess {
  readonly nbd: KernelNbd;
  /** A stream on a connected descriptor, which it closes. */
  readonly adopt: (fd: number, remote: string, events: StreamEvents) => Stream;
}

export interface NbdDoorSettings extends DeviceTimeouts {
  /** The name of the node. */
  readonly name: string;
  readonly exports: readonly ExportConfig[];
  ioTimeoutMs: number;
  warnAtPercent: number;
}

export class NbdDoor implements NbdHandler {
  readonly counters = new NbdCounters();
  readonly exports: NbdExport[] = [];
  /** May change while the node runs. */
  readonly settings: NbdDoorSettings;
  private readonly parts: NbdDoorParts;
  private readonly pages: NbdPages;
  private readonly io: NbdIo;
  private readonly runner: NbdRunner;
  private readonly space: SpaceMonitor;
  private readonly readFailures: ReadFailures;
  private readonly listeners: Listener[] = [];
  private readonly connections = new Set<NbdConnection>();
  /** Devices of the kernel. Null: this node cannot serve any. */
  readonly devices: KernelDevices | null;
  /** The connections of these devices, with the paths of the devices. */
  private readonly ofKernel = new Map<NbdConnection, string>();
  /** Connections that have not chosen an export yet. */
  private readonly handshakes = new Map<NbdConnection, Stream>();
  private readonly admission: Admission;
  private isStopping = false;
  private readonly largeRequests = new LargeRequestBudget();
  private readonly fairShare = new FairShare();
  private timer: TimerId | null = null;
  private tickedMs = 0;
  private onEmpty: () => void = () => {};

  constructor(parts: NbdDoorParts, settings: NbdDoorSettings) {
    this.parts = parts;
    this.settings = { ...settings };
    this.admission = new Admission(parts.clock, {
      door: "NBD port",
      slots: this.limits.nbdHandshakes,
      onNotice: (line) => parts.log.write("warn", "doors", line),
    });
    const warnAtPercent = (): number => this.settings.warnAtPercent;
    const ioTimeoutMs = (): number => this.settings.ioTimeoutMs;
    const { counters } = this;
    this.space = new SpaceMonitor({ ...parts, warnAtPercent });
    const { space } = this;
    this.readFailures = new ReadFailures({ ...parts, ioTimeoutMs });
    const { readFailures } = this;
    this.pages = new NbdPages({ ...parts, counters, space, readFailures });
    const { pages } = this;
    const releaseLarge = (byteCount: number): void => this.releaseLarge(byteCount);
    const prefetch = new NbdPrefetch({ ...parts, counters });
    const shared = { ...parts, counters, pages, prefetch, readFailures };
    this.runner = new NbdRunner({ ...shared, releaseLarge, ioTimeoutMs });
    this.io = new NbdIo({ ...shared, runner: this.runner });
    this.devices = this.openDevices();
    this.warnOfSize();
  }

  /** Gives each export its pool. Throws RamsterError BAD_KEPT_MEMORY. */
  openExports(): void {
    for (const [type, config] of this.settings.exports.entries()) {
      this.exports.push(openExport(this.parts.ramster, config, type));
    }
  }

  private openDevices(): KernelDevices | null {
    const { kernel = null, clock, ramster, log } = this.parts;
    if (kernel === null) return null;
    return new KernelDevices({
      clock,
      kernel: kernel.nbd,
      name: this.settings.name,
      isKept: ramster.zcache.isKept,
      timeouts: this.settings,
      serve: (name, fd, path) => this.serveDevice(kernel, name, fd, path),
      note: (level, line) => log.write(level, "doors", line),
    });
  }

  /** Serves an export to a device of the kernel. @returns false: there is no such export. */
  private serveDevice(kernel: KernelAccess, name: string, fd: number, path: string): boolean {
    const exp = this.exports.find((it) => it.name === name);
    if (exp === undefined) {
      kernel.adopt(fd, path, NO_EVENTS).terminate();
      return false;
    }
    const connection = this.newConnection("none");
    connection.serveAtOnce(exp);
    this.connections.add(connection);
    this.ofKernel.set(connection, path);
    this.counters.nbd_connections = this.connections.size;
    kernel.adopt(fd, path, connection);
    return true;
  }

  /** @returns the address with its real port. Rejects as Transport.listen does. */
  async listen(address: Address): Promise<string> {
    const { transport, tls } = this.parts;
    const mode = tlsMode(address, tls);
    const accept = (stream: Stream): StreamEvents | null => this.accept(stream, mode);
    const listener = await transport.listen(address, accept);
    this.listeners.push(listener);
    this.tickedMs = this.parts.clock.now();
    this.timer ??= this.parts.clock.after(NBD_TICK_MS, () => this.tick());
    return listener.address;
  }

  /**
   * Accepts no more clients and no more requests. Resolves when all requests that were read are
   * answered and all streams are closed, or after GOODBYE_TIMEOUT_MS.
   */
  async stop(): Promise<void> {
    this.isStopping = true;
    this.devices?.stop();
    for (const listener of this.listeners) listener.close();
    for (const connection of [...this.connections]) connection.stop();
    this.runner.stop();
    if (this.connections.size > 0) await this.untilEmpty();
    for (const connection of [...this.connections]) connection.terminate();
    if (this.timer !== null) this.parts.clock.cancel(this.timer);
    this.timer = null;
  }

  /** Attaches the export to a device of the kernel. Throws RamsterError NO_DEVICE. */
  attach(name: string, index: number | null): void {
    const exp = this.exports.find((it) => it.name === name);
    if (exp === undefined) throw noDevice(`there is no export "${name}"`);
    this.deviceAccess.attach(name, exp.byteCount, index);
  }

  /** Detaches a device of the kernel. Throws RamsterError NO_DEVICE. */
  detach(index: number): void {
    this.deviceAccess.detach(index);
  }

  private get deviceAccess(): KernelDevices {
    if (this.devices === null) throw noDevice("the devices of the kernel cannot be used");
    return this.devices;
  }

  get connectionCount(): number {
    return this.connections.size;
  }

  /** The names of the exports that have clients. */
  get exportsInUse(): readonly string[] {
    return this.exports.filter((it) => it.connectionCount > 0).map(({ name }) => name);
  }

  /** Requests that wait for something, or whose reply is still being sent. */
  get waitingCount(): number {
    return this.runner.count;
  }

  /** The name of the export whose pages the pool has, or null. */
  exportOfPool(id: number): string | null {
    return this.exports.find(({ pool }) => pool.id === id)?.name ?? null;
  }

  stats(): ExportReport[] {
    const swapUse = this.parts.swapUse?.();
    return this.exports.map(({ name, byteCount, pool, connectionCount, latencies }) => {
      const usedBytes = pool.pageCount * PAGE_BYTES;
      const swapBytes = swapUse?.get(name);
      return {
        name,
        latencies: { read: latencies.read.snapshot(), write: latencies.write.snapshot() },
        size_bytes: byteCount,
        pages: pool.pageCount,
        used_bytes: usedBytes,
        swap_bytes: swapBytes ?? 0,
        stale_bytes: swapBytes === undefined ? 0 : Math.max(0, usedBytes - swapBytes),
        connections: connectionCount,
      };
    });
  }

  /**
   * Removes an export that no client uses, with all its pages: one object a turn. Linux frontswap
   * calls this "invalidate area" (mm/frontswap.c, __frontswap_invalidate_area).
   */
  remove(name: string): void {
    const index = this.exports.findIndex((exp) => exp.name === name);
    const [exp] = this.exports.splice(index, 1);
    assert(index >= 0 && exp !== undefined && exp.connectionCount === 0);
    this.parts.log.write("info", "doors", `removed export "${name}" and its pages`);
    this.invalidateArea(exp, OBJECTS_PER_EXPORT - 1);
  }

  /** Exports are thin-provisioned, but the index of a node has a bound. */
  private warnOfSize(): void {
    const byteCount = this.settings.exports.reduce((sum, it) => sum + it.byteCount, 0);
    const most = PAGES_PER_NODE_MAX * PAGE_BYTES;
    if (byteCount <= most) return;
    const sizes = `${formatSize(byteCount)}, ${formatSize(byteCount - most)}`;
    const what = `exports have ${sizes} more than a node can store`;
    this.parts.log.write("warn", "doors", `${what}: writes beyond that will fail`);
  }

  private invalidateArea(exp: NbdExport, object: number): void {
    if (this.isStopping) return; // The pages are gone with the node.
    this.pages.freeObject(exp, object);
    if (object > 0) this.parts.clock.soon(() => this.invalidateArea(exp, object - 1));
    else this.parts.ramster.flushPool(exp.pool.id, { destroy: true });
  }

  /** Null: it has no exports. */
  snapshot(): NbdReport | null {
    if (this.settings.exports.length === 0) return null;
    return {
      ...this.counters,
      nbd_waiting_count: this.waitingCount,
      nbd_long_bytes_used: this.largeRequests.usedBytes,
      space_warn_count: Number(this.space.isAboveMark),
    };
  }

  // NbdHandler.

  onDevice(connection: NbdConnection): void {
    this.leaveHandshake(connection);
    exportOf(connection).connectionCount += 1;
    const { name } = exportOf(connection);
    const what = `client "${connection.remote}" connected to export "${name}"`;
    this.parts.log.write("info", "doors", what);
  }

  onRequest(connection: NbdConnection, request: Request): void {
    this.io.serve(connection, exportOf(connection), request);
  }

  reserveLarge(connection: NbdConnection, byteCount: number): boolean {
    return this.largeRequests.reserve(connection, byteCount);
  }

  releaseLarge(byteCount: number): void {
    this.largeRequests.release(byteCount);
  }

  onClosed(connection: NbdConnection, reason: string): void {
    this.leaveHandshake(connection);
    this.connections.delete(connection);
    this.counters.nbd_connections = this.connections.size;
    this.largeRequests.cancel(connection);
    this.runner.drop(connection);
    if (connection.device !== null) {
      const exp = exportOf(connection);
      exp.connectionCount -= 1;
      const what = `client "${connection.remote}" disconnected from export "${exp.name}"`;
      this.parts.log.write("info", "doors", `${what}: ${reason}`);
    } else if (connection.refusal !== "") {
      this.counters.nbd_connections_refused += 1;
      const what = `Refused NBD client "${connection.remote}"`;
      this.parts.log.write("warn", "doors", `${what}: ${connection.refusal}`);
    }
    const path = this.ofKernel.get(connection);
    this.ofKernel.delete(connection);
    if (path !== undefined && !connection.hasDisconnected) this.devices?.broken(path);
    if (this.connections.size === 0) this.onEmpty();
  }

  private async untilEmpty(): Promise<void> {
    const { clock } = this.parts;
    let timer: TimerId | null = null;
    await new Promise<void>((resolve) => {
      this.onEmpty = resolve;
      timer = clock.after(GOODBYE_TIMEOUT_MS, resolve);
    });
    if (timer !== null) clock.cancel(timer);
  }

  private get limits(): DoorLimits {
    return this.parts.limits ?? DOOR_LIMITS;
  }

  private accept(stream: Stream, tls: TlsMode): StreamEvents | null {
    const isFull = this.connections.size >= this.limits.nbdConnections;
    if (this.isStopping || isFull) this.counters.nbd_connections_refused += 1;
    if (this.isStopping) return null;
    if (isFull && !this.closeIdle() && !this.admission.closeOne()) {
      this.admission.countRefused(stream.remote);
      return null;
    }
    const connection = this.newConnection(tls);
    this.connections.add(connection);
    this.handshakes.set(connection, stream);
    this.admission.enter(stream, {
      close: () => {
        this.counters.nbd_connections_refused += 1;
        stream.terminate();
      },
      isSilent: () => !connection.hasSentBytes || connection.isIdle,
    });
    this.counters.nbd_connections = this.connections.size;
    return connection;
  }

  private newConnection(tls: TlsMode): NbdConnection {
    const door = this;
    const settings = {
      tls,
      devices: () => this.exports,
      get isStopping(): boolean {
        return door.isStopping;
      },
    };
    const env = { ...this.parts, fairShare: this.fairShare };
    return new NbdConnection(env, this, settings, this.parts.tls);
  }

  /** Closes the oldest connection that is idle. @returns false when there is none. */
  private closeIdle(): boolean {
    for (const connection of this.connections) {
      if (!connection.isOpen || !connection.isIdle) continue;
      this.connections.delete(connection); // Its stream may take a while to close.
      connection.terminate();
      return true;
    }
    return false;
  }

  private leaveHandshake(connection: NbdConnection): void {
    const stream = this.handshakes.get(connection);
    if (stream !== undefined) this.admission.leave(stream);
    this.handshakes.delete(connection);
  }

  private tick(): void {
    this.timer = this.parts.clock.after(NBD_TICK_MS, () => this.tick());
    const now = this.parts.clock.now();
    const elapsedMs = Math.min(now - this.tickedMs, NBD_TICK_MS_MAX);
    this.runner.tick(now - this.tickedMs - elapsedMs);
    this.tickedMs = now;
    this.space.check();
    this.readFailures.report();
    const { hasWaiters } = this.largeRequests;
    for (const connection of [...this.connections]) connection.tick(elapsedMs, hasWaiters);
  }
}

function noDevice(why: string): RamsterError {
  return new RamsterError("NO_DEVICE", `Cannot attach a device: ${why}`);
}

function exportOf(connection: NbdConnection): NbdExport {
  const { device } = connection;
  assert(device instanceof NbdExport);
  return device;
}

function tlsMode(address: Address, tls: TlsMaterial | null): TlsMode {
  if (tls === null || address.kind === "unix") return "none";
  return isLoopback(address.host) ? "offered" : "required";
}
