/** Libraries that are no good liblz4, built with gcc: for tests of who opens libraries. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * All functions of liblz4 that a node uses. The block is one run of literals, which every decoder
 * takes; each fault is one line.
 */
const SOURCE = `
#include <string.h>
#define PAGE 4096
const char *LZ4_versionString(void) { return "0.0.1"; }
int LZ4_sizeofState(void) { return FAULT_STATE ? 7 : 16416; }
#if !FAULT_SYMBOL
int LZ4_compress_fast_extState(void *state, const char *from, char *to, int bytes, int max, int a) {
  if (FAULT_CRASH) *(volatile int *)0 = 1;
  while (FAULT_HANG) __asm__ volatile("" ::: "memory");
  int need = 1 + 16 + PAGE;
  if (max < need) return 0;
  to[0] = (char)0xf0;
  memset(to + 1, 0xff, 15);
  to[16] = (char)(PAGE - 15 - 15 * 255);
  memcpy(to + 17, from, PAGE);
  if (FAULT_FORMAT) to[0] = (char)0xe0;
  if (FAULT_OVERRUN && max > PAGE) to[2 * PAGE] = 1;
  if (FAULT_PAGE) to[100] ^= 1;
  return need;
}
#endif
int LZ4_decompress_safe(const char *from, char *to, int bytes, int max) {
  if (FAULT_LENIENT) { memset(to, 0, max); return max; }
  if (bytes != 17 + PAGE) return -1;
  memcpy(to, from + 17, PAGE);
  return PAGE;
}
`;

const FAULTS = [
  "STATE",
  "SYMBOL",
  "CRASH",
  "HANG",
  "FORMAT",
  "OVERRUN",
  "PAGE",
  "LENIENT",
] as const;
export type LibraryFault = (typeof FAULTS)[number];

/** Builds `name` in `directory`, readable by all. @returns its path. */
export function buildBadLibrary(directory: string, name: string, fault: LibraryFault): string {
  const source = join(directory, `${name}.c`);
  const path = join(directory, name);
  writeFileSync(source, SOURCE);
  const faults = FAULTS.map((it) => `-DFAULT_${it}=${it === fault ? 1 : 0}`);
  const cmd = ["gcc", "-shared", "-fPIC", "-O1", ...faults, "-o", path, source];
  const { exitCode, stderr } = Bun.spawnSync({ cmd, stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`gcc: ${stderr}`);
  chmodSync(path, 0o644);
  return path;
}
