/**
 * A process that receives bytes from a bare Bun socket and acknowledges the last one. It shows the
 * best rate that the machine can reach.
 */
import { assert } from "../../src/core/assert.ts";

const CHUNK_BYTES = 128 * 1024;

/** Sends `byteCount` bytes to another process over a bare socket. @returns bytes a second. */
export async function bareBytesPerSecond(byteCount: number): Promise<number> {
  const child = Bun.spawn([process.execPath, import.meta.path, String(byteCount)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await child.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value));
  const chunk = new Uint8Array(CHUNK_BYTES).fill(7);
  let left = byteCount;
  let started = 0;
  const seconds = await new Promise<number>((resolve, reject) => {
    const send = (socket: Bun.Socket): void => {
      while (left > 0) {
        const taken = socket.write(chunk, 0, Math.min(CHUNK_BYTES, left));
        left -= Math.max(taken, 0);
        if (taken < CHUNK_BYTES) return;
      }
    };
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => {
          started = performance.now();
          send(socket);
        },
        drain: send,
        data: () => resolve((performance.now() - started) / 1000),
        error: (_socket, error) => reject(error),
      },
    }).catch(reject);
  });
  child.stdin.end();
  await child.exited;
  return byteCount / seconds;
}

async function sink(byteCount: number): Promise<void> {
  let left = byteCount;
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (socket, chunk) => {
        left -= chunk.byteLength;
        if (left === 0) socket.write(new Uint8Array(1));
      },
    },
  });
  console.log(listener.port);
  for await (const _chunk of Bun.stdin.stream());
  process.exit(0);
}

if (import.meta.main) {
  const byteCount = Number(process.argv[2]);
  assert(byteCount > 0);
  await sink(byteCount);
}
