/**
 * Imported with `{ type: "file" }`: the module is the path of the file, also inside a compiled
 * binary.
 */
declare module "lz4-wasm/lz4_wasm_bg.wasm" {
  const path: string;
  export default path;
}
