import { expect, test } from "bun:test";
import { HeapMemory } from "../memory/heap-memory.ts";
import { Input } from "./input.ts";

function chunksOf(...lengths: number[]): Uint8Array[] {
  return lengths.map((length, i) => new Uint8Array(length).fill(i + 1));
}

test("a chunk is freed with the last piece that lies in it", () => {
  const [chunk = new Uint8Array(0)] = chunksOf(8192);
  const input = new Input(new HeapMemory());
  input.push(chunk);
  expect([input.take(4096), input.take(4096)]).toEqual([true, true]);
  expect(input.bytes[input.at]).toBe(1);
  expect(input.take(28)).toBe(false);
  expect(chunk.byteLength).toBe(0);
});

test("a chunk is freed when nothing is left to read", () => {
  const [chunk = new Uint8Array(0)] = chunksOf(8192);
  const input = new Input(new HeapMemory());
  input.push(chunk);
  expect(input.take(8192)).toBe(true);
  input.release();
  expect(chunk.byteLength).toBe(0);
});

test("a long assembled piece is freed after use, a short one when the client is idle", () => {
  for (const byteCount of [1024 * 1024, 8192]) {
    const input = new Input(new HeapMemory());
    for (const chunk of chunksOf(byteCount / 2, byteCount / 2)) input.push(chunk);
    expect(input.take(byteCount)).toBe(true);
    const piece = input.bytes;
    expect([piece[0], piece.at(-1)]).toEqual([1, 2]);
    input.release();
    expect(piece.byteLength).toBe(byteCount > 8192 ? 0 : byteCount);
    input.trim();
    expect(piece.byteLength).toBe(0);
  }
});

test("a piece that is being assembled stays", () => {
  const input = new Input(new HeapMemory());
  const [first = new Uint8Array(0), second = new Uint8Array(0)] = chunksOf(600_000, 600_000);
  input.push(first);
  expect(input.take(1_200_000)).toBe(false);
  input.release();
  input.trim();
  input.push(second);
  expect(input.take(1_200_000)).toBe(true);
  expect([input.bytes[0], input.bytes.at(-1)]).toEqual([1, 2]);
});

test("an empty piece lies nowhere, even if the piece before it ended its chunk", () => {
  const [chunk = new Uint8Array(0)] = chunksOf(8192);
  const input = new Input(new HeapMemory());
  input.push(chunk);
  expect([input.take(8192), input.take(0)]).toEqual([true, true]);
  expect(chunk.byteLength).toBe(0);
  expect([input.at, input.bytes.subarray(0, 0).byteLength, input.view.byteLength]).toEqual([
    0, 0, 0,
  ]);
});

test("chunks are freed as they are assembled or skipped", () => {
  const chunks = chunksOf(4096, 4096, 4096, 4096);
  const input = new Input(new HeapMemory());
  for (const chunk of chunks) input.push(chunk);
  expect(input.take(10_000)).toBe(true);
  expect(input.bytes.slice(input.at, input.at + 10_000)).toEqual(
    Uint8Array.from({ length: 10_000 }, (_, i) => 1 + Math.floor(i / 4096)),
  );
  expect(input.skip(4096)).toBe(true);
  expect(input.take(28)).toBe(true);
  expect(input.bytes[input.at]).toBe(4);
  expect(chunks.map((it) => it.byteLength)).toEqual([0, 0, 0, 4096]);
});
