/**
 * Buffers: arrays that the runtime makes for each chunk that a stream reads, and those that are
 * made for a long request.
 *
 * The collector frees them late, since it looks at its own small heap and not at these: a node
 * under load keeps 60 to 140 MiB of chunks, hundreds for a few requests of 32 MiB, and one whose
 * memory is locked never gives those back. So who has a buffer (Stream.onData) frees it.
 */

/** A shorter one lies in the heap itself, or is hardly worth it. */
const FREE_BYTES_MIN = 2048;

/** The buffer is done with, and reads as empty from now on. */
export function freeBuffer(bytes: ArrayBufferView): void {
  if (bytes.byteLength < FREE_BYTES_MIN) return;
  const { buffer } = bytes;
  // A part of something larger is not ours to free.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0);
}
