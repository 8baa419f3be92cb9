/**
 * Buffers: the arrays that the runtime makes for chunks of a stream, and those of long requests.
 *
 * The collector frees them late, because it counts its own small heap and not these. A node under
 * load would keep 60 to 140 MiB of chunks, and hundreds of MiB for a few requests of 32 MiB. A node
 * whose memory is locked would never give them back. So the receiver of a buffer (Stream.onData)
 * frees it.
 */

/** A shorter buffer is in the heap itself, or not worth the call. */
const FREE_BYTES_MIN = 2048;

/** Frees the buffer, which is empty from now on. */
export function freeBuffer(bytes: ArrayBufferView): void {
  if (bytes.byteLength < FREE_BYTES_MIN) return;
  const { buffer } = bytes;
  // A part of something larger is not ours to free, and Node 20 leaves all to the collector.
  if (!(buffer instanceof ArrayBuffer) || !("transfer" in buffer)) return;
  if (buffer.byteLength === bytes.byteLength) buffer.transfer(0);
}
