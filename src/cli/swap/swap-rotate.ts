/**
 * `ramster swap rotate`: frees stale swap pages.
 *
 * The kernel tells a device only about whole clusters of 2 MiB that are free (mm/swapfile.c,
 * swap_do_scheduled_discard). So a node keeps many pages that the kernel uses no longer. They are
 * free once swap moves to a fresh export:
 *
 *     swapon fresh -> swapoff stale, at most --rate -> discard it -> detach it
 *          |               '- interrupted: both stay on, and the next call goes on
 *          '- failed: nothing has changed
 *
 * It needs room for the pages that the kernel uses, once more. swapoff is slowed down by ending it
 * when it was faster than the rate, and starting it again: it keeps what it has brought home.
 */
import { RamsterError } from "../../core/errors.ts";
import { SWAP_PRIORITY_MAX } from "../../core/limits.ts";
import { formatSize } from "../../core/units.ts";
import type { Address } from "../../net/address.ts";
import type { Progress } from "../progress.ts";
import type { Ended, ExportAt, Shell } from "./shell.ts";
import {
  describe,
  deviceOf,
  findDevice,
  type NbdDevice,
  normalize,
  removeNote,
} from "./swap-devices.ts";
import { attachAndSwapOn, type Change, checkRootAndLock, detach } from "./swap-steps.ts";

export interface SwapRotateOptions {
  readonly nbd: Address;
  readonly exportNames: readonly [string, string];
  /** Rotates when this part of the stored pages is stale. */
  readonly stalePercent: number;
  /** Pages come home at most this fast. */
  readonly bytesPerSecond: number;
}

/** What the node says. */
export interface NodeSpace {
  /** Bytes free for pages, here and at lenders. */
  readonly freeBytes: number;
  /** Null: the node has no such export. */
  of(exportName: string): { readonly sizeBytes: number; readonly storedBytes: number } | null;
}

interface Show {
  readonly progress: Progress;
  readonly line: (text: string) => void;
}

const FAILING = "Cannot rotate swap";
const POLL_MS = 200;
/** swapoff runs at least this long, since it walks over all processes when it starts. */
const RUN_MS_MIN = 1000;

/** @returns one line. Throws RamsterError NO_DEVICE or COMMAND_FAILED. */
export async function swapRotate(
  shell: Shell,
  options: SwapRotateOptions,
  node: () => Promise<NodeSpace>,
  show: Show,
  stop: AbortSignal,
): Promise<Change> {
  await checkRootAndLock(shell, FAILING);
  if (!shell.has("blkdiscard")) {
    throw noDevice("there is no blkdiscard, which is in the package util-linux");
  }
  const ats = options.exportNames.map((exportName) => {
    return normalize(shell, { nbd: options.nbd, exportName });
  });
  const on = ats.flatMap((at) => {
    const device = deviceOf(shell, at);
    return device?.swap == null ? [] : [{ at, device, swap: device.swap }];
  });
  const [first, second] = on.sort((a, b) => a.swap.priority - b.swap.priority);
  if (first === undefined) {
    const names = options.exportNames.map((name) => `"${name}"`).join(" nor ");
    throw noDevice(`neither ${names} is on: run ramster swap on first`);
  }
  // Both are on after a rotation that was interrupted. The older one has the lower priority.
  if (second === undefined) {
    const why = await whyNot(first, await node(), options);
    if (why !== null) return { text: why, isChanged: false };
    const fresh = ats.find((at) => at !== first.at) as ExportAt;
    const priority = Math.min(first.swap.priority + 1, SWAP_PRIORITY_MAX);
    show.line(await attachAndSwapOn(shell, { ...fresh, device: null, priority }, stop));
  }
  await bringHome(shell, first.device, options, show, stop);
  return { text: await endOf(shell, first.device, first.at), isChanged: true };
}

