import { describe, expect, test } from "bun:test";
import { BYTES_PER_MIB } from "../core/limits.ts";
import { FfiMemory } from "./ffi-memory.ts";
import { Holding } from "./holding.ts";
import { libcPath } from "./libc-path.ts";

const GIB = 1024 * BYTES_PER_MIB;

function fake(mib: number) {
  const touched: number[] = [];
  const touch = (offset: number, byteCount: number): void => {
    touched.push(offset / BYTES_PER_MIB, byteCount / BYTES_PER_MIB);
  };
  return { pinnedBytes: mib * BYTES_PER_MIB, touched, touch };
}

describe("Holding", () => {
  test("touches regions in slices, with a pause after each", async () => {
    const holding = new Holding(() => GIB);
    const [one, two] = [fake(150), fake(8)];
    holding.expect(one);
    holding.expect(two);
    const left: number[] = [];
    await holding.touch(async () => left.push(holding.pendingBytes / BYTES_PER_MIB) > 0);
    expect(one.touched).toEqual([0, 64, 64, 64, 128, 22]);
    expect(two.touched).toEqual([0, 8]);
    expect(left).toEqual([94, 30, 8, 0]);
  });

  test("stops at a pause that says so", async () => {
    const holding = new Holding(() => GIB);
    const region = fake(150);
    holding.expect(region);
    await holding.touch(async () => false);
    expect(region.touched).toEqual([0, 64]);
  });
});

const libc = libcPath();

describe.skipIf(libc === null)("FfiMemory with a Holding", () => {
  const BYTES = 8 * BYTES_PER_MIB;

  test("keeps what was written before a region is touched", async () => {
    const holding = new Holding(() => GIB);
    const region = new FfiMemory(libc as string, holding).reserve(BYTES, { pinnedBytes: BYTES });
    expect(holding.pendingBytes).toBe(BYTES);
    const bytes = Uint8Array.of(1, 2, 3);
    region.write(4096, bytes, 0, 3);
    await holding.touch(async () => true);
    const back = new Uint8Array(3);
    region.read(4096, back, 0, 3);
    expect(back).toEqual(bytes);
    region.close();
  });

  test("counts what is expected against the memory that is available", () => {
    const holding = new Holding(() => 80 * BYTES_PER_MIB);
    const memory = new FfiMemory(libc as string, holding);
    const first = memory.reserve(BYTES, { pinnedBytes: BYTES });
    expect(() => memory.reserve(2 * BYTES, { pinnedBytes: 2 * BYTES })).toThrow(
      "Cannot pin another 16MiB of memory for swap mode: 8MiB are available",
    );
    first.close();
  });
});
