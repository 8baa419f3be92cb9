/** The standard streams of a process that must never wait for their readers. */
import { BunClock } from "../net/bun.ts";
import { openDescriptor } from "./descriptor.ts";
import { Output } from "./output.ts";

const STDOUT = 1;
export const STDERR = 2;

export interface Streams {
  readonly out: Output;
  readonly err: Output;
}

export function openStreams(): Streams {
  const clock = new BunClock();
  return {
    out: new Output(() => openDescriptor(STDOUT), clock),
    err: new Output(() => openDescriptor(STDERR), clock),
  };
}

/** Waits until everything is written, but only a short time. */
export async function drainStreams({ out, err }: Streams): Promise<void> {
  await Promise.all([out.drain(), err.drain()]);
}

/** Writes what can be written, then `line`, in a process that ends now. */
export function finishStreams({ out, err }: Streams, line: string): void {
  const sleep = (delayMs: number): void => Bun.sleepSync(delayMs);
  err.finish(line, sleep);
  out.finish(null, sleep);
}
