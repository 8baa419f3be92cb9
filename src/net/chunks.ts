/**
 * Chunks: what a stream has read, in an array that the runtime makes for each.
 *
 * The collector frees them late, since it looks at its own small heap and not at these: a node
 * under load keeps 60 to 140 MiB of them, and one whose memory is locked never gives those back.
 * So who has a chunk (Stream.onData) frees it.
 */

/** A shorter one lies in the heap itself, or is hardly worth it. */
const FREE_BYTES_MIN = 2048;

/** The chunk is done with, and reads as empty from now on. */
export function freeChunk(chunk: Uint8Array): void {
  if (chunk.byteLength < FREE_BYTES_MIN) return;
  const { buffer } = chunk;
  // A part of something larger is not ours to free.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.byteLength) buffer.transfer(0);
}