/** Why swap is not to be rotated, or null. Throws when it should be, and cannot. */
async function whyNot(
  { at, swap }: { at: ExportAt; swap: { usedBytes: number } },
  node: NodeSpace,
  { exportNames, stalePercent }: SwapRotateOptions,
): Promise<string | null> {
  const [own, fresh] = [at.exportName, exportNames.find((name) => name !== at.exportName) ?? ""];
  const [stored, target] = [node.of(own), node.of(fresh)];
  if (stored === null || target === null) {
    throw noDevice(`the node has no export "${stored === null ? own : fresh}"`);
  }
  const { usedBytes } = swap;
  const { storedBytes } = stored;
  const stale = Math.max(0, storedBytes - usedBytes);
  const percent = Math.floor((100 * stale) / Math.max(1, storedBytes));
  if (percent < stalePercent) {
    const seen = `${percent}% of ${formatSize(storedBytes)} are stale`;
    return `not rotated: ${seen}, less than ${stalePercent}%`;
  }
  const short = (what: string, has: number): RamsterError => {
    return failed(`${formatSize(usedBytes)} of swap is in use, and ${what} ${formatSize(has)}`);
  };
  if (target.sizeBytes < usedBytes) throw short(`export "${fresh}" has`, target.sizeBytes);
  if (node.freeBytes < usedBytes) throw short("the space free for pages is", node.freeBytes);
  return null;
}

/** Runs swapoff, in pieces that keep to the rate, until the device is no swap. */
async function bringHome(
  shell: Shell,
  { path }: NbdDevice,
  { bytesPerSecond }: SwapRotateOptions,
  show: Show,
  stop: AbortSignal,
): Promise<void> {
  const used = (): number => findDevice(shell, path)?.swap?.usedBytes ?? 0;
  const all = Math.max(1, used());
  while (findDevice(shell, path)?.swap != null) {
    const before = used();
    const startMs = shell.now();
    const piece = new AbortController();
    let ended: Ended | null = null;
    const running = shell.run(["swapoff", path], piece.signal).then((it) => {
      ended = it;
    });
    const owedMs = (): number => {
      const homeMs = (1000 * (before - used())) / bytesPerSecond;
      return homeMs - (shell.now() - startMs);
    };
    while (ended === null && !stop.aborted) {
      show.progress.show("swapoff", 1 - used() / all, `${formatSize(used())} to come home`);
      if (shell.now() - startMs >= RUN_MS_MIN && owedMs() > POLL_MS) break;
      await Promise.race([running, shell.pause(POLL_MS)]);
    }
    const isOurs = ended === null;
    piece.abort();
    await running;
    show.progress.end();
    if (stop.aborted) {
      const left = `${formatSize(used())} of ${path} are still to come home`;
      throw failed(`stopped by ${stop.reason}, ${left}: run it again to go on`);
    }
    if (!isOurs) requireSuccess(ended, `Cannot bring all pages of ${path} home`);
    else if (owedMs() > 0) await shell.pause(owedMs());
  }
}

/** The device is no swap any more: its pages are freed, and it is detached. */
async function endOf(shell: Shell, { path }: NbdDevice, at: ExportAt): Promise<string> {
  requireSuccess(
    await shell.run(["blkdiscard", path]),
    `Cannot discard ${path}, whose swap is off`,
  );
  requireSuccess(await detach(shell, path), `Cannot detach ${path}, whose swap is off`);
  removeNote(shell, path);
  return `rotated: ${describe(at)} is off, and its stale pages are free`;
}

function requireSuccess(ended: Ended | null, failing: string): void {
  if (ended === null || ended.code === 0) return;
  const why = ended.lastLine === "" ? `it ended with ${ended.code}` : ended.lastLine;
  throw new RamsterError("COMMAND_FAILED", `${failing}: ${why}`);
}

function failed(detail: string): RamsterError {
  return new RamsterError("COMMAND_FAILED", `${FAILING}: ${detail}`);
}

function noDevice(detail: string): RamsterError {
  return new RamsterError("NO_DEVICE", `${FAILING}: ${detail}`);
}
