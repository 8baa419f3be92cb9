/** A Worker that keeps another core busy, as any program may: it compresses the same bytes for ever. */
const bytes = new Uint8Array(64 * 1024);
for (let i = 0; i < bytes.length; i += 1) bytes[i] = i % 64 < 24 ? Math.imul(i, 2_654_435_761) : 0;
for (;;) Bun.zstdCompressSync(bytes);
