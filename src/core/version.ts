/**
 * A page's version in bytes: u64, big-endian, below VERSION_END, so that a number holds it exactly.
 */

const U32 = 4294967296;

export function writeVersion(view: DataView, offset: number, version: number): void {
  view.setUint32(offset, Math.floor(version / U32));
  view.setUint32(offset + 4, version % U32);
}

export function readVersion(view: DataView, offset: number): number {
  return view.getUint32(offset) * U32 + view.getUint32(offset + 4);
}
